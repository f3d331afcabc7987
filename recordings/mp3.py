"""What an MP3 file says of its samples, held against its frames, each of which follows the one before."""

from collections.abc import Iterator
from typing import BinaryIO

from recordings.audio_layout import Codec, Container, Instead, Layout
from recordings.file_bytes import damaged, header_lies, no_samples, read_all_at, read_at, truncated
from recordings.mp3_frame import HEADER, Mp3Frame, parse_frame
from recordings.mp3_tags import Announced, announced, announcing, tagged_ends

_ENOUGH_OF_FRAME = 1_024
_MOST_TRIMMED = 2 * 4_095
"""Samples in front and behind that the first frame may say are none, twelve bits each."""
_UNSURE_FRAMES = 3
"""Decoders drop a first frame or two whose bits lie in frames that are not there."""


def begins_as_mp3(file: BinaryIO, at: int) -> bool:
    """Say whether two frames of the same kind follow each other there: one alone stands in any file by chance."""
    first = parse_frame(read_at(file, at, HEADER))
    second = None if first is None else parse_frame(read_at(file, at + first.length, HEADER))
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
    said = announced(read_at(file, begin, min(first.length, _ENOUGH_OF_FRAME)), first)
    sound = begin if said is None else begin + first.length
    count = 0
    for frame in _frames(file, sound, end):
        if not frame.is_like(first):
            raise header_lies(f"frame {count} of the MP3 is of another rate or number of channels than the first")
        count += 1
    if count == 0:
        raise no_samples()
    if said is not None:
        _require_said(said, count, end - begin)
    most = count * first.samples
    # Without the number of frames, the decoder guesses it from the bit rate of the first, and stops there. It is never
    # given the tag in front, which it would hold in memory as a whole: a tag may have 256 MB.
    is_counted = said is not None and said.is_understood and said.frames == count
    instead = Instead(b"", begin) if is_counted else Instead(announcing(read_at(file, begin, HEADER), count), sound)
    least = max(1, most - _MOST_TRIMMED - _UNSURE_FRAMES * first.samples)
    return Layout(Container.MP3, Codec.MP3, first.channels, first.sample_rate, least, most, instead=instead)


def _require_said(said: Announced, count: int, length: int) -> None:
    """Hold the frames that the first one names against those found; some writers count itself, too."""
    if said.frames is None or said.frames == count or (said.frames == count + 1 and said.length == length):
        return
    words = f"the first frame names {said.frames} frames, and {count} are there"
    raise truncated(words) if said.frames > count else header_lies(words)


def _frames(file: BinaryIO, at: int, end: int) -> Iterator[Mp3Frame]:
    while at < end:
        frame = _frame_at(file, at, end)
        yield frame
        at += frame.length


def _frame_at(file: BinaryIO, at: int, end: int) -> Mp3Frame:
    frame = parse_frame(read_all_at(file, at, HEADER, what="the header of a frame"))
    if frame is None:
        raise damaged(f"no frame of MP3 with a bit rate begins at byte {at}, where one should")
    if at + frame.length > end:
        raise truncated(f"the MP3 frame at byte {at} has {frame.length} bytes, and {end - at} are there")
    return frame
