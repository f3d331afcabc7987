"""Stores a chunk of an imported list in the do-not-call list with a handful of statements.

Locks are taken in the order of `block_list`, so that the two wait for one another and do not deadlock: stored entries
by id, then new entries, then new numbers ascending. Where another writer was first, the database raises an error of
which `is_passing` says so; the caller rolls back and does the whole chunk again.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from functools import lru_cache
from operator import itemgetter
from typing import LiteralString

import psycopg
from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, DATE, TEXT, TIMESTAMP, insert
from sqlalchemy.exc import DBAPIError

from compliance.import_plan import Demand, Event, KnownPersons, Plan, PlannedEntry, Tally
from compliance.register_tables import customer_phones
from infra.binary_copy import driver_connection

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
    _copy(connection, _COPY_ENTRIES, "".join([_entry_line(entry) for entry in new]))
    changes = _changes(plan.changed_entries())
    if changes is not None:
        connection.execute(_UPDATE_ENTRIES, changes)
    _copy(connection, _COPY_PHONES, "".join([f"{phone}\t{one}\n" for phone, one in sorted(plan.new_phones.items())]))
    if plan.new_links:
        links = [{"phone_digits": phone, "customer_id": one, "recorded_at": now} for phone, one in plan.new_links]
        connection.execute(_ADD_LINKS, sorted(links, key=itemgetter("phone_digits", "customer_id")))
    end = f"\t{_cell(person)}\t{_text(now)}\n"
    _copy(connection, _COPY_EVENTS, "".join([_event_line(event, end) for event in plan.events]))
    return plan.tally


_HOLDINGS = text("""
    SELECT customer_id, phone_digits FROM customer_phones WHERE customer_id IN (
      SELECT customer_id FROM customer_phones WHERE phone_digits = ANY(CAST(:phones AS bigint[]))
      UNION SELECT unnest(:customers))""").bindparams(_customers)

_ENTRY_IDS = text("""
    SELECT phone_digits, NULL::text AS customer_id, entry_id::text
      FROM do_not_call_phones WHERE phone_digits = ANY(CAST(:phones AS bigint[]))
    UNION ALL
    SELECT NULL, customer_id, entry_id::text
      FROM do_not_call_entries WHERE customer_id = ANY(:customers)""").bindparams(_customers)

_LOCK_ENTRIES = text("""
    SELECT entry_id::text, customer_id, blocked_from, refused_at, blocked_through, source, reason, released_at,
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
    for row in connection.execute(_LOCK_ENTRIES, {"ids": _array(sorted(ids))}):
        entry = PlannedEntry(*row)
        known.entries[entry.entry_id] = entry
        if entry.customer_id is not None:
            # Another writer may have named it while we waited for the lock.
            known.by_customer[entry.customer_id] = entry.entry_id


_COPY_ENTRIES = """
    COPY do_not_call_entries (entry_id, customer_id, blocked_from, refused_at, blocked_through, source, reason,
                              created_at) FROM STDIN"""

_COPY_EVENTS = """
    COPY do_not_call_events (event_id, entry_id, kind, refused_at, blocked_through, details, actor,
                             recorded_at) FROM STDIN"""

_UPDATE_ENTRIES = text("""
    UPDATE do_not_call_entries e
       SET customer_id = coalesce(e.customer_id, n.customer_id), blocked_from = least(e.blocked_from, n.blocked_from),
           refused_at = greatest(e.refused_at, n.refused_at),
           blocked_through = greatest(e.blocked_through, n.blocked_through),
           source = n.source, reason = n.reason, released_at = NULL
      FROM unnest(CAST(:ids AS uuid[]), :customers, :froms, :refusals, :throughs, :sources, :reasons)
        AS n (entry_id, customer_id, blocked_from, refused_at, blocked_through, source, reason)
     WHERE e.entry_id = n.entry_id""").bindparams(
    _customers,
    bindparam("froms", type_=ARRAY(TIMESTAMP(timezone=True))),
    bindparam("refusals", type_=ARRAY(TIMESTAMP(timezone=True))),
    bindparam("throughs", type_=ARRAY(DATE)),
    bindparam("sources", type_=ARRAY(TEXT)),
    bindparam("reasons", type_=ARRAY(TEXT)),
)

_COPY_PHONES = "COPY do_not_call_phones (phone_digits, entry_id) FROM STDIN"
"""A number that another writer has just added is an error, and the chunk begun anew: that happens almost never, and
costs less than to ask for each number."""

_ADD_LINKS = insert(customer_phones).on_conflict_do_nothing()


def _entry_line(entry: PlannedEntry) -> str:
    refused_at, reason = _text(entry.refused_at), _cell(entry.reason)
    blocked_from = refused_at if entry.blocked_from is entry.refused_at else _text(entry.blocked_from)
    start = f"{entry.entry_id}\t{_cell(entry.customer_id)}\t{blocked_from}\t{refused_at}"
    return f"{start}\t{_text(entry.blocked_through)}\t{entry.source}\t{reason}\t{_text(entry.created_at)}\n"


def _event_line(event: Event, end: str) -> str:
    # JSON has no control characters.
    details = event.details.replace("\\", "\\\\")
    start = f"{event.event_id}\t{event.entry_id}\t{event.kind}\t{_text(event.refused_at)}"
    return f"{start}\t{_text(event.blocked_through)}\t{details}{end}"


@lru_cache(1 << 14)
def _text(value: date | None) -> str:
    """Return a date or an instant as COPY takes it; a list repeats its dates."""
    return "\\N" if value is None else str(value)


def _changes(changed: Sequence[PlannedEntry]) -> dict[str, object] | None:
    """Return stored entries as they have grown, by column; their rows are locked already."""
    if not changed:
        return None
    return {
        "ids": _array(entry.entry_id for entry in changed),
        "customers": [entry.customer_id for entry in changed],
        "froms": [entry.blocked_from for entry in changed],
        "refusals": [entry.refused_at for entry in changed],
        "throughs": [entry.blocked_through for entry in changed],
        "sources": [entry.source for entry in changed],
        "reasons": [entry.reason for entry in changed],
    }


def _array(values: Iterable[int | str]) -> str:
    """Return numbers or ids as the text of an array: the driver would quote each one, at ten times the cost."""
    return "{" + ",".join(map(str, values)) + "}"


def _copy(connection: Connection, statement: LiteralString, lines: str) -> None:
    """Send rows in one piece."""
    if lines:
        with driver_connection(connection).cursor() as cursor, cursor.copy(statement) as copy:
            copy.write(lines)


_SPECIAL = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def _cell(value: str | None) -> str:
    """Return a value as the text format of COPY has it."""
    if value is None:
        return "\\N"
    return value if value.isprintable() and "\\" not in value else value.translate(_SPECIAL)


def is_passing(error: BaseException) -> bool:
    """Say whether an error means only that another writer was in the way: roll back and do the work again."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return isinstance(cause, _PASSING)
