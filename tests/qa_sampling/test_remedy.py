"""Until when a wrong can be put right, at each end of the customer's right."""

from datetime import date

import pytest

from qa_sampling.remedy import CoolingOff, Remedy, remedy

TODAY = date(2026, 11, 23)
CASES = {
    "no cooling-off": (0, None, Remedy(CoolingOff.NONE, None)),
    "receipt not known": (15, None, Remedy(CoolingOff.NOT_BEGUN, None)),
    "its last day": (15, TODAY, Remedy(CoolingOff.RUNNING, TODAY)),
    "over since midnight": (15, date(2026, 11, 22), Remedy(CoolingOff.OVER, None)),
    "a right that is known counts, whatever the days": (0, TODAY, Remedy(CoolingOff.RUNNING, TODAY)),
}


@pytest.mark.parametrize(("days", "right_through", "expected"), CASES.values(), ids=CASES.keys())
def test_a_wrong_can_be_put_right_through_the_last_day_of_the_right(
    days: int, right_through: date | None, expected: Remedy
) -> None:
    assert remedy(cooling_off_days=days, right_through=right_through, today=TODAY) == expected
