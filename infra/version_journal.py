"""The journal of one key of a directory store: what it says, what may follow, and how a torn or edited one shows.

A line is one change as JSON, ends in a newline, and carries the SHA-256 of the line before it; the first carries that
of the key, so that a journal works in no other's place. A version is named after its line. Bytes after the last newline
were never acknowledged and count as not written. Whoever rewrites all lines, or cuts some off at the end, is not found
here: the reader's own record of versions, dates and holds is for that. No files here.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Annotated, TypeAlias

import msgspec

from infra.object_store import StoredVersion, VersionLockedError, check_lock

_DOMAIN = b"telesales object journal/1\n"
_VERSION_ID_DIGITS = 32

_Instant: TypeAlias = Annotated[datetime, msgspec.Meta(tz=True)]


class BrokenJournalError(ValueError):
    """A line does not follow from the one before; the message has its number."""


class _Line(msgspec.Struct, frozen=True, kw_only=True, tag_field="change", forbid_unknown_fields=True):
    at: _Instant
    previous: str


class Put(_Line, frozen=True, kw_only=True, tag="put"):
    """A new version."""

    sha256: str
    size_bytes: int
    is_held: bool


class Hide(_Line, frozen=True, kw_only=True, tag="hide"):
    """A marker over the versions so far."""


class Hold(_Line, frozen=True, kw_only=True, tag="hold"):
    version_id: str
    is_held: bool


class Lock(_Line, frozen=True, kw_only=True, tag="lock"):
    version_id: str
    until: _Instant


class Purge(_Line, frozen=True, kw_only=True, tag="purge"):
    """The end of a version, or of a marker."""

    version_id: str


Change: TypeAlias = Put | Hide | Hold | Lock | Purge

_decoder: msgspec.json.Decoder[Change] = msgspec.json.Decoder(Change)


@dataclass(frozen=True, slots=True)
class Version:
    """Bytes with what protects them; `sha256` in hex."""

    version_id: str
    sha256: str
    size_bytes: int
    is_held: bool
    retain_until: datetime | None = None


@dataclass(slots=True)
class Journal:
    """What a key's lines have led to: the versions that are left, oldest first, and what the next line joins."""

    key: str
    previous: str
    length: int = 0
    """Bytes of the whole lines: what lies beyond is torn off."""
    _entries: dict[str, Version | None] = field(default_factory=dict)
    """By id; None is a marker."""

    def version(self, version_id: str) -> Version | None:
        """Return a version, None if there is none or it is a marker."""
        return self._entries.get(version_id)

    def has(self, version_id: str) -> bool:
        """Whether a version or marker of this id is left."""
        return version_id in self._entries

    def latest(self) -> Version | None:
        """Return the newest version, None if there is none or a marker hides it."""
        return next(reversed(self._entries.values()), None)

    def listing(self) -> list[StoredVersion]:
        """Return versions and markers, newest first."""
        newest_first = enumerate(reversed(self._entries.items()))
        return [StoredVersion(one, number == 0, version is None) for number, (one, version) in newest_first]

    def sha256s(self) -> set[str]:
        """Return the SHA-256, in hex, of all bytes that a version still has."""
        return {one.sha256 for one in self._entries.values() if one is not None}

    def check_purge(self, version_id: str, *, at: datetime) -> None:
        """Raise VersionLockedError if a version must be kept at this instant; nothing protects a marker."""
        version = self._entries[version_id]
        if version is None:
            return
        if version.is_held:
            raise VersionLockedError(f"version {version_id} of {self.key} is on hold; release the hold first")
        if version.retain_until is not None and at < version.retain_until:
            until = f"{version.retain_until:%Y-%m-%dT%H:%M:%SZ}"
            raise VersionLockedError(f"version {version_id} of {self.key} is locked until {until}")

    def add(self, change: Change) -> bytes:
        """Return the line of `change`, which must join `previous`, after it has taken effect here.

        Raises:
            KeyError: it is about a version that is not there.
            VersionLockedError: what protects the version forbids it.
            ValueError: it locks until an instant that is past.
        """
        line = msgspec.json.encode(change)
        self._apply(change, hashlib.sha256(line).hexdigest())
        self.length += len(line) + 1
        return line + b"\n"

    def _apply(self, change: Change, digest: str) -> None:
        made = digest[:_VERSION_ID_DIGITS]
        match change:
            case Put():
                self._entries[made] = Version(made, change.sha256, change.size_bytes, change.is_held)
            case Hide():
                self._entries[made] = None
            case Hold():
                self._entries[change.version_id] = replace(self._one(change.version_id), is_held=change.is_held)
            case Lock():
                version = self._one(change.version_id)
                check_lock(self.key, version.retain_until, change.until, now=change.at)
                self._entries[change.version_id] = replace(version, retain_until=change.until)
            case Purge():
                self.check_purge(change.version_id, at=change.at)
                del self._entries[change.version_id]
        self.previous = digest

    def _one(self, version_id: str) -> Version:
        version = self._entries[version_id]
        if version is None:
            raise KeyError(version_id)
        return version


def empty_journal(key: str) -> Journal:
    """Return the journal of a key under which nothing was ever kept."""
    return Journal(key, hashlib.sha256(_DOMAIN + key.encode()).hexdigest())


def read_journal(key: str, text: bytes) -> Journal:
    """Return what the whole lines of `text` lead to.

    Raises:
        BrokenJournalError: one is none of ours, does not join the line before, or does what was not allowed.
    """
    journal = empty_journal(key)
    whole: Sequence[bytes] = text.split(b"\n")[:-1]
    for number, line in enumerate(whole, start=1):
        try:
            change = _decoder.decode(line)
            joins = change.previous == journal.previous and journal.add(change) == line + b"\n"
        except (msgspec.MsgspecError, ValueError, KeyError, VersionLockedError) as error:
            raise BrokenJournalError(f"line {number} is none that could follow") from error
        if not joins:
            raise BrokenJournalError(f"line {number} does not follow from the one before")
    return journal
