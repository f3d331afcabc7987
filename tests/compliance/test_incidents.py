"""Incidents: accounted for by one officer, closed by two, every change kept."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import Connection

from compliance.incidents import (
    AccountMissingError,
    IncidentClosedError,
    IncidentFilter,
    NewIncident,
    UnknownIncidentError,
    account_for,
    close_incident,
    closing_payload,
    incidents_of_calls,
    list_incidents,
    open_incidents,
    read_incident,
    read_incident_history,
)
from infra.ids import new_id

NOW = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
ACCOUNT = {"cause": "clock", "responsible": "agent-1", "measures": "training"}


def opened(connection: Connection, *found: NewIncident, now: datetime = NOW) -> list[UUID]:
    return open_incidents(connection, found or [NewIncident("quiet_hours", "25(1)", "c1")], person="dialer", now=now)


def account(connection: Connection, incident_id: UUID, **given: str) -> None:
    account_for(connection, incident_id, given, person="officer", now=NOW)


def test_an_incident_is_open_from_the_moment_it_is_found(connection: Connection) -> None:
    incident = read_incident(connection, opened(connection, NewIncident("fixity", "35", None, {"at": 1}))[0])

    assert (incident.kind, incident.article, incident.call_id, incident.details) == ("fixity", "35", None, {"at": 1})
    assert (incident.state, incident.detected_at, incident.closed_at) == ("open", NOW, None)
    assert open_incidents(connection, [], person="dialer", now=NOW) == []


def test_every_change_is_an_event(connection: Connection) -> None:
    (incident_id,) = opened(connection)
    account(connection, incident_id, cause="clock")
    account(connection, incident_id, cause="wrong clock", responsible="agent-1", measures="training")
    close_incident(connection, closing_payload(connection, incident_id), person="officer2", now=NOW)

    history = read_incident_history(connection, incident_id)

    assert [(event.actor, event.details) for event in history] == [
        ("dialer", {"state": "open"}),
        ("officer", {"cause": "clock"}),
        ("officer", {"cause": "wrong clock", "responsible": "agent-1", "measures": "training"}),
        ("officer2", {"state": "closed"}),
    ]
    incident = read_incident(connection, incident_id)
    assert (incident.cause, incident.state, incident.closed_at) == ("wrong clock", "closed", NOW)


@pytest.mark.parametrize("missing", list(ACCOUNT))
def test_nothing_is_closed_before_all_is_accounted_for(connection: Connection, missing: str) -> None:
    (incident_id,) = opened(connection)
    account(connection, incident_id, **{name: words for name, words in ACCOUNT.items() if name != missing})

    with pytest.raises(AccountMissingError, match=rf"25\(3\)\): {missing}"):
        closing_payload(connection, incident_id)
    with pytest.raises(AccountMissingError):
        close_incident(connection, {"incident_id": str(incident_id)}, person="officer2", now=NOW)


def test_a_closed_incident_stays_as_it_is(connection: Connection) -> None:
    (incident_id,) = opened(connection)
    account(connection, incident_id, **ACCOUNT)
    payload = closing_payload(connection, incident_id)
    close_incident(connection, payload, person="officer2", now=NOW)

    with pytest.raises(IncidentClosedError):
        account(connection, incident_id, cause="other")
    with pytest.raises(IncidentClosedError):
        closing_payload(connection, incident_id)
    with pytest.raises(IncidentClosedError):
        close_incident(connection, payload, person="officer2", now=NOW)


def test_unknown_incidents_are_not_found(connection: Connection) -> None:
    with pytest.raises(UnknownIncidentError):
        read_incident(connection, new_id())
    with pytest.raises(UnknownIncidentError):
        account(connection, new_id(), cause="clock")


def test_incidents_are_listed_newest_first_by_what_is_asked(connection: Connection) -> None:
    midnight = datetime(2026, 11, 22, 16, 0, tzinfo=UTC)
    (a,) = opened(connection, NewIncident("quiet_hours", "25(1)", "c1"), now=midnight - timedelta(microseconds=1))
    (b,) = opened(connection, NewIncident("quiet_hours", "25(1)", "c2"), now=midnight)
    (c,) = opened(connection, NewIncident("other_number", "27", "c2"), now=NOW)
    account(connection, a, **ACCOUNT)
    close_incident(connection, closing_payload(connection, a), person="officer2", now=NOW)

    def listed(wanted: IncidentFilter, before: UUID | None = None) -> list[UUID]:
        return [one.incident_id for one in list_incidents(connection, wanted, before=before, limit=9)]

    assert listed(IncidentFilter()) == [c, b, a]
    assert listed(IncidentFilter(), before=c) == [b, a]
    assert listed(IncidentFilter(kind="quiet_hours")) == [b, a]
    assert listed(IncidentFilter(call_id="c2")) == [c, b]
    assert (listed(IncidentFilter(state="closed")), listed(IncidentFilter(state="open"))) == ([a], [c, b])
    assert listed(IncidentFilter(from_day=date(2026, 11, 23))) == [c, b]
    assert listed(IncidentFilter(to_day=date(2026, 11, 22))) == [a]


def test_the_incidents_of_calls_come_in_order(connection: Connection) -> None:
    found = opened(connection, NewIncident("other_number", "27", "c1"), NewIncident("quiet_hours", "25(1)", "c1"))

    assert [one.incident_id for one in incidents_of_calls(connection, ["c1", "c2"])["c1"]] == found
    assert incidents_of_calls(connection, []) == {}
