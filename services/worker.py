"""The worker's Celery application: its tasks, its schedule, and what each of its processes holds."""

from collections.abc import Callable, Mapping
from functools import cache
from uuid import UUID

from celery import Celery
from celery.schedules import crontab
from celery.signals import setup_logging, worker_process_init, worker_ready

from compliance.ledger_outside import open_store
from compliance.prefix_cache import keep_prefix_tables
from infra.celery_app import make_celery, uses_database
from infra.clock import clock_with_offset
from infra.database import make_engine
from infra.garbage import spare_the_collector
from infra.settings import Settings
from recordings.copy_rows import Keeping
from recordings.places import Places
from recordings.spool import Spool
from services.archive_care import (
    JUDGE_CALLS,
    JUDGE_EVERY_SECONDS,
    NOTE_FIXITY,
    RESTORE_COPIES,
    RESTORE_EVERY_SECONDS,
    VERIFY_COPIES,
    VERIFY_EVERY_SECONDS,
    judge_calls,
    note_fixity,
    restore_copies,
    verify_copies,
)
from services.archive_clock import (
    APPLY_LOCKS,
    APPLY_LOCKS_EVERY_SECONDS,
    SWEEP_RETENTION,
    SWEEP_RETENTION_EVERY_SECONDS,
    apply_locks_if_possible,
    sweep_retention_if_possible,
)
from services.archive_intake import (
    LINK_EVERY_SECONDS,
    LINK_RECORDINGS,
    LOOK_EVERY_SECONDS,
    LOOK_INTO_SPOOL,
    link_recordings,
    look_into_spool,
    open_spool,
)
from services.archive_places import keeping_in, open_places
from services.attesting import ATTEST, ATTEST_EVERY_SECONDS, Attesters, read_attesters
from services.calendar_care import FOLLOW_CALENDAR, FOLLOW_CALENDAR_EVERY_SECONDS, follow_calendar_if_possible
from services.inspection_clock import (
    END_CLAIMS,
    END_CLAIMS_EVERY_SECONDS,
    FOLLOW_SALES,
    FOLLOW_SALES_EVERY_SECONDS,
    bring_deadlines,
    end_claims,
)
from services.ledger_nightly import VERIFY, verify_if_possible
from services.problem_table import fill_problem_table
from services.quota_tasks import (
    RAISE_SHORTFALLS,
    RAISE_SHORTFALLS_EVERY_SECONDS,
    REPLACE_FAILING,
    REPLACE_FAILING_EVERY_SECONDS,
    SWEEP_RISKS,
    SWEEP_RISKS_EVERY_SECONDS,
    raise_shortfalls_if_possible,
    replace_failing_if_possible,
    sweep_risks_if_possible,
)
from services.result_care import (
    CARE_FOR_RESULTS,
    CARE_FOR_RESULTS_EVERY_SECONDS,
    TELL_UNHEARD,
    TELL_UNHEARD_EVERY_SECONDS,
    care_for_results_if_possible,
    tell_unheard_if_possible,
)
from services.sampling_tasks import (
    DRAW_DAYS,
    DRAW_DAYS_EVERY_SECONDS,
    PUBLISH_COMMITMENTS,
    PUBLISH_EVERY_SECONDS,
    draw_due_days,
    publish_if_possible,
)
from services.sealing import SEAL, SEAL_EVERY_SECONDS, seal_if_possible, sealing_beside
from services.tasks import RUN_JOB, RUNNERS, SWEEP, Worker, attest, run_job, sweep

SWEEP_EVERY_SECONDS = 15.0
VERIFY_AT = crontab(hour="18", minute="30")
"""In UTC: 02:30 in Shanghai, when no sales call may be placed (art. 25(1))."""

VERIFY_WITHIN_SECONDS = 5 * 3600.0
NOTE_FIXITY_AT = crontab(minute="10")
"""Each hour: the first after midnight in Shanghai notes the day before, and one that was missed is made up for."""


def _every(task: str, seconds: float) -> Mapping[str, object]:
    """Wake a task again and again. An overdue run is dropped, not made up for: the next one finds the same rows."""
    return {"task": task, "schedule": seconds, "options": {"expires": seconds}}


