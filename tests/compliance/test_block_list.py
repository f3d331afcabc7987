"""The do-not-call list: one entry per person, at once, never shorter."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from compliance.block_entries import BlockSource, read_entry, read_history
from compliance.block_list import (
    BlockChange,
    BlockResult,
    FutureRefusalError,
    NobodyRefusedError,
    PersonContendedError,
    Refusal,
    block_person,
    block_persons,
)
from compliance.call_checks import Gate, check_calls
from compliance.call_facts import ProposedCall
from compliance.decision import ReasonCode
from compliance.do_not_call import PERMANENT
from compliance.register_book import Shelf
from compliance.register_tables import customer_phones
from compliance.tables import do_not_call_entries, do_not_call_events, do_not_call_phones
from compliance.working_days import package_calendar

NOW = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
P, Q, R = "+8613800138000", "+8613900139000", "+8613700137000"
REFUSAL = Refusal(phone_e164=P, source=BlockSource.CALL, refused_at=NOW)


def block(connection: Connection, refusal: Refusal = REFUSAL, *, months: int = 6, now: datetime = NOW) -> BlockResult:
    return block_person(connection, refusal, block_months=months, person="dialer", now=now)


def hold(connection: Connection, customer_id: str, *phones: str) -> None:
    rows = [{"phone_digits": int(phone), "customer_id": customer_id, "recorded_at": NOW} for phone in phones]
    connection.execute(insert(customer_phones), rows)


def entries(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(do_not_call_entries)).scalar_one()


def is_denied(connection: Connection, callee: str, *, customer_id: str | None = None, now: datetime = NOW) -> bool:
    gate = Gate(shelf=Shelf(), calendar=package_calendar())
    call = ProposedCall(callee=callee, customer_id=customer_id)
    judged = check_calls(connection, [call], gate=gate, actors=["dialer"], now=now)[0]
    return ReasonCode.DO_NOT_CALL in {reason.code for reason in judged.decision.reasons}


@pytest.mark.parametrize(
    ("refused_at", "months", "policy_months", "through"),
    [
        pytest.param("2026-03-15T10:00:00+08:00", None, 6, date(2026, 9, 15), id="the floor"),
        pytest.param("2026-03-15T10:00:00+08:00", None, 12, date(2027, 3, 15), id="the policy's figure"),
        pytest.param("2026-03-15T10:00:00+08:00", 0, 6, date(2026, 9, 15), id="fewer are raised"),
        pytest.param("2026-03-15T10:00:00+08:00", 11, 12, date(2027, 3, 15), id="fewer than the policy's are raised"),
        pytest.param("2026-03-15T10:00:00+08:00", 24, 12, date(2028, 3, 15), id="more count"),
        pytest.param("2026-03-15T23:59:59+08:00", None, 6, date(2026, 9, 15), id="last second of the Shanghai day"),
        pytest.param("2026-03-15T16:00:00+00:00", None, 6, date(2026, 9, 16), id="first instant of the next one"),
        pytest.param("2026-08-31T12:00:00+08:00", None, 6, date(2027, 2, 28), id="end of a shorter month"),
        pytest.param("2020-01-01T00:00:00+08:00", None, 6, date(2020, 7, 1), id="long past when it is entered"),
    ],
)
def test_months_are_counted_from_the_shanghai_day_of_the_refusal(
    connection: Connection, refused_at: str, months: int | None, policy_months: int, through: date
) -> None:
    refusal = replace(REFUSAL, refused_at=datetime.fromisoformat(refused_at), months=months)

    result = block(connection, refusal, months=policy_months)

    assert result.change is BlockChange.CREATED
    assert result.entry.blocked_through == through
    assert result.raised_to_months == (policy_months if months is not None and months < policy_months else None)


def test_a_permanent_block_has_no_end_and_warns_of_nothing(connection: Connection) -> None:
    result = block(connection, replace(REFUSAL, permanent=True, months=1))

    assert (result.entry.blocked_through, result.entry.is_permanent, result.raised_to_months) == (PERMANENT, True, None)


def test_a_key_phrase_is_blocked_from_the_moment_of_its_entry(connection: Connection) -> None:
    said_at = NOW - timedelta(days=40)

    entry = block(connection, replace(REFUSAL, source=BlockSource.KEY_PHRASE, refused_at=said_at)).entry

    assert (entry.refused_at, entry.blocked_from, entry.blocked_through) == (NOW, NOW, date(2027, 5, 23))


@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(minutes=5)])
def test_a_refusal_of_a_clock_that_runs_ahead_bites_at_once(connection: Connection, ahead: timedelta) -> None:
    entry = block(connection, replace(REFUSAL, refused_at=NOW + ahead)).entry

    assert (entry.refused_at, entry.blocked_from) == (NOW + ahead, NOW)
    assert is_denied(connection, P)


def test_a_refusal_in_the_future_is_refused(connection: Connection) -> None:
    late = replace(REFUSAL, refused_at=NOW + timedelta(minutes=5, microseconds=1))

    with pytest.raises(FutureRefusalError, match="five minutes"):
        block(connection, late)
    assert entries(connection) == 0


def test_a_refusal_names_somebody(connection: Connection) -> None:
    with pytest.raises(NobodyRefusedError, match="customer_id"):
        block(connection, replace(REFUSAL, phone_e164=None))


def test_a_repeat_extends_the_same_entry_to_the_later_end(connection: Connection) -> None:
    first = block(connection, replace(REFUSAL, months=24))
    later = block(connection, replace(REFUSAL, refused_at=NOW + timedelta(minutes=1), reason="again"))
    longer = block(connection, replace(REFUSAL, months=36, refused_at=NOW - timedelta(days=1)))

    assert (later.change, longer.change) == (BlockChange.UNCHANGED, BlockChange.EXTENDED)
    assert {first.entry.entry_id} == {later.entry.entry_id, longer.entry.entry_id}
    assert later.entry.blocked_through == date(2028, 11, 23)
    assert (longer.entry.blocked_through, longer.entry.refused_at) == (date(2029, 11, 22), NOW + timedelta(minutes=1))
    assert longer.entry.reason == "again"
    assert entries(connection) == 1


def test_each_refusal_is_an_event_with_the_end_after_it(connection: Connection) -> None:
    entry_id = block(
        connection, replace(REFUSAL, months=24, evidence={"recording_id": "r"}, call_id="c")
    ).entry.entry_id
    block(connection, now=NOW + timedelta(seconds=1))

    history = read_history(connection, entry_id)

    assert [(event.kind, event.blocked_through) for event in history] == [("refusal", date(2028, 11, 23))] * 2
    assert history[0].details == {
        "source": "call",
        "phone": "138****8000",
        "customer_id": None,
        "months": 24,
        "permanent": False,
        "demanded_through": "2028-11-23",
        "reason": None,
        "evidence": {"recording_id": "r"},
        "call_id": "c",
    }
    assert history[1].details["demanded_through"] == "2027-05-23"
    assert (history[0].actor, history[0].recorded_at, history[0].refused_at) == ("dialer", NOW, NOW)


@pytest.mark.parametrize(
    ("first", "second", "source"),
    [
        pytest.param((BlockSource.CALL, 0), (BlockSource.COMPLAINT, 1), BlockSource.COMPLAINT, id="the latest"),
        pytest.param((BlockSource.CALL, 0), (BlockSource.COMPLAINT, -1), BlockSource.CALL, id="not an earlier one"),
        pytest.param(
            (BlockSource.CALL, -9), (BlockSource.KEY_PHRASE, 0), BlockSource.CALL, id="no machine over people"
        ),
        pytest.param((BlockSource.KEY_PHRASE, 0), (BlockSource.CALL, -9), BlockSource.CALL, id="people over a machine"),
    ],
)
def test_an_entry_rests_on_the_latest_word_of_people(
    connection: Connection, first: tuple[BlockSource, int], second: tuple[BlockSource, int], source: BlockSource
) -> None:
    block(connection, replace(REFUSAL, source=first[0], refused_at=NOW + timedelta(minutes=first[1])))

    entry = block(connection, replace(REFUSAL, source=second[0], refused_at=NOW + timedelta(minutes=second[1]))).entry

    assert entry.source is source
    assert read_entry(connection, entry.entry_id).entry == entry


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param({"phone_e164": P}, {"phone_e164": Q}, id="two numbers of a customer"),
        pytest.param({"phone_e164": P}, {"phone_e164": None, "customer_id": "C"}, id="number, then customer"),
        pytest.param({"phone_e164": None, "customer_id": "C"}, {"phone_e164": Q}, id="customer, then number"),
        pytest.param({"phone_e164": R, "customer_id": "C"}, {"phone_e164": R}, id="a number named with the customer"),
        pytest.param({"phone_e164": R}, {"phone_e164": R, "customer_id": "C"}, id="the customer becomes known"),
        pytest.param(
            {"phone_e164": R, "customer_id": "C"}, {"phone_e164": P}, id="another number, then the customer's"
        ),
    ],
)
def test_every_way_to_a_person_leads_to_one_entry(
    connection: Connection, first: dict[str, Any], second: dict[str, Any]
) -> None:
    hold(connection, "C", P, Q)

    one = block(connection, replace(REFUSAL, **first))
    two = block(connection, replace(REFUSAL, **second))

    assert one.entry.entry_id == two.entry.entry_id
    assert entries(connection) == 1
    assert is_denied(connection, P)
    assert is_denied(connection, Q)


def test_the_numbers_of_a_person_are_listed_and_later_ones_noted(connection: Connection) -> None:
    hold(connection, "C", P)
    entry_id = block(connection).entry.entry_id
    before = connection.execute(text("SELECT changed_in FROM do_not_call_entries")).scalar_one()
    hold(connection, "C", Q)

    block(connection, now=NOW + timedelta(seconds=1))

    assert read_entry(connection, entry_id).phones_e164 == (P, Q)
    added = [event.details for event in read_history(connection, entry_id) if event.kind == "phone_added"]
    assert added == [{"phone": "139****9000"}]
    assert connection.execute(text("SELECT changed_in FROM do_not_call_entries")).scalar_one() >= before


def test_a_number_that_a_customer_gets_later_is_blocked_without_another_refusal(connection: Connection) -> None:
    block(connection, replace(REFUSAL, customer_id="C"))
    hold(connection, "C", Q)

    assert is_denied(connection, Q)


def test_a_second_customer_of_a_number_leads_to_the_entry_too(connection: Connection) -> None:
    block(connection, replace(REFUSAL, customer_id="C"))

    result = block(connection, replace(REFUSAL, customer_id="D"))

    assert (result.change, result.entry.customer_id, entries(connection)) == (BlockChange.UNCHANGED, "C", 1)
    assert is_denied(connection, R, customer_id="D")


def test_entries_of_people_who_turn_out_to_be_one_all_grow(connection: Connection) -> None:
    older = block(connection).entry
    newer = block(connection, replace(REFUSAL, phone_e164=Q), now=NOW + timedelta(seconds=1)).entry
    hold(connection, "C", P, Q)

    result = block(connection, replace(REFUSAL, phone_e164=None, customer_id="C", months=18))

    assert result.entry.entry_id == older.entry_id
    ends = {read_entry(connection, one.entry_id).entry.blocked_through for one in (older, newer)}
    assert ends == {date(2028, 5, 23)}
    assert [len(read_history(connection, one.entry_id)) for one in (older, newer)] == [2, 2]


def test_a_refusal_after_a_release_blocks_again(connection: Connection) -> None:
    entry_id = block(connection).entry.entry_id
    connection.execute(update(do_not_call_entries).values(released_at=NOW))
    assert not is_denied(connection, P, now=NOW + timedelta(seconds=1))

    result = block(connection, replace(REFUSAL, source=BlockSource.KEY_PHRASE), now=NOW + timedelta(seconds=2))

    assert (result.change, result.entry.entry_id) == (BlockChange.EXTENDED, entry_id)
    assert (result.entry.released_at, result.entry.source) == (None, BlockSource.KEY_PHRASE)
    assert is_denied(connection, P, now=NOW + timedelta(seconds=3))


def test_refusals_entered_together_are_answered_in_order(connection: Connection) -> None:
    refusals = [REFUSAL, replace(REFUSAL, months=9), replace(REFUSAL, phone_e164=Q), replace(REFUSAL, months=7)]

    results = block_persons(connection, refusals, block_months=6, person="dialer", now=NOW)

    assert [result.change.value for result in results] == ["created", "extended", "created", "unchanged"]
    assert len({result.entry.entry_id for result in results}) == entries(connection) == 2
    assert read_entry(connection, results[0].entry.entry_id).entry.blocked_through == date(2027, 8, 23)


def test_refusals_entered_together_find_the_customers_that_one_of_them_named(connection: Connection) -> None:
    said = [(P, "C"), (P, "D"), (Q, "D")]
    refusals = [replace(REFUSAL, phone_e164=phone, customer_id=customer) for phone, customer in said]

    results = block_persons(connection, refusals, block_months=6, person="dialer", now=NOW)

    assert len({result.entry.entry_id for result in results}) == entries(connection) == 1


def test_no_refusals_are_no_work(connection: Connection) -> None:
    assert block_persons(connection, [], block_months=6, person="dialer", now=NOW) == []


def test_the_database_itself_refuses_a_shorter_block(connection: Connection) -> None:
    block(connection)

    with pytest.raises(IntegrityError, match="may not be shortened"):
        connection.execute(update(do_not_call_entries).values(blocked_through=date(2026, 12, 1)))


refusals = st.builds(
    replace,
    st.just(REFUSAL),
    phone_e164=st.sampled_from([P, Q, R]),
    customer_id=st.sampled_from([None, "C", "D"]),
    months=st.sampled_from([None, 1, 7, 40]),
    permanent=st.booleans(),
    refused_at=st.datetimes(datetime(2020, 1, 1), datetime(2026, 11, 22), timezones=st.just(UTC)),  # noqa: DTZ001 - zone follows
)


@given(st.lists(refusals, min_size=1, max_size=6))
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_no_refusal_ever_shortens_and_all_together_say_what_each_alone_says(
    connection: Connection, said: Sequence[Refusal]
) -> None:
    with connection.begin_nested() as undone:
        one_by_one = [block(connection, refusal).entry.blocked_through for refusal in said]
        undone.rollback()
    with connection.begin_nested() as undone:
        together = block_persons(connection, said, block_months=6, person="dialer", now=NOW)
        undone.rollback()

    assert [result.entry.blocked_through for result in together] == one_by_one
    ends: dict[UUID, date] = {}
    for result in together:
        assert result.entry.blocked_through >= ends.get(result.entry.entry_id, date.min)
        ends[result.entry.entry_id] = result.entry.blocked_through


def write_each(engine: Engine, said: Sequence[Refusal], *, threads: int) -> list[BlockChange]:
    def write(refusal: Refusal) -> BlockChange:
        with engine.begin() as connection:
            return block(connection, refusal).change

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(write, said))


def test_2000_concurrent_refusals_of_one_person_are_one_entry_with_the_latest_end(engine: Engine) -> None:
    with engine.begin() as connection:
        hold(connection, "C", P, Q)
    ways: tuple[dict[str, Any], ...] = (
        {"phone_e164": P},
        {"phone_e164": Q},
        {"phone_e164": None, "customer_id": "C"},
        {"customer_id": "C"},
    )
    said = [replace(REFUSAL, months=6 + number % 37, **ways[number % 4]) for number in range(2000)]

    changes = write_each(engine, said, threads=16)

    with engine.begin() as connection:
        assert entries(connection) == 1
        through = connection.execute(select(do_not_call_entries.c.blocked_through)).scalar_one()
        events = connection.execute(select(func.count()).where(do_not_call_events.c.kind == "refusal")).scalar_one()
    assert (through, events) == (date(2030, 5, 23), 2000)
    assert changes.count(BlockChange.CREATED) == 1


def test_concurrent_refusals_of_a_new_number_and_its_customer_are_one_entry(engine: Engine) -> None:
    named = [replace(REFUSAL, phone_e164=f"+8613800138{number:03}", customer_id=f"C{number}") for number in range(100)]
    said = [one for refusal in named for one in (refusal, replace(refusal, customer_id=None), refusal)]

    write_each(engine, said, threads=12)

    with engine.begin() as connection:
        assert entries(connection) == 100
        assert connection.execute(select(func.count(do_not_call_entries.c.customer_id))).scalar_one() == 100
        assert connection.execute(select(func.count()).select_from(do_not_call_phones)).scalar_one() == 100


def test_who_loses_a_number_to_a_concurrent_writer_extends_the_entry_of_that_one(engine: Engine) -> None:
    with engine.connect() as first, ThreadPoolExecutor(1) as pool:
        created = block(first).entry.entry_id
        waiting = pool.submit(write_each, engine, [replace(REFUSAL, months=9)], threads=1)
        with engine.begin() as observer:
            is_waiting = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
            for _ in range(10_000):
                if observer.execute(is_waiting).scalar_one():
                    break
        first.commit()
        change = waiting.result(timeout=30)

    with engine.begin() as connection:
        assert change == [BlockChange.EXTENDED]
        assert read_entry(connection, created).entry.blocked_through == date(2027, 8, 23)
        assert entries(connection) == 1


def test_a_number_lost_again_and_again_is_an_error_and_not_a_second_entry(connection: Connection) -> None:
    connection.execute(
        text("CREATE FUNCTION pg_temp.lost() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
    )
    connection.execute(
        text("CREATE TRIGGER lost BEFORE INSERT ON do_not_call_phones FOR EACH ROW EXECUTE FUNCTION pg_temp.lost()")
    )

    with pytest.raises(PersonContendedError, match="try again"):
        block(connection)
    assert entries(connection) == 0
