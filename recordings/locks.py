"""Brings the stores to what the rows of recordings want: held, locked until a date, or gone (arts. 35, 36).

The row is the queue (`is_lock_due`); a lost run or a store that is away loses nothing, and the next run goes on. One
process at a time works on a recording, and no transaction is open while a store is asked. Of a date and a hold the
date is set first and read back, and only then is the hold taken off and read back: whoever dies between the two
leaves both, which keeps more and never less. A lock is only ever made longer.
"""

from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, bindparam, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY, TEXT

from compliance.shanghai import midnight
from infra.clock import seconds_running
from infra.logs import logger
from infra.object_store import (
    NoSuchVersionError,
    ObjectStore,
    ObjectStoreError,
    StoredObject,
    UntrueStoreError,
    VersionLockedError,
)
from recordings.copy_rows import (
    MOST_AWAY,
    PERSON,
    CopiesInHandError,
    CopyRow,
    CopyState,
    Keeping,
    Kept,
    add_event,
    hand_on,
    read_kept,
    write_copy,
)
from recordings.removal import Removal, remove_copies
from recordings.tables import recordings

_AT_ONCE = 100

log = logger(__name__)


class Outcome(StrEnum):
    """How far the stores were brought to a recording."""

    DONE = "done"
    STUCK = "stuck"
    """A store does not do as it is told, or another process is at it; the recording stays due."""
    AWAY = "away"


class LocksDue(NamedTuple):
    """How many recordings the stores have not been brought to, and since when the oldest waits."""

    waiting: int
    since: datetime | None


_columns = recordings.c
_DUE = (
    select(_columns.recording_id)
    .where(_columns.is_lock_due, _columns.recording_id > bindparam("after"))
    .order_by(_columns.recording_id)
    .limit(_AT_ONCE)
)
# Each change of what a row wants has an event in the same transaction; a row without any waits since it was stored.
_COUNT_DUE = text("""
    SELECT count(*), min(coalesce(
             (SELECT max(e.recorded_at) FROM recording_events e
               WHERE e.recording_id = r.recording_id AND e.kind = ANY(:kinds)), r.recorded_at))
      FROM recordings r WHERE r.is_lock_due""").bindparams(bindparam("kinds", type_=ARRAY(TEXT)))
_MAKE_DUE = ["dated", "extended", "shortened", "held", "released", "hold_placed", "hold_released", "disposed", "copied"]


def lock_end_of(keep_through: date) -> datetime:
    """Return the instant, exclusive and in UTC, until which a store locks what is kept through this Shanghai day."""
    return midnight(keep_through + timedelta(days=1)).astimezone(UTC)


def count_due(connection: Connection) -> LocksDue:
    """Return how many recordings the stores are yet to be brought to."""
    return LocksDue(*connection.execute(_COUNT_DUE, {"kinds": _MAKE_DUE}).one())


def apply_locks(keeping: Keeping, *, most_seconds: float) -> int:
    """Bring the stores to every recording that is due, oldest first; return how many were brought."""
    ends = seconds_running() + most_seconds
    brought = away = 0
    after = UUID(int=0)
    while found := _due_after(keeping, after):
        for recording_id in found:
            if away >= MOST_AWAY or seconds_running() >= ends:
                return brought
            outcome = _bring_if_free(keeping, recording_id)
            brought += outcome is Outcome.DONE
            away = away + 1 if outcome is Outcome.AWAY else 0
        after = found[-1]
    return brought


