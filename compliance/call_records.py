"""Records of calls that took place: kept once, their refusals blocked, each reconciled with its check.

Everything happens in the caller's transaction, with statements for all records together. Refusals are blocked
before the records are reconciled, so that of two calls in one delivery the second knows the first one's refusal.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import Connection, bindparam, func, select, text, tuple_
from sqlalchemy.dialects.postgresql import ARRAY, TEXT
from sqlalchemy.dialects.postgresql import UUID as PG_UUID

from compliance.block_entries import BlockSource
from compliance.block_list import Refusal, block_persons
from compliance.call_dependencies import uuid_or_none
from compliance.call_reconciliation import ARTICLES, Breach
from compliance.incidents import NewIncident, incidents_of_calls, open_incidents
from compliance.phone_numbers import normalise, normalise_caller
from compliance.placed_calls import KnownCheck, OutboundCall, customer_of, lock_checks, reconcile
from compliance.policy_store import policy_for_blocks
from compliance.row_sets import add_missing_rows, bytea_text
from compliance.shanghai import SHANGHAI, midnight
from compliance.tables import call_records
from compliance.working_days import Calendar


class Direction(StrEnum):
    OUTBOUND = "outbound"
    INBOUND = "inbound"


class CallOutcome(StrEnum):
    SOLD = "sold"
    REFUSED = "refused"
    """The customer wants no more sales calls."""
    NO_ANSWER = "no_answer"
    CALLBACK = "callback"
    OTHER = "other"


class UnknownCallError(LookupError):
    """No call record has this id."""


class CallRecordedError(ValueError):
    """A record with the same call_id and another content exists already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    """A call as its dialer records it; numbers and ids as sent."""

    call_id: str
    check_id: str | None = None
    direction: Direction
    caller: str | None = None
    callee: str | None = None
    agent_id: str | None = None
    started_at: datetime
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    outcome: CallOutcome

    def content(self) -> dict[str, object]:
        """Return the record as JSON values, with all instants in UTC: equal records have equal content."""
        instants = ("started_at", "answered_at", "ended_at")
        found: dict[str, object] = msgspec.to_builtins(self)
        for name in instants:
            at = getattr(self, name)
            found[name] = None if at is None else at.astimezone(UTC).isoformat()
        return found


class RecordedCall(NamedTuple):
    """What became of a record: the entry its refusal led to, and the incidents found in it."""

    call_id: str
    do_not_call_entry_id: UUID | None
    incidents: tuple[tuple[UUID, str], ...]


class StoredCall(NamedTuple):
    """A record as kept; numbers in normal form are None when what was sent is none."""

    record: CallRecord
    caller_e164: str | None
    callee_e164: str | None
    do_not_call_entry_id: UUID | None
    actor: str
    recorded_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFilter:
    """Which calls are asked for; the days are those of the start in Shanghai, both included."""

    from_day: date | None = None
    to_day: date | None = None
    agent_id: str | None = None


class _New(NamedTuple):
    """A record on its way into the table. The callee of an outbound call must be one that can be called."""

    record: CallRecord
    content: dict[str, object]
    digest: bytes
    outbound: OutboundCall | None
    """None for an inbound call."""
    check_id: UUID | None
    caller_e164: str | None
    callee_e164: str | None


def record_calls(
    connection: Connection, records: Sequence[CallRecord], *, person: str, calendar: Calendar, now: datetime
) -> list[RecordedCall]:
    """Keep these records and return, in their order, what became of each; a known one changes nothing.

    Raises:
        CallRecordedError: a call_id came before with another content.
    """
    prepared = _prepare(records)
    checks = lock_checks(connection, {one.check_id for one in prepared.values() if one.check_id is not None})
    new = _insert(connection, prepared, person=person, now=now)
    entries = _block_refusals(connection, new, checks, person=person, now=now)
    found = _reconcile(connection, new, checks, calendar=calendar, now=now)
    for one in new:
        if one.record.outcome is CallOutcome.REFUSED and one.record.call_id not in entries:
            found.append(_incident(one, Breach.REFUSAL_NOT_BLOCKED))
    ids = open_incidents(connection, found, person=person, now=now)
    answers = {one.record.call_id: RecordedCall(one.record.call_id, entries.get(one.record.call_id), ()) for one in new}
    for incident_id, incident in zip(ids, found, strict=True):
        call_id = incident.call_id or ""
        known = answers[call_id]
        answers[call_id] = known._replace(incidents=(*known.incidents, (incident_id, incident.kind)))
    repeated = [one for call_id, one in prepared.items() if call_id not in answers]
    answers.update(_earlier_answers(connection, repeated))
    return [answers[record.call_id] for record in records]


