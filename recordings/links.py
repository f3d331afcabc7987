"""Recordings and what they name: calls and policies that may become known later than the recording (art. 36).

A recording that names something unknown is kept and marked. A sweep links it when what it names arrives, and opens
an incident when that takes longer than a day.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, Row, RowMapping, bindparam, exists, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY, TEXT

from compliance.incidents import NewIncident, open_incidents
from compliance.policy_store import policy_for_blocks
from compliance.sale_tables import sales
from compliance.shanghai import SHANGHAI
from compliance.tables import call_records
from recordings.copy_rows import add_event
from recordings.retention import refresh
from recordings.tables import recording_events, recordings

UNLINKED_INCIDENT = "recording_unlinked"
MAY_BE_UNLINKED_FOR = timedelta(days=1)
_MOST_AT_ONCE = 500
_SWEEP = "archive sweep"
_ARTICLE = "36"

_columns = recordings.c

_CALLS = text("""
    SELECT call_id, agent_id, direction, caller_digits, callee_digits, answered_at, ended_at
      FROM call_records WHERE call_id = ANY(:call_ids)""").bindparams(bindparam("call_ids", type_=ARRAY(TEXT)))
_POLICIES = text("SELECT policy_no FROM sales WHERE policy_no = ANY(:policy_nos)").bindparams(
    bindparam("policy_nos", type_=ARRAY(TEXT))
)


class CallFacts(NamedTuple):
    """What a call's record says of its recordings; `talked` None: it was not answered, or has not ended."""

    agent_id: str | None
    phone_digits: int | None
    direction: str
    talked: timedelta | None


def call_facts(connection: Connection, call_id: str) -> CallFacts | None:
    """Return what is recorded of a call; the number is the customer's."""
    return calls_facts(connection, [call_id]).get(call_id)


def calls_facts(connection: Connection, call_ids: Iterable[str | None]) -> dict[str, CallFacts]:
    """Return what is recorded of these calls, as far as they are known; None is no call."""
    wanted = sorted({one for one in call_ids if one is not None})
    rows = connection.execute(_CALLS, {"call_ids": wanted}).all() if wanted else ()
    return {row.call_id: _facts_of(row) for row in rows}


def _facts_of(row: Row[Any]) -> CallFacts:
    customer = row.callee_digits if row.direction == "outbound" else row.caller_digits
    is_over = row.answered_at is not None and row.ended_at is not None
    return CallFacts(row.agent_id, customer, row.direction, row.ended_at - row.answered_at if is_over else None)


def known_policies(connection: Connection, policy_nos: Iterable[str | None]) -> frozenset[str]:
    """Return which of these are registered sales; None is no policy."""
    wanted = sorted({one for one in policy_nos if one is not None})
    return frozenset(connection.execute(_POLICIES, {"policy_nos": wanted}).scalars() if wanted else ())


def unknown_names(connection: Connection, *, call_id: str | None, policy_no: str | None) -> tuple[str, ...]:
    """Return which of these is named and not known: `call_id`, `policy_no`."""
    asked = {
        "call_id": (call_id, exists().where(call_records.c.call_id == call_id)),
        "policy_no": (policy_no, exists().where(sales.c.policy_no == policy_no)),
    }
    named = {name: is_there for name, (value, is_there) in asked.items() if value is not None}
    if not named:
        return ()
    row = connection.execute(select(*(is_there.label(name) for name, is_there in named.items()))).one()
    return tuple(name for name, is_there in zip(named, row, strict=True) if not is_there)


def link_arrived(connection: Connection, *, now: datetime) -> list[UUID]:
    """Link recordings of which everything that they name is known by now; return them, 500 at most.

    What the call's record says and the recording lacks is added to it.
    """
    arrived = select(_columns.recording_id).where(
        _columns.is_unlinked,
        or_(_columns.call_id.is_(None), exists().where(call_records.c.call_id == _columns.call_id)),
        or_(_columns.policy_no.is_(None), exists().where(sales.c.policy_no == _columns.policy_no)),
    )
    ids = connection.execute(arrived.order_by(_columns.recording_id).limit(_MOST_AT_ONCE)).scalars().all()
    if not ids:
        return []
    # Locks what the recordings name, then their rows, in the order that everybody keeps.
    refresh(connection, ids, policy=policy_for_blocks(connection, now=now), now=now)
    names = ("recording_id", "call_id", "agent_id", "phone_digits", "direction")
    waiting = select(*(_columns[name] for name in names)).where(
        _columns.recording_id == func.any(list(ids)), _columns.is_unlinked
    )
    found = list(connection.execute(waiting).mappings())
    for row in found:
        added = _facts_added(connection, row)
        changed = update(recordings).where(_columns.recording_id == row["recording_id"])
        connection.execute(changed.values(is_unlinked=False, **added))
        add_event(connection, row["recording_id"], "linked", {"added": sorted(added)}, person=_SWEEP, now=now)
    return [row["recording_id"] for row in found]


def _facts_added(connection: Connection, row: RowMapping) -> dict[str, object]:
    call = None if row["call_id"] is None else call_facts(connection, row["call_id"])
    if call is None:
        return {}
    names = ("agent_id", "phone_digits", "direction")
    return {name: value for name in names if row[name] is None and (value := getattr(call, name)) is not None}


def tell_unlinked(connection: Connection, *, now: datetime) -> int:
    """Open an incident, once, for each recording that has named something unknown for a day; return how many."""
    events = recording_events.c
    was_told = exists().where(events.recording_id == _columns.recording_id, events.kind == "unlinked")
    rows = connection.execute(
        select(_columns.recording_id, _columns.call_id, _columns.policy_no, _columns.recorded_at)
        .where(
            _columns.is_unlinked,
            _columns.disposed_at.is_(None),
            _columns.recorded_at <= now - MAY_BE_UNLINKED_FOR,
            ~was_told,
        )
        .order_by(_columns.recording_id)
        .limit(_MOST_AT_ONCE)
        .with_for_update(of=recordings, skip_locked=True)
    )
    found = list(rows.mappings())
    incidents = [_incident(connection, row) for row in found]
    open_incidents(connection, incidents, person=_SWEEP, now=now)
    for row, incident in zip(found, incidents, strict=True):
        details = {"unknown": incident.details["unknown"]}
        add_event(connection, row["recording_id"], "unlinked", details, person=_SWEEP, now=now)
    return len(found)


def _incident(connection: Connection, row: RowMapping) -> NewIncident:
    unknown = unknown_names(connection, call_id=row["call_id"], policy_no=row["policy_no"])
    details = {
        "recording_id": str(row["recording_id"]),
        "unknown": list(unknown),
        "policy_no": row["policy_no"],
        "stored_at": row["recorded_at"].astimezone(SHANGHAI).isoformat(),
    }
    return NewIncident(UNLINKED_INCIDENT, _ARTICLE, row["call_id"], details)