SCHEDULE: Mapping[str, Mapping[str, object]] = {
    "sweep": _every(SWEEP, SWEEP_EVERY_SECONDS),
    "seal": _every(SEAL, SEAL_EVERY_SECONDS),
    "attest": _every(ATTEST, ATTEST_EVERY_SECONDS),
    "restore copies": _every(RESTORE_COPIES, RESTORE_EVERY_SECONDS),
    "verify copies": _every(VERIFY_COPIES, VERIFY_EVERY_SECONDS),
    "judge calls": _every(JUDGE_CALLS, JUDGE_EVERY_SECONDS),
    "note fixity": {"task": NOTE_FIXITY, "schedule": NOTE_FIXITY_AT, "options": {"expires": 3600.0}},
    "apply locks": _every(APPLY_LOCKS, APPLY_LOCKS_EVERY_SECONDS),
    "sweep retention": _every(SWEEP_RETENTION, SWEEP_RETENTION_EVERY_SECONDS),
    "end claims": _every(END_CLAIMS, END_CLAIMS_EVERY_SECONDS),
    "follow sales": _every(FOLLOW_SALES, FOLLOW_SALES_EVERY_SECONDS),
    "follow calendar": _every(FOLLOW_CALENDAR, FOLLOW_CALENDAR_EVERY_SECONDS),
    "care for results": _every(CARE_FOR_RESULTS, CARE_FOR_RESULTS_EVERY_SECONDS),
    "tell unheard": _every(TELL_UNHEARD, TELL_UNHEARD_EVERY_SECONDS),
    "spool": _every(LOOK_INTO_SPOOL, LOOK_EVERY_SECONDS),
    "link recordings": _every(LINK_RECORDINGS, LINK_EVERY_SECONDS),
    "sweep risks": _every(SWEEP_RISKS, SWEEP_RISKS_EVERY_SECONDS),
    "replace failing": _every(REPLACE_FAILING, REPLACE_FAILING_EVERY_SECONDS),
    "raise shortfalls": _every(RAISE_SHORTFALLS, RAISE_SHORTFALLS_EVERY_SECONDS),
    "publish commitments": _every(PUBLISH_COMMITMENTS, PUBLISH_EVERY_SECONDS),
    "draw days": _every(DRAW_DAYS, DRAW_DAYS_EVERY_SECONDS),
    "verify": {"task": VERIFY, "schedule": VERIFY_AT, "options": {"expires": VERIFY_WITHIN_SECONDS}},
}


def make_worker(settings: Settings, *, database_url: str, attesters: Attesters) -> Worker:
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
        attesters=attesters,
    )


def make_worker_app(settings: Settings, *, database_url: str) -> Celery:
    """Return the application that `telesales worker` runs.

    Raises:
        AttesterSettingsError: the settings name a witness or an authority that cannot be used.
    """
    attesters = read_attesters(settings)
    application = make_celery(settings.broker_url or database_url, schedule=SCHEDULE)
    setup_logging.connect(_keep_our_logs, weak=False, dispatch_uid="telesales-logs")
    fill_problem_table()

    @cache
    def worker() -> Worker:
        """Make the engine in the process that uses it: a socket must not be shared by a fork."""
        return make_worker(settings, database_url=database_url, attesters=attesters)

    def run(job_id: str) -> None:
        run_job(worker(), UUID(job_id))

    def sweep_up() -> None:
        sweep(worker())

    _add_ledger_tasks(application, worker)
    _add_archive_tasks(application, settings, worker)
    _add_intake_tasks(application, settings, worker)
    _add_inspection_tasks(application, worker)
    _add_sampling_tasks(application, worker)
    application.task(run, name=RUN_JOB, shared=False)
    application.task(sweep_up, name=SWEEP, shared=False)

    def make_ready(**_signal: object) -> None:
        """Have the tables of prefixes, which take a second to make, before the first job asks for them."""
        keep_prefix_tables(settings.data_dir / "cache")
        spare_the_collector()

    worker_process_init.connect(make_ready, weak=False, dispatch_uid="telesales-tables")
    return application


def _keep_our_logs(**_signal: object) -> None:
    """Leave logs as `infra.logs` configures them.

    Celery sets up its own unless somebody answers this signal; its lines are no JSON, and nothing personal is taken
    out of them.
    """


def _add_ledger_tasks(application: Celery, worker: Callable[[], Worker]) -> None:
    def seal_up() -> None:
        seal_if_possible(worker().ledger)

    def verify() -> None:
        with sealing_beside(worker().ledger):
            verify_if_possible(worker().ledger)

    def ask_others() -> None:
        attest(worker())

    application.task(ask_others, name=ATTEST, shared=False)
    application.task(seal_up, name=SEAL, shared=False)
    application.task(verify, name=VERIFY, shared=False)