def _prepare(records: Sequence[CallRecord]) -> dict[str, _New]:
    found: dict[str, _New] = {}
    for record in records:
        content = record.content()
        digest = hashlib.sha256(msgspec.json.encode(content, order="sorted")).digest()
        known = found.get(record.call_id)
        if known is None:
            found[record.call_id] = _new(record, content, digest)
        elif known.digest != digest:
            raise _recorded_error(record.call_id)
    return found


def _new(record: CallRecord, content: dict[str, object], digest: bytes) -> _New:
    check_id = uuid_or_none(record.check_id)
    caller_e164 = None if record.caller is None else normalise_caller(record.caller)
    if record.direction is Direction.INBOUND:
        callee_e164 = None if record.callee is None else normalise_caller(record.callee)
        return _New(record, content, digest, None, check_id, caller_e164, callee_e164)
    callee = None if record.callee is None else normalise(record.callee)
    outbound = OutboundCall(
        call_id=record.call_id,
        check_id=check_id,
        callee=callee,
        caller_e164=caller_e164,
        caller_is_given=record.caller is not None,
        started_at=record.started_at,
    )
    return _New(record, content, digest, outbound, check_id, caller_e164, None if callee is None else callee.e164)


def _recorded_error(call_id: str) -> CallRecordedError:
    return CallRecordedError(f"call {call_id} is recorded already with another content; records are never changed")


def _insert(connection: Connection, prepared: Mapping[str, _New], *, person: str, now: datetime) -> list[_New]:
    """Write the records whose call_id is not known yet, and return them."""
    rows = [_row(prepared[call_id], person=person, now=now) for call_id in sorted(prepared)]
    inserted = set(add_missing_rows(connection, call_records, rows))
    return [one for call_id, one in prepared.items() if call_id in inserted]


def _row(one: _New, *, person: str, now: datetime) -> dict[str, object]:
    record = one.record
    return {
        "call_id": record.call_id,
        "check_id": one.check_id,
        "direction": record.direction,
        "caller_digits": None if one.caller_e164 is None else int(one.caller_e164),
        "callee_digits": None if one.callee_e164 is None else int(one.callee_e164),
        "agent_id": record.agent_id,
        "started_at": record.started_at,
        "answered_at": record.answered_at,
        "ended_at": record.ended_at,
        "outcome": record.outcome,
        "content": one.content,
        "content_digest": bytea_text(one.digest),
        "actor": person,
        "recorded_at": now,
    }


_NAME_ENTRIES = text("""
    UPDATE call_records r SET do_not_call_entry_id = n.entry_id
      FROM unnest(:call_ids, :entry_ids) AS n (call_id, entry_id) WHERE r.call_id = n.call_id""").bindparams(
    bindparam("call_ids", type_=ARRAY(TEXT)), bindparam("entry_ids", type_=ARRAY(PG_UUID(as_uuid=True)))
)


def _block_refusals(
    connection: Connection, new: Sequence[_New], checks: Mapping[UUID, KnownCheck], *, person: str, now: datetime
) -> dict[str, UUID]:
    """Block all who refused in these calls; return the entry of each such call."""
    refusals = [refusal for one in new if (refusal := _refusal(one, checks)) is not None]
    if not refusals:
        return {}
    months = policy_for_blocks(connection, now=now).block_months
    results = block_persons(connection, refusals, block_months=months, person=person, now=now)
    found = {refusal.call_id or "": result.entry.entry_id for refusal, result in zip(refusals, results, strict=True)}
    connection.execute(_NAME_ENTRIES, {"call_ids": list(found), "entry_ids": list(found.values())})
    return found


def _refusal(one: _New, checks: Mapping[UUID, KnownCheck]) -> Refusal | None:
    """Return the refusal made in a call; None if there is none, or nobody is known who could be blocked.

    The customer is who was called, or who called in. Of an outbound call whose recorded number cannot be read,
    the number and customer of its check are blocked.
    """
    record = one.record
    if record.outcome is not CallOutcome.REFUSED:
        return None
    if one.outbound is None:
        caller = None if record.caller is None else normalise(record.caller)
        phone_e164, customer_id = (None if caller is None else caller.e164), None
    else:
        phone_e164, customer_id = one.callee_e164, customer_of(one.outbound, checks)
        check = checks.get(one.check_id) if one.check_id is not None else None
        if phone_e164 is None and check is not None and check.phone_digits is not None:
            phone_e164 = f"+{check.phone_digits}"
    if phone_e164 is None and customer_id is None:
        return None
    return Refusal(
        phone_e164=phone_e164,
        customer_id=customer_id,
        source=BlockSource.INBOUND_CALL if one.outbound is None else BlockSource.CALL,
        refused_at=record.ended_at or record.started_at,
        call_id=record.call_id,
    )


