"""What a recording holds, found by decoding all of it: duration, channels, silence, waveform.

Owns the decision whether a file is a recording that can be kept. The container's own words are held against the
samples: neither is believed alone. Memory does not grow with the file. Writes nothing.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from recordings.audio_layout import MOST_SAMPLES, Codec, Container, Layout, require_sane
from recordings.audio_samples import read_samples
from recordings.containers import refuse_headerless, walk_container
from recordings.file_bytes import truncated
from recordings.unreadable_audio import Reason, UnreadableAudioError
from recordings.waveform import Waveform


@dataclass(frozen=True, slots=True)
class RawFormat:
    """What is to be said of a file without a header, by whoever knows its recorder."""

    codec: Literal["alaw", "ulaw"]
    sample_rate: int
    channels: int


@dataclass(frozen=True, slots=True)
class Audio:
    """What was found in a recording. `frames` are samples per channel; `duration_ms` is rounded to the nearest."""

    codec: Codec
    container: Container
    channels: int
    sample_rate: int
    frames: int
    duration_ms: int
    silence_bp: int
    peaks: bytes
    is_playable: bool
    """Browsers play the file as it is; if not, `recordings.playable` makes a copy that they play."""


def probe(path: Path, *, declared: RawFormat | None = None) -> Audio:
    """Decode the whole file and return what is in it.

    `declared` is for a file without a header, and is not looked at when there is one.

    Raises:
        UnreadableAudioError: it is no recording that can be kept, for the reason named.
        OSError: the file itself cannot be read.
    """
    layout = read_layout(path, declared=declared)
    waveform = Waveform(channels=layout.channels, sample_rate=layout.sample_rate, most_frames=layout.most_frames)
    for block in read_samples(path, layout):
        waveform.add(block)
    return Audio(
        codec=layout.codec,
        container=layout.container,
        channels=layout.channels,
        sample_rate=layout.sample_rate,
        frames=waveform.frames,
        duration_ms=round(waveform.frames * 1000 / layout.sample_rate),
        silence_bp=waveform.silence_bp(),
        peaks=waveform.peaks(),
        is_playable=is_played_by_browsers(layout),
    )


def is_played_by_browsers(layout: Layout) -> bool:
    """Say whether every current browser plays this without help."""
    if layout.container in (Container.RAW, Container.RF64):
        return False
    return layout.codec not in (Codec.GSM, Codec.ADPCM, Codec.PCM_S32LE, Codec.PCM_F32LE)


def read_layout(path: Path, *, declared: RawFormat | None = None) -> Layout:
    """Return what the file's container says of it, having walked through all of the container.

    Raises:
        UnreadableAudioError: the container is broken, or none and nothing is declared.
    """
    size = path.stat().st_size
    if size == 0:
        raise UnreadableAudioError(Reason.EMPTY, "the file is empty. Check the recorder, and send it again")
    with path.open("rb") as file:
        layout = walk_container(file, size) or _raw_layout(file, size, declared)
    require_sane(layout.channels, layout.sample_rate)
    if layout.most_frames * layout.channels > MOST_SAMPLES:
        raise UnreadableAudioError(
            Reason.TOO_LONG,
            f"the header names {layout.most_frames} samples in {layout.channels} channels; {MOST_SAMPLES} in all are"
            " the most. Send one file per call",
        )
    return layout


def _raw_layout(file: BinaryIO, size: int, declared: RawFormat | None) -> Layout:
    if declared is None:
        refuse_headerless(file)
    require_sane(declared.channels, declared.sample_rate)
    frames, rest = divmod(size, declared.channels)
    if rest:
        raise truncated(f"{size} bytes are not whole samples of the declared {declared.channels} channels")
    codec = Codec(declared.codec)
    return Layout(Container.RAW, codec, declared.channels, declared.sample_rate, frames, frames, frames)
