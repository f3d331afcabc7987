"""Which refusals end an allow that was still valid, and from when."""

from datetime import date, timedelta
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine

from compliance.block_entries import BlockSource
from compliance.block_list import Refusal, block_person
from compliance.block_release import release_entry, release_payload
from compliance.check_rows import read_check
from compliance.decision import Verdict
from tests.compliance.judged_calls import ALLOWED, ALLOWED_PHONE, block, check, put_customer, refuse, to
from tests.conftest import NOON
from tests.gate_facts import write_registers


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
