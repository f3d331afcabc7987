"""What an Ogg Opus file says of its samples (RFC 7845), held against the packets in it (RFC 6716, section 3)."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from recordings.audio_layout import Codec, Container, Layout
from recordings.file_bytes import damaged, header_lies, no_samples, truncated, unsupported
from recordings.ogg_pages import Page, read_pages

_GRANULES_A_SECOND = 48_000
_RATES = (8_000, 12_000, 16_000, 24_000, 48_000)
_ENOUGH_OF_HEADER = 19
_MOST_OF_PACKET = 5_760
"""120 ms."""
_LENGTHS = (480, 960, 1920, 2880) * 3 + (480, 960) * 2 + (120, 240, 480, 960) * 4
"""Samples of a frame by the configuration of its packet: SILK, both, CELT (RFC 6716, table 2)."""
_MOST_PACKET_BYTES = 1 << 20
"""The decoder holds a packet in memory as a whole. 120 ms of sound have some 60 KiB at most, comments a little more."""
_NO_GRANULE = -1
_SPARE_PACKETS = 2


@dataclass(slots=True)
class _Count:
    """Samples at 48 kHz: `found` in the packets so far, up to the place `granule` in time."""

    first_granule: int | None = None
    found: int = 0
    granule: int = 0


def walk_ogg_opus(file: BinaryIO, size: int) -> Layout:
    """Return what the file says, having walked through all its pages.

    Raises:
        UnreadableAudioError: damaged, truncated, header_lies, or the stream is not Opus.
    """
    pages = read_pages(file, size)
    packets = _Packets()
    head, _ = packets.header(pages), packets.header(pages)
    channels, pre_skip, rate = _read_head(head)
    count = _Count()
    for page in pages:
        _add(count, page, packets.durations(page))
    if packets.is_open:
        raise truncated("the last packet of the Ogg stream has no end")
    wide = count.granule - (count.first_granule or 0) - pre_skip
    frames = max(0, wide) * rate // _GRANULES_A_SECOND
    if frames == 0:
        raise no_samples()
    # The decoder rounds up where 48 kHz is no multiple of the end's place.
    return Layout(Container.OGG, Codec.OPUS, channels, rate, frames, frames + 1, frames)


def _read_head(head: bytes) -> tuple[int, int, int]:
    if not head.startswith(b"OpusHead"):
        raise unsupported("the Ogg file holds something other than Opus")
    if len(head) < _ENOUGH_OF_HEADER or head[8] >> 4 or head[9] == 0:
        raise header_lies("the header of the Opus stream is not one")
    channels, pre_skip, rate = struct.unpack("<BHI", head[9:16])
    # Opus is decoded at one of five rates; libsndfile takes the next above that of the sound before coding.
    return channels, pre_skip, next((one for one in _RATES if rate <= one), _GRANULES_A_SECOND)


class _Packets:
    """Puts packets together that go over several pages, as far as their beginnings are needed."""

    def __init__(self) -> None:
        self._begun: bytes | None = None
        self._length = 0

    @property
    def is_open(self) -> bool:
        return self._begun is not None

    def header(self, pages: Iterator[Page]) -> bytes:
        """Return the beginning of the next packet, which must end the page that it ends on."""
        found = b""
        for page in pages:
            pieces = list(page.pieces())
            if len(pieces) != 1 or page.is_continued != self.is_open:
                break
            [(piece, is_end)] = pieces
            # The second header may be long, and nothing in it is looked at.
            self._add_length(piece, is_end=is_end)
            found = (found + piece)[:_ENOUGH_OF_HEADER]
            self._begun = None if is_end else b""
            if is_end:
                return found
        raise header_lies("the Ogg stream does not begin with its two headers, each on pages of its own")

    def durations(self, page: Page) -> list[int]:
        """Return how many samples each packet has that ends on the page."""
        if page.is_continued != self.is_open:
            raise damaged("a packet of the Ogg stream begins or goes on where it should not")
        found = []
        for piece, is_end in page.pieces():
            self._add_length(piece, is_end=is_end)
            begun = piece[:2] if self._begun is None else (self._begun + piece[:2])[:2]
            self._begun = None if is_end else begun
            if is_end:
                found.append(_samples(begun))
        return found

    def _add_length(self, piece: bytes, *, is_end: bool) -> None:
        self._length += len(piece)
        if self._length > _MOST_PACKET_BYTES:
            raise damaged(f"a packet of the Ogg stream has more than {_MOST_PACKET_BYTES} bytes")
        if is_end:
            self._length = 0


def _samples(begin: bytes) -> int:
    """Return how many samples at 48 kHz the packet with these first two bytes holds."""
    if not begin:
        raise damaged("a packet of the Opus stream is empty")
    config, code = begin[0] >> 3, begin[0] & 3
    length = _LENGTHS[config]
    count = (1, 2, 2)[code] if code < 3 else _count_of(begin)  # noqa: PLR2004
    if length * count > _MOST_OF_PACKET or count == 0:
        raise damaged(f"a packet of the Opus stream names {count} frames of {length} samples; 120 ms is the most")
    return length * count


def _count_of(begin: bytes) -> int:
    return begin[1] & 63 if len(begin) > 1 else 0


def _add(count: _Count, page: Page, durations: list[int]) -> None:
    """Hold the page's granule against the samples of the packets so far."""
    total = sum(durations)
    if (page.granule == _NO_GRANULE) != (not durations):
        raise header_lies("a page of the Ogg stream has a place in time without a packet that ends there, or none with")
    if not durations:
        return
    if count.first_granule is None:
        # A recording that was joined in the middle does not begin at 0; one that also ends there, does.
        count.first_granule = 0 if page.is_last else page.granule - total
    count.found += total
    count.granule = page.granule
    # The encoder fills up the last packet or two, and says by the place of the last page how much of them counts.
    _require_place(count, page, spare=_SPARE_PACKETS * max(durations) if page.is_last else 0)


def _require_place(count: _Count, page: Page, *, spare: int) -> None:
    begin = count.first_granule or 0
    least = begin + count.found - spare
    words = f"a page of the Ogg stream ends at sample {page.granule}, and its packets at {begin + count.found}"
    if begin < 0 or page.granule < least:
        raise header_lies(words)
    if page.granule > begin + count.found:
        raise truncated(words)
