import struct
from pathlib import Path

import pytest

from recordings.audio import probe
from recordings.unreadable_audio import Reason, UnreadableAudioError
from tests.recordings.audio_files import tone
from tests.recordings.broken_files import (
    FRAMES,
    changed_page,
    encoded,
    moved,
    ogg,
    opus_of,
    page,
    pages_of,
    with_bytes,
)

GOOD = encoded("ogg-opus")
PAGES = pages_of(GOOD)
LATER = ogg([*PAGES[:2], *map(moved(48_000), PAGES[2:])])
CODED_AT = 28 + 12
"""Where, in the first page, the rate before coding stands."""

QUIET_20_MS = bytes([1 << 3])
TWO_OF_20_MS = bytes([1 << 3 | 1, 0, 0])
THREE_OF_20_MS = bytes([1 << 3 | 3, 3])
SEVEN_OF_20_MS = bytes([1 << 3 | 3, 7])
NONE_OF_20_MS = bytes([1 << 3 | 3, 0])
COUNTED_BY_NOTHING = bytes([1 << 3 | 3])
GOES_ON_20_MS = QUIET_20_MS + bytes(254)
CONTINUED, LAST = 1, 4
HEAD = b"OpusHead" + struct.pack("<BBHIHB", 1, 1, 312, 8000, 0, 0)
TAGS_ON_TWO_PAGES = ogg(
    [
        page(0, [HEAD], granule=0, flags=2),
        page(1, [b"OpusTags" + struct.pack("<I", 4) + b"test" + struct.pack("<II", 1, 235) + bytes(231)], granule=-1),
        page(2, [bytes(4)], granule=0, flags=CONTINUED),
        page(3, [TWO_OF_20_MS], granule=1920, flags=LAST),
    ]
)

FULL = [bytes(255)] * 255
GOING_ON = [page(number, FULL, granule=-1, flags=CONTINUED) for number in range(3, 20)]
"""A little more than a megabyte."""
LONG_COMMENTS = [
    page(1, [b"OpusTags".ljust(255, b"\0"), *FULL[1:]], granule=-1),
    page(2, FULL, granule=-1, flags=CONTINUED),
    *GOING_ON,
    page(20, [b""], granule=0, flags=CONTINUED),
]

