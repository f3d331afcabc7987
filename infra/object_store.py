"""Where large evidence lies: one narrow interface, and what its stores answer and refuse.

A store keeps versions: putting a key again adds a version, deleting a key hides it, and only `delete_version` removes
bytes, which a hold or a date forbids. Whoever keeps evidence remembers the version and reads by it. Keys are made of
lower-case hex digits, letters, digits, hyphens, dots and slashes. Instants are aware UTC, whole seconds.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol


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
            UntrueStoreError: read back, it has another length, checksum or hold.
        """

    def head(self, key: str, version_id: str) -> StoredObject:
        """Raises NoSuchVersionError."""

    def read(self, key: str, version_id: str, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield the bytes [start, end) in pieces of at most 1 MiB; `end` None means to the last.

        Raises:
            NoSuchVersionError: before the first piece.
            UntrueStoreError: fewer bytes come than the version has.
        """

    def set_retention(self, key: str, version_id: str, until: datetime) -> StoredObject:
        """Lock the version until `until`, exclusive; the same or an earlier date than it has changes nothing if equal.

        Raises:
            VersionLockedError: it is locked for longer already.
            ValueError: `until` is past.
            UntrueStoreError: read back, the date is another.
        """

    def set_hold(self, key: str, version_id: str, *, is_held: bool) -> StoredObject:
        """Raises UntrueStoreError."""

    def versions(self, key: str) -> list[StoredVersion]:
        """Return every version and marker of exactly this key, newest first."""

    def delete_version(self, key: str, version_id: str) -> None:
        """Remove the bytes of a version, or a marker; one that is gone already is no error.

        Raises:
            VersionLockedError: it is on hold, or its date has not come.
        """

    def close(self) -> None:
        """Give back connections; the store opens new ones when it is used again."""
