"""Actions that take two people: asked for by one, carried out when another agrees.

A request holds what to do as JSON. Deciding locks its row, so that of two approvers only one can carry it out.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, insert

from compliance.tables import approvals


def request_approval(  # noqa: PLR0913 - one argument per column
    connection: Connection,
    *,
    request_id: UUID,
    kind: str,
    payload: dict[str, Any],
    person: str,
    now: datetime,
) -> None:
    """Record that `person` asks for an action; nothing happens before another person approves it."""
    connection.execute(
        insert(approvals).values(
            request_id=request_id, kind=kind, payload=payload, requested_by=person, requested_at=now
        )
    )
