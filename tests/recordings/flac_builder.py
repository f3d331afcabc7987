"""FLAC streams of frames that each hold one value over and over: the smallest there are, and the longest to hear."""

from collections.abc import Sequence
from dataclasses import dataclass

from recordings.checksums import crc8, crc16

LOUD = 0x1234
LIKE_A_FRAME = 0xFFF8
"""A value that is written like the beginning of a frame."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The fields of a frame's header; of 4096 samples, mono, 16 bits, at the stream's own rate."""

    number: bytes = b"\0"
    block: int = 12
    rate: int = 0
    channels: int = 0
    bits: int = 4
    extra: bytes = b""
    by_sample: bool = False
    value: int = LOUD

    def content(self) -> bytes:
        fields = [
            0xFF,
            0xF9 if self.by_sample else 0xF8,
            self.block << 4 | self.rate,
            self.channels << 4 | self.bits << 1,
        ]
        head = bytes(fields) + self.number + self.extra
        head += crc8(head).to_bytes(1, "big")
        body = head + b"\0" + self.value.to_bytes(2, "big")
        return body + crc16(body).to_bytes(2, "big")


def number(value: int) -> bytes:
    """Return a number as frames have it, in up to three bytes."""
    if value < 0x80:
        return bytes([value])
    if value < 0x800:
        return bytes([0xC0 | value >> 6, 0x80 | value & 0x3F])
    return bytes([0xE0 | value >> 12, 0x80 | value >> 6 & 0x3F, 0x80 | value & 0x3F])


def stream(frames: Sequence[Frame], *, samples: int = 0, rate: int = 8000) -> bytes:
    """Return a stream, without an MD5, that names so many samples."""
    packed = rate << 44 | 15 << 36 | samples
    info = b"\0\x10\xff\xff" + bytes(6) + packed.to_bytes(8, "big") + bytes(16)
    return b"fLaC\x80\0\0\x22" + info + b"".join(frame.content() for frame in frames)
