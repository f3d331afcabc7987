"""Risky sales are flagged when they are registered, and when what makes them risky comes later."""

from datetime import date, datetime, timedelta
from typing import Unpack
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine, insert, text

from compliance.register_book import read_book
from compliance.registers import Change, Register, add_row
from compliance.tables import call_records, callback_requests
from compliance.working_days import package_calendar
from infra.ids import new_id
from qa_sampling.inspection_tasks import open_drawn
from qa_sampling.risk import RiskCode
from qa_sampling.risk_sweep import flag, flag_sales, sweep_risks
from qa_sampling.strata import Stratum
from services.sales_service import register
from tests.conftest import NOON
from tests.gate_facts import write_registers
from tests.qa_sampling.sampled_sales import DAY, SaleChanges, add_draw, add_late, add_sales, by_ticket, sale
from tests.qa_sampling.test_quotas import OVER

_REASONS = text("SELECT policy_no, risk_reasons FROM inspections WHERE NOT is_random ORDER BY policy_no")


def flagged(connection: Connection) -> dict[str, list[str]]:
    return {row.policy_no: row.risk_reasons for row in connection.execute(_REASONS)}


def sell(connection: Connection, policy_no: str, **changes: Unpack[SaleChanges]) -> None:
    """Register a sale as the API does."""
    book = read_book(connection, now=NOON)
    one = sale(policy_no, **changes)
    register(connection, one, book=book, calendar=package_calendar(), person="officer", now=NOON)


def add_agent(connection: Connection, agent_id: str, *, certified_from: str, effective_from: date) -> None:
    fields = {"agent_id": agent_id, "centre_id": "centre-1", "certified_from": certified_from}
    add_row(connection, Register.AGENTS, agent_id, Change(fields, effective_from), person="admin", now=NOON)


def add_callback_call(connection: Connection, call_id: str) -> None:
    """Record a call whose check used up a customer's request for a call in quiet hours."""
    check_id: UUID = new_id()
    at = NOON - timedelta(days=21)
    request = {
        "callback_request_id": new_id(),
        "phone_digits": 8613800138000,
        "from_at": at,
        "to_at": at,
        "evidence": {},
    }
    connection.execute(insert(callback_requests).values(**request, actor="dialer", created_at=at))
    used = text("UPDATE callback_requests SET used_by = :check_id, used_at = :at")
    connection.execute(used, {"check_id": check_id, "at": at})
    connection.execute(
        insert(call_records).values(
            call_id=call_id,
            check_id=check_id,
            direction="outbound",
            started_at=at,
            outcome="sold",
            content={},
            content_digest=bytes(32),
            actor="dialer",
            recorded_at=NOON,
        )
    )


def test_an_ordinary_sale_is_not_flagged(connection: Connection) -> None:
    write_registers(connection)
    sell(connection, "P-1")

    assert flagged(connection) == {}
    assert sweep_risks(connection, now=NOON) == 0


def test_the_sale_of_an_elderly_customer_is_flagged_at_once_and_once(connection: Connection) -> None:
    sell(connection, "P-1", applicant_birth_date=date(1950, 1, 1))
    again = flag_sales(connection, ["P-1"], now=NOON)

    assert (flagged(connection), again, sweep_risks(connection, now=NOON)) == ({"P-1": ["customer_over_65"]}, 0, 0)


def test_only_the_first_three_sales_of_a_new_agent_are_flagged(connection: Connection) -> None:
    write_registers(connection)
    add_agent(connection, "agent-2", certified_from="2026-10-01", effective_from=date(2020, 1, 1))
    for number in range(5):
        sell(connection, f"P-{number}", agent_id="agent-2")

    assert flagged(connection) == {f"P-{number}": ["new_agent"] for number in range(3)}


def test_an_agent_who_came_to_a_centre_of_late_is_new_whenever_certified(connection: Connection) -> None:
    write_registers(connection)
    add_agent(connection, "agent-2", certified_from="2010-01-01", effective_from=date(2026, 10, 1))
    sell(connection, "P-1", agent_id="agent-2")

    assert flagged(connection) == {"P-1": ["new_agent"]}


