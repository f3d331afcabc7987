"""Checkpoints outside the database: where they go, and what they say about the database.

A database cannot show by itself that it is not an old copy of itself. The newest checkpoint therefore also lies
somewhere else, and is compared with the tree at each start and each sealing. One that contradicts the tree is never
replaced: it stays, and the alarm with it, until somebody has looked and moved it away.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection

from compliance.ledger_keys import PublicKey, verify_as_of_its_time
from compliance.ledger_reading import StoredCheckpoint, latest_checkpoint, read_origin
from compliance.ledger_tree import MissingHashError, root_at
from compliance.shanghai import shanghai_day
from compliance.signed_notes import Checkpoint, NoteError, read_checkpoint

NEWEST_NAME = "checkpoint.txt"
KEYS_NAME = "keys.json"
DAYS_NAME = "by-day"
_DOCUMENT = "see 'A restored backup' in docs/ledger.md"
_LONGEST_NOTE = 100_000


class OutsideStoreError(RuntimeError):
    """The outside checkpoints cannot be read or written; sealing goes on, and says so."""


class CheckpointStore(Protocol):
    """A place of its own for checkpoints. Writing is whole or not at all, and durable when it returns."""

    def newest(self) -> str | None:
        """Return the newest note, None if there is none; raise OutsideStoreError if it cannot be read."""

    def put(self, note: str, *, sealed_at: datetime) -> None:
        """Make this note the newest, and the last of its day in Shanghai."""

    def put_keys(self, text: str) -> None:
        """Keep a copy of the list of public keys."""


@dataclass(frozen=True, slots=True)
class CheckpointDirectory:
    """Checkpoints in a directory: `checkpoint.txt`, the newest; below `by-day/` the last of each day, for ever."""

    path: Path

    def newest(self) -> str | None:
        try:
            with (self.path / NEWEST_NAME).open("rb") as file:
                return file.read(_LONGEST_NOTE).decode(errors="replace")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._trouble("read", error) from error

    def put(self, note: str, *, sealed_at: datetime) -> None:
        days = self.path / DAYS_NAME
        try:
            days.mkdir(parents=True, exist_ok=True)
            _replace(days / f"{shanghai_day(sealed_at)}.txt", note)
            _replace(self.path / NEWEST_NAME, note)
        except OSError as error:
            raise self._trouble("written", error) from error

    def put_keys(self, text: str) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            if not (self.path / KEYS_NAME).exists() or (self.path / KEYS_NAME).read_text() != text:
                _replace(self.path / KEYS_NAME, text)
        except OSError as error:
            raise self._trouble("written", error) from error

    def _trouble(self, done: str, error: OSError) -> OutsideStoreError:
        return OutsideStoreError(
            f"the outside checkpoints in {self.path} cannot be {done} ({type(error).__name__}): give the directory"
            " to the user of the service, or name another in CHECKPOINTS_URL"
        )


def open_store(place: str | None, data_dir: Path) -> CheckpointStore:
    """Return the place of outside checkpoints: a directory, as path or file:// URL; None: one below `data_dir`."""
    return CheckpointDirectory(data_dir / "checkpoints" if place is None else Path(place.removeprefix("file://")))


class Finding(StrEnum):
    """How the newest outside checkpoint contradicts the tree; also the kind of the incident."""

    FORK = "ledger_fork"
    ROLLED_BACK = "ledger_rolled_back"
    UNREADABLE = "ledger_checkpoint_unreadable"


@dataclass(frozen=True, slots=True)
class Contradiction:
    """What is wrong, in words for an operator; `size` is that of the outside checkpoint, if it has any."""

    finding: Finding
    detail: str
    size: int | None = None


def compare_outside(connection: Connection, note: str | None, keys: Sequence[PublicKey]) -> Contradiction | None:
    """Return how an outside checkpoint contradicts the database's tree, None if it does not or there is none."""
    if note is None:
        return None
    try:
        outside = read_checkpoint(note.rpartition("\n\n")[0] + "\n")
        verify_as_of_its_time(note, keys, at=outside.sealed_at)
    except NoteError as error:
        detail = f"the newest outside checkpoint cannot be trusted: {error}; {_DOCUMENT}"
        return Contradiction(Finding.UNREADABLE, detail)
    origin = read_origin(connection)
    if outside.origin != origin:
        detail = (
            f"the newest outside checkpoint is of {outside.origin}, this database's ledger is {origin}; {_DOCUMENT}"
        )
        return Contradiction(Finding.FORK, detail, outside.size)
    return _compare_trees(connection, outside, latest_checkpoint(connection))


def _compare_trees(connection: Connection, outside: Checkpoint, last: StoredCheckpoint | None) -> Contradiction | None:
    size = 0 if last is None else last.size
    if outside.size > size:
        detail = (
            f"the ledger was rolled back: it has {size} sealed entries, and {outside.size} were signed at"
            f" {outside.sealed_at.isoformat()}. The database is an older copy, or entries were deleted; {_DOCUMENT}"
        )
        return Contradiction(Finding.ROLLED_BACK, detail, outside.size)
    try:
        found = last.root if last is not None and last.size == outside.size else root_at(connection, outside.size)
    except MissingHashError as error:
        return Contradiction(Finding.FORK, f"the tree cannot be compared: {error}", outside.size)
    if found == outside.root:
        return None
    detail = (
        f"the ledger was forked: its first {outside.size} entries are not those signed at"
        f" {outside.sealed_at.isoformat()}. Entries were rewritten, or the database went on from an older copy;"
        f" {_DOCUMENT}"
    )
    return Contradiction(Finding.FORK, detail, outside.size)


def _replace(path: Path, content: str) -> None:
    """Put a file in its place whole, on disk before this returns."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("w") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        temporary.unlink(missing_ok=True)  # on a full disk half a file is in the way, too
        raise
    temporary.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
