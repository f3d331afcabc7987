"""Prohibited hours: exact at every boundary, over midnight, over the week, in any zone."""

import tomllib
from datetime import UTC, datetime, time, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compliance.calling_windows import (
    EVERY_DAY,
    DailyWindow,
    WeekPattern,
    WindowState,
    covers,
    state,
    week_pattern,
)
from compliance.legal import citation
from compliance.policy import parse_policy
from compliance.shanghai import SHANGHAI, shanghai_day

NIGHT = DailyWindow(time(21), time(9))
ALWAYS = DailyWindow(time(), time())
MICROSECOND = timedelta(microseconds=1)
CASES = tomllib.loads((Path(__file__).parents[1] / "cases" / "calling_hours.toml").read_text("utf-8"))["case"]


def shanghai(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_cases_that_counsel_can_read(case: dict[str, Any]) -> None:
    policy = parse_policy(case.get("policy", ""), on=shanghai_day(case["at"]))

    judged = state(policy.quiet_hours.general, case["at"])

    assert judged == WindowState(case["prohibited"], case.get("until"))


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_cases_quote_their_article(case: dict[str, Any]) -> None:
    assert case["words"] in citation(case["article"]).words


SUNDAY_NIGHT = DailyWindow(time(22), time(2), frozenset({6}))
MONDAY = DailyWindow(time(), time(), frozenset({0}))


@pytest.mark.parametrize(
    ("window", "at", "prohibited", "changes_at"),
    [
        # 2026-06-07 is a Sunday.
        (SUNDAY_NIGHT, "2026-06-07T21:59:59.999999", False, "2026-06-07T22:00"),
        (SUNDAY_NIGHT, "2026-06-07T22:00", True, "2026-06-08T02:00"),
        (SUNDAY_NIGHT, "2026-06-08T00:00", True, "2026-06-08T02:00"),
        (SUNDAY_NIGHT, "2026-06-08T01:59:59.999999", True, "2026-06-08T02:00"),
        (SUNDAY_NIGHT, "2026-06-08T02:00", False, "2026-06-14T22:00"),
        (MONDAY, "2026-06-07T23:59:59.999999", False, "2026-06-08T00:00"),
        (MONDAY, "2026-06-08T00:00", True, "2026-06-09T00:00"),
        (MONDAY, "2026-06-09T00:00", False, "2026-06-15T00:00"),
        (DailyWindow(time(12), time(12), frozenset({6})), "2026-06-08T11:59", True, "2026-06-08T12:00"),
        (DailyWindow(time(), time(0, 0, 0, 1)), "2026-06-08T00:00", True, "2026-06-08T00:00:00.000001"),
        (DailyWindow(time(20), time(), frozenset({6})), "2026-06-08T00:00", False, "2026-06-14T20:00"),
        (NIGHT, "1992-01-06T00:00", True, "1992-01-06T09:00"),
        (NIGHT, "1992-01-05T23:59:59.999999", True, "1992-01-06T09:00"),
    ],
)
def test_a_window_is_half_open_and_wraps_over_midnight_and_the_week(
    window: DailyWindow,
    at: str,
    *,
    prohibited: bool,
    changes_at: str,
) -> None:
    judged = state(week_pattern([window]), shanghai(at))

    assert judged == WindowState(prohibited, shanghai(changes_at))


@pytest.mark.parametrize("year", [1990, 2026])
@pytest.mark.parametrize(
    ("windows", "prohibited"),
    [
        pytest.param([], False, id="no window"),
        pytest.param([DailyWindow(time(9), time(21), frozenset())], False, id="a window of no day"),
        pytest.param([ALWAYS], True, id="all day, every day"),
        pytest.param([NIGHT, DailyWindow(time(9), time(21))], True, id="night and day"),
        pytest.param([DailyWindow(time(17), time(17))], True, id="24 hours from the afternoon"),
    ],
)
def test_what_never_changes_has_no_change(year: int, windows: list[DailyWindow], *, prohibited: bool) -> None:
    judged = state(week_pattern(windows), datetime(year, 7, 1, 12, tzinfo=SHANGHAI))

    assert judged == WindowState(prohibited, changes_at=None)


def test_touching_windows_make_one() -> None:
    whole = week_pattern([DailyWindow(time(18), time(23))])

    assert week_pattern([DailyWindow(time(18), time(20)), DailyWindow(time(20), time(23))]) == whole


def test_the_change_is_given_in_shanghai_whatever_the_zone_of_the_question() -> None:
    judged = state(week_pattern([NIGHT]), datetime(2026, 6, 2, 12, tzinfo=UTC))

    assert judged.changes_at is not None
    assert judged.changes_at.isoformat() == "2026-06-02T21:00:00+08:00"
    assert judged.changes_at.tzinfo is SHANGHAI


def test_an_instant_without_a_zone_is_refused() -> None:
    with pytest.raises(TypeError):
        state(week_pattern([NIGHT]), datetime(2026, 6, 2, 12))  # noqa: DTZ001 - the naive instant is the point


def test_a_change_after_the_end_of_the_calendar_is_none() -> None:
    last = datetime(9999, 12, 31, 23, 59, 59, tzinfo=SHANGHAI)

    assert state(week_pattern([NIGHT]), last) == WindowState(prohibited=True, changes_at=None)


@pytest.mark.parametrize(
    ("at", "prohibited", "changes_at"),
    [
        # Summer time began on 1988-04-17 at 02:00 (the clock jumped to 03:00), and ended on 1988-09-11 at 02:00.
        pytest.param("1988-04-16T17:30:00Z", True, "1988-04-17T00:00:00Z", id="the night is an hour shorter"),
        pytest.param("1988-09-10T13:00:00Z", True, "1988-09-11T01:00:00Z", id="the night is an hour longer"),
        pytest.param("1988-07-01T11:59:59Z", False, "1988-07-01T12:00:00Z", id="in summer 21:00 is 12:00 UTC"),
        pytest.param("1988-12-01T12:59:59Z", False, "1988-12-01T13:00:00Z", id="in winter 21:00 is 13:00 UTC"),
    ],
)
def test_old_instants_are_judged_by_the_clocks_of_their_time(at: str, *, prohibited: bool, changes_at: str) -> None:
    judged = state(week_pattern([NIGHT]), datetime.fromisoformat(at))

    assert judged == WindowState(prohibited, datetime.fromisoformat(changes_at))


def test_a_window_inside_the_skipped_hour_begins_and_ends_with_the_change_of_clocks() -> None:
    pattern = week_pattern([DailyWindow(time(2, 30), time(4))])

    judged = state(pattern, datetime(1988, 4, 16, 17, 59, 0, 5, tzinfo=UTC))

    assert judged == WindowState(prohibited=False, changes_at=datetime(1988, 4, 16, 18, tzinfo=UTC))


def test_a_whole_pattern_covers_everything_and_only_it_does() -> None:
    always, night = week_pattern([ALWAYS]), week_pattern([NIGHT])

    assert (covers(always, night), covers(night, always)) == (True, False)


@pytest.mark.parametrize(
    ("outer", "covered"),
    [
        pytest.param(DailyWindow(time(21), time(9)), True, id="itself"),
        pytest.param(DailyWindow(time(20), time(10)), True, id="longer"),
        pytest.param(DailyWindow(time(21, 0, 0, 1), time(9)), False, id="begins a microsecond late"),
        pytest.param(DailyWindow(time(21), time(8, 59, 59, 999999)), False, id="ends a microsecond early"),
        pytest.param(DailyWindow(time(21), time(9), EVERY_DAY - {6}), False, id="not on Sundays"),
    ],
)
def test_covering_is_exact(outer: DailyWindow, *, covered: bool) -> None:
    assert covers(week_pattern([outer]), week_pattern([NIGHT])) is covered


times = st.one_of(
    st.times(), st.integers(0, 23).map(time), st.sampled_from([time(), time(23, 59, 59, 999999), time(0, 0, 0, 1)])
)
window_sets = st.lists(st.builds(DailyWindow, times, times, st.frozensets(st.integers(0, 6))), max_size=5)
instants = st.one_of(
    st.datetimes(datetime(2015, 1, 1), datetime(2040, 1, 1), timezones=st.just(SHANGHAI)),  # noqa: DTZ001 - bounds are naive
    st.datetimes(datetime(1985, 1, 1), datetime(1993, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - bounds are naive
)


def is_prohibited_by_any(windows: list[DailyWindow], at: datetime) -> bool:
    """Answer from the definition: is the clock in a window of today, or in the rest of one of yesterday?"""
    local = at.astimezone(SHANGHAI)
    clock, today, yesterday = local.time(), local.weekday(), (local.weekday() - 1) % 7
    return any(
        (w.start < w.end and today in w.weekdays and w.start <= clock < w.end)
        or (w.start >= w.end and today in w.weekdays and clock >= w.start)
        or (w.start >= w.end and yesterday in w.weekdays and clock < w.end)
        for w in windows
    )


@given(window_sets, instants)
def test_a_pattern_prohibits_what_any_of_its_windows_prohibits(windows: list[DailyWindow], at: datetime) -> None:
    assert state(week_pattern(windows), at).prohibited == is_prohibited_by_any(windows, at)


@given(window_sets, st.data())
def test_a_pattern_agrees_with_its_windows_at_every_boundary(windows: list[DailyWindow], data: st.DataObject) -> None:
    day = data.draw(st.integers(0, 8))
    clock = data.draw(st.sampled_from([c for w in windows for c in (w.start, w.end)] or [time()]))
    edge = datetime.combine(datetime(2026, 6, 7, tzinfo=SHANGHAI) + timedelta(days=day), clock, SHANGHAI)
    pattern = week_pattern(windows)

    for at in (edge - MICROSECOND, edge, edge + MICROSECOND):
        assert state(pattern, at).prohibited == is_prohibited_by_any(windows, at)


@given(window_sets, instants, st.floats(0, 1))
def test_the_answer_holds_until_the_change_and_flips_at_it(
    windows: list[DailyWindow], at: datetime, share: float
) -> None:
    pattern = week_pattern(windows)
    judged = state(pattern, at)
    start = at.astimezone(UTC)
    until = judged.changes_at.astimezone(UTC) if judged.changes_at else start + timedelta(days=8)

    assert until > start
    assert is_prohibited_by_any(windows, start + (until - start - MICROSECOND) * share) == judged.prohibited
    assert is_prohibited_by_any(windows, until - MICROSECOND) == judged.prohibited
    assert is_prohibited_by_any(windows, until) == (judged.prohibited ^ (judged.changes_at is not None))


@given(window_sets, instants, st.integers(-14 * 60, 14 * 60))
def test_the_zone_of_the_question_changes_nothing(windows: list[DailyWindow], at: datetime, minutes: int) -> None:
    pattern = week_pattern(windows)

    in_new_york = state(pattern, at.astimezone(ZoneInfo("America/New_York")))
    anywhere = state(pattern, at.astimezone(timezone(timedelta(minutes=minutes))))

    assert in_new_york == anywhere == state(pattern, at)


@given(window_sets, window_sets)
def test_a_union_covers_its_parts_and_the_order_does_not_matter(
    some: list[DailyWindow], others: list[DailyWindow]
) -> None:
    union = week_pattern([*some, *others])

    assert week_pattern([*others, *some]) == union
    assert covers(union, week_pattern(some))
    assert covers(union, week_pattern(others))


@given(window_sets, window_sets)
def test_each_covers_the_other_only_if_they_are_equal(some: list[DailyWindow], others: list[DailyWindow]) -> None:
    one, two = week_pattern(some), week_pattern(others)

    assert (covers(one, two) and covers(two, one)) == (one == two)


def test_the_edges_of_the_night_are_fourteen_places_of_the_week() -> None:
    hour = 3_600_000_000
    edges = tuple(day * 24 * hour + at for day in range(7) for at in (9 * hour, 21 * hour))

    assert week_pattern([NIGHT]) == WeekPattern(edges, begins_prohibited=True)
