"""Exact intervals against published figures, and what they promise."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from qa_sampling.failure_rate import FailureRate, failure_rate


def test_without_an_inspection_there_is_no_rate_and_no_interval() -> None:
    assert failure_rate(0, 0, confidence=0.95) == FailureRate(0, 0, None, None)


@pytest.mark.parametrize(
    ("failed", "inspected", "low", "high"),
    [
        pytest.param(10, 100, 0.0490, 0.1762, id="ten of a hundred"),
        pytest.param(0, 10, 0.0, 0.3085, id="none of ten"),
        pytest.param(10, 10, 0.6915, 1.0, id="all of ten"),
        pytest.param(1, 1, 0.0250, 1.0, id="one of one"),
        pytest.param(15, 148, 0.0578, 0.1617, id="15 of 148"),
        pytest.param(1, 29, 0.0009, 0.1776, id="1 of 29"),
    ],
)
def test_the_interval_is_that_of_published_tables(failed: int, inspected: int, low: float, high: float) -> None:
    found = failure_rate(failed, inspected, confidence=0.95)

    assert found.rate == failed / inspected
    assert found.interval == pytest.approx((low, high), abs=6e-5)


@settings(deadline=None)
@given(st.integers(2, 500).flatmap(lambda n: st.tuples(st.integers(1, n - 1), st.just(n))), st.floats(0.5, 0.999))
def test_outside_the_interval_what_was_seen_would_be_rarer_than_promised(
    seen: tuple[int, int], confidence: float
) -> None:
    failed, inspected = seen
    found = failure_rate(failed, inspected, confidence=confidence)
    assert found.interval is not None
    low, high = found.interval
    tail = (1 - confidence) / 2 + 1e-9

    assert low <= failed / inspected <= high
    assert binom.sf(failed - 1, inspected, low - 1e-6) <= tail
    assert binom.cdf(failed, inspected, high + 1e-6) <= tail
