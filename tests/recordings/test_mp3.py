import struct
from pathlib import Path

import pytest

from recordings.audio import probe
from recordings.unreadable_audio import Reason, UnreadableAudioError
from tests.recordings.audio_files import tone
from tests.recordings.broken_files import FRAMES, ID3, ID3V1, encoded, with_bytes

GOOD = encoded("mp3")
FIRST_LENGTH = 288
PLAIN = GOOD[FIRST_LENGTH:]
COUNT_AT = 21 + 8
"""Where the first frame, of MPEG 2.5 and stereo, names the number of frames."""
COUNT = int.from_bytes(GOOD[COUNT_AT : COUNT_AT + 4], "big")
VBRI = b"VBRI" + bytes(6) + struct.pack(">II", len(GOOD), COUNT)


def naming(count: int, length: int | None = None) -> bytes:
    """Return the file with another number of frames, and of bytes, in its first frame."""
    said = struct.pack(">I", count) + (b"" if length is None else struct.pack(">I", length))
    return with_bytes(GOOD, COUNT_AT, said)


def ape(*, flags: int) -> bytes:
    """Return an APE tag of no items, with a header if `flags` say so."""
    foot = b"APETAGEX" + struct.pack("<IIII8x", 2000, 32, 0, flags)
    return (foot if flags else b"") + foot


WHOLE = {
    "as written": (GOOD, FRAMES),
    "of one channel": (encoded("mp3", tone(1)), 8000),
    "of MPEG 2": (encoded("mp3", tone(1, rate=16_000), rate=16_000), 16_000),
    "of MPEG 1": (encoded("mp3", tone(1, rate=44_100), rate=44_100), 44_100),
    "of MPEG 1 and one channel": (encoded("mp3", tone(1, rate=44_100, channels=1), rate=44_100), 44_100),
    "between tags": (ID3 + GOOD + ape(flags=0) + ID3V1, FRAMES),
    "in front of a tag with a header": (GOOD + ape(flags=1 << 31), FRAMES),
}

BROKEN = {
    "cut in the last frame": (GOOD[:-1], Reason.TRUNCATED),
    "cut in the middle": (GOOD[: len(GOOD) // 2], Reason.TRUNCATED),
    "cut in the header of a frame": (PLAIN + PLAIN[:3], Reason.TRUNCATED),
    "naming more frames than there are": (naming(COUNT + 2), Reason.TRUNCATED),
    "naming one frame more, and other bytes": (naming(COUNT + 1, 1), Reason.TRUNCATED),
    "naming fewer frames than there are": (naming(COUNT - 1), Reason.HEADER_LIES),
    "naming days of frames": (naming(2**32 - 1), Reason.TRUNCATED),
    "naming more frames in the manner of Fraunhofer": (
        with_bytes(with_bytes(GOOD, 21, bytes(4)), 36, VBRI[:-4] + struct.pack(">I", COUNT + 2)),
        Reason.TRUNCATED,
    ),
    "with another file behind": (GOOD + GOOD, Reason.HEADER_LIES),
    "with a rest behind": (GOOD + bytes(100), Reason.DAMAGED),
    "with another rate in the middle": (
        PLAIN + encoded("mp3", tone(1, rate=16_000, channels=2), rate=16_000),
        Reason.HEADER_LIES,
    ),
    "with a header and nothing else": (ID3 + GOOD[:FIRST_LENGTH], Reason.EMPTY),
    "with a tag and nothing else": (ID3, Reason.TRUNCATED),
    "with a tag longer than the file": (with_bytes(ID3, 8, b"\x7f") + GOOD, Reason.TRUNCATED),
    "with a tag longer than the sound": (GOOD + with_bytes(ape(flags=0), 12, b"\xff\xff"), Reason.TRUNCATED),
    "with more tags in front than anybody writes": (ID3 * 20 + GOOD, Reason.DAMAGED),
    "with something else behind its tag": (ID3 + b"something else" * 10, Reason.DAMAGED),
}


@pytest.mark.parametrize(("content", "frames"), WHOLE.values(), ids=WHOLE)
def test_a_whole_mp3_is_never_refused(tmp_path: Path, content: bytes, frames: int) -> None:
    path = tmp_path / "recording"
    path.write_bytes(content)
    assert probe(path).frames == frames


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(PLAIN, id="without a first frame that names anything"),
        pytest.param(naming(COUNT + 1), id="counting its first frame"),
        pytest.param(with_bytes(GOOD, 21 + 4, bytes(4)), id="with a first frame that names nothing"),
        pytest.param(with_bytes(with_bytes(GOOD, 21, bytes(4)), 36, VBRI), id="named in the manner of Fraunhofer"),
    ],
)
def test_what_an_encoder_put_around_the_sound_may_be_counted(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "recording"
    path.write_bytes(content)
    assert FRAMES <= probe(path).frames <= COUNT * 576


@pytest.mark.parametrize(("content", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_broken_mp3_is_refused_for_what_is_wrong(tmp_path: Path, content: bytes, reason: Reason) -> None:
    path = tmp_path / "recording"
    path.write_bytes(content)
    with pytest.raises(UnreadableAudioError) as raised:
        probe(path)
    assert raised.value.reason is reason
