"""Holds on recordings: placed by one officer at once, released by two.

A hold keeps a recording whatever its date says, from the commit that places it; the stores follow by `locks`. It stays
in the record when it is released. Placing one waits for a disposal that is being approved, and the other way round:
both lock the recording's row.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, func, insert, select, text, update

from compliance.policy_store import policy_for_blocks
from compliance.shanghai import SHANGHAI
from infra.ids import new_id
from recordings.copy_rows import UnknownRecordingError, add_event, want_lock
from recordings.retention import bring
from recordings.tables import recording_holds, recordings

HOLD_RELEASE = "hold_release"
"""Kind of the request that another officer approves."""


class UnknownHoldError(LookupError):
    """The recording has no hold with this id."""


class HoldReleasedError(ValueError):
    """The hold was released already."""


class NothingToHoldError(ValueError):
    """The recording was disposed of: there is nothing left that a hold could keep."""


class Hold(NamedTuple):
    """A hold as recorded. `released_by` is who approved the release."""

    hold_id: UUID
    recording_id: UUID
    reason: str
    case: str | None
    placed_by: str
    placed_at: datetime
    released_at: datetime | None
    released_by: str | None
    release_reason: str | None


_columns = recording_holds.c
_HOLD_COLUMNS = [_columns[name] for name in Hold._fields]
_LOCK_RECORDING = text("SELECT disposed_at FROM recordings WHERE recording_id = :recording_id FOR UPDATE")


def place_hold(
    connection: Connection, recording_id: UUID, *, reason: str, case: str | None, person: str, now: datetime
) -> UUID:
    """Keep a recording from now on, whatever its date; return the hold.

    Raises:
        UnknownRecordingError: there is no such recording.
        NothingToHoldError: it was disposed of.
    """
    _lock_recording(connection, recording_id)
    hold_id = new_id()
    connection.execute(
        insert(recording_holds).values(
            hold_id=hold_id, recording_id=recording_id, reason=reason, case=case, placed_by=person, placed_at=now
        )
    )
    add_event(connection, recording_id, "hold_placed", {"hold_id": str(hold_id), "case": case}, person=person, now=now)
    _follow(connection, recording_id, now=now)
    return hold_id


def release_payload(connection: Connection, recording_id: UUID, hold_id: UUID, *, reason: str) -> dict[str, Any]:
    """Return what a request to release a hold holds.

    Raises:
        UnknownHoldError: the recording has no such hold.
        HoldReleasedError: it was released already.
    """
    _standing_hold(connection, recording_id, hold_id)
    return {"recording_id": str(recording_id), "hold_id": str(hold_id), "reason": reason}


def release_hold(connection: Connection, payload: dict[str, Any], *, person: str, now: datetime) -> dict[str, Any]:
    """Release the hold of an approved request; `person` is who approved.

    Raises:
        UnknownHoldError: the recording has no such hold.
        HoldReleasedError: it was released already.
        NothingToHoldError: the recording was disposed of.
    """
    recording_id, hold_id = UUID(payload["recording_id"]), UUID(payload["hold_id"])
    _lock_recording(connection, recording_id)
    _standing_hold(connection, recording_id, hold_id)
    connection.execute(
        update(recording_holds)
        .where(_columns.hold_id == hold_id)
        .values(released_at=now, released_by=person, release_reason=payload["reason"])
    )
    add_event(connection, recording_id, "hold_released", {"hold_id": str(hold_id)}, person=person, now=now)
    _follow(connection, recording_id, now=now)
    return {
        "recording_id": str(recording_id),
        "hold_id": str(hold_id),
        "released_at": now.astimezone(SHANGHAI).isoformat(),
    }


def list_holds(connection: Connection, recording_id: UUID) -> list[Hold]:
    """Return all holds that a recording has and had, oldest first.

    Raises:
        UnknownRecordingError: there is no such recording.
    """
    known = select(recordings.c.recording_id).where(recordings.c.recording_id == recording_id)
    if connection.execute(known).one_or_none() is None:
        raise UnknownRecordingError(f"there is no recording {recording_id}")
    asked = select(*_HOLD_COLUMNS).where(_columns.recording_id == recording_id).order_by(_columns.hold_id)
    return [Hold(*row) for row in connection.execute(asked)]


def standing_holds(connection: Connection, recording_ids: Collection[UUID]) -> dict[UUID, list[Hold]]:
    """Return the holds that stand on each of these recordings that has any, oldest first."""
    is_asked = _columns.recording_id == func.any(sorted(recording_ids))
    asked = select(*_HOLD_COLUMNS).where(is_asked, _columns.released_at.is_(None)).order_by(_columns.hold_id)
    found: dict[UUID, list[Hold]] = {}
    for row in connection.execute(asked):
        found.setdefault(row.recording_id, []).append(Hold(*row))
    return found


def _lock_recording(connection: Connection, recording_id: UUID) -> None:
    row = connection.execute(_LOCK_RECORDING, {"recording_id": recording_id}).one_or_none()
    if row is None:
        raise UnknownRecordingError(f"there is no recording {recording_id}")
    if row.disposed_at is not None:
        raise NothingToHoldError(f"recording {recording_id} was disposed of; see its certificate")


def _standing_hold(connection: Connection, recording_id: UUID, hold_id: UUID) -> None:
    asked = select(_columns.released_at).where(_columns.hold_id == hold_id, _columns.recording_id == recording_id)
    row = connection.execute(asked).one_or_none()
    if row is None:
        raise UnknownHoldError(f"recording {recording_id} has no hold {hold_id}")
    if row.released_at is not None:
        raise HoldReleasedError(f"hold {hold_id} of recording {recording_id} was released already")


def _follow(connection: Connection, recording_id: UUID, *, now: datetime) -> None:
    """Bring the row to its holds. The stores are asked again even where the row stays as it is."""
    bring(connection, [recording_id], policy=policy_for_blocks(connection, now=now), now=now)
    want_lock(connection, recording_id)
