from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compliance.periods import PeriodOutOfRangeError, add_months, add_years

EVERY_DAY_OF_EIGHT_YEARS = [date(2020, 1, 1) + timedelta(days=n) for n in range(366 + 3 * 365 + 366 + 3 * 365)]

days = st.dates(min_value=date(1000, 1, 1), max_value=date(8000, 12, 31))
month_counts = st.integers(min_value=0, max_value=2400)


@pytest.mark.parametrize(
    ("start", "months", "last_day"),
    [
        pytest.param(date(2026, 3, 15), 6, date(2026, 9, 15), id="corresponding day"),
        pytest.param(date(2025, 8, 31), 6, date(2026, 2, 28), id="no 31 February"),
        pytest.param(date(2023, 8, 31), 6, date(2024, 2, 29), id="no 31 February in a leap year"),
        pytest.param(date(2023, 8, 29), 6, date(2024, 2, 29), id="29 August to a leap day"),
        pytest.param(date(2024, 2, 29), 6, date(2024, 8, 29), id="a leap day is not a month's end"),
        pytest.param(date(2025, 12, 31), 6, date(2026, 6, 30), id="no 31 June"),
        pytest.param(date(2024, 2, 29), 12, date(2025, 2, 28), id="leap day and twelve months"),
        pytest.param(date(2026, 1, 31), 6, date(2026, 7, 31), id="G10: 31 January to 31 July"),
        pytest.param(date(2026, 12, 31), 1, date(2027, 1, 31), id="across the year"),
        pytest.param(date(2026, 3, 15), 0, date(2026, 3, 15), id="no month at all"),
        pytest.param(date(2026, 3, 31), -1, date(2026, 2, 28), id="one month back"),
        pytest.param(date(2026, 1, 1), -1, date(2025, 12, 1), id="back across the year"),
        pytest.param(date(9999, 6, 30), 6, date(9999, 12, 30), id="last year there is"),
        pytest.param(date(1, 2, 1), -1, date(1, 1, 1), id="first year there is"),
    ],
)
def test_period_of_months_ends_on_the_corresponding_day_or_the_months_last(
    start: date, months: int, last_day: date
) -> None:
    assert add_months(start, months) == last_day


@pytest.mark.parametrize(
    ("start", "years", "last_day"),
    [
        pytest.param(date(2025, 2, 28), 1, date(2026, 2, 28), id="G01: number in use for a year"),
        pytest.param(date(2024, 2, 29), 5, date(2029, 2, 28), id="C01: leap day and five years"),
        pytest.param(date(2024, 2, 29), 10, date(2034, 2, 28), id="C07: leap day and ten years"),
        pytest.param(date(2024, 2, 29), 4, date(2028, 2, 29), id="leap day to leap day"),
        pytest.param(date(2096, 2, 29), 4, date(2100, 2, 28), id="2100 is no leap year"),
        pytest.param(date(2024, 1, 1), 10, date(2034, 1, 1), id="C04: an ordinary day"),
    ],
)
def test_period_of_years_ends_on_the_same_day_of_the_year_or_28_february(
    start: date, years: int, last_day: date
) -> None:
    assert add_years(start, years) == last_day


def test_six_months_are_181_to_184_days() -> None:
    lengths = {(add_months(day, 6) - day).days for day in EVERY_DAY_OF_EIGHT_YEARS}

    assert lengths == {181, 182, 183, 184}


def test_months_are_counted_from_the_original_start_and_not_from_a_clamped_end() -> None:
    start = date(2025, 8, 31)

    assert add_months(start, 12) == date(2026, 8, 31)
    assert add_months(add_months(start, 6), 6) == date(2026, 8, 28)


@pytest.mark.parametrize(
    ("start", "months"),
    [
        pytest.param(date(9999, 7, 1), 6, id="one month past the end"),
        pytest.param(date(2026, 3, 15), 10**12, id="a nonsensical count"),
        pytest.param(date(1, 1, 31), -1, id="before the first year"),
    ],
)
def test_period_that_leaves_the_calendar_is_an_error_that_says_so(start: date, months: int) -> None:
    with pytest.raises(PeriodOutOfRangeError, match=rf"{months} months from {start} .* use a shorter period"):
        add_months(start, months)


def test_an_instant_is_refused_because_its_day_depends_on_the_zone() -> None:
    with pytest.raises(TypeError, match="take its day in Asia/Shanghai"):
        add_months(datetime(2026, 2, 14, 17, tzinfo=UTC), 6)


@given(day=days, months=month_counts)
def test_last_day_keeps_the_day_number_or_is_the_last_of_its_month(day: date, months: int) -> None:
    last_day = add_months(day, months)

    assert (last_day.year * 12 + last_day.month) - (day.year * 12 + day.month) == months
    assert last_day.day == day.day or (last_day.day < day.day and (last_day + timedelta(days=1)).day == 1)


@given(day=days, later_by=st.integers(min_value=0, max_value=400), months=month_counts)
def test_a_later_start_never_ends_earlier(day: date, later_by: int, months: int) -> None:
    assert add_months(day + timedelta(days=later_by), months) >= add_months(day, months)


@given(day=days, fewer=month_counts, more=month_counts)
def test_chaining_through_a_clamped_end_is_never_later_than_counting_at_once(day: date, fewer: int, more: int) -> None:
    assert add_months(add_months(day, fewer), more) <= add_months(day, fewer + more)


@given(day=days, months=st.integers(min_value=1, max_value=2400))
def test_a_month_more_is_always_later(day: date, months: int) -> None:
    assert add_months(day, months) > add_months(day, months - 1)
