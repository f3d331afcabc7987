from datetime import UTC, date, datetime, timedelta

import chinese_calendar
import pytest

from compliance.working_days import Calendar, CalendarRangeError, package_calendar


@pytest.mark.parametrize(
    ("day", "is_rest"),
    [
        pytest.param(date(2003, 12, 31), None, id="day before the first known"),
        pytest.param(date(2004, 1, 1), True, id="first known day"),
        pytest.param(date(2026, 2, 28), False, id="make-up Saturday"),
        pytest.param(date(2026, 2, 15), True, id="Spring Festival, a Sunday"),
        pytest.param(date(2026, 2, 17), True, id="Spring Festival, a Tuesday"),
        pytest.param(date(2026, 3, 7), True, id="ordinary Saturday"),
        pytest.param(date(2026, 3, 9), False, id="ordinary Monday"),
        pytest.param(date(2026, 12, 31), False, id="last known day"),
        pytest.param(date(2027, 1, 1), None, id="day after the last known"),
    ],
)
def test_rest_days_of_the_package_and_unknown_days_beyond_it(day: date, *, is_rest: bool | None) -> None:
    assert package_calendar().is_rest(day) is is_rest


def test_package_calendar_agrees_with_the_package_on_every_day_it_covers() -> None:
    calendar = package_calendar()
    length = (calendar.known_through - calendar.known_from).days + 1
    days = [calendar.known_from + timedelta(days=n) for n in range(length)]

    assert [calendar.is_rest(day) for day in days] == [chinese_calendar.is_holiday(day) for day in days]


@pytest.mark.parametrize("offset_days", [pytest.param(-1, id="before"), pytest.param(1, id="after")])
def test_package_knows_nothing_beyond_the_range_that_the_calendar_claims(offset_days: int) -> None:
    calendar = package_calendar()
    edge = calendar.known_from if offset_days < 0 else calendar.known_through

    with pytest.raises(NotImplementedError):
        chinese_calendar.is_workday(edge + timedelta(days=offset_days))


def test_calendar_of_one_day_knows_that_day_only() -> None:
    calendar = Calendar(date(2027, 1, 1), date(2027, 1, 1), frozenset({date(2027, 1, 1)}))

    assert [calendar.is_rest(date(2027, 1, 1)), calendar.is_rest(date(2027, 1, 2))] == [True, None]


def test_calendar_that_covers_no_day_is_refused() -> None:
    with pytest.raises(CalendarRangeError, match="from 2027-01-02 through 2027-01-01 covers no day"):
        Calendar(date(2027, 1, 2), date(2027, 1, 1), frozenset())


def test_calendar_with_rest_days_outside_its_range_is_refused() -> None:
    with pytest.raises(CalendarRangeError, match="rest day 2027-01-01 is outside"):
        Calendar(date(2026, 1, 1), date(2026, 12, 31), frozenset({date(2027, 1, 1), date(2027, 1, 2)}))


def test_an_instant_is_not_taken_for_a_day() -> None:
    with pytest.raises(TypeError):
        package_calendar().is_rest(datetime(2026, 2, 14, 17, tzinfo=UTC))
