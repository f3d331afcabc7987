"""Whether inspectors, at the pace of late, will have heard what is due in time (art. 34: alert before it is too late).

Owns the arithmetic: working time until an instant, what a pace gives in it, and who is heard in time when the earliest
deadline always comes first. Whole numbers throughout; half an inspection is none. All days are days in Asia/Shanghai.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple

from compliance.shanghai import midnight, shanghai_day
from compliance.working_days import Calendar
from qa_sampling.strata import Stratum

_SATURDAY = 5
_DAY = timedelta(days=1)


class Pace(NamedTuple):
    """What was done in `working_days`: inspections with a result, and milliseconds of recordings heard."""

    results: int
    heard_ms: int
    working_days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohort:
    """The sales of a stratum closed on one day; `due` are the ends of what was drawn and can still be done."""

    stratum: Stratum
    closed_on: date
    required: int
    done_in_time: int
    due: tuple[datetime, ...]

    @property
    def needed(self) -> int:
        """How many inspections are missing so far."""
        return max(0, self.required - self.done_in_time)


@dataclass(frozen=True, slots=True)
class Expected:
    """A cohort with how many of its open inspections will be done in time at the pace of late."""

    cohort: Cohort
    in_time: int

    @property
    def shortfall(self) -> int:
        return max(0, self.cohort.needed - self.in_time)


class DayDue(NamedTuple):
    """What must be finished by the end of `day`, and how much of it will be."""

    day: date
    is_working: bool
    due: int
    in_time: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is expected of all open inspections, by cohort and by the last day for each."""

    cohorts: tuple[Expected, ...]
    days: tuple[DayDue, ...]


def last_day(end: datetime) -> date:
    """Return the last day on which something can be finished before `end`.

    >>> last_day(midnight(date(2026, 11, 18)))
    datetime.date(2026, 11, 17)
    """
    return shanghai_day(end - timedelta.resolution)


def is_working_day(calendar: Calendar, day: date) -> bool:
    """Say whether inspectors are expected to work; Monday to Friday where the calendar knows nothing."""
    is_rest = calendar.is_rest(day)
    return day.weekday() < _SATURDAY if is_rest is None else not is_rest


def working_days_through(calendar: Calendar, last: date, *, days: int) -> int:
    """Return how many working days there are among the `days` days that end with `last`, included."""
    return sum(is_working_day(calendar, last - offset * _DAY) for offset in range(days))


def working_time(calendar: Calendar, start: datetime, end: datetime) -> timedelta:
    """Return how much of [start, end) lies on working days, of which each has 24 hours: the rest of today is a part."""
    total, day = timedelta(), shanghai_day(start)
    while midnight(day) < end:
        if is_working_day(calendar, day):
            total += min(end, midnight(day + _DAY)) - max(start, midnight(day))
        day += _DAY
    return total


def can_be_done(pace: Pace, worked: timedelta) -> int:
    """Return how many inspections a pace gives in that working time; none without a working day to know it from."""
    return pace.results * worked // (pace.working_days * _DAY) if pace.working_days else 0


def forecast(cohorts: Sequence[Cohort], pace: Pace, *, calendar: Calendar, now: datetime, days: int) -> Forecast:
    """Return what is expected from `now` on, and the next `days` days one by one, today the first.

    All inspectors together take the earliest deadline first; what cannot be finished in time is left out, so that it
    costs nobody else the time.
    """
    ends = sorted((end, place) for place, cohort in enumerate(cohorts) for end in cohort.due if end > now)
    capacity = _capacity_by_end([end for end, _ in ends], pace, calendar=calendar, now=now)
    in_time = [0] * len(cohorts)
    done, due_by_day, done_by_day = 0, dict[date, int](), dict[date, int]()
    for end, place in ends:
        last = last_day(end)
        fits = done < capacity[end]
        done += fits
        in_time[place] += fits
        due_by_day[last] = due_by_day.get(last, 0) + 1
        done_by_day[last] = done_by_day.get(last, 0) + fits
    shown = [shanghai_day(now) + offset * _DAY for offset in range(days)]
    return Forecast(
        tuple(Expected(cohort, found) for cohort, found in zip(cohorts, in_time, strict=True)),
        tuple(
            DayDue(day, is_working_day(calendar, day), due_by_day.get(day, 0), done_by_day.get(day, 0)) for day in shown
        ),
    )


def _capacity_by_end(ends: Sequence[datetime], pace: Pace, *, calendar: Calendar, now: datetime) -> dict[datetime, int]:
    """Return what can be done by each of these ends, which ascend: each day is walked over once."""
    found: dict[datetime, int] = {}
    worked, at = timedelta(), now
    for end in ends:
        if end not in found:
            worked += working_time(calendar, at, end)
            at = end
            found[end] = can_be_done(pace, worked)
    return found
