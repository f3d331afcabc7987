"""The worker's Celery application: its tasks, its schedule, and what each of its processes holds."""

from functools import cache
from uuid import UUID

from celery import Celery
from celery.signals import worker_process_init

from compliance.ledger_outside import open_store
from compliance.prefix_cache import keep_prefix_tables
from infra.celery_app import make_celery, uses_database
from infra.clock import clock_with_offset
from infra.database import make_engine
from infra.garbage import spare_the_collector
from infra.settings import Settings
from services.problem_table import fill_problem_table
from services.sealing import SEAL, SEAL_EVERY_SECONDS, seal_if_possible
from services.tasks import RUN_JOB, RUNNERS, SWEEP, Worker, run_job, sweep

SWEEP_EVERY_SECONDS = 15.0


def make_worker(settings: Settings, *, database_url: str) -> Worker:
    """Return what a worker process works with. No statement is cut off: nobody waits for it at a telephone."""
    return Worker(
        engine=make_engine(
            database_url, application_name="telesales-worker", clock_offset=settings.clock_offset, pool_size=4
        ),
        clock=clock_with_offset(settings.clock_offset),
        data_dir=settings.data_dir,
        owns_broker=uses_database(settings.broker_url or database_url),
        runners=RUNNERS,
        checkpoints=open_store(settings.checkpoints_url, settings.data_dir),
    )


def make_worker_app(settings: Settings, *, database_url: str) -> Celery:
    """Return the application that `telesales worker` runs."""
    # An overdue sweep is dropped, not made up for: the next one finds the same rows.
    sweeping = {"task": SWEEP, "schedule": SWEEP_EVERY_SECONDS, "options": {"expires": SWEEP_EVERY_SECONDS}}
    sealing = {"task": SEAL, "schedule": SEAL_EVERY_SECONDS, "options": {"expires": SEAL_EVERY_SECONDS}}
    schedule = {"sweep": sweeping, "seal": sealing}
    application = make_celery(settings.broker_url or database_url, schedule=schedule)
    fill_problem_table()

    @cache
    def worker() -> Worker:
        """Make the engine in the process that uses it: a socket must not be shared by a fork."""
        return make_worker(settings, database_url=database_url)

    def run(job_id: str) -> None:
        run_job(worker(), UUID(job_id))

    def sweep_up() -> None:
        sweep(worker())

    def seal_up() -> None:
        seal_if_possible(worker().ledger)

    application.task(seal_up, name=SEAL, shared=False)
    application.task(run, name=RUN_JOB, shared=False)
    application.task(sweep_up, name=SWEEP, shared=False)

    def make_ready(**_signal: object) -> None:
        """Have the tables of prefixes, which take a second to make, before the first job asks for them."""
        keep_prefix_tables(settings.data_dir / "cache")
        spare_the_collector()

    worker_process_init.connect(make_ready, weak=False, dispatch_uid="telesales-tables")
    return application
