"""What a FLAC stream says of its samples, held against its frames."""

from typing import BinaryIO

from recordings.audio_layout import Codec, Container, Layout
from recordings.file_bytes import header_lies, read_all_at, truncated
from recordings.flac_frames import FrameWalk, StreamFormat

_STREAMINFO_BYTES = 34
_MOST_BLOCKS = 1_000
_LAST = 0x80
_NO_MD5 = bytes(16)


def walk_flac(file: BinaryIO, size: int, *, begin: int = 0) -> Layout:
    """Return what the stream says, having walked through all its blocks and frames; it begins at byte `begin`.

    A stream written into a pipe names neither its length nor its MD5. If such a one is cut between two frames,
    nothing shows it.

    Raises:
        UnreadableAudioError: truncated, damaged or header_lies.
    """
    info = read_all_at(file, begin + 8, _STREAMINFO_BYTES, what="its header")
    packed = int.from_bytes(info[10:18], "big")
    rate, channels, bits = packed >> 44, (packed >> 41 & 7) + 1, (packed >> 36 & 31) + 1
    said = packed & (2**36 - 1)
    first = _first_frame(file, size, begin + 4)
    if rate == 0:
        raise header_lies("the header names 0 samples a second")
    found = FrameWalk(file, size, StreamFormat(rate, channels, bits)).count_samples(first)
    if said not in (0, found):
        words = f"the header names {said} samples per channel, and its frames hold {found}"
        raise truncated(words) if said > found else header_lies(words)
    md5 = None if info[18:] == _NO_MD5 else info[18:]
    return Layout(Container.FLAC, Codec.FLAC, channels, rate, found, found, md5=md5, bits=bits)


def _first_frame(file: BinaryIO, size: int, at: int) -> int:
    """Walk over the blocks in front of the frames; return where the first frame begins."""
    for count in range(_MOST_BLOCKS):
        kind, *length = read_all_at(file, at, 4, what="its header")
        if (kind & ~_LAST == 0) != (count == 0) or (count == 0 and bytes(length) != b"\0\0\x22"):
            raise header_lies("a FLAC stream begins with one block that describes it, and here it does not")
        at += 4 + int.from_bytes(bytes(length), "big")
        if at >= size:
            raise truncated("the file ends before the first samples")
        if kind & _LAST:
            return at
    raise header_lies(f"there are more than {_MOST_BLOCKS} blocks in front of the samples")
