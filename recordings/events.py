"""What happened to a recording, one row each, added and never changed."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, insert

from infra.ids import new_id
from recordings.tables import recording_events


def note_event(
    connection: Connection,
    recording_id: UUID,
    kind: str,
    *,
    details: Mapping[str, Any],
    person: str,
    now: datetime,
) -> None:
    """Add one event: `person` or a task did `kind`. `details` are JSON, without numbers and names of customers."""
    connection.execute(
        insert(recording_events).values(
            event_id=new_id(),
            recording_id=recording_id,
            kind=kind,
            details=dict(details),
            actor=person,
            recorded_at=now,
        )
    )
