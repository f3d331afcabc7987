"""The pages of an Ogg file: one stream, every page in its turn and with the right checksum, nothing after its end."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from recordings.checksums import ogg_crc32
from recordings.file_bytes import damaged, header_lies, read_all_at, truncated

_HEADER = struct.Struct("<4sBBqIIIB")
_FIRST, _LAST = 2, 4
_CONTINUED = 1
_FULL_LACE = 255
_CHECKSUM = slice(22, 26)


@dataclass(frozen=True, slots=True)
class Page:
    """`granule` is −1 when no packet ends on the page. `body` is cut by `laces`."""

    granule: int
    is_continued: bool
    is_last: bool
    laces: bytes
    body: bytes

    def pieces(self) -> Iterator[tuple[bytes, bool]]:
        """Yield the pieces of packets on the page, each with whether its packet ends there."""
        at, length = 0, 0
        for lace in self.laces:
            length += lace
            if lace < _FULL_LACE:
                yield self.body[at : at + length], True
                at, length = at + length, 0
        if length:
            yield self.body[at : at + length], False


def read_pages(file: BinaryIO, size: int) -> Iterator[Page]:
    """Yield the pages up to the end of the file.

    Raises:
        UnreadableAudioError: damaged, truncated (the last page is not marked as such) or header_lies.
    """
    at, count, serial, page = 0, 0, 0, None
    while at < size:
        if page is not None and page.is_last:
            raise header_lies(f"the Ogg stream ends at byte {at}, and {size - at} bytes follow it")
        head = read_all_at(file, at, _HEADER.size, what="the header of a page")
        page, found_serial, sequence, length = _page(file, at, head, is_first=count == 0)
        serial = found_serial if count == 0 else serial
        if found_serial != serial:
            raise header_lies("more than one stream is in the Ogg file")
        if sequence != count:
            raise truncated(f"page {count} of the Ogg stream is missing; number {sequence} stands in its place")
        yield page
        at, count = at + length, count + 1
    if page is None or not page.is_last:
        raise truncated("the last page of the Ogg stream is missing")


def _page(file: BinaryIO, at: int, head: bytes, *, is_first: bool) -> tuple[Page, int, int, int]:
    """Return the page, the serial number of its stream, its own number, and its length."""
    capture, version, flags, granule, serial, sequence, checksum, count = _HEADER.unpack(head)
    if capture != b"OggS" or version != 0:
        raise damaged(f"no Ogg page begins at byte {at}, where one should")
    laces = read_all_at(file, at + len(head), count, what="the header of a page")
    body = read_all_at(file, at + len(head) + count, sum(laces), what="a page")
    whole = bytearray(head + laces + body)
    whole[_CHECKSUM] = bytes(4)
    if ogg_crc32(bytes(whole)) != checksum:
        raise damaged(f"the Ogg page at byte {at} does not have the checksum that it names")
    if bool(flags & _FIRST) != is_first:
        raise header_lies("the Ogg stream does not begin where its first page is")
    page = Page(granule, bool(flags & _CONTINUED), bool(flags & _LAST), laces, body)
    return page, serial, sequence, len(whole)
