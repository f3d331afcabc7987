"""Objects in a directory: what a store with Object Lock promises, as far as files can keep it. Never WORM.

    objects/KEY+versions.jsonl    journal of the key's versions, holds and dates (`version_journal`), only ever appended
    objects/KEY+SHA256            bytes of a version, mode 0400, put in place whole; versions of a key share them
    incoming/                     bytes on their way

Keys share no bytes, so that the end of one never concerns another. Whoever changes a key holds the lock of its journal.
Everything is on disk before it is acknowledged, or read: a line that was written by a process that died is made durable
by whoever reads it next. The owner of the files can change and remove them; that shows, and is not prevented.
"""

import errno
import fcntl
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from infra.clock import Clock
from infra.directory_mark import DirectoryMark
from infra.directory_probe import probe_directory
from infra.durable import sync_path
from infra.ids import new_id_text
from infra.object_store import (
    PIECE_BYTES,
    Content,
    NoSuchVersionError,
    ObjectStoreError,
    ProbeRow,
    StoredObject,
    StoredVersion,
    UntrueStoreError,
    check_content,
    check_key,
    check_span,
    lock_end,
)
from infra.version_journal import (
    BrokenJournalError,
    Change,
    Hide,
    Hold,
    Journal,
    Lock,
    Purge,
    Put,
    Version,
    read_journal,
)

_OBJECTS = "objects"
_INCOMING = "incoming"
_JOURNAL = "+versions.jsonl"
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_DAMAGED = {errno.EIO, errno.EUCLEAN, errno.EBADMSG}
"""What reading bytes fails with where a medium has lost them: the rest of the disk may be well."""

_IN_THE_WAY = {errno.ELOOP, errno.EACCES, errno.EPERM, errno.ENXIO}
"""What opening bytes fails with where something else stands in their place: a link, a socket, a file shut to us."""


@dataclass(slots=True)
class _OpenJournal:
    """A journal whose lock is held. `is_synced`: all that was read of it and written to it is on disk."""

    file: int
    journal: Journal
    is_synced: bool = False

    def append(self, change: Change) -> None:
        """Put a line at the end, on disk before this returns; if it cannot be, no line."""
        start = self.journal.length
        line = self.journal.add(change)
        try:
            os.ftruncate(self.file, start)  # what a writer that died left of a line
            written = 0
            while written < len(line):
                written += os.pwrite(self.file, line[written:], start + written)
            os.fsync(self.file)
            self.is_synced = True
        except OSError:
            with suppress(OSError):  # after a failed fsync nobody knows what is on disk, so it must not be read either
                os.ftruncate(self.file, start)
            raise


