"""Where large evidence lies: one narrow interface, and what its stores answer and refuse.

A store keeps versions: putting a key again adds a version, deleting a key hides it, and only `delete_version` removes
bytes, which a hold or a date forbids. Whoever keeps evidence remembers the version and reads by it. Keys are segments
of letters, digits, hyphens, underscores and dots between single slashes. Instants are aware UTC, whole seconds.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

PIECE_BYTES = 1024 * 1024
SMALL_BYTES = 4 * PIECE_BYTES
"""A file of so many bytes may lie in memory as a whole: minutes of a call, for each of those that put at once."""

_LONGEST_KEY = 800
_SEGMENT = re.compile(r"[A-Za-z0-9_.-]{1,150}", re.ASCII)


class ObjectStoreError(RuntimeError):
    """The store cannot be reached, is full, or fails; the message says what to do and quotes no credentials."""


class NoSuchVersionError(ObjectStoreError, LookupError):
    """The store answers, and has no such version of this key."""


class VersionLockedError(ObjectStoreError):
    """The version is on hold, or its date has not come, or the change asked for would shorten what protects it."""


class UntrueStoreError(ObjectStoreError):
    """The store acknowledged something and, read back, shows something else: nothing it said may be relied on."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """A version as the store shows it now. `sha256` None: the store keeps no checksum of its own."""

    key: str
    version_id: str
    size_bytes: int
    sha256: bytes | None
    is_held: bool
    retain_until: datetime | None


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """An entry in a key's list of versions, newest first; a marker hides the key and has no bytes."""

    version_id: str
    is_latest: bool
    is_marker: bool


@dataclass(frozen=True, slots=True)
class Content:
    """What is to be put: a file on disk, with its length and SHA-256 known beforehand."""

    path: Path
    size_bytes: int
    sha256: bytes


@dataclass(frozen=True, slots=True)
class ProbeRow:
    """What was tried on a store, what had to happen, and what happened."""

    name: str
    expected: str
    found: str
    is_ok: bool
    is_needed: bool


class ObjectStore(Protocol):
    """Every method may raise ObjectStoreError; what is raised beyond that stands beside each."""

    @property
    def name(self) -> str:
        """Where the store is, for people: a URL or path without credentials."""

    @property
    def is_worm(self) -> bool:
        """Whether the store itself refuses its clients to shorten or delete what is locked, as last probed."""

    def put(self, key: str, content: Content, *, is_held: bool) -> StoredObject:
        """Keep `content` durably as a new version, and return it as read back.

        When the key's latest version has these bytes and this hold already, as after a retry, that one is returned.

        Raises:
            ValueError: `content.path` has other bytes than `content` says.
            UntrueStoreError: read back, it has another length, checksum or hold.
        """

    def head(self, key: str, version_id: str) -> StoredObject:
        """Raises NoSuchVersionError."""

    def read(self, key: str, version_id: str, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield the bytes [start, end) in pieces of at most 1 MiB, cut to what there is; `end` None: to the last.

        Raises:
            NoSuchVersionError: at once, before anything is iterated.
            UntrueStoreError: while iterated: fewer bytes come than the version has.
        """

    def set_retention(self, key: str, version_id: str, until: datetime) -> StoredObject:
        """Lock the version until `until`, exclusive, rounded up to a whole second; the same date changes nothing.

        Raises:
            VersionLockedError: it is locked for longer already.
            ValueError: `until` is past, or has no offset.
            NoSuchVersionError: there is none.
            UntrueStoreError: read back, the date is another.
        """

    def set_hold(self, key: str, version_id: str, *, is_held: bool) -> StoredObject:
        """Put the version on hold, or take it off; raises NoSuchVersionError and UntrueStoreError."""

    def versions(self, key: str) -> list[StoredVersion]:
        """Return every version and marker of exactly this key, newest first."""

    def delete_version(self, key: str, version_id: str) -> None:
        """Remove the bytes of a version, or a marker; one that is gone already is no error.

        Raises:
            VersionLockedError: it is on hold, or its date has not come.
        """

    def close(self) -> None:
        """Give back connections; the store opens new ones when it is used again."""


class ProbedStore(ObjectStore, Protocol):
    """A store that can be tried."""

    def probe(self) -> list[ProbeRow]:
        """Try on small objects below `probe/` whether it refuses what it must; `is_worm` says so from then on.

        Raises:
            ObjectStoreError: it cannot be reached, or not be written to.
        """


def check_key(key: str) -> None:
    """Raise ValueError if a store cannot keep anything under `key`: the same keys are good in every store."""
    if len(key) > _LONGEST_KEY or any(not _SEGMENT.fullmatch(one) or one in {".", ".."} for one in key.split("/")):
        raise ValueError("a key must be segments of letters, digits and _.- between single slashes, 800 in all")


def check_content(content: Content) -> None:
    """Raise ValueError if the file does not have the length and the bytes that were said."""
    with content.path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").digest()
    if (content.path.stat().st_size, found) != (content.size_bytes, content.sha256):
        raise _other_bytes()


def _other_bytes() -> ValueError:
    return ValueError("the file to be kept has other bytes than was said, or was changed while it was read")


def read_if_small(content: Content, *, most_bytes: int) -> bytes | None:
    """Return the bytes of a file that is not larger than `most_bytes`, else None; they are checked either way.

    Raises:
        ValueError: the file does not have the length and the bytes that were said.
    """
    if content.size_bytes > most_bytes:
        check_content(content)
        return None
    with content.path.open("rb") as file:
        found = file.read(content.size_bytes + 1)
    if len(found) != content.size_bytes or hashlib.sha256(found).digest() != content.sha256:
        raise _other_bytes()
    return found


def check_span(start: int, end: int | None) -> None:
    """Raise ValueError if no bytes [start, end) can be meant."""
    if start < 0 or (end is not None and end < start):
        raise ValueError(f"bytes [{start}, {end}) are no range; begin at 0 or later, and end no earlier")


def lock_end(until: datetime) -> datetime:
    """Return `until` in UTC, its fraction of a second rounded up: stores know whole seconds, and none may be lost.

    Raises:
        ValueError: it has no offset, so that nobody knows which instant it is.
    """
    if until.tzinfo is None:
        raise ValueError("a lock must end at an instant with an offset from UTC")
    whole = until.astimezone(UTC).replace(microsecond=0)
    return whole if whole == until else whole + timedelta(seconds=1)


def check_lock(key: str, current: datetime | None, until: datetime, *, now: datetime) -> None:
    """Raise if a version locked until `current` may not be locked until `until` instead, both of `lock_end`.

    Raises:
        ValueError: `until` is past.
        VersionLockedError: it is earlier than `current`.
    """
    if until <= now:
        raise ValueError(f"{key} cannot be locked until {until:%Y-%m-%dT%H:%M:%SZ}, which is past")
    if current is not None and until < current:
        raise VersionLockedError(
            f"{key} is locked until {current:%Y-%m-%dT%H:%M:%SZ}, and not to be unlocked at {until:%Y-%m-%dT%H:%M:%SZ}"
        )
