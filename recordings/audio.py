"""What a recording holds, found by decoding all of it: duration, channels, silence, waveform.

Owns the decision whether a file is a recording that can be kept. The container's own words are held against the
samples: neither is believed alone. Memory does not grow with the file. Writes nothing.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import soundfile

from recordings.audio_layout import Codec, Container, Layout, require_sane
from recordings.audio_samples import read_samples
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
    waveform = Waveform(
        channels=layout.channels, sample_rate=layout.sample_rate, most_frames=layout.frames or layout.most_frames
    )
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


_CODECS = {
    "PCM_16": Codec.PCM_S16LE,
    "PCM_U8": Codec.PCM_U8,
    "PCM_24": Codec.PCM_S24LE,
    "PCM_32": Codec.PCM_S32LE,
    "FLOAT": Codec.PCM_F32LE,
    "ALAW": Codec.ALAW,
    "ULAW": Codec.ULAW,
    "GSM610": Codec.GSM,
    "IMA_ADPCM": Codec.ADPCM,
    "MS_ADPCM": Codec.ADPCM,
    "OPUS": Codec.OPUS,
    "MPEG_LAYER_III": Codec.MP3,
}
_CONTAINERS = {
    "WAV": Container.WAV,
    "WAVEX": Container.WAV,
    "RF64": Container.RF64,
    "FLAC": Container.FLAC,
    "OGG": Container.OGG,
    "MP3": Container.MP3,
}


def read_layout(path: Path, *, declared: RawFormat | None = None) -> Layout:
    """Return what the file's container says of it, having walked through all of the container.

    Raises:
        UnreadableAudioError: the container is broken, or none.
    """
    size = path.stat().st_size
    if size == 0:
        raise UnreadableAudioError(Reason.EMPTY, "the file is empty. Check the recorder, and send it again")
    try:
        found = soundfile.info(str(path))
    except soundfile.LibsndfileError:
        return _raw_layout(size, declared)
    container = _CONTAINERS.get(found.format)
    codec = Codec.FLAC if container is Container.FLAC else _CODECS.get(found.subtype)
    if container is None or codec is None:
        raise UnreadableAudioError(
            Reason.UNSUPPORTED,
            f"{found.format} with {found.subtype} is not kept; expected WAV, FLAC, Ogg Opus or MP3. Convert it",
        )
    require_sane(found.channels, found.samplerate)
    return Layout(container, codec, found.channels, found.samplerate, found.frames, found.frames)


def _raw_layout(size: int, declared: RawFormat | None) -> Layout:
    if declared is None:
        raise UnreadableAudioError(
            Reason.NOT_AUDIO,
            "there is neither a WAV, FLAC, Ogg Opus nor MP3 in it. If these are bare A-law or µ-law samples, say so,"
            " with rate and channels",
        )
    require_sane(declared.channels, declared.sample_rate)
    frames, rest = divmod(size, declared.channels)
    if rest:
        raise UnreadableAudioError(
            Reason.TRUNCATED,
            f"{size} bytes are not whole samples of {declared.channels} channels. Send the whole file, or correct the"
            " declared format",
        )
    return Layout(Container.RAW, Codec(declared.codec), declared.channels, declared.sample_rate, frames, frames)
