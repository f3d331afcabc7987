"""Waits in tests for something that another process does."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(condition: Callable[[], T], *, within_s: float = 20) -> T:
    """Return the first true answer of `condition`, asked every 20 ms; fail after `within_s` seconds."""
    end = time.monotonic() + within_s
    while not (answer := condition()):
        assert time.monotonic() < end, f"{condition} was not true within {within_s} s"
        time.sleep(0.02)
    return answer
