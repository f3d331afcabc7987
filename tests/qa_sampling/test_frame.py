"""The frame: one form of bytes for the same sales, whatever order they come in, and no other bytes are a frame."""

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compliance.sale_terms import InspectionClass
from qa_sampling.frame import FrameError, FrameLine, frame_bytes, frame_digest, policy_numbers, read_frame
from tests.qa_sampling.draw_vectors import CASES

DAY = date(2026, 11, 2)
POLICY_NOS = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=64).filter(str.isprintable)
LINES = st.lists(
    st.builds(FrameLine, POLICY_NOS, st.dates(), st.sampled_from(InspectionClass)),
    unique_by=lambda line: line.policy_no,
)


def line(policy_no: str) -> FrameLine:
    return FrameLine(policy_no, DAY, InspectionClass.OVER_1Y)


def test_a_frame_is_ordered_by_the_bytes_of_policy_numbers() -> None:
    found = frame_bytes([line("é"), line("P-2"), line("P-10"), line("p")])

    assert found.decode().split("\n") == [
        "P-10\t2026-11-02\tover_1y",
        "P-2\t2026-11-02\tover_1y",
        "p\t2026-11-02\tover_1y",
        "é\t2026-11-02\tover_1y",
        "",
    ]


def test_a_shorter_number_comes_before_one_that_begins_with_it() -> None:
    # A tab comes before every sign of a number, so that whole lines are in the same order.
    assert policy_numbers(frame_bytes([line("P-1!"), line("P-1")])) == [b"P-1", b"P-1!"]


@given(LINES, st.randoms())
def test_the_order_in_which_sales_come_never_matters(lines: list[FrameLine], random: Any) -> None:
    shuffled = [*lines]
    random.shuffle(shuffled)

    assert frame_bytes(shuffled) == frame_bytes(lines)


@given(LINES)
def test_what_is_written_is_read_back(lines: list[FrameLine]) -> None:
    content = frame_bytes(lines)

    assert read_frame(content) == sorted(lines, key=lambda one: one.policy_no.encode())
    assert policy_numbers(content) == [one.policy_no.encode() for one in read_frame(content)]


@pytest.mark.parametrize("name", CASES)
def test_golden_frames_have_their_digests(name: str) -> None:
    content = CASES[name]["frame"].encode()

    assert frame_bytes(read_frame(content)) == content
    assert f"sha256:{frame_digest(content).hex()}" == CASES[name]["frame_digest"]


@pytest.mark.parametrize("policy_no", ["", "a b", "a\tb", "a\nb", "a\u3000b", "a\x00", "x" * 65, "\u200b"])
def test_a_number_that_no_sale_may_have_is_no_line(policy_no: str) -> None:
    with pytest.raises(FrameError, match="1 to 64 printable"):
        frame_bytes([line(policy_no)])


def test_a_policy_number_stands_once() -> None:
    with pytest.raises(FrameError, match="twice"):
        frame_bytes([line("P-1"), line("P-1")])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(b"P-1\t2026-11-02\tover_1y", "LF", id="no end"),
        pytest.param(b"P-1\t2026-11-02\tover_1y\r\n", "line 1", id="CR"),
        pytest.param(b"P-1\t2026-11-02\n", "line 1", id="a field too few"),
        pytest.param(b"P-1\t2026-11-02\tover_1y\tx\n", "line 1", id="a field too many"),
        pytest.param(b"P-1\t2026-11-31\tover_1y\n", "line 1", id="no such day"),
        pytest.param(b"P-1\t20261102\tover_1y\n", "YYYY-MM-DD", id="another form of day"),
        pytest.param(b"P-1\t2026-11-02\tover\n", "line 1", id="no such class"),
        pytest.param(b"P-2\t2026-11-02\tgift\nP-1\t2026-11-02\tgift\n", "order", id="another order"),
        pytest.param(b"P-1\t2026-11-02\tgift\nP-1\t2026-11-02\tgift\n", "twice", id="twice"),
        pytest.param(b"P-\xff\t2026-11-02\tgift\n", "UTF-8", id="not UTF-8"),
        pytest.param(b"\xef\xbb\xbfP-1\t2026-11-02\tgift\n", "printable", id="byte order mark"),
        pytest.param(b"\n", "line 1", id="an empty line"),
    ],
)
def test_other_bytes_are_no_frame(content: bytes, said: str) -> None:
    with pytest.raises(FrameError, match=said):
        read_frame(content)
