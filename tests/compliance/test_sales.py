"""The register of sales on a real database: facts read for the findings, events kept, and writers at the same time."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, func, select

from compliance.call_facts import CentreKind
from compliance.call_records import CallOutcome, CallRecord, Direction, record_calls
from compliance.customer_rows import put_customer
from compliance.incidents import IncidentFilter, list_incidents
from compliance.register_book import read_book
from compliance.registers import Change, Register, amend_row
from compliance.sale_endings import (
    Ending,
    NotTerminatedError,
    TerminationChangedError,
    reinstate_sale,
    shorten_termination,
    terminate_sale,
)
from compliance.sale_rows import Confirmation, NewSale, SaleDateError, StoredSale, read_sale, read_sale_events
from compliance.sale_tables import sale_events, sales
from compliance.sales import Amendment, Registered, SaleRecordedError, amend_sale, register_sale
from compliance.working_days import package_calendar
from tests.conftest import NOON
from tests.gate_facts import LONG_AGO, write_registers

CALENDAR = package_calendar()
SALE = NewSale(
    policy_no="P-1",
    product_code="TERM-1",
    sales_mode=CentreKind.OWN_CENTRE,
    centre_id="centre-1",
    agent_id="agent-1",
    call_ids=("call-1",),
    consented_at=datetime(2026, 11, 2, 2, 0, tzinfo=UTC),
    cover_start=date(2026, 11, 3),
    cover_end_exclusive=date(2046, 11, 3),
    declared_term_months=240,
    cooling_off_days=15,
    effective_on=date(2026, 11, 3),
    receipt_confirmed_on=None,
    confirmation=Confirmation.RECORDING,
    applicant_birth_date=date(1986, 5, 10),
    applicant_is_insured=True,
    medical_exam=False,
    gift=False,
)


def register(connection: Connection, sale: NewSale = SALE) -> Registered:
    book = read_book(connection, now=NOON)
    return register_sale(connection, sale, book=book, calendar=CALENDAR, person="officer", now=NOON)


def codes(registered: Registered) -> list[str]:
    return [one["code"] for one in registered.sale.findings]


def call(call_id: str, direction: Direction, *, caller: str | None = None, callee: str | None = None) -> CallRecord:
    started_at = NOON - timedelta(days=21, hours=2)
    return CallRecord(
        call_id=call_id,
        direction=direction,
        started_at=started_at,
        outcome=CallOutcome.SOLD,
        agent_id=None,
        caller=caller,
        callee=callee,
    )


def limit_centre(connection: Connection, *regions: str) -> None:
    change = Change({"sales_regions": list(regions)}, effective_from=LONG_AGO)
    amend_row(connection, Register.CENTRES, "centre-1", change, person="admin", now=NOON)


@pytest.mark.parametrize(
    ("record", "found"),
    [
        pytest.param(call("call-1", Direction.OUTBOUND, callee="010-65551234"), [], id="called in Beijing"),
        pytest.param(
            call("call-1", Direction.OUTBOUND, callee="021-65551234"), ["outside_sales_region"], id="called in Shanghai"
        ),
        pytest.param(
            call("call-1", Direction.INBOUND, caller="021-65551234", callee="4008123123"),
            ["outside_sales_region"],
            id="called in from Shanghai",
        ),
        pytest.param(call("call-1", Direction.INBOUND), ["region_unknown"], id="a call without a number"),
        pytest.param(call("call-2", Direction.OUTBOUND, callee="010-65551234"), ["region_unknown"], id="another call"),
    ],
)
def test_where_the_customer_lives_is_known_from_the_calls(
    connection: Connection, record: CallRecord, found: list[str]
) -> None:
    write_registers(connection)
    limit_centre(connection, "110000")
    record_calls(connection, [record], person="dialer", calendar=CALENDAR, now=NOON)

    assert codes(register(connection)) == found


def test_the_recorded_residence_goes_before_the_number(connection: Connection) -> None:
    write_registers(connection)
    limit_centre(connection, "110000")
    body = {"phones": ["+861065551234"], "region": "310115", "segments": [], "policy_nos": []}
    put_customer(connection, "customer-1", Change(body, effective_from=LONG_AGO), person="admin", now=NOON)
    outbound = call("call-1", Direction.OUTBOUND, callee="010-65551234")
    record_calls(connection, [outbound], person="dialer", calendar=CALENDAR, now=NOON)

    assert codes(register(connection)) == ["outside_sales_region"]


def test_an_examination_that_the_register_knows_of_counts_whatever_the_sale_says(connection: Connection) -> None:
    write_registers(connection)
    change = Change({"medical_exam": True}, effective_from=LONG_AGO)
    amend_row(connection, Register.PRODUCTS, "TERM-1", change, person="admin", now=NOON)

    assert codes(register(connection)) == ["medical_exam"]


def test_an_unknown_product_leaves_the_examination_to_the_sale(connection: Connection) -> None:
    write_registers(connection)

    assert codes(register(connection, replace(SALE, product_code="NONE"))) == [
        "unknown_product",
        "product_not_ordinary",
    ]


def test_a_sale_opens_its_incidents_once(connection: Connection) -> None:
    for _ in range(2):
        register(connection, replace(SALE, call_ids=()))

    found = list_incidents(connection, IncidentFilter(), before=None, limit=10)
    assert sorted(one.kind for one in found) == ["sale_outside_rules", "sale_without_call"]


def test_every_change_is_an_event_and_none_is_one_of_nothing(connection: Connection) -> None:
    register(connection)
    change = Amendment(receipt_confirmed_on=date(2026, 11, 6), delivered_on=date(2026, 11, 6))
    for _ in range(2):
        amend_sale(connection, "P-1", change, calendar=CALENDAR, person="officer", now=NOON)
        end(connection, date(2026, 11, 20))

    events = read_sale_events(connection, ["P-1"])["P-1"]
    assert [one.kind for one in events] == ["registered", "amended", "terminated"]
    assert events[1].details["receipt_confirmed_on"] == {"from": None, "to": "2026-11-06"}


def end(connection: Connection, day: date) -> Ending:
    return terminate_sale(connection, "P-1", ended_on=day, reason="surrender", person="officer", now=NOON)


def reinstate(connection: Connection, day: date) -> StoredSale:
    return reinstate_sale(connection, "P-1", reinstated_on=day, reason="paid", person="officer", now=NOON)


def test_the_end_of_a_short_cover_ends_its_inspection_and_nothing_moves_it_later(connection: Connection) -> None:
    short = replace(SALE, cover_end_exclusive=date(2027, 2, 3), declared_term_months=3)
    before = register(connection, short).sale.inspect_before
    ended = end(connection, date(2026, 11, 10)).sale.inspect_before
    later = end(connection, date(2026, 11, 20)).sale.inspect_before
    running = reinstate(connection, date(2026, 11, 21)).inspect_before

    assert before == datetime(2027, 2, 2, 16, tzinfo=UTC)
    assert ended == later == running == datetime(2026, 11, 10, 16, tzinfo=UTC)


def test_an_approved_earlier_end_of_a_contract_that_was_reinstated_meanwhile_is_refused(connection: Connection) -> None:
    register(connection)
    end(connection, date(2026, 11, 20))
    request = end(connection, date(2026, 11, 10)).request
    assert request is not None
    reinstate(connection, date(2026, 11, 21))

    with pytest.raises(TerminationChangedError, match="ask for it again"):
        shorten_termination(connection, request, person="officer2", now=NOON)


def test_an_approved_earlier_end_is_refused_when_the_contract_ran_again_and_ended_on_the_same_day(
    connection: Connection,
) -> None:
    register(connection)
    end(connection, date(2026, 11, 20))
    request = end(connection, date(2026, 11, 10)).request
    assert request is not None
    reinstate(connection, date(2026, 11, 20))
    end(connection, date(2026, 11, 20))

    with pytest.raises(TerminationChangedError, match="ask for it again"):
        shorten_termination(connection, request, person="officer2", now=NOON)


days = st.dates(min_value=date(2026, 9, 1), max_value=date(2026, 11, 23))
days_since_closing = st.dates(min_value=date(2026, 11, 2), max_value=date(2026, 11, 23))
changes = st.lists(
    st.one_of(
        st.builds(Amendment, receipt_confirmed_on=days_since_closing),
        st.builds(Amendment, effective_on=days),
        st.builds(
            Amendment,
            receipt_confirmed_on=days_since_closing,
            effective_on=days,
            delivered_on=days_since_closing,
        ),
    ),
    min_size=1,
    max_size=5,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(amendments=changes, cooling_off_days=st.integers(min_value=0, max_value=30))
def test_in_any_order_of_changes_rights_move_later_and_duties_earlier(
    connection: Connection, amendments: list[Amendment], cooling_off_days: int
) -> None:
    with connection.begin_nested() as alone:
        sale = replace(SALE, effective_on=None, cooling_off_days=cooling_off_days)
        stages = [register(connection, sale).sale]
        stages += [
            amend_sale(connection, "P-1", one, calendar=CALENDAR, person="officer", now=NOON) for one in amendments
        ]
        alone.rollback()
    rights = [one.right_through for one in stages if one.right_through is not None]
    known = [one.inspect_before for one in stages if one.inspect_before_basis == "cooling_off"]

    assert rights == sorted(rights)
    assert known == sorted(known, reverse=True)
    assert [one.inspect_before_basis for one in stages] == ["closing_day"] * (len(stages) - len(known)) + [
        "cooling_off"
    ] * len(known)
    assert {one.deliver_by for one in stages} == {date(2026, 11, 11)}


def at_once(engine: Engine, *works: Callable[[Connection], object]) -> list[object]:
    """Return what each of these did, each in a transaction of its own, all begun before any ends; errors as values."""

    def done(work: Callable[[Connection], object]) -> object:
        with engine.begin() as connection:
            return work(connection)

    with ThreadPoolExecutor(len(works)) as pool:
        running = [pool.submit(done, work) for work in works]
        wait(running)
        return [one.exception() or one.result() for one in running]


def test_of_two_that_register_one_policy_number_one_is_first(engine: Engine) -> None:
    other = replace(SALE, cooling_off_days=10)

    found = at_once(engine, *[register] * 3, *[lambda connection: register(connection, other)] * 3)

    refused = [one for one in found if isinstance(one, SaleRecordedError)]
    stored: list[Any] = [one for one in found if isinstance(one, Registered)]
    assert (len(refused), len(stored), sum(one.is_new for one in stored)) == (3, 3, 1)
    with engine.begin() as connection:
        assert connection.execute(select(func.count()).select_from(sale_events)).scalar_one() == 1


def test_of_terminations_at_the_same_time_the_latest_end_stands(engine: Engine) -> None:
    with engine.begin() as connection:
        register(connection)
    ends = [date(2026, 11, day) for day in (20, 10, 15, 12, 18)]

    found = at_once(engine, *[lambda connection, day=day: end(connection, day) for day in ends])

    assert [one for one in found if not isinstance(one, Ending)] == []
    with engine.begin() as connection:
        assert read_sale(connection, "P-1").ended_on == date(2026, 11, 20)


def test_terminated_and_reinstated_at_the_same_time_a_contract_is_one_or_the_other(engine: Engine) -> None:
    with engine.begin() as connection:
        register(connection)
        end(connection, date(2026, 11, 10))

    ended, reinstated = at_once(
        engine,
        lambda connection: end(connection, date(2026, 11, 20)),
        lambda connection: reinstate(connection, date(2026, 11, 15)),
    )

    with engine.begin() as connection:
        events = read_sale_events(connection, ["P-1"])["P-1"]
        last = connection.execute(select(sales.c.ended_on)).scalar_one()
    # Reinstated first, it ended after; ended first on the 20th, it cannot have been reinstated on the 15th.
    assert isinstance(ended, Ending)
    assert isinstance(reinstated, StoredSale | SaleDateError)
    assert last == date(2026, 11, 20)
    assert events[-1].kind == "terminated"


def test_a_contract_that_runs_cannot_be_reinstated(connection: Connection) -> None:
    register(connection)

    with pytest.raises(NotTerminatedError, match="has no termination"):
        reinstate(connection, date(2026, 11, 20))
