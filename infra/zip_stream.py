"""Zip archives that are sent while they are made: nothing is held but the piece under way, however large the files are.

Files are stored as they are, so that audio, which does not shrink, costs no time.
"""

import zipfile
from collections.abc import Iterable, Iterator
from datetime import datetime

ZipFiles = Iterable[tuple[str, Iterable[bytes]]]
"""Names and contents; a content is asked for only when the files before it are through."""


class _Outlet:
    """Takes what the archive's writer writes, until it is fetched; there is no way back in it."""

    def __init__(self) -> None:
        self._waiting = bytearray()

    def write(self, data: bytes) -> int:
        self._waiting += data
        return len(data)

    def flush(self) -> None:
        """Nothing is kept back."""

    def close(self) -> None:
        """Nothing is open."""

    def fetch(self) -> bytes:
        found = bytes(self._waiting)
        self._waiting.clear()
        return found


def zip_pieces(files: ZipFiles, *, dated: datetime) -> Iterator[bytes]:
    """Yield an archive of `files` in pieces; each file has the date `dated`, in the zone that it is in."""
    outlet = _Outlet()
    with zipfile.ZipFile(outlet, "w", zipfile.ZIP_STORED) as archive:
        for name, pieces in files:
            member = zipfile.ZipInfo(name, dated.timetuple()[:6])
            member.external_attr = 0o644 << 16
            with archive.open(member, "w", force_zip64=True) as file:
                for piece in pieces:
                    file.write(piece)
                    yield outlet.fetch()
            yield outlet.fetch()
    yield outlet.fetch()
