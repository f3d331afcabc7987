import tomllib
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compliance.do_not_call import PERMANENT, BlockTermError, FirstCallable, blocked_through, first_callable
from compliance.periods import PeriodOutOfRangeError, add_months
from compliance.working_days import Calendar, package_calendar

CASES_FILE = Path(__file__).parents[1] / "cases" / "do_not_call.toml"
SHANGHAI = ZoneInfo("Asia/Shanghai")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One case of the file for counsel; its head explains the fields."""

    id: str
    article: str
    reasoning: str
    refused_at: datetime
    months: int
    existing_through: date | None = None
    known_through: date = date(2026, 12, 31)
    blocked_through: date
    first_callable_on: date
    provisional: bool


CASES = [Case(**case) for case in tomllib.loads(CASES_FILE.read_text(encoding="utf-8"))["case"]]

days = st.dates(min_value=date(2000, 1, 1), max_value=date(2035, 12, 31))


@st.composite
def calendars(draw: st.DrawFn) -> Calendar:
    """Calendars of up to 60 days around 2026-09, with any of their days at rest: also rests of weeks."""
    known_from = date(2026, 9, 1)
    length = draw(st.integers(min_value=1, max_value=60))
    offsets = draw(st.sets(st.integers(min_value=0, max_value=length - 1)))
    rest_days = frozenset(known_from + timedelta(days=offset) for offset in offsets)
    return Calendar(known_from, known_from + timedelta(days=length - 1), rest_days)


days_near_the_calendars = st.dates(min_value=date(2026, 8, 1), max_value=date(2026, 12, 31))


def published_through(day: date) -> Calendar:
    """Return the package's calendar as it stood when nothing after `day` was published."""
    full = package_calendar()
    return replace(full, known_through=day, rest_days=frozenset(rest for rest in full.rest_days if rest <= day))


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in CASES])
def test_cases_for_counsel(case: Case) -> None:
    refused_on = case.refused_at.astimezone(SHANGHAI).date()

    through = blocked_through(refused_on, case.months, existing=case.existing_through)
    answer = first_callable(through, published_through(case.known_through))

    assert through == case.blocked_through
    assert answer == FirstCallable(case.first_callable_on, case.provisional)


def test_every_case_for_counsel_cites_its_article_and_gives_its_reasons() -> None:
    assert [case.id for case in CASES if not (case.article and case.reasoning)] == []
    assert len({case.id for case in CASES}) == len(CASES)


@pytest.mark.parametrize("months", [0, -1])
def test_block_of_no_months_is_refused(months: int) -> None:
    with pytest.raises(BlockTermError, match=f"{months} months protects nobody"):
        blocked_through(date(2026, 3, 15), months)


def test_existing_longer_block_is_kept_and_a_shorter_one_extended() -> None:
    refused_on = date(2026, 3, 15)

    assert blocked_through(refused_on, 6, existing=date(2026, 9, 16)) == date(2026, 9, 16)
    assert blocked_through(refused_on, 6, existing=date(2026, 9, 14)) == date(2026, 9, 15)


def test_permanent_block_stays_permanent_after_another_refusal() -> None:
    assert blocked_through(date(2026, 3, 15), 1200, existing=PERMANENT) == PERMANENT


def test_last_callable_day_that_a_date_can_name() -> None:
    working_through_the_end = Calendar(date(9999, 12, 1), date(9999, 12, 31), frozenset())

    assert first_callable(date(9999, 12, 21), working_through_the_end).on == date(9999, 12, 22)


@pytest.mark.parametrize("through", [date(9999, 12, 22), PERMANENT])
def test_block_to_the_end_of_the_calendar_is_an_error_with_advice(through: date) -> None:
    with pytest.raises(PeriodOutOfRangeError, match="enter it as permanent"):
        first_callable(through, package_calendar())


def test_known_rest_longer_than_ten_days_is_honoured_in_full() -> None:
    rest = frozenset(date(2026, 9, 1) + timedelta(days=n) for n in range(14))
    calendar = Calendar(date(2026, 9, 1), date(2026, 9, 30), rest)

    assert first_callable(date(2026, 9, 1), calendar) == FirstCallable(date(2026, 9, 16), provisional=False)


def test_no_known_rest_closes_the_gate_for_more_than_11_days_and_no_working_day_for_more_than_one() -> None:
    calendar = package_calendar()
    length = (calendar.known_through - calendar.known_from).days + 1
    all_days = [calendar.known_from + timedelta(days=n) for n in range(length)]

    waits = {(first_callable(day, calendar).on - day).days for day in all_days}
    waits_from_working_days = {
        (first_callable(day, calendar).on - day).days for day in all_days if not calendar.is_rest(day)
    }

    assert waits == set(range(1, 12))
    assert waits_from_working_days == {1}


@given(through=days)
def test_gate_never_opens_before_the_day_after_the_block_nor_more_than_11_days_after_it(
    through: date,
) -> None:
    answer = first_callable(through, package_calendar())

    assert through + timedelta(days=1) <= answer.on <= through + timedelta(days=11)


@given(through=days_near_the_calendars, calendar=calendars())
def test_day_before_the_opening_is_worked_or_unknown_and_all_before_it_are_not_worked(
    through: date, calendar: Calendar
) -> None:
    answer = first_callable(through, calendar)
    last_day = answer.on - timedelta(days=1)
    waited = [calendar.is_rest(through + timedelta(days=n)) for n in range((last_day - through).days)]

    assert False not in waited
    assert calendar.is_rest(last_day) is not True
    assert answer.provisional == (None in [*waited, calendar.is_rest(last_day)])


@given(through=days_near_the_calendars, later_by=st.integers(min_value=0, max_value=60), calendar=calendars())
def test_a_longer_block_never_opens_earlier(through: date, later_by: int, calendar: Calendar) -> None:
    later = first_callable(through + timedelta(days=later_by), calendar)

    assert later.on >= first_callable(through, calendar).on


@given(
    through=st.dates(date(2004, 1, 1), date(2026, 12, 31)),
    published=st.dates(date(2004, 1, 1), date(2026, 12, 31)),
)
def test_publishing_more_of_the_calendar_never_makes_the_gate_open_later(through: date, published: date) -> None:
    before = first_callable(through, published_through(published))
    after = first_callable(through, package_calendar())

    assert after.on <= before.on
    assert before.provisional or after == before


@given(refused_on=days, months=st.integers(min_value=6, max_value=120), existing=st.none() | days)
def test_block_is_never_earlier_than_the_floor_or_than_the_one_before(
    refused_on: date, months: int, existing: date | None
) -> None:
    through = blocked_through(refused_on, months, existing=existing)

    assert through >= add_months(refused_on, 6)
    assert (through - refused_on).days >= 181
    assert existing is None or through >= existing


@given(
    refused_on=days,
    later_by=st.integers(min_value=0, max_value=400),
    months=st.integers(min_value=1, max_value=60),
)
def test_a_later_refusal_never_ends_earlier(refused_on: date, later_by: int, months: int) -> None:
    later = blocked_through(refused_on + timedelta(days=later_by), months)

    assert later >= blocked_through(refused_on, months)
