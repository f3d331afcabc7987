"""Writes planned call records, as a dialer would have sent them, and the incidents found in them."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection

from compliance.call_reconciliation import ARTICLES, Breach
from compliance.call_records import CallOutcome, CallRecord
from compliance.incidents import CLOSE
from compliance.phone_numbers import normalise_caller
from compliance.shanghai import SHANGHAI
from compliance.tables import call_records, incident_events, incidents
from services.demo.block_rows import entry_id
from services.demo.chance import Chance
from services.demo.request_rows import PlannedRequest, write_requests
from services.demo.rows import copy_rows, json_text

DIALER = "dialer"

_RECORD_COLUMNS = (
    "call_id",
    "check_id",
    "direction",
    "caller_digits",
    "callee_digits",
    "agent_id",
    "started_at",
    "answered_at",
    "ended_at",
    "outcome",
    "content",
    "content_digest",
    "do_not_call_entry_id",
    "actor",
    "recorded_at",
)


@dataclass(frozen=True, slots=True)
class PlacedCall:
    """A call as the dialer records it, of a callee by name; `breach` says what is wrong with it."""

    record: CallRecord
    callee_e164: str
    recorded_at: datetime
    breach: Breach | None

    @property
    def entry_key(self) -> str:
        """The key of the do-not-call entry that a refusal in this call files."""
        return f"call-{self.record.call_id}"


def write_calls(connection: Connection, chance: Chance, calls: Sequence[PlacedCall], *, now: datetime) -> None:
    """Add records and their incidents; `now` is the end of the demo, up to which incidents were followed up."""
    copy_rows(connection, call_records, _RECORD_COLUMNS, (_record_row(chance, call) for call in calls))
    found = [_incident(chance, call, call.breach, now=now) for call in calls if call.breach is not None]
    _write_incidents(connection, chance, found)


def _record_row(chance: Chance, call: PlacedCall) -> tuple[object, ...]:
    record = call.record
    content = json_text(record.content())
    entry = entry_id(chance, call.entry_key, call.recorded_at) if record.outcome is CallOutcome.REFUSED else None
    caller = normalise_caller(record.caller or "")
    return (
        record.call_id,
        record.check_id,
        record.direction.value,
        None if caller is None else int(caller),
        int(call.callee_e164),
        record.agent_id,
        record.started_at,
        record.answered_at,
        record.ended_at,
        record.outcome.value,
        content,
        hashlib.sha256(content.encode()).digest(),
        entry,
        DIALER,
        call.recorded_at,
    )


_INCIDENT_COLUMNS = (
    "incident_id",
    "kind",
    "article",
    "call_id",
    "details",
    "detected_at",
    "state",
    "cause",
    "responsible",
    "measures",
    "closed_at",
)
_EVENT_COLUMNS = ("event_id", "incident_id", "details", "actor", "recorded_at")
_ACCOUNT = {
    "cause": "外呼系统在网络中断后未重新检查即拨出",
    "responsible": "电话销售中心值班主管",
    "measures": "修复外呼系统,拨出前强制核对检查结果;对值班主管进行培训",
}


@dataclass(frozen=True, slots=True)
class PlannedIncident:
    """A breach of a call and how far it was followed up; both instants None while nobody has looked into it."""

    incident_id: UUID
    breach: Breach
    call_id: str
    details: Mapping[str, object]
    detected_at: datetime
    accounted_at: datetime | None
    closed_at: datetime | None

    def row(self) -> tuple[object, ...]:
        account = [None] * len(_ACCOUNT) if self.accounted_at is None else [*_ACCOUNT.values()]
        state = "open" if self.closed_at is None else "closed"
        return (
            self.incident_id,
            self.breach.value,
            ARTICLES[self.breach],
            self.call_id,
            json_text(self.details),
            self.detected_at,
            state,
            *account,
            self.closed_at,
        )

    def events(self) -> list[tuple[Mapping[str, object], str, datetime]]:
        """Return what happened, by whom and when, oldest first."""
        found: list[tuple[Mapping[str, object], str, datetime]] = [({"state": "open"}, DIALER, self.detected_at)]
        if self.accounted_at is not None:
            found.append((_ACCOUNT, "officer", self.accounted_at))
        if self.closed_at is not None:
            found.append(({"state": "closed"}, "officer2", self.closed_at))
        return found


def _incident(chance: Chance, call: PlacedCall, breach: Breach, *, now: datetime) -> PlannedIncident:
    """Return the incident of a call: accounted for after a day, closed after three, if `now` allows."""
    record = call.record
    accounted_at = call.recorded_at + timedelta(days=1)
    closed_at = call.recorded_at + timedelta(days=3)
    return PlannedIncident(
        incident_id=chance.uuid7(call.recorded_at, "incident", record.call_id),
        breach=breach,
        call_id=record.call_id,
        details={
            "check_id": record.check_id,
            "agent_id": record.agent_id,
            "started_at": record.started_at.astimezone(SHANGHAI).isoformat(),
        },
        detected_at=call.recorded_at,
        accounted_at=accounted_at if accounted_at < now - _LATEST_FOLLOW_UP else None,
        closed_at=closed_at if closed_at < now - _LATEST_FOLLOW_UP else None,
    )


_LATEST_FOLLOW_UP = timedelta(days=1)


def _write_incidents(connection: Connection, chance: Chance, planned: Sequence[PlannedIncident]) -> None:
    copy_rows(connection, incidents, _INCIDENT_COLUMNS, (one.row() for one in planned))
    copy_rows(connection, incident_events, _EVENT_COLUMNS, _event_rows(chance, planned))
    closings = [
        PlannedRequest(
            key=f"close-{one.call_id}",
            kind=CLOSE,
            payload={"incident_id": str(one.incident_id), **_ACCOUNT},
            requested_at=one.closed_at - timedelta(hours=2),
            decided_at=one.closed_at,
        )
        for one in planned
        if one.closed_at is not None
    ]
    write_requests(connection, chance, closings)


def _event_rows(chance: Chance, planned: Sequence[PlannedIncident]) -> Iterator[tuple[object, ...]]:
    for one in planned:
        for number, (details, person, at) in enumerate(one.events()):
            event_id = chance.uuid7(at, "incident event", one.call_id, number)
            yield event_id, one.incident_id, json_text(details), person, at