def bring_stores(keeping: Keeping, recording_id: UUID) -> Outcome:
    """Bring the stores to one recording. The caller has the hand on it.

    Raises:
        UnknownRecordingError: there is none with this id.
    """
    with keeping.engine.begin() as connection:
        kept = read_kept(connection, recording_id)
    if not kept.is_lock_due:
        return Outcome.DONE
    if kept.disposed_at is not None:
        return Outcome.AWAY if remove_copies(keeping, kept) is Removal.AWAY else Outcome.DONE
    brought: list[tuple[CopyRow, StoredObject]] = []
    reached = Outcome.DONE
    for copy in kept.copies:
        if copy.state is not CopyState.STORED or copy.version_id is None:
            continue  # whoever restores it makes the recording due again
        try:
            stored = _bring(keeping.stores[copy.copy], kept, copy.version_id, now=keeping.clock())
        except (ObjectStoreError, ValueError) as error:
            story = {"recording_id": str(recording_id), "store": copy.store, "detail": str(error)}
            log.warning("lock_not_applied", error=type(error).__name__, **story)
            reached = Outcome.STUCK if isinstance(error, _STUCK) or reached is Outcome.STUCK else Outcome.AWAY
        else:
            brought.append((copy, stored))
    is_recorded = _record(keeping, kept, brought, is_whole=reached is Outcome.DONE)
    return reached if is_recorded or reached is not Outcome.DONE else Outcome.STUCK


_STUCK = (NoSuchVersionError, VersionLockedError, UntrueStoreError, ValueError)
"""What a store that is there says; what else befalls it is that it is away."""


def _due_after(keeping: Keeping, after: UUID) -> list[UUID]:
    with keeping.engine.begin() as connection:
        return list(connection.execute(_DUE, {"after": after}).scalars())


def _bring_if_free(keeping: Keeping, recording_id: UUID) -> Outcome:
    try:
        with hand_on(keeping.engine, recording_id):
            return bring_stores(keeping, recording_id)
    except CopiesInHandError:
        return Outcome.STUCK


def _bring(store: ObjectStore, kept: Kept, version_id: str, *, now: datetime) -> StoredObject:
    """Bring one version to what the row wants and return it as read back.

    Raises:
        UntrueStoreError: the store acknowledged a lock and, read back, does not have it.
        ObjectStoreError: the store is away, or refuses.
    """
    key = kept.object_key
    found = store.head(key, version_id)
    if kept.is_held:
        return found if found.is_held else _held(store.set_hold(key, version_id, is_held=True), is_held=True)
    if kept.keep_through is not None:
        until = lock_end_of(kept.keep_through)
        # A date that is past would be refused, and a store that locks for longer is left to it.
        if until > now and (found.retain_until is None or found.retain_until < until):
            found = store.set_retention(key, version_id, until)
            if found.retain_until is None or found.retain_until < until:
                raise UntrueStoreError(f"{store.name} took a date for {key} and, read back, has not kept it")
    return found if not found.is_held else _held(store.set_hold(key, version_id, is_held=False), is_held=False)


def _held(found: StoredObject, *, is_held: bool) -> StoredObject:
    if found.is_held is not is_held:
        raise UntrueStoreError(f"a hold on {found.key} was changed and, read back, was not")
    return found


def _record(keeping: Keeping, kept: Kept, brought: list[tuple[CopyRow, StoredObject]], *, is_whole: bool) -> bool:
    """Record what was read back. What the row wants may have changed meanwhile: then it stays due."""
    now = keeping.clock()
    with keeping.engine.begin() as connection:
        present = read_kept(connection, kept.recording_id, lock=True)
        for copy, stored in brought:
            values = {"is_held": stored.is_held, "retain_until": stored.retain_until}
            if (copy.is_held, copy.retain_until) != (stored.is_held, stored.retain_until):
                write_copy(connection, kept, copy.copy, values)
                story = {"copy": copy.copy.value, "store": copy.store, "version_id": stored.version_id}
                read_back = {"is_held": stored.is_held, "retain_until": _text(stored.retain_until)}
                add_event(connection, kept.recording_id, "locked", {**story, **read_back}, person=PERSON, now=now)
        is_done = is_whole and _wants(present) == _wants(kept)
        if is_done:
            done = update(recordings).where(_columns.recording_id == kept.recording_id)
            connection.execute(done.values(is_lock_due=False))
    return is_done


def _wants(kept: Kept) -> tuple[object, ...]:
    stored = tuple((one.copy, one.version_id) for one in kept.copies if one.state is CopyState.STORED)
    return (kept.is_held, kept.keep_through, kept.disposed_at, stored)


def _text(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