def _reconcile(
    connection: Connection, new: Sequence[_New], checks: Mapping[UUID, KnownCheck], *, calendar: Calendar, now: datetime
) -> list[NewIncident]:
    placed = [one for one in new if one.outbound is not None]
    outbound = [one.outbound for one in placed if one.outbound is not None]
    broken = reconcile(connection, outbound, checks, calendar=calendar, now=now)
    return [_incident(one, breach) for one, breaches in zip(placed, broken, strict=True) for breach in breaches]


def _incident(one: _New, breach: Breach) -> NewIncident:
    record = one.record
    details = {
        "check_id": record.check_id,
        "agent_id": record.agent_id,
        "started_at": record.started_at.astimezone(SHANGHAI).isoformat(),
    }
    return NewIncident(breach.value, ARTICLES[breach], record.call_id, details)


def _earlier_answers(connection: Connection, repeated: Sequence[_New]) -> dict[str, RecordedCall]:
    """Return what was answered when these records came first.

    Raises:
        CallRecordedError: one of them had another content then.
    """
    if not repeated:
        return {}
    columns = call_records.c
    ids = [one.record.call_id for one in repeated]
    known = {
        row.call_id: row
        for row in connection.execute(
            select(columns.call_id, columns.content_digest, columns.do_not_call_entry_id, columns.recorded_at).where(
                columns.call_id == func.any(ids)
            )
        )
    }
    incidents = incidents_of_calls(connection, ids)
    answers = {}
    for one in repeated:
        call_id = one.record.call_id
        row = known[call_id]
        if row.content_digest != one.digest:
            raise _recorded_error(call_id)
        found = tuple(
            (incident.incident_id, incident.kind)
            for incident in incidents.get(call_id, ())
            if incident.detected_at == row.recorded_at
        )
        answers[call_id] = RecordedCall(call_id, row.do_not_call_entry_id, found)
    return answers


_columns = call_records.c
_STORED = (
    _columns.content,
    _columns.caller_digits,
    _columns.callee_digits,
    _columns.do_not_call_entry_id,
    _columns.actor,
    _columns.recorded_at,
)


def read_call(connection: Connection, call_id: str) -> StoredCall:
    """Return one call record.

    Raises:
        UnknownCallError: there is none with this id.
    """
    row = connection.execute(select(*_STORED).where(_columns.call_id == call_id)).one_or_none()
    if row is None:
        msg = f"there is no call record {call_id}"
        raise UnknownCallError(msg)
    return _stored(*row)


def list_calls(
    connection: Connection, wanted: CallFilter, *, before: tuple[datetime, str] | None, limit: int
) -> list[StoredCall]:
    """Return call records, latest start first; `before` is start and id of the last of the page before."""
    order = (_columns.started_at.desc(), _columns.call_id.desc())
    statement = select(*_STORED).order_by(*order).limit(limit)
    if wanted.from_day is not None:
        statement = statement.where(_columns.started_at >= midnight(wanted.from_day))
    if wanted.to_day is not None:
        statement = statement.where(_columns.started_at < midnight(wanted.to_day + timedelta(days=1)))
    if wanted.agent_id is not None:
        statement = statement.where(_columns.agent_id == wanted.agent_id)
    if before is not None:
        statement = statement.where(tuple_(_columns.started_at, _columns.call_id) < before)
    return [_stored(*row) for row in connection.execute(statement)]


def _stored(
    content: dict[str, object],
    caller_digits: int | None,
    callee_digits: int | None,
    do_not_call_entry_id: UUID | None,
    actor: str,
    recorded_at: datetime,
) -> StoredCall:
    return StoredCall(
        record=msgspec.convert(content, CallRecord),
        caller_e164=None if caller_digits is None else f"+{caller_digits}",
        callee_e164=None if callee_digits is None else f"+{callee_digits}",
        do_not_call_entry_id=do_not_call_entry_id,
        actor=actor,
        recorded_at=recorded_at,
    )
