"""The worker's application: its tasks do what their messages ask, and its sweep is due by itself."""

import json
from datetime import date, datetime
from io import StringIO
from pathlib import Path
from uuid import UUID

from sqlalchemy import Engine, text

from compliance.ledger_reading import latest_checkpoint
from compliance.shanghai import SHANGHAI
from infra.clock import seconds_running
from infra.ids import new_id
from infra.jobs import JobResult, RunningJob, create_job, read_job
from infra.logs import configure_logs, logger
from infra.settings import Settings
from recordings.locks import count_due
from services.archive_care import JUDGE_CALLS, NOTE_FIXITY, RESTORE_COPIES, VERIFY_COPIES
from services.archive_clock import APPLY_LOCKS, SWEEP_RETENTION
from services.archive_intake import LINK_RECORDINGS, LOOK_INTO_SPOOL
from services.attesting import ATTEST, NOBODY
from services.calendar_care import FOLLOW_CALENDAR
from services.inspection_clock import END_CLAIMS, FOLLOW_SALES
from services.ledger_nightly import VERIFY
from services.quota_tasks import RAISE_SHORTFALLS, REPLACE_FAILING, SWEEP_RISKS
from services.result_care import CARE_FOR_RESULTS, TELL_UNHEARD
from services.sampling_tasks import DRAW_DAYS, PUBLISH_COMMITMENTS
from services.sealing import SEAL
from services.tasks import RUN_JOB, SWEEP, Worker, run_job
from services.worker import make_worker, make_worker_app
from tests.compliance.ledger_rows import write_entries
from tests.conftest import NOON
from tests.recordings.archive_rows import add_recording, add_sale


def queue_scrub_without_input(engine: Engine) -> UUID:
    job_id = new_id()
    with engine.begin() as connection:
        create_job(
            connection,
            job_id=job_id,
            kind="scrub",
            role="dialer",
            actor="d",
            parameters={"call": {"callee": ""}, "at": None},
            now=NOON,
        )
    return job_id


def state_of(engine: Engine, job_id: UUID) -> str:
    with engine.connect() as connection:
        return read_job(connection, job_id).state


def test_a_message_runs_its_job(engine: Engine, database: str, tmp_path: Path) -> None:
    application = make_worker_app(Settings(data_dir=tmp_path), database_url=database)
    job_id = queue_scrub_without_input(engine)

    application.tasks[RUN_JOB](str(job_id))

    assert state_of(engine, job_id) == "failed"


def test_the_sweep_is_scheduled_and_runs_jobs_without_message(engine: Engine, database: str, tmp_path: Path) -> None:
    application = make_worker_app(Settings(data_dir=tmp_path, broker_url="memory://"), database_url=database)
    job_id = queue_scrub_without_input(engine)

    application.tasks[SWEEP]()

    scheduled = {one["task"] for one in application.conf.beat_schedule.values()}
    ledger, archive = {SEAL, ATTEST, VERIFY}, {RESTORE_COPIES, VERIFY_COPIES, JUDGE_CALLS, NOTE_FIXITY}
    intake = {LOOK_INTO_SPOOL, LINK_RECORDINGS}
    inspections = {END_CLAIMS, FOLLOW_SALES, CARE_FOR_RESULTS, TELL_UNHEARD}
    samples = {PUBLISH_COMMITMENTS, DRAW_DAYS}
    quotas = {SWEEP_RISKS, REPLACE_FAILING, RAISE_SHORTFALLS}
    clocks = {SWEEP, APPLY_LOCKS, SWEEP_RETENTION, FOLLOW_CALENDAR}
    assert scheduled == {*clocks, *ledger, *archive, *intake, *inspections, *samples, *quotas}
    assert state_of(engine, job_id) == "failed"


def test_recordings_that_stayed_behind_are_brought_along_and_the_stores_to_them(
    engine: Engine, database: str, tmp_path: Path
) -> None:
    application = make_worker_app(Settings(data_dir=tmp_path, broker_url="memory://"), database_url=database)
    with engine.begin() as connection:
        add_sale(connection, "P-1", ended_on=date(2024, 1, 1))
        add_recording(connection, policy_no="P-1")

    application.tasks[SWEEP_RETENTION]()
    with engine.connect() as connection:
        between = count_due(connection).waiting
    application.tasks[APPLY_LOCKS]()

    with engine.connect() as connection:
        assert (between, count_due(connection).waiting) == (1, 0)


def test_sealing_is_scheduled_and_says_why_it_cannot_be_done(engine: Engine, database: str, tmp_path: Path) -> None:
    logged = StringIO()
    configure_logs("INFO", stream=logged)
    application = make_worker_app(Settings(data_dir=tmp_path, broker_url="memory://"), database_url=database)
    with engine.begin() as connection:
        write_entries(connection, 3)

    application.tasks[SEAL]()
    with engine.connect() as connection:
        sealed = latest_checkpoint(connection)
    next((tmp_path / "ledger-keys").glob("*.key")).chmod(0o666)
    application.tasks[SEAL]()

    assert sealed is not None
    assert sealed.size >= 3
    assert (tmp_path / "checkpoints" / "checkpoint.txt").read_text() == sealed.note
    assert "chmod 600" in logged.getvalue()


def test_the_worker_logs_as_every_other_process(tmp_path: Path) -> None:
    logged = StringIO()
    configure_logs("INFO", stream=logged)
    application = make_worker_app(Settings(data_dir=tmp_path, broker_url="memory://"), database_url="postgresql://none")

    application.log.setup("WARNING")
    logger("tests.worker").warning("something", phone="13987654321")

    line = json.loads(logged.getvalue().splitlines()[-1])
    assert (line["event"], line["logger"], "phone" in line) == ("something", "tests.worker", False)


def test_the_ledger_is_verified_by_night_in_shanghai(engine: Engine, database: str, tmp_path: Path) -> None:
    application = make_worker_app(Settings(data_dir=tmp_path, broker_url="memory://"), database_url=database)
    begun, until, _now = application.conf.beat_schedule["verify"]["schedule"].remaining_delta(NOON)
    with engine.begin() as connection:
        write_entries(connection, 3)

    application.tasks[SEAL]()
    application.tasks[VERIFY]()

    assert begun + until == datetime(2026, 11, 24, 2, 30, tzinfo=SHANGHAI)
    with engine.connect() as connection:
        noted = connection.execute(text("SELECT details FROM audit_events WHERE kind = 'ledger_verified'")).scalar_one()
    assert noted["entries"] >= 3


def test_a_worker_keeps_its_place_for_checkpoints_which_remembers_what_failed(database: str, tmp_path: Path) -> None:
    worker = make_worker(Settings(data_dir=tmp_path), database_url=database, attesters=NOBODY)

    assert worker.ledger.store is worker.ledger.store


class SlowJob:
    """A job that ends once what waited when it began is sealed."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.was_sealed = False

    def __call__(self, _running: RunningJob) -> JobResult:
        deadline = seconds_running() + 20
        while not self.was_sealed and seconds_running() < deadline:
            with self.engine.connect() as connection:
                self.was_sealed = latest_checkpoint(connection) is not None
        return JobResult(result={})


def test_a_long_job_does_not_hold_up_sealing(engine: Engine, tmp_path: Path) -> None:
    with engine.begin() as connection:
        write_entries(connection, 1)
    job_id = queue_scrub_without_input(engine)
    slow = SlowJob(engine)
    worker = Worker(engine, clock=lambda: NOON, data_dir=tmp_path, owns_broker=False, runners={"scrub": slow})

    run_job(worker, job_id)

    assert slow.was_sealed
