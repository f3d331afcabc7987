import json
from itertools import product
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import soundfile

from recordings.audio import RawFormat, probe
from recordings.unreadable_audio import Reason, UnreadableAudioError
from tests.recordings.audio_files import FORMATS, silence, tone, write

MONO_ONLY = {"wav-gsm"}
WRITTEN = [
    pytest.param(name, rate, channels, id=f"{name}-{rate}-{channels}")
    for name, rate, channels in product(FORMATS, (8000, 16000), (1, 2))
    if channels == 1 or name not in MONO_ONLY
]


@pytest.mark.parametrize(("name", "rate", "channels"), WRITTEN)
def test_every_format_is_told_by_what_is_in_it(tmp_path: Path, name: str, rate: int, channels: int) -> None:
    sound = np.concatenate(
        [tone(1, rate=rate, channels=channels), silence(1, rate=rate, channels=channels), tone(1, channels=channels)]
    )
    found = probe(write(tmp_path / "recording", sound, name, rate=rate))
    kind = FORMATS[name]
    assert (found.codec, found.container) == (kind.codec, kind.container)
    assert (found.channels, found.sample_rate) == (channels, rate)
    assert len(sound) <= found.frames < len(sound) + kind.block
    assert found.duration_ms == round(found.frames * 1000 / rate)


PLAYED = {"wav-pcm-s16le", "wav-pcm-u8", "wav-pcm-s24le", "wav-alaw", "wav-ulaw", "wav-extensible-alaw"} | {
    "flac",
    "flac-24",
    "ogg-opus",
    "mp3",
}


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_what_browsers_play_needs_no_copy(tmp_path: Path, name: str) -> None:
    assert probe(write(tmp_path / "recording", tone(0.5), name)).is_playable is (name in PLAYED)


@pytest.mark.parametrize("codec", ["alaw", "ulaw"])
def test_a_file_without_header_is_read_as_declared(tmp_path: Path, codec: Literal["alaw", "ulaw"]) -> None:
    path = tmp_path / "recording"
    sound = tone(2.5, channels=2)
    soundfile.write(str(path), sound, 8000, format="RAW", subtype=codec.upper())
    found = probe(path, declared=RawFormat(codec, 8000, 2))
    assert (found.codec, found.container, found.frames, found.duration_ms) == (codec, "raw", 20_000, 2500)
    assert not found.is_playable


@pytest.mark.parametrize(("name", "rate", "channels"), WRITTEN)
def test_the_share_of_silence_is_that_of_the_samples(tmp_path: Path, name: str, rate: int, channels: int) -> None:
    built = [tone(1.5, rate=rate, channels=channels), silence(2.5, rate=rate, channels=channels)]
    found = probe(write(tmp_path / "recording", np.concatenate(built), name, rate=rate))
    # Lossy codecs ring for some milliseconds after the tone, and GSM hisses.
    assert found.silence_bp == pytest.approx(6250, abs=500)


@pytest.mark.parametrize(
    ("seconds", "expected"), [pytest.param(0, 0, id="none"), pytest.param(1, 2500, id="a quarter")]
)
def test_silence_is_exact_where_nothing_is_lost(tmp_path: Path, seconds: float, expected: int) -> None:
    sound = np.concatenate([silence(seconds), tone(4 - seconds)])
    assert probe(write(tmp_path / "recording", sound, "wav-pcm-s16le")).silence_bp == expected


def test_a_recording_of_nothing_is_all_silence(tmp_path: Path) -> None:
    assert probe(write(tmp_path / "recording", silence(1.007), "wav-alaw")).silence_bp == 10_000


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_the_samples_looked_at_are_those_that_libsndfile_decodes_at_once(tmp_path: Path, name: str) -> None:
    found = probe(write(tmp_path / "recording", np.random.default_rng(2).uniform(-0.9, 0.9, (8000 * 40, 1)), name))
    peaks = json.loads(found.peaks)
    samples, _ = soundfile.read(str(tmp_path / "recording"), dtype="float64")
    samples = np.clip(samples[: found.frames] * 32_768, -32_768, 32_767)
    starts = np.arange(0, len(samples), peaks["samples_per_pixel"])
    expected = np.stack([np.minimum.reduceat(samples, starts), np.maximum.reduceat(samples, starts)], axis=1) / 256
    assert np.abs(np.array(peaks["data"]).reshape(-1, 2) - expected).max() <= 1.01


def test_an_empty_file_is_refused_as_empty(tmp_path: Path) -> None:
    path = tmp_path / "recording"
    path.touch()
    with pytest.raises(UnreadableAudioError) as raised:
        probe(path)
    assert raised.value.reason is Reason.EMPTY


def test_half_a_sample_of_a_declared_format_is_refused_as_truncated(tmp_path: Path) -> None:
    path = tmp_path / "recording"
    path.write_bytes(bytes([0xD5] * 1001))
    with pytest.raises(UnreadableAudioError) as raised:
        probe(path, declared=RawFormat("alaw", 8000, 2))
    assert raised.value.reason is Reason.TRUNCATED


@pytest.mark.parametrize(
    "declared",
    [
        pytest.param(RawFormat("alaw", 100, 1), id="a rate of 100"),
        pytest.param(RawFormat("alaw", 8000, 0), id="no channel"),
        pytest.param(RawFormat("alaw", 8000, -1), id="less than no channel"),
        pytest.param(RawFormat("alaw", 8000, 100), id="a hundred channels"),
    ],
)
def test_a_declared_format_that_no_recorder_writes_is_refused(tmp_path: Path, declared: RawFormat) -> None:
    path = tmp_path / "recording"
    path.write_bytes(bytes([0xD5] * 1000))
    with pytest.raises(UnreadableAudioError) as raised:
        probe(path, declared=declared)
    assert raised.value.reason is Reason.UNSUPPORTED


def test_a_header_goes_before_what_is_declared(tmp_path: Path) -> None:
    path = write(tmp_path / "recording", tone(1, channels=2), "wav-ulaw")
    found = probe(path, declared=RawFormat("alaw", 16_000, 1))
    assert (found.codec, found.container, found.sample_rate, found.channels) == ("ulaw", "wav", 8000, 2)


def test_more_samples_than_are_ever_decoded_are_refused_before_they_are(tmp_path: Path) -> None:
    path = tmp_path / "recording"
    with path.open("wb") as file:
        file.truncate(2**31 + 1)
    with pytest.raises(UnreadableAudioError) as raised:
        probe(path, declared=RawFormat("alaw", 8000, 1))
    assert raised.value.reason is Reason.TOO_LONG


def test_the_waveform_is_the_lowest_and_highest_sample_of_each_pixel(tmp_path: Path) -> None:
    sound = np.random.default_rng(1).uniform(-1, 1, (8000 * 3 + 77, 2))
    path = write(tmp_path / "recording", sound, "wav-pcm-s16le")
    peaks = json.loads(probe(path).peaks)
    samples, _ = soundfile.read(str(path), dtype="int16", always_2d=True)
    starts = np.arange(0, len(samples), 160)
    lows, highs = np.minimum.reduceat(samples, starts), np.maximum.reduceat(samples, starts)
    expected = np.stack([lows, highs], axis=2) >> 8
    assert peaks["data"] == expected.ravel().tolist()
    assert (peaks["version"], peaks["bits"], peaks["channels"], peaks["length"]) == (2, 8, 2, len(starts))
    assert (peaks["sample_rate"], peaks["samples_per_pixel"]) == (8000, 160)
