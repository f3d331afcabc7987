"""The chunks of a WAV file (RIFF, or RF64 with sizes of 64 bits), every one of them up to the end of the file.

libsndfile reads what it can of a broken file. Here a size that leads past the end, or leaves a rest, is an error.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from recordings.file_bytes import header_lies, no_samples, read_all_at, read_at, truncated, unsupported
from recordings.unreadable_audio import Reason, UnreadableAudioError

_NOT_WRITTEN = 0xFFFFFFFF
"""What a recorder writes as a size before it knows it, or, in RF64, to say that the size stands in `ds64`."""
_MOST_CHUNKS = 1_000
_LONGEST_READ = 1_024
_HEADER = 8


@dataclass(frozen=True, slots=True)
class Chunks:
    """What matters of the chunks. `said_frames` are what `fact` and `ds64` say, as far as they are there."""

    is_rf64: bool
    fmt: bytes
    data_bytes: int
    said_frames: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Sizes:
    """The sizes of 64 bits that RF64 puts in front."""

    riff: int
    data: int
    frames: int


@dataclass(frozen=True, slots=True)
class _Chunk:
    name: bytes
    at: int
    size: int


def read_chunks(file: BinaryIO, size: int) -> Chunks:
    """Walk through all chunks.

    Raises:
        UnreadableAudioError: they do not fill the file, or there is not one `fmt ` and after it one `data`.
    """
    head = read_all_at(file, 0, 12, what="its header")
    if head[8:12] != b"WAVE":
        raise unsupported(f"the file is RIFF with {head[8:12]!r} in it instead of sound")
    wide = _wide_sizes(file) if head[:4] == b"RF64" else None
    _require_end(struct.unpack("<I", head[4:8])[0], size, wide)
    chunks = list(_walk(file, size, wide))
    names = [chunk.name for chunk in chunks]
    if (names.count(b"fmt "), names.count(b"data")) != (1, 1) or names.index(b"data") < names.index(b"fmt "):
        raise header_lies(
            f"there are {names.count(b'fmt ')} 'fmt ' and {names.count(b'data')} 'data' chunks; expected one of each,"
            " 'fmt ' first"
        )
    fmt, data = chunks[names.index(b"fmt ")], chunks[names.index(b"data")]
    return Chunks(
        is_rf64=wide is not None,
        fmt=read_at(file, fmt.at, min(fmt.size, _LONGEST_READ)),
        data_bytes=data.size,
        said_frames=tuple(_said_frames(file, chunks, wide)),
    )


def _wide_sizes(file: BinaryIO) -> _Sizes:
    found = read_all_at(file, 12, 36, what="its header")
    name, length, riff, data, frames = struct.unpack("<4sIQQQ", found[:32])
    if name != b"ds64" or length < 28:  # noqa: PLR2004  # three sizes and the length of a table
        raise header_lies("the file is RF64, and does not begin with the sizes of 64 bits ('ds64')")
    return _Sizes(riff, data, frames)


def _require_end(said: int, size: int, wide: _Sizes | None) -> None:
    """Hold the size of all against the file.

    A byte more or less is the padding of the last chunk, and eight more are of recorders that count the header.
    """
    if said in (0, _NOT_WRITTEN) and wide is None:
        raise unfinished(f"its header gives {said} as the size of all")
    end = _HEADER + (wide.riff if wide and said == _NOT_WRITTEN else said)
    if end > size + 1 and end != size + _HEADER:
        raise truncated(f"the header names {end} bytes, and {size} are there")
    if end < size - 1:
        raise header_lies(f"the header names {end} bytes, and {size - end} more follow them")


def _walk(file: BinaryIO, size: int, wide: _Sizes | None) -> Iterator[_Chunk]:
    at, count = 12, 0
    while at < size:
        chunk = _chunk_at(file, at, size, wide)
        yield chunk
        count += 1
        if count > _MOST_CHUNKS:
            raise header_lies(f"there are more than {_MOST_CHUNKS} chunks")
        at = chunk.at + chunk.size + chunk.size % 2


def _chunk_at(file: BinaryIO, at: int, size: int, wide: _Sizes | None) -> _Chunk:
    name, said = struct.unpack("<4sI", read_all_at(file, at, _HEADER, what="the header of a chunk"))
    begin = at + _HEADER
    if name == b"data":
        if wide and said == _NOT_WRITTEN:
            said = wide.data
        _require_written(said, size - begin)
    if begin + said > size:
        raise truncated(f"the chunk {name!r} names {said} bytes, and {size - begin} are there")
    return _Chunk(name, begin, said)


def _require_written(said: int, left: int) -> None:
    if said == 0 and left == 0:
        raise no_samples()
    if said in (0, _NOT_WRITTEN):
        raise unfinished(f"its header gives {said} as the size of the samples")


def unfinished(found: str) -> UnreadableAudioError:
    return UnreadableAudioError(
        Reason.UNFINISHED,
        f"the recorder did not finish the file: {found}, so that nothing shows whether all is here. Let the recorder"
        " close it, or write it again with its length",
    )


def _said_frames(file: BinaryIO, chunks: list[_Chunk], wide: _Sizes | None) -> Iterator[int]:
    if wide and wide.frames:
        yield wide.frames
    for chunk in chunks:
        if chunk.name == b"fact" and chunk.size >= 4:  # noqa: PLR2004  # one number of 32 bits
            (said,) = struct.unpack("<I", read_at(file, chunk.at, 4))
            if said not in (0, _NOT_WRITTEN):
                yield said
