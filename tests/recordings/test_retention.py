"""Rows of recordings follow the sales, holds and blocks that stand, and only ever move later."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from threading import Thread
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine, insert, select

from compliance.block_entries import BlockSource
from compliance.block_list import Refusal, block_person
from compliance.tables import call_records
from recordings.retention import read_retention, refresh, refresh_sale, shorten_sale
from recordings.retention_rules import EarlierEnd, RetentionState
from recordings.tables import recording_events, recordings
from tests.conftest import NOON
from tests.recordings.archive_rows import POLICY, add_recording, add_sale, end_sale

STRICT = replace(POLICY, retention=replace(POLICY.retention, years_5y=7))


def row_of(connection: Connection, recording_id: UUID) -> tuple[object, ...]:
    c = recordings.c
    found = select(c.is_held, c.keep_through, c.retention_class, c.retention_basis, c.is_lock_due)
    return tuple(connection.execute(found.where(c.recording_id == recording_id)).one())


def kinds_of(connection: Connection, recording_id: UUID) -> list[str]:
    c = recording_events.c
    asked = select(c.kind).where(c.recording_id == recording_id).order_by(c.event_id)
    return list(connection.execute(asked).scalars())


def test_a_recording_of_an_unknown_policy_is_held_until_the_sale_has_ended(connection: Connection) -> None:
    one = add_recording(connection, policy_no="P-1")
    refresh(connection, [one], policy=POLICY, now=NOON)
    unknown = row_of(connection, one)
    add_sale(connection, "P-1")
    refresh_sale(connection, "P-1", policy=POLICY, now=NOON)
    running = row_of(connection, one)
    end_sale(connection, "P-1", date(2024, 2, 29))

    changed = refresh_sale(connection, "P-1", policy=POLICY, now=NOON)

    assert changed == [one]
    assert unknown == (True, None, None, "unknown_sale", False)
    assert running == (True, None, "5y", "sale", False)
    assert row_of(connection, one) == (False, date(2029, 2, 28), "5y", "sale", True)
    assert kinds_of(connection, one) == ["dated", "released"]


def test_every_sale_that_names_the_call_counts(connection: Connection) -> None:
    one = add_recording(connection, call_id="C-1", policy_no="P-1")
    add_sale(connection, "P-1", ended_on=date(2024, 1, 1))
    add_sale(connection, "P-2", ended_on=date(2023, 1, 1), retention_class="10y", call_ids=("C-1",))
    add_sale(connection, "P-3", call_ids=("C-1",))

    refresh(connection, [one], policy=POLICY, now=NOON)
    held = row_of(connection, one)
    end_sale(connection, "P-3", date(2022, 1, 1))
    refresh_sale(connection, "P-3", policy=POLICY, now=NOON)

    assert held[:2] == (True, None)
    assert row_of(connection, one)[:3] == (False, date(2033, 1, 1), "10y")


def test_without_a_sale_the_company_keeps_three_years_from_the_day_of_the_call(connection: Connection) -> None:
    one = add_recording(connection, call_id="C-1")

    refresh(connection, [one], policy=POLICY, now=NOON)

    assert row_of(connection, one) == (False, date(2023, 3, 1), None, "company", True)


def test_a_second_refresh_changes_nothing(connection: Connection) -> None:
    one = add_recording(connection, call_id="C-1")
    refresh(connection, [one], policy=POLICY, now=NOON)

    assert refresh(connection, [one], policy=POLICY, now=NOON) == []


def test_later_ends_extend_and_earlier_ones_wait_for_two_officers(connection: Connection) -> None:
    one = add_recording(connection, policy_no="P-1")
    add_sale(connection, "P-1", ended_on=date(2024, 1, 1))
    refresh(connection, [one], policy=POLICY, now=NOON)
    end_sale(connection, "P-1", date(2024, 6, 1))
    refresh_sale(connection, "P-1", policy=POLICY, now=NOON)
    later = row_of(connection, one)[1]
    end_sale(connection, "P-1", date(2023, 6, 1))
    refresh_sale(connection, "P-1", policy=POLICY, now=NOON)
    not_agreed = row_of(connection, one)[1]

    earlier = EarlierEnd(replaced=date(2024, 6, 1), ended_on=date(2023, 6, 1))
    shorten_sale(connection, "P-1", earlier=earlier, policy=POLICY, now=NOON)

    assert (later, not_agreed) == (date(2029, 6, 1), date(2029, 6, 1))
    assert row_of(connection, one)[1] == date(2028, 6, 1)
    assert kinds_of(connection, one) == ["dated", "released", "extended", "shortened"]


def test_an_agreed_earlier_end_takes_no_date_away_while_another_contract_runs(connection: Connection) -> None:
    one = add_recording(connection, policy_no="P-1", call_id="C-1")
    add_sale(connection, "P-1", ended_on=date(2024, 1, 1))
    refresh(connection, [one], policy=POLICY, now=NOON)
    add_sale(connection, "P-2", call_ids=("C-1",))
    end_sale(connection, "P-1", date(2023, 1, 1))

    earlier = EarlierEnd(replaced=date(2024, 1, 1), ended_on=date(2023, 1, 1))
    shorten_sale(connection, "P-1", earlier=earlier, policy=POLICY, now=NOON)

    assert row_of(connection, one)[:2] == (True, date(2029, 1, 1))


def test_an_agreed_earlier_end_moves_a_date_by_the_years_it_was_given(connection: Connection) -> None:
    one = add_recording(connection, policy_no="P-1")
    add_sale(connection, "P-1", ended_on=date(2024, 2, 29))
    refresh(connection, [one], policy=STRICT, now=NOON)
    end_sale(connection, "P-1", date(2023, 6, 1))

    earlier = EarlierEnd(replaced=date(2024, 2, 29), ended_on=date(2023, 6, 1))
    shorten_sale(connection, "P-1", earlier=earlier, policy=POLICY, now=NOON)

    assert row_of(connection, one)[1] == date(2030, 6, 1)


def test_an_agreed_earlier_end_leaves_a_date_that_came_from_elsewhere(connection: Connection) -> None:
    one = add_recording(connection, call_id="C-1", started_at=datetime(2024, 5, 1, 2, 0, tzinfo=UTC))
    refresh(connection, [one], policy=POLICY, now=NOON)
    add_sale(connection, "P-1", call_ids=("C-1",), ended_on=date(2021, 1, 1))
    refresh_sale(connection, "P-1", policy=POLICY, now=NOON)
    end_sale(connection, "P-1", date(2020, 6, 1))

    earlier = EarlierEnd(replaced=date(2021, 1, 1), ended_on=date(2020, 6, 1))
    shorten_sale(connection, "P-1", earlier=earlier, policy=POLICY, now=NOON)

    assert row_of(connection, one)[1] == date(2027, 5, 1)


def test_a_reinstated_contract_holds_and_its_date_stands_beneath(connection: Connection) -> None:
    one = add_recording(connection, policy_no="P-1")
    add_sale(connection, "P-1", ended_on=date(2024, 1, 1))
    refresh(connection, [one], policy=POLICY, now=NOON)
    end_sale(connection, "P-1", None)
    refresh_sale(connection, "P-1", policy=POLICY, now=NOON)

    shown = read_retention(connection, [one], policy=POLICY, now=NOON)[one].retention
    assert row_of(connection, one)[:2] == (True, date(2029, 1, 1))
    assert (shown.state, shown.keep_through) == (RetentionState.HELD, None)


def test_a_looser_policy_lowers_no_date(connection: Connection) -> None:
    one = add_recording(connection, policy_no="P-1")
    add_sale(connection, "P-1", ended_on=date(2024, 1, 1))
    refresh(connection, [one], policy=STRICT, now=NOON)
    end_sale(connection, "P-1", date(2024, 1, 2))

    refresh_sale(connection, "P-1", policy=POLICY, now=NOON)

    assert row_of(connection, one)[1] == date(2031, 1, 1)


def refuse(connection: Connection, phone: str, *, permanent: bool = False) -> None:
    refusal = Refusal(
        phone_e164=phone,
        customer_id=None,
        source=BlockSource.CALL,
        refused_at=NOON,
        months=None,
        permanent=permanent,
        reason=None,
        evidence=None,
    )
    block_person(connection, refusal, block_months=6, person="dialer", now=NOON)


@pytest.mark.parametrize(
    ("permanent", "state", "keep_through"),
    [
        pytest.param(False, RetentionState.DATED, date(2027, 6, 2), id="six months and the unknown rest days"),
        pytest.param(True, RetentionState.HELD, date(2023, 3, 1), id="for good"),
    ],
)
def test_a_running_block_of_the_number_keeps_what_has_expired(
    connection: Connection, permanent: bool, state: RetentionState, keep_through: date
) -> None:
    one = add_recording(connection, phone_digits=8613800138000)
    refresh(connection, [one], policy=POLICY, now=NOON)
    before = read_retention(connection, [one], policy=POLICY, now=NOON)[one].retention.state
    refuse(connection, "+8613800138000", permanent=permanent)

    after = read_retention(connection, [one], policy=POLICY, now=NOON)[one].retention

    assert before is RetentionState.EXPIRED
    assert (after.state, after.keep_through) == (state, keep_through)
    assert row_of(connection, one)[1] == date(2023, 3, 1)


def test_the_number_of_the_call_counts_when_the_recording_names_none(connection: Connection) -> None:
    call = {"call_id": "C-1", "direction": "inbound", "caller_digits": 8613800138000, "callee_digits": 864001234567}
    rest = {"started_at": NOON, "outcome": "other", "content": {}, "content_digest": b"", "actor": "dialer"}
    connection.execute(insert(call_records).values(**call, **rest, recorded_at=NOON))
    one = add_recording(connection, call_id="C-1")
    refuse(connection, "+8613800138000")

    assert read_retention(connection, [one], policy=POLICY, now=NOON)[one].retention.state is RetentionState.DATED


def test_a_block_that_has_run_out_keeps_nothing(connection: Connection) -> None:
    one = add_recording(connection, phone_digits=8613800138000)
    refuse(connection, "+8613800138000")

    found = read_retention(connection, [one], policy=POLICY, now=NOON + timedelta(days=400))[one].retention

    assert found.state is RetentionState.EXPIRED


def test_a_recording_stored_while_its_contract_is_reinstated_is_held(engine: Engine) -> None:
    with engine.begin() as connection:
        add_sale(connection, "P-1", ended_on=date(2024, 1, 1))
    stored: list[UUID] = []

    def store() -> None:
        with engine.begin() as connection:
            stored.append(add_recording(connection, policy_no="P-1"))
            refresh(connection, stored, policy=POLICY, now=NOON)

    thread = Thread(target=store)
    with engine.begin() as connection:
        end_sale(connection, "P-1", None)
        refresh_sale(connection, "P-1", policy=POLICY, now=NOON)
        thread.start()
        thread.join(timeout=0.5)
        waits = thread.is_alive()
    thread.join()

    with engine.begin() as connection:
        assert (waits, row_of(connection, stored[0])[:2]) == (True, (True, None))
