"""Reading stored audio in pieces, from whichever copy can give them.

A piece is fetched whole before it is handed on: a slow listener holds no connection to a store. When the first store
is away, or has lost what it had, the second is asked, in the middle of a recording too.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from infra.object_store import NoSuchVersionError, ObjectStore, ObjectStoreError, UntrueStoreError

PIECE_BYTES = 1 << 20


class AudioUnavailableError(RuntimeError):
    """No copy of the audio can be read now."""


class Source(NamedTuple):
    """A version of an object in a store that has it, as last read back."""

    store: ObjectStore
    key: str
    version_id: str


def open_pieces(sources: Sequence[Source], *, start: int, end: int) -> Iterator[bytes]:
    """Return the bytes [start, end) in pieces, the first of them read already: what fails, fails before an answer.

    Raises:
        AudioUnavailableError: no source can give the first piece. Of a later one the iterator raises it.
    """
    pieces = _pieces(sources, start, end)
    first = next(pieces, b"")
    return _with_first(first, pieces)


def _with_first(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _pieces(sources: Sequence[Source], start: int, end: int) -> Iterator[bytes]:
    at = start
    while at < end:
        piece_end = min(at + PIECE_BYTES, end)
        yield _piece(sources, at, piece_end)
        at = piece_end


def _piece(sources: Sequence[Source], start: int, end: int) -> bytes:
    faults: list[ObjectStoreError] = []
    for one in sources:
        try:
            found = b"".join(one.store.read(one.key, one.version_id, start=start, end=end))
            if len(found) != end - start:
                msg = f"{one.store.name} gave {len(found)} bytes of {end - start}"
                raise UntrueStoreError(msg)
        except ObjectStoreError as error:
            faults.append(error)
        else:
            return found
    raise AudioUnavailableError(_explained(faults)) from (faults[0] if faults else None)


def _explained(faults: Sequence[ObjectStoreError]) -> str:
    if faults and all(isinstance(one, NoSuchVersionError | UntrueStoreError) for one in faults):
        return "no copy of this audio is whole; see the incident of the recording, and restore it from a backup"
    return "no store that has this audio can be read now; try again, and see that RECORDINGS_URL can be reached"
