"""What is drawn by itself: yesterday from ten o'clock, once sales have ceased to come in, and what stayed behind."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection

from compliance.shanghai import SHANGHAI
from qa_sampling.due_draws import due_draws, is_due
from tests.conftest import NOON
from tests.qa_sampling.sold import DAY, ORDER, OTHER, STRATUM, commit, drawn, numbered, sell

YESTERDAY = date(2026, 11, 22)
LONG_BEFORE = datetime(2026, 11, 2, 3, 0, tzinfo=UTC)


def at(day: int, hour: int, minute: int = 0, second: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, second, tzinfo=SHANGHAI)


@pytest.mark.parametrize(
    ("newest_at", "now", "expected"),
    [
        pytest.param(at(2, 12), at(3, 9, 59, 59), False, id="before ten an officer may bring a number"),
        pytest.param(at(2, 12), at(3, 10), True, id="from ten on"),
        pytest.param(at(3, 9, 0, 1), at(3, 10), False, id="a sale came less than an hour ago"),
        pytest.param(at(3, 9), at(3, 10), True, id="a sale came an hour ago"),
        pytest.param(at(3, 23, 59, 59), at(3, 23, 59, 59), False, id="sales still come in"),
        pytest.param(at(4, 0), at(4, 0), True, id="after a day whatever comes in"),
        pytest.param(at(4, 0), at(3, 12), False, id="a clock set back"),
    ],
)
def test_a_day_is_due(newest_at: datetime, now: datetime, expected: bool) -> None:
    assert is_due(DAY, newest_at, now=now) is expected


def test_what_nobody_has_drawn_is_due_the_earliest_day_first(connection: Connection, tmp_path: Path) -> None:
    sell(connection, numbered(2))
    sell(connection, numbered(2, "Q"), stratum=OTHER, day=YESTERDAY)
    sell(connection, numbered(2, "R"), day=YESTERDAY)
    sell(connection, numbered(2, "T"), day=NOON.date())
    sell(connection, numbered(2, "O"), day=date(2026, 10, 22), ends=NOON)
    drawn(connection, tmp_path)

    found = due_draws(connection, person="schedule", now=NOON)

    assert [(one.from_on, one.to_on, one.stratum, one.public_number) for one in found] == [
        (YESTERDAY, YESTERDAY, OTHER, ""),
        (YESTERDAY, YESTERDAY, STRATUM, ""),
    ]


def test_a_month_back_is_still_drawn_and_no_more_once_all_windows_have_ended(connection: Connection) -> None:
    sell(connection, ["P-1"], day=date(2026, 10, 23), ends=NOON)
    sell(connection, ["P-2", "P-3"], day=date(2026, 10, 22), ends=NOON)

    assert [one.from_on for one in due_draws(connection, person="schedule", now=NOON)] == [date(2026, 10, 23)]


def test_a_day_long_past_is_drawn_while_one_sale_of_it_can_be_inspected_in_time(connection: Connection) -> None:
    long_past = date(2026, 6, 1)
    sell(connection, ["P-1", "P-2"], stratum=OTHER, day=long_past, ends=NOON)
    sell(connection, ["P-3"], stratum=OTHER, day=long_past, ends=NOON + timedelta.resolution)
    sell(connection, ["P-4"], day=long_past, ends=NOON)

    found = due_draws(connection, person="schedule", now=NOON)

    assert [(one.from_on, one.stratum) for one in found] == [(long_past, OTHER)]


def test_a_day_with_one_stratum_still_coming_in_waits_as_a_whole(connection: Connection, tmp_path: Path) -> None:
    commit(connection, tmp_path)
    sell(connection, ["P-1"])
    sell(connection, ["Q-1"], stratum=OTHER, at=at(3, 10))

    assert due_draws(connection, person="schedule", now=at(3, 10, 59)) == []
    assert len(due_draws(connection, person="schedule", now=at(3, 11))) == 2


def test_a_period_that_begins_or_ends_with_a_day_is_no_draw_of_that_day(connection: Connection, tmp_path: Path) -> None:
    sell(connection, ["P-1"])
    drawn(connection, tmp_path, replace(ORDER, from_on=DAY - timedelta(days=1)))
    drawn(connection, tmp_path, replace(ORDER, to_on=DAY + timedelta(days=1)))

    assert [one.from_on for one in due_draws(connection, person="schedule", now=NOON)] == [DAY]
