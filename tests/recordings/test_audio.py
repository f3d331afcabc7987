import json
from itertools import product
from pathlib import Path

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


@pytest.mark.parametrize("codec", ["alaw", "ulaw"])
def test_a_file_without_header_is_read_as_declared(tmp_path: Path, codec: str) -> None:
    path = tmp_path / "recording"
    sound = tone(2.5, channels=2)
    soundfile.write(str(path), sound, 8000, format="RAW", subtype=codec.upper())
    found = probe(path, declared=RawFormat(codec, 8000, 2))  # type: ignore[arg-type]
    assert (found.codec, found.container, found.frames, found.duration_ms) == (codec, "raw", 20_000, 2500)
    assert not found.is_playable


def test_an_empty_file_is_refused_as_empty(tmp_path: Path) -> None:
    path = tmp_path / "recording"
    path.touch()
    with pytest.raises(UnreadableAudioError) as raised:
        probe(path)
    assert raised.value.reason is Reason.EMPTY


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
