"""Approvals without which the database releases no do-not-call entry."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, insert

from compliance.block_release import RELEASE
from compliance.tables import approvals
from infra.ids import new_id


def approve_release(connection: Connection, entry_id: UUID, *, at: datetime, **changes: object) -> None:
    """Record that one officer asked for an early release and another approved it `at` that instant."""
    request = {
        "request_id": new_id(),
        "kind": RELEASE,
        "payload": {"entry_id": str(entry_id)},
        "requested_by": "officer",
        "requested_at": at,
        "state": "approved",
        "decided_by": "officer2",
        "decided_at": at,
    }
    connection.execute(insert(approvals).values({**request, **changes}))
