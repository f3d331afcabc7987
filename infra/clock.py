"""The only reader of the clock.

Everything else takes `now` as an argument. A demo clock starts at a given instant and runs on: its offset
from the machine's clock is fixed once, when the supervisor starts, and handed to every process.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from time import monotonic

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the present instant, aware, in UTC."""
    return datetime.now(UTC)


def clock_with_offset(offset: timedelta) -> Clock:
    """Return a clock that runs `offset` ahead of the machine's (behind, if negative)."""
    if not offset:
        return utc_now

    def offset_now() -> datetime:
        return utc_now() + offset

    return offset_now


def seconds_running() -> float:
    """Return seconds on a clock that never steps: for time-outs and durations, never for dates."""
    return monotonic()
