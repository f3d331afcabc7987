import resource
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import soundfile

from recordings.audio import RawFormat, probe
from recordings.playable import write_playable
from recordings.unreadable_audio import UnreadableAudioError
from tests.recordings.audio_files import silence, tone, write


@pytest.fixture
def no_file_over_a_kilobyte(tmp_path: Path) -> Iterator[None]:
    """An original of ten seconds, and after it no room for more."""
    write(tmp_path / "original", tone(10), "wav-gsm")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


NOT_PLAYED = ["wav-gsm", "wav-ima-adpcm", "wav-ms-adpcm", "wav-pcm-s32le", "wav-pcm-f32le", "rf64-alaw"]


@pytest.mark.parametrize("rate", [8000, 16000])
@pytest.mark.parametrize("name", NOT_PLAYED)
def test_the_copy_sounds_like_the_original_and_is_played_by_browsers(tmp_path: Path, name: str, rate: int) -> None:
    sound = np.concatenate([tone(20, rate=rate), silence(0.5, rate=rate)])
    original, copy = write(tmp_path / "original", sound, name, rate=rate), tmp_path / "copy"
    write_playable(original, copy)
    before, after = probe(original), probe(copy)
    assert (after.codec, after.container, after.is_playable) == ("alaw", "wav", True)
    assert (after.frames, after.channels, after.sample_rate) == (before.frames, before.channels, before.sample_rate)
    assert after.silence_bp == pytest.approx(before.silence_bp, abs=50)
    heard, meant = soundfile.read(str(copy))[0], soundfile.read(str(original))[0][: after.frames]
    assert np.abs(heard - meant).max() < 0.04


@pytest.mark.parametrize("codec", ["alaw", "ulaw"])
def test_a_file_without_header_is_copied_as_declared(tmp_path: Path, codec: Literal["alaw", "ulaw"]) -> None:
    original, copy = tmp_path / "original", tmp_path / "copy"
    soundfile.write(str(original), tone(1, channels=2), 8000, format="RAW", subtype=codec.upper())
    write_playable(original, copy, declared=RawFormat(codec, 8000, 2))
    found = probe(copy)
    assert (found.codec, found.frames, found.channels) == ("alaw", 8000, 2)


def test_alaw_without_header_keeps_every_byte(tmp_path: Path) -> None:
    original, copy = tmp_path / "original", tmp_path / "copy"
    content = np.random.default_rng(4).bytes(16_000)
    original.write_bytes(content)
    write_playable(original, copy, declared=RawFormat("alaw", 8000, 1))
    assert copy.read_bytes().endswith(content)


def test_nothing_is_left_of_a_copy_for_which_there_is_no_room(tmp_path: Path, no_file_over_a_kilobyte: None) -> None:
    copy = tmp_path / "copy"
    with pytest.raises(OSError, match="the copy for browsers cannot be written to copy"):
        write_playable(tmp_path / "original", copy)
    assert not copy.exists()


def test_the_original_is_not_touched(tmp_path: Path) -> None:
    original = write(tmp_path / "original", tone(1), "wav-gsm")
    before = sha256(original.read_bytes()).digest(), original.stat().st_mtime_ns
    write_playable(original, tmp_path / "copy")
    assert (sha256(original.read_bytes()).digest(), original.stat().st_mtime_ns) == before


def test_a_copy_never_takes_the_place_of_another_file(tmp_path: Path) -> None:
    original = write(tmp_path / "original", tone(1), "wav-gsm")
    before = original.read_bytes()
    with pytest.raises(FileExistsError):
        write_playable(original, original)
    assert original.read_bytes() == before


def test_nothing_is_left_of_a_copy_that_could_not_be_finished(tmp_path: Path) -> None:
    original, copy = write(tmp_path / "original", tone(1), "wav-pcm-f32le"), tmp_path / "copy"
    content = original.read_bytes()
    original.write_bytes(content[:-4] + b"\0\0\xc0\x7f")
    with pytest.raises(UnreadableAudioError):
        write_playable(original, copy)
    assert not copy.exists()
