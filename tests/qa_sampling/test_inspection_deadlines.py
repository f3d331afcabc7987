"""Days that count from the next one on, to 24:00 of the last in Shanghai."""

import doctest
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compliance.shanghai import SHANGHAI
from qa_sampling import inspection_deadlines as module
from qa_sampling.inspection_deadlines import appeal_before, appealable_from, decide_before, score_before

FIRST_MOMENT = datetime(2026, 11, 23, tzinfo=SHANGHAI)
LAST_MOMENT = datetime(2026, 11, 23, 23, 59, 59, 999_999, tzinfo=SHANGHAI)


@pytest.mark.parametrize("at", [FIRST_MOMENT, LAST_MOMENT, LAST_MOMENT.astimezone(UTC)])
def test_seven_days_end_with_the_seventh_whenever_on_the_day_they_begin(at: datetime) -> None:
    assert appeal_before(at) == datetime(2026, 12, 1, tzinfo=SHANGHAI)
    assert decide_before(at) == datetime(2026, 12, 1, tzinfo=SHANGHAI)


@pytest.mark.parametrize(
    ("due_before", "expected"),
    [
        (datetime(2026, 12, 7, tzinfo=SHANGHAI), datetime(2026, 12, 8, tzinfo=SHANGHAI)),
        (datetime(2026, 12, 9, tzinfo=SHANGHAI), datetime(2026, 12, 9, tzinfo=SHANGHAI)),
    ],
)
def test_a_second_scoring_has_fourteen_days_or_longer(due_before: datetime, expected: datetime) -> None:
    assert score_before(LAST_MOMENT, due_before) == expected


_instants = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - naive by contract


@given(_instants, st.timedeltas(timedelta(0), timedelta(days=20)))
def test_what_can_be_appealed_against_is_what_came_since(at: datetime, later: timedelta) -> None:
    now = at + later

    assert (now < appeal_before(at)) == (at >= appealable_from(now))


def test_the_examples_of_the_module_hold() -> None:
    assert doctest.testmod(module).failed == 0
