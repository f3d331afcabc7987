"""The frames of a FLAC stream: how each begins, how many samples it holds, and whether the last one is whole.

A frame does not say how long it is. The next one is found by its own beginning, which is sure: it must carry the
expected number, the stream's own format and a checksum.
"""

from dataclasses import dataclass
from typing import BinaryIO

from recordings.checksums import crc8, crc16
from recordings.file_bytes import damaged, read_at, truncated

_RATES = (None, 88_200, 176_400, 192_000, 8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000)
_BITS = (None, 8, 12, None, 16, 20, 24, 32)
_LONGEST_HEADER = 16
_MOST_BLOCK = 65_535
_WINDOW = 1 << 20
_ROOM_FOR_HEADERS = 1_024


@dataclass(frozen=True, slots=True)
class StreamFormat:
    """What the stream says of all its frames."""

    sample_rate: int
    channels: int
    bits: int

    @property
    def longest_frame(self) -> int:
        """Bytes that no frame exceeds: samples uncoded, one bit wider for the difference of two channels."""
        return _MOST_BLOCK * self.channels * (self.bits + 1) // 8 + _ROOM_FOR_HEADERS


@dataclass(frozen=True, slots=True)
class _Frame:
    at: int
    samples: int
    follows_by: int
    """By how much the next frame's number is higher."""


class FrameWalk:
    """Walks from the first frame to the end of the file; `count_samples` is all there is to ask."""

    def __init__(self, file: BinaryIO, size: int, stream: StreamFormat) -> None:
        self._file = file
        self._size = size
        self._stream = stream
        self._window = b""
        self._window_at = 0

    def count_samples(self, first_at: int) -> int:
        """Return how many samples per channel all frames together say they hold.

        Raises:
            UnreadableAudioError: damaged or truncated.
        """
        frame = self._frame_at(first_at, number=0)
        if frame is None:
            raise damaged(f"no FLAC frame begins at byte {first_at}, after the header")
        number, total = 0, 0
        while frame is not None:
            last, total, number = frame, total + frame.samples, number + frame.follows_by
            frame = self._next(frame, number)
        self._require_whole(last.at)
        return total

    def _next(self, frame: _Frame, number: int) -> _Frame | None:
        """Return the frame of this number; None if the file ends before it."""
        end = min(self._size, frame.at + self._stream.longest_frame)
        at = frame.at + 1
        while (sync := self._find_sync(at, end)) is not None:
            found = self._frame_at(sync, number=number)
            if found is not None:
                return found
            at = sync + 1
        return None

    def _find_sync(self, at: int, end: int) -> int | None:
        while at < end:
            self._look_at(at)
            found = self._window.find(b"\xff", at - self._window_at)
            while found >= 0:
                place = self._window_at + found
                if self._window[found + 1 : found + 2] in (b"\xf8", b"\xf9"):
                    return place if place < end else None
                found = self._window.find(b"\xff", found + 1)
            if self._window_at + len(self._window) >= self._size:
                return None
            at = self._window_at + len(self._window) - 1
        return None

    def _look_at(self, at: int) -> None:
        """Make the window reach a frame's header from there on."""
        end = self._window_at + len(self._window)
        if at < self._window_at or (at + _LONGEST_HEADER > end and end < self._size):
            self._window, self._window_at = read_at(self._file, at, _WINDOW), at

    def _frame_at(self, at: int, *, number: int) -> _Frame | None:
        self._look_at(at)
        begin = at - self._window_at
        return _frame(self._window[begin : begin + _LONGEST_HEADER], at, number, self._stream)

    def _require_whole(self, at: int) -> None:
        """Check the checksum of the last frame, from its beginning to the end of the file."""
        length = self._size - at
        if length > self._stream.longest_frame:
            raise damaged(f"after the FLAC frame at byte {at} no other begins where it should")
        if crc16(read_at(self._file, at, length)) != 0:
            raise truncated(f"the last FLAC frame, at byte {at}, is cut off, or something else follows it")


def _frame(head: bytes, at: int, number: int, stream: StreamFormat) -> _Frame | None:
    """Return the frame that begins so; None if none of this number and format does."""
    if len(head) < 6 or head[0] != 0xFF or head[1] not in (0xF8, 0xF9):  # noqa: PLR2004  # the shortest, its sync
        return None
    found = _coded_number(head[4:])
    if found is None or found[0] != number or not _is_of(head, stream):
        return None
    sized = _block_size(head, 4 + found[1])
    if sized is None:
        return None
    samples, end = sized
    end += {12: 1, 13: 2, 14: 2}.get(head[2] & 0x0F, 0)
    if end >= len(head) or crc8(head[: end + 1]) != 0:
        return None
    is_numbered_by_sample = head[1] & 1
    return _Frame(at, samples, samples if is_numbered_by_sample else 1)


def _is_of(head: bytes, stream: StreamFormat) -> bool:
    rate, assignment, width = head[2] & 0x0F, head[3] >> 4, (head[3] >> 1) & 7
    channels = assignment + 1 if assignment < 8 else 2  # noqa: PLR2004  # 8 to 10: two, as a difference
    return (
        rate != 15  # noqa: PLR2004  # forbidden, so that no sync is imitated
        and assignment <= 10  # noqa: PLR2004
        and channels == stream.channels
        and (rate >= len(_RATES) or _RATES[rate] in (None, stream.sample_rate))
        and _BITS[width] in (None, stream.bits)
        and head[3] & 1 == 0
    )


def _coded_number(data: bytes) -> tuple[int, int] | None:
    """Return the number coded like a character of UTF-8, and its length in bytes."""
    first = data[0]
    if first < 0x80:  # noqa: PLR2004  # a single byte
        return first, 1
    length = 8 - (first ^ 0xFF).bit_length()
    rest = data[1:length]
    if not 2 <= length <= 7 or len(rest) < length - 1 or any(byte >> 6 != 2 for byte in rest):  # noqa: PLR2004
        return None
    value = first & (0x7F >> length)
    for byte in rest:
        value = value << 6 | byte & 0x3F
    return value, length


def _block_size(head: bytes, at: int) -> tuple[int, int] | None:
    """Return the samples per channel, and where the header goes on; `at` is behind the number."""
    code = head[2] >> 4
    if code == 0:
        return None
    if code in (6, 7):
        length = code - 5
        return int.from_bytes(head[at : at + length], "big") + 1, at + length
    if code == 1:
        return 192, at
    return (576 << (code - 2) if code < 6 else 256 << (code - 8)), at  # noqa: PLR2004
