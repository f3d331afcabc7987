"""What was found of a copy, written down: its row, the recording's history, the incident, the day's count.

Each function runs in the caller's transaction, locks the recording's row, and writes nothing about a copy that was
changed since it was looked at: what was found then says nothing about what is there now.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, text

from compliance.shanghai import shanghai_day
from recordings.copy_bytes import Finding, LockLook, Look
from recordings.copy_rows import (
    PERSON,
    CopyRow,
    CopyState,
    Kept,
    add_event,
    next_verification,
    read_kept,
    want_lock,
    write_copy,
)
from recordings.fixity_incidents import tell

_STATES = {Finding.CHANGED: CopyState.CHANGED, Finding.MISSING: CopyState.MISSING}
_COUNT = text("""
    INSERT INTO fixity_days AS d (day, copies, bytes, damaged, weakened, repaired)
    VALUES (:day, :copies, :bytes, :damaged, :weakened, :repaired)
    ON CONFLICT (day) DO UPDATE SET copies = d.copies + excluded.copies, bytes = d.bytes + excluded.bytes,
      damaged = d.damaged + excluded.damaged, weakened = d.weakened + excluded.weakened,
      repaired = d.repaired + excluded.repaired""")
_NOTHING = {"copies": 0, "bytes": 0, "damaged": 0, "weakened": 0, "repaired": 0}


def count(connection: Connection, *, now: datetime, **found: int) -> None:
    """Add to the counts of the Shanghai day of `now`."""
    connection.execute(_COUNT, {**_NOTHING, **found, "day": shanghai_day(now)})


def same_still(connection: Connection, kept: Kept, copy: CopyRow) -> Kept | None:
    """Lock the recording and return it as it is now; None if the copy is no longer as it was, or all is disposed of."""
    present = read_kept(connection, kept.recording_id, lock=True)
    found = present.copy(copy.copy)
    if present.disposed_at is not None or found is None:
        return None
    # A repair may have put the right bytes under the same version since: then it is stored anew.
    is_same = (found.state, found.version_id, found.stored_at) == (copy.state, copy.version_id, copy.stored_at)
    return present if is_same else None


def about(copy: CopyRow, found: Look) -> dict[str, object]:
    """Return what an event or an incident says of a look at a copy."""
    return {
        "copy": copy.copy.value,
        "store": copy.store,
        "version_id": copy.version_id,
        "found": found.finding.value,
        "found_sha256": None if found.sha256 is None else found.sha256.hex(),
        "read_bytes": found.read_bytes,
        "detail": found.detail,
    }


def record_look(
    connection: Connection, kept: Kept, copy: CopyRow, found: Look, *, period: timedelta, now: datetime
) -> UUID | None:
    """Record what was found of a stored copy; return the incident if it is damaged.

    A copy known to be lacking stays so until it is restored, and is not told again. A store that is away shows nothing.
    """
    if found.finding is Finding.AWAY or copy.state is not CopyState.STORED:
        return None
    present = same_still(connection, kept, copy)
    if present is None:
        return None
    if found.finding is Finding.GOOD:
        dates = {"verified_at": now, "verify_after": next_verification(now, period)}
        write_copy(connection, present, copy.copy, dates)
        count(connection, now=now, copies=1, bytes=found.read_bytes)
        return None
    state = _STATES[found.finding]
    write_copy(connection, present, copy.copy, {"state": state, "verify_after": None})
    story = about(copy, found)
    add_event(connection, present.recording_id, state.value, story, person=PERSON, now=now)
    count(connection, now=now, copies=1, bytes=found.read_bytes, damaged=1)
    return tell(connection, present, {"what": "damaged", "damaged": story}, now=now)


def may_judge_lock(present: Kept, copy: CopyRow) -> bool:
    """Say whether only tampering can make the lock of a copy differ from its row.

    Not while the stores are being brought to what the recording wants, nor if the row was written since it was read.
    """
    now = present.copy(copy.copy)
    if now is None or present.is_lock_due:
        return False
    return (now.is_held, now.retain_until) == (copy.is_held, copy.retain_until)


def record_lock(
    connection: Connection, kept: Kept, copy: CopyRow, found: LockLook, *, unhidden: bool, now: datetime
) -> UUID | None:
    """Record what a store shows of a copy's lock; return the incident if it is weaker than it was, else None.

    The row takes what was read back, and the stores are brought to what the recording wants again.
    """
    present = same_still(connection, kept, copy)
    if present is None or not may_judge_lock(present, copy):
        return None
    shown = {"is_held": found.shown.is_held, "retain_until": found.shown.retain_until}
    if shown != {"is_held": copy.is_held, "retain_until": copy.retain_until}:
        write_copy(connection, present, copy.copy, shown)
    if not found.weaknesses:
        return None
    want_lock(connection, present.recording_id)
    story = {
        "copy": copy.copy.value,
        "store": copy.store,
        "version_id": copy.version_id,
        "found": [one.value for one in found.weaknesses],
        "was": _lock(copy.is_held, copy.retain_until),
        "is": _lock(found.shown.is_held, found.shown.retain_until),
        "over": found.over,
        "unhidden": unhidden,
    }
    add_event(connection, present.recording_id, "weakened", story, person=PERSON, now=now)
    count(connection, now=now, weakened=1)
    return tell(connection, present, {"what": "weakened", "weakened": story}, now=now)


def _lock(is_held: bool, retain_until: datetime | None) -> Mapping[str, object]:  # noqa: FBT001 - one pair of values
    return {"is_held": is_held, "retain_until": None if retain_until is None else retain_until.isoformat()}
