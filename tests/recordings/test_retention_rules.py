"""How long a recording is kept: contracts, holds, blocks, and that no date ever moves earlier."""

from dataclasses import replace
from datetime import date, timedelta
from typing import TypedDict, Unpack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compliance.do_not_call import PERMANENT
from compliance.policy import RetentionYears
from recordings.retention_rules import (
    LinkedSale,
    Retention,
    RetentionBasis,
    RetentionFacts,
    RetentionState,
    decide,
)
from recordings.retention_words import why

FLOOR = RetentionYears(years_5y=5, years_10y=10, years_without_sale=3, dispute_years=0)
DISPUTES = replace(FLOOR, dispute_years=2)
TODAY = date(2026, 11, 23)
CALLED = date(2020, 2, 29)
RUNS = LinkedSale("P-1", "10y", None)
SHORT = LinkedSale("P-2", "5y", date(2024, 2, 29))
LONG = LinkedSale("P-3", "10y", date(2024, 2, 29))
FACTS = RetentionFacts(call_day=CALLED)


class Facts(TypedDict, total=False):
    """What is known of a recording beside its call and its sales."""

    names_unknown_policy: bool
    held_since: tuple[date, ...]
    dispute_ended_on: date
    blocked_through: date
    given_through: date
    disposed_on: date


def of(*sales: LinkedSale, years: RetentionYears = FLOOR, today: date = TODAY, **facts: Unpack[Facts]) -> Retention:
    return decide(replace(FACTS, sales=sales, **facts), years, today=today)


@pytest.mark.parametrize(
    ("sale", "through"),
    [
        pytest.param(LinkedSale("P", "5y", date(2024, 2, 29)), date(2029, 2, 28), id="C01 leap day, five years"),
        pytest.param(LinkedSale("P", "10y", date(2024, 1, 1)), date(2034, 1, 1), id="C04 ten years"),
        pytest.param(LinkedSale("P", "10y", date(2024, 2, 29)), date(2034, 2, 28), id="C07 leap day, ten years"),
        pytest.param(LinkedSale("P", "5y", date(2016, 3, 30)), date(2021, 3, 30), id="C10 over long ago"),
        pytest.param(LinkedSale("P", "5y", TODAY), date(2031, 11, 23), id="ended today"),
    ],
)
def test_years_count_from_the_actual_end_of_the_contract(sale: LinkedSale, through: date) -> None:
    found = of(sale)

    assert (found.keep_through, found.locked_through, found.is_held) == (through, through, False)
    assert found.earliest_disposal_on == through + timedelta(days=1)
    assert (found.basis, found.retention_class) == (RetentionBasis.SALE, sale.retention_class)


@pytest.mark.parametrize(
    ("today", "state"),
    [
        pytest.param(date(2029, 2, 27), RetentionState.DATED, id="the day before the last"),
        pytest.param(date(2029, 2, 28), RetentionState.DATED, id="the last day belongs to it"),
        pytest.param(date(2029, 3, 1), RetentionState.EXPIRED, id="the day after"),
    ],
)
def test_the_last_day_belongs_to_the_period(today: date, state: RetentionState) -> None:
    assert of(SHORT, today=today).state is state


@pytest.mark.parametrize(
    "sales",
    [
        pytest.param((RUNS,), id="runs"),
        pytest.param((SHORT, RUNS), id="one of two runs"),
        pytest.param((replace(SHORT, ended_on=TODAY + timedelta(days=1)),), id="is to end tomorrow"),
    ],
)
def test_a_running_contract_holds_without_a_date(sales: tuple[LinkedSale, ...]) -> None:
    found = of(*sales)

    assert (found.state, found.is_held, found.keep_through) == (RetentionState.HELD, True, None)
    assert found.earliest_disposal_on is None


def test_an_unknown_policy_holds_even_beside_a_contract_that_ended() -> None:
    found = of(SHORT, names_unknown_policy=True)

    assert (found.state, found.basis, found.is_held) == (RetentionState.HELD, RetentionBasis.UNKNOWN_SALE, True)
    assert found.retention_class == "5y"


@pytest.mark.parametrize("sales", [(SHORT, LONG), (LONG, SHORT)], ids=["short first", "long first"])
def test_of_several_contracts_the_latest_end_counts(sales: tuple[LinkedSale, ...]) -> None:
    found = of(*sales)

    assert (found.keep_through, found.retention_class) == (date(2034, 2, 28), "10y")


def test_a_shorter_class_that_ended_later_can_be_the_later_end() -> None:
    assert of(replace(SHORT, ended_on=date(2026, 1, 1)), replace(LONG, ended_on=date(2016, 1, 1))).keep_through == date(
        2031, 1, 1
    )


