"""The worker's application: its tasks do what their messages ask, and its sweep is due by itself."""

from pathlib import Path
from uuid import UUID

from sqlalchemy import Engine

from infra.ids import new_id
from infra.jobs import create_job, read_job
from infra.settings import Settings
from services.tasks import RUN_JOB, SWEEP
from services.worker import make_worker_app
from tests.conftest import NOON


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

    assert [one["task"] for one in application.conf.beat_schedule.values()] == [SWEEP]
    assert state_of(engine, job_id) == "failed"