def test_an_agent_registered_after_the_sale_is_found_by_the_sweep(connection: Connection) -> None:
    write_registers(connection)
    sell(connection, "P-1", agent_id="agent-2")
    before = flagged(connection)
    add_agent(connection, "agent-2", certified_from="2026-10-01", effective_from=date(2026, 10, 1))

    assert (before, sweep_risks(connection, now=NOON)) == ({}, 1)
    assert flagged(connection) == {"P-1": ["new_agent"]}


def test_sales_that_came_by_another_way_are_found_by_the_sweep(connection: Connection) -> None:
    add_sales(connection, 2, applicant_birth_date=date(1950, 1, 1))

    assert sweep_risks(connection, now=NOON) == 2
    assert sweep_risks(connection, now=NOON) == 0


def test_every_call_asked_for_in_quiet_hours_is_heard_also_when_its_record_comes_later(connection: Connection) -> None:
    add_callback_call(connection, "call-1")
    sell(connection, "P-1", call_ids=("call-0", "call-1"))
    sell(connection, "P-2", call_ids=("call-2",))
    before = flagged(connection)
    add_callback_call(connection, "call-2")

    assert before == {"P-1": ["callback_outside_hours"]}
    assert sweep_risks(connection, now=NOON) == 1
    assert flagged(connection) == {"P-1": ["callback_outside_hours"], "P-2": ["callback_outside_hours"]}


def test_a_late_sale_that_was_not_drawn_is_heard_anyway(connection: Connection) -> None:
    add_sales(connection, 10)
    draw_id = add_draw(connection, OVER)
    late, drawn_late = add_sales(connection, 2, prefix="L")
    add_late(connection, draw_id, late)
    add_late(connection, draw_id, drawn_late)
    open_drawn(connection, [drawn_late], now=NOON)

    assert flag_sales(connection, [late, drawn_late], now=NOON) == 1
    assert flagged(connection) == {late: ["late_sale"]}


def test_sales_of_the_first_frame_are_not_late(connection: Connection) -> None:
    names = add_sales(connection, 10)
    add_draw(connection, OVER)

    assert flag_sales(connection, names, now=NOON) == 0


def test_what_others_find_is_added_to_the_reasons(connection: Connection) -> None:
    sell(connection, "P-1", applicant_birth_date=date(1950, 1, 1))
    for code in (RiskCode.COMPLAINT, RiskCode.KEY_PHRASE, RiskCode.COMPLAINT):
        flag(connection, "P-1", code, now=NOON)

    assert flagged(connection) == {"P-1": ["customer_over_65", "complaint", "key_phrase"]}


def test_a_reason_makes_no_drawn_sale_a_random_one_nor_the_other_way_round(connection: Connection) -> None:
    names = add_sales(connection, 2)
    add_draw(connection, OVER)
    [other] = [name for name in names if name != by_ticket(names)[0]]
    for name in names:
        flag(connection, name, RiskCode.COMPLAINT, now=NOON)

    assert flagged(connection) == {other: ["complaint"]}


def test_two_sweeps_at_once_flag_once(engine: Engine) -> None:
    with engine.begin() as connection:
        add_sales(connection, 2, applicant_birth_date=date(1950, 1, 1))
    with engine.begin() as one, engine.begin() as other:
        found = sweep_risks(one, now=NOON), sweep_risks(other, now=NOON)

    assert found == (2, 0)


@pytest.mark.parametrize(("now", "found"), [(NOON, 1), (NOON + timedelta(days=11), 0)])
def test_the_sweep_looks_a_month_back(connection: Connection, now: datetime, found: int) -> None:
    add_sales(connection, 1, applicant_birth_date=date(1950, 1, 1))

    assert sweep_risks(connection, now=now) == found


def test_strata_are_named_as_in_the_sales(connection: Connection) -> None:
    sell(connection, "P-1", applicant_birth_date=date(1950, 1, 1))
    columns = "sales_mode, centre_id, inspection_class, closed_on"
    row = connection.execute(text(f"SELECT {columns} FROM inspections")).one()  # noqa: S608 - constants only

    assert (Stratum(*row[:3]), row.closed_on) == (OVER, DAY)
