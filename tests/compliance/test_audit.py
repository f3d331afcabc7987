"""The audit log keeps what is noted, as it was."""

from datetime import UTC, datetime

from sqlalchemy import Connection, select

from compliance.audit import note
from compliance.tables import audit_events

NOW = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)


def test_an_event_says_who_did_what_to_what_and_when(connection: Connection) -> None:
    note(connection, kind="policy_refused", subject="sha256:0", details={"n": 1}, person="officer", now=NOW)

    kept = connection.execute(select(audit_events)).one()

    assert (kept.kind, kept.subject, kept.details) == ("policy_refused", "sha256:0", {"n": 1})
    assert (kept.actor, kept.recorded_at) == ("officer", NOW)
