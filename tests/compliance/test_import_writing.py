"""A list in chunks does to the stored entries what the same refusals do one by one."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, insert, text, update

from compliance.block_entries import BlockSource
from compliance.block_list import BlockChange, Refusal, block_person
from compliance.do_not_call import PERMANENT, blocked_through
from compliance.import_plan import demand_of
from compliance.import_rows import ImportedRefusal
from compliance.import_writing import store_chunk
from compliance.phone_numbers import masked
from compliance.register_tables import customer_phones
from compliance.shanghai import shanghai_day
from compliance.tables import do_not_call_entries
from tests.compliance.import_lists import DAY
from tests.conftest import NOON

PHONES = [f"+861380013800{index}" for index in range(5)]


CUSTOMERS = ["C-1", "C-2", "C-3"]


moments = st.integers(0, 400).map(lambda days: NOON - days * DAY)


months = st.sampled_from([None, 6, 9, 24])


persons = st.tuples(st.none() | st.sampled_from(PHONES), st.none() | st.sampled_from(CUSTOMERS)).filter(any)


stored_sources = st.sampled_from([BlockSource.CALL, BlockSource.KEY_PHRASE, BlockSource.IMPORT])


class Wanted(NamedTuple):
    person: tuple[str | None, str | None]
    refused_at: datetime
    months: int | None
    permanent: bool
    reason: str | None

    def refusal(self, source: BlockSource, line: int) -> Refusal:
        return Refusal(
            phone_e164=self.person[0],
            customer_id=self.person[1],
            source=source,
            refused_at=self.refused_at,
            months=self.months,
            permanent=self.permanent,
            reason=self.reason,
            evidence={"job_id": None, "line": line},
        )

    def imported(self, line: int) -> ImportedRefusal:
        months = self.months or 6
        through = PERMANENT if self.permanent else blocked_through(shanghai_day(self.refused_at), months)
        phone, customer_id = self.person
        return ImportedRefusal(line, phone, customer_id, self.refused_at, through, raised=False, reason=self.reason)


wanted = st.builds(
    Wanted, persons, moments, months, st.sampled_from([False, False, False, True]), st.sampled_from([None, "a", "b"])
)


plain = st.builds(
    Wanted,
    st.tuples(st.sampled_from(PHONES), st.none()),
    moments,
    months,
    st.just(False),  # noqa: FBT003 - a value, not an argument
    st.none(),
)


def state(connection: Connection) -> dict[str, object]:
    """Return the whole list without ids of its own: entries by their numbers, with their events in order."""
    phones: dict[UUID, list[int]] = {}
    for phone, entry_id in connection.execute(text("SELECT * FROM do_not_call_phones ORDER BY 1")):
        phones.setdefault(entry_id, []).append(phone)
    events: dict[UUID, list[object]] = {}
    for row in connection.execute(text("SELECT * FROM do_not_call_events ORDER BY recorded_at, event_id")):
        details = {key: value for key, value in row.details.items() if key != "months"}
        event = (row.kind, row.refused_at, row.blocked_through, details, row.actor, row.recorded_at)
        events.setdefault(row.entry_id, []).append(event)
    columns = "customer_id, blocked_from, refused_at, blocked_through, source, reason, released_at, created_at"
    entries = [
        (phones.get(row.entry_id, []), *row[1:], events[row.entry_id])
        for row in connection.execute(text(f"SELECT entry_id, {columns} FROM do_not_call_entries"))  # noqa: S608
    ]
    links = connection.execute(text("SELECT phone_digits, customer_id FROM customer_phones ORDER BY 1, 2")).all()
    return {"entries": sorted(entries, key=repr), "links": [tuple(link) for link in links]}


def one_by_one(connection: Connection, rows: list[Wanted]) -> list[BlockChange]:
    return [
        block_person(
            connection, row.refusal(BlockSource.IMPORT, line), block_months=6, person="officer", now=NOON
        ).change
        for line, row in enumerate(rows, start=2)
    ]


def in_chunks(connection: Connection, rows: list[Wanted], size: int) -> list[BlockChange]:
    changes: list[BlockChange] = []
    demands = [demand_of(row.imported(line), job_id=None) for line, row in enumerate(rows, start=2)]
    for start in range(0, len(demands), size):
        tally = store_chunk(connection, demands[start : start + size], person="officer", now=NOON)
        changes += [BlockChange.CREATED] * tally.created + [BlockChange.EXTENDED] * tally.extended
        changes += [BlockChange.UNCHANGED] * tally.unchanged
    return sorted(changes)


@pytest.fixture(scope="module")
def property_connection(shared_engine: Engine) -> Iterator[Connection]:
    with shared_engine.connect() as opened:
        yield opened
        opened.rollback()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    held=st.sets(st.tuples(st.sampled_from(PHONES), st.sampled_from(CUSTOMERS)), max_size=4),
    stored=st.lists(st.tuples(wanted, stored_sources, st.booleans()), max_size=4),
    rows=st.lists(wanted | plain, min_size=1, max_size=8),
    size=st.integers(1, 8),
)
def test_a_list_does_what_the_same_refusals_do_one_by_one(
    property_connection: Connection,
    held: set[tuple[str, str]],
    stored: list[tuple[Wanted, BlockSource, bool]],
    rows: list[Wanted],
    size: int,
) -> None:
    with property_connection.begin_nested() as everything:
        links = [{"phone_digits": int(phone), "customer_id": one, "recorded_at": NOON} for phone, one in sorted(held)]
        if links:
            property_connection.execute(insert(customer_phones), links)
        for index, (row, source, is_released) in enumerate(stored):
            now = NOON - (10 - index) * timedelta(hours=1)
            refused = row._replace(refused_at=min(row.refused_at, now)).refusal(source, 0)
            entry = block_person(property_connection, refused, block_months=6, person="agent", now=now).entry
            if is_released:
                released = update(do_not_call_entries).where(do_not_call_entries.c.entry_id == entry.entry_id)
                property_connection.execute(released.values(released_at=now))
        with property_connection.begin_nested() as alone:
            expected = sorted(one_by_one(property_connection, rows)), state(property_connection)
            alone.rollback()
        found = in_chunks(property_connection, rows, size), state(property_connection)
        everything.rollback()
    assert found == expected


@given(st.one_of(st.from_regex(r"\+861[0-9]{10}", fullmatch=True), st.from_regex(r"\+[0-9]{5,15}", fullmatch=True)))
def test_numbers_in_the_history_are_masked_as_everywhere(phone: str) -> None:
    demand = demand_of(ImportedRefusal(2, phone, None, NOON, PERMANENT, raised=False, reason=None), job_id=None)
    assert f'"phone":"{masked(phone)}"'.encode() in demand.details
