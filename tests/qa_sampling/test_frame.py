"""The frame: one form of bytes for the same sales. What the database writes of them is tested with the draws."""

from datetime import date

import pytest

from qa_sampling.frame import frame_digest, policy_numbers
from tests.qa_sampling.draw_vectors import CASES
from tests.qa_sampling.written_frames import written_frame


def test_policy_numbers_are_read_in_the_order_of_their_bytes() -> None:
    lines = [(policy_no, date(2026, 11, 2), "over_1y") for policy_no in ("é", "P-1!", "P-10", "P-2", "P-1", "p")]

    # A tab comes before every sign of a number: a shorter one comes before one that begins with it.
    assert policy_numbers(written_frame(lines)) == [b"P-1", b"P-1!", b"P-10", b"P-2", b"p", "é".encode()]


def test_an_empty_frame_has_no_policy_numbers() -> None:
    assert policy_numbers(b"") == []


@pytest.mark.parametrize("name", CASES)
def test_golden_frames_have_their_digests(name: str) -> None:
    content = CASES[name]["frame"].encode()

    assert f"sha256:{frame_digest(content).hex()}" == CASES[name]["frame_digest"]
