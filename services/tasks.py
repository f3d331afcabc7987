"""What a worker does: runs jobs, and sweeps up what lost messages and dead workers left behind.

A message names a job and is only a wake-up; the sweep finds every job without one. Errors of a job are its result:
a problem object in its row. While the database is away a job stays as it is, and the sweep comes back to it.
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from http import HTTPStatus
from pathlib import Path
from threading import Event, Thread
from uuid import UUID

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from compliance import block_raises, do_not_call_imports, scrub_jobs
from compliance.checkpoint_stores import CheckpointStore
from compliance.ledger_outside import open_store
from compliance.ledger_runs import Ledger
from compliance.list_rows import UnreadableListError
from compliance.phone_snapshot import file_listed_phones
from infra.celery_app import purge_delivered
from infra.clock import Clock
from infra.durable import sync_path
from infra.jobs import (
    HEARTBEAT_EVERY,
    Job,
    JobResult,
    LostJobError,
    Runner,
    RunningJob,
    beat,
    claim,
    fail,
    finish,
    note_progress,
    states_of,
    waiting_jobs,
)
from infra.logs import logger
from recordings import retention_sweep
from services.attesting import NOBODY, Attesters, attest_if_possible
from services.idempotency import forget_old_answers
from services.problems import Problem, is_database_away, problem_of, title_of
from services.sealing import sealing_beside
from services.uploads import INPUT_NAME, OUTPUT_NAME, job_directory, output_directory

RUN_JOB = "telesales.run_job"
SWEEP = "telesales.sweep"

RUNNERS: Mapping[str, Runner] = {
    scrub_jobs.JOB_KIND: scrub_jobs.run_scrub_job,
    do_not_call_imports.JOB_KIND: do_not_call_imports.run_import_job,
    block_raises.JOB_KIND: block_raises.run_raise_job,
    retention_sweep.JOB_KIND: retention_sweep.run_raise_job,
}

_DELIVERED_KEPT_FOR = timedelta(hours=15)
"""More than the 14 hours by which the stamps of delivered messages may be off."""

_UPLOADS_WITHOUT_JOB_KEPT_FOR = timedelta(days=1)

log = logger(__name__)


@dataclass(frozen=True, slots=True)
class Worker:
    """What a worker process works with. `owns_broker` says that the broker's messages are rows of the database.

    `checkpoints` None means a directory below `data_dir`.
    """

    engine: Engine
    clock: Clock
    data_dir: Path
    owns_broker: bool
    runners: Mapping[str, Runner]
    checkpoints: CheckpointStore | None = None
    attesters: Attesters = NOBODY

    @property
    def files(self) -> Path:
        """Directory below which jobs keep their files."""
        return self.data_dir / "jobs"

    @property
    def ledger(self) -> Ledger:
        store = self.checkpoints or open_store(None, self.data_dir)
        return Ledger(engine=self.engine, clock=self.clock, data_dir=self.data_dir, store=store)

    @property
    def cache_dir(self) -> Path:
        return self.data_dir / "cache"


def run_job(worker: Worker, job_id: UUID) -> None:
    """Run a job if it is to be had; whatever befalls it ends up in its row."""
    with worker.engine.begin() as connection:
        job = claim(connection, job_id, now=worker.clock())
    if job is None:
        return
    try:
        with _heartbeat(worker, job), sealing_beside(worker.ledger):
            found = _run(worker, job)
            _sync_output(worker, job, found)
            with worker.engine.begin() as connection:
                finish(connection, job, found, now=worker.clock())
    except Exception as error:  # noqa: BLE001 - the job's row must tell of any error, and the worker go on
        _note_failure(worker, job, error)
    else:
        log.info("job_done", job_id=str(job_id), kind=job.kind, attempt=job.attempts)
        _remove_input(worker, job_id)


def attest(worker: Worker) -> None:
    """Have the newest checkpoint attested by others. Sealing goes on meanwhile: they may take their time."""
    with sealing_beside(worker.ledger):
        attest_if_possible(worker.ledger, worker.attesters)


def sweep(worker: Worker) -> None:
    """Run jobs whose message was lost or whose worker died, and clear away what is no longer needed."""
    with worker.engine.begin() as connection:
        waiting = waiting_jobs(connection, now=worker.clock())
    for job_id in waiting:
        run_job(worker, job_id)
    with worker.engine.begin() as connection:
        forget_old_answers(connection, now=worker.clock())
        if worker.owns_broker:
            purge_delivered(connection, older_than=worker.clock() - _DELIVERED_KEPT_FOR)
    # So that the next scrub need not wait until millions of entries are read.
    file_listed_phones(worker.engine, worker.cache_dir)
    remove_inputs_without_need(worker)


def remove_inputs_without_need(worker: Worker) -> None:
    """Remove the input of jobs that are done, all of those that failed, and of uploads that broke off before their job.

    A directory whose input is gone and whose results are there is a finished job's, and stays.
    """
    if not worker.files.is_dir():
        return
    found = [one for one in worker.files.iterdir() if (one / INPUT_NAME).exists() or not (one / OUTPUT_NAME).exists()]
    named = {job_id: one for one in found if (job_id := _job_id(one.name)) is not None}
    with worker.engine.begin() as connection:
        states = states_of(connection, named)
    oldest = (worker.clock() - _UPLOADS_WITHOUT_JOB_KEPT_FOR).timestamp()
    for job_id, directory in named.items():
        state = states.get(job_id)
        if state == "done":
            _remove_input(worker, job_id)
        elif state == "failed" or (state is None and _is_older(directory, oldest)):
            shutil.rmtree(directory, ignore_errors=True)


def _is_older(directory: Path, instant: float) -> bool:
    """Say whether a directory was last changed before `instant`; one that is gone meanwhile was not."""
    try:
        return directory.stat().st_mtime < instant
    except FileNotFoundError:
        return False


def _job_id(name: str) -> UUID | None:
    """Return the job whose directory has this name. One that bears no id is not ours to remove."""
    try:
        return UUID(name)
    except ValueError:
        return None


def _remove_input(worker: Worker, job_id: UUID) -> None:
    """Remove what a finished job was made from: its numbers are personal data that nobody needs any more."""
    with suppress(OSError):
        (job_directory(worker.files, job_id) / INPUT_NAME).unlink(missing_ok=True)


def _sync_output(worker: Worker, job: Job, found: JobResult) -> None:
    """Have a job's files on disk before its row says that they are there."""
    output = output_directory(worker.files, job.job_id)
    for path in (*(output / name for name in found.files), output, output.parent, worker.files):
        sync_path(path)


