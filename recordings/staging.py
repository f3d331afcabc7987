"""Files on their way into the archive: copied and hashed before anything is done with them.

Owns the staging directory. What a broken attempt leaves there is nobody's and is removed after a day. Nothing here
waits for the disk: nothing is acknowledged because it lies here, and what is put into a store is hashed again then.
"""

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from infra.ids import new_id_text
from infra.object_store import Content

_PIECE_BYTES = 1 << 20
_OURS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""What opening any file may fail with, for reasons of this process or machine."""


class NoRegularFileError(ValueError):
    """A link, a directory, a pipe or a device lies where a file was expected; it is not opened."""


class UnreadableSourceError(ValueError):
    """A file that was to be staged cannot be read; the message is the system's reason."""


@dataclass(frozen=True, slots=True)
class StagedFile:
    """A file of ours with the bytes that came; nobody else writes to it."""

    path: Path
    size_bytes: int
    sha256: bytes

    def content(self) -> Content:
        """Return the file as stores take it."""
        return Content(self.path, self.size_bytes, self.sha256)

    def discard(self) -> None:
        """Remove the file; one that is gone is no error."""
        self.path.unlink(missing_ok=True)


def staging_path(directory: Path) -> Path:
    """Return a new name in the staging directory, which is made if it is missing."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return directory / new_id_text()


def stage_file(source: Path, directory: Path, *, follow_links: bool = False) -> StagedFile:
    """Copy `source` below `directory`, hashed on the way.

    Raises:
        NoRegularFileError: `source` is no regular file, or a link and `follow_links` is False.
        UnreadableSourceError: it cannot be read.
        OSError: nothing can be written below `directory`.
    """
    target = staging_path(directory)
    try:
        with ExitStack() as opened:
            with source_faults():
                reading = opened.enter_context(_opened(source, follow_links=follow_links))
            writing = opened.enter_context(target.open("xb"))
            size_bytes, sha256 = _copy(reading, writing)
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return StagedFile(target, size_bytes, sha256)


@contextmanager
def source_faults() -> Iterator[None]:
    """Tell faults of a file that is read from those of the place that is written to.

    Raises:
        UnreadableSourceError: in place of an OSError that is the file's.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _OURS:
            raise
        raise UnreadableSourceError(error.strerror or type(error).__name__) from error


def staged_at(path: Path) -> StagedFile:
    """Return a file that was written below the staging directory, hashed."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
        return StagedFile(path, file.tell(), digest)


def remove_left_behind(directory: Path, *, changed_before: datetime) -> None:
    """Remove files of attempts that broke off; `changed_before` is an instant of the machine's own clock."""
    with suppress(FileNotFoundError):
        for entry in os.scandir(directory):
            with suppress(OSError):
                if entry.stat(follow_symlinks=False).st_mtime < changed_before.timestamp():
                    Path(entry.path).unlink()


@contextmanager
def _opened(path: Path, *, follow_links: bool) -> Iterator[BinaryIO]:
    """Open a regular file; a pipe without a writer does not hold up, and nothing else is read from."""
    # Looked at before it is opened: opening alone can do something to a device.
    _require_regular(path, path.stat(follow_symlinks=follow_links).st_mode)
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow_links else os.O_NOFOLLOW)
    descriptor = os.open(path, flags)
    with open(descriptor, "rb", closefd=True) as file:  # noqa: PTH123 - a descriptor
        _require_regular(path, os.fstat(descriptor).st_mode)
        yield file


def _require_regular(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        what = "a link" if stat.S_ISLNK(mode) else "no regular file"
        msg = f"{path.name} is {what}; put the file itself there"
        raise NoRegularFileError(msg)


def _copy(reading: BinaryIO, writing: BinaryIO) -> tuple[int, bytes]:
    """Copy to the end, and return how many bytes there were and their SHA-256."""
    digest = hashlib.sha256()
    size_bytes = 0
    while piece := _next_piece(reading):
        digest.update(piece)
        writing.write(piece)
        size_bytes += len(piece)
    return size_bytes, digest.digest()


def _next_piece(reading: BinaryIO) -> bytes:
    with source_faults():
        return reading.read(_PIECE_BYTES)
