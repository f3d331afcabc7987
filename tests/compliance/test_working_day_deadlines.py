import tomllib
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compliance.shanghai import shanghai_day
from compliance.working_days import (
    LONGEST_UNKNOWN_REST_DAYS,
    Calendar,
    Deadline,
    RolledDay,
    WorkingDayCountError,
    package_calendar,
    rolled_over_rest,
    working_day_deadline,
)

CASES = tomllib.loads((Path(__file__).parents[1] / "cases" / "working_days.toml").read_text("utf-8"))["case"]
COUNTS = (1, 2, 7, 10, 15, 20)

starts = st.dates(min_value=date(2004, 1, 1), max_value=date(2027, 6, 30))


def known_before(year: int) -> Calendar:
    """Return the calendar of which the notice for `year` had not come yet.

    That notice may have changed the last days of the year before: until then, only its weekends were at rest.
    """
    full, last_day = package_calendar(), date(year - 1, 12, 31)
    rest_days = {rest for rest in full.rest_days if rest < date(year - 1, 12, 24)}
    rest_days |= {day for offset in range(8) if (day := last_day - timedelta(days=offset)).weekday() >= 5}
    return replace(full, known_through=last_day, rest_days=frozenset(rest_days))


@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in CASES])
def test_cases_for_counsel(case: dict[str, Any]) -> None:
    calendar = known_before(case.get("unknown_from_year", 2027))

    answer = working_day_deadline(calendar, shanghai_day(case["start_at"]), case["count"])

    assert answer == Deadline(case["due"], case["provisional"])


def test_every_case_for_counsel_cites_its_article_and_gives_its_reasons() -> None:
    assert all(case["article"] and case["reasoning"] for case in CASES)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("year", range(2004, 2025))
def test_cut_off_at_the_end_of_any_year_no_deadline_is_later_than_the_true_one(year: int, count: int) -> None:
    cut, full = known_before(year + 1), package_calendar()
    starts = [date(year, 11, 1) + timedelta(days=offset) for offset in range(380)]

    late = [
        start
        for start in starts
        if working_day_deadline(cut, start, count).due > working_day_deadline(full, start, count).due
    ]

    assert late == []


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("year", range(2004, 2025))
def test_cut_off_at_the_end_of_any_year_a_deadline_that_is_not_certain_is_provisional(year: int, count: int) -> None:
    cut, full = known_before(year + 1), package_calendar()
    starts = [date(year, 11, 1) + timedelta(days=offset) for offset in range(380)]

    silent = [
        start
        for start in starts
        if not (found := working_day_deadline(cut, start, count)).provisional
        and found.due < date(year, 12, 24)
        and found.due != working_day_deadline(full, start, count).due
    ]

    assert silent == []


def test_counting_from_monday_to_friday_alone_would_have_been_too_late() -> None:
    guess = Calendar(date(2004, 1, 1), date(2030, 12, 31), frozenset())
    start, full = date(2018, 12, 17), package_calendar()

    assert working_day_deadline(full, start, 10).due == date(2018, 12, 29)
    assert working_day_deadline(guess, start, 10).due < working_day_deadline(full, start, 10).due


@given(start=starts, count=st.integers(min_value=1, max_value=60))
def test_a_longer_period_ends_later_and_every_period_after_its_start(start: date, count: int) -> None:
    shorter = working_day_deadline(package_calendar(), start, count)
    longer = working_day_deadline(package_calendar(), start, count + 1)

    assert start < shorter.due < longer.due
    assert shorter.provisional <= longer.provisional


@pytest.mark.parametrize(
    ("month", "day", "first_year"),
    [(1, 1, 2004), (5, 1, 2004), (5, 2, 2025), (10, 1, 2004), (10, 2, 2004), (10, 3, 2004)],
)
def test_fixed_holidays_were_rest_days_in_every_known_year(month: int, day: int, first_year: int) -> None:
    days = [date(year, month, day) for year in range(first_year, 2027)]

    assert [day for day in days if package_calendar().is_rest(day) is not True] == []


@pytest.mark.parametrize("count", [0, -1])
def test_a_period_of_no_working_days_is_refused(count: int) -> None:
    with pytest.raises(WorkingDayCountError, match="count at least one"):
        working_day_deadline(package_calendar(), date(2026, 3, 6), count)


@pytest.mark.parametrize(
    ("last_day", "expected"),
    [
        pytest.param(date(2026, 3, 6), RolledDay(date(2026, 3, 6), provisional=False), id="a working day stays"),
        pytest.param(date(2026, 3, 7), RolledDay(date(2026, 3, 9), provisional=False), id="a Saturday"),
        pytest.param(date(2026, 2, 28), RolledDay(date(2026, 2, 28), provisional=False), id="a make-up Saturday"),
        pytest.param(date(2026, 10, 1), RolledDay(date(2026, 10, 8), provisional=False), id="National Day"),
        pytest.param(date(2027, 1, 4), RolledDay(date(2027, 1, 14), provisional=True), id="an unpublished year"),
    ],
)
def test_the_last_day_of_a_period_moves_past_the_rest(last_day: date, expected: RolledDay) -> None:
    assert rolled_over_rest(last_day, package_calendar()) == expected


@given(day=starts)
def test_rolling_never_shortens_nor_waits_longer_than_any_rest_lasted(day: date) -> None:
    rolled = rolled_over_rest(day, package_calendar())

    assert day <= rolled.on <= day + timedelta(days=LONGEST_UNKNOWN_REST_DAYS)
