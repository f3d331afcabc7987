"""What an MP3 file says of its samples, held against its frames, each of which follows the one before."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from recordings.audio_layout import Codec, Container, Layout
from recordings.file_bytes import damaged, header_lies, read_all_at, read_at, truncated
from recordings.mp3_tags import Announced, announced, tagged_ends
from recordings.unreadable_audio import Reason, UnreadableAudioError

_HEADER = 4
_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
"""By the code of the version: MPEG 1, 2 and 2.5."""
_KBITS_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBITS_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_LAYER_3 = 1
_MONO = 3
_MPEG_1 = 3
_MOST_TRIMMED = 2 * 4_095
"""Samples in front and behind that the first frame may say are none, twelve bits each."""
_UNSURE_FRAMES = 3
"""Decoders drop a first frame or two whose bits lie in frames that are not there."""


@dataclass(frozen=True, slots=True)
class _Frame:
    version: int
    sample_rate: int
    channels: int
    length: int

    @property
    def samples(self) -> int:
        return 1_152 if self.version == _MPEG_1 else 576

    def is_like(self, other: "_Frame") -> bool:
        return (self.version, self.sample_rate, self.channels) == (other.version, other.sample_rate, other.channels)


def begins_as_mp3(file: BinaryIO, at: int) -> bool:
    """Say whether two frames of the same kind follow each other there: one alone stands in any file by chance."""
    first = _frame(read_at(file, at, _HEADER))
    second = None if first is None else _frame(read_at(file, at + first.length, _HEADER))
    return first is not None and second is not None and second.is_like(first)


def walk_mp3(file: BinaryIO, size: int) -> Layout:
    """Return what the file says, having walked through all its frames.

    Only a file whose first frame names the number of frames (Xing, Info, VBRI) shows that whole frames are missing at
    its end; recorders that write at a constant rate often leave that frame out.

    Raises:
        UnreadableAudioError: damaged, truncated or header_lies.
    """
    begin, end = tagged_ends(file, size)
    first = _frame_at(file, begin, end)
    said = announced(read_at(file, begin, min(first.length, 1_024)), is_mpeg_1=first.version == _MPEG_1)
    sound = begin if said is None else begin + first.length
    count = 0
    for frame in _frames(file, sound, end):
        if not frame.is_like(first):
            raise header_lies(f"frame {count} of the MP3 is of another rate or number of channels than the first")
        count += 1
    if count == 0:
        raise UnreadableAudioError(Reason.EMPTY, "there is a header, and not a single sample. Check the recorder")
    if said is not None:
        _require_said(said, count, end - begin)
    most = count * first.samples
    least = max(1, most - _MOST_TRIMMED - _UNSURE_FRAMES * first.samples)
    return Layout(Container.MP3, Codec.MP3, first.channels, first.sample_rate, least, most)


def _require_said(said: Announced, count: int, length: int) -> None:
    """Hold the frames that the first one names against those found; some writers count itself, too."""
    if said.frames is None or said.frames == count or (said.frames == count + 1 and said.length == length):
        return
    words = f"the first frame names {said.frames} frames, and {count} are there"
    raise truncated(words) if said.frames > count else header_lies(words)


def _frames(file: BinaryIO, at: int, end: int) -> Iterator[_Frame]:
    while at < end:
        frame = _frame_at(file, at, end)
        yield frame
        at += frame.length


def _frame_at(file: BinaryIO, at: int, end: int) -> _Frame:
    frame = _frame(read_all_at(file, at, _HEADER, what="the header of a frame"))
    if frame is None:
        raise damaged(f"no frame of MP3 with a bit rate begins at byte {at}, where one should")
    if at + frame.length > end:
        raise truncated(f"the MP3 frame at byte {at} has {frame.length} bytes, and {end - at} are there")
    return frame


def _frame(head: bytes) -> _Frame | None:
    """Return the frame that begins so; None if none does, or one of another layer, or without a bit rate."""
    if len(head) < _HEADER or head[0] != 0xFF or head[1] >> 5 != 7:  # noqa: PLR2004  # eleven bits that are set
        return None
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    bitrate, rate, padding = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if version not in _RATES or layer != _LAYER_3 or bitrate in (0, 15) or rate == 3:  # noqa: PLR2004  # reserved
        return None
    kbits, factor = (_KBITS_1, 144_000) if version == _MPEG_1 else (_KBITS_2, 72_000)
    hertz = _RATES[version][rate]
    return _Frame(version, hertz, 1 if head[3] >> 6 == _MONO else 2, factor * kbits[bitrate] // hertz + padding)