def _add_archive_tasks(application: Celery, settings: Settings, worker: Callable[[], Worker]) -> None:
    """Add what the care of the archive needs; long readings seal beside, as jobs do."""

    @cache
    def keeping() -> Keeping:
        places = open_places(settings, clock=worker().clock)
        return keeping_in(places, worker().engine, worker().clock)

    def restore() -> None:
        with sealing_beside(worker().ledger):
            restore_copies(keeping())

    def verify() -> None:
        with sealing_beside(worker().ledger):
            verify_copies(keeping(), bytes_per_second=settings.fixity_bytes_per_second)

    def judge() -> None:
        judge_calls(worker().engine, worker().clock)

    def note() -> None:
        note_fixity(worker().engine, worker().clock)

    application.task(restore, name=RESTORE_COPIES, shared=False)
    application.task(verify, name=VERIFY_COPIES, shared=False)
    application.task(judge, name=JUDGE_CALLS, shared=False)
    application.task(note, name=NOTE_FIXITY, shared=False)
    _add_clock_tasks(application, worker, keeping)


def _add_clock_tasks(application: Celery, worker: Callable[[], Worker], keeping: Callable[[], Keeping]) -> None:
    """Add what brings stores and rows to what the law demands of recordings and sales."""

    def bring_stores() -> None:
        with sealing_beside(worker().ledger):
            apply_locks_if_possible(keeping())

    def bring_along() -> None:
        sweep_retention_if_possible(worker().engine, worker().clock)

    def follow() -> None:
        follow_calendar_if_possible(worker().engine, worker().clock)

    application.task(bring_stores, name=APPLY_LOCKS, shared=False)
    application.task(bring_along, name=SWEEP_RETENTION, shared=False)
    application.task(follow, name=FOLLOW_CALENDAR, shared=False)


def _add_inspection_tasks(application: Celery, worker: Callable[[], Worker]) -> None:
    def end() -> None:
        end_claims(worker().engine, worker().clock)

    def bring() -> None:
        bring_deadlines(worker().engine, worker().clock)

    def care() -> None:
        care_for_results_if_possible(worker().engine, worker().clock)

    def tell() -> None:
        tell_unheard_if_possible(worker().engine, worker().clock)

    application.task(end, name=END_CLAIMS, shared=False)
    application.task(bring, name=FOLLOW_SALES, shared=False)
    application.task(care, name=CARE_FOR_RESULTS, shared=False)
    application.task(tell, name=TELL_UNHEARD, shared=False)


def _add_intake_tasks(application: Celery, settings: Settings, worker: Callable[[], Worker]) -> None:
    @cache
    def spool() -> Spool | None:
        """Keep what was seen at the last look for the next one."""
        return open_spool(settings, worker().engine, worker().clock)

    @cache
    def places() -> Places:
        return open_places(settings, clock=worker().clock)

    def look() -> None:
        found = spool()
        if found is not None:
            with sealing_beside(worker().ledger):
                look_into_spool(found)

    def link() -> None:
        link_recordings(worker().engine, places(), worker().clock)

    application.task(look, name=LOOK_INTO_SPOOL, shared=False)
    application.task(link, name=LINK_RECORDINGS, shared=False)


def _add_quota_tasks(application: Celery, worker: Callable[[], Worker]) -> None:
    def sweep_risks() -> None:
        sweep_risks_if_possible(worker().engine, worker().clock)

    def replace_failing() -> None:
        replace_failing_if_possible(worker().engine, worker().clock)

    def raise_shortfalls() -> None:
        raise_shortfalls_if_possible(worker().engine, worker().clock)

    application.task(sweep_risks, name=SWEEP_RISKS, shared=False)
    application.task(replace_failing, name=REPLACE_FAILING, shared=False)
    application.task(raise_shortfalls, name=RAISE_SHORTFALLS, shared=False)


def _add_sampling_tasks(application: Celery, worker: Callable[[], Worker]) -> None:
    def publish() -> None:
        publish_if_possible(worker().ledger)

    def draw() -> None:
        with sealing_beside(worker().ledger):
            draw_due_days(worker().ledger)

    application.task(publish, name=PUBLISH_COMMITMENTS, shared=False)
    application.task(draw, name=DRAW_DAYS, shared=False)
    _add_quota_tasks(application, worker)

    def publish_at_start(**_signal: object) -> None:
        """Ask for commitments now: beat waits an hour before it does so first, and midnight may come before."""
        application.send_task(PUBLISH_COMMITMENTS)

    uid = "telesales-commitments"
    worker_ready.disconnect(dispatch_uid=uid)  # an application that this process made before keeps no say
    worker_ready.connect(publish_at_start, weak=False, dispatch_uid=uid)
