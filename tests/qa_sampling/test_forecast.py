"""The forecast: working time, what a pace gives in it, and who is heard in time."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compliance.call_facts import CentreKind
from compliance.sale_terms import InspectionClass
from compliance.working_days import Calendar, package_calendar
from qa_sampling.forecast import (
    Cohort,
    Pace,
    can_be_done,
    forecast,
    is_working_day,
    working_days_through,
    working_time,
)
from qa_sampling.strata import Stratum
from tests.conftest import NOON
from tests.qa_sampling.sampled_sales import shanghai

CALENDAR = package_calendar()
UNKNOWN = Calendar(date(2020, 1, 1), date(2020, 1, 1), frozenset())
STRATUM = Stratum(CentreKind.OWN_CENTRE, "centre-1", InspectionClass.OVER_1Y)
MONDAY = date(2026, 11, 23)
"""The day of NOON."""
ONE_A_DAY = Pace(10, 0, 10)


def cohort(required: int, *due: datetime, done: int = 0, closed_on: date = date(2026, 11, 2)) -> Cohort:
    return Cohort(stratum=STRATUM, closed_on=closed_on, required=required, done_in_time=done, due=due)


def end_of(day: int) -> datetime:
    """Return the end of a day of November 2026."""
    return shanghai(date(2026, 11, day)) + timedelta(days=1)


def shortfalls(cohorts: Sequence[Cohort], pace: Pace, now: datetime = NOON) -> list[int]:
    return [one.shortfall for one in forecast(cohorts, pace, calendar=CALENDAR, now=now, days=1).cohorts]


@pytest.mark.parametrize(
    ("calendar", "day", "is_working"),
    [
        pytest.param(CALENDAR, date(2026, 11, 23), True, id="a Monday"),
        pytest.param(CALENDAR, date(2026, 11, 22), False, id="a Sunday"),
        pytest.param(CALENDAR, date(2026, 10, 1), False, id="the national day"),
        pytest.param(CALENDAR, date(2026, 10, 10), True, id="a Saturday made a working day"),
        pytest.param(UNKNOWN, date(2026, 10, 1), True, id="a Thursday of which nothing is known"),
        pytest.param(UNKNOWN, date(2026, 10, 10), False, id="a Saturday of which nothing is known"),
    ],
)
def test_working_days_are_those_of_the_calendar(calendar: Calendar, day: date, is_working: bool) -> None:
    assert is_working_day(calendar, day) is is_working


def test_the_last_day_counts_among_the_days_of_a_pace() -> None:
    assert working_days_through(CALENDAR, MONDAY, days=1) == 1
    assert working_days_through(CALENDAR, MONDAY, days=14) == 10
    assert working_days_through(CALENDAR, date(2026, 11, 22), days=2) == 0


@pytest.mark.parametrize(
    ("start", "end", "hours"),
    [
        pytest.param(NOON, end_of(23), 12, id="the rest of today"),
        pytest.param(NOON, end_of(24), 36, id="until tomorrow's end"),
        pytest.param(NOON, NOON, 0, id="no time"),
        pytest.param(end_of(27), end_of(29), 0, id="a weekend"),
        pytest.param(end_of(26), end_of(30), 48, id="over a weekend"),
        pytest.param(NOON, NOON + timedelta(hours=1), 1, id="an hour"),
    ],
)
def test_working_time_is_the_part_on_working_days(start: datetime, end: datetime, hours: int) -> None:
    assert working_time(CALENDAR, start, end) == timedelta(hours=hours)


@given(st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 1)), st.integers(0, 10**10), st.integers(0, 10**10))  # noqa: DTZ001
def test_working_time_of_two_parts_is_that_of_the_whole(at: datetime, first: int, second: int) -> None:
    start = at.replace(tzinfo=UTC)
    middle = start + timedelta(milliseconds=first % 10**9)
    end = middle + timedelta(milliseconds=second % 10**9)

    parts = working_time(CALENDAR, start, middle) + working_time(CALENDAR, middle, end)

    assert parts == working_time(CALENDAR, start, end)


@pytest.mark.parametrize(
    ("pace", "days", "done"),
    [
        (Pace(10, 0, 10), 2.5, 2),
        (Pace(1, 0, 10), 9.99, 0),
        (Pace(1, 0, 10), 10, 1),
        (Pace(0, 0, 10), 100, 0),
        (Pace(5, 0, 0), 100, 0),
    ],
)
def test_half_an_inspection_is_none(pace: Pace, days: float, done: int) -> None:
    assert can_be_done(pace, timedelta(days=days)) == done


def test_without_any_pace_all_is_at_risk() -> None:
    assert shortfalls([cohort(2, end_of(27), end_of(27))], Pace(0, 0, 10)) == [2]


def test_what_fits_is_met_and_what_does_not_is_short() -> None:
    # From Monday noon until the end of Wednesday there are two and a half working days.
    assert shortfalls([cohort(3, end_of(25), end_of(25), end_of(25))], ONE_A_DAY) == [1]
    assert shortfalls([cohort(3, end_of(26), end_of(26), end_of(26))], ONE_A_DAY) == [0]


def test_the_earliest_deadline_comes_first_whatever_the_order() -> None:
    early, later = cohort(2, end_of(24), end_of(24)), cohort(2, end_of(25), end_of(25))

    assert shortfalls([early, later], ONE_A_DAY) == [1, 1]
    assert shortfalls([later, early], ONE_A_DAY) == [1, 1]


def test_what_cannot_be_met_costs_nobody_else_the_time() -> None:
    hopeless, later = cohort(50, *[end_of(23)] * 50), cohort(2, end_of(25), end_of(25))

    assert shortfalls([hopeless, later], ONE_A_DAY) == [50, 0]


def test_what_is_done_already_is_not_needed_again() -> None:
    assert shortfalls([cohort(3, end_of(23), done=3)], Pace(0, 0, 10)) == [0]


def test_a_window_that_is_over_can_not_be_met() -> None:
    assert shortfalls([cohort(1, NOON)], Pace(1000, 0, 10)) == [1]


def test_the_days_ahead_say_what_is_due_by_their_end() -> None:
    found = forecast([cohort(3, *[end_of(24)] * 3)], ONE_A_DAY, calendar=CALENDAR, now=NOON, days=6)

    assert [(one.day.day, one.is_working, one.due, one.in_time) for one in found.days] == [
        (23, True, 0, 0),
        (24, True, 3, 1),
        (25, True, 0, 0),
        (26, True, 0, 0),
        (27, True, 0, 0),
        (28, False, 0, 0),
    ]


cohorts = st.lists(
    st.builds(
        lambda missed, offsets: cohort(missed + len(offsets), *sorted(NOON + timedelta(hours=one) for one in offsets)),
        st.integers(0, 3),
        st.lists(st.integers(1, 400), min_size=1, max_size=8),
    ),
    max_size=8,
)


@given(cohorts, st.integers(0, 60))
def test_a_higher_pace_never_brings_a_higher_shortfall(found: list[Cohort], results: int) -> None:
    slower = sum(shortfalls(found, Pace(results, 0, 10)))

    assert sum(shortfalls(found, Pace(results + 1, 0, 10))) <= slower


@given(cohorts, st.integers(0, 60))
def test_no_more_is_expected_than_can_be_done_and_than_there_is(found: list[Cohort], results: int) -> None:
    pace = Pace(results, 0, 10)
    expected = forecast(found, pace, calendar=CALENDAR, now=NOON, days=1).cohorts
    last = max((one.due[-1] for one in found), default=NOON)

    assert sum(one.in_time for one in expected) <= can_be_done(pace, working_time(CALENDAR, NOON, last))
    assert all(one.in_time <= len(one.cohort.due) for one in expected)


@given(cohorts, st.integers(0, 60))
def test_the_order_of_cohorts_makes_no_difference_to_the_sum(found: list[Cohort], results: int) -> None:
    pace = Pace(results, 0, 10)

    assert sum(shortfalls(found, pace)) == sum(shortfalls(found[::-1], pace))
