"""Spans of a recording: merged whatever their order, and never more than they hold."""

import itertools
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa_sampling.listening import (
    FASTEST_SPEED,
    MOST_SPANS,
    ListeningRefusedError,
    Span,
    check_pace,
    check_spans,
    coverage_bp,
    length,
    missing,
    union,
)

LONGEST = 60
SPANS = st.lists(
    st.tuples(st.integers(0, LONGEST), st.integers(0, LONGEST)).map(lambda ends: (min(ends), max(ends))), max_size=12
)


def milliseconds(spans: list[Span]) -> set[int]:
    return {at for start, end in spans for at in range(start, end)}


@given(SPANS)
def test_a_union_holds_the_same_milliseconds_and_each_once(spans: list[Span]) -> None:
    found = union(spans)

    assert milliseconds(found) == milliseconds(spans)
    assert length(found) == len(milliseconds(spans))


@given(SPANS)
def test_a_union_is_in_order_with_a_gap_between_its_spans(spans: list[Span]) -> None:
    found = union(spans)

    assert all(start < end for start, end in found)
    assert all(before[1] < after[0] for before, after in itertools.pairwise(found))


@given(SPANS)
def test_a_union_of_a_union_is_the_same(spans: list[Span]) -> None:
    assert union(union(spans)) == union(spans)


@given(SPANS.flatmap(lambda spans: st.tuples(st.just(spans), st.permutations(spans))))
def test_the_order_of_spans_does_not_matter(both: tuple[list[Span], list[Span]]) -> None:
    assert union(both[0]) == union(both[1])


@given(SPANS, SPANS)
def test_merging_bit_by_bit_is_the_same_as_at_once(one: list[Span], other: list[Span]) -> None:
    assert union([*union(one), *other]) == union([*one, *other])


@given(SPANS, st.integers(0, LONGEST))
def test_what_is_missing_and_what_is_covered_make_the_whole(spans: list[Span], duration_ms: int) -> None:
    lacking = missing(spans, duration_ms)

    assert milliseconds(lacking) == set(range(duration_ms)) - milliseconds(spans)


@given(SPANS, st.integers(1, LONGEST))
def test_only_the_whole_is_ten_thousand(spans: list[Span], duration_ms: int) -> None:
    lacking = length(missing(spans, duration_ms))

    assert (coverage_bp(lacking, duration_ms) == 10_000) == (lacking == 0)


@pytest.mark.parametrize(
    ("missing_ms", "duration_ms", "bp"),
    [
        pytest.param(0, 0, 10_000, id="nothing to hear"),
        pytest.param(0, 1, 10_000, id="all of it"),
        pytest.param(1, 1, 0, id="nothing of it"),
        pytest.param(1, 36_000_000, 9999, id="a millisecond of ten hours"),
        pytest.param(60, 60_000, 9990, id="99.9 percent"),
        pytest.param(59_999, 60_000, 0, id="rounded down"),
    ],
)
def test_a_share_is_rounded_down(missing_ms: int, duration_ms: int, bp: int) -> None:
    assert coverage_bp(missing_ms, duration_ms) == bp


def test_spans_are_half_open() -> None:
    assert union([(0, 5), (5, 9)]) == [(0, 9)]
    assert union([(0, 5), (6, 9)]) == [(0, 5), (6, 9)]
    assert missing([(0, 5)], 5) == []
    assert missing([(0, 4)], 5) == [(4, 5)]


@pytest.mark.parametrize(
    "spans",
    [
        pytest.param([(0, 1)], id="the first millisecond"),
        pytest.param([(59_999, 60_000)], id="the last one"),
        pytest.param([(0, 60_000)] * MOST_SPANS, id="as many as may be"),
    ],
)
def test_what_a_player_can_have_played_is_taken(spans: list[Span]) -> None:
    check_spans(spans, 60_000)


@pytest.mark.parametrize(
    ("spans", "field"),
    [
        pytest.param([], "intervals_ms", id="none"),
        pytest.param([(0, 1)] * (MOST_SPANS + 1), "intervals_ms", id="one too many"),
        pytest.param([(0, 1), (-1, 1)], "intervals_ms.1", id="before the beginning"),
        pytest.param([(5, 5)], "intervals_ms.0", id="empty"),
        pytest.param([(5, 4)], "intervals_ms.0", id="reversed"),
        pytest.param([(0, 60_001)], "intervals_ms.0", id="beyond the end"),
    ],
)
def test_what_no_player_can_have_played_is_refused(spans: list[Span], field: str) -> None:
    with pytest.raises(ListeningRefusedError) as refused:
        check_spans(spans, 60_000)
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("spans", "added_ms", "before_ms", "is_taken"),
    [
        pytest.param([(0, 20_000)], 20_000, 0, True, id="at double speed"),
        pytest.param([(0, 20_001)], 0, 0, False, id="a report that is too long, though nothing of it is new"),
        pytest.param([(0, 10_000), (0, 10_001)], 10_001, 0, False, id="twice the same in one report"),
        pytest.param([(0, 10_000)], 10_000, 10_000, True, id="together at double speed"),
        pytest.param([(0, 10_000)], 10_000, 10_001, False, id="together faster"),
        pytest.param([(0, 10_000)], 0, 20_000, True, id="a retry"),
    ],
)
def test_nobody_hears_faster_than_double_speed(
    spans: list[Span], added_ms: int, before_ms: int, *, is_taken: bool
) -> None:
    since_claim = timedelta(seconds=10)
    assert FASTEST_SPEED == 2

    if is_taken:
        check_pace(spans, added_ms=added_ms, before_ms=before_ms, since_claim=since_claim)
    else:
        with pytest.raises(ListeningRefusedError):
            check_pace(spans, added_ms=added_ms, before_ms=before_ms, since_claim=since_claim)


def test_a_clock_that_went_back_allows_nothing() -> None:
    with pytest.raises(ListeningRefusedError):
        check_pace([(0, 1)], added_ms=1, before_ms=0, since_claim=timedelta(seconds=-10))
