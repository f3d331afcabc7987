"""The mark of a directory store: shows that the directory is the one that was written to, and no empty mount point.

    ROOT/telesales-store    an id, made before the first object
    REMEMBERED              the same id, on the service's own disk; it outlives a disk that is not mounted

Owns these two files. Without the second, any directory may be begun.
"""

import os
from contextlib import suppress
from pathlib import Path

from infra.durable import sync_path
from infra.ids import new_id_text
from infra.object_store import ObjectStoreError

_NAME = "telesales-store"


class DirectoryMark:
    """The mark of the store below `root`; `remembered` is where its id is known, None if nobody is to know it."""

    def __init__(self, root: Path, remembered: Path | None) -> None:
        self._root = root
        self._remembered = remembered

    def check(self) -> None:
        """Raise unless the directory bears the id that is remembered, if any is.

        Raises:
            ObjectStoreError: another directory, or an empty one, is in its place.
            OSError: neither can be read.
        """
        if self._remembered is None:
            return
        known = _read(self._remembered)
        if known is not None and _read(self._root / _NAME) != known:
            raise ObjectStoreError(
                f"{self._root} is not the directory that was written to before: mount its disk. If that is lost, remove"
                f" {self._remembered}, and it is begun anew and filled from the other copies"
            )

    def make(self) -> None:
        """Mark a directory that is written to for the first time, and remember it; both on disk when this returns.

        Raises:
            ObjectStoreError, OSError: as `check`, or they cannot be written.
        """
        if self._remembered is None:
            return
        self.check()
        if _read(self._remembered) is None:
            # In this order: a mark that nobody remembers yet is found here the next time.
            _write_once(self._root / _NAME, new_id_text())
            self._remembered.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write_once(self._remembered, _read(self._root / _NAME) or "")
            self.check()


def _read(path: Path) -> str | None:
    try:
        return path.read_text()
    except FileNotFoundError:
        return None


def _write_once(path: Path, text: str) -> None:
    """Have `text` in a new file, whole and on disk; one that is there already stays as it is."""
    partial = path.with_name(f".{path.name}-{new_id_text()}")
    try:
        with partial.open("x") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    sync_path(path.parent)
