"""The audit log: what people did, or were refused, that no other record tells. Rows are added, never changed."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, insert

from compliance.tables import audit_events
from infra.ids import new_id


def note(
    connection: Connection,
    *,
    kind: str,
    subject: str | None,
    details: Mapping[str, object],
    person: str,
    now: datetime,
) -> None:
    """Add one event: `person` did `kind` to `subject`. `details` are JSON, without numbers and names of customers."""
    connection.execute(
        insert(audit_events).values(
            event_id=new_id(), kind=kind, subject=subject, details=dict(details), actor=person, recorded_at=now
        )
    )
