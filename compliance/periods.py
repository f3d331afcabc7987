"""Periods of months and years as the Civil Code counts them (arts. 200-202).

Owns the arithmetic of calendar months and years on civil dates. Rest days (art. 203) are `working_days`
and, for the do-not-call block, `do_not_call`.
"""

from calendar import monthrange
from datetime import MAXYEAR, MINYEAR, date, datetime


class PeriodOutOfRangeError(ValueError):
    """A period ends before the year 1 or after the year 9999, where civil dates stop."""


def add_months(day: date, months: int) -> date:
    """Return the last day of a period of `months` calendar months that an event on `day` starts.

    The day of the event is not counted (art. 201), so the period ends on the corresponding day of the month
    of expiry, or on that month's last day if it has no such day (art. 202). The last day itself still
    belongs to the period, through its 24:00. Six months are 181 to 184 days, never 180.

    Count from the original start every time: 31 August and twelve months is 31 August, but six months and
    then six more would be 28 August. Negative `months` count backwards by the same rule, by analogy.

    Raises:
        PeriodOutOfRangeError: the period ends where civil dates stop.

    >>> add_months(date(2025, 8, 31), 6)
    datetime.date(2026, 2, 28)
    >>> add_months(date(2024, 2, 29), 6)
    datetime.date(2024, 8, 29)
    """
    if isinstance(day, datetime):
        # A datetime is a date to Python, and its day is that of its own zone: most often the wrong one.
        raise TypeError("a period is counted from a civil date; got an instant, so take its day in Asia/Shanghai")
    year, month_index = divmod(day.year * 12 + day.month - 1 + months, 12)
    if not MINYEAR <= year <= MAXYEAR:
        raise PeriodOutOfRangeError(
            f"{months} months from {day.isoformat()} end in the year {year}; "
            f"dates run from {MINYEAR} to {MAXYEAR}, so use a shorter period"
        )
    month = month_index + 1
    return date(year, month, min(day.day, monthrange(year, month)[1]))


def add_years(day: date, years: int) -> date:
    """Return the last day of a period of `years` calendar years that an event on `day` starts.

    29 February has no corresponding day in a common year: the period then ends on 28 February (art. 202).

    >>> add_years(date(2024, 2, 29), 5)
    datetime.date(2029, 2, 28)
    """
    return add_months(day, years * 12)
