from pathlib import Path

import numpy as np
import pytest

from recordings.audio import probe
from recordings.unreadable_audio import Reason, UnreadableAudioError
from tests.recordings.audio_files import silence, tone
from tests.recordings.broken_files import FRAMES, ID3, encoded, flac_naming, with_bytes, without_md5

GOOD = encoded("flac")
MIDDLE = len(GOOD) // 2
NOISE = np.random.default_rng(1).uniform(-1, 1, (FRAMES, 1))

WHOLE = {
    "as written": (GOOD, FRAMES),
    "of 24 bits": (encoded("flac-24"), FRAMES),
    "of one channel": (encoded("flac", tone(1)), 8000),
    "of a rate that has no code": (encoded("flac", tone(1, rate=11_025), rate=11_025), 11_025),
    "of a rate of whole kilohertz": (encoded("flac", tone(1, rate=12_000), rate=12_000), 12_000),
    "shorter than a block": (encoded("flac", tone(0.01)), 80),
    "of noise, which cannot be packed": (encoded("flac", NOISE), FRAMES),
    "of an hour of silence": (encoded("flac", silence(3600)), 3600 * 8000),
    "into a pipe": (without_md5(flac_naming(GOOD, 0)), FRAMES),
    "behind a tag": (ID3 + GOOD, FRAMES),
}

BROKEN = {
    "cut in its header": (GOOD[:30], Reason.TRUNCATED),
    "cut in front of the samples": (GOOD[:60], Reason.TRUNCATED),
    "cut in the samples": (GOOD[:MIDDLE], Reason.TRUNCATED),
    "cut by one byte": (GOOD[:-1], Reason.TRUNCATED),
    "cut when written into a pipe": (without_md5(flac_naming(GOOD, 0))[:MIDDLE], Reason.TRUNCATED),
    "naming more samples than there are": (flac_naming(GOOD, FRAMES + 1), Reason.TRUNCATED),
    "naming fewer samples than there are": (flac_naming(GOOD, FRAMES - 1), Reason.HEADER_LIES),
    "naming a month in a few bytes": (flac_naming(GOOD, 2**36 - 1), Reason.TRUNCATED),
    "with another stream behind": (GOOD + GOOD, Reason.TRUNCATED),
    "with a rest behind": (GOOD + b"a rest", Reason.TRUNCATED),
    "with zeros behind": (GOOD + bytes(100), Reason.DAMAGED),
    "with a megabyte behind": (GOOD + bytes(2**21), Reason.DAMAGED),
    "with a rest of 255s behind": (GOOD + b"\xff" * 2**21, Reason.DAMAGED),
    "with a wrong byte in the samples": (with_bytes(GOOD, MIDDLE, b"\0\0"), Reason.DAMAGED),
    "with a wrong byte and no MD5": (without_md5(with_bytes(GOOD, MIDDLE, b"\0\0")), Reason.DAMAGED),
    "with a wrong MD5": (with_bytes(GOOD, 26, b"\1\2"), Reason.DAMAGED),
    "at no rate": (with_bytes(GOOD, 18, b"\0\0\0"), Reason.HEADER_LIES),
    "without its first block": (with_bytes(GOOD, 4, b"\4"), Reason.HEADER_LIES),
    "with a first block of another length": (with_bytes(GOOD, 7, b"\x23"), Reason.HEADER_LIES),
    "with a second first block": (with_bytes(GOOD, 42, b"\0"), Reason.HEADER_LIES),
    "with a thousand blocks in front": (GOOD[:42] + b"\1\0\0\0" * 1000 + GOOD[42:], Reason.HEADER_LIES),
    "with another number of channels": (with_bytes(GOOD, 20, b"\x05"), Reason.DAMAGED),
}


@pytest.mark.parametrize(("content", "frames"), WHOLE.values(), ids=WHOLE)
def test_a_whole_flac_stream_is_never_refused(tmp_path: Path, content: bytes, frames: int) -> None:
    path = tmp_path / "recording"
    path.write_bytes(content)
    assert probe(path).frames == frames


@pytest.mark.parametrize(("content", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_broken_flac_stream_is_refused_for_what_is_wrong(tmp_path: Path, content: bytes, reason: Reason) -> None:
    path = tmp_path / "recording"
    path.write_bytes(content)
    with pytest.raises(UnreadableAudioError) as raised:
        probe(path)
    assert raised.value.reason is reason
