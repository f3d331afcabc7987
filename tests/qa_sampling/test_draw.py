"""The draw: the same for everybody, whatever order sales come in; larger ones hold smaller ones; nobody is dropped."""

import doctest
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa_sampling import draw
from qa_sampling.draw import ALGORITHM, Chance, newly_drawn, sample_size, smallest_tickets, ticket
from qa_sampling.frame import policy_numbers
from tests.qa_sampling.draw_vectors import CASES, VECTORS

POLICY_NOS = st.lists(
    st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=64), unique=True, max_size=60
)
CHANCES = st.builds(Chance, st.binary(min_size=32, max_size=32), st.text(max_size=10))
RATES = st.integers(1, 10_000)


def chance_of(case: dict[str, Any]) -> Chance:
    return Chance(bytes.fromhex(case["seed"]), case["public_number"])


def encoded(policy_nos: list[str]) -> list[bytes]:
    return [one.encode() for one in policy_nos]


def test_the_docstring_of_a_ticket_is_true() -> None:
    assert doctest.testmod(draw).failed == 0


def test_the_vectors_are_of_this_algorithm() -> None:
    assert VECTORS["algorithm"] == ALGORITHM


@pytest.mark.parametrize("name", CASES)
def test_golden_draws_come_out(name: str) -> None:
    case = CASES[name]
    policy_nos = policy_numbers(case["frame"].encode())

    found = smallest_tickets(chance_of(case), policy_nos, sample_size(len(policy_nos), case["rate_bp"]))

    assert [one.policy_no for one in found] == case["sample"]
    assert {one.policy_no: one.ticket.hex() for one in found}.items() <= case["tickets"].items()
    assert {one: ticket(chance_of(case), one).hex() for one in case["tickets"]} == case["tickets"]


@pytest.mark.parametrize(
    ("frame_size", "rate_bp", "expected"),
    [
        pytest.param(0, 3000, 0, id="none of none"),
        pytest.param(1, 1, 1, id="one is always drawn"),
        pytest.param(10, 3000, 3, id="exact"),
        pytest.param(11, 3000, 4, id="rounded up"),
        pytest.param(100, 5500, 55, id="binary fractions would say 56"),
        pytest.param(100, 100, 1, id="exact hundredth"),
        pytest.param(101, 100, 2, id="over a hundredth"),
        pytest.param(7, 10_000, 7, id="all"),
        pytest.param(10**12, 3333, 333_300_000_000, id="large"),
    ],
)
def test_the_size_is_rounded_up_in_integers(frame_size: int, rate_bp: int, expected: int) -> None:
    assert sample_size(frame_size, rate_bp) == expected


@given(CHANCES, POLICY_NOS, st.randoms(), st.integers(0, 60))
def test_the_order_of_the_frame_never_matters(chance: Chance, names: list[str], random: Any, size: int) -> None:
    shuffled = [*names]
    random.shuffle(shuffled)

    assert smallest_tickets(chance, encoded(shuffled), size) == smallest_tickets(chance, encoded(names), size)


@given(CHANCES, POLICY_NOS, st.integers(0, 60))
def test_the_sample_is_what_sorting_all_tickets_gives(chance: Chance, names: list[str], size: int) -> None:
    by_ticket = sorted(names, key=lambda one: ticket(chance, one))

    assert [one.policy_no for one in smallest_tickets(chance, encoded(names), size)] == by_ticket[:size]


@given(CHANCES, POLICY_NOS, st.integers(0, 30), st.integers(0, 30))
def test_a_larger_sample_extends_a_smaller_one(chance: Chance, names: list[str], size: int, more: int) -> None:
    smaller = smallest_tickets(chance, encoded(names), size)

    assert smallest_tickets(chance, encoded(names), size + more)[: len(smaller)] == smaller


@given(CHANCES, POLICY_NOS, st.integers(1, 60), RATES)
def test_late_sales_never_unmeet_the_minimum_and_never_drop_anybody(
    chance: Chance, names: list[str], first: int, rate_bp: int
) -> None:
    frame, drawn = encoded(names[:first]), set[str]()
    before = set[str]()
    for name in [None, *names[first:]]:
        frame += [] if name is None else [name.encode()]
        drawn |= {one.policy_no for one in newly_drawn(chance, frame, rate_bp=rate_bp, drawn=drawn)}

        assert before <= drawn
        assert len(drawn) >= sample_size(len(frame), rate_bp)
        before = set(drawn)


def test_tickets_that_share_their_first_bytes_are_told_apart_by_the_rest() -> None:
    tail = bytes(7)
    found = [bytes(8) + bytes([9]) + tail * 2 + bytes(9), bytes(32), bytes(24) + bytes([1]) + bytes(7)]

    assert draw._smallest(b"".join(found), 2).tolist() == [1, 2]


@pytest.mark.parametrize("change", [Chance(bytes(31) + b"\x01", ""), Chance(bytes(32), "0"), Chance(bytes(32), " ")])
def test_another_seed_or_public_number_gives_another_ticket(change: Chance) -> None:
    assert ticket(change, "P-1") != ticket(Chance(bytes(32), ""), "P-1")


def test_what_is_hashed_is_framed_so_that_parts_cannot_slide() -> None:
    assert ticket(Chance(bytes(32), "1"), "23") != ticket(Chance(bytes(32), "12"), "3")
