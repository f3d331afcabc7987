"""WAV files put together chunk by chunk, right unless told otherwise."""

import struct
from dataclasses import dataclass

SAMPLES = bytes([0xD5, 0x25] * 400)
"""A-law, 800 samples of one channel: a tenth of a second."""


@dataclass(frozen=True, slots=True)
class Fmt:
    """The fields of `fmt `; of A-law, mono, 8 kHz."""

    tag: int = 6
    channels: int = 1
    rate: int = 8000
    byte_rate: int = 8000
    block: int = 1
    bits: int = 8
    extra: bytes = b""

    def chunk(self) -> bytes:
        fields = struct.pack("<HHIIHH", self.tag, self.channels, self.rate, self.byte_rate, self.block, self.bits)
        return chunk(b"fmt ", fields + self.extra)


def chunk(name: bytes, body: bytes, *, size: int | None = None) -> bytes:
    """Return a chunk, filled up to an even length; `size` is what it says of itself."""
    said = len(body) if size is None else size
    return name + struct.pack("<I", said) + body + bytes(len(body) % 2)


def riff(*chunks: bytes, size: int | None = None, magic: bytes = b"RIFF", kind: bytes = b"WAVE") -> bytes:
    body = kind + b"".join(chunks)
    return magic + struct.pack("<I", len(body) if size is None else size) + body


def wave(fmt: Fmt | None = None, *, samples: bytes = SAMPLES, said_frames: int | None = None) -> bytes:
    fact = () if said_frames is None else (chunk(b"fact", struct.pack("<I", said_frames)),)
    return riff((fmt or Fmt()).chunk(), *fact, chunk(b"data", samples))


def rf64(*, riff_size: int | None = None, data_size: int | None = None, frames: int | None = None) -> bytes:
    """Return a WAV whose sizes stand in 64 bits in front; what they say is right unless told otherwise."""
    tail = Fmt().chunk() + chunk(b"data", SAMPLES, size=0xFFFFFFFF)
    sizes = (
        4 + 36 + len(tail) if riff_size is None else riff_size,
        len(SAMPLES) if data_size is None else data_size,
        len(SAMPLES) if frames is None else frames,
    )
    return riff(chunk(b"ds64", struct.pack("<QQQI", *sizes, 0)), tail, size=0xFFFFFFFF, magic=b"RF64")
