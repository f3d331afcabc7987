from pathlib import Path

import numpy as np
import pytest
import soundfile

from recordings.audio import RawFormat, probe
from recordings.unreadable_audio import Reason, UnreadableAudioError
from tests.recordings.audio_files import tone

OTHERS = {
    "AIFF": (b"FORM\0\0\0\x20AIFF", Reason.UNSUPPORTED),
    "Sun AU": (b".snd\0\0\0\x18\0\0\0\x50", Reason.UNSUPPORTED),
    "AMR": (b"#!AMR\n" + bytes(20), Reason.UNSUPPORTED),
    "MPEG-4": (b"\0\0\0\x20ftypM4A " + bytes(20), Reason.UNSUPPORTED),
    "big-endian WAV": (b"RIFX\0\0\0\x20WAVE", Reason.UNSUPPORTED),
    "a PDF": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3" + bytes(100), Reason.NOT_AUDIO),
    "a ZIP": (b"PK\x03\x04" + bytes(100), Reason.NOT_AUDIO),
    "a list": ("工号,电话\n".encode("ascii", "ignore") + b"1001,agent\r\n" * 50, Reason.NOT_AUDIO),
    "a page": (b"<html><body>404</body></html>", Reason.NOT_AUDIO),
    "one byte": (b"R", Reason.NOT_AUDIO),
    "random bytes": (np.random.default_rng(3).bytes(50_000), Reason.NOT_AUDIO),
    "a sync of MPEG and nothing like it": (b"\xff\xfb\x90\0" + np.random.default_rng(5).bytes(2000), Reason.NOT_AUDIO),
    "two thousand zeros": (bytes(2000), Reason.NOT_AUDIO),
}


@pytest.mark.parametrize(("content", "reason"), OTHERS.values(), ids=OTHERS)
def test_what_is_no_recording_is_refused(tmp_path: Path, content: bytes, reason: Reason) -> None:
    path = tmp_path / "recording.wav"
    path.write_bytes(content)
    with pytest.raises(UnreadableAudioError) as raised:
        probe(path)
    assert raised.value.reason is reason


@pytest.mark.parametrize("name", ["a PDF", "a list", "MPEG-4"])
def test_what_is_no_recording_is_refused_also_when_declared_as_samples(tmp_path: Path, name: str) -> None:
    content, reason = OTHERS[name]
    path = tmp_path / "recording"
    path.write_bytes(content)
    with pytest.raises(UnreadableAudioError) as raised:
        probe(path, declared=RawFormat("alaw", 8000, 1))
    assert raised.value.reason is reason


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("codec", ["ALAW", "ULAW"])
def test_samples_without_a_header_are_recognised_so_that_they_can_be_declared(
    tmp_path: Path, codec: str, channels: int
) -> None:
    path = tmp_path / "recording"
    soundfile.write(str(path), tone(2, channels=channels), 8000, format="RAW", subtype=codec)
    with pytest.raises(UnreadableAudioError, match="declare the codec, the rate and the channels") as raised:
        probe(path)
    assert raised.value.reason is Reason.UNDECLARED_RAW
