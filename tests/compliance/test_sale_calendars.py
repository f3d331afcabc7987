"""Days that turn on working days, after a release with another calendar: rights later, duties earlier, nothing else."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from sqlalchemy import Connection

from compliance.register_book import read_book
from compliance.sale_calendars import CALENDAR, follow_calendar
from compliance.sale_rows import StoredSale, read_sale, read_sale_events
from compliance.sales import register_sale
from compliance.working_days import Calendar
from tests.compliance.test_sales import SALE
from tests.conftest import NOON

WEEKENDS = frozenset({date(2026, 11, day) for day in (7, 8, 14, 15, 21, 22, 28, 29)})
KNOWN = Calendar(date(2026, 11, 1), date(2026, 11, 30), WEEKENDS)
"""By it the papers of a sale of Monday 2 November are due on the 11th, and a right through Wednesday 18th ends then."""

UNKNOWN = Calendar(date(2026, 10, 1), date(2026, 10, 31), frozenset())


def rests(*days: int) -> Calendar:
    return replace(KNOWN, rest_days=WEEKENDS.union(date(2026, 11, day) for day in days))


def works(*days: int) -> Calendar:
    return replace(KNOWN, rest_days=WEEKENDS.difference(date(2026, 11, day) for day in days))


def register(connection: Connection, calendar: Calendar, **changes: Any) -> None:
    sale = replace(SALE, receipt_confirmed_on=date(2026, 11, 3), **changes)
    register_sale(connection, sale, book=read_book(connection, now=NOON), calendar=calendar, person="officer", now=NOON)


def days_of(sale: StoredSale) -> tuple[int, int]:
    assert sale.right_through is not None
    return sale.deliver_by.day, sale.right_through.day


@pytest.mark.parametrize(
    ("before", "after", "days"),
    [
        pytest.param(KNOWN, KNOWN, (11, 18), id="the same calendar"),
        pytest.param(KNOWN, rests(18), (11, 19), id="the last day of the right became a rest day"),
        pytest.param(KNOWN, rests(18, 19, 20), (11, 23), id="and those after it"),
        pytest.param(rests(18), KNOWN, (11, 19), id="a rest day became a working day: the right stays"),
        pytest.param(KNOWN, rests(10, 11), (11, 18), id="days of delivery became rest days: the duty stays"),
        pytest.param(KNOWN, works(7, 8), (9, 18), id="rest days became working days: the duty moves"),
        pytest.param(UNKNOWN, KNOWN, (9, 28), id="an unknown month became known: both stay on the safe side"),
    ],
)
def test_a_right_moves_later_and_a_duty_earlier(
    connection: Connection, before: Calendar, after: Calendar, days: tuple[int, int]
) -> None:
    register(connection, before)

    follow_calendar(connection, calendar=after, now=NOON)

    assert days_of(read_sale(connection, "P-1")) == days


def test_what_moved_is_told_and_moves_once(connection: Connection) -> None:
    register(connection, KNOWN)

    moved = [follow_calendar(connection, calendar=rests(18), now=NOON) for _ in range(2)]

    _registered, amended = read_sale_events(connection, ["P-1"])["P-1"]
    assert moved == [1, 0]
    assert (amended.kind, amended.actor) == ("amended", CALENDAR)
    assert amended.details == {
        "right_through": {"from": "2026-11-18", "to": "2026-11-19"},
        "calendar_known_through": "2026-11-30",
    }


def test_a_right_that_has_not_begun_is_left_alone(connection: Connection) -> None:
    register(connection, KNOWN, effective_on=None)

    assert follow_calendar(connection, calendar=rests(18), now=NOON) == 0
    assert read_sale(connection, "P-1").right_through is None


def test_without_sales_there_is_nothing_to_follow(connection: Connection) -> None:
    assert follow_calendar(connection, calendar=KNOWN, now=NOON) == 0
