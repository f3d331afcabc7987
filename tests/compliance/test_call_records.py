"""Call records with real checks: kept once, refusals blocked, what no check covers found."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine, event, func, insert, select

from compliance.block_entries import BlockSource, read_entry, read_history
from compliance.block_list import Refusal, block_person
from compliance.call_checks import Gate, check_calls
from compliance.call_facts import ProposedCall, Purpose
from compliance.call_records import (
    CallFilter,
    CallOutcome,
    CallRecord,
    CallRecordedError,
    Direction,
    RecordedCall,
    UnknownCallError,
    list_calls,
    read_call,
    record_calls,
)
from compliance.incidents import read_incident
from compliance.policy import parse_policy
from compliance.policy_store import store_policy
from compliance.register_book import Shelf
from compliance.register_tables import customer_phones
from compliance.registers import Change, Register, add_row
from compliance.tables import call_records, do_not_call_events, incidents
from compliance.working_days import package_calendar
from infra.ids import new_id
from tests.conftest import NOON
from tests.gate_facts import CALL, LONG_AGO, write_registers

P = "+8613800138000"
NOW = NOON + timedelta(minutes=5)
"""When records arrive; checks are asked for at NOON."""

RECORD = CallRecord(
    call_id="call-1",
    direction=Direction.OUTBOUND,
    caller=CALL["caller_number"],
    callee=CALL["callee"],
    agent_id="agent-1",
    started_at=NOON + timedelta(seconds=5),
    answered_at=NOON + timedelta(seconds=15),
    ended_at=NOON + timedelta(seconds=90),
    outcome=CallOutcome.OTHER,
)
REFUSED = replace(RECORD, outcome=CallOutcome.REFUSED)


def check(connection: Connection, *, at: datetime = NOON, **changes: str) -> str:
    wanted: dict[str, Any] = {**CALL, **changes, "purpose": Purpose(changes.get("purpose", "sales"))}
    call = ProposedCall(**wanted)
    gate = Gate(shelf=Shelf(), calendar=package_calendar())
    return check_calls(connection, [call], gate=gate, actors=["dialer"], now=at)[0].check_id


def allowed(connection: Connection) -> str:
    write_registers(connection)
    return check(connection)


def record(connection: Connection, *records: CallRecord, now: datetime = NOW) -> list[RecordedCall]:
    return record_calls(connection, records, person="dialer", calendar=package_calendar(), now=now)


def kinds(answer: RecordedCall) -> list[str]:
    return [kind for _, kind in answer.incidents]


def block(connection: Connection, *, refused_at: datetime, now: datetime) -> UUID:
    refusal = Refusal(phone_e164=P, source=BlockSource.COUNTER, refused_at=refused_at)
    return block_person(connection, refusal, block_months=6, person="officer", now=now).entry.entry_id


def test_a_call_that_its_check_covers_is_kept_without_incident(connection: Connection) -> None:
    answer = record(connection, replace(RECORD, check_id=allowed(connection)))

    assert answer == [RecordedCall("call-1", None, ())]
    stored = read_call(connection, "call-1")
    assert (stored.caller_e164, stored.callee_e164, stored.actor) == ("+864008123123", P, "dialer")
    assert stored.record == replace(RECORD, check_id=stored.record.check_id)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        pytest.param({}, ["call_without_check"], id="no check"),
        pytest.param({"check_id": "x"}, ["call_without_check"], id="no id"),
        pytest.param({"check_id": str(UUID(int=7))}, ["call_without_check"], id="an unknown check"),
        pytest.param({"callee": "110"}, ["call_without_check", "other_number"], id="a callee that cannot be read"),
        pytest.param({"caller": "\u2603"}, ["call_without_check", "other_number"], id="a caller that cannot be read"),
        pytest.param({"callee": None, "caller": None}, ["call_without_check", "other_number"], id="no numbers"),
        pytest.param(
            {"started_at": datetime(2026, 11, 22, 13, 0, tzinfo=UTC)}, ["call_without_check", "quiet_hours"], id="21:00"
        ),
        pytest.param({"started_at": datetime(2026, 11, 23, 1, 0, tzinfo=UTC)}, ["call_without_check"], id="09:00"),
        pytest.param({"direction": Direction.INBOUND}, [], id="an inbound call"),
    ],
)
def test_calls_without_a_check_are_incidents(
    connection: Connection, changes: dict[str, object], found: list[str]
) -> None:
    answer = record(connection, replace(RECORD, **changes))[0]  # type: ignore[arg-type]  # fields by name

    assert kinds(answer) == found


def test_an_incident_names_article_call_check_and_agent(connection: Connection) -> None:
    answer = record(connection, replace(RECORD, check_id="x"))[0]

    incident = read_incident(connection, answer.incidents[0][0])
    assert (incident.article, incident.call_id, incident.state, incident.detected_at) == ("27", "call-1", "open", NOW)
    details = {"check_id": "x", "agent_id": "agent-1", "started_at": "2026-11-23T12:00:05+08:00"}
    assert incident.details == details


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        pytest.param({"started_at": NOON - timedelta(microseconds=1)}, ["check_expired"], id="before the check"),
        pytest.param({"started_at": NOON}, [], id="with the check"),
        pytest.param({"started_at": NOON + timedelta(seconds=60)}, [], id="in its last instant"),
        pytest.param({"started_at": NOON + timedelta(seconds=60, microseconds=1)}, ["check_expired"], id="after it"),
        pytest.param({"callee": "13900139000"}, ["other_number"], id="another callee"),
        pytest.param({"caller": "95518"}, ["other_number"], id="another caller"),
        pytest.param({"callee": "0086 138-0013-8000", "caller": "400-812-3123"}, [], id="other spellings"),
    ],
)
def test_a_call_is_compared_with_its_check(
    connection: Connection, changes: dict[str, object], found: list[str]
) -> None:
    one = replace(RECORD, check_id=allowed(connection), answered_at=None, **changes)  # type: ignore[arg-type]

    assert kinds(record(connection, one)[0]) == found


def test_a_call_in_spite_of_a_denial_is_an_incident(connection: Connection) -> None:
    write_registers(connection)

    assert kinds(record(connection, replace(RECORD, check_id=check(connection, agent_id="nobody")))[0]) == [
        "check_denied"
    ]


@pytest.mark.parametrize(
    ("filed_after_check", "found"),
    [
        pytest.param(timedelta(seconds=2), ["check_superseded", "blocked_number"], id="before the call"),
        pytest.param(timedelta(seconds=5), [], id="with its start"),
        pytest.param(timedelta(seconds=9), [], id="after its start"),
    ],
)
def test_a_refusal_filed_in_between_ends_the_check(
    connection: Connection, filed_after_check: timedelta, found: list[str]
) -> None:
    check_id = allowed(connection)
    block(connection, refused_at=NOON + filed_after_check, now=NOON + filed_after_check)

    assert kinds(record(connection, replace(RECORD, check_id=check_id))[0]) == found


def test_a_refusal_by_another_number_of_the_person_ends_the_check_too(connection: Connection) -> None:
    rows = [
        {"phone_digits": phone, "customer_id": "C", "recorded_at": NOON} for phone in (8613800138000, 8613900139000)
    ]
    connection.execute(insert(customer_phones), rows)
    check_id = allowed(connection)
    refusal = Refusal(phone_e164="+8613900139000", source=BlockSource.CALL, refused_at=NOON)
    block_person(connection, refusal, block_months=6, person="dialer", now=NOON + timedelta(seconds=1))

    assert "check_superseded" in kinds(record(connection, replace(RECORD, check_id=check_id))[0])


def test_a_check_serves_one_call_the_first_to_begin(connection: Connection) -> None:
    second = replace(RECORD, check_id=allowed(connection))
    first = replace(second, call_id="call-0", started_at=NOON + timedelta(seconds=1))

    answers = record(connection, second, first)
    later = record(connection, replace(second, call_id="call-2", started_at=NOON, answered_at=None))

    assert [kinds(answer) for answer in (*answers, *later)] == [["check_reused"], [], ["check_reused"]]


def test_concurrent_calls_with_one_check_cannot_both_be_the_first(engine: Engine) -> None:
    with engine.begin() as connection:
        check_id = allowed(connection)

    def deliver(number: int) -> list[str]:
        with engine.begin() as connection:
            return kinds(record(connection, replace(RECORD, check_id=check_id, call_id=f"call-{number}"))[0])

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(deliver, range(16)))

    assert sorted(found) == [[], *([["check_reused"]] * 15)]


def test_a_call_to_a_blocked_number_is_an_incident(connection: Connection) -> None:
    block(connection, refused_at=NOON - timedelta(days=1), now=NOON - timedelta(days=1))
    before = replace(RECORD, call_id="before", started_at=NOON - timedelta(days=2), answered_at=None)

    answers = record(connection, RECORD, before)

    assert [kinds(answer) for answer in answers] == [["call_without_check", "blocked_number"], ["call_without_check"]]


def test_service_that_a_check_allowed_is_not_bound_by_hours_and_list(connection: Connection) -> None:
    write_registers(connection)
    body = {"phones": [P], "region": "110000", "segments": [], "policy_nos": ["1"], "birth_date": None}
    add_row(connection, Register.CUSTOMERS, "C", Change(fields=body, effective_from=LONG_AGO), person="t", now=NOON)
    block(connection, refused_at=NOON - timedelta(days=1), now=NOON - timedelta(days=1))
    night = NOON + timedelta(hours=10)
    check_id = check(connection, at=night, purpose="service", customer_id="C")
    call = replace(RECORD, check_id=check_id, started_at=night, answered_at=None, ended_at=None)

    covered = record(connection, call, now=night)
    second = record(connection, replace(call, call_id="call-2"), now=night)

    assert [kinds(covered[0]), kinds(second[0])] == [[], ["check_reused"]]


def test_hours_are_those_of_the_policy_in_force_when_the_call_began(connection: Connection) -> None:
    old = parse_policy("[quiet_hours]\ndaily = [11:00:00, 10:00:00]\n", on=date(2026, 11, 23))
    new = parse_policy("", on=date(2026, 11, 23))
    for policy, since in ((old, NOON - timedelta(hours=3)), (new, NOON)):
        store_policy(connection, policy, policy_id=new_id(), source="api", now=since)
    started = [NOON, NOON - timedelta(microseconds=1), NOON - timedelta(days=1), NOON - timedelta(days=1, hours=14)]
    calls = [replace(RECORD, call_id=str(index), started_at=at, answered_at=None) for index, at in enumerate(started)]

    found = [kinds(answer) for answer in record(connection, *calls)]

    uncovered, quiet = ["call_without_check"], ["call_without_check", "quiet_hours"]
    assert found == [uncovered, quiet, uncovered, quiet]


@pytest.mark.parametrize(
    ("changes", "refused_at", "source"),
    [
        pytest.param({}, RECORD.ended_at, "call", id="an outbound call, at its end"),
        pytest.param({"ended_at": None}, RECORD.started_at, "call", id="an outbound call without an end"),
        pytest.param(
            {"direction": Direction.INBOUND, "caller": P, "callee": "95518"},
            RECORD.ended_at,
            "inbound_call",
            id="an inbound call, by its caller",
        ),
    ],
)
def test_who_refuses_in_a_call_is_blocked(
    connection: Connection, changes: dict[str, object], refused_at: datetime, source: str
) -> None:
    answer = record(connection, replace(REFUSED, **changes))[0]  # type: ignore[arg-type]  # fields by name

    assert answer.do_not_call_entry_id is not None
    listed = read_entry(connection, answer.do_not_call_entry_id)
    assert (listed.entry.refused_at, listed.entry.source, listed.phones_e164) == (refused_at, source, (P,))
    assert read_history(connection, listed.entry.entry_id)[0].details["call_id"] == "call-1"
    assert read_call(connection, "call-1").do_not_call_entry_id == answer.do_not_call_entry_id
    assert "blocked_number" not in kinds(answer)


def test_the_refusal_blocks_the_customer_of_the_check(connection: Connection) -> None:
    write_registers(connection)
    check_id = check(connection, customer_id="C")

    answer = record(connection, replace(REFUSED, check_id=check_id))[0]

    assert answer.do_not_call_entry_id is not None
    assert read_entry(connection, answer.do_not_call_entry_id).entry.customer_id == "C"


def test_a_refusal_on_another_number_does_not_block_the_customer_of_the_check(connection: Connection) -> None:
    write_registers(connection)
    check_id = check(connection, customer_id="C")

    answer = record(connection, replace(REFUSED, check_id=check_id, callee="13900139000"))[0]

    assert answer.do_not_call_entry_id is not None
    listed = read_entry(connection, answer.do_not_call_entry_id)
    assert (listed.entry.customer_id, listed.phones_e164) == (None, ("+8613900139000",))


def test_an_unreadable_callee_who_refuses_is_blocked_by_the_check(connection: Connection) -> None:
    answer = record(connection, replace(REFUSED, check_id=allowed(connection), callee="?"))[0]

    assert answer.do_not_call_entry_id is not None
    assert read_entry(connection, answer.do_not_call_entry_id).phones_e164 == (P,)
    assert kinds(answer) == ["other_number"]


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        pytest.param({"callee": "?"}, ["call_without_check", "other_number", "refusal_not_blocked"], id="outbound"),
        pytest.param({"direction": Direction.INBOUND, "caller": None}, ["refusal_not_blocked"], id="a hidden caller"),
        pytest.param({"direction": Direction.INBOUND, "caller": "95518"}, ["refusal_not_blocked"], id="a short caller"),
    ],
)
def test_a_refusal_that_cannot_be_blocked_is_an_incident(
    connection: Connection, changes: dict[str, object], found: list[str]
) -> None:
    answer = record(connection, replace(REFUSED, **changes))[0]  # type: ignore[arg-type]  # fields by name

    assert (answer.do_not_call_entry_id, kinds(answer)) == (None, found)


def test_of_two_calls_delivered_together_the_second_knows_the_refusal_in_the_first(connection: Connection) -> None:
    again = replace(RECORD, call_id="call-2", started_at=NOON + timedelta(seconds=100), answered_at=None, ended_at=None)

    answers = record(connection, REFUSED, again)

    assert [kinds(answer) for answer in answers] == [["call_without_check"], ["call_without_check", "blocked_number"]]


def test_the_same_record_again_changes_nothing_and_is_answered_the_same(connection: Connection) -> None:
    first = record(connection, REFUSED)
    in_utc = replace(REFUSED, started_at=REFUSED.started_at.astimezone(timezone(timedelta(hours=8))))

    again = record(connection, in_utc, in_utc, now=NOW + timedelta(hours=1))

    assert again == [*first, *first]
    assert first[0].incidents
    assert connection.execute(select(func.count()).select_from(do_not_call_events)).scalar_one() == 1
    assert connection.execute(select(func.count()).select_from(incidents)).scalar_one() == 1


def test_another_content_under_the_same_id_is_refused(connection: Connection) -> None:
    record(connection, RECORD)

    with pytest.raises(CallRecordedError, match="call-1"):
        record(connection, REFUSED)
    with pytest.raises(CallRecordedError, match="call-9"):
        record(connection, replace(RECORD, call_id="call-9"), replace(REFUSED, call_id="call-9"))


def test_no_records_are_no_work(connection: Connection) -> None:
    assert record(connection) == []


def test_a_concurrent_delivery_of_the_same_record_is_answered_the_same(engine: Engine) -> None:
    def deliver(_number: int) -> list[RecordedCall]:
        with engine.begin() as connection:
            return record(connection, REFUSED)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(deliver, range(16)))

    assert answers == [answers[0]] * 16
    with engine.begin() as connection:
        assert connection.execute(select(func.count()).select_from(call_records)).scalar_one() == 1
        assert connection.execute(select(func.count()).select_from(incidents)).scalar_one() == 1


def test_a_large_delivery_costs_as_many_statements_as_a_small_one(connection: Connection) -> None:
    statements: list[str] = []
    event.listen(connection, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))

    def count(first: int, calls: int) -> int:
        statements.clear()
        numbers = range(first, first + calls)
        record(
            connection,
            *(replace(REFUSED, call_id=f"n{number}", callee=f"138{number:08}") for number in numbers),
        )
        return len(statements)

    assert count(1000, 2) == count(2000, 500) < 25


def test_calls_are_listed_from_the_latest_start_by_day_and_agent(connection: Connection) -> None:
    midnight = datetime(2026, 11, 22, 16, 0, tzinfo=UTC)
    starts = {"a": midnight, "b": midnight - timedelta(microseconds=1), "c": midnight, "d": NOON}
    calls = [
        replace(RECORD, call_id=name, started_at=at, answered_at=None, agent_id="agent-2" if name == "d" else "agent-1")
        for name, at in starts.items()
    ]
    record(connection, *calls)

    def listed(wanted: CallFilter, before: tuple[datetime, str] | None = None) -> str:
        return "".join(one.record.call_id for one in list_calls(connection, wanted, before=before, limit=10))

    assert listed(CallFilter()) == "dcab"
    assert listed(CallFilter(from_day=date(2026, 11, 23))) == "dca"
    assert listed(CallFilter(to_day=date(2026, 11, 22))) == "b"
    assert listed(CallFilter(agent_id="agent-1")) == "cab"
    assert listed(CallFilter(), before=(midnight, "c")) == "ab"


def test_an_unknown_call_is_not_found(connection: Connection) -> None:
    with pytest.raises(UnknownCallError, match="nothing"):
        read_call(connection, "nothing")
