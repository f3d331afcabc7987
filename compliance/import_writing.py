"""Stores a chunk of an imported list in the do-not-call list with a handful of statements.

Locks are taken in the order of `block_list`, so that the two wait for one another and do not deadlock: stored entries
by id, then new entries, then new numbers ascending. Where another writer was first, the database raises an error of
which `is_passing` says so; the caller rolls back and does the whole chunk again.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from functools import lru_cache
from operator import itemgetter
from struct import Struct

import psycopg
from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, TEXT, insert
from sqlalchemy.exc import DBAPIError

from compliance.import_plan import Demand, Event, KnownPersons, Plan, PlannedEntry, Tally
from compliance.register_tables import customer_phones
from infra.binary_rows import (
    NULL,
    UUID_LENGTH,
    copy_in,
    day_field,
    instant_field,
    jsonb_field,
    row_start,
    text_field,
)

_customers = bindparam("customers", type_=ARRAY(TEXT))


_PASSING = (
    psycopg.errors.UniqueViolation,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
    psycopg.errors.LockNotAvailable,
)


def store_chunk(connection: Connection, demands: Sequence[Demand], *, person: str, now: datetime) -> Tally:
    """Block everyone whom a chunk of rows names, in order, in the caller's transaction; `person` enters them.

    An error of which `is_passing` says so means that another writer was first; see there.
    """
    plan = Plan(read_known(connection, demands), now=now)
    for demand in demands:
        plan.apply(demand)
    # By customer, as `block_list` does, and then by id, which is the order in which they were made.
    new = sorted(plan.new_entries(), key=lambda entry: entry.customer_id or "")
    copy_in(connection, _COPY_ENTRIES, map(_entry_row, new))
    changes = _changes(plan.changed_entries())
    if changes is not None:
        connection.execute(_UPDATE_ENTRIES, changes)
    phones = sorted(plan.new_phones.items())
    copy_in(connection, _COPY_PHONES, [_phone_row(2, 8, phone, 16, entry_id) for phone, entry_id in phones])
    if plan.new_links:
        links = [{"phone_digits": phone, "customer_id": one, "recorded_at": now} for phone, one in plan.new_links]
        connection.execute(_ADD_LINKS, sorted(links, key=itemgetter("phone_digits", "customer_id")))
    end = text_field(person) + instant_field(now)
    copy_in(connection, _COPY_EVENTS, [_event_row(event, end) for event in plan.events])
    return plan.tally


_HOLDINGS = text("""
    SELECT customer_id, phone_digits FROM customer_phones WHERE customer_id IN (
      SELECT customer_id FROM customer_phones WHERE phone_digits = ANY(CAST(:phones AS bigint[]))
      UNION SELECT unnest(:customers))""").bindparams(_customers)

_ENTRY_IDS = text("""
    SELECT phone_digits, NULL::text AS customer_id, uuid_send(entry_id)
      FROM do_not_call_phones WHERE phone_digits = ANY(CAST(:phones AS bigint[]))
    UNION ALL
    SELECT NULL, customer_id, uuid_send(entry_id)
      FROM do_not_call_entries WHERE customer_id = ANY(:customers)""").bindparams(_customers)

_LOCK_ENTRIES = text("""
    SELECT uuid_send(entry_id), customer_id, blocked_from, refused_at, blocked_through, source, reason, released_at,
           created_at
      FROM do_not_call_entries e WHERE e.entry_id = ANY(CAST(:ids AS uuid[])) ORDER BY e.entry_id FOR UPDATE""")


def read_known(connection: Connection, demands: Sequence[Demand]) -> KnownPersons:
    """Read what is stored of the people whom these rows name, and lock their entries."""
    known = KnownPersons()
    phones = {one.phone_digits for one in demands if one.phone_digits is not None}
    customers = {one.customer_id for one in demands if one.customer_id is not None}
    names = {"phones": _array(sorted(phones)), "customers": sorted(customers)}
    for customer_id, phone in connection.execute(_HOLDINGS, names):
        known.link(phone, customer_id)
    names = {"phones": _array(sorted(phones.union(known.holders))), "customers": sorted(customers.union(known.held))}
    for phone, customer_id, entry_id in connection.execute(_ENTRY_IDS, names):
        if phone is None:
            known.by_customer[customer_id] = entry_id
        else:
            known.by_phone[phone] = entry_id
    _lock_entries(connection, known)
    return known


def _lock_entries(connection: Connection, known: KnownPersons) -> None:
    ids = {*known.by_phone.values(), *known.by_customer.values()}
    if not ids:
        return
    for row in connection.execute(_LOCK_ENTRIES, {"ids": _array(one.hex() for one in sorted(ids))}):
        entry = PlannedEntry(*row)
        known.entries[entry.entry_id] = entry
        if entry.customer_id is not None:
            # Another writer may have named it while we waited for the lock.
            known.by_customer[entry.customer_id] = entry.entry_id


_COPY_ENTRIES = """
    COPY do_not_call_entries (entry_id, blocked_from, refused_at, blocked_through, created_at, source, customer_id,
                              reason) FROM STDIN (FORMAT binary)"""

_COPY_EVENTS = """
    COPY do_not_call_events (event_id, entry_id, kind, refused_at, blocked_through, details, actor,
                             recorded_at) FROM STDIN (FORMAT binary)"""

_UPDATE_ENTRIES = text("""
    UPDATE do_not_call_entries e
       SET customer_id = coalesce(e.customer_id, n.customer_id), blocked_from = least(e.blocked_from, n.blocked_from),
           refused_at = greatest(e.refused_at, n.refused_at),
           blocked_through = greatest(e.blocked_through, n.blocked_through),
           source = n.source, reason = n.reason, released_at = NULL
      FROM unnest(CAST(:ids AS uuid[]), :customers, CAST(:froms AS timestamptz[]), CAST(:refusals AS timestamptz[]),
                  CAST(:throughs AS date[]), CAST(:sources AS text[]), :reasons)
        AS n (entry_id, customer_id, blocked_from, refused_at, blocked_through, source, reason)
     WHERE e.entry_id = n.entry_id""").bindparams(_customers, bindparam("reasons", type_=ARRAY(TEXT)))

_COPY_PHONES = "COPY do_not_call_phones (phone_digits, entry_id) FROM STDIN (FORMAT binary)"
"""A number that another writer has just added is an error, and the chunk begun anew: that happens almost never, and
costs less than to ask for each number."""

_ADD_LINKS = insert(customer_phones).on_conflict_do_nothing()


_ENTRY_START = row_start(8) + UUID_LENGTH
_EVENT_START = row_start(8) + UUID_LENGTH
_phone_row = Struct("!hiqi16s").pack
"""Columns, and each value after its length."""


def _entry_row(entry: PlannedEntry) -> bytes:
    when = _entry_times(entry.blocked_from, entry.refused_at, entry.blocked_through, entry.created_at, entry.source)
    whose, why = entry.customer_id, entry.reason
    own = _NOTHING_OWN if whose is None and why is None else text_field(whose) + text_field(why)
    return _ENTRY_START + entry.entry_id + when + own


_NOTHING_OWN = NULL + NULL


@lru_cache(1 << 14)
def _entry_times(
    blocked_from: datetime, refused_at: datetime, blocked_through: date, created_at: datetime, source: str
) -> bytes:
    """Return the middle fields of an entry; a list repeats its dates."""
    instants = instant_field(blocked_from) + instant_field(refused_at)
    return instants + day_field(blocked_through) + instant_field(created_at) + text_field(source)


def _event_row(event: Event, end: bytes) -> bytes:
    what = _event_times(event.kind, event.refused_at, event.blocked_through)
    details = jsonb_field(event.details)
    return b"".join((_EVENT_START, event.event_id, UUID_LENGTH, event.entry_id, what, details, end))


@lru_cache(1 << 14)
def _event_times(kind: str, refused_at: datetime | None, blocked_through: date | None) -> bytes:
    return text_field(kind) + instant_field(refused_at) + day_field(blocked_through)


def _changes(changed: Sequence[PlannedEntry]) -> dict[str, object] | None:
    """Return stored entries as they have grown, by column; their rows are locked already."""
    if not changed:
        return None
    return {
        "ids": _array(entry.entry_id.hex() for entry in changed),
        "customers": [entry.customer_id for entry in changed],
        "froms": _array(entry.blocked_from.isoformat() for entry in changed),
        "refusals": _array(entry.refused_at.isoformat() for entry in changed),
        "throughs": _array(entry.blocked_through.isoformat() for entry in changed),
        "sources": _array(entry.source for entry in changed),
        "reasons": [entry.reason for entry in changed],
    }


def _array(values: Iterable[int | str]) -> str:
    """Return what needs no quotes as the text of an array: the driver would look at each one, at ten times the cost."""
    return "{" + ",".join(map(str, values)) + "}"


def is_passing(error: BaseException) -> bool:
    """Say whether an error means only that another writer was in the way: roll back and do the work again."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return isinstance(cause, _PASSING)
