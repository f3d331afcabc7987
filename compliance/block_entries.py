"""Entries of the do-not-call list as values: what one is, how it is found and read, with its whole history.

A person is found by any number and by the customer id: by the entry's own, and by way of the register of
customers, in which every number that a customer ever had stays. Days are days in Asia/Shanghai.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, RowMapping, bindparam, func, select, text
from sqlalchemy.dialects.postgresql import ARRAY, BIGINT, TEXT
from sqlalchemy.dialects.postgresql import UUID as PG_UUID

from compliance.do_not_call import PERMANENT
from compliance.phone_numbers import masked
from compliance.tables import do_not_call_entries, do_not_call_events


class BlockSource(StrEnum):
    """How the refusal reached the company."""

    CALL = "call"
    INBOUND_CALL = "inbound_call"
    COMPLAINT = "complaint"
    COUNTER = "counter"
    MESSAGE = "message"
    KEY_PHRASE = "key_phrase"
    """Found by speech recognition; the block bites at once, a person still has to confirm it."""
    IMPORT = "import"
    OTHER = "other"


class UnknownEntryError(LookupError):
    """No do-not-call entry has this id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One person's entry. `refused_at` is the latest refusal; `blocked_through` is inclusive, by month count.

    `blocked_from` is the instant from which the block bites: the first refusal, or its entry if that was earlier.
    """

    entry_id: UUID
    customer_id: str | None
    blocked_from: datetime
    refused_at: datetime
    blocked_through: date
    source: BlockSource
    reason: str | None
    released_at: datetime | None
    created_at: datetime

    @property
    def is_permanent(self) -> bool:
        return self.blocked_through == PERMANENT


class ListedEntry(NamedTuple):
    """An entry with its numbers, the one on which the person first refused (if known) before the others."""

    entry: Entry
    phones_e164: tuple[str, ...]


class EntryEvent(NamedTuple):
    """One event of an entry's history. A refusal's `blocked_through` is the entry's end after it."""

    event_id: UUID
    kind: str
    refused_at: datetime | None
    blocked_through: date | None
    details: dict[str, Any]
    actor: str
    recorded_at: datetime


class PersonKey(NamedTuple):
    """What names a person: a number, a customer id, or both."""

    phone_digits: int | None
    customer_id: str | None


class Person(NamedTuple):
    """All numbers and customer ids of one person; the numbers ascending."""

    phones: tuple[int, ...]
    customers: frozenset[str]


_phones = bindparam("phones", type_=ARRAY(BIGINT))
_customers = bindparam("customers", type_=ARRAY(TEXT))
_ids = bindparam("ids", type_=ARRAY(PG_UUID(as_uuid=True)))

_HOLDINGS = text("""
    SELECT customer_id, phone_digits FROM customer_phones WHERE customer_id IN (
      SELECT customer_id FROM customer_phones WHERE phone_digits = ANY(:phones)
      UNION SELECT unnest(:customers))""").bindparams(_phones, _customers)

_ENTRY_IDS_SQL = """
    SELECT phone_digits, NULL::text AS customer_id, entry_id
      FROM do_not_call_phones WHERE phone_digits = ANY(:phones)
    UNION ALL
    SELECT NULL, customer_id, entry_id FROM do_not_call_entries WHERE customer_id = ANY(:customers)"""
_ENTRY_IDS = text(_ENTRY_IDS_SQL).bindparams(_phones, _customers)

_NUMBERS = text("""
    SELECT p.entry_id, p.phone_digits, (
             SELECT h.details ->> 'phone' FROM do_not_call_events h
              WHERE h.entry_id = p.entry_id AND h.kind = 'refusal' AND h.details ->> 'phone' IS NOT NULL
              ORDER BY h.recorded_at, h.event_id LIMIT 1) AS first_masked
      FROM do_not_call_phones p WHERE p.entry_id = ANY(:ids) ORDER BY p.entry_id, p.phone_digits""").bindparams(_ids)

_columns = do_not_call_entries.c
ENTRY_COLUMNS = (
    _columns.entry_id,
    _columns.customer_id,
    _columns.blocked_from,
    _columns.refused_at,
    _columns.blocked_through,
    _columns.source,
    _columns.reason,
    _columns.released_at,
    _columns.created_at,
)


def entry_of(row: RowMapping) -> Entry:
    """Return the entry that a row of ENTRY_COLUMNS holds."""
    return Entry(**{**row, "source": BlockSource(row["source"])})


@dataclass(slots=True)
class Holdings:
    """Who holds, or ever held, which numbers, as far as some keys lead; `link` adds what turns out meanwhile."""

    holders: dict[int, set[str]] = field(default_factory=dict)
    held: dict[str, set[int]] = field(default_factory=dict)

    def link(self, phone: int, customer_id: str) -> None:
        """Note that a customer holds, or held, a number."""
        self.holders.setdefault(phone, set()).add(customer_id)
        self.held.setdefault(customer_id, set()).add(phone)

    def person(self, key: PersonKey) -> Person:
        """Return who a key names: the customer named, those who have or ever had the number, all their numbers."""
        customers = set(self.holders.get(key.phone_digits or 0, ()))
        if key.customer_id is not None:
            customers.add(key.customer_id)
        phones = {phone for customer_id in customers for phone in self.held.get(customer_id, ())}
        if key.phone_digits is not None:
            phones.add(key.phone_digits)
        return Person(tuple(sorted(phones)), frozenset(customers))


