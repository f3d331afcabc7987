"""What stands in an MP3 file beside its sound: tags in front and behind, and the frame that announces the others."""

import struct
from dataclasses import dataclass
from typing import BinaryIO

from recordings.file_bytes import read_at, truncated
from recordings.mp3_frame import Mp3Frame, parse_frame

_ID3_HEADER = 10
_ID3_HAS_FOOTER = 0x10
_MOST_TAGS = 16
_ID3V1_BYTES = 128
_APE_BYTES = 32
_APE_HAS_HEADER = 1 << 31
_HAS_FRAMES, _HAS_BYTES = 1, 2
_VBRI_AT = 36


@dataclass(frozen=True, slots=True)
class Announced:
    """What the first frame says of the file; None for what it leaves out. `length` is in bytes and counts itself.

    Decoders understand a Xing or Info frame, and take a VBRI frame for sound.
    """

    frames: int | None
    length: int | None
    is_understood: bool


def id3_end(file: BinaryIO, at: int) -> int:
    """Return where the ID3v2 tags that begin there end; `at` itself when there is none."""
    for _ in range(_MOST_TAGS):
        head = read_at(file, at, _ID3_HEADER)
        if len(head) < _ID3_HEADER or head[:3] != b"ID3" or max(head[6:10]) > 0x7F:  # noqa: PLR2004  # 7 bits a byte
            return at
        length = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
        at += _ID3_HEADER + length + (_ID3_HEADER if head[5] & _ID3_HAS_FOOTER else 0)
    return at


def tagged_ends(file: BinaryIO, size: int) -> tuple[int, int]:
    """Return where the sound begins and ends, between ID3v2 in front and ID3v1 and APE behind.

    Raises:
        UnreadableAudioError: truncated, in the middle of a tag.
    """
    begin, end = id3_end(file, 0), size
    if begin >= size:
        raise truncated(f"the tag in front of the MP3 names {begin} bytes, and {size} are there")
    if end - begin > _ID3V1_BYTES and read_at(file, end - _ID3V1_BYTES, 3) == b"TAG":
        end -= _ID3V1_BYTES
    if end - begin > _APE_BYTES:
        foot = read_at(file, end - _APE_BYTES, _APE_BYTES)
        if foot[:8] == b"APETAGEX":
            length, flags = struct.unpack("<I4xI", foot[12:24])
            end -= length + (_APE_BYTES if flags & _APE_HAS_HEADER else 0)
    if end <= begin:
        raise truncated("the tags of the MP3 leave no room for sound")
    return begin, end


def announced(content: bytes, frame: Mp3Frame) -> Announced | None:
    """Return what this first frame says of the file; None if it is sound like the others."""
    at = frame.side_end
    if content[at : at + 4] in (b"Xing", b"Info"):
        return _xing(content[at + 4 :])
    if content[_VBRI_AT : _VBRI_AT + 4] == b"VBRI" and len(content) >= _VBRI_AT + 18:
        length, frames = struct.unpack(">II", content[_VBRI_AT + 10 : _VBRI_AT + 18])
        return Announced(frames, length, is_understood=False)
    return None


def announcing(header: bytes, frames: int) -> bytes:
    """Return a first frame that says how many follow, of the kind of the frame with this header."""
    # Without a checksum, at the bit rate of code 8, 64 or 112 kbit/s, at which every kind of frame has room.
    head = bytes([header[0], header[1] | 1, 0x80 | header[2] & 0x0C, header[3]])
    frame = parse_frame(head)
    assert frame is not None  # noqa: S101  # for the type checker: only its bit rate was set to another
    return (head.ljust(frame.side_end, b"\0") + b"Info" + struct.pack(">II", _HAS_FRAMES, frames)).ljust(
        frame.length, b"\0"
    )


def _xing(rest: bytes) -> Announced:
    numbers = iter(struct.unpack(f">{len(rest) // 4}I", rest[: len(rest) // 4 * 4]))
    flags = next(numbers, 0)
    frames = next(numbers, None) if flags & _HAS_FRAMES else None
    length = next(numbers, None) if flags & _HAS_BYTES else None
    return Announced(frames, length, is_understood=True)
