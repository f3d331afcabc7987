"""Quotas on a real database: what counts as a sale, at which rate, and what as done."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from sqlalchemy import Connection, text

from compliance.call_facts import CentreKind
from compliance.policy import parse_policy
from compliance.policy_store import store_policy
from compliance.sale_terms import InspectionClass
from compliance.sales import Amendment, amend_sale
from compliance.working_days import package_calendar
from infra.ids import new_id
from qa_sampling.inspection_tasks import Risk, follow_sale, open_risky
from qa_sampling.quota import Quota
from qa_sampling.quotas import QuotaFilter, Waiting, read_quotas, read_waiting
from qa_sampling.strata import Stratum
from tests.conftest import NOON
from tests.qa_sampling.sampled_sales import (
    DAY,
    EXACTLY_1Y,
    WITHIN_1Y,
    add_agency_sales,
    add_draw,
    add_sales,
    drawn_in,
    shanghai,
    submit,
)

OVER = Stratum(CentreKind.OWN_CENTRE, "centre-1", InspectionClass.OVER_1Y)
WINDOW_ENDS = shanghai(date(2026, 11, 18))
MONTH = QuotaFilter(from_on=date(2026, 11, 1), to_on=date(2026, 11, 30))


def only(connection: Connection, wanted: QuotaFilter = MONTH) -> Quota:
    [found] = read_quotas(connection, wanted, now=NOON)
    return found


def set_policy(connection: Connection, over_1y_bp: int) -> None:
    policy = parse_policy(f"[sampling]\nover_1y_bp = {over_1y_bp}\n", on=DAY)
    store_policy(connection, policy, policy_id=new_id(), source="api", now=NOON)


def test_without_sales_there_is_no_quota(connection: Connection) -> None:
    assert read_quotas(connection, MONTH, now=NOON) == []


@pytest.mark.parametrize(("count", "required"), [(1, 1), (3, 1), (4, 2), (10, 3)])
def test_a_stratum_demands_its_share_from_the_first_sale_on(connection: Connection, count: int, required: int) -> None:
    add_sales(connection, count)

    found = only(connection)

    assert (found.stratum, found.sales, found.rate_bp) == (OVER, count, 3000)
    assert (found.required, found.shortfall, found.progress.drawn) == (required, required, 0)


def test_modes_and_classes_are_strata_of_their_own(connection: Connection) -> None:
    add_sales(connection, 1, prefix="A")
    add_sales(connection, 1, prefix="B", **WITHIN_1Y)
    add_sales(connection, 1, prefix="C", gift=True)
    add_agency_sales(connection, 1, prefix="D")

    found = read_quotas(connection, MONTH, now=NOON)

    assert [(*one.stratum, one.rate_bp, one.required) for one in found] == [
        ("agency", "agency-1", "over_1y", 3000, 1),
        ("own_centre", "centre-1", "gift", 100, 1),
        ("own_centre", "centre-1", "over_1y", 3000, 1),
        ("own_centre", "centre-1", "within_1y", 2000, 1),
    ]


def test_a_sale_of_exactly_one_year_is_in_the_stricter_class(connection: Connection) -> None:
    add_sales(connection, 1, **EXACTLY_1Y)

    assert only(connection).stratum.inspection_class == InspectionClass.OVER_1Y


def test_days_are_rounded_up_one_by_one_and_the_period_once(connection: Connection) -> None:
    for number in range(5):
        add_sales(connection, 1, prefix=f"D{number}", closed_on=DAY + timedelta(days=number))

    whole = only(connection)
    days = read_quotas(connection, replace(MONTH, by_day=True), now=NOON)

    assert (whole.required, whole.required_by_day) == (2, 5)
    assert [(one.from_on, one.to_on, one.required) for one in days] == [
        (DAY + timedelta(days=number), DAY + timedelta(days=number), 1) for number in range(5)
    ]


def test_both_ends_of_the_period_count(connection: Connection) -> None:
    for number in range(3):
        add_sales(connection, 1, prefix=f"D{number}", closed_on=DAY + timedelta(days=number))

    found = only(connection, QuotaFilter(from_on=DAY, to_on=DAY + timedelta(days=1)))

    assert (found.sales, found.from_on, found.to_on) == (2, DAY, DAY + timedelta(days=1))


@pytest.mark.parametrize(
    "wanted",
    [
        pytest.param(replace(MONTH, sales_mode=CentreKind.AGENCY), id="mode"),
        pytest.param(replace(MONTH, centre_id="agency-1"), id="centre"),
        pytest.param(replace(MONTH, inspection_class=InspectionClass.WITHIN_1Y), id="class"),
    ],
)
def test_filters_leave_the_others_out(connection: Connection, wanted: QuotaFilter) -> None:
    add_sales(connection, 1, prefix="A")
    add_agency_sales(connection, 1, prefix="B", **WITHIN_1Y)

    found = read_quotas(connection, wanted, now=NOON)

    assert [one.stratum for one in found] == [Stratum(CentreKind.AGENCY, "agency-1", InspectionClass.WITHIN_1Y)]


def test_what_is_drawn_and_done_in_time_fills_the_minimum(connection: Connection) -> None:
    add_sales(connection, 10)
    drawn = drawn_in(connection, add_draw(connection, OVER))
    for policy_no in drawn[:2]:
        submit(connection, policy_no, at=WINDOW_ENDS - timedelta(microseconds=1))

    found = only(connection)

    assert (found.progress.drawn, found.progress.done_in_time, found.shortfall) == (3, 2, 1)


def test_at_the_end_of_the_window_it_is_too_late(connection: Connection) -> None:
    add_sales(connection, 10)
    drawn = drawn_in(connection, add_draw(connection, OVER))
    submit(connection, drawn[0], at=WINDOW_ENDS)

    found = only(connection)

    assert (found.progress.done_in_time, found.progress.done_late, found.shortfall) == (0, 1, 3)


def test_risky_ones_never_fill_the_minimum(connection: Connection) -> None:
    names = add_sales(connection, 10)
    drawn = drawn_in(connection, add_draw(connection, OVER))
    extra = [name for name in names if name not in drawn]
    open_risky(connection, [Risk(name, "complaint") for name in extra], now=NOON)
    for name in extra:
        submit(connection, name, at=WINDOW_ENDS - timedelta(days=1))

    found = only(connection)

    assert (found.progress.extra_done_in_time, found.progress.done_in_time) == (7, 0)
    assert (found.progress.drawn, found.shortfall) == (3, 3)


def test_one_that_is_both_drawn_and_risky_counts_as_drawn(connection: Connection) -> None:
    add_sales(connection, 1)
    [drawn] = drawn_in(connection, add_draw(connection, OVER))
    open_risky(connection, [Risk(drawn, "complaint")], now=NOON)
    submit(connection, drawn, at=WINDOW_ENDS - timedelta(days=1))

    found = only(connection)

    assert (found.progress.done_in_time, found.progress.extra_done_in_time, found.shortfall) == (1, 0, 0)


@pytest.mark.parametrize(
    ("before_the_end", "due_soon", "still_possible"),
    [
        pytest.param(timedelta(days=2, microseconds=1), 0, 3, id="more than two days"),
        pytest.param(timedelta(days=2), 3, 3, id="two days"),
        pytest.param(timedelta(microseconds=1), 3, 3, id="the last moment"),
        pytest.param(timedelta(), 0, 0, id="over"),
    ],
)
def test_a_drawn_sale_is_due_soon_for_its_last_two_days(
    connection: Connection, before_the_end: timedelta, due_soon: int, still_possible: int
) -> None:
    add_sales(connection, 10)
    add_draw(connection, OVER)

    [found] = read_quotas(connection, MONTH, now=WINDOW_ENDS - before_the_end)

    assert (found.progress.open, found.progress.still_possible) == (3, still_possible)
    assert found.progress.due_soon == due_soon


def test_a_sale_dated_back_into_a_closed_day_is_demanded_at_once(connection: Connection) -> None:
    add_sales(connection, 10)
    drawn = drawn_in(connection, add_draw(connection, OVER))
    for policy_no in drawn:
        submit(connection, policy_no, at=WINDOW_ENDS - timedelta(days=1))
    before = only(connection)

    add_sales(connection, 1, prefix="L")

    assert (before.required, before.shortfall) == (3, 0)
    assert (only(connection).required, only(connection).shortfall) == (4, 1)


def test_a_stricter_policy_counts_at_once_for_days_that_are_not_drawn(connection: Connection) -> None:
    add_sales(connection, 10)
    add_sales(connection, 10, prefix="N", closed_on=DAY + timedelta(days=1))
    add_draw(connection, OVER)

    set_policy(connection, 3500)
    days = read_quotas(connection, replace(MONTH, by_day=True), now=NOON)

    assert [(one.rate_bp, one.required) for one in days] == [(3000, 3), (3500, 4)]
    assert (only(connection).rate_bp, only(connection).required) == (3500, 7)


def test_a_day_drawn_under_a_stricter_policy_keeps_its_rate(connection: Connection) -> None:
    add_sales(connection, 10)
    add_sales(connection, 10, prefix="N", closed_on=DAY + timedelta(days=1))
    add_draw(connection, OVER, rate_bp=3500)

    found = only(connection)
    days = read_quotas(connection, replace(MONTH, by_day=True), now=NOON)

    assert (found.rate_bp, found.required, found.required_by_day) == (3500, 7, 7)
    assert [(one.rate_bp, one.required) for one in days] == [(3500, 4), (3000, 3)]


def test_a_draw_over_a_period_keeps_its_rate_for_each_of_its_days(connection: Connection) -> None:
    add_sales(connection, 10)
    add_sales(connection, 10, prefix="N", closed_on=DAY + timedelta(days=1))
    add_draw(connection, OVER, DAY, DAY + timedelta(days=1), rate_bp=3500)

    days = read_quotas(connection, replace(MONTH, by_day=True), now=NOON)

    assert [one.rate_bp for one in days] == [3500, 3500]


def test_a_receipt_corrected_back_and_forth_only_ever_brings_the_deadline_forward(connection: Connection) -> None:
    [name] = add_sales(connection, 1)
    add_draw(connection, OVER)
    ends = []
    for day in (10, 5, 12):
        amendment = Amendment(receipt_confirmed_on=date(2026, 11, day))
        amend_sale(connection, name, amendment, calendar=package_calendar(), person="officer", now=NOON)
        follow_sale(connection, name, now=NOON)
        ends.append(connection.execute(text("SELECT due_before FROM inspections")).scalar_one())
    submit(connection, name, at=shanghai(date(2026, 11, 21)))

    assert ends == [shanghai(date(2026, 11, day)) for day in (26, 21, 21)]
    assert (only(connection).progress.done_late, only(connection).shortfall) == (1, 1)


def test_what_waits_is_counted_by_class(connection: Connection) -> None:
    names = add_sales(connection, 10)
    add_draw(connection, OVER)
    gift = add_sales(connection, 1, prefix="G", gift=True)
    open_risky(connection, [Risk(gift[0], "complaint"), Risk(names[0], "complaint")], now=NOON)
    counted = text("SELECT count(*) FROM inspections WHERE inspection_class = 'over_1y'")
    waiting = connection.execute(counted).scalar_one()

    assert read_waiting(connection, now=WINDOW_ENDS) == {
        InspectionClass.OVER_1Y: Waiting(open=waiting, overdue=waiting),
        InspectionClass.WITHIN_1Y: Waiting(),
        InspectionClass.GIFT: Waiting(open=1),
    }