def read_holdings(connection: Connection, keys: Sequence[PersonKey]) -> Holdings:
    """Return who holds what, as far as it matters for the persons whom these keys name."""
    phones = sorted({key.phone_digits for key in keys if key.phone_digits is not None})
    customers = sorted({key.customer_id for key in keys if key.customer_id is not None})
    found = Holdings()
    for customer_id, phone in connection.execute(_HOLDINGS, {"phones": phones, "customers": customers}):
        found.link(phone, customer_id)
    return found


def read_persons(connection: Connection, keys: Sequence[PersonKey]) -> list[Person]:
    """Return who each key names, see `Holdings.person`."""
    holdings = read_holdings(connection, keys)
    return [holdings.person(key) for key in keys]


class EntryIds(NamedTuple):
    """Which entry each number and each customer id leads to by itself."""

    by_phone: dict[int, UUID]
    by_customer: dict[str, UUID]

    def of(self, person: Person) -> set[UUID]:
        """Return the entries of a person: one, or more when people turned out to be one."""
        by_phone = {self.by_phone[phone] for phone in person.phones if phone in self.by_phone}
        return by_phone | {self.by_customer[one] for one in person.customers if one in self.by_customer}


def read_entry_ids(connection: Connection, persons: Collection[Person]) -> EntryIds:
    """Return the entries that these persons' numbers and customer ids lead to."""
    found = EntryIds({}, {})
    names = {
        "phones": sorted({phone for person in persons for phone in person.phones}),
        "customers": sorted({customer_id for person in persons for customer_id in person.customers}),
    }
    for phone, customer_id, entry_id in connection.execute(_ENTRY_IDS, names):
        if phone is None:
            found.by_customer[customer_id] = entry_id
        else:
            found.by_phone[phone] = entry_id
    return found


def find_entries(
    connection: Connection, key: PersonKey | None, *, before: UUID | None, limit: int
) -> list[ListedEntry]:
    """Return entries, newest first: those that bind the person named, or all when `key` is None.

    Released ones are among them. `before` is the last entry of the page before.
    """
    statement = select(*ENTRY_COLUMNS).order_by(_columns.entry_id.desc()).limit(limit)
    if key is not None:
        persons = read_persons(connection, [key])
        statement = statement.where(_columns.entry_id.in_(sorted(read_entry_ids(connection, persons).of(persons[0]))))
    if before is not None:
        statement = statement.where(_columns.entry_id < before)
    return with_phones(connection, [entry_of(row) for row in connection.execute(statement).mappings()])


def read_entry(connection: Connection, entry_id: UUID) -> ListedEntry:
    """Return one entry.

    Raises:
        UnknownEntryError: there is none with this id.
    """
    statement = select(*ENTRY_COLUMNS).where(_columns.entry_id == entry_id)
    row = connection.execute(statement).mappings().one_or_none()
    if row is None:
        msg = f"there is no do-not-call entry {entry_id}"
        raise UnknownEntryError(msg)
    return with_phones(connection, [entry_of(row)])[0]


def lock_entries(connection: Connection, entry_ids: Collection[UUID]) -> dict[UUID, Entry]:
    """Return these entries, their rows locked in the order of their ids until the transaction ends."""
    if not entry_ids:
        return {}
    is_asked = _columns.entry_id == func.any(sorted(entry_ids))
    statement = select(*ENTRY_COLUMNS).where(is_asked).order_by(_columns.entry_id).with_for_update()
    return {row["entry_id"]: entry_of(row) for row in connection.execute(statement).mappings()}


def with_phones(connection: Connection, entries: Sequence[Entry]) -> list[ListedEntry]:
    """Return `entries` with their numbers."""
    found: dict[UUID, list[tuple[bool, str]]] = {entry.entry_id: [] for entry in entries}
    for entry_id, phone, first_masked in connection.execute(_NUMBERS, {"ids": sorted(found)}):
        e164 = f"+{phone}"
        found[entry_id].append((masked(e164) != first_masked, e164))
    return [ListedEntry(entry, tuple(e164 for _, e164 in sorted(found[entry.entry_id]))) for entry in entries]


def read_history(connection: Connection, entry_id: UUID) -> list[EntryEvent]:
    """Return everything that ever happened to an entry, oldest first."""
    columns = do_not_call_events.c
    statement = (
        select(*(columns[name] for name in EntryEvent._fields))
        .where(columns.entry_id == entry_id)
        .order_by(columns.recorded_at, columns.event_id)
    )
    return [EntryEvent(*row) for row in connection.execute(statement)]
