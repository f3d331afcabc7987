import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compliance.legal import in_force
from compliance.policy import floor_policy
from compliance.retention_terms import CoverTerm, RetentionClass, keep_through, retention_class

CASES = tomllib.loads((Path(__file__).parents[1] / "cases" / "retention.toml").read_text("utf-8"))["case"]
FLOOR = floor_policy(on=date(2026, 11, 23)).retention

days = st.dates(min_value=date(2013, 1, 1), max_value=date(2060, 12, 31))
classes = st.sampled_from(RetentionClass)


@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in CASES])
def test_cases_for_counsel(case: dict[str, Any]) -> None:
    term = CoverTerm(case["cover_start"], case.get("cover_end_exclusive"), case.get("declared_months"))

    found = retention_class(term)

    assert found.value == case["class"]
    assert keep_through(case["ended_on"], found, FLOOR.years_5y, FLOOR.years_10y) == case["keep_through"]


def test_every_case_for_counsel_cites_its_article_and_gives_its_reasons() -> None:
    assert all(case["article"] and case["reasoning"] for case in CASES)


def test_whole_life_cannot_be_a_number_of_months() -> None:
    assert CoverTerm(date(2024, 1, 1), None, 6).is_contradictory()
    assert not CoverTerm(date(2024, 1, 1), None).is_contradictory()


@given(earlier=days, later=days, kind=classes)
def test_a_later_end_never_keeps_for_a_shorter_time(earlier: date, later: date, kind: RetentionClass) -> None:
    first, last = sorted([earlier, later])

    assert keep_through(first, kind, 5, 10) <= keep_through(last, kind, 5, 10)


@given(ended_on=days, years=st.integers(min_value=5, max_value=60))
def test_a_company_can_only_keep_for_longer_than_the_law(ended_on: date, years: int) -> None:
    floor = in_force("retention.years_5y", date(2026, 11, 23)).number

    company = keep_through(ended_on, RetentionClass.ONE_YEAR_OR_LESS, years, 10)

    assert company >= keep_through(ended_on, RetentionClass.ONE_YEAR_OR_LESS, floor, 10)


@given(start=days, end=days, months=st.none() | st.integers(min_value=1, max_value=600))
def test_a_cover_without_an_end_is_never_in_a_lower_class(start: date, end: date, months: int | None) -> None:
    assert retention_class(CoverTerm(start, None, months)) is RetentionClass.OVER_ONE_YEAR
    assert retention_class(CoverTerm(start, end, months)).value in {"5y", "10y"}