WHOLE = {
    "as written": (GOOD, 8000, FRAMES),
    "of one channel": (encoded("ogg-opus", tone(1)), 8000, 8000),
    "shorter than a page": (encoded("ogg-opus", tone(0.1)), 8000, 800),
    "at 16 kHz": (encoded("ogg-opus", tone(1, rate=16_000), rate=16_000), 16_000, 16_000),
    "joined a second after its beginning": (LATER, 8000, FRAMES),
    "of sound that was at 44.1 kHz": (
        changed_page(GOOD, 0, lambda found: with_bytes(found, CODED_AT, b"\x44\xac\0\0")),
        48_000,
        FRAMES * 6,
    ),
    "with comments on two pages": (TAGS_ON_TWO_PAGES, 8000, (1920 - 312) // 6),
    "with a packet on two pages": (
        opus_of(page(2, [GOES_ON_20_MS], granule=-1), page(3, [bytes(9)], granule=960, flags=LAST | CONTINUED)),
        8000,
        (960 - 312) // 6,
    ),
    "of packets that say how many frames they hold": (
        opus_of(page(2, [TWO_OF_20_MS, THREE_OF_20_MS], granule=4800, flags=LAST)),
        8000,
        (4800 - 312) // 6,
    ),
}

BROKEN = {
    "cut in the middle of a page": (GOOD[:-10], Reason.TRUNCATED),
    "cut in the header of a page": (GOOD[: -len(PAGES[-1]) + 10], Reason.TRUNCATED),
    "cut between two pages": (ogg(PAGES[:-1]), Reason.TRUNCATED),
    "cut after its headers": (ogg(PAGES[:2]), Reason.TRUNCATED),
    "cut after its first header": (ogg(PAGES[:1]), Reason.TRUNCATED),
    "without a page in the middle": (ogg([*PAGES[:3], *PAGES[4:]]), Reason.TRUNCATED),
    "with a wrong byte": (with_bytes(GOOD, len(GOOD) // 2, b"\0\0"), Reason.DAMAGED),
    "with a rest behind": (GOOD + b"rest", Reason.HEADER_LIES),
    "with another stream behind": (GOOD + GOOD, Reason.HEADER_LIES),
    "with another stream between": (
        ogg([*PAGES[:3], page(3, [QUIET_20_MS], granule=960, serial=7), *PAGES[3:]]),
        Reason.HEADER_LIES,
    ),
    "beginning in the middle": (
        changed_page(GOOD, 0, lambda found: with_bytes(found, 5, b"\0")),
        Reason.HEADER_LIES,
    ),
    "with something between two pages": (
        b"".join([*PAGES[:3], b"rest", bytes(60), *PAGES[3:]]),
        Reason.DAMAGED,
    ),
    "naming more than its packets hold": (changed_page(GOOD, -1, moved(480_000)), Reason.TRUNCATED),
    "naming less than its packets hold": (changed_page(GOOD, -1, moved(-4_800)), Reason.HEADER_LIES),
    "naming days in a few bytes": (changed_page(GOOD, -1, moved(2**40)), Reason.TRUNCATED),
    "with a hole": (changed_page(GOOD, 3, moved(4_800)), Reason.TRUNCATED),
    "beginning before its beginning": (changed_page(GOOD, 2, moved(-4_800)), Reason.HEADER_LIES),
    "of Vorbis": (
        ogg([page(0, [b"\x01vorbis" + bytes(23)], granule=0, flags=2), page(1, [b"more"], granule=0)]),
        Reason.UNSUPPORTED,
    ),
    "of Opus to come": (changed_page(GOOD, 0, lambda found: with_bytes(found, 36, b"\x10")), Reason.HEADER_LIES),
    "of no channel": (changed_page(GOOD, 0, lambda found: with_bytes(found, 37, b"\0")), Reason.HEADER_LIES),
    "with two packets on its first page": (
        ogg([page(0, [b"OpusHead", b"more"], granule=0, flags=2), *PAGES[1:]]),
        Reason.HEADER_LIES,
    ),
    "with nothing on its first page": (ogg([page(0, [], granule=0, flags=2), *PAGES[1:]]), Reason.HEADER_LIES),
    "ending with its first header": (ogg([page(0, [HEAD], granule=0, flags=2 | LAST)]), Reason.HEADER_LIES),
    "ending with its second header": (
        ogg([page(0, [HEAD], granule=0, flags=2), page(1, [b"OpusTags"], granule=0, flags=LAST)]),
        Reason.EMPTY,
    ),
    "with an empty packet": (opus_of(page(2, [b""], granule=960, flags=LAST)), Reason.DAMAGED),
    "with a packet of no frames": (opus_of(page(2, [NONE_OF_20_MS], granule=960, flags=LAST)), Reason.DAMAGED),
    "with a packet that does not say how many": (
        opus_of(page(2, [COUNTED_BY_NOTHING], granule=960, flags=LAST)),
        Reason.DAMAGED,
    ),
    "with a packet longer than 120 ms": (opus_of(page(2, [SEVEN_OF_20_MS], granule=960, flags=LAST)), Reason.DAMAGED),
    "with a packet that goes on from nowhere": (
        opus_of(page(2, [QUIET_20_MS], granule=960, flags=LAST | 1)),
        Reason.DAMAGED,
    ),
    "with a last packet that has no end": (
        opus_of(page(2, [QUIET_20_MS, GOES_ON_20_MS], granule=960, flags=LAST)),
        Reason.TRUNCATED,
    ),
    "with a place in time and no packet": (
        opus_of(page(2, [], granule=960), page(3, [QUIET_20_MS], granule=960, flags=LAST)),
        Reason.HEADER_LIES,
    ),
    "with a packet and no place in time": (
        opus_of(page(2, [QUIET_20_MS], granule=-1), page(3, [QUIET_20_MS], granule=960, flags=LAST)),
        Reason.HEADER_LIES,
    ),
    "with comments of a megabyte, which the decoder would hold in memory": (
        ogg(
            [
                page(0, [HEAD], granule=0, flags=2),
                page(1, FULL, granule=-1),
                page(2, FULL, granule=-1, flags=CONTINUED),
                *GOING_ON,
            ]
        ),
        Reason.DAMAGED,
    ),
    "with a packet of a megabyte": (
        opus_of(page(2, [GOES_ON_20_MS], granule=-1), *GOING_ON, page(20, [b""], granule=960, flags=LAST | CONTINUED)),
        Reason.DAMAGED,
    ),
    "with nothing but what is cut off in front": (
        opus_of(page(2, [QUIET_20_MS], granule=312, flags=LAST)),
        Reason.EMPTY,
    ),
}


@pytest.mark.parametrize(("content", "rate", "frames"), WHOLE.values(), ids=WHOLE)
def test_a_whole_opus_file_is_never_refused(tmp_path: Path, content: bytes, rate: int, frames: int) -> None:
    path = tmp_path / "recording"
    path.write_bytes(content)
    found = probe(path)
    assert (found.sample_rate, found.frames) == (rate, frames)


@pytest.mark.parametrize(("content", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_broken_opus_file_is_refused_for_what_is_wrong(tmp_path: Path, content: bytes, reason: Reason) -> None:
    path = tmp_path / "recording"
    path.write_bytes(content)
    with pytest.raises(UnreadableAudioError) as raised:
        probe(path)
    assert raised.value.reason is reason
