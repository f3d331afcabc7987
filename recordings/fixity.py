"""Fixity: every copy is hashed again within a period, and its lock compared with what was last read back (art. 35).

What is damaged or less locked than it was becomes an event and an incident at once, and is repaired from the other copy
in the same breath. A copy that is due waits its turn, oldest first; a run ends by bytes and by time, so that nothing
else on the machine is kept waiting.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import bindparam, select, tuple_

from infra.clock import seconds_running
from infra.logs import logger
from infra.object_store import ObjectStore, ObjectStoreError
from recordings.copies import Restored, restore
from recordings.copy_bytes import Expected, Finding, Weakness, look, look_at_lock
from recordings.copy_findings import may_judge_lock, record_lock, record_look
from recordings.copy_rows import (
    AWAY_AGAIN,
    MOST_AWAY,
    CopiesInHandError,
    CopyName,
    CopyRow,
    CopyState,
    Keeping,
    Kept,
    hand_on,
    postpone,
    read_kept,
)
from recordings.fixity_incidents import open_incident_of
from recordings.tables import recording_copies, recordings

_AT_ONCE = 200

log = logger(__name__)


class DisposedError(ValueError):
    """The recording was disposed of; there are no bytes to be verified."""


class Limits(NamedTuple):
    """How much a run reads at most; a copy that is larger than all of it is read in a run of its own."""

    most_bytes: int
    most_seconds: float


@dataclass(frozen=True, slots=True)
class CheckedCopy:
    """What was found of a copy before any repair; `weaknesses` of its lock are those found now."""

    store: str
    finding: Finding
    sha256: bytes | None
    weaknesses: tuple[Weakness, ...] = ()

    @property
    def is_good(self) -> bool:
        return self.finding is Finding.GOOD and not self.weaknesses


@dataclass(frozen=True, slots=True)
class Verified:
    """What a verification of a recording found; `is_repaired` if anything was put right after it."""

    copies: tuple[CheckedCopy, ...]
    is_repaired: bool
    incident_id: UUID | None

    @property
    def is_good(self) -> bool:
        return all(one.is_good for one in self.copies)


class _Checked(NamedTuple):
    shown: CheckedCopy
    read_bytes: int
    is_unhidden: bool
    incident_id: UUID | None


def verify_recording(keeping: Keeping, recording_id: UUID) -> Verified:
    """Hash every copy of a recording now and repair what is damaged.

    A copy that was never made yet is made first: that it was still wanted is no damage.

    Raises:
        UnknownRecordingError: there is none with this id.
        DisposedError: it was disposed of.
        CopiesInHandError: another process works on its copies right now.
    """
    _read(keeping, recording_id)
    with hand_on(keeping.engine, recording_id):
        if any(one.state is CopyState.WANTED for one in _read(keeping, recording_id).copies):
            restore(keeping, recording_id)
        kept = _read(keeping, recording_id)
        checked = [_check(keeping, kept, one) for one in kept.copies if one.state is not CopyState.REMOVED]
        restored = restore(keeping, recording_id)
    incidents = [one.incident_id for one in checked] + [restored.incident_id]
    incident_id = next((one for one in incidents if one is not None), None)
    copies = tuple(one.shown for one in checked)
    if incident_id is None and not all(one.is_good for one in copies):
        with keeping.engine.begin() as connection:
            incident_id = open_incident_of(connection, recording_id)
    is_repaired = bool(restored.made) or any(one.is_unhidden for one in checked)
    return Verified(copies, is_repaired, incident_id)


def _read(keeping: Keeping, recording_id: UUID) -> Kept:
    with keeping.engine.begin() as connection:
        kept = read_kept(connection, recording_id)
    if kept.disposed_at is not None:
        raise DisposedError(
            f"recording {recording_id} was disposed of on {kept.disposed_at:%Y-%m-%d}; see its certificate"
        )
    return kept


def _check(keeping: Keeping, kept: Kept, copy: CopyRow) -> _Checked:
    """Hash one copy, compare its lock, and record what was found."""
    expected = kept.expected(copy)
    if expected is None:
        return _Checked(CheckedCopy(copy.store, Finding.MISSING, None), 0, is_unhidden=False, incident_id=None)
    store = keeping.stores[copy.copy]
    found = look(store, expected)
    with keeping.engine.begin() as connection:
        incident_id = record_look(connection, kept, copy, found, period=keeping.period, now=keeping.clock())
    shown = CheckedCopy(copy.store, found.finding, found.sha256)
    if found.finding not in {Finding.GOOD, Finding.CHANGED} or copy.state is not CopyState.STORED:
        return _Checked(shown, found.read_bytes, is_unhidden=False, incident_id=incident_id)
    weaknesses, is_unhidden, told = _check_lock(keeping, kept, copy, expected)
    shown = CheckedCopy(copy.store, found.finding, found.sha256, weaknesses)
    return _Checked(shown, found.read_bytes, is_unhidden=is_unhidden, incident_id=incident_id or told)


def _check_lock(
    keeping: Keeping, kept: Kept, copy: CopyRow, expected: Expected
) -> tuple[tuple[Weakness, ...], bool, UUID | None]:
    """Return how the lock is weaker than it was, whether the key was laid open again, and the incident."""
    if not may_judge_lock(kept, copy):
        return (), False, None
    store = keeping.stores[copy.copy]
    try:
        found = look_at_lock(store, expected)
        is_unhidden = Weakness.HIDDEN in found.weaknesses and _unhide(store, expected.key, found.over)
    except ObjectStoreError as error:
        log.warning("lock_not_compared", store=copy.store, recording_id=str(kept.recording_id), error=str(error))
        return (), False, None
    with keeping.engine.begin() as connection:
        now = keeping.clock()
        incident_id = record_lock(connection, kept, copy, found, unhidden=is_unhidden, now=now)
    return (found.weaknesses if incident_id is not None else ()), is_unhidden, incident_id


def _unhide(store: ObjectStore, key: str, marker: str | None) -> bool:
    """Take a delete marker away: it holds no bytes, and below it versions look like such as nobody needs any more."""
    if marker is None:
        return False
    try:
        store.delete_version(key, marker)
    except ObjectStoreError as error:
        log.warning("marker_not_removed", store=store.name, error=str(error))
        return False
    return True


class _Due(NamedTuple):
    recording_id: UUID
    size_bytes: int
    verify_after: datetime | None


_copies = recording_copies.c
_DUE = (
    select(_copies.recording_id, recordings.c.size_bytes, _copies.verify_after)
    .join(recordings, recordings.c.recording_id == _copies.recording_id)
    .where(
        _copies.state == CopyState.STORED.value,
        _copies.copy == bindparam("copy"),
        recordings.c.disposed_at.is_(None),
    )
    .limit(_AT_ONCE)
)
# Two statements, and not one with OR: each then reads no more of the index than it returns.
_DUE_UNSET = _DUE.where(_copies.verify_after.is_(None), _copies.recording_id > bindparam("after")).order_by(
    _copies.recording_id
)
_DUE_BY_NOW = _DUE.where(
    _copies.verify_after <= bindparam("now"),
    tuple_(_copies.verify_after, _copies.recording_id) > tuple_(bindparam("after_at"), bindparam("after")),
).order_by(_copies.verify_after, _copies.recording_id)
_BEFORE_ALL = datetime(1, 1, 2, tzinfo=UTC)


def verify_due(keeping: Keeping, limits: Limits) -> int:
    """Verify the copies that are due, oldest first, until a limit is reached; return how many bytes were read.

    A store that is away ends the turn of its copies, and not that of the other store's. Those that it could say nothing
    about come later than others then: it may be just these.
    """
    ends, read_bytes = seconds_running() + limits.most_seconds, 0
    for name in CopyName:
        away: list[tuple[UUID, CopyName]] = []
        for due in _due(keeping, name):
            left = limits.most_bytes - read_bytes
            if seconds_running() >= ends or left <= 0 or (due.size_bytes > left and read_bytes):
                break
            found = _verify_one(keeping, due.recording_id, name)
            read_bytes += found.read_bytes
            away = [*away, (due.recording_id, name)] if found.shown.finding is Finding.AWAY else []
            if len(away) >= MOST_AWAY:
                log.warning("store_away", store=found.shown.store)
                with keeping.engine.begin() as connection:
                    postpone(connection, away, until=keeping.clock() + AWAY_AGAIN)
                break
    return read_bytes


_NOT_CHECKED = _Checked(CheckedCopy("", Finding.MISSING, None), 0, is_unhidden=False, incident_id=None)


def _verify_one(keeping: Keeping, recording_id: UUID, name: CopyName) -> _Checked:
    """Verify one copy and repair it if it is damaged; one that somebody else has in hand is left to the next run."""
    try:
        with hand_on(keeping.engine, recording_id):
            kept = _read(keeping, recording_id)
            copy = kept.copy(name)
            if copy is None or copy.state is not CopyState.STORED:
                return _NOT_CHECKED
            found = _check(keeping, kept, copy)
            if found.shown.finding in {Finding.CHANGED, Finding.MISSING}:
                _repair(keeping, recording_id)
            return found
    except (CopiesInHandError, DisposedError):
        return _NOT_CHECKED


def _repair(keeping: Keeping, recording_id: UUID) -> Restored:
    try:
        return restore(keeping, recording_id)
    except OSError as error:
        log.error("copies_not_restored", recording_id=str(recording_id), error=type(error).__name__)  # noqa: TRY400
        return Restored(is_away=True)


def _due(keeping: Keeping, name: CopyName) -> Iterator[_Due]:
    """Yield the copies of one store that are due, those first of which no day is known, each once."""
    until = keeping.clock()
    for statement in (_DUE_UNSET, _DUE_BY_NOW):
        place = {"after": UUID(int=0), "after_at": _BEFORE_ALL}
        while True:
            with keeping.engine.begin() as connection:
                rows = connection.execute(statement, {"copy": name.value, "now": until, **place})
                found = [_Due(*row) for row in rows]
            if not found:
                break
            yield from found
            place = {"after": found[-1].recording_id, "after_at": found[-1].verify_after or _BEFORE_ALL}
