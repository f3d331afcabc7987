"""The arithmetic of quotas: ceilings in whole numbers, and what never fills a minimum."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compliance.call_facts import CentreKind
from compliance.policy import SamplingRates
from compliance.sale_terms import InspectionClass
from qa_sampling.quota import Progress, Share, least_number, least_number_by_day, quota, rates_by_class
from qa_sampling.strata import Stratum

STRATUM = Stratum(CentreKind.OWN_CENTRE, "centre-1", InspectionClass.OVER_1Y)
DAY = date(2026, 11, 2)


@pytest.mark.parametrize(
    ("sales", "rate_bp", "least"),
    [
        pytest.param(0, 3000, 0, id="no sale"),
        pytest.param(1, 3000, 1, id="one sale"),
        pytest.param(1, 100, 1, id="one gift"),
        pytest.param(3, 3000, 1, id="0.9"),
        pytest.param(4, 3000, 2, id="1.2"),
        pytest.param(10, 3000, 3, id="exactly three"),
        pytest.param(100, 5500, 55, id="55, where binary fractions say 56"),
        pytest.param(100, 100, 1, id="one gift in a hundred"),
        pytest.param(101, 100, 2, id="one gift more"),
        pytest.param(7, 10_000, 7, id="all"),
    ],
)
def test_the_least_number_is_rounded_up_in_whole_numbers(sales: int, rate_bp: int, least: int) -> None:
    assert least_number([Share(sales, rate_bp)]) == least


shares = st.lists(
    st.builds(Share, st.integers(0, 10_000), st.integers(1, 10_000), st.integers(1, 400)), min_size=1, max_size=20
)


@given(shares)
def test_the_sum_of_the_days_is_never_less_than_the_whole(found: list[Share]) -> None:
    assert least_number_by_day(found) >= least_number(found)


@given(shares, shares)
def test_strata_by_themselves_never_demand_less_than_together(one: list[Share], other: list[Share]) -> None:
    assert least_number(one) + least_number(other) >= least_number([*one, *other])


@given(shares)
def test_what_is_inspected_by_the_least_number_reaches_the_rate(found: list[Share]) -> None:
    demanded = sum(share.sales * share.rate_bp * share.days for share in found)

    assert (least_number(found) - 1) * 10_000 < demanded <= least_number(found) * 10_000


def test_a_quota_has_one_ceiling_for_the_period_and_the_sum_of_the_days() -> None:
    found = quota(STRATUM, DAY, DAY, shares=[Share(1, 3000, days=3), Share(4, 3000)], progress=Progress())

    assert (found.sales, found.required, found.required_by_day, found.rate_bp) == (7, 3, 5, 3000)


def test_a_day_drawn_at_a_higher_rate_keeps_it_and_the_others_their_own() -> None:
    found = quota(STRATUM, DAY, DAY, shares=[Share(10, 3500), Share(10, 3000)], progress=Progress())

    assert (found.rate_bp, found.required, found.required_by_day) == (3500, 7, 7)


@pytest.mark.parametrize(
    ("progress", "shortfall"),
    [
        pytest.param(Progress(), 3, id="nothing done"),
        pytest.param(Progress(drawn=3, done_late=3), 3, id="done late"),
        pytest.param(Progress(drawn=3, done_in_time=2, extra_done_in_time=9), 1, id="risky ones on top"),
        pytest.param(Progress(drawn=4, done_in_time=4), 0, id="more than enough"),
    ],
)
def test_only_what_was_drawn_and_done_in_time_fills_the_minimum(progress: Progress, shortfall: int) -> None:
    assert quota(STRATUM, DAY, DAY, shares=[Share(10, 3000)], progress=progress).shortfall == shortfall


def test_every_class_has_its_rate() -> None:
    rates = rates_by_class(SamplingRates(over_1y_bp=3500, within_1y_bp=2000, gift_bp=100))

    assert rates == {InspectionClass.OVER_1Y: 3500, InspectionClass.WITHIN_1Y: 2000, InspectionClass.GIFT: 100}