def test_without_a_sale_the_years_of_the_company_count_from_the_call() -> None:
    found = of()

    assert (found.basis, found.retention_class) == (RetentionBasis.COMPANY, None)
    assert (found.keep_through, found.state) == (date(2023, 2, 28), RetentionState.EXPIRED)


def test_a_hold_shows_the_statutory_date_and_lets_nothing_go() -> None:
    found = of(replace(SHORT, ended_on=date(2015, 12, 31)), held_since=(date(2021, 1, 5),), today=date(2026, 6, 1))

    assert (found.state, found.is_held, found.keep_through) == (RetentionState.HELD, True, date(2020, 12, 31))
    assert found.earliest_disposal_on is None


def test_a_date_once_given_stands_over_an_earlier_one() -> None:
    found = of(SHORT, given_through=date(2030, 1, 1))

    assert (found.keep_through, found.locked_through) == (date(2030, 1, 1), date(2030, 1, 1))


def test_a_reinstated_contract_holds_and_its_old_date_still_locks_the_stores() -> None:
    found = of(RUNS, given_through=date(2030, 1, 1))

    assert (found.state, found.keep_through, found.locked_through) == (RetentionState.HELD, None, date(2030, 1, 1))


def test_a_running_block_keeps_a_recording_longer_but_locks_no_store() -> None:
    found = of(blocked_through=date(2026, 12, 7))

    assert (found.state, found.keep_through) == (RetentionState.DATED, date(2026, 12, 7))
    assert found.locked_through == date(2023, 2, 28)


def test_a_permanent_block_holds_though_the_contracts_do_not() -> None:
    found = of(blocked_through=PERMANENT)

    assert (found.state, found.is_held, found.keep_through) == (RetentionState.HELD, False, date(2023, 2, 28))


def test_a_dispute_that_is_over_adds_years_only_where_the_company_says_so() -> None:
    dispute: Facts = {"dispute_ended_on": date(2026, 2, 1)}

    assert of(years=FLOOR, **dispute).keep_through == date(2023, 2, 28)
    assert of(years=DISPUTES, **dispute).keep_through == date(2028, 2, 1)


def test_what_is_disposed_of_says_so() -> None:
    found = of(disposed_on=date(2026, 1, 2))

    assert (found.state, found.earliest_disposal_on) == (RetentionState.DISPOSED, None)


_DAYS = st.dates(date(2013, 1, 1), date(2040, 1, 1))
_SALES = st.builds(
    LinkedSale,
    policy_no=st.sampled_from(["P-1", "P-2"]),
    retention_class=st.sampled_from(["5y", "10y"]),
    ended_on=st.none() | _DAYS,
)
_FACTS = st.builds(
    RetentionFacts,
    call_day=_DAYS,
    sales=st.lists(_SALES, max_size=3).map(tuple),
    names_unknown_policy=st.booleans(),
    held_since=st.lists(_DAYS, max_size=2).map(tuple),
    dispute_ended_on=st.none() | _DAYS,
    blocked_through=st.none() | st.just(PERMANENT) | _DAYS,
)


@given(st.lists(st.tuples(_FACTS, _DAYS, st.sampled_from([FLOOR, DISPUTES])), min_size=1, max_size=6))
def test_no_order_of_changes_ever_moves_a_locked_date_earlier(
    steps: list[tuple[RetentionFacts, date, RetentionYears]],
) -> None:
    found: list[date | None] = [None]
    for facts, today, years in steps:
        found.append(decide(replace(facts, given_through=found[-1]), years, today=today).locked_through)

    dates = [one for one in found if one is not None]
    assert dates == sorted(dates)
    assert None not in found[found.index(dates[0]) :] if dates else True


@given(_FACTS, _DAYS, st.sampled_from([FLOOR, DISPUTES]))
def test_nothing_expires_that_is_held_runs_is_unknown_or_has_a_day_left(
    facts: RetentionFacts, today: date, years: RetentionYears
) -> None:
    found = decide(facts, years, today=today)

    may_go = found.state is RetentionState.EXPIRED
    keeps = [facts.names_unknown_policy, bool(facts.held_since), *(not one.has_ended(today) for one in facts.sales)]
    assert not (may_go and any(keeps))
    assert not may_go or (found.keep_through is not None and found.keep_through < today)
    assert not may_go or facts.blocked_through is None or facts.blocked_through < today


@given(_FACTS, _DAYS)
def test_every_standing_has_its_reasons_in_both_languages(facts: RetentionFacts, today: date) -> None:
    sentences = why(facts, decide(facts, DISPUTES, today=today), DISPUTES, today=today)

    assert len(sentences) > 1
    assert all(one.english.endswith(".") and one.chinese.endswith("。") for one in sentences)
