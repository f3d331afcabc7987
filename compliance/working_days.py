"""Which days are rest days in mainland China, as far as a calendar is known, and periods that turn on them.

Owns the `Calendar` value and the one built from the `chinesecalendar` package. A rest day is a statutory
holiday with its bridge days, or a weekend day that is no make-up workday (法定休假日 of Civil Code art. 203,
read as in the State Council's yearly notices). All days are civil dates in Asia/Shanghai.

Where no calendar is published yet, doubt goes the way that protects: a deadline of working days is never later
than the true one, the end of a customer's period never earlier.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import MAXYEAR, date, timedelta
from functools import cache

import chinese_calendar

_SATURDAY = 5
_DECEMBER, _FIRST_UNSURE_DAY = 12, 24
_NEVER_WORKED_SINCE = {(1, 1): 2004, (5, 1): 2004, (5, 2): 2025, (10, 1): 2004, (10, 2): 2004, (10, 3): 2004}
"""Month and day of the statutory holidays with a fixed date, and from which year on none was made a working day.

2 May is a statutory holiday since 2025; before, it was worked in several years.
"""

LONGEST_UNKNOWN_REST_DAYS = 10
"""For how many days from the last day of a period a day of an unknown calendar counts as a rest day.

The longest rest in the calendars of 2004 to 2026 has 10 days, from 24 January 2020 on. It is no figure of
the law: waiting for the calendar only ever lengthens the period.
"""


class CalendarRangeError(ValueError):
    """A calendar that covers no day, or that names rest days outside the days it covers."""


class WorkingDayCountError(ValueError):
    """A period of no working days, which has no last day."""


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


@dataclass(frozen=True, slots=True)
class Deadline:
    """The last day of a period of working days, inclusive.

    `provisional` says that a day was counted which a calendar yet to be published may make a rest day: the true
    last day is then this one or a later one.
    """

    due: date
    provisional: bool


@dataclass(frozen=True, slots=True)
class RolledDay:
    """The last day of a period after art. 203, inclusive.

    `provisional` says that a day outside the known calendar was counted as a rest day: the true last day is then
    this one or an earlier one.
    """

    on: date
    provisional: bool


def working_day_deadline(calendar: Calendar, start: date, count: int) -> Deadline:
    """Return the `count`th working day after `start`, which is itself not counted, or an earlier day.

    A start on a rest day changes nothing. What the calendar does not know is counted as if it were worked, save
    for the fixed statutory holidays. Notices have also made workdays of the last weekends before their year: from
    24 December of the last known year on, weekend days count too. So the answer is never later than the truth.

    Raises:
        WorkingDayCountError: `count` is less than one.

    >>> working_day_deadline(package_calendar(), date(2026, 2, 12), 7)
    Deadline(due=datetime.date(2026, 2, 28), provisional=False)
    """
    if count < 1:
        raise WorkingDayCountError(f"a period of {count} working days has no last day; count at least one")
    day, left, provisional = start, count, False
    while left:
        day += timedelta(days=1)
        is_rest = calendar.is_rest(day)
        is_unsure = is_rest is not False and _may_be_worked(calendar, day)
        if is_rest is False or is_unsure:
            left -= 1
            provisional = provisional or is_unsure
    return Deadline(day, provisional)


def _may_be_worked(calendar: Calendar, day: date) -> bool:
    """Say whether a notice yet to come may make a working day of a day that is unknown, or at rest as far as known."""
    if calendar.is_rest(day) is None:
        return day.year < _NEVER_WORKED_SINCE.get((day.month, day.day), MAXYEAR + 1)
    unsure_from = date(calendar.known_through.year, _DECEMBER, _FIRST_UNSURE_DAY)
    return day >= unsure_from and day.weekday() >= _SATURDAY


def rolled_over_rest(last_day: date, calendar: Calendar) -> RolledDay:
    """Return where a period ends whose last day by the calendar is `last_day` (Civil Code art. 203).

    If that is a rest day, the day after the rest is the last one. A day of which the calendar knows nothing counts
    as a rest day, but only within `LONGEST_UNKNOWN_REST_DAYS`: the answer is at most so many days later.

    Raises:
        OverflowError: civil dates stop before the rest does.

    >>> rolled_over_rest(date(2026, 10, 5), package_calendar())
    RolledDay(on=datetime.date(2026, 10, 8), provisional=False)
    """
    day, patience_ends_on = last_day, last_day + timedelta(days=LONGEST_UNKNOWN_REST_DAYS)
    provisional = False
    while (is_rest := calendar.is_rest(day)) is not False:
        if is_rest is None:
            provisional = True
            if day >= patience_ends_on:
                break
        day += timedelta(days=1)
    return RolledDay(day, provisional)


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
