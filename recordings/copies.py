"""The copies of a recording: a store that lacks one is given it from whichever copy has the right bytes (arts. 35, 36).

The state of a copy's row is the queue. No transaction is open while a store is asked. Bytes go by way of a file of our
own, where they are hashed, so that nothing is ever put into a store that is not what was recorded. Where no copy has
the right bytes, nothing is written over anything, and an incident tells the whole story.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO
from uuid import UUID

from sqlalchemy import Connection, bindparam, func, or_, select

from infra.clock import seconds_running
from infra.logs import logger
from infra.object_store import Content, ObjectStoreError, StoredObject, UntrueStoreError, VersionLockedError
from recordings.copy_bytes import Expected, Finding, Look, look
from recordings.copy_findings import about, count, record_look
from recordings.copy_rows import (
    AWAY_AGAIN,
    LACKING,
    MOST_AWAY,
    PERSON,
    CopiesInHandError,
    CopyName,
    CopyRow,
    CopyState,
    Keeping,
    Kept,
    add_event,
    first_verification,
    hand_on,
    postpone,
    read_kept,
    want_lock,
    write_copy,
)
from recordings.fixity_incidents import tell
from recordings.tables import recording_copies, recording_events

HOPELESS_AGAIN = timedelta(hours=1)
"""So long after nothing could be done for a recording is it tried again."""

_AT_ONCE = 100

log = logger(__name__)


@dataclass(frozen=True, slots=True)
class Restored:
    """Which copies were made, and what stood in the way of others."""

    made: tuple[CopyName, ...] = ()
    is_away: bool = False
    incident_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class _Source:
    """A copy with the right bytes, now in `content`."""

    copy: CopyRow
    content: Content


@dataclass(frozen=True, slots=True)
class _Put:
    """A copy that lacked and is in its store now, `stored` as read back."""

    copy: CopyRow
    stored: StoredObject
    source: CopyName


_waiting = recording_copies.c
_WAITING = (
    select(_waiting.recording_id)
    .where(
        _waiting.state.in_(LACKING),
        _waiting.recording_id > bindparam("after"),
        or_(_waiting.verify_after.is_(None), _waiting.verify_after <= bindparam("now")),
    )
    .distinct()
    .order_by(_waiting.recording_id)
    .limit(_AT_ONCE)
)


def restore_waiting(keeping: Keeping, *, most_seconds: float) -> int:
    """Restore every copy that some store lacks, oldest recording first; return how many were made."""
    ends, made = seconds_running() + most_seconds, 0
    away: list[UUID] = []
    after = UUID(int=0)
    while found := _waiting_after(keeping, after):
        for recording_id in found:
            if seconds_running() >= ends:
                return made
            done = _restore_if_free(keeping, recording_id)
            made += len(done.made)
            away = [*away, recording_id] if done.is_away else []
            if len(away) >= MOST_AWAY:
                _let_others_come_first(keeping, away)
                return made
        after = found[-1]
    return made


def _let_others_come_first(keeping: Keeping, away: Sequence[UUID]) -> None:
    with keeping.engine.begin() as connection:
        lacking = [(one, copy.copy) for one in away for copy in read_kept(connection, one).lacking()]
        postpone(connection, lacking, until=keeping.clock() + AWAY_AGAIN)


def _waiting_after(keeping: Keeping, after: UUID) -> list[UUID]:
    with keeping.engine.begin() as connection:
        return list(connection.execute(_WAITING, {"after": after, "now": keeping.clock()}).scalars())


def _restore_if_free(keeping: Keeping, recording_id: UUID) -> Restored:
    try:
        with hand_on(keeping.engine, recording_id):
            return restore(keeping, recording_id)
    except CopiesInHandError:
        return Restored()
    except OSError as error:
        log.error("copies_not_restored", recording_id=str(recording_id), error=type(error).__name__)  # noqa: TRY400
        return Restored(is_away=True)


def restore(keeping: Keeping, recording_id: UUID) -> Restored:
    """Give each store that lacks its copy the bytes of one that has them; the caller has the hand on the recording.

    Raises:
        UnknownRecordingError: there is none with this id.
        OSError: the bytes cannot be put into a file on their way.
    """
    with keeping.engine.begin() as connection:
        kept = read_kept(connection, recording_id)
    if kept.disposed_at is not None or not kept.lacking():
        return Restored()
    with _staged(keeping.staging) as (path, file):
        source, looks = find_source(keeping, kept, file)
        if source is not None:
            content = Content(path, kept.size_bytes, kept.sha256)
            return _give(keeping, kept, _Source(source, content))
    if any(one.finding is Finding.AWAY for one in looks.values()):
        return Restored(is_away=True)
    return _record_hopeless(keeping, kept, {"copies": _looks(kept, looks)})


@contextmanager
def _staged(staging: Path) -> Iterator[tuple[Path, IO[bytes]]]:
    staging.mkdir(mode=0o700, parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=staging, prefix="copy-") as file:
        yield Path(file.name), file


def find_source(keeping: Keeping, kept: Kept, file: IO[bytes]) -> tuple[CopyRow | None, dict[CopyName, Look]]:
    """Return the copy whose right bytes are in `file` now, None if none has them, and what was found of each asked.

    Copies that were found damaged before come last: a disk that was away may be back. Damage found here is recorded.

    Raises:
        OSError: `file` cannot be written.
    """
    looks: dict[CopyName, Look] = {}
    for copy in sorted(kept.copies, key=lambda one: one.state is not CopyState.STORED):
        expected = kept.expected(copy)
        if expected is None or copy.state is CopyState.REMOVED:
            continue
        file.seek(0)
        file.truncate()
        found = looks[copy.copy] = look(keeping.stores[copy.copy], expected, to=file)
        file.flush()
        if found.finding is Finding.GOOD:
            return copy, looks
        with keeping.engine.begin() as connection:
            record_look(connection, kept, copy, found, period=keeping.period, now=keeping.clock())
    return None, looks


def _looks(kept: Kept, looks: Mapping[CopyName, Look]) -> list[dict[str, object]]:
    return [about(one, looks[one.copy]) for one in kept.copies if one.copy in looks]


def _give(keeping: Keeping, kept: Kept, source: _Source) -> Restored:
    """Put the bytes into each store that lacks them, each recorded as soon as it has them."""
    made: list[CopyName] = []
    is_away, incident_id = False, None
    with keeping.engine.begin() as connection:
        lacking = read_kept(connection, kept.recording_id).lacking()  # the search may have found more
    for copy in lacking:
        try:
            stored = _put(keeping, kept, copy, source.content)
        except (UntrueStoreError, VersionLockedError) as error:
            story = {"refused": {"copy": copy.copy.value, "store": copy.store, "detail": str(error)}}
            incident_id = _record_hopeless(keeping, kept, story).incident_id
        except ObjectStoreError as error:
            log.warning("store_away", store=copy.store, error=str(error))
            is_away = True
        else:
            if _record_put(keeping, kept, _Put(copy, stored, source.copy.copy)):
                made.append(copy.copy)
    return Restored(tuple(made), is_away, incident_id)


def _put(keeping: Keeping, kept: Kept, copy: CopyRow, content: Content) -> StoredObject:
    """Put the bytes under hold and read them back whole.

    Raises:
        UntrueStoreError: the store acknowledged them, and has others.
        ObjectStoreError: the store is away, full, or refuses.
    """
    store = keeping.stores[copy.copy]
    stored = store.put(kept.object_key, content, is_held=True)
    expected = Expected(
        key=kept.object_key,
        version_id=stored.version_id,
        size_bytes=kept.size_bytes,
        sha256=kept.sha256,
        is_held=True,
        retain_until=None,
    )
    found = look(store, expected)
    if found.finding is Finding.AWAY:
        raise ObjectStoreError(found.detail)
    if found.finding is not Finding.GOOD or not stored.is_held:
        raise UntrueStoreError(f"{store.name} took the bytes of {kept.object_key} and, read back, has not kept them")
    return stored


def _record_put(keeping: Keeping, kept: Kept, put: _Put) -> bool:
    """Record a copy that is in its store; False if the recording was disposed of meanwhile, and the copy taken back."""
    now = keeping.clock()
    with keeping.engine.begin() as connection:
        present = read_kept(connection, kept.recording_id, lock=True)
        if present.disposed_at is None:
            _record_stored(connection, present, put, period=keeping.period, now=now)
            return True
    store = keeping.stores[put.copy.copy]
    store.set_hold(kept.object_key, put.stored.version_id, is_held=False)
    store.delete_version(kept.object_key, put.stored.version_id)
    return False


def _record_stored(connection: Connection, kept: Kept, put: _Put, *, period: timedelta, now: datetime) -> None:
    was, stored = put.copy, put.stored
    values = {
        "state": CopyState.STORED,
        "store": was.store,
        "version_id": stored.version_id,
        "is_held": stored.is_held,
        "retain_until": stored.retain_until,
        "stored_at": now,
        "verified_at": now,
        "verify_after": first_verification(kept.recording_id, was.copy, now, period),
    }
    write_copy(connection, kept, was.copy, values)
    if not kept.is_held:
        want_lock(connection, kept.recording_id)
    is_new = was.state is CopyState.WANTED
    story = {
        "copy": was.copy.value,
        "store": was.store,
        "from": put.source.value,
        "sha256": kept.sha256.hex(),
        "version_id": stored.version_id,
        "was": was.state.value,
        "replaced_version_id": was.version_id,
    }
    add_event(connection, kept.recording_id, "copied" if is_new else "repaired", story, person=PERSON, now=now)
    count(connection, now=now, repaired=0 if is_new else 1)


_HISTORY = ("copied", "missing", "changed", "repaired", "unrepaired")


def _record_hopeless(keeping: Keeping, kept: Kept, story: Mapping[str, object]) -> Restored:
    """Tell, once until something changes, that a copy lacks and cannot be made; nothing is written over anything."""
    now = keeping.clock()
    with keeping.engine.begin() as connection:
        present = read_kept(connection, kept.recording_id, lock=True)
        if present.disposed_at is not None:
            return Restored()
        for copy in present.lacking():
            write_copy(connection, present, copy.copy, {"verify_after": now + HOPELESS_AGAIN})
        if _last_of(connection, kept.recording_id) == "unrepaired":
            return Restored()
        add_event(connection, kept.recording_id, "unrepaired", story, person=PERSON, now=now)
        incident_id = tell(connection, present, {"what": "unrepaired", "unrepaired": dict(story)}, now=now)
    log.error("copies_not_restored", recording_id=str(kept.recording_id), incident_id=str(incident_id))
    return Restored(incident_id=incident_id)


def _last_of(connection: Connection, recording_id: UUID) -> str | None:
    columns = recording_events.c
    wanted = select(columns.kind).where(columns.recording_id == recording_id, columns.kind == func.any(list(_HISTORY)))
    order = (columns.recorded_at.desc(), columns.event_id.desc())
    found: str | None = connection.execute(wanted.order_by(*order).limit(1)).scalar_one_or_none()
    return found