class DirectoryStore:
    """An `ObjectStore` below `root`, which is made when it is first written to; safe for threads and processes.

    `remembered` is a file elsewhere that knows the root's mark: while another directory is in its place nothing is said
    to be missing and nothing is written. None: it is not looked for.
    """

    is_worm = False

    def __init__(self, root: Path, *, clock: Clock, remembered: Path | None = None) -> None:
        self._root = root
        self._clock = clock
        self._mark = DirectoryMark(root, remembered)
        self._is_prepared = False

    @property
    def name(self) -> str:
        return str(self._root)

    def put(self, key: str, content: Content, *, is_held: bool) -> StoredObject:
        sha256 = content.sha256.hex()
        with self._faults_told("written"), self._staged(content) as staged, self._changing(key, makes=True) as opened:
            # In the place of equal bytes, too: those may have been damaged since.
            staged.replace(self._bytes(key, sha256))
            self._sync_directories(key)
            latest = opened.journal.latest()
            if latest is None or (latest.sha256, latest.is_held) != (sha256, is_held):
                change = Put(
                    at=self._clock(),
                    previous=opened.journal.previous,
                    sha256=sha256,
                    size_bytes=content.size_bytes,
                    is_held=is_held,
                )
                opened.append(change)
            version_id = opened.journal.listing()[0].version_id
        return self.head(key, version_id)

    def head(self, key: str, version_id: str) -> StoredObject:
        with self._faults_told("read"):
            version = self._version(key, self._journal(key), version_id)
            return self._shown(key, version)

    def read(self, key: str, version_id: str, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        check_span(start, end)
        with self._faults_told("read"):
            version = self._version(key, self._journal(key), version_id)
            opened = self._open_bytes(key, version)
        last = version.size_bytes if end is None else min(end, version.size_bytes)
        return self._pieces(opened, key, start=start, end=last)

    def set_retention(self, key: str, version_id: str, until: datetime) -> StoredObject:
        whole = lock_end(until)
        with self._faults_told("written"), self._changing(key) as opened:
            version = self._version(key, opened.journal, version_id)
            if whole != version.retain_until:
                previous = opened.journal.previous
                opened.append(Lock(at=self._clock(), previous=previous, version_id=version_id, until=whole))
        return self.head(key, version_id)

    def set_hold(self, key: str, version_id: str, *, is_held: bool) -> StoredObject:
        with self._faults_told("written"), self._changing(key) as opened:
            version = self._version(key, opened.journal, version_id)
            if is_held != version.is_held:
                previous = opened.journal.previous
                opened.append(Hold(at=self._clock(), previous=previous, version_id=version_id, is_held=is_held))
        return self.head(key, version_id)

    def hide(self, key: str) -> str:
        """Put a marker over the key's versions, as a plain DELETE does in a bucket; return its id."""
        with self._faults_told("written"), self._changing(key) as opened:
            opened.append(Hide(at=self._clock(), previous=opened.journal.previous))
            return opened.journal.listing()[0].version_id

    def versions(self, key: str) -> list[StoredVersion]:
        with self._faults_told("read"):
            try:
                return self._journal(key).listing()
            except NoSuchVersionError:
                return []

    def delete_version(self, key: str, version_id: str) -> None:
        with self._faults_told("written"), suppress(NoSuchVersionError), self._changing(key) as opened:
            if opened.journal.has(version_id):
                opened.append(Purge(at=self._clock(), previous=opened.journal.previous, version_id=version_id))
            self._remove_unneeded(key, opened.journal)

    def probe(self) -> list[ProbeRow]:
        return probe_directory(self, now=self._clock())

    def close(self) -> None:
        """Nothing is kept open."""

    def _shown(self, key: str, version: Version) -> StoredObject:
        try:
            size_bytes = self._bytes(key, version.sha256).stat().st_size
        except FileNotFoundError:
            raise self._bytes_gone(key, version.version_id) from None
        return StoredObject(
            key=key,
            version_id=version.version_id,
            size_bytes=size_bytes,
            sha256=bytes.fromhex(version.sha256),
            is_held=version.is_held,
            retain_until=version.retain_until,
        )

    def _open_bytes(self, key: str, version: Version) -> BinaryIO:
        """Open the bytes of a version. A link is none, though good bytes lie behind it: they are not a copy more.

        Whatever stands in their place keeps nobody waiting, and is damage: the journal beside it was just read, so that
        the store is not away.
        """
        path = self._bytes(key, version.sha256)
        try:
            file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            raise self._bytes_gone(key, version.version_id) from None
        except OSError as error:
            if error.errno not in _IN_THE_WAY:
                raise
            reason = errno.errorcode[error.errno]
            raise UntrueStoreError(f"{path} cannot be opened as a file ({reason}); remove it, and repair it") from error
        if not stat.S_ISREG(os.fstat(file).st_mode):
            os.close(file)
            raise UntrueStoreError(
                f"{path} is a directory, a pipe or a device where bytes were; remove it, and repair it"
            )
        return os.fdopen(file, "rb")

    def _version(self, key: str, journal: Journal, version_id: str) -> Version:
        found = journal.version(version_id)
        if found is None:
            raise NoSuchVersionError(f"{self._root} has no version {version_id} of {key}")
        return found

    def _bytes_gone(self, key: str, version_id: str) -> NoSuchVersionError:
        self._mark.check()
        return NoSuchVersionError(f"the bytes of version {version_id} of {key} are gone from {self._root}")

    def _pieces(self, opened: BinaryIO, key: str, *, start: int, end: int) -> Iterator[bytes]:
        with opened:
            opened.seek(start)
            left = end - start
            while left > 0:
                with self._faults_told("read"), self._damage_told(key):
                    piece = opened.read(min(PIECE_BYTES, left))
                if not piece:
                    raise UntrueStoreError(f"{key} in {self._root} ends {left} bytes too early; repair it from a copy")
                left -= len(piece)
                yield piece

    def _path(self, key: str) -> Path:
        check_key(key)
        return self._root / _OBJECTS / key

    def _bytes(self, key: str, sha256: str) -> Path:
        path = self._path(key)
        return path.with_name(f"{path.name}+{sha256}")

    def _journal_path(self, key: str) -> Path:
        path = self._path(key)
        return path.with_name(f"{path.name}{_JOURNAL}")

    def _journal(self, key: str) -> Journal:
        with self._opened(key, os.O_RDONLY, fcntl.LOCK_SH) as file:
            found = self._read_journal(key, file)
            os.fsync(file)
            return found

    @contextmanager
    def _changing(self, key: str, *, makes: bool = False) -> Iterator[_OpenJournal]:
        """Give the journal of a key to this one writer; raises NoSuchVersionError if there is none to give."""
        if makes:
            self._journal_path(key).parent.mkdir(parents=True, exist_ok=True)
        with self._opened(key, os.O_RDWR | (os.O_CREAT if makes else 0), fcntl.LOCK_EX) as file:
            opened = _OpenJournal(file, self._read_journal(key, file))
            yield opened
            if not opened.is_synced:
                os.fsync(file)  # nothing was to change, and it may be a dead writer's line that says so

    @contextmanager
    def _opened(self, key: str, flags: int, lock: int) -> Iterator[int]:
        try:
            file = os.open(self._journal_path(key), flags, 0o600)
        except FileNotFoundError:
            self._mark.check()
            raise NoSuchVersionError(f"{self._root} has nothing under {key}") from None
        try:
            fcntl.flock(file, lock)
            yield file
        finally:
            os.close(file)

    def _read_journal(self, key: str, file: int) -> Journal:
        size, text = os.fstat(file).st_size, b""
        while len(text) < size and (piece := os.pread(file, size - len(text), len(text))):
            text += piece
        try:
            return read_journal(key, text)
        except BrokenJournalError as error:
            raise UntrueStoreError(
                f"the journal of {key} in {self._root} was changed by something else: {error}; take it from a backup"
            ) from error

    @contextmanager
    def _staged(self, content: Content) -> Iterator[Path]:
        """Give a durable copy of `content` below the root, proven by reading it back; what is left of it is removed."""
        self._prepare()
        with _new_file(self._root / _INCOMING) as (path, file):
            with content.path.open("rb") as source:
                shutil.copyfileobj(source, file, PIECE_BYTES)
            file.flush()
            os.fsync(file.fileno())
            check_content(Content(path, content.size_bytes, content.sha256))
            yield path

    def _prepare(self) -> None:
        """Make the root, once: one that disappears later was on a disk that is gone; it is not begun anew elsewhere."""
        self._mark.check()
        if self._is_prepared:
            return
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in (_INCOMING, _OBJECTS):
            (self._root / name).mkdir(exist_ok=True)
        for directory in (self._root, *self._root.absolute().parents):
            with suppress(PermissionError):
                sync_path(directory)
        self._mark.make()
        _sweep(self._root / _INCOMING)
        self._is_prepared = True

    def _remove_unneeded(self, key: str, journal: Journal) -> None:
        """Remove bytes that no version has any more, and such as a writer that died had not yet acknowledged."""
        path, needed = self._path(key), journal.sha256s()
        for found in path.parent.glob(f"{path.name}+*"):
            if not found.name.endswith(_JOURNAL) and found.name.removeprefix(f"{path.name}+") not in needed:
                found.unlink()
        self._sync_directories(key)

    def _sync_directories(self, key: str) -> None:
        """Make the names of a key's files durable, and those of the directories above, which may be new as well."""
        directory = self._path(key).parent
        while directory != self._root:
            sync_path(directory)
            directory = directory.parent

    @contextmanager
    def _damage_told(self, key: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno not in _DAMAGED:
                raise
            reason = errno.errorcode[error.errno]
            raise UntrueStoreError(
                f"the disk of {self._root} cannot read {key} any more ({reason}); repair it from a copy, see the disk"
            ) from error

    @contextmanager
    def _faults_told(self, done: str) -> Iterator[None]:
        try:
            yield
        except ObjectStoreError:
            raise
        except OSError as error:
            advice = "give the directory to the user of the service, and see that its disk is there"
            if error.errno in _FULL:
                advice = "its disk is full: make room, nothing was changed"
            reason = errno.errorcode.get(error.errno or 0, type(error).__name__)
            raise ObjectStoreError(f"{self._root} cannot be {done} ({reason}); {advice}") from error


@contextmanager
def _new_file(directory: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """Give a file of this process alone: its lock says that it is in use. At the end it is removed if still there."""
    while True:
        path = directory / new_id_text()
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o400), "wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if not os.fstat(file.fileno()).st_nlink:
                continue  # swept before it was locked
            try:
                yield path, file
            finally:
                path.unlink(missing_ok=True)
            return


def _sweep(directory: Path) -> None:
    """Remove what writers that died have left: files that nobody has locked."""
    for path in directory.iterdir():
        with suppress(FileNotFoundError), path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            path.unlink()
