"""The gate with its records, on a real database."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from threading import Barrier, Thread
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, event, func, insert, select, text

from compliance.block_entries import BlockSource
from compliance.block_list import Refusal, block_person
from compliance.block_release import release_entry, release_payload
from compliance.call_checks import Gate, check_calls, simulate_calls
from compliance.call_facts import ProposedCall, Purpose
from compliance.check_rows import BrokenCheckError, JudgedCall, UnknownCheckError, read_check, replay
from compliance.decision import ReasonCode, Verdict
from compliance.policy import parse_policy
from compliance.policy_store import store_policy
from compliance.register_book import Shelf
from compliance.registers import Change, Register, add_row, amend_row
from compliance.tables import (
    call_checks,
    callback_requests,
    do_not_call_entries,
    do_not_call_events,
    do_not_call_phones,
)
from compliance.working_days import package_calendar
from infra.ids import new_id
from tests.conftest import NOON
from tests.gate_facts import CALL, LONG_AGO, write_registers

ALLOWED = ProposedCall(**{**CALL, "purpose": Purpose.SALES})
ALLOWED_PHONE = "+8613800138000"
CALENDAR = package_calendar()


def gate() -> Gate:
    return Gate(shelf=Shelf(), calendar=CALENDAR)


def check(connection: Connection, *calls: ProposedCall, now: datetime = NOON) -> list[JudgedCall]:
    return check_calls(connection, calls, gate=gate(), actors=["dialer"] * len(calls), now=now)


def to(callee: str, **changes: str) -> ProposedCall:
    return ProposedCall(**{**CALL, "purpose": Purpose.SALES, "callee": callee, **changes})


def simulate(connection: Connection, *calls: ProposedCall, at: datetime) -> list[JudgedCall]:
    return simulate_calls(connection, calls, policy=None, calendar=CALENDAR, at=at, now=NOON)


def codes(judged: JudgedCall) -> set[str]:
    return {reason.code.value for reason in judged.decision.reasons}


def block(connection: Connection, phone: int, *, refused_at: datetime, through: date) -> None:
    entry_id = new_id()
    connection.execute(
        insert(do_not_call_entries).values(
            entry_id=entry_id,
            blocked_from=refused_at,
            refused_at=refused_at,
            blocked_through=through,
            source="call",
            created_at=refused_at,
        )
    )
    connection.execute(insert(do_not_call_phones).values(phone_digits=phone, entry_id=entry_id))
    connection.execute(
        insert(do_not_call_events).values(
            event_id=new_id(),
            entry_id=entry_id,
            kind="refusal",
            refused_at=refused_at,
            blocked_through=through,
            actor="tests",
            recorded_at=refused_at,
        )
    )


def put_policy(connection: Connection, policy_text: str, *, now: datetime = NOON - timedelta(days=1)) -> None:
    store_policy(connection, parse_policy(policy_text, on=NOON.date()), policy_id=new_id(), source="api", now=now)


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
    ask = {"gate": same_gate, "actors": ["dialer"], "now": NOON}
    [before] = check_calls(connection, [ALLOWED], **ask)

    closed = Change(fields={"state": "closed"}, effective_from=NOON.date())
    amend_row(connection, Register.CENTRES, "centre-1", closed, person="tests", now=NOON)
    [after] = check_calls(connection, [ALLOWED], **ask)

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


def refuse(connection: Connection, refused_at: datetime, *, months: int = 6) -> UUID:
    refusal = Refusal(phone_e164=ALLOWED_PHONE, source=BlockSource.CALL, refused_at=refused_at, months=months)
    return block_person(connection, refusal, block_months=6, person="tests", now=NOON).entry.entry_id


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
    callback = _callback(connection)
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


def _callback(connection: Connection) -> str:
    callback_request_id = new_id()
    connection.execute(
        insert(callback_requests).values(
            callback_request_id=callback_request_id,
            phone_digits=8613800138000,
            from_at=datetime(2026, 11, 23, 13, 15, tzinfo=UTC),
            to_at=datetime(2026, 11, 23, 13, 45, tzinfo=UTC),
            evidence={"inbound_call_id": "1"},
            actor="dialer",
            created_at=NOON,
        )
    )
    return str(callback_request_id)


def test_a_callback_request_opens_quiet_hours_for_one_call_even_within_one_batch(connection: Connection) -> None:
    write_registers(connection)
    callback = _callback(connection)
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


def put_customer(connection: Connection, customer_id: str, *phones: int) -> None:
    fields = {"phones": [f"+{phone}" for phone in phones], "policy_nos": [], "segments": []}
    change = Change(fields=fields, effective_from=LONG_AGO)
    add_row(connection, Register.CUSTOMERS, customer_id, change, person="tests", now=NOON)
    connection.execute(
        text("INSERT INTO customer_phones SELECT unnest(CAST(:phones AS bigint[])), :customer_id, now()"),
        {"phones": list(phones), "customer_id": customer_id},
    )


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
    asked = to("13800138000", callback_request_id=_callback(connection))

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
    callback = _callback(connection)
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
    asked = to("13800138000", callback_request_id=_callback(connection))

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


def test_facts_changed_after_the_decision_are_found_out(connection: Connection) -> None:
    write_registers(connection)
    [judged] = check(connection, ALLOWED)
    connection.execute(text("UPDATE calling_sides SET facts = replace(facts, 'web form', 'bought')"))

    with pytest.raises(BrokenCheckError, match=judged.check_id):
        read_check(connection, UUID(judged.check_id))


def test_a_refusal_filed_while_an_allow_is_valid_supersedes_it(connection: Connection) -> None:
    write_registers(connection)
    [judged] = check(connection, ALLOWED)
    block(connection, 8613800138000, refused_at=NOON + timedelta(seconds=20), through=date(2027, 5, 23))

    stored = read_check(connection, UUID(judged.check_id))

    assert stored.superseded_at == NOON + timedelta(seconds=20)


def test_a_refusal_that_was_being_filed_during_the_check_supersedes_it_from_its_beginning(engine: Engine) -> None:
    refusal = Refusal(phone_e164=ALLOWED_PHONE, source=BlockSource.CALL, refused_at=NOON)
    with engine.begin() as connection:
        write_registers(connection)
    with engine.begin() as filing:
        block_person(filing, refusal, block_months=6, person="tests", now=NOON)
        with engine.begin() as connection:
            [judged] = check(connection, ALLOWED, now=NOON + timedelta(seconds=1))

    with engine.begin() as connection:
        stored = read_check(connection, UUID(judged.check_id))

    assert judged.decision.verdict is Verdict.ALLOW
    assert stored.superseded_at == NOON + timedelta(seconds=1)


@pytest.mark.parametrize("is_released", [True, False], ids=["released", "over"])
def test_a_refusal_that_no_longer_bound_at_the_check_does_not_supersede_it(
    connection: Connection, *, is_released: bool
) -> None:
    write_registers(connection)
    entry_id = refuse(connection, NOON if is_released else NOON - timedelta(days=300))
    if is_released:
        asked = release_payload(connection, entry_id, reason="asked", evidence={}, now=NOON)
        release_entry(connection, asked, person="tests", now=NOON + timedelta(seconds=1))

    [judged] = check(connection, ALLOWED, now=NOON + timedelta(seconds=2))

    assert judged.decision.verdict is Verdict.ALLOW
    assert read_check(connection, UUID(judged.check_id)).superseded_at is None


def test_a_refusal_on_another_number_of_the_customer_named_supersedes_an_allow(connection: Connection) -> None:
    write_registers(connection)
    put_customer(connection, "customer-a", 8613800138001)
    [judged] = check(connection, to("13700137000", customer_id="customer-a"))
    block(connection, 8613800138001, refused_at=NOON + timedelta(seconds=20), through=date(2027, 5, 23))

    stored = read_check(connection, UUID(judged.check_id))

    assert stored.superseded_at == NOON + timedelta(seconds=20)


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
