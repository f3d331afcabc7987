"""Recordings and what they name: calls and policies that may become known later than the recording (art. 36).

A recording that names something unknown is kept and marked. A sweep links it when what it names arrives, and opens
an incident when that takes longer than a day.
"""

from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, RowMapping, exists, func, or_, select, update

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


class CallFacts(NamedTuple):
    """What a call's record says of its recordings; `talked` None: it was not answered, or has not ended."""

    agent_id: str | None
    phone_digits: int | None
    direction: str
    talked: timedelta | None


def call_facts(connection: Connection, call_id: str) -> CallFacts | None:
    """Return what is recorded of a call; the number is the customer's."""
    calls = call_records.c
    row = connection.execute(
        select(
            calls.agent_id, calls.direction, calls.caller_digits, calls.callee_digits, calls.answered_at, calls.ended_at
        ).where(calls.call_id == call_id)
    ).one_or_none()
    if row is None:
        return None
    customer = row.callee_digits if row.direction == "outbound" else row.caller_digits
    is_over = row.answered_at is not None and row.ended_at is not None
    return CallFacts(row.agent_id, customer, row.direction, row.ended_at - row.answered_at if is_over else None)


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
