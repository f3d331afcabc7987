"""The spool: a directory into which recorders put `x.wav` and `x.json`, looked into again and again.

A pair is taken in when nobody writes to it any more; only after the commit is it moved to `taken/DAY/`, and one that is
refused to `quarantine/` with the reasons in `x.reason.json`. A break at any step costs a repetition and nothing else: a
pair that was taken in already is known by its content, and half of a pair that was moved follows the other half.

Names are the recorder's and may hold numbers of people: they are never logged.
"""

import os
import stat
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import msgspec

from compliance.shanghai import SHANGHAI, shanghai_day
from infra.clock import Clock, seconds_running
from infra.logs import logger
from recordings.file_intake import FileIntake, FileRefusedError, take_file
from recordings.metadata import Fault, parse_metadata
from recordings.spool_moves import UNPAIRED, MoveError, finish_half_moved, move_pair, write_reason

SETTLED_AFTER = timedelta(seconds=5)
"""So long neither length nor time of a file may change before it is opened."""

UNFINISHED_FOR = timedelta(minutes=2)
"""So long what looks cut short may be a file that a recorder still writes, with pauses."""

TELL_UNPAIRED_AFTER = timedelta(minutes=10)
QUARANTINE_UNPAIRED_AFTER = timedelta(hours=1)

SOURCE = "spool"
METADATA_SUFFIX = ".json"
AUDIO_SUFFIXES = frozenset(
    {".wav", ".flac", ".ogg", ".opus", ".mp3", ".al", ".alaw", ".ul", ".ulaw", ".raw", ".gsm", ".pcm"}
)
"""Other files are somebody's on their way to a name of these, and are left alone."""

_LONGEST_METADATA_BYTES = 100_000
_MOST_FAILING = 3
"""After so many pairs in a row that could not be taken in a look ends: it is not the pairs, then."""

log = logger(__name__)


class Look(NamedTuple):
    """What came of one look into the spool; `unpaired` are those that have lain for long without their other half."""

    taken: int = 0
    refused: int = 0
    waiting: int = 0
    unpaired: int = 0
    stuck: int = 0
    """Pairs that could not be moved away after they were taken in or refused: see the permissions of the spool."""
    failing: int = 0
    """Pairs that could not be taken in for no fault of theirs that is known; each look tries them again, last."""


class _Seen(NamedTuple):
    """How a file looked, and since when it looks so."""

    size: int
    mtime_ns: int
    since: datetime


class _Name(NamedTuple):
    """The files of one name without its suffix."""

    audio: tuple[Path, ...]
    metadata: Path | None

    @property
    def files(self) -> tuple[Path, ...]:
        return self.audio if self.metadata is None else (*self.audio, self.metadata)


