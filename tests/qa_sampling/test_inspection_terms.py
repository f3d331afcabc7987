"""How long the record of an inspection is kept, and which inspections are finished early."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import TypedDict

import pytest

from compliance.policy import floor_policy
from compliance.retention_terms import CoverTerm, RetentionClass
from compliance.sale_terms import InspectionClass, SaleTerms
from compliance.shanghai import midnight
from qa_sampling.inspection_terms import is_early, record_kept_through

YEARS = floor_policy(on=date(2026, 11, 23)).retention
START = date(2026, 11, 3)


class Facts(TypedDict, total=False):
    """What is known of a sale beyond its closing, or otherwise than of one whose cover lasts for 20 years."""

    term: CoverTerm
    receipt_confirmed_on: date
    effective_on: date
    ended_on: date


def terms(facts: Facts) -> SaleTerms:
    term = CoverTerm(START, date(2046, 11, 3))
    sale = SaleTerms(closed_on=date(2026, 11, 2), term=term, is_gift=False, cooling_off_days=15)
    return replace(sale, **facts)


@pytest.mark.parametrize(
    ("facts", "retention", "through"),
    [
        pytest.param({}, "10y", date(2056, 11, 2), id="ten years after the last day of cover"),
        pytest.param({"ended_on": date(2026, 12, 1)}, "10y", date(2046, 11, 2), id="at least the insured period"),
        pytest.param({"ended_on": date(2046, 1, 1)}, "10y", date(2056, 1, 1), id="from the actual end"),
        pytest.param({"term": CoverTerm(START, date(2027, 5, 3))}, "5y", date(2032, 5, 2), id="five years of a short"),
        pytest.param({"term": CoverTerm(START, None)}, "10y", None, id="whole life that runs"),
        pytest.param(
            {"term": CoverTerm(START, None), "ended_on": date(2026, 12, 1)}, "10y", date(2036, 12, 1), id="that ended"
        ),
    ],
)
def test_a_record_is_kept_through_the_later_of_cover_and_class(
    facts: Facts, retention: str, through: date | None
) -> None:
    assert record_kept_through(terms(facts), RetentionClass(retention), YEARS) == through


RECEIVED: Facts = {"receipt_confirmed_on": date(2026, 11, 10), "effective_on": START}
RECEIVED_AT = midnight(date(2026, 11, 10))
BEFORE = timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("group", "facts", "finished_at", "early"),
    [
        pytest.param("over_1y", {}, RECEIVED_AT, True, id="receipt not known"),
        pytest.param("over_1y", RECEIVED, RECEIVED_AT - BEFORE, True, id="before the cooling-off"),
        pytest.param("over_1y", RECEIVED, RECEIVED_AT, False, id="on its first day"),
        pytest.param("within_1y", {}, midnight(START) - BEFORE, True, id="before the cover"),
        pytest.param("within_1y", {}, midnight(START), False, id="in the cover"),
        pytest.param("gift", {}, midnight(START) - BEFORE, False, id="gifts have no window that begins"),
    ],
)
def test_what_is_finished_before_the_window_begins_is_early(
    group: str, facts: Facts, finished_at: datetime, *, early: bool
) -> None:
    assert is_early(terms(facts), InspectionClass(group), finished_at) == early
