"""Places outside the database for checkpoints: what each must do, and the one that is a directory."""

import os
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Protocol

from compliance.shanghai import shanghai_day
from infra.durable import sync_path

NEWEST_NAME = "checkpoint.txt"
KEYS_NAME = "keys.json"
LONGEST_NOTE = 100_000
_DAYS_NAME = "by-day"


class OutsideStoreError(RuntimeError):
    """The outside checkpoints cannot be read or written; sealing goes on, and says so.

    `last_note` is the newest that this process has seen there before, None if it has seen none: what was signed
    stays signed, also while nobody can ask.
    """

    def __init__(self, message: str, *, last_note: str | None = None) -> None:
        super().__init__(message)
        self.last_note = last_note


class CheckpointStore(Protocol):
    """A place of its own for checkpoints. Writing is whole or not at all, and durable when it returns."""

    def newest(self) -> str | None:
        """Return the newest note, None if there is none; raise OutsideStoreError if it cannot be read."""

    def of_day(self, day: date) -> str | None:
        """Return the last note of a day in Shanghai, None if there is none; raise OutsideStoreError as above."""

    def put(self, note: str, *, sealed_at: datetime) -> None:
        """Make this note the newest, and the last of its day in Shanghai."""

    def put_keys(self, text: str) -> None:
        """Keep a copy of the list of public keys."""


def day_name(day: date) -> str:
    """Return the name under which the last note of a day in Shanghai is kept for ever."""
    return f"{_DAYS_NAME}/{day}.txt"


@dataclass(frozen=True, slots=True)
class CheckpointDirectory:
    """Checkpoints in a directory: `checkpoint.txt`, the newest; below `by-day/` the last of each day, for ever."""

    path: Path

    def newest(self) -> str | None:
        return self._read(NEWEST_NAME)

    def of_day(self, day: date) -> str | None:
        return self._read(day_name(day))

    def _read(self, name: str) -> str | None:
        try:
            with (self.path / name).open("rb") as file:
                return file.read(LONGEST_NOTE).decode(errors="replace")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._trouble("read", error) from error

    def put(self, note: str, *, sealed_at: datetime) -> None:
        day = self.path / day_name(shanghai_day(sealed_at))
        try:
            day.parent.mkdir(parents=True, exist_ok=True)
            _replace(day, note)
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
    sync_path(path.parent)
