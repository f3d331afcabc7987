"""What nobody needs to hear: excused by rule, and never the conversation."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa_sampling.excused import Excuse, ExcuseRule, RecordedCall, excuses
from qa_sampling.listening import Span, length, missing, union
from tests.conftest import NOON

TEN_MINUTES = 600_000


def call(*, rang: float | None = None, seconds: float = 120, holds: tuple[Span, ...] = ()) -> RecordedCall:
    answered_at = None if rang is None else NOON + timedelta(seconds=rang)
    return RecordedCall(started_at=NOON, duration_ms=round(seconds * 1000), answered_at=answered_at, holds=holds)


@pytest.mark.parametrize(
    ("rang", "excused_ms"),
    [
        pytest.param(12.5, 12_500, id="from the start to the answer"),
        pytest.param(59.999, 59_999, id="a minute nearly"),
        pytest.param(60, 60_000, id="a minute"),
        pytest.param(61, 60_000, id="no more than a minute"),
        pytest.param(119.999, 60_000, id="an answer in the last millisecond"),
        pytest.param(0.001, 1, id="a millisecond"),
    ],
)
def test_ringing_is_excused_up_to_a_minute(rang: float, excused_ms: int) -> None:
    assert excuses(call(rang=rang)) == [Excuse(ExcuseRule.RINGING, 0, excused_ms)]


@pytest.mark.parametrize(
    ("seconds", "rang", "excused_ms"),
    [
        pytest.param(60, 59.999, 30_000, id="an answer at the end of a short call"),
        pytest.param(60, 30, 30_000, id="half of it"),
        pytest.param(60, 29.999, 29_999, id="less than half"),
        pytest.param(0.003, 0.002, 1, id="an odd millisecond is heard"),
        pytest.param(0.001, 0.0009, None, id="nothing is left to halve"),
    ],
)
def test_the_record_of_a_call_never_excuses_more_than_half(seconds: float, rang: float, excused_ms: int | None) -> None:
    expected = [] if excused_ms is None else [Excuse(ExcuseRule.RINGING, 0, excused_ms)]

    assert excuses(call(rang=rang, seconds=seconds)) == expected


@pytest.mark.parametrize(
    "rang",
    [
        pytest.param(None, id="not answered, or not known"),
        pytest.param(0, id="recorded from the answer on"),
        pytest.param(-5, id="recorded from later on"),
        pytest.param(0.0005, id="less than a millisecond"),
        pytest.param(120, id="an answer at the end of the recording"),
        pytest.param(7200, id="an answer long after the recording"),
    ],
)
def test_nothing_is_excused_without_ringing_in_the_recording(rang: float | None) -> None:
    assert excuses(call(rang=rang)) == []


@pytest.mark.parametrize(
    "holds",
    [
        pytest.param(((10_000, 70_000),), id="half of it"),
        pytest.param(((0, 1), (119_999, 120_000)), id="the ends"),
    ],
)
def test_declared_holds_are_excused(holds: tuple[Span, ...]) -> None:
    assert excuses(call(holds=holds)) == [Excuse(ExcuseRule.HOLD, start, end) for start, end in holds]


@pytest.mark.parametrize(
    ("seconds", "holds"),
    [
        pytest.param(120, ((10_000, 70_001),), id="more than half"),
        pytest.param(120, ((0, 30_000), (40_000, 70_001)), id="more than half together"),
        pytest.param(3600, ((0, TEN_MINUTES + 1),), id="longer than ten minutes"),
        pytest.param(7200, ((0, 1000), (2000, 2000 + TEN_MINUTES + 1)), id="one of two too long"),
        pytest.param(7200, ((0, TEN_MINUTES), (TEN_MINUTES, 2 * TEN_MINUTES)), id="one after the other without a gap"),
    ],
)
def test_too_much_hold_excuses_none_of_it(seconds: float, holds: tuple[Span, ...]) -> None:
    assert excuses(call(seconds=seconds, holds=holds)) == []


def test_ten_minutes_of_a_long_call_are_excused() -> None:
    assert excuses(call(seconds=3600, holds=((0, TEN_MINUTES),))) == [Excuse(ExcuseRule.HOLD, 0, TEN_MINUTES)]


def test_ringing_and_hold_together_never_excuse_the_whole() -> None:
    found = excuses(call(rang=60, seconds=120, holds=((60_000, 120_000),)))

    assert [one.rule for one in found] == [ExcuseRule.RINGING]


HOLDS = st.lists(st.tuples(st.integers(0, 200_000), st.integers(1, 60_000)), max_size=4)


@given(st.integers(1, 300_000), st.none() | st.integers(-1000, 300_000), HOLDS)
def test_something_is_always_left_to_be_heard(
    duration_ms: int, rang_ms: int | None, holds: list[tuple[int, int]]
) -> None:
    answered_at = None if rang_ms is None else NOON + timedelta(milliseconds=rang_ms)
    declared = tuple((start, min(start + lasts, duration_ms)) for start, lasts in holds if start < duration_ms)

    found = excuses(RecordedCall(started_at=NOON, duration_ms=duration_ms, answered_at=answered_at, holds=declared))

    spans = union((one.start_ms, one.end_ms) for one in found)
    assert length(missing(spans, duration_ms)) > 0
    assert all(0 <= start < end <= duration_ms for start, end in spans)
