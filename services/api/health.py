"""Whether the service lives, is ready, and what it measures."""

from datetime import date, datetime
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Depends, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from compliance.ledger_attestations import AttestationKind, attested_times
from compliance.ledger_health import read_health
from compliance.shanghai import in_shanghai, shanghai_day
from infra.migrate import current_revision, head_revision
from recordings.locks import count_due
from services.attesting import attester_names
from services.dependencies import EVERYONE, requires, state_of
from services.sealing import ledger_problems
from services.state import AppState
from services.tokens import Actor

router = APIRouter(tags=["Operation"])


class Health(BaseModel):
    status: str
    calendar_coverage_end: date
    worm: bool
    clock: str | None = None


class LedgerFigures(BaseModel):
    """How the ledger is; null while the database cannot say."""

    size: int
    last_sealed_at: datetime | None
    oldest_unsealed_s: int
    last_verified_at: datetime | None
    last_witnessed_at: datetime | None
    last_timestamped_at: datetime | None


class LockFigures(BaseModel):
    """How many recordings the stores have not been brought to yet, and since when the oldest of them waits."""

    waiting: int
    since: datetime | None


class Readiness(BaseModel):
    status: str
    problems: list[str]
    calendar_coverage_end: date
    ledger: LedgerFigures | None
    locks: LockFigures | None


@router.get("/healthz", response_model_exclude_none=True)
async def health(request: Request) -> Health:
    """Say that the process lives."""
    state = state_of(request)
    return Health(
        status="ok",
        calendar_coverage_end=state.gate.calendar.known_through,
        worm=state.places.first.is_worm,
        clock="demo" if state.settings.clock_offset_ms else None,
    )


@router.get("/readyz", responses={503: {"model": Readiness}})
def ready(request: Request, response: Response) -> Readiness:
    """Say whether checks can be answered and the ledger stands: database, migrations, calendar, checkpoints, keys."""
    state = state_of(request)
    problems = _problems(state)
    locks = _locks(state, problems)
    ledger = _ledger(state, problems)
    if problems:
        response.status_code = 503
    end = state.gate.calendar.known_through
    return Readiness(
        status="not ready" if problems else "ready",
        problems=problems,
        calendar_coverage_end=end,
        ledger=ledger,
        locks=locks,
    )


_READ_ONLY = text("SHOW transaction_read_only")
"""Answers "on" for a standby too, and for a database that its operator or a full disk's guard has closed."""


def _problems(state: AppState) -> list[str]:
    found = []
    try:
        with state.engine.connect() as connection:
            revision, needed = current_revision(connection), head_revision()
            is_read_only = connection.execute(_READ_ONLY).scalar_one() == "on"
        if revision != needed:
            found.append(f"the database is at migration {revision}, this version needs {needed}: run telesales migrate")
        if is_read_only:
            found.append("the database takes no changes, as a standby does; checks are answered with deny")
    except SQLAlchemyError:
        found.append("the database cannot be reached; checks are answered with deny")
    today, end = shanghai_day(state.clock()), state.gate.calendar.known_through
    if today > end:
        found.append(f"the calendar of rest days ends on {end}: update the chinesecalendar package")
    return found


def _locks(state: AppState, problems: list[str]) -> LockFigures | None:
    """Return how far the stores of recordings are behind. A store that is away keeps nobody from answering checks."""
    if problems:
        return None
    try:
        with state.engine.connect() as connection:
            due = count_due(connection)
    except SQLAlchemyError:
        return None
    return LockFigures(waiting=due.waiting, since=in_shanghai(due.since))


def _ledger(state: AppState, problems: list[str]) -> LedgerFigures | None:
    """Return the ledger's figures, and add what is wrong with it to the problems."""
    if problems:
        return None  # without the database, or at another migration, there is nothing to be said
    try:
        with state.engine.connect() as connection:
            health = read_health(connection)
            attested = attested_times(connection, attester_names(state.settings))
        problems += ledger_problems(state.ledger, health)
    except SQLAlchemyError:
        problems.append("the ledger cannot be read")
        return None
    return LedgerFigures(
        size=health.size,
        last_sealed_at=in_shanghai(health.sealed_at),
        oldest_unsealed_s=int(health.waiting_for(state.clock()).total_seconds()),
        last_verified_at=in_shanghai(health.verified_at),
        last_witnessed_at=in_shanghai(attested.get(AttestationKind.WITNESS)),
        last_timestamped_at=in_shanghai(attested.get(AttestationKind.TIMESTAMP)),
    )


@router.get("/metrics", response_class=Response)
async def metrics(request: Request, _actor: Annotated[Actor, Depends(requires(*EVERYONE))]) -> Response:
    """Return Prometheus metrics; no label names a person."""
    state = state_of(request)
    await to_thread.run_sync(request.app.state.ledger_meters.read, state.ledger)
    for meters in (request.app.state.archive_meters, request.app.state.sampling_meters):
        await to_thread.run_sync(meters.read, state.engine, state.clock)
    return Response(generate_latest(request.app.state.registry), media_type=CONTENT_TYPE_LATEST)
