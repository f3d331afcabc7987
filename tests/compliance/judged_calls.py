"""Calls judged by the gate in tests: those that are allowed, how they are checked, and what may be in their way."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import msgspec
from sqlalchemy import Connection, insert, text

from compliance.block_entries import BlockSource
from compliance.block_list import Refusal, block_person
from compliance.call_checks import Gate, check_calls, simulate_calls
from compliance.call_facts import ProposedCall
from compliance.check_rows import JudgedCall
from compliance.policy import parse_policy
from compliance.policy_store import store_policy
from compliance.register_book import Shelf
from compliance.registers import Change, Register, add_row
from compliance.tables import (
    callback_requests,
    do_not_call_entries,
    do_not_call_events,
    do_not_call_phones,
)
from compliance.working_days import package_calendar
from infra.ids import new_id
from tests.conftest import NOON
from tests.gate_facts import CALL, LONG_AGO

ALLOWED = msgspec.convert(CALL, ProposedCall)
ALLOWED_PHONE = "+8613800138000"
CALENDAR = package_calendar()


def gate() -> Gate:
    return Gate(shelf=Shelf(), calendar=CALENDAR)


def check(connection: Connection, *calls: ProposedCall, now: datetime = NOON) -> list[JudgedCall]:
    return check_calls(connection, calls, gate=gate(), actors=["dialer"] * len(calls), now=now)


def to(callee: str, **changes: str) -> ProposedCall:
    return msgspec.convert({**CALL, "callee": callee, **changes}, ProposedCall)


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


def put_customer(connection: Connection, customer_id: str, *phones: int) -> None:
    fields = {"phones": [f"+{phone}" for phone in phones], "policy_nos": [], "segments": []}
    change = Change(fields=fields, effective_from=LONG_AGO)
    add_row(connection, Register.CUSTOMERS, customer_id, change, person="tests", now=NOON)
    connection.execute(
        text("INSERT INTO customer_phones SELECT unnest(CAST(:phones AS bigint[])), :customer_id, now()"),
        {"phones": list(phones), "customer_id": customer_id},
    )


def ask_to_be_called(connection: Connection) -> str:
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


def refuse(connection: Connection, refused_at: datetime, *, months: int = 6) -> UUID:
    refusal = Refusal(phone_e164=ALLOWED_PHONE, source=BlockSource.CALL, refused_at=refused_at, months=months)
    return block_person(connection, refusal, block_months=6, person="tests", now=NOON).entry.entry_id
