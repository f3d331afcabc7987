"""A file read as if it began differently: other bytes first, then its own from some place on; it is not changed."""

import io
from pathlib import Path
from typing import Self


class SplicedFile:
    """Reads `head`, and after it the file from byte `begin`; has what libsndfile needs of a file, and no more."""

    def __init__(self, path: Path, head: bytes, begin: int) -> None:
        self._head = head
        self._skipped = begin - len(head)
        self._size = path.stat().st_size - self._skipped
        self._file = path.open("rb")
        self._at = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._file.close()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes, fewer only at the end of the file."""
        found = self._head[self._at : self._at + size]
        if len(found) < size:
            self._file.seek(max(self._at, len(self._head)) + self._skipped)
            found += self._file.read(size - len(found))
        self._at += len(found)
        return found
