"""Rows of the copies of a recording: what is known of each, read and written in the caller's transaction.

Whoever works on the copies of a recording takes its hand first, which dies with the process; what was read before a
store was asked is read again under a lock of the recording's row before anything is written.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from uuid import UUID

from sqlalchemy import Connection, Engine, insert, select, tuple_, update

from compliance.sale_tables import sale_calls
from infra.advisory_locks import held_if_free, lock_key
from infra.clock import Clock
from infra.ids import new_id
from infra.object_store import ObjectStore
from recordings.copy_bytes import Expected
from recordings.tables import recording_copies, recording_events, recordings

PERSON = "archive"
"""Who acts where no person does."""


class CopyName(StrEnum):
    FIRST = "first"
    SECOND = "second"


class CopyState(StrEnum):
    WANTED = "wanted"
    STORED = "stored"
    MISSING = "missing"
    CHANGED = "changed"
    REMOVED = "removed"


AWAY_AGAIN = timedelta(minutes=5)
"""So long those wait that kept a run from going on, while others are tried."""

MOST_AWAY = 3
"""After so many in a row about which a store could say nothing a run ends: most likely the store is away."""

LACKING = (CopyState.WANTED, CopyState.MISSING, CopyState.CHANGED)
"""States in which a store does not have the bytes that it should."""


class UnknownRecordingError(LookupError):
    """No recording has this id."""


class CopiesInHandError(RuntimeError):
    """Another process works on the copies of this recording right now."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """What keeping copies works with: the stores by name of copy, a directory for bytes on their way, the period."""

    engine: Engine
    clock: Clock
    stores: Mapping[str, ObjectStore]
    staging: Path
    period: timedelta
    """Every copy is hashed again within it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyRow:
    copy: CopyName
    store: str
    state: CopyState
    version_id: str | None
    is_held: bool
    retain_until: datetime | None
    stored_at: datetime | None
    verified_at: datetime | None
    verify_after: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A recording as far as its copies are concerned."""

    recording_id: UUID
    sha256: bytes
    size_bytes: int
    object_key: str
    call_id: str | None
    policy_no: str | None
    is_held: bool
    keep_through: date | None
    is_lock_due: bool
    disposed_at: datetime | None
    copies: tuple[CopyRow, ...]

    def copy(self, name: str) -> CopyRow | None:
        return next((one for one in self.copies if one.copy == name), None)

    def lacking(self) -> list[CopyRow]:
        return [one for one in self.copies if one.state in LACKING]

    def expected(self, copy: CopyRow) -> Expected | None:
        """Return what the store should have; None while nothing was put into it."""
        if copy.version_id is None:
            return None
        return Expected(
            key=self.object_key,
            version_id=copy.version_id,
            size_bytes=self.size_bytes,
            sha256=self.sha256,
            is_held=copy.is_held,
            retain_until=copy.retain_until,
        )


_KEPT = [recordings.c[name] for name in Kept.__dataclass_fields__ if name != "copies"]
_COPY = [recording_copies.c[name] for name in CopyRow.__dataclass_fields__]


def read_kept(connection: Connection, recording_id: UUID, *, lock: bool = False) -> Kept:
    """Return a recording with its copies, its row locked until the transaction ends if `lock`.

    Raises:
        UnknownRecordingError: there is none with this id.
    """
    statement = select(*_KEPT).where(recordings.c.recording_id == recording_id)
    # Locked in a statement of its own: the copies must be read as whoever held the lock before left them.
    row = connection.execute(statement.with_for_update() if lock else statement).mappings().one_or_none()
    if row is None:
        raise UnknownRecordingError(f"there is no recording {recording_id}")
    theirs = recording_copies.c.recording_id == recording_id
    rows = connection.execute(select(*_COPY).where(theirs).order_by(recording_copies.c.copy)).mappings()
    copies = tuple(CopyRow(**{**one, "copy": CopyName(one["copy"]), "state": CopyState(one["state"])}) for one in rows)
    return Kept(**row, copies=copies)


def write_copy(connection: Connection, kept: Kept, name: CopyName, values: Mapping[str, object]) -> None:
    """Change the row of a copy."""
    theirs = (recording_copies.c.recording_id == kept.recording_id) & (recording_copies.c.copy == name)
    connection.execute(update(recording_copies).where(theirs).values(**values))


def postpone(connection: Connection, copies: Sequence[tuple[UUID, CopyName]], *, until: datetime) -> None:
    """Have others come before these copies, whose stores could not say anything about them."""
    columns = recording_copies.c
    is_sooner = columns.verify_after.is_(None) | (columns.verify_after < until)
    theirs = tuple_(columns.recording_id, columns.copy).in_(copies)
    connection.execute(update(recording_copies).where(theirs, is_sooner).values(verify_after=until))


def want_lock(connection: Connection, recording_id: UUID) -> None:
    """Have the stores brought to what the recording's row wants."""
    mine = recordings.c.recording_id == recording_id
    connection.execute(update(recordings).where(mine, ~recordings.c.is_lock_due).values(is_lock_due=True))


def add_event(
    connection: Connection, recording_id: UUID, kind: str, details: Mapping[str, object], *, person: str, now: datetime
) -> None:
    """Add an event to the history of a recording; `details` are JSON, without numbers and names of customers."""
    row = {"event_id": new_id(), "recording_id": recording_id, "kind": kind, "details": dict(details)}
    connection.execute(insert(recording_events).values(**row, actor=person, recorded_at=now))


def sales_of(connection: Connection, kept: Kept) -> list[str]:
    """Return the policy numbers of the sales that a recording belongs to, by its own word or through its call."""
    found = {kept.policy_no} if kept.policy_no is not None else set()
    if kept.call_id is not None:
        named = select(sale_calls.c.policy_no).where(sale_calls.c.call_id == kept.call_id)
        found.update(connection.execute(named).scalars())
    return sorted(found)


def hand_of(recording_id: UUID) -> int:
    """Return the key of the advisory lock that `hand_on` holds."""
    return lock_key(b"recording copies" + recording_id.bytes)


@contextmanager
def hand_on(engine: Engine, recording_id: UUID) -> Iterator[None]:
    """Be the only one to work on the copies of a recording; held by a connection and no transaction.

    Raises:
        CopiesInHandError: another process does.
    """
    with held_if_free(engine, hand_of(recording_id)) as is_ours:
        if not is_ours:
            raise CopiesInHandError(
                f"the copies of recording {recording_id} are being worked on; ask again in a moment"
            )
        yield


def next_verification(now: datetime, period: timedelta) -> datetime:
    """Return when a copy that was verified now is to be hashed again."""
    return now + period


def first_verification(recording_id: UUID, copy: str, stored_at: datetime, period: timedelta) -> datetime:
    """Return when a copy stored at `stored_at` is to be hashed for the first time: at its own place in the period.

    The place follows from the id, so that what came in on one day is not due on one day, now or ever after.
    """
    name = hashlib.blake2b(recording_id.bytes + copy.encode(), digest_size=4).digest()
    return stored_at + period * (int.from_bytes(name) / 2**32)
