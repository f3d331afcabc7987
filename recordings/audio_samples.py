"""The samples of a recording, block by block, from the first to the last, through libsndfile.

What the decoder gives is held against what the container said, and raised when the two differ. Read the blocks to
the end: only there is it known whether the file was whole.
"""

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from recordings.audio_layout import Codec, Container, Layout
from recordings.file_bytes import damaged, header_lies, truncated
from recordings.spliced_file import SplicedFile
from recordings.waveform import FRAMES_A_SECOND, Samples

_BLOCK_SAMPLES = 2**18
"""Of all channels together: memory is the same for every file, and numpy is at its fastest."""
_RAW_SUBTYPES = {Codec.ALAW: "ALAW", Codec.ULAW: "ULAW"}
_FULL_SCALE = 32_768
_DECODED_TO_FLOATS = {Codec.PCM_F32LE, Codec.OPUS, Codec.MP3}
"""Asked for integers, libsndfile turns what is louder than full scale into its opposite (Opus), or does not scale."""


class OnePass(soundfile.SoundFile):  # type: ignore[misc]  # the library has no type hints
    """A file read from front to back.

    A seekable one is sought to its own position after every block, which makes the decoders of Opus and MP3 begin
    anew in the middle, and be wrong there.
    """

    def seekable(self) -> bool:
        return False


def read_samples(path: Path, layout: Layout) -> Iterator[Samples]:
    """Yield the samples as arrays of frames × channels, 16 bits each, every one but the last of whole 20 ms.

    Raises:
        UnreadableAudioError: damaged, truncated or header_lies, at the latest after the last block.
    """
    try:
        with ExitStack() as opened:
            yield from _checked(_open(path, layout, opened), layout)
    except soundfile.LibsndfileError as error:
        words = error.error_string.strip().rstrip(".")
        raise damaged(f"the {layout.codec} samples cannot be decoded ({words})") from error


def _open(path: Path, layout: Layout, opened: ExitStack) -> OnePass:
    """Open for the decoder; whatever is opened is closed with `opened`."""
    if layout.container is Container.RAW:
        subtype = _RAW_SUBTYPES[layout.codec]
        sound = OnePass(path, format="RAW", subtype=subtype, channels=layout.channels, samplerate=layout.sample_rate)
    elif layout.instead is None:
        sound = OnePass(path)
    else:
        sound = OnePass(opened.enter_context(SplicedFile(path, layout.instead.head, layout.instead.begin)))
    opened.enter_context(sound)
    return sound


def _checked(sound: OnePass, layout: Layout) -> Iterator[Samples]:
    if (sound.channels, sound.samplerate) != (layout.channels, layout.sample_rate):
        raise header_lies(
            f"the header names {layout.channels} channels at {layout.sample_rate} Hz, the samples are"
            f" {sound.channels} at {sound.samplerate} Hz"
        )
    digest, found = hashlib.md5(usedforsecurity=False), 0
    for block in _blocks(sound, layout):
        if layout.md5 is not None:
            digest.update(_packed(block, layout.bits))
        counted = block if layout.frames is None else block[: max(0, layout.frames - found)]
        found += len(block)
        if found > layout.most_frames:
            break
        if len(counted):
            yield _as_16_bits(counted)
    _require_all(found, layout)
    if layout.md5 not in (None, digest.digest()):
        raise damaged("the samples do not have the MD5 that the header names")


def _blocks(sound: OnePass, layout: Layout) -> Iterator[NDArray[np.generic]]:
    """Yield what the decoder gives, in the narrowest type that loses nothing of what is looked at."""
    step = max(1, round(layout.sample_rate / FRAMES_A_SECOND))
    size = step * max(1, _BLOCK_SAMPLES // (step * layout.channels))
    kind = "int16"
    if layout.codec in _DECODED_TO_FLOATS:
        kind = "float32"
    elif layout.md5 is not None and layout.bits != 16:  # noqa: PLR2004  # the width of int16
        kind = "int32"
    while len(block := _filled(sound, np.empty((size, layout.channels), kind))):
        yield block


def _filled(sound: OnePass, block: NDArray[np.generic]) -> NDArray[np.generic]:
    """Read until the block is full or the file at its end: decoders may give less than asked for in between."""
    found = 0
    while found < len(block):
        got = len(sound.read(out=block[found:]))
        if got == 0:
            break
        found += got
    return block[:found]


def _as_16_bits(block: NDArray[np.generic]) -> Samples:
    if block.dtype == np.int16:
        return block.astype(np.int16, copy=False)
    if block.dtype == np.int32:
        return (block.astype(np.int32, copy=False) >> 16).astype(np.int16)
    values = block.astype(np.float32, copy=False) * _FULL_SCALE
    if not np.isfinite(values).all():
        raise damaged("there are samples that are no numbers")
    return np.clip(values, -_FULL_SCALE, _FULL_SCALE - 1).astype(np.int16)


def _packed(block: NDArray[np.generic], bits: int) -> bytes:
    """Return the samples as FLAC hashes them: in the fewest whole bytes, lowest first."""
    if block.dtype == np.int16:
        return block.astype("<i2", copy=False).tobytes()
    values = (block.astype(np.int32, copy=False) >> (32 - bits)).astype("<i4")
    return values.view(np.uint8).reshape(-1, 4)[:, : -(-bits // 8)].tobytes()


def _require_all(found: int, layout: Layout) -> None:
    if found < layout.least_frames:
        raise truncated(f"the header names {layout.least_frames} samples per channel, and {found} are there")
    if found > layout.most_frames:
        raise header_lies(f"the header names {layout.most_frames} samples per channel, and more are there")
