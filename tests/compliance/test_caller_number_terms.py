"""Arts. 20 and 22: stretches of use, the first day of retirement, and numbers that collide."""

from dataclasses import replace
from datetime import date, timedelta
from typing import TypedDict, Unpack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compliance.caller_number_terms import (
    EarlyRetirement,
    NumberVersion,
    Use,
    early_retirement,
    first_retirement_day,
    overlap,
    uses,
)
from compliance.legal import citation

TODAY = date(2026, 11, 23)
ONE = NumberVersion(
    effective_from=date(2026, 1, 1),
    effective_through=None,
    phone_e164="+8695519",
    owner=None,
    in_use_from=date(2026, 1, 1),
    retired_on=None,
)
OTHER_PHONE, OTHER_OWNER = "+864008000000", "c1"


class NumberChanges(TypedDict, total=False):
    """What a later version says otherwise than ONE."""

    phone_e164: str
    owner: str | None
    in_use_from: date
    retired_on: date | None


def later(since: date, **changes: Unpack[NumberChanges]) -> NumberVersion:
    return replace(ONE, effective_from=since, **changes)


@pytest.mark.parametrize(
    ("in_use_from", "first_day"),
    [
        pytest.param(date(2026, 3, 1), date(2027, 3, 2), id="the day of the start is not counted"),
        pytest.param(date(2025, 12, 31), date(2027, 1, 1), id="year end"),
        pytest.param(date(2024, 2, 29), date(2025, 3, 1), id="leap day ends on 28 February"),
        pytest.param(date(2023, 2, 28), date(2024, 2, 29), id="into a leap year"),
    ],
)
def test_a_number_may_be_retired_the_day_after_its_full_year(in_use_from: date, first_day: date) -> None:
    assert first_retirement_day(in_use_from, on=TODAY) == first_day


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        pytest.param([ONE], [(date(2026, 1, 1), None)], id="without an end"),
        pytest.param(
            [replace(ONE, in_use_from=date(2020, 5, 1))],
            [(date(2020, 5, 1), None)],
            id="what the first version says of earlier days is believed",
        ),
        pytest.param(
            [replace(ONE, retired_on=date(2027, 6, 1))],
            [(date(2026, 1, 1), date(2027, 6, 1))],
            id="the day of retirement is the first without the number",
        ),
        pytest.param(
            [replace(ONE, effective_through=date(2027, 5, 31))],
            [(date(2026, 1, 1), date(2027, 6, 1))],
            id="the last day of the row still has the number",
        ),
        pytest.param([ONE, later(date(2026, 6, 1))], [(date(2026, 1, 1), None)], id="a new version ends no use"),
        pytest.param(
            [ONE, later(date(2026, 6, 1), retired_on=date(2028, 1, 1))],
            [(date(2026, 1, 1), date(2028, 1, 1))],
            id="a later version retires it",
        ),
        pytest.param(
            [ONE, later(date(2026, 1, 1), in_use_from=date(2026, 2, 1))],
            [(date(2026, 2, 1), None)],
            id="a correction from the same day replaces",
        ),
        pytest.param(
            [replace(ONE, effective_through=date(2026, 3, 31)), later(date(2026, 6, 1))],
            [(date(2026, 1, 1), date(2026, 4, 1)), (date(2026, 6, 1), None)],
            id="an ended row that comes back leaves a gap",
        ),
        pytest.param(
            [ONE, later(date(2026, 6, 1), phone_e164=OTHER_PHONE)],
            [(date(2026, 1, 1), date(2026, 6, 1)), (date(2026, 6, 1), None)],
            id="another number is another use",
        ),
        pytest.param([replace(ONE, retired_on=date(2025, 1, 1))], [], id="never in use"),
    ],
)
def test_versions_become_stretches_of_use(
    versions: list[NumberVersion], expected: list[tuple[date, date | None]]
) -> None:
    assert [(use.from_on, use.until_on) for use in uses(versions)] == expected


@pytest.mark.parametrize(
    "versions",
    [
        pytest.param([ONE], id="no end in sight"),
        pytest.param([replace(ONE, retired_on=date(2027, 1, 2))], id="first day after the full year"),
        pytest.param([replace(ONE, effective_through=date(2027, 1, 1))], id="the row ends with the year"),
        pytest.param([ONE, later(date(2027, 1, 2), phone_e164=OTHER_PHONE)], id="another number after the year"),
        pytest.param([ONE, later(date(2026, 6, 1), owner=OTHER_OWNER)], id="another owner keeps the number in use"),
        pytest.param([ONE, later(date(2026, 1, 1), phone_e164=OTHER_PHONE)], id="a misspelt number is corrected"),
        pytest.param(
            [ONE, later(date(2026, 6, 1), in_use_from=date(2020, 1, 1), retired_on=date(2026, 12, 1))],
            id="years before the register count",
        ),
    ],
)
def test_a_number_used_for_its_full_year_may_go(versions: list[NumberVersion]) -> None:
    assert early_retirement(versions, on=TODAY) is None