@dataclass(slots=True)
class Spool:
    """A spool directory and what was seen in it at the last look.

    `files_clock` is the clock of the machine, by which files bear their times; that of the product may be ahead of it.
    """

    directory: Path
    intake: FileIntake
    files_clock: Clock
    _seen: dict[Path, _Seen] = field(default_factory=dict)
    _failing: set[Path] = field(default_factory=set)

    def look(self, *, most: int, most_seconds: float) -> Look:
        """Take in what is ready, oldest first, `most` pairs at a time; none is begun after `most_seconds`.

        A pair that fails is left where it is, and comes after all others from then on, so that it holds up nobody.

        Raises:
            Exception: whatever kept every pair that was tried from being taken in; what is left waits.
            OSError: the spool cannot be read.
        """
        now, ends = self.files_clock(), seconds_running() + most_seconds
        found = _named_files(self.directory)
        self._note(found, now)
        counts = dict.fromkeys(Look._fields, 0)
        in_a_row = 0
        for name in sorted(found, key=self._turn_of):
            if counts["taken"] + counts["refused"] >= most or seconds_running() >= ends:
                counts["waiting"] += 1
                continue
            what, fault = self._try(name, now)
            counts[what] += 1
            in_a_row = in_a_row + 1 if fault is not None else 0
            if fault is not None and (in_a_row >= _MOST_FAILING or len(found) == counts["failing"]):
                raise fault
        return Look(**counts)

    def _try(self, name: _Name, now: datetime) -> tuple[str, Exception | None]:
        """Do what is to be done about one name; return which count it belongs to, and what it failed with."""
        try:
            counted = self._deal_with(name, now)
        except FileNotFoundError:  # taken away by whoever put it there
            return "waiting", None
        except Exception as error:  # noqa: BLE001 - no pair may keep those behind it waiting, whatever is wrong with it
            log.error("spool_pair_failing", error=type(error).__name__)  # noqa: TRY400 - a message may hold its name
            self._failing.update(name.files)
            return "failing", error
        self._failing.difference_update(name.files)
        return counted, None

    def _turn_of(self, name: _Name) -> tuple[bool, int]:
        return not self._failing.isdisjoint(name.files), self._age_of(name)

    def _age_of(self, name: _Name) -> int:
        return min((self._seen[path].mtime_ns for path in name.files if path in self._seen), default=0)

    def _note(self, found: list[_Name], now: datetime) -> None:
        """Remember how each file looks; one that looks as before keeps since when."""
        noted: dict[Path, _Seen] = {}
        for path in (path for name in found for path in name.files):
            with suppress(FileNotFoundError):
                status = path.lstat()
                before = self._seen.get(path)
                is_same = before is not None and before[:2] == (status.st_size, status.st_mtime_ns)
                since = before.since if is_same and before is not None else now
                noted[path] = _Seen(status.st_size, status.st_mtime_ns, since)
        self._seen = noted
        self._failing.intersection_update(noted)

    def _deal_with(self, name: _Name, now: datetime) -> str:
        """Do what is to be done about one name, and return which count it belongs to."""
        if any(path not in self._seen for path in name.files) or not self._is_settled(name, now):
            return "waiting"
        if len(name.audio) != 1 or name.metadata is None or not _are_regular(name.files):
            return self._leave_unpaired(name, now)
        audio, metadata = name.audio[0], name.metadata
        try:
            taken = take_file(
                self.intake, audio, lambda at: parse_metadata(_read(metadata), now=at), follow_links=False
            )
        except FileRefusedError as error:
            # Or what was refused is not what is there now.
            if (error.may_be_unfinished and self._may_be_unfinished(name, now)) or not self._is_unchanged(name):
                return "waiting"
            return self._refuse(name, error)
        if not self._is_unchanged(name):
            return "waiting"  # what was taken in is whole; what is there now is looked at again
        day = self.directory / "taken" / f"{shanghai_day(self.intake.clock())}"
        return self._move(name, day, str(taken.recording_id), "taken")

    def _is_settled(self, name: _Name, now: datetime) -> bool:
        """Return whether nothing was written for long enough, by the time of the file and by what was seen."""
        for path in name.files:
            seen = self._seen[path]
            age = timedelta(seconds=now.timestamp() - seen.mtime_ns / 1e9)
            # A time in the future says nothing: then only what was seen counts.
            if now - seen.since < SETTLED_AFTER or timedelta() <= age < SETTLED_AFTER:
                return False
        return True

    def _may_be_unfinished(self, name: _Name, now: datetime) -> bool:
        newest = max(self._seen[path].mtime_ns for path in name.files) / 1e9
        return timedelta() <= timedelta(seconds=now.timestamp() - newest) < UNFINISHED_FOR

    def _is_unchanged(self, name: _Name) -> bool:
        for path in name.files:
            status = path.lstat()
            if (status.st_size, status.st_mtime_ns) != self._seen[path][:2]:
                return False
        return True

    def _leave_unpaired(self, name: _Name, now: datetime) -> str:
        """Leave a file that lacks its other half, for an hour; half of a pair that was moved follows it."""
        if finish_half_moved(self.directory, name.files):
            return "taken"
        lain = now - max(self._seen[path].since for path in name.files)
        newest = max(self._seen[path].mtime_ns for path in name.files) / 1e9
        lain = max(lain, timedelta(seconds=now.timestamp() - newest))
        if lain >= QUARANTINE_UNPAIRED_AFTER:
            return self._refuse(name, FileRefusedError(UNPAIRED, [Fault("file", _what_is_wrong(name))]))
        return "unpaired" if lain >= TELL_UNPAIRED_AFTER else "waiting"

    def _refuse(self, name: _Name, error: FileRefusedError) -> str:
        quarantine = self.directory / "quarantine"
        reason = {
            "reason": error.reason,
            "errors": [one._asdict() for one in error.faults],
            "refused_at": self.intake.clock().astimezone(SHANGHAI).isoformat(),
        }
        try:
            write_reason(quarantine, name.files[0], msgspec.json.format(msgspec.json.encode(reason)))
        except OSError:
            return "stuck"
        return self._move(name, quarantine, f"{self.intake.clock():%Y%m%dT%H%M%S%f}", "refused")

    def _move(self, name: _Name, target: Path, apart: str, count: str) -> str:
        try:
            move_pair(name.files, target, apart=apart)
        except MoveError:
            return "stuck"
        return count


def _named_files(directory: Path) -> list[_Name]:
    """Return what lies in the spool by name; directories, hidden files and those of other suffixes are no concern."""
    found: dict[str, list[Path]] = {}
    for entry in os.scandir(directory):
        path = Path(entry.path)
        is_ours = path.suffix.lower() in AUDIO_SUFFIXES or path.suffix.lower() == METADATA_SUFFIX
        if is_ours and not entry.name.startswith(".") and not entry.is_dir(follow_symlinks=False):
            found.setdefault(path.stem, []).append(path)
    return [_name(sorted(paths)) for paths in found.values()]


def _name(paths: list[Path]) -> _Name:
    metadata = [path for path in paths if path.suffix.lower() == METADATA_SUFFIX]
    audio = tuple(path for path in paths if path not in metadata)
    # Two spellings of the suffix would be two metadata: the second counts among those that are too many.
    return _Name((*audio, *metadata[1:]), metadata[0] if metadata else None)


def _are_regular(paths: tuple[Path, ...]) -> bool:
    return all(stat.S_ISREG(path.lstat().st_mode) for path in paths)


def _what_is_wrong(name: _Name) -> str:
    if not _are_regular(name.files):
        return "a link, a pipe or a device: put the file itself into the spool"
    if len(name.audio) > 1:
        return "several audio files of one name: name each differently, with metadata of its own"
    return "the metadata are missing" if name.metadata is None else "the audio file is missing"


def _read(path: Path) -> bytes:
    """Return the metadata; a file that grew into something else since it was looked at is cut, and so no JSON."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor
        return file.read(_LONGEST_METADATA_BYTES)
