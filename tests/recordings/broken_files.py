"""FLAC, Ogg Opus and MP3 files of the tests, taken apart and put together again with something wrong in them."""

import io
import struct
from collections.abc import Callable, Sequence

import soundfile

from recordings.checksums import ogg_crc32
from tests.recordings.audio_files import FORMATS, Sound, tone

SECONDS = 3
FRAMES = SECONDS * 8000
ID3 = b"ID3\x04\0\0\0\0\0\x0a" + bytes(10)
ID3V1 = b"TAG" + bytes(125)

_FLAC_PACKED = slice(18, 26)
_FLAC_MD5 = slice(26, 42)
_OGG_GRANULE = slice(6, 14)
_OGG_CHECKSUM = slice(22, 26)


def encoded(name: str, sound: Sound | None = None, *, rate: int = 8000) -> bytes:
    """Return a file in this format, by default of three seconds of a tone in both channels."""
    kind, target = FORMATS[name], io.BytesIO()
    soundfile.write(
        target,
        tone(SECONDS, rate=rate, channels=2) if sound is None else sound,
        rate,
        format=kind.major,
        subtype=kind.subtype,
    )
    return target.getvalue()


def with_bytes(content: bytes, at: int, found: bytes) -> bytes:
    return content[:at] + found + content[at + len(found) :]


def flac_naming(content: bytes, samples: int) -> bytes:
    """Return the stream with another number of samples in its header."""
    packed = int.from_bytes(content[_FLAC_PACKED], "big") >> 36 << 36 | samples
    return with_bytes(content, _FLAC_PACKED.start, packed.to_bytes(8, "big"))


def without_md5(content: bytes) -> bytes:
    return with_bytes(content, _FLAC_MD5.start, bytes(16))


def pages_of(content: bytes) -> list[bytes]:
    """Return the pages of an Ogg file."""
    pages, at = [], 0
    while at < len(content):
        count = content[at + 26]
        length = 27 + count + sum(content[at + 27 : at + 27 + count])
        pages.append(content[at : at + length])
        at += length
    return pages


def ogg(pages: Sequence[bytes]) -> bytes:
    """Put pages together, each with a checksum that is right."""
    return b"".join(map(_checked, pages))


def _checked(page: bytes) -> bytes:
    empty = with_bytes(page, _OGG_CHECKSUM.start, bytes(4))
    return with_bytes(empty, _OGG_CHECKSUM.start, struct.pack("<I", ogg_crc32(empty)))


def page(number: int, packets: Sequence[bytes], *, granule: int, flags: int = 0, serial: int = 1) -> bytes:
    """Return a page of whole packets of less than 255 bytes each; one of exactly 255 goes on, on the next page."""
    head = struct.pack("<4sBBqIIIB", b"OggS", 0, flags, granule, serial, number, 0, len(packets))
    return head + bytes(map(len, packets)) + b"".join(packets)


def opus_of(*pages: bytes, channels: int = 1) -> bytes:
    """Return an Opus file at 8 kHz with its two headers and these pages, whose numbers go on from 2."""
    head = b"OpusHead" + struct.pack("<BBHIHB", 1, channels, 312, 8000, 0, 0)
    tags = b"OpusTags" + struct.pack("<I", 4) + b"test" + bytes(4)
    return ogg([page(0, [head], granule=0, flags=2), page(1, [tags], granule=0), *pages])


def changed_page(content: bytes, number: int, change: Callable[[bytes], bytes]) -> bytes:
    pages = pages_of(content)
    pages[number] = change(pages[number])
    return ogg(pages)


def moved(by: int) -> Callable[[bytes], bytes]:
    """Return what sets the place of a page in time by so many samples."""

    def change(found: bytes) -> bytes:
        (granule,) = struct.unpack("<q", found[_OGG_GRANULE])
        return with_bytes(found, _OGG_GRANULE.start, struct.pack("<q", granule + by))

    return change
