"""Incidents: what went wrong, who answers for it, what was done about it (art. 25(3)).

Closing takes two people and is possible only once cause, responsible person and measures are recorded. Every
change is an event that stays.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, func, insert, select, update

from compliance.row_sets import add_rows
from compliance.shanghai import SHANGHAI, midnight
from compliance.tables import incident_events, incidents
from infra.ids import new_id

CLOSE = "incident_close"
"""Kind of the request that another officer approves."""

ACCOUNT = ("cause", "responsible", "measures")
"""What must be recorded before an incident can be closed."""


class UnknownIncidentError(LookupError):
    """No incident has this id."""


class IncidentClosedError(ValueError):
    """The incident is closed; it cannot be changed or closed again."""


class AccountMissingError(ValueError):
    """Cause, responsible person or measures are not recorded yet."""


class IncidentChangedError(ValueError):
    """Cause, responsible person or measures were changed after the closing was asked for."""


@dataclass(frozen=True, slots=True)
class NewIncident:
    """A breach to be recorded; `details` hold no number and no name of a customer."""

    kind: str
    article: str
    call_id: str | None = None
    details: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    incident_id: UUID
    kind: str
    article: str
    call_id: str | None
    details: dict[str, Any]
    detected_at: datetime
    state: str
    cause: str | None
    responsible: str | None
    measures: str | None
    closed_at: datetime | None


class IncidentEvent(NamedTuple):
    event_id: UUID
    details: dict[str, Any]
    actor: str
    recorded_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentFilter:
    """Which incidents are asked for; the days are those of detection in Shanghai, both included."""

    kind: str | None = None
    call_id: str | None = None
    state: str | None = None
    from_day: date | None = None
    to_day: date | None = None


_columns = incidents.c
_INCIDENT_COLUMNS = [_columns[name] for name in Incident.__dataclass_fields__]


def open_incidents(connection: Connection, found: Sequence[NewIncident], *, person: str, now: datetime) -> list[UUID]:
    """Record incidents found now, in order, and return their ids; `person` is who or what found them."""
    if not found:
        return []
    ids = [new_id() for _ in found]
    rows = [
        {
            "incident_id": incident_id,
            "kind": one.kind,
            "article": one.article,
            "call_id": one.call_id,
            "details": dict(one.details),
            "detected_at": now,
        }
        for incident_id, one in zip(ids, found, strict=True)
    ]
    add_rows(connection, incidents, rows)
    events = [_event(incident_id, {"state": "open"}, person=person, now=now) for incident_id in ids]
    add_rows(connection, incident_events, events)
    return ids


def _event(incident_id: UUID, details: Mapping[str, object], *, person: str, now: datetime) -> dict[str, object]:
    return {
        "event_id": new_id(),
        "incident_id": incident_id,
        "details": dict(details),
        "actor": person,
        "recorded_at": now,
    }


def list_incidents(
    connection: Connection, wanted: IncidentFilter, *, before: UUID | None, limit: int
) -> list[Incident]:
    """Return incidents, newest first; `before` is the last of the page before."""
    statement = select(*_INCIDENT_COLUMNS).order_by(_columns.incident_id.desc()).limit(limit)
    for name in ("kind", "call_id", "state"):
        if (value := getattr(wanted, name)) is not None:
            statement = statement.where(_columns[name] == value)
    if wanted.from_day is not None:
        statement = statement.where(_columns.detected_at >= midnight(wanted.from_day))
    if wanted.to_day is not None:
        statement = statement.where(_columns.detected_at < midnight(wanted.to_day + timedelta(days=1)))
    if before is not None:
        statement = statement.where(_columns.incident_id < before)
    return [Incident(**row) for row in connection.execute(statement).mappings()]


def incidents_of_calls(connection: Connection, call_ids: Collection[str]) -> dict[str, list[Incident]]:
    """Return the incidents of each of these calls that has any, in the order in which they were recorded."""
    found: dict[str, list[Incident]] = {}
    if call_ids:
        is_theirs = _columns.call_id == func.any(sorted(call_ids))
        statement = select(*_INCIDENT_COLUMNS).where(is_theirs).order_by(_columns.incident_id)
        for row in connection.execute(statement).mappings():
            found.setdefault(row["call_id"], []).append(Incident(**row))
    return found


def read_incident(connection: Connection, incident_id: UUID, *, lock: bool = False) -> Incident:
    """Return one incident, its row locked until the transaction ends if `lock`.

    Raises:
        UnknownIncidentError: there is none with this id.
    """
    statement = select(*_INCIDENT_COLUMNS).where(_columns.incident_id == incident_id)
    row = connection.execute(statement.with_for_update() if lock else statement).mappings().one_or_none()
    if row is None:
        msg = f"there is no incident {incident_id}"
        raise UnknownIncidentError(msg)
    return Incident(**row)


def read_incident_history(connection: Connection, incident_id: UUID) -> list[IncidentEvent]:
    """Return everything that happened to an incident, oldest first."""
    columns = incident_events.c
    statement = (
        select(*(columns[name] for name in IncidentEvent._fields))
        .where(columns.incident_id == incident_id)
        .order_by(columns.recorded_at, columns.event_id)
    )
    return [IncidentEvent(*row) for row in connection.execute(statement)]


def account_for(
    connection: Connection, incident_id: UUID, account: Mapping[str, str], *, person: str, now: datetime
) -> Incident:
    """Record cause, responsible person or measures, those of ACCOUNT that are given.

    Raises:
        UnknownIncidentError: there is no such incident.
        IncidentClosedError: it is closed.
    """
    _open_incident(connection, incident_id)
    if account:
        given = {name: account[name] for name in ACCOUNT if name in account}
        connection.execute(update(incidents).where(_columns.incident_id == incident_id).values(**given))
        connection.execute(insert(incident_events), [_event(incident_id, given, person=person, now=now)])
    return read_incident(connection, incident_id)


def note_on_incident(
    connection: Connection, incident_id: UUID, details: Mapping[str, object], *, person: str, now: datetime
) -> None:
    """Add what became known to the history of an incident, open or closed; `details` hold no number and no name."""
    connection.execute(insert(incident_events), [_event(incident_id, details, person=person, now=now)])


def closing_payload(connection: Connection, incident_id: UUID) -> dict[str, Any]:
    """Return what a request to close an incident holds: the account that the other person is to approve.

    Raises:
        UnknownIncidentError: there is no such incident.
        IncidentClosedError: it is closed already.
        AccountMissingError: cause, responsible person or measures are missing.
    """
    incident = _open_incident(connection, incident_id)
    _accounted(incident)
    return {"incident_id": str(incident_id), **_account(incident)}


def close_incident(connection: Connection, payload: dict[str, Any], *, person: str, now: datetime) -> dict[str, Any]:
    """Close the incident of an approved request; `person` is who approved.

    Raises:
        UnknownIncidentError: there is no such incident.
        IncidentClosedError: it is closed already.
        AccountMissingError: cause, responsible person or measures are missing.
        IncidentChangedError: they are no longer those of the request.
    """
    incident_id = UUID(payload["incident_id"])
    incident = _open_incident(connection, incident_id)
    _accounted(incident)
    if _account(incident) != {name: payload.get(name) for name in ACCOUNT}:
        msg = f"the account of incident {incident_id} was changed after its closing was asked for; ask for it again"
        raise IncidentChangedError(msg)
    closed = update(incidents).where(_columns.incident_id == incident_id)
    connection.execute(closed.values(state="closed", closed_at=now))
    connection.execute(insert(incident_events), [_event(incident_id, {"state": "closed"}, person=person, now=now)])
    return {"incident_id": str(incident_id), "state": "closed", "closed_at": now.astimezone(SHANGHAI).isoformat()}


def _open_incident(connection: Connection, incident_id: UUID) -> Incident:
    incident = read_incident(connection, incident_id, lock=True)
    if incident.state == "closed":
        msg = f"incident {incident_id} is closed"
        raise IncidentClosedError(msg)
    return incident


def _account(incident: Incident) -> dict[str, str | None]:
    return {name: getattr(incident, name) for name in ACCOUNT}


def _accounted(incident: Incident) -> None:
    missing = [name for name in ACCOUNT if getattr(incident, name) is None]
    if missing:
        listed = ", ".join(missing)
        msg = f"incident {incident.incident_id} cannot be closed before these are recorded (art. 25(3)): {listed}"
        raise AccountMissingError(msg)
