"""Calls that depend on one another: contact limits and callback requests, alone, in batches, at once, simulated."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine, select

from compliance.call_facts import ProposedCall
from compliance.check_rows import read_check, replay
from compliance.decision import ReasonCode, Verdict
from compliance.tables import (
    callback_requests,
)
from tests.compliance.judged_calls import (
    ALLOWED,
    ask_to_be_called,
    check,
    codes,
    put_customer,
    put_policy,
    simulate,
    to,
)
from tests.conftest import NOON
from tests.gate_facts import write_registers


def test_a_callback_request_opens_quiet_hours_for_one_call_even_within_one_batch(connection: Connection) -> None:
    write_registers(connection)
    callback = ask_to_be_called(connection)
    asked = to("13800138000", callback_request_id=callback)
    at_night = datetime(2026, 11, 23, 13, 30, tzinfo=UTC)

    first, second = check(connection, asked, asked, now=at_night)
    [third] = check(connection, asked, now=at_night + timedelta(seconds=1))

    assert first.decision.verdict is Verdict.ALLOW
    assert codes(second) == codes(third) == {"quiet_hours", "callback_request_invalid"}
    assert str(connection.execute(select(callback_requests.c.used_by)).scalar_one()) == first.check_id


def test_a_contact_limit_counts_allowed_checks_within_one_batch_too(connection: Connection) -> None:
    write_registers(connection)
    put_policy(connection, "[contact_limit]\nattempts = 2\nper_hours = 24\n")

    judged = check(connection, *[ALLOWED] * 3, to("13900139000"))
    [later] = check(connection, ALLOWED, now=NOON + timedelta(minutes=5))
    [next_day] = check(connection, ALLOWED, now=NOON + timedelta(hours=24))

    verdicts = [one.decision.verdict for one in judged]
    assert verdicts == [Verdict.ALLOW, Verdict.ALLOW, Verdict.DENY, Verdict.ALLOW]
    assert codes(later) == {"contact_limit"}
    assert later.decision.next_callable_at == NOON + timedelta(hours=24)
    assert next_day.decision.verdict is Verdict.ALLOW


def test_a_contact_limit_holds_against_simultaneous_checks(engine: Engine) -> None:
    with engine.begin() as connection:
        write_registers(connection)
        put_policy(connection, "[contact_limit]\nattempts = 3\nper_hours = 24\n")
    together, found = Barrier(12), []

    def ask() -> None:
        together.wait()
        with engine.begin() as connection:
            found.extend(check(connection, ALLOWED))

    threads = [Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [one.decision.verdict for one in found].count(Verdict.ALLOW) == 3
    assert len(found) == 12


LIMIT_OF_ONE = "[contact_limit]\nattempts = 1\nper_hours = 24\n"


@pytest.mark.parametrize(
    ("calls", "verdicts"),
    [
        pytest.param([to("13800138001"), to("13800138009")], ["allow", "deny"], id="two numbers of one person"),
        pytest.param([to("13800138001"), to("13900139001")], ["allow", "deny"], id="another who shares the number"),
        pytest.param([to("13900139001"), to("13800138001")], ["allow", "deny"], id="the other way round"),
        pytest.param([to("13800138009"), to("13900139001")], ["allow", "allow"], id="numbers that are not shared"),
        pytest.param(
            [to("13700137000", customer_id="customer-a"), to("13700137000")], ["allow", "deny"], id="named, then not"
        ),
        pytest.param(
            [to("13700137000"), to("13700137000", customer_id="customer-a")], ["allow", "deny"], id="then named"
        ),
    ],
)
def test_a_contact_limit_in_a_batch_is_that_of_single_checks_also_where_people_share_a_number(
    connection: Connection, calls: Sequence[ProposedCall], verdicts: Sequence[str]
) -> None:
    write_registers(connection)
    put_policy(connection, LIMIT_OF_ONE)
    put_customer(connection, "customer-a", 8613800138001, 8613800138009)
    put_customer(connection, "customer-b", 8613800138001, 8613900139001)

    with connection.begin_nested() as savepoint:
        together = check(connection, *calls)
        savepoint.rollback()
    apart = [check(connection, call)[0] for call in calls]

    assert [one.decision.verdict for one in together] == verdicts
    assert [one.decision for one in together] == [one.decision for one in apart]


def test_what_is_used_up_while_a_check_waits_counts_though_its_clock_was_read_before(connection: Connection) -> None:
    write_registers(connection)
    put_policy(connection, LIMIT_OF_ONE)
    at_night = datetime(2026, 11, 23, 13, 30, tzinfo=UTC)
    asked = to("13800138000", callback_request_id=ask_to_be_called(connection))

    [first] = check(connection, ALLOWED, now=NOON + timedelta(milliseconds=5))
    [waited] = check(connection, ALLOWED, now=NOON)
    put_policy(connection, "", now=NOON)
    [used] = check(connection, asked, now=at_night + timedelta(milliseconds=5))
    [late] = check(connection, asked, now=at_night)

    assert first.decision.verdict is used.decision.verdict is Verdict.ALLOW
    assert codes(waited) == {"contact_limit"}
    assert codes(late) == {"quiet_hours", "callback_request_invalid"}
    assert replay(read_check(connection, UUID(waited.check_id)).judged)[0]


def test_a_callback_request_spelt_in_two_ways_serves_one_call_of_a_batch(connection: Connection) -> None:
    write_registers(connection)
    callback = ask_to_be_called(connection)
    spellings = [callback, callback.upper()]

    judged = check(
        connection,
        *[to("13800138000", callback_request_id=one) for one in spellings],
        now=datetime(2026, 11, 23, 13, 30, tzinfo=UTC),
    )

    assert [one.decision.verdict for one in judged] == [Verdict.ALLOW, Verdict.DENY]


def test_simulations_use_up_nothing_for_one_another(connection: Connection) -> None:
    write_registers(connection)
    put_policy(connection, LIMIT_OF_ONE)
    at_night = datetime(2026, 11, 23, 13, 30, tzinfo=UTC)
    asked = to("13800138000", callback_request_id=ask_to_be_called(connection))

    judged = [
        *simulate(connection, ALLOWED, ALLOWED, at=NOON),
        *simulate(connection, asked, asked, at=at_night),
    ]

    assert [one.decision.verdict for one in judged] == [Verdict.ALLOW] * 4


def test_a_simulation_knows_only_the_contact_attempts_before_its_instant(connection: Connection) -> None:
    write_registers(connection)
    check(connection, ALLOWED, now=NOON - timedelta(hours=2))
    check(connection, ALLOWED, now=NOON)
    put_policy(connection, LIMIT_OF_ONE)

    [judged] = simulate(connection, ALLOWED, at=NOON - timedelta(hours=1))

    assert [(one.code, one.until) for one in judged.decision.reasons] == [
        (ReasonCode.CONTACT_LIMIT, NOON + timedelta(hours=22))
    ]
