from pathlib import Path

import numpy as np
import pytest

from recordings.audio import probe
from recordings.unreadable_audio import Reason, UnreadableAudioError
from tests.recordings.audio_files import silence, tone
from tests.recordings.broken_files import FRAMES, ID3, encoded, flac_naming, with_bytes, without_md5
from tests.recordings.flac_builder import LIKE_A_FRAME, Frame, number, stream

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

TINY = {
    "numbered by samples": (
        [Frame(by_sample=True), Frame(number=number(4096), by_sample=True), Frame(number=number(8192), by_sample=True)],
        12_288,
    ),
    "numbered up to 150": ([Frame(number=number(count)) for count in range(151)], 151 * 4096),
    "with values like the beginning of a frame": (
        [Frame(value=LIKE_A_FRAME), Frame(number=b"\1", value=LIKE_A_FRAME), Frame(number=b"\2", value=LIKE_A_FRAME)],
        12_288,
    ),
    "of 192 samples": ([Frame(block=1)], 192),
    "of 576 samples": ([Frame(block=2)], 576),
    "of 100 samples, in a byte": ([Frame(block=6, extra=b"\x63")], 100),
    "of 50,000 samples, in two bytes": ([Frame(block=7, extra=b"\xc3\x4f")], 50_000),
    "of 8 kHz by its code": ([Frame(rate=4)], 4096),
    "of 8 kHz in kilohertz": ([Frame(rate=12, extra=b"\x08")], 4096),
    "of 8 kHz in hertz": ([Frame(rate=13, extra=b"\x1f\x40")], 4096),
    "of 8 kHz in tens of hertz": ([Frame(rate=14, extra=b"\x03\x20")], 4096),
}

NO_FRAME = {
    "of no samples": Frame(block=0),
    "of a forbidden rate": Frame(rate=15),
    "of another rate": Frame(rate=5),
    "of other channels": Frame(channels=1),
    "of channels that stand for nothing": Frame(channels=11),
    "of another width": Frame(bits=1),
    "with another number": Frame(number=b"\7"),
    "with a number that goes on wrongly": Frame(number=b"\xc2\x01"),
    "with a number that begins wrongly": Frame(number=b"\x80"),
    "with a number of nothing but ones": Frame(number=b"\xff\xbf\xbf\xbf\xbf\xbf\xbf"),
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


@pytest.mark.parametrize(("frames", "samples"), TINY.values(), ids=TINY)
def test_every_kind_of_frame_is_counted(tmp_path: Path, frames: list[Frame], samples: int) -> None:
    path = tmp_path / "recording"
    path.write_bytes(stream(frames))
    found = probe(path)
    assert (found.frames, found.sample_rate) == (samples, 8000)


@pytest.mark.parametrize("frame", NO_FRAME.values(), ids=NO_FRAME)
def test_what_is_no_frame_of_the_stream_does_not_begin_it(tmp_path: Path, frame: Frame) -> None:
    path = tmp_path / "recording"
    path.write_bytes(stream([frame]))
    with pytest.raises(UnreadableAudioError, match="no FLAC frame begins at byte 42") as raised:
        probe(path)
    assert raised.value.reason is Reason.DAMAGED


def test_a_frame_whose_header_has_a_wrong_checksum_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "recording"
    path.write_bytes(with_bytes(stream([Frame()]), 47, b"\0"))
    with pytest.raises(UnreadableAudioError, match="no FLAC frame begins at byte 42"):
        probe(path)


def test_three_days_of_silence_in_half_a_megabyte_are_refused_before_it_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "recording"
    longest = [Frame(number=number(count), block=7, extra=b"\xff\xfe") for count in range(33_000)]
    path.write_bytes(stream(longest))
    with pytest.raises(UnreadableAudioError) as raised:
        probe(path)
    assert raised.value.reason is Reason.TOO_LONG
    assert path.stat().st_size < 2**19


@pytest.mark.parametrize(("content", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_broken_flac_stream_is_refused_for_what_is_wrong(tmp_path: Path, content: bytes, reason: Reason) -> None:
    path = tmp_path / "recording"
    path.write_bytes(content)
    with pytest.raises(UnreadableAudioError) as raised:
        probe(path)
    assert raised.value.reason is reason
