"""The application: everything one API process holds, put together from settings."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from uuid import UUID

from anyio import to_thread
from celery import Celery
from fastapi import Depends, FastAPI
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from compliance.call_checks import Gate
from compliance.phone_numbers import normalise
from compliance.policy_store import adopt_start_policy, stored_policy_in_force
from compliance.register_book import Shelf
from compliance.working_days import package_calendar
from infra.celery_app import make_celery
from infra.clock import Clock, clock_with_offset
from infra.database import ANSWER_WITHIN_MS, make_engine
from infra.garbage import spare_the_collector
from infra.ids import new_id
from infra.logs import logger
from infra.object_stores import is_bucket
from infra.settings import Settings
from qa_sampling.scorecards import adopt_first_scorecard
from recordings.registration_queue import RegistrationQueue
from services.api import health
from services.api.recording_uploads import stored_answers
from services.approval_actions import raise_retention
from services.archive_care import ArchiveMeters
from services.archive_places import open_places
from services.attesting import attester_names
from services.check_queue import CheckQueue
from services.dependencies import refuse_unknown_query, refuse_unreadable_address
from services.edge import Edge, Meters
from services.gate_service import GateService
from services.openapi import publish_openapi
from services.policy_file import read_policy_file
from services.problem_table import fill_problem_table
from services.problems import install_problem_handlers
from services.quota_tasks import SamplingMeters
from services.routes import ROUTERS, methods_at
from services.sealing import LedgerMeters, StartComparison, open_ledger
from services.state import AppState
from services.store_probe import StartProbe
from services.token_cache import TokenCache

_OF_ADDRESSES = [Depends(refuse_unreadable_address), Depends(refuse_unknown_query)]

log = logger(__name__)


def make_state(settings: Settings, *, database_url: str, clock: Clock) -> AppState:
    """Open what all requests share."""
    engine = make_engine(
        database_url,
        application_name="telesales-api",
        clock_offset=settings.clock_offset,
        statement_timeout_ms=ANSWER_WITHIN_MS,
        pool_size=24,  # what is beyond it is closed after each use, and a connection costs more than a request
        max_overflow=41,
    )
    gate = Gate(shelf=Shelf(), calendar=package_calendar())
    tokens = TokenCache()
    # The queue's one connection is used all the time: asking it each time whether it lives would cost a round trip.
    hot_engine = make_engine(
        database_url,
        application_name="telesales-gate",
        clock_offset=settings.clock_offset,
        statement_timeout_ms=ANSWER_WITHIN_MS,
        pool_size=1,
        max_overflow=0,
        pre_ping=False,
    )
    service = GateService(engine=hot_engine, gate=gate, tokens=tokens, clock=clock)
    celery = make_celery(settings.broker_url or database_url)
    places = open_places(settings, clock=clock)
    return AppState(
        settings=settings,
        engine=engine,
        clock=clock,
        gate=gate,
        tokens=tokens,
        check_queue=CheckQueue(service.decide),
        files=settings.data_dir / "jobs",
        wake=partial(_wake, celery),
        ledger=open_ledger(settings, engine, clock),
        places=places,
        registrations=RegistrationQueue(engine, places, clock=clock, answers=stored_answers),
    )


def _wake(celery: Celery, job_id: UUID) -> None:
    try:
        celery.send_task("telesales.run_job", args=[str(job_id)])
    except Exception as error:  # noqa: BLE001 - the broker may be anything; the sweep finds the job without it
        log.warning("wake_failed", error=type(error).__name__)


def adopt_policy(engine: Engine, settings: Settings, clock: Clock) -> None:
    """Put the policy named by the settings in force, or the legal floor when none is named.

    Raises:
        PolicyError: the file is looser than the law; the start stops.
        PolicyFileError: the file cannot be read.
    """
    text = read_policy_file(settings.policy_file)
    try:
        with engine.begin() as connection:
            now = clock()
            stored = stored_policy_in_force(connection)
            policy = adopt_start_policy(connection, text, policy_id=new_id(), now=now)
            if stored is not None:
                raise_retention(connection, policy, before=stored.policy, actor="policy from file", now=now)
    except SQLAlchemyError as error:
        # Checks answer "deny" until the database is back; its stored policy is in force then.
        log.warning("policy_not_adopted", error=type(error).__name__)


def adopt_scorecard(engine: Engine, clock: Clock) -> None:
    """Enter the scorecard that comes with the product, by which inspections are judged until officers add one."""
    try:
        with engine.begin() as connection:
            adopt_first_scorecard(connection, now=clock())
    except SQLAlchemyError as error:
        # The first claim enters it then.
        log.warning("scorecard_not_adopted", error=type(error).__name__)


def _adopt(state: AppState, settings: Settings) -> None:
    adopt_policy(state.engine, settings, state.clock)
    adopt_scorecard(state.engine, state.clock)


def create_app(settings: Settings, *, database_url: str, clock: Clock | None = None) -> FastAPI:
    """Return the application. `clock` None means the machine's, shifted as the settings say."""
    state = make_state(settings, database_url=database_url, clock=clock or clock_with_offset(settings.clock_offset))

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await to_thread.run_sync(_adopt, state, settings)
        await to_thread.run_sync(normalise, "13800138000")  # reads number ranges now, not in the first call
        spare_the_collector()
        state.check_queue.start()
        comparison = StartComparison(state.ledger)
        await to_thread.run_sync(comparison.start)
        probe = StartProbe(state.places.first)
        if is_bucket(settings.recordings_url):  # of a directory it is known what it cannot refuse
            probe.start()
        log.info("serving", host=settings.host, port=settings.port)
        yield
        await to_thread.run_sync(comparison.stop)
        await to_thread.run_sync(probe.stop)
        state.check_queue.stop()
        state.places.close()
        state.engine.dispose()

    fill_problem_table()
    app = FastAPI(
        title="Telesales compliance",
        version="0.1.0",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        # A redirect would send the body once more, and behind a proxy that ends TLS to an address without it.
        redirect_slashes=False,
    )
    app.state.telesales = state
    app.state.registry = CollectorRegistry()
    app.state.ledger_meters = LedgerMeters(app.state.registry, attesters=attester_names(settings))
    app.state.archive_meters = ArchiveMeters(app.state.registry)
    app.state.sampling_meters = SamplingMeters(app.state.registry)
    for router in ROUTERS:
        # Those who only ask whether the service lives may add what they like.
        app.include_router(router, dependencies=[] if router is health.router else _OF_ADDRESSES)
    install_problem_handlers(app, methods_at=methods_at)
    publish_openapi(app)
    app.add_middleware(Edge, state=state, meters=Meters(app.state.registry))
    return app
