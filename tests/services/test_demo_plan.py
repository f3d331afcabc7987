"""What the demo is planned with: draws that repeat, ids, numbers, and instants of checks."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compliance.shanghai import SHANGHAI
from compliance.working_days import package_calendar
from services.demo.call_plan import check_instants
from services.demo.chance import Chance
from services.demo.facts import demo_facts
from services.demo.phone_plan import NumberUse, mobile_digits


@pytest.mark.parametrize("hour", [0, 3, 9, 23])
def test_no_check_is_later_than_the_clock_at_any_hour(hour: int) -> None:
    now = datetime(2026, 3, 1, hour, 5, tzinfo=SHANGHAI)

    days = check_instants(Chance("test"), package_calendar(), now=now, count=500)

    assert sum(map(len, days)) == 500
    assert max(at for day in days for at in day) <= now


@given(st.integers(min_value=1, max_value=10**9), st.text(min_size=1), st.integers())
def test_a_draw_is_below_its_bound_and_repeats(bound: int, name: str, number: int) -> None:
    chance = Chance("test")
    assert 0 <= chance.below(bound, name, number) < bound
    assert chance.below(bound, name, number) == Chance("test").below(bound, name, number)


@given(st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2200, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_an_id_has_the_form_of_uuid7_and_tells_its_millisecond(at: datetime) -> None:
    made = Chance("test").uuid7(at, "row")
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert abs((made.int >> 80) - at.timestamp() * 1000) <= 1


@given(st.sets(st.tuples(st.sampled_from(NumberUse), st.integers(min_value=0, max_value=99_999)), min_size=2))
def test_numbers_of_different_use_or_count_differ(keys: set[tuple[NumberUse, int]]) -> None:
    assert len({mobile_digits(use, index) for use, index in keys}) == len(keys)


def test_ids_do_not_depend_on_the_day_of_loading() -> None:
    assert demo_facts().own.centre_id == "014ba6ad-24e0-7451-9d69-14d04b319be7"
    assert (
        date(2015, 1, 1) <= datetime.fromtimestamp((int(demo_facts().own.centre_id[:8], 16) << 16) / 1000, UTC).date()
    )
