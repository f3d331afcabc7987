"""Closures that officers order for emergencies and holidays: stored here, judged by the gate.

An overlay is in force for the next decision, and ends at its end or when two officers end it earlier.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, Row, insert, null, select, update

from compliance.audit import note
from compliance.call_facts import OverlayKind
from compliance.register_tables import overlays
from compliance.shanghai import SHANGHAI

END_KIND = "overlay_end"
"""Kind of the two-person action that ends an overlay early."""


class UnknownOverlayError(LookupError):
    """No overlay has this id."""


class OverlayOverError(ValueError):
    """The overlay has ended already."""


class OrderedOverlay(NamedTuple):
    """What an officer orders: [from_at, to_at), in `regions` (province or supervised city), None for everywhere."""

    name: str
    kind: OverlayKind
    regions: Sequence[str] | None
    from_at: datetime
    to_at: datetime
    reason: str


class StoredOverlay(NamedTuple):
    overlay_id: UUID
    ordered: OrderedOverlay
    ordered_by: str
    created_at: datetime
    ended_at: datetime | None


_columns = overlays.c


def add_overlay(
    connection: Connection, ordered: OrderedOverlay, *, overlay_id: UUID, person: str, now: datetime
) -> StoredOverlay:
    """Store an overlay; the next decision already knows it."""
    connection.execute(
        insert(overlays).values(
            overlay_id=overlay_id,
            name=ordered.name,
            kind=ordered.kind,
            # SQL NULL, not the JSON value null: the gate asks with IS NULL.
            regions=null() if ordered.regions is None else list(ordered.regions),
            from_at=ordered.from_at,
            to_at=ordered.to_at,
            reason=ordered.reason,
            actor=person,
            created_at=now,
        )
    )
    return StoredOverlay(overlay_id, ordered, person, now, None)


def list_overlays(connection: Connection, *, before: UUID | None, limit: int) -> list[StoredOverlay]:
    """Return overlays, newest first; `before` is the last of the page before."""
    statement = select(overlays).order_by(_columns.overlay_id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(_columns.overlay_id < before)
    return [_stored(row) for row in connection.execute(statement)]


def read_running_overlay(connection: Connection, overlay_id: UUID, *, now: datetime) -> StoredOverlay:
    """Return an overlay that is in force or still to come, and lock it.

    Raises:
        UnknownOverlayError: there is no such overlay.
        OverlayOverError: it is over, or was ended.
    """
    row = connection.execute(select(overlays).where(_columns.overlay_id == overlay_id).with_for_update()).one_or_none()
    if row is None:
        msg = f"there is no overlay {overlay_id}"
        raise UnknownOverlayError(msg)
    found = _stored(row)
    if found.ended_at is not None or found.ordered.to_at <= now:
        msg = f"overlay {overlay_id} is over already; nothing is left to end"
        raise OverlayOverError(msg)
    return found


def end_overlay(connection: Connection, payload: dict[str, Any], *, person: str, now: datetime) -> dict[str, Any]:
    """Carry out an approved end: the overlay closes nothing from `now` on.

    Raises:
        OverlayOverError: it ended while the request waited.
    """
    overlay_id = UUID(payload["overlay_id"])
    read_running_overlay(connection, overlay_id, now=now)
    connection.execute(update(overlays).where(_columns.overlay_id == overlay_id).values(ended_at=now))
    details = {"reason": payload.get("reason")}
    note(connection, kind=END_KIND, subject=str(overlay_id), details=details, person=person, now=now)
    return {"overlay_id": str(overlay_id), "ended_at": now.astimezone(SHANGHAI)}


def _stored(row: Row[*tuple[Any, ...]]) -> StoredOverlay:
    ordered = OrderedOverlay(row.name, OverlayKind(row.kind), row.regions, row.from_at, row.to_at, row.reason)
    return StoredOverlay(row.overlay_id, ordered, row.actor, row.created_at, row.ended_at)
