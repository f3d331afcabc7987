"""Failure rates come from the random part alone, by the newest version of each result."""

from datetime import date, timedelta

from sqlalchemy import Connection, text

from compliance.call_facts import CentreKind
from qa_sampling.failure_rates import read_failure_rates, read_item_rates
from qa_sampling.inspection_tasks import Risk, open_risky
from tests.conftest import NOON
from tests.qa_sampling.sampled_sales import (
    DAY,
    add_agency_sales,
    add_draw,
    add_result,
    add_sales,
    drawn_in,
    submit,
)
from tests.qa_sampling.test_quotas import OVER

AGENCY = OVER._replace(sales_mode=CentreKind.AGENCY, centre_id="agency-1")
_CORRECT = text("UPDATE inspections SET outcome = :outcome WHERE inspection_id = :inspection_id")


def test_nothing_drawn_has_no_rate(connection: Connection) -> None:
    found = read_failure_rates(connection, DAY, DAY, confidence=0.95)

    assert (found.strata, found.total.interval) == ({}, None)
    assert read_item_rates(connection, DAY, DAY, confidence=0.95) == []


def test_strata_and_their_total_count_what_was_drawn_and_inspected(connection: Connection) -> None:
    add_sales(connection, 10)
    add_agency_sales(connection, 10, prefix="A")
    first, second, _open = drawn_in(connection, add_draw(connection, OVER))
    agency, *_ = drawn_in(connection, add_draw(connection, AGENCY))
    submit(connection, first, outcome="failed")
    submit(connection, second)
    submit(connection, agency)

    found = read_failure_rates(connection, DAY, DAY, confidence=0.95)

    assert {stratum: one[:3] for stratum, one in found.strata.items()} == {OVER: (2, 1, 0.5), AGENCY: (1, 0, 0.0)}
    assert found.total[:2] == (3, 1)


def test_risky_ones_are_left_out(connection: Connection) -> None:
    names = add_sales(connection, 10)
    drawn = drawn_in(connection, add_draw(connection, OVER))
    extra = [name for name in names if name not in drawn]
    open_risky(connection, [Risk(name, "complaint") for name in extra], now=NOON)
    for name in extra:
        submit(connection, name, outcome="failed")
    submit(connection, drawn[0])

    found = read_failure_rates(connection, DAY, DAY, confidence=0.95)

    assert found.strata[OVER][:2] == (1, 0)
    items = read_item_rates(connection, DAY, DAY, confidence=0.95)
    assert [(one.item_id, one.found.inspected) for one in items] == [("consent", 1)]


def test_the_newest_version_counts_and_a_blind_second_scoring_never_does(connection: Connection) -> None:
    add_sales(connection, 1)
    [drawn] = drawn_in(connection, add_draw(connection, OVER))
    inspection_id = submit(connection, drawn, answers=[("consent", "pass"), ("cooling_off", "na")])
    add_result(connection, inspection_id, 2, outcome="failed", answers=[("consent", "fail"), ("cooling_off", "na")])
    add_result(connection, inspection_id, None, answers=[("consent", "pass")])
    connection.execute(_CORRECT, {"outcome": "failed", "inspection_id": inspection_id})

    found = read_failure_rates(connection, DAY, DAY, confidence=0.95)

    assert found.total[:2] == (1, 1)
    items = read_item_rates(connection, DAY, DAY, confidence=0.95)
    assert [(one.item_id, *one.found[:2]) for one in items] == [("consent", 1, 1)]


def test_sales_of_other_days_are_left_out(connection: Connection) -> None:
    add_sales(connection, 1)
    [drawn] = drawn_in(connection, add_draw(connection, OVER))
    submit(connection, drawn)

    assert read_failure_rates(connection, DAY - timedelta(days=9), DAY, confidence=0.95).total.inspected == 1
    assert read_failure_rates(connection, DAY + timedelta(days=1), date(2026, 12, 1), confidence=0.95).strata == {}
