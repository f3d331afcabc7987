"""Writes planned call records, as a dialer would have sent them, and the incidents found in them."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection

from compliance.call_facts import ProposedCall
from compliance.call_reconciliation import ARTICLES, Breach
from compliance.incidents import CLOSE
from compliance.phone_numbers import normalise_caller
from compliance.shanghai import SHANGHAI
from compliance.tables import call_records, incident_events, incidents
from services.demo.block_rows import entry_id
from services.demo.chance import Chance
from services.demo.request_rows import PlannedRequest, write_requests
from services.demo.rows import copy_rows, json_text

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
    """A call as the dialer records it; `incident_kind` says what is wrong with it."""

    call_id: str
    check_id: str | None
    call: ProposedCall
    callee_e164: str
    started_at: datetime
    answered_at: datetime | None
    ended_at: datetime
    outcome: str
    recorded_at: datetime
    incident_kind: str | None

    @property
    def entry_key(self) -> str:
        """The key of the do-not-call entry that a refusal in this call files."""
        return f"call-{self.call_id}"

    def content(self) -> dict[str, object]:
        return {
            "call_id": self.call_id,
            "check_id": self.check_id,
            "direction": "outbound",
            "caller": self.call.caller_number,
            "callee": self.callee_e164,
            "agent_id": self.call.agent_id,
            "started_at": _stamp(self.started_at),
            "answered_at": _stamp(self.answered_at),
            "ended_at": _stamp(self.ended_at),
            "outcome": self.outcome,
        }


def _stamp(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(SHANGHAI).isoformat()


def write_calls(connection: Connection, chance: Chance, calls: Sequence[PlacedCall], *, now: datetime) -> None:
    """Add records and their incidents; `now` is the end of the demo, up to which incidents were followed up."""
    copy_rows(connection, call_records, _RECORD_COLUMNS, (_record_row(chance, call) for call in calls))
    found = [planned_incident(chance, call, now=now) for call in calls if call.incident_kind is not None]
    _write_incidents(connection, chance, found)


def _record_row(chance: Chance, call: PlacedCall) -> tuple[object, ...]:
    content = json_text(call.content())
    entry = entry_id(chance, call.entry_key, call.recorded_at) if call.outcome == "refused" else None
    caller = normalise_caller(call.call.caller_number or "")
    return (
        call.call_id,
        call.check_id,
        "outbound",
        None if caller is None else int(caller),
        int(call.callee_e164),
        call.call.agent_id,
        call.started_at,
        call.answered_at,
        call.ended_at,
        call.outcome,
        content,
        hashlib.sha256(content.encode()).digest(),
        entry,
        "dialer",
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
    kind: str
    call_id: str
    detected_at: datetime
    accounted_at: datetime | None
    closed_at: datetime | None

    def row(self) -> tuple[object, ...]:
        account = [None] * len(_ACCOUNT) if self.accounted_at is None else [*_ACCOUNT.values()]
        state = "open" if self.closed_at is None else "closed"
        article = ARTICLES[Breach(self.kind)]
        return (
            self.incident_id,
            self.kind,
            article,
            self.call_id,
            "{}",
            self.detected_at,
            state,
            *account,
            self.closed_at,
        )

    def events(self) -> list[tuple[Mapping[str, object], str, datetime]]:
        """Return what happened, by whom and when, oldest first."""
        found: list[tuple[Mapping[str, object], str, datetime]] = [({"state": "open"}, "dialer", self.detected_at)]
        if self.accounted_at is not None:
            found.append((_ACCOUNT, "officer", self.accounted_at))
        if self.closed_at is not None:
            found.append(({"state": "closed"}, "officer2", self.closed_at))
        return found


def planned_incident(chance: Chance, call: PlacedCall, *, now: datetime) -> PlannedIncident:
    """Return the incident of a call that has one: accounted for after a day, closed after three, if `now` allows."""
    accounted_at = call.recorded_at + timedelta(days=1)
    closed_at = call.recorded_at + timedelta(days=3)
    return PlannedIncident(
        incident_id=chance.uuid7(call.recorded_at, "incident", call.call_id),
        kind=call.incident_kind or "",
        call_id=call.call_id,
        detected_at=call.recorded_at,
        accounted_at=accounted_at if accounted_at < now - timedelta(days=1) else None,
        closed_at=closed_at if closed_at < now - timedelta(days=1) else None,
    )


def _write_incidents(connection: Connection, chance: Chance, planned: Sequence[PlannedIncident]) -> None:
    copy_rows(connection, incidents, _INCIDENT_COLUMNS, (one.row() for one in planned))
    copy_rows(connection, incident_events, _EVENT_COLUMNS, _event_rows(chance, planned))
    closings = [
        PlannedRequest(
            key=f"close-{one.call_id}",
            kind=CLOSE,
            payload={"incident_id": str(one.incident_id)},
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
