import tomllib
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compliance.periods import add_months
from compliance.retention_terms import CoverTerm, RetentionClass, retention_class
from compliance.sale_terms import (
    InspectionClass,
    InspectionWindow,
    SaleTerms,
    WindowBasis,
    cooling_off_end,
    cooling_off_start,
    customer_right,
    inspection_class,
    inspection_window,
    replaced_window,
)
from compliance.shanghai import midnight
from compliance.working_days import RolledDay, package_calendar

CASES = tomllib.loads((Path(__file__).parents[1] / "cases" / "cooling_off.toml").read_text("utf-8"))["case"]
CALENDAR = package_calendar()

days = st.dates(min_value=date(2020, 1, 1), max_value=date(2026, 12, 31))


class Correction(TypedDict, total=False):
    """A day of a sale that becomes known later, or otherwise than before."""

    receipt_confirmed_on: date
    effective_on: date


corrections_of_days = st.builds(Correction, receipt_confirmed_on=days) | st.builds(Correction, effective_on=days)
facts = st.lists(corrections_of_days, min_size=1, max_size=6)


def sale_of(case: dict[str, Any]) -> SaleTerms:
    return SaleTerms(
        closed_on=case["closed_on"],
        term=CoverTerm(case["cover_start"], case.get("cover_end_exclusive"), case.get("declared_months")),
        is_gift=case.get("gift", False),
        cooling_off_days=case["cooling_off_days"],
        receipt_confirmed_on=case.get("receipt_confirmed_on"),
        effective_on=case.get("effective_on"),
        ended_on=case.get("ended_on"),
    )


@st.composite
def terms(draw: st.DrawFn) -> CoverTerm:
    start = draw(days)
    end = draw(st.none() | st.integers(min_value=1, max_value=1200).map(lambda length: start + timedelta(days=length)))
    return CoverTerm(start, end, draw(st.none() | st.integers(min_value=1, max_value=60)))


sales = st.builds(
    SaleTerms,
    closed_on=days,
    term=terms(),
    is_gift=st.booleans(),
    cooling_off_days=st.integers(min_value=0, max_value=40),
    receipt_confirmed_on=st.none(),
    effective_on=st.none(),
    ended_on=st.none(),
)


@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in CASES])
def test_cases_for_counsel(case: dict[str, Any]) -> None:
    sale = sale_of(case)
    through = case.get("right_through")
    right = None if through is None else RolledDay(through, provisional=case.get("provisional", False))

    assert inspection_class(sale.term, is_gift=sale.is_gift).value == case["class"]
    assert (cooling_off_start(sale), cooling_off_end(sale)) == (case.get("start_on"), case.get("ends_on"))
    assert customer_right(sale, CALENDAR) == right
    assert inspection_window(sale) == InspectionWindow(case["inspect_before"], WindowBasis(case["basis"]))


def test_every_case_for_counsel_cites_its_article_and_gives_its_reasons() -> None:
    assert all(case["article"] and case["reasoning"] for case in CASES)


def window(day: int, basis: WindowBasis) -> InspectionWindow:
    return InspectionWindow(midnight(date(2026, 3, day)), basis)


REPLACED = {
    "the first known window replaces the stand-in, also later": (
        window(10, WindowBasis.CLOSING_DAY),
        window(20, WindowBasis.COOLING_OFF),
        window(20, WindowBasis.COOLING_OFF),
    ),
    "a known window never gives way to a stand-in": (
        window(20, WindowBasis.POLICY_TERM),
        window(10, WindowBasis.CLOSING_DAY),
        window(20, WindowBasis.POLICY_TERM),
    ),
    "a known window moves earlier": (
        window(20, WindowBasis.COOLING_OFF),
        window(18, WindowBasis.COOLING_OFF),
        window(18, WindowBasis.COOLING_OFF),
    ),
    "a known window does not move later": (
        window(20, WindowBasis.COOLING_OFF),
        window(22, WindowBasis.COOLING_OFF),
        window(20, WindowBasis.COOLING_OFF),
    ),
    "a stand-in does not move later": (
        window(10, WindowBasis.CLOSING_DAY),
        window(12, WindowBasis.CLOSING_DAY),
        window(10, WindowBasis.CLOSING_DAY),
    ),
}


@pytest.mark.parametrize(("old", "new", "stands"), REPLACED.values(), ids=REPLACED.keys())
def test_which_window_stands_after_a_correction(
    old: InspectionWindow, new: InspectionWindow, stands: InspectionWindow
) -> None:
    assert replaced_window(old, new) == stands


def test_a_right_found_before_stays_when_a_correction_would_shorten_it() -> None:
    sale = sale_of(CASES[0])

    assert customer_right(sale, CALENDAR, existing=date(2026, 3, 25)) == RolledDay(date(2026, 3, 25), provisional=False)
    assert customer_right(sale, CALENDAR, existing=date(2026, 3, 18)) == RolledDay(date(2026, 3, 20), provisional=False)


def test_a_right_found_before_stays_when_the_facts_are_gone() -> None:
    sale = replace(sale_of(CASES[0]), receipt_confirmed_on=None)

    assert customer_right(sale, CALENDAR, existing=date(2026, 3, 20)) == RolledDay(date(2026, 3, 20), provisional=False)


@given(sale=sales, corrections=facts)
def test_in_any_order_of_corrections_the_right_moves_only_later(sale: SaleTerms, corrections: list[Correction]) -> None:
    seen: list[date] = []
    for correction in corrections:
        sale = replace(sale, **correction)
        found = customer_right(sale, CALENDAR, existing=seen[-1] if seen else None)
        seen += [] if found is None else [found.on]

    assert seen == sorted(seen)


@given(sale=sales, corrections=facts)
def test_in_any_order_of_corrections_a_known_window_moves_only_earlier(
    sale: SaleTerms, corrections: list[Correction]
) -> None:
    stands = inspection_window(sale)
    known: list[datetime] = []
    for correction in corrections:
        sale = replace(sale, **correction)
        stands = replaced_window(stands, inspection_window(sale))
        known += [] if stands.basis is WindowBasis.CLOSING_DAY else [stands.before]

    assert known == sorted(known, reverse=True)


@given(sale=sales, receipt=days, effect=days)
def test_the_company_never_has_longer_than_the_customer(sale: SaleTerms, receipt: date, effect: date) -> None:
    known = replace(
        sale, is_gift=False, term=CoverTerm(effect, None), receipt_confirmed_on=receipt, effective_on=effect
    )
    right = customer_right(known, CALENDAR)

    assert right is not None
    assert inspection_window(known).before <= midnight(right.on + timedelta(days=1))


@given(start=days)
def test_exactly_a_year_is_the_stricter_class_to_inspect_and_the_shorter_one_to_keep(start: date) -> None:
    year = CoverTerm(start, add_months(start, 12))

    assert inspection_class(year, is_gift=False) is InspectionClass.OVER_1Y
    assert retention_class(year) is RetentionClass.ONE_YEAR_OR_LESS


@given(term=terms())
def test_what_is_kept_for_ten_years_is_inspected_in_the_stricter_class(term: CoverTerm) -> None:
    is_kept_longer = retention_class(term) is RetentionClass.OVER_ONE_YEAR

    assert not is_kept_longer or inspection_class(term, is_gift=False) is InspectionClass.OVER_1Y
