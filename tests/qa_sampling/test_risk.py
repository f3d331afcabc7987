"""Which sales are inspected on top of the sample: every boundary of every reason."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date

import pytest

from qa_sampling.risk import NEW_AGENT_SALES, RISKS, RiskCode, SaleSigns, risks_of

SIGNS = SaleSigns(
    closed_on=date(2026, 11, 2),
    birth_date=date(1986, 5, 10),
    agent_certified_on=date(2020, 1, 1),
    agent_registered_on=date(2020, 1, 1),
    earlier_sales=0,
    has_callback_in_quiet_hours=False,
    is_late_and_not_drawn=False,
)


def test_an_ordinary_sale_has_no_risk() -> None:
    assert risks_of(SIGNS) == []


@pytest.mark.parametrize(
    ("born_on", "found"),
    [
        pytest.param(date(1961, 11, 3), [], id="65 tomorrow"),
        pytest.param(date(1961, 11, 2), [RiskCode.CUSTOMER_OVER_65], id="65 today"),
        pytest.param(date(1961, 11, 1), [RiskCode.CUSTOMER_OVER_65], id="65 yesterday"),
        pytest.param(None, [], id="not known"),
    ],
)
def test_a_customer_is_elderly_from_the_65th_birthday_on(born_on: date | None, found: list[RiskCode]) -> None:
    assert risks_of(replace(SIGNS, birth_date=born_on)) == found


@pytest.mark.parametrize(
    ("closed_on", "found"),
    [
        pytest.param(date(2025, 2, 27), [], id="the day before"),
        pytest.param(date(2025, 2, 28), [RiskCode.CUSTOMER_OVER_65], id="the safer day"),
    ],
)
def test_who_was_born_on_a_leap_day_has_the_birthday_on_the_safer_day(closed_on: date, found: list[RiskCode]) -> None:
    assert risks_of(replace(SIGNS, closed_on=closed_on, birth_date=date(1960, 2, 29))) == found


@pytest.mark.parametrize(
    "since",
    [
        pytest.param(lambda day: replace(SIGNS, agent_certified_on=day), id="certified"),
        pytest.param(lambda day: replace(SIGNS, agent_registered_on=day), id="registered"),
    ],
)
@pytest.mark.parametrize(
    ("began_on", "found"),
    [
        pytest.param(date(2026, 8, 4), [], id="90 days before"),
        pytest.param(date(2026, 8, 5), [RiskCode.NEW_AGENT], id="89 days before"),
        pytest.param(date(2026, 11, 2), [RiskCode.NEW_AGENT], id="that day"),
        pytest.param(date(2026, 11, 3), [RiskCode.NEW_AGENT], id="only after the sale"),
        pytest.param(None, [], id="not known"),
    ],
)
def test_an_agent_is_new_for_90_days(
    since: Callable[[date | None], SaleSigns], began_on: date | None, found: list[RiskCode]
) -> None:
    assert risks_of(since(began_on)) == found


def test_of_an_agent_whom_no_register_knows_nothing_follows() -> None:
    assert risks_of(replace(SIGNS, agent_certified_on=None, agent_registered_on=None)) == []


@pytest.mark.parametrize(
    ("earlier", "found"), [(NEW_AGENT_SALES - 1, [RiskCode.NEW_AGENT]), (NEW_AGENT_SALES, []), (1000, [])]
)
def test_only_the_first_sales_of_a_new_agent_are_inspected(earlier: int, found: list[RiskCode]) -> None:
    assert risks_of(replace(SIGNS, agent_certified_on=date(2026, 11, 1), earlier_sales=earlier)) == found


def test_every_reason_that_stands_is_named() -> None:
    signs = replace(
        SIGNS,
        birth_date=date(1940, 1, 1),
        agent_certified_on=date(2026, 11, 1),
        has_callback_in_quiet_hours=True,
        is_late_and_not_drawn=True,
    )

    assert risks_of(signs) == [
        RiskCode.CUSTOMER_OVER_65,
        RiskCode.NEW_AGENT,
        RiskCode.CALLBACK_OUTSIDE_HOURS,
        RiskCode.LATE_SALE,
    ]


def test_a_reason_that_is_off_is_not_named() -> None:
    rules = {**RISKS, RiskCode.LATE_SALE: replace(RISKS[RiskCode.LATE_SALE], is_on=False)}

    assert risks_of(replace(SIGNS, is_late_and_not_drawn=True), rules) == []


@pytest.mark.parametrize("code", RiskCode)
def test_every_reason_says_what_it_rests_on(code: RiskCode) -> None:
    assert RISKS[code].is_on
    assert RISKS[code].article
    assert RISKS[code].words.startswith("company rule")
