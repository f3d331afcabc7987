"""Takes the bytes of disposed recordings out of every store, version by version (art. 35; the certificate stays).

A version that its store still locks stays, and the recording's history tells until when; `find_unlocked` finds it when
its time has come. A store that is away is asked again by the next run. What browsers play goes with the original, and
last what is drawn of the sound.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, delete, select, text, update

from infra.logs import logger
from infra.object_store import NoSuchVersionError, ObjectStore, ObjectStoreError, VersionLockedError
from recordings.copy_rows import PERSON, CopyRow, CopyState, Keeping, Kept, add_event, write_copy
from recordings.tables import recording_events, recording_media, recordings

REMOVED, LOCKED = "removed", "removal_locked"
"""Kinds of events: the bytes of a copy are gone; a store still locks a version."""

log = logger(__name__)


class _Emptied(NamedTuple):
    """What became of the versions of a copy in its store: those gone, those still locked and until when."""

    gone: tuple[str, ...]
    locked: tuple[tuple[str, datetime | None], ...]


class Removal(StrEnum):
    """How far the removal of a recording came."""

    DONE = "done"
    LOCKED = "locked"
    """A store still locks some of it; there is nothing to do before its date."""
    AWAY = "away"


def remove_copies(keeping: Keeping, kept: Kept) -> Removal:
    """Remove the bytes of a disposed recording from its stores. The caller has the hand on the recording."""
    with keeping.engine.begin() as connection:
        playable = _playable_key(connection, kept.recording_id)
    keys = [kept.object_key] if playable is None else [kept.object_key, playable]
    reached = Removal.DONE
    for copy in kept.copies:
        if copy.state is CopyState.REMOVED:
            continue
        try:
            emptied = _empty(keeping.stores[copy.copy], keys)
        except ObjectStoreError as error:
            story = {"recording_id": str(kept.recording_id), "store": copy.store, "detail": str(error)}
            log.warning("copy_not_removed", error=type(error).__name__, **story)
            reached = Removal.AWAY
        else:
            _record(keeping, kept, copy, emptied)
            if emptied.locked and reached is Removal.DONE:
                reached = Removal.LOCKED
    _finish(keeping, kept, reached)
    return reached


def find_unlocked(connection: Connection, *, now: datetime) -> int:
    """Make disposed recordings due again of which a store no longer locks what it did; return how many."""
    return connection.execute(_UNLOCKED, {"now": now}).rowcount


_UNLOCKED = text("""
    UPDATE recordings r SET is_lock_due = true
     WHERE r.disposed_at IS NOT NULL AND NOT r.is_lock_due AND EXISTS (
             SELECT FROM recording_copies c WHERE c.recording_id = r.recording_id AND c.state <> 'removed'
                AND (c.retain_until IS NULL OR c.retain_until <= :now))""")


def _playable_key(connection: Connection, recording_id: UUID) -> str | None:
    asked = select(recording_media.c.playable_key).where(recording_media.c.recording_id == recording_id)
    found: str | None = connection.execute(asked).scalar_one_or_none()
    return found


def _empty(store: ObjectStore, keys: Sequence[str]) -> _Emptied:
    """Remove every version and marker of `keys` that the store lets go.

    Raises:
        ObjectStoreError: the store is away, or shows versions that it said were gone.
    """
    gone: list[str] = []
    locked: list[tuple[str, datetime | None]] = []
    for key in keys:
        for version in store.versions(key):
            try:
                if not version.is_marker:
                    _release(store, key, version.version_id)
                store.delete_version(key, version.version_id)
            except VersionLockedError:
                locked.append((version.version_id, store.head(key, version.version_id).retain_until))
            else:
                gone.append(version.version_id)
        left = {one.version_id for one in store.versions(key)}
        if left.intersection(gone):
            raise ObjectStoreError(f"{store.name} still shows versions of {key} that it said it had removed")
    return _Emptied(tuple(gone), tuple(locked))


def _release(store: ObjectStore, key: str, version_id: str) -> None:
    """Take a hold off: two officers have agreed that nothing holds the recording any more."""
    try:
        found = store.head(key, version_id)
    except NoSuchVersionError:
        return  # its bytes are gone already; its place in the list goes with it
    if found.is_held:
        store.set_hold(key, version_id, is_held=False)


def _record(keeping: Keeping, kept: Kept, copy: CopyRow, emptied: _Emptied) -> None:
    now = keeping.clock()
    about = {"copy": copy.copy.value, "store": copy.store}
    locked = [
        {"version_id": version_id, "retain_until": None if until is None else until.isoformat()}
        for version_id, until in emptied.locked
    ]
    with keeping.engine.begin() as connection:
        if locked:
            until = max((one for _, one in emptied.locked if one is not None), default=None)
            write_copy(connection, kept, copy.copy, {"retain_until": until, "is_held": False})
            told = {**about, "versions": locked}
            if not _was_told(connection, kept.recording_id, told):
                add_event(connection, kept.recording_id, LOCKED, told, person=PERSON, now=now)
            return
        write_copy(connection, kept, copy.copy, {"state": CopyState.REMOVED, "is_held": False, "verify_after": None})
        gone = {**about, "versions": list(emptied.gone)}
        add_event(connection, kept.recording_id, REMOVED, gone, person=PERSON, now=now)


def _was_told(connection: Connection, recording_id: UUID, told: Mapping[str, object]) -> bool:
    columns = recording_events.c
    asked = select(columns.event_id).where(
        columns.recording_id == recording_id, columns.kind == LOCKED, columns.details == told
    )
    return connection.execute(asked.limit(1)).one_or_none() is not None


def _finish(keeping: Keeping, kept: Kept, reached: Removal) -> None:
    """Forget what was drawn of the sound once no store has any of it; ask no more where nothing can be done yet."""
    if reached is Removal.AWAY:
        return
    with keeping.engine.begin() as connection:
        if reached is Removal.DONE:
            connection.execute(delete(recording_media).where(recording_media.c.recording_id == kept.recording_id))
        done = update(recordings).where(recordings.c.recording_id == kept.recording_id)
        connection.execute(done.values(is_lock_due=False))