@pytest.mark.parametrize(
    ("versions", "field", "ends_on"),
    [
        pytest.param([replace(ONE, retired_on=date(2027, 1, 1))], "retired_on", date(2027, 1, 1), id="one day early"),
        pytest.param(
            [replace(ONE, retired_on=date(2025, 1, 1))], "retired_on", date(2025, 1, 1), id="before it was in use"
        ),
        pytest.param(
            [replace(ONE, effective_through=date(2026, 12, 31))],
            "effective_through",
            date(2027, 1, 1),
            id="the row ends a day early",
        ),
        pytest.param(
            [ONE, later(date(2027, 1, 1), phone_e164=OTHER_PHONE)],
            "phone",
            date(2027, 1, 1),
            id="another number a day early",
        ),
        pytest.param(
            [replace(ONE, effective_through=date(2026, 3, 31)), later(date(2026, 6, 1))],
            "effective_through",
            date(2026, 4, 1),
            id="a gap",
        ),
    ],
)
def test_a_number_may_not_go_before_its_full_year_by_any_way(
    versions: list[NumberVersion], field: str, ends_on: date
) -> None:
    found = early_retirement(versions, on=TODAY)

    assert found is not None
    assert (found.field, found.ends_on, found.first_day) == (field, ends_on, date(2027, 1, 2))
    assert found.citation.words in citation("20").words


def use(since: date, until: date | None, owner: str | None = None) -> Use:
    return Use("+8695519", owner, since, since, until)


JANUARY, MARCH, JUNE = date(2026, 1, 1), date(2026, 3, 1), date(2026, 6, 1)


@pytest.mark.parametrize(
    ("one", "other", "collide"),
    [
        pytest.param(use(JANUARY, None), use(JUNE, None), True, id="both without end"),
        pytest.param(use(JANUARY, JUNE), use(JUNE, None), False, id="one follows the other on the day"),
        pytest.param(use(JANUARY, JUNE), use(JUNE - timedelta(days=1), None), True, id="one day too early"),
        pytest.param(use(JUNE, None), use(JANUARY, JUNE), False, id="before"),
        pytest.param(use(MARCH, JUNE), use(JANUARY, None), True, id="inside"),
        pytest.param(use(JANUARY, None), use(JANUARY, None, OTHER_OWNER), False, id="another owner"),
        pytest.param(
            use(JANUARY, None, OTHER_OWNER), use(JANUARY, None, OTHER_OWNER), True, id="an owner has one number"
        ),
    ],
)
def test_an_owner_has_one_number_at_a_time(one: Use, other: Use, collide: bool) -> None:
    assert overlap([one], [other]) == (other if collide else None)


days = st.dates(date(2020, 1, 1), date(2030, 12, 31))
number_versions = st.builds(
    NumberVersion,
    effective_from=days,
    effective_through=st.none() | days,
    phone_e164=st.sampled_from(["+8695519", OTHER_PHONE]),
    owner=st.sampled_from([None, OTHER_OWNER]),
    in_use_from=days,
    retired_on=st.none() | days,
)
histories = st.lists(number_versions, min_size=1, max_size=5).map(
    lambda found: sorted(found, key=lambda version: version.effective_from)
)


@given(histories, days)
def test_uses_never_overlap_and_a_use_is_what_its_version_says(versions: list[NumberVersion], day: date) -> None:
    found = [one for one in uses(versions) if one.from_on <= day and (one.until_on is None or day < one.until_on)]
    begun = [version for version in versions if version.effective_from <= day][-1:] or versions[:1]
    claims = [(version.phone_e164, version.owner) for version in begun]

    assert len(found) <= 1
    assert [(one.phone_e164, one.owner) for one in found] in ([], claims) or day < versions[0].effective_from


@given(histories, histories)
def test_collision_does_not_depend_on_who_came_first(one: list[NumberVersion], other: list[NumberVersion]) -> None:
    assert (overlap(uses(one), uses(other)) is None) == (overlap(uses(other), uses(one)) is None)


def test_the_reason_for_a_refusal_names_the_article() -> None:
    found = early_retirement([replace(ONE, retired_on=date(2026, 2, 1))], on=TODAY)

    assert isinstance(found, EarlyRetirement)
    assert found.citation.article == "20"
