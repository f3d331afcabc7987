"""Which days are rest days in mainland China, as far as a calendar is known.

Owns the `Calendar` value and the one built from the `chinesecalendar` package. A rest day is a statutory
holiday with its bridge days, or a weekend day that is no make-up workday (法定休假日 of Civil Code art. 203,
read as in the State Council's yearly notices). All days are civil dates in Asia/Shanghai.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache

import chinese_calendar

_SATURDAY = 5


class CalendarRangeError(ValueError):
    """A calendar that covers no day, or that names rest days outside the days it covers."""


@dataclass(frozen=True, slots=True)
class Calendar:
    """The days [known_from, known_through], both inclusive, and which of them are rest days.

    Every other day of the range is a working day. Nothing is known of days outside the range.
    """

    known_from: date
    known_through: date
    rest_days: frozenset[date]

    def __post_init__(self) -> None:
        if self.known_from > self.known_through:
            raise CalendarRangeError(f"calendar from {self.known_from} through {self.known_through} covers no day")
        outside = [day for day in self.rest_days if not self.known_from <= day <= self.known_through]
        if outside:
            raise CalendarRangeError(
                f"rest day {min(outside)} is outside the calendar from {self.known_from} through {self.known_through}"
            )

    def is_rest(self, day: date) -> bool | None:
        """Tell whether `day` is a rest day; None when the calendar does not cover it."""
        if not self.known_from <= day <= self.known_through:
            return None
        return day in self.rest_days


@cache
def package_calendar() -> Calendar:
    """Return the calendar of the installed `chinesecalendar`: whole years, 2004 to 2026 in version 1.11.0.

    Only what its day-by-day `is_workday` reads is used, without its search for the range on every one of 8,400 days,
    which takes a quarter of a second. Its `find_workday` is one day late from a rest day.
    """
    # The package does not name the years it covers; its own check takes those of its first and last holiday.
    known_from = date(min(chinese_calendar.holidays).year, 1, 1)
    known_through = date(max(chinese_calendar.holidays).year, 12, 31)
    weekends = {day for day in _days(known_from, known_through) if day.weekday() >= _SATURDAY}
    rest_days = weekends.union(chinese_calendar.holidays).difference(chinese_calendar.workdays)
    return Calendar(known_from, known_through, frozenset(rest_days))


def _days(first: date, last: date) -> Iterator[date]:
    return (first + timedelta(days=offset) for offset in range((last - first).days + 1))
