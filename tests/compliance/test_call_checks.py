"""The gate with its records, on a real database."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, event, func, select, text

from compliance.block_entries import BlockSource
from compliance.block_list import Refusal, block_person
from compliance.block_release import release_entry, release_payload
from compliance.call_checks import check_calls, simulate_calls
from compliance.check_rows import BrokenCheckError, UnknownCheckError, read_check, replay
from compliance.decision import ReasonCode, Verdict
from compliance.registers import Change, Register, add_row, amend_row
from compliance.tables import (
    call_checks,
    callback_requests,
)
from infra.ids import new_id
from tests.compliance.judged_calls import (
    ALLOWED,
    ALLOWED_PHONE,
    CALENDAR,
    ask_to_be_called,
    block,
    check,
    codes,
    gate,
    put_policy,
    refuse,
    simulate,
    to,
)
from tests.conftest import NOON
from tests.gate_facts import LONG_AGO, write_registers
from tests.unguarded import unguarded


def test_a_call_under_complete_registers_is_allowed_and_its_row_is_written(connection: Connection) -> None:
    write_registers(connection)

    [judged] = check(connection, ALLOWED)

    row = connection.execute(select(call_checks)).one()
    assert judged.decision.verdict is Verdict.ALLOW, judged.decision.reasons
    assert (str(row.check_id), row.verdict, row.phone_digits) == (judged.check_id, "allow", 8613800138000)
    assert row.checked_at == NOON


def test_empty_registers_deny_with_every_missing_fact(connection: Connection) -> None:
    [judged] = check(connection, ALLOWED)

    [reason] = [one for one in judged.decision.reasons if one.code is ReasonCode.FACTS_MISSING]
    assert {"agent_id", "centre_id", "campaign_id", "product_code", "insurer"} <= set(reason.facts)


def test_a_register_change_counts_for_the_next_decision_of_the_same_process(connection: Connection) -> None:
    write_registers(connection)
    same_gate = gate()
    [before] = check_calls(connection, [ALLOWED], gate=same_gate, actors=["dialer"], now=NOON)

    closed = Change(fields={"state": "closed"}, effective_from=NOON.date())
    amend_row(connection, Register.CENTRES, "centre-1", closed, person="tests", now=NOON)
    [after] = check_calls(connection, [ALLOWED], gate=same_gate, actors=["dialer"], now=NOON)

    assert before.decision.verdict is Verdict.ALLOW
    assert codes(after) == {"centre_not_open"}


def test_a_caller_number_that_its_owner_changed_is_no_longer_registered(connection: Connection) -> None:
    write_registers(connection)
    other = {"phone": "+864008123124", "in_use_from": "2026-11-23"}
    change = Change(fields=other, effective_from=NOON.date())
    amend_row(connection, Register.CALLER_NUMBERS, "number-1", change, person="tests", now=NOON)

    old, new = check(connection, ALLOWED, to("13800138000", caller_number="4008123124"))
    [before] = simulate(connection, ALLOWED, at=NOON - timedelta(days=1))

    assert codes(old) == {"caller_number_not_registered"}
    assert new.decision.verdict is before.decision.verdict is Verdict.ALLOW


def test_a_blocked_number_is_denied_until_its_first_callable_morning(connection: Connection) -> None:
    write_registers(connection)
    block(connection, 8613800138000, refused_at=NOON - timedelta(hours=1), through=date(2027, 5, 23))

    [judged] = check(connection, to("0138-0013-8000"))

    assert codes(judged) == {"do_not_call"}
    assert judged.decision.next_callable_at is not None
    assert judged.decision.next_callable_at.isoformat() == "2027-06-03T09:00:00+08:00"  # 2027 is unknown: ten days more


def test_every_number_of_the_person_and_the_named_customer_lead_to_the_block(connection: Connection) -> None:
    write_registers(connection)
    person = {"phones": ["+8613800138001", "+8613900139001"], "policy_nos": [], "segments": []}
    add_row(
        connection,
        Register.CUSTOMERS,
        "customer-1",
        Change(fields=person, effective_from=LONG_AGO),
        person="tests",
        now=NOON,
    )
    connection.execute(
        text("INSERT INTO customer_phones SELECT unnest(ARRAY[8613800138001, 8613900139001]), 'customer-1', now()")
    )
    block(connection, 8613800138001, refused_at=NOON - timedelta(hours=1), through=date(2026, 12, 30))

    other_number, named, stranger = check(
        connection, to("13900139001"), to("13700137000", customer_id="customer-1"), to("13700137000")
    )

    assert codes(other_number) == codes(named) == {"do_not_call"}
    assert stranger.decision.verdict is Verdict.ALLOW


@pytest.mark.parametrize(
    ("at", "is_denied"),
    [
        pytest.param(NOON - timedelta(hours=1, microseconds=1), False, id="before the refusal"),
        pytest.param(NOON - timedelta(hours=1), True, id="at the refusal"),
        pytest.param(NOON, True, id="after it"),
    ],
)
def test_simulation_knows_a_block_from_its_refusal_on_even_if_entered_later(
    connection: Connection, at: datetime, is_denied: bool
) -> None:
    write_registers(connection)
    block(connection, 8613800138000, refused_at=NOON - timedelta(hours=1), through=date(2026, 12, 30))
    connection.execute(
        text("UPDATE do_not_call_entries SET refused_at = refused_at")  # touched later, as a repeat would
    )

    [judged] = simulate_calls(connection, [ALLOWED], policy=None, calendar=CALENDAR, at=at, now=NOON)

    assert ("do_not_call" in codes(judged)) is is_denied


@pytest.mark.parametrize(
    ("at", "until"),
    [
        pytest.param(datetime(2026, 3, 2, 4, tzinfo=UTC), "2026-07-03T00:00:00+08:00", id="in the first block"),
        pytest.param(datetime(2026, 8, 3, 4, tzinfo=UTC), None, id="between the blocks"),
        pytest.param(datetime(2026, 9, 2, 4, tzinfo=UTC), "2027-03-12T00:00:00+08:00", id="in the second block"),
    ],
)
def test_simulation_knows_no_refusal_before_it_was_made_in_whatever_order_they_were_entered(
    connection: Connection, at: datetime, until: str | None
) -> None:
    write_registers(connection)
    refuse(connection, datetime(2026, 9, 1, 4, tzinfo=UTC))
    refuse(connection, datetime(2026, 1, 2, 4, tzinfo=UTC))

    [judged] = simulate(connection, ALLOWED, at=at)

    assert [one.until.isoformat() for one in judged.decision.reasons if one.until] == ([until] if until else [])


def test_simulation_keeps_the_longer_end_of_an_entry_that_was_released_and_binds_again(connection: Connection) -> None:
    write_registers(connection)
    entry_id = refuse(connection, NOON - timedelta(days=9), months=24)
    asked = release_payload(connection, entry_id, reason="asked", evidence={}, now=NOON)
    release_entry(connection, asked, person="tests", now=NOON + timedelta(days=1))
    [released] = simulate(connection, ALLOWED, at=NOON + timedelta(days=2))
    refusal = Refusal(phone_e164=ALLOWED_PHONE, source=BlockSource.CALL, refused_at=NOON + timedelta(days=3))
    block_person(connection, refusal, block_months=6, person="tests", now=NOON + timedelta(days=3))

    [again] = simulate(connection, ALLOWED, at=NOON + timedelta(days=4))
    [now] = check(connection, ALLOWED, now=NOON + timedelta(days=4))

    assert released.decision.verdict is Verdict.ALLOW
    assert again.decision.reasons == now.decision.reasons
    assert [one.until.isoformat() for one in now.decision.reasons if one.until] == ["2028-11-25T00:00:00+08:00"]


def test_simulation_records_nothing_and_uses_nothing_up(connection: Connection) -> None:
    write_registers(connection)
    callback = ask_to_be_called(connection)
    at = datetime(2026, 11, 23, 13, 30, tzinfo=UTC)

    for _ in range(2):
        [judged] = simulate_calls(
            connection,
            [to("13800138000", callback_request_id=callback)],
            policy=None,
            calendar=CALENDAR,
            at=at,
            now=NOON,
        )
        assert judged.decision.verdict is Verdict.ALLOW

    assert connection.execute(select(func.count()).select_from(call_checks)).scalar_one() == 0
    assert connection.execute(select(callback_requests.c.used_by)).scalar_one() is None


CALLEES = ["13800138000", "+86 139 0013 9001", "010-65123456", "4008123123", "110", "nonsense", "+85223456789"]


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    callees=st.lists(st.sampled_from(CALLEES), min_size=1, max_size=8),
    limit=st.sampled_from(["", "[contact_limit]\nattempts = 1\nper_hours = 2\n"]),
    blocked=st.booleans(),
)
def test_a_batch_gives_the_verdicts_of_single_checks(
    connection: Connection, callees: Sequence[str], limit: str, blocked: bool
) -> None:
    calls = [to(callee) for callee in callees]
    answers = []
    for as_one in (True, False):
        with connection.begin_nested() as savepoint:
            write_registers(connection)
            put_policy(connection, limit)
            if blocked:
                block(connection, 8613900139001, refused_at=NOON - timedelta(days=1), through=date(2026, 12, 30))
            judged = check(connection, *calls) if as_one else [check(connection, call)[0] for call in calls]
            answers.append([one.decision for one in judged])
            savepoint.rollback()

    assert answers[0] == answers[1]


def test_replay_gives_the_same_answer_after_list_policy_and_registers_changed(connection: Connection) -> None:
    write_registers(connection)
    put_policy(connection, "")
    judged = check(connection, ALLOWED, to("110"), to("13900139000", agent_id="nobody"))
    block(connection, 8613800138000, refused_at=NOON, through=date(2026, 12, 30))
    put_policy(connection, "[do_not_call]\nblock_months = 12\n", now=NOON)
    gone = Change(fields={"state": "closed"}, effective_from=LONG_AGO)
    amend_row(connection, Register.CENTRES, "centre-1", gone, person="tests", now=NOON)

    for one in judged:
        stored = read_check(connection, UUID(one.check_id))
        same, again = replay(stored.judged)
        assert same
        assert again.verdict is one.decision.verdict


def test_checks_are_read_as_they_were_judged(connection: Connection) -> None:
    write_registers(connection)
    block(connection, 8613800138001, refused_at=NOON - timedelta(hours=1), through=date(2026, 12, 30))
    odd = 'no "number" \\ \t 号码'

    judged = check(
        connection, ALLOWED, to("138 0013 8001"), to(odd), to("+85291234567"), to("13800138000", agent_id="?")
    )

    assert [read_check(connection, UUID(one.check_id)).judged for one in judged] == judged


def test_facts_changed_after_the_decision_are_found_out(connection: Connection) -> None:
    write_registers(connection)
    [judged] = check(connection, ALLOWED)
    with unguarded(connection):
        connection.execute(text("UPDATE calling_sides SET facts = replace(facts, 'web form', 'bought')"))

    with pytest.raises(BrokenCheckError, match=judged.check_id):
        read_check(connection, UUID(judged.check_id))


def test_new_calling_sides_are_written_in_one_order_so_that_batches_do_not_deadlock(connection: Connection) -> None:
    written: list[bytes] = []

    def note(*arguments: Any) -> None:
        if "INTO calling_sides" in arguments[2]:
            written.append(arguments[3]["digest"])

    event.listen(connection.engine, "before_cursor_execute", note)
    write_registers(connection)
    calls = [to("13800138000", agent_id=f"agent-{place}") for place in range(8)]

    check(connection, *calls)
    check(connection, *reversed(calls))
    event.remove(connection.engine, "before_cursor_execute", note)

    assert written[:8] == written[8:] == sorted(set(written))


def test_an_unknown_check_is_an_error(connection: Connection) -> None:
    with pytest.raises(UnknownCheckError):
        read_check(connection, new_id())


def test_a_batch_takes_the_same_number_of_statements_whatever_its_size(connection: Connection) -> None:
    write_registers(connection)
    counted: list[str] = []
    event.listen(connection.engine, "before_cursor_execute", lambda *args: counted.append(args[2]))
    sizes = []
    same_gate = gate()
    for size in (1, 1, 50):
        counted.clear()
        calls = [to(f"138001380{place:02d}") for place in range(size)]
        check_calls(connection, calls, gate=same_gate, actors=["dialer"] * size, now=NOON)
        sizes.append(len(counted))

    assert sizes[1] == sizes[2] == 2  # what is known of the callees, and the calling side; rows go by COPY
