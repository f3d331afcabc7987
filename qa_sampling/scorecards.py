"""Scorecards as stored: versions in force from a day on, none ever changed (art. 34: one standard)."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Connection, Row, Select, func, insert, literal, or_, select
from sqlalchemy.dialects.postgresql import insert as pg_insert

from compliance.shanghai import shanghai_day
from infra.advisory_locks import AdvisoryLock, hold
from qa_sampling import first_scorecard
from qa_sampling.scorecard import Item, Scorecard, check_scorecard
from qa_sampling.tables import inspection_sittings, scorecards

# Versions are numbered without a gap, so that of two officers one waits.


SHIPPED = "shipped"
"""Who entered version 1."""


class UnknownScorecardError(LookupError):
    """No scorecard has this version."""


class NoScorecardError(LookupError):
    """No scorecard is in force, so that nothing can be inspected."""


class ScorecardDateError(ValueError):
    """A scorecard would count from a day that is over: whoever was judged that day would be judged anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewScorecard:
    """A version to be added; `effective_from` is a day in Shanghai, today or later."""

    name: str
    items: tuple[Item, ...]
    pass_bp: int
    effective_from: date
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredScorecard:
    """A version with who added it, when and why."""

    card: Scorecard
    name: str
    effective_from: date
    reason: str
    actor: str
    recorded_at: datetime


_columns, _sittings = scorecards.c, inspection_sittings
_ALL = select(*_columns)


def add_scorecard(connection: Connection, new: NewScorecard, *, person: str, now: datetime) -> StoredScorecard:
    """Add the next version; inspections that are claimed already keep the one they were claimed with.

    Raises:
        ScorecardError: nobody could judge by it.
        ScorecardDateError: it would count from a day before today.
    """
    check_scorecard(new.items, new.pass_bp)
    today = shanghai_day(now)
    if new.effective_from < today:
        msg = f"{new.effective_from} lies before today, {today}; a scorecard counts from today on or from a later day"
        raise ScorecardDateError(msg)
    hold(connection, AdvisoryLock.SCORECARDS)
    adopt_first_scorecard(connection, now=now)
    version = 1 + connection.execute(select(func.max(_columns.version))).scalar_one()
    connection.execute(insert(scorecards).values(_row(new, version, person=person, now=now)))
    return read_scorecard(connection, version)


def adopt_first_scorecard(connection: Connection, *, now: datetime) -> None:
    """Enter the scorecard that comes with the product, unless it is there."""
    first = NewScorecard(
        name=first_scorecard.NAME,
        items=first_scorecard.ITEMS,
        pass_bp=first_scorecard.PASS_BP,
        effective_from=first_scorecard.EFFECTIVE_FROM,
        reason=first_scorecard.REASON,
    )
    row = _row(first, 1, person=SHIPPED, now=now)
    # Asked for first: an insert that finds nothing to do still fires the triggers of the ledger.
    if connection.execute(select(_columns.version).where(_columns.version == 1)).one_or_none() is None:
        connection.execute(pg_insert(scorecards).values(row).on_conflict_do_nothing())


def _row(new: NewScorecard, version: int, *, person: str, now: datetime) -> dict[str, object]:
    return {
        "version": version,
        "name": new.name,
        "items": [asdict(item) for item in new.items],
        "pass_bp": new.pass_bp,
        "effective_from": new.effective_from,
        "reason": new.reason,
        "actor": person,
        "recorded_at": now,
    }


def read_scorecard(connection: Connection, version: int) -> StoredScorecard:
    """Return a version.

    Raises:
        UnknownScorecardError: there is none with this number.
    """
    row = connection.execute(_ALL.where(_columns.version == version)).one_or_none()
    if row is None:
        msg = f"there is no scorecard of version {version}; GET /v1/scorecards lists them"
        raise UnknownScorecardError(msg)
    return _stored(row)


def scorecard_in_force(connection: Connection, *, now: datetime) -> StoredScorecard:
    """Return the version by which an inspection that is claimed now is judged.

    Of those that count by now, the last one added: it takes the place of all before it.

    Raises:
        NoScorecardError: the day of `now` lies before the Measures.
    """
    row = connection.execute(_in_force(now)).one_or_none()
    if row is None:  # the database was away when the service started
        adopt_first_scorecard(connection, now=now)
        row = connection.execute(_in_force(now)).one_or_none()
    if row is None:
        first_on = first_scorecard.EFFECTIVE_FROM
        msg = f"no scorecard is in force on {shanghai_day(now)}; the first one counts from {first_on} on"
        raise NoScorecardError(msg)
    return _stored(row)


def scorecard_of(connection: Connection, inspection_id: UUID, *, now: datetime) -> StoredScorecard | None:
    """Return the version by which an inspection is or was judged last, or else the one in force; None if none is."""
    pinned = _ALL.join(_sittings, _sittings.c.scorecard_version == _columns.version).where(
        _sittings.c.inspection_id == inspection_id,
        or_(_sittings.c.ended_at.is_(None), _sittings.c.ending == "submitted"),
    )
    row = connection.execute(pinned.order_by(_sittings.c.claimed_at.desc()).limit(1)).one_or_none()
    row = row or connection.execute(_in_force(now)).one_or_none()
    return None if row is None else _stored(row)


def list_scorecards(connection: Connection, *, before: int | None, limit: int) -> list[StoredScorecard]:
    """Return versions, newest first; `before` is the last version of the page before."""
    statement = _ALL.order_by(_columns.version.desc()).limit(limit)
    if before is not None:
        statement = statement.where(_columns.version < literal(before, BigInteger))
    return [_stored(row) for row in connection.execute(statement)]


def _in_force(now: datetime) -> Select[*tuple[Any, ...]]:
    return _ALL.where(_columns.effective_from <= shanghai_day(now)).order_by(_columns.version.desc()).limit(1)


def _stored(row: Row[*tuple[Any, ...]]) -> StoredScorecard:
    card = Scorecard(row.version, _items(row.items), row.pass_bp)
    return StoredScorecard(
        card=card,
        name=row.name,
        effective_from=row.effective_from,
        reason=row.reason,
        actor=row.actor,
        recorded_at=row.recorded_at,
    )


def _items(rows: Sequence[dict[str, Any]]) -> tuple[Item, ...]:
    return tuple(Item(**row) for row in rows)