def _run(worker: Worker, job: Job) -> JobResult:
    output = output_directory(worker.files, job.job_id)
    output.mkdir(mode=0o700, parents=True, exist_ok=True)
    running = RunningJob(
        engine=worker.engine,
        clock=worker.clock,
        job_id=job.job_id,
        role=job.role,
        actor=job.actor,
        parameters=job.parameters,
        progress=job.progress,
        input_path=job_directory(worker.files, job.job_id) / INPUT_NAME,
        output_dir=output,
        cache_dir=worker.cache_dir,
        report_progress=partial(_report, worker, job),
    )
    return worker.runners[job.kind](running)


def _report(
    worker: Worker, job: Job, done: int, total: int | None, progress: Mapping[str, object] | None = None
) -> None:
    with worker.engine.begin() as connection:
        note_progress(connection, job, done=done, total=total, progress=progress, now=worker.clock())


@contextmanager
def _heartbeat(worker: Worker, job: Job) -> Iterator[None]:
    """Show that the job is alive, from a thread of its own: some steps report nothing for long."""
    ended = Event()

    def beat_until_ended() -> None:
        while not ended.wait(HEARTBEAT_EVERY.total_seconds()):
            try:
                with worker.engine.begin() as connection:
                    beat(connection, job, now=worker.clock())
            except LostJobError:
                return
            except SQLAlchemyError as error:
                log.warning("heartbeat_failed", job_id=str(job.job_id), error=type(error).__name__)

    thread = Thread(target=beat_until_ended, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _note_failure(worker: Worker, job: Job, error: Exception) -> None:
    """Record why a job failed, unless another has taken it over or it can go on when the database is back."""
    if isinstance(error, LostJobError):
        log.warning("job_lost", job_id=str(job.job_id), kind=job.kind, attempt=job.attempts)
        return
    if is_database_away(error):
        log.warning("job_interrupted", job_id=str(job.job_id), kind=job.kind, error=type(error).__name__)
        return
    problem = _problem(job, error)
    log.warning("job_failed", job_id=str(job.job_id), kind=job.kind, error=type(error).__name__, slug=problem.slug)
    now: datetime = worker.clock()
    try:
        with worker.engine.begin() as connection:
            fail(connection, job, problem.body(), now=now)
    except LostJobError:
        log.warning("job_lost", job_id=str(job.job_id), kind=job.kind, attempt=job.attempts)
        return
    shutil.rmtree(job_directory(worker.files, job.job_id), ignore_errors=True)  # a failed job names no files


def _problem(job: Job, error: Exception) -> Problem:
    if isinstance(error, UnreadableListError):
        status = HTTPStatus.UNPROCESSABLE_ENTITY
        extra = {"detail_zh": error.message_zh}
        return Problem(status, title_of(status), str(error), "unreadable-list", extra=extra)
    known = problem_of(error)
    if known is not None:
        return known
    # The traceback goes to the log and not to the asker: it may quote what was in the file.
    log.error("job_broken", job_id=str(job.job_id), kind=job.kind, exc_info=error)
    detail = (
        f"The job failed by a fault of the product ({type(error).__name__}). See the worker's log for {job.job_id}."
    )
    return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "Internal Server Error", detail, "job-broken")
