"""The share of sales that fail inspection, as far as a random sample can tell it.

The interval is that of Clopper and Pearson: by construction it holds the true share at least as often as it promises,
also for small samples and for samples without any failure. It says nothing without a sample.
"""

from typing import NamedTuple


class Interval(NamedTuple):
    low: float
    high: float


class FailureRate(NamedTuple):
    """`failed` of `inspected`; `rate` and `interval` are None without an inspection."""

    inspected: int
    failed: int
    rate: float | None
    interval: Interval | None


def failure_rate(failed: int, inspected: int, *, confidence: float) -> FailureRate:
    """Return the share that failed and its exact interval at `confidence`, which lies between 0 and 1.

    >>> failure_rate(0, 0, confidence=0.95).interval is None
    True
    >>> [round(end, 4) for end in failure_rate(0, 10, confidence=0.95).interval]
    [0.0, 0.3085]
    """
    if not inspected:
        return FailureRate(0, 0, None, None)
    from scipy.stats import binomtest  # noqa: PLC0415 - takes a second, and the gate must start without it

    found = binomtest(failed, inspected).proportion_ci(confidence_level=confidence, method="exact")
    return FailureRate(inspected, failed, failed / inspected, Interval(float(found.low), float(found.high)))
