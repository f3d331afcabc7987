"""What the gate and its records make of a raised block: the longer end counts from when it was recorded."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import Engine

from compliance.call_checks import Gate, check_calls, simulate_calls
from compliance.call_facts import ProposedCall, Purpose
from compliance.call_records import CallOutcome, CallRecord, Direction, record_calls
from compliance.check_rows import JudgedCall, read_check, replay
from compliance.decision import ReasonCode, Verdict
from compliance.register_book import Shelf
from compliance.registers import Change, Register, add_row
from compliance.working_days import package_calendar
from tests.compliance.judged_calls import ALLOWED
from tests.compliance.raises import MARCH, PHONE, SECOND, adopted, refused, release, run
from tests.conftest import NOON
from tests.gate_facts import CALL, LONG_AGO, write_registers

CALENDAR = package_calendar()
RAISED_AT = NOON + timedelta(seconds=20)
SIX, TWELVE = "2026-09-16T00:00:00+08:00", "2027-03-26T00:00:00+08:00"
"""Until when MARCH denies. The calendar of 2027 is not known yet: ten days more."""


def check(engine: Engine, *, now: datetime, call: ProposedCall = ALLOWED) -> JudgedCall:
    gate = Gate(shelf=Shelf(), calendar=CALENDAR)
    with engine.begin() as connection:
        return check_calls(connection, [call], gate=gate, actors=["dialer"], now=now)[0]


def until_of(judged: JudgedCall) -> str | None:
    """Return until when the do-not-call list denies, None if it does not."""
    [until] = [one.until for one in judged.decision.reasons if one.code is ReasonCode.DO_NOT_CALL] or [None]
    return None if until is None else until.isoformat()


def simulated(engine: Engine, at: datetime, call: ProposedCall = ALLOWED) -> str | None:
    with engine.begin() as connection:
        return until_of(simulate_calls(connection, [call], policy=None, calendar=CALENDAR, at=at, now=NOON)[0])


@pytest.fixture
def registers(engine: Engine) -> None:
    with engine.begin() as connection:
        write_registers(connection)


@pytest.mark.usefixtures("registers")
def test_the_gate_denies_in_the_lengthened_period_right_after_the_job(engine: Engine) -> None:
    refused(engine)
    job_id = adopted(engine, 12)
    before = check(engine, now=NOON)
    run(engine, job_id, now=RAISED_AT)

    after = check(engine, now=RAISED_AT + SECOND)

    assert before.decision.verdict is Verdict.ALLOW
    assert until_of(after) == TWELVE


@pytest.mark.usefixtures("registers")
@pytest.mark.parametrize("by_customer", [False, True], ids=["by number", "by customer"])
@pytest.mark.parametrize(
    ("at", "until"),
    [
        pytest.param(MARCH - SECOND, None, id="before the refusal"),
        pytest.param(datetime(2026, 9, 15, 4, tzinfo=UTC), SIX, id="in the six months"),
        pytest.param(datetime(2026, 9, 16, 4, tzinfo=UTC), None, id="after the six months"),
        pytest.param(RAISED_AT - timedelta(microseconds=1), None, id="just before the raise"),
        pytest.param(RAISED_AT, TWELVE, id="at the raise"),
        pytest.param(datetime(2027, 3, 25, 4, tzinfo=UTC), TWELVE, id="on the last day"),
        pytest.param(datetime(2027, 3, 26, 4, tzinfo=UTC), None, id="after the last day"),
    ],
)
def test_a_simulation_knows_a_raise_from_when_it_was_recorded(
    engine: Engine, at: datetime, until: str | None, *, by_customer: bool
) -> None:
    refused(engine, customer_id="c-1")
    run(engine, adopted(engine, 12), now=RAISED_AT)
    other = replace(ALLOWED, callee="13700137000", customer_id="c-1")

    assert simulated(engine, at, other if by_customer else ALLOWED) == until


@pytest.mark.usefixtures("registers")
def test_a_raise_ends_with_a_release_and_stands_again_with_a_new_refusal(engine: Engine) -> None:
    entry_id = refused(engine, months=6)
    run(engine, adopted(engine, 24), now=RAISED_AT)
    with engine.begin() as connection:
        release(connection, entry_id, now=NOON + timedelta(days=1))
    refused(engine, NOON + timedelta(days=3))

    found = [simulated(engine, NOON + timedelta(days=days)) for days in (0.5, 2, 4)]

    assert [until and until[:10] for until in found] == ["2028-03-26", None, "2028-03-26"]


@pytest.mark.usefixtures("registers")
@pytest.mark.parametrize(
    ("refused_at", "raised_at", "superseded_at"),
    [
        pytest.param(MARCH, RAISED_AT, RAISED_AT, id="raised while the allow was valid"),
        pytest.param(MARCH, NOON - SECOND, NOON, id="being raised during the check"),
        pytest.param(MARCH, NOON + timedelta(seconds=60), None, id="raised after the allow"),
        pytest.param(MARCH - timedelta(days=300), RAISED_AT, None, id="raised, and still over"),
    ],
)
def test_a_raise_that_blocks_the_person_supersedes_an_allow(
    engine: Engine, refused_at: datetime, raised_at: datetime, superseded_at: datetime | None
) -> None:
    refused(engine, refused_at)
    job_id = adopted(engine, 12)
    judged = check(engine, now=NOON)
    run(engine, job_id, now=raised_at)

    with engine.begin() as connection:
        stored = read_check(connection, UUID(judged.check_id))

    assert stored.judged.decision.verdict is Verdict.ALLOW
    assert stored.superseded_at == superseded_at
    assert replay(stored.judged) == (True, judged.decision)


@pytest.mark.usefixtures("registers")
def test_service_that_was_allowed_to_a_blocked_person_is_not_superseded_by_a_raise(engine: Engine) -> None:
    body = {"phones": [PHONE], "region": "110000", "segments": [], "policy_nos": ["1"], "birth_date": None}
    with engine.begin() as connection:
        add_row(connection, Register.CUSTOMERS, "C", Change(body, LONG_AGO), person="t", now=NOON)
    refused(engine, NOON - SECOND)
    job_id = adopted(engine, 12)
    service = replace(ALLOWED, purpose=Purpose.SERVICE, customer_id="C")
    judged = check(engine, now=NOON, call=service)
    run(engine, job_id, now=RAISED_AT)

    with engine.begin() as connection:
        stored = read_check(connection, UUID(judged.check_id))

    assert stored.judged.decision.verdict is Verdict.ALLOW
    assert stored.superseded_at is None


@pytest.mark.usefixtures("registers")
def test_a_call_placed_after_the_raise_is_an_incident_and_one_placed_before_is_none(engine: Engine) -> None:
    refused(engine)
    job_id = adopted(engine, 12)
    judged = [check(engine, now=NOON + place * SECOND) for place in range(2)]
    run(engine, job_id, now=RAISED_AT)
    calls = [
        CallRecord(
            call_id=f"call-{place}",
            check_id=judged[place].check_id,
            direction=Direction.OUTBOUND,
            caller=CALL["caller_number"],
            callee=CALL["callee"],
            agent_id="agent-1",
            started_at=started_at,
            outcome=CallOutcome.OTHER,
        )
        for place, started_at in enumerate((RAISED_AT - SECOND, RAISED_AT + SECOND))
    ]

    with engine.begin() as connection:
        found = record_calls(connection, calls, person="dialer", calendar=CALENDAR, now=NOON + timedelta(minutes=5))

    assert [[kind for _, kind in answer.incidents] for answer in found] == [[], ["check_superseded", "blocked_number"]]
