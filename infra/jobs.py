"""Jobs: long work kept as rows, so that losing a process or a message loses no work. Knows nothing of kinds.

A job is claimed by whoever finds it queued, or running without a sign of life. Each claim has a number; what a
claim writes is refused once another has taken its place, so that a worker believed dead cannot write over its
successor.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import Connection, Engine, Row, func, insert, select, text, update

from infra.clock import Clock
from infra.tables import jobs

HEARTBEAT_EVERY = timedelta(seconds=5)
STALE_AFTER = timedelta(seconds=30)
"""A running job without a heartbeat for so long has lost its worker, and may be claimed again."""

MOST_ATTEMPTS = 5

_CLAIMABLE = "(state = 'queued' OR (state = 'running' AND heartbeat_at < :stale_before))"
_CLAIM = text(f"""
    UPDATE jobs SET state = 'running', attempts = attempts + 1, heartbeat_at = :now,
                    started_at = coalesce(started_at, :now)
     WHERE job_id = (SELECT job_id FROM jobs WHERE job_id = :job_id AND {_CLAIMABLE} FOR UPDATE SKIP LOCKED)""")  # noqa: S608 - constants only
_WAITING = text(f"SELECT job_id FROM jobs WHERE {_CLAIMABLE} ORDER BY created_at, job_id")  # noqa: S608 - constants only


class UnknownJobError(LookupError):
    """No job has this id."""


class LostJobError(RuntimeError):
    """Another worker has claimed the job, or it has ended: nothing more may be written for this claim."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as stored. `done` and `total` count whatever the kind counts; `total` is None while unknown."""

    job_id: UUID
    kind: str
    state: str
    role: str
    actor: str
    parameters: Mapping[str, Any]
    done: int
    total: int | None
    progress: Mapping[str, Any] | None
    result: Mapping[str, Any] | None
    error: Mapping[str, Any] | None
    files: tuple[str, ...]
    attempts: int


@dataclass(frozen=True, slots=True)
class JobResult:
    """What a finished job leaves: the `result` of its row, and the names of files in its output directory."""

    result: Mapping[str, object]
    files: tuple[str, ...] = ()


class ReportProgress(Protocol):
    def __call__(self, done: int, total: int | None, progress: Mapping[str, object] | None = None) -> None:
        """Commit how far the job is; `progress`, if given, is what a later claim resumes from.

        Raises:
            LostJobError: the job is no longer this worker's; stop.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningJob:
    """A claimed job with all that its runner needs.

    `progress` is what an earlier claim reported last, None in the first. `clock` is to be read once.
    """

    engine: Engine
    clock: Clock
    job_id: UUID
    role: str
    actor: str
    parameters: Mapping[str, Any]
    progress: Mapping[str, Any] | None
    input_path: Path
    output_dir: Path
    cache_dir: Path
    report_progress: ReportProgress = field(repr=False)


Runner = Callable[[RunningJob], JobResult]


def create_job(  # noqa: PLR0913 - one argument per column
    connection: Connection,
    *,
    job_id: UUID,
    kind: str,
    role: str,
    actor: str,
    parameters: Mapping[str, object],
    now: datetime,
) -> None:
    """Queue a job; wake a worker only after the commit."""
    connection.execute(
        insert(jobs).values(
            job_id=job_id, kind=kind, role=role, actor=actor, parameters=dict(parameters), created_at=now
        )
    )


def read_job(connection: Connection, job_id: UUID) -> Job:
    """Return a job.

    Raises:
        UnknownJobError: no job has this id.
    """
    row = connection.execute(select(jobs).where(jobs.c.job_id == job_id)).one_or_none()
    if row is None:
        raise UnknownJobError(f"there is no job {job_id}")
    return _job(row)


def states_of(connection: Connection, job_ids: Collection[UUID]) -> dict[UUID, str]:
    """Return the states of those of `job_ids` that are jobs."""
    columns = jobs.c
    asked = columns.job_id == func.any(sorted(job_ids))
    return {row.job_id: row.state for row in connection.execute(select(columns.job_id, columns.state).where(asked))}


def waiting_jobs(connection: Connection, *, now: datetime) -> list[UUID]:
    """Return the ids of all jobs that may be claimed, oldest first."""
    return list(connection.execute(_WAITING, {"stale_before": now - STALE_AFTER}).scalars())


def claim(connection: Connection, job_id: UUID, *, now: datetime) -> Job | None:
    """Take a job to run it; None if it has ended, is being run, or has been tried too often and now fails."""
    when = {"now": now, "stale_before": now - STALE_AFTER}
    if connection.execute(_CLAIM, {"job_id": job_id, **when}).rowcount == 0:
        return None
    job = read_job(connection, job_id)
    if job.attempts <= MOST_ATTEMPTS:
        return job
    fail(connection, job, _abandoned(), now=now)
    return None


def beat(connection: Connection, job: Job, *, now: datetime) -> None:
    """Show that the job's worker lives.

    Raises:
        LostJobError: the job is no longer this claim's.
    """
    _write(connection, job, {"heartbeat_at": now})


def note_progress(
    connection: Connection,
    job: Job,
    *,
    done: int,
    total: int | None,
    progress: Mapping[str, object] | None,
    now: datetime,
) -> None:
    """Record how far the job is. `progress` None leaves what was recorded before.

    Raises:
        LostJobError: the job is no longer this claim's.
    """
    values: dict[str, object] = {"heartbeat_at": now, "done": done, "total": total}
    if progress is not None:
        values["progress"] = dict(progress)
    _write(connection, job, values)


def finish(connection: Connection, job: Job, found: JobResult, *, now: datetime) -> None:
    """End a job with its result.

    Raises:
        LostJobError: the job is no longer this claim's.
    """
    values = {"state": "done", "result": dict(found.result), "files": list(found.files)}
    _write(connection, job, {**values, "heartbeat_at": now, "finished_at": now})


def fail(connection: Connection, job: Job, error: Mapping[str, object], *, now: datetime) -> None:
    """End a job with a problem object.

    Raises:
        LostJobError: the job is no longer this claim's.
    """
    _write(connection, job, {"state": "failed", "error": dict(error), "heartbeat_at": now, "finished_at": now})


def _write(connection: Connection, job: Job, values: Mapping[str, object]) -> None:
    done = connection.execute(
        update(jobs)
        .where(jobs.c.job_id == job.job_id, jobs.c.state == "running", jobs.c.attempts == job.attempts)
        .values(**values)
    )
    if done.rowcount == 0:
        raise LostJobError(f"job {job.job_id} is no longer run by claim {job.attempts}; stop working on it")


def _abandoned() -> dict[str, object]:
    return {
        "type": "urn:telesales:problem:job-abandoned",
        "title": "Job abandoned",
        "status": 500,
        "detail": f"The worker ended {MOST_ATTEMPTS} times while it ran this job, which is not tried again."
        " See the worker's log, then send the job anew.",
    }


def _job(row: Row[Any]) -> Job:
    return Job(
        job_id=row.job_id,
        kind=row.kind,
        state=row.state,
        role=row.role,
        actor=row.actor,
        parameters=row.parameters,
        done=row.done,
        total=row.total,
        progress=row.progress,
        result=row.result,
        error=row.error,
        files=tuple(row.files),
        attempts=row.attempts,
    )
