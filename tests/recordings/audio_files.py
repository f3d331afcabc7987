"""Recordings made for the tests, in every format that telephone recorders write, with libsndfile."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Format:
    """One way to write a file: libsndfile's words, and ours for what is then in it."""

    container: str
    codec: str
    major: str
    subtype: str
    block: int = 1
    """Samples per channel in one block, up to which some codecs fill the last one."""


FORMATS = {
    "wav-pcm-s16le": Format("wav", "pcm_s16le", "WAV", "PCM_16"),
    "wav-pcm-u8": Format("wav", "pcm_u8", "WAV", "PCM_U8"),
    "wav-pcm-s24le": Format("wav", "pcm_s24le", "WAV", "PCM_24"),
    "wav-pcm-s32le": Format("wav", "pcm_s32le", "WAV", "PCM_32"),
    "wav-pcm-f32le": Format("wav", "pcm_f32le", "WAV", "FLOAT"),
    "wav-alaw": Format("wav", "alaw", "WAV", "ALAW"),
    "wav-ulaw": Format("wav", "ulaw", "WAV", "ULAW"),
    "wav-extensible-alaw": Format("wav", "alaw", "WAVEX", "ALAW"),
    "wav-gsm": Format("wav", "gsm", "WAV", "GSM610", block=320),
    "wav-ima-adpcm": Format("wav", "adpcm", "WAV", "IMA_ADPCM", block=1017),
    "wav-ms-adpcm": Format("wav", "adpcm", "WAV", "MS_ADPCM", block=1012),
    "rf64-alaw": Format("rf64", "alaw", "RF64", "ALAW"),
    "flac": Format("flac", "flac", "FLAC", "PCM_16"),
    "flac-24": Format("flac", "flac", "FLAC", "PCM_24"),
    "ogg-opus": Format("ogg", "opus", "OGG", "OPUS"),
    "mp3": Format("mp3", "mp3", "MP3", "MPEG_LAYER_III"),
}

Sound = NDArray[np.float64]


def tone(seconds: float, *, rate: int = 8000, channels: int = 1) -> Sound:
    """Return a tone at half of full scale, of another pitch in each channel."""
    at = np.arange(round(seconds * rate)) / rate
    pitches = [440 + 100 * channel for channel in range(channels)]
    return np.stack([0.5 * np.sin(2 * np.pi * pitch * at) for pitch in pitches], axis=1)


def silence(seconds: float, *, rate: int = 8000, channels: int = 1) -> Sound:
    return np.zeros((round(seconds * rate), channels))


def tone_file(*, seconds: float) -> bytes:
    """Return a call with a tone in its one channel, in the A-law of a telephone."""
    written = io.BytesIO()
    soundfile.write(written, tone(seconds), 8000, format="WAV", subtype="ALAW")
    return written.getvalue()


def write(path: Path, sound: Sound, name: str, *, rate: int = 8000) -> Path:
    """Write the sound in the format of this name, and return the path."""
    kind = FORMATS[name]
    soundfile.write(str(path), sound, rate, format=kind.major, subtype=kind.subtype)
    return path
