"""Writes a chunk of an imported list into the do-not-call list with a handful of statements.

Locks are taken in the order of `block_list`, so that the two wait for one another and do not deadlock: stored
entries by id, then new entries, then new numbers ascending. Who is overtaken by another writer raises
an error of which `is_passing` says so; the caller rolls back and does the whole chunk again.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from functools import lru_cache
from typing import LiteralString

import psycopg
from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, DATE, TEXT, TIMESTAMP, insert
from sqlalchemy.exc import DBAPIError

from compliance.import_plan import Demand, KnownPersons, Plan, PlannedEntry, Tally
from compliance.register_tables import customer_phones
from infra.binary_copy import driver_connection

_customers = bindparam("customers", type_=ARRAY(TEXT))


class OvertakenError(RuntimeError):
    """A concurrent writer added one of the numbers first; roll back and look again."""


_PASSING = (
    psycopg.errors.UniqueViolation,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
    psycopg.errors.LockNotAvailable,
)


def store_chunk(connection: Connection, demands: Sequence[Demand], *, person: str, now: datetime) -> Tally:
    """Block everyone whom a chunk of rows names, in order, in the caller's transaction; `person` enters them.

    Raises:
        OvertakenError: a concurrent writer was first; see `is_passing` for others that mean the same.
    """
    plan = Plan(read_known(connection, demands), now=now)
    for demand in demands:
        plan.apply(demand)
    _write(connection, plan, person=person, now=now)
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

_CLAIM_PHONES = text("""
    INSERT INTO do_not_call_phones (phone_digits, entry_id)
    SELECT n.phone_digits, n.entry_id
      FROM unnest(CAST(:phones AS bigint[]), CAST(:ids AS uuid[])) AS n (phone_digits, entry_id)
     ORDER BY n.phone_digits
    ON CONFLICT DO NOTHING""")

_ADD_LINKS = insert(customer_phones).on_conflict_do_nothing()


def _write(connection: Connection, plan: Plan, *, person: str, now: datetime) -> None:
    new = sorted(plan.new_entries(), key=lambda entry: (entry.customer_id or "", entry.entry_id))
    _copy(connection, _COPY_ENTRIES, map(_new_row, new))
    _update_entries(connection, plan.changed_entries())
    phones = sorted(plan.new_phones)
    if phones:
        claims = {"phones": _array(phones), "ids": _array(plan.new_phones[phone] for phone in phones)}
        if connection.execute(_CLAIM_PHONES, claims).rowcount < len(phones):
            raise OvertakenError("another writer has just added one of the numbers; look again")
    if plan.new_links:
        links = [
            {"phone_digits": phone, "customer_id": one, "recorded_at": now} for phone, one in sorted(plan.new_links)
        ]
        connection.execute(_ADD_LINKS, links)
    constants = (person, _text(now))
    events = ((*event[:3], _text(event[3]), _text(event[4]), event[5], *constants) for event in plan.events)
    _copy(connection, _COPY_EVENTS, events)


def _new_row(entry: PlannedEntry) -> tuple[str | None, ...]:
    return (
        entry.entry_id,
        entry.customer_id,
        _text(entry.blocked_from),
        _text(entry.refused_at),
        _text(entry.blocked_through),
        entry.source,
        entry.reason,
        _text(entry.created_at),
    )


@lru_cache(1 << 14)
def _text(value: date | None) -> str | None:
    """Return a date or an instant as text: psycopg copies text eight times as fast, and a list repeats its dates."""
    return None if value is None else str(value)


def _update_entries(connection: Connection, changed: Sequence[PlannedEntry]) -> None:
    """Write stored entries as they have grown; their rows are locked already."""
    if not changed:
        return
    columns = {
        "ids": _array(entry.entry_id for entry in changed),
        "customers": [entry.customer_id for entry in changed],
        "froms": [entry.blocked_from for entry in changed],
        "refusals": [entry.refused_at for entry in changed],
        "throughs": [entry.blocked_through for entry in changed],
        "sources": [entry.source for entry in changed],
        "reasons": [entry.reason for entry in changed],
    }
    connection.execute(_UPDATE_ENTRIES, columns)


def _array(values: Iterable[int | str]) -> str:
    """Return numbers or ids as the text of an array: the driver would quote each one, at ten times the cost."""
    return "{" + ",".join(map(str, values)) + "}"


def _copy(connection: Connection, statement: LiteralString, rows: Iterable[tuple[str | None, ...]]) -> None:
    """Send rows in one piece: each smaller one would wait for the interpreter while the next rows are read."""
    lines = "".join(["\t".join([_cell(value) for value in row]) + "\n" for row in rows])
    with driver_connection(connection).cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(lines)


_SPECIAL = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def _cell(value: str | None) -> str:
    """Return a value as the text format of COPY has it."""
    if value is None:
        return "\\N"
    return value if value.isprintable() and "\\" not in value else value.translate(_SPECIAL)


def is_passing(error: Exception) -> bool:
    """Say whether an error means only that another writer was in the way: roll back and do the work again."""
    if isinstance(error, OvertakenError):
        return True
    cause = error.orig if isinstance(error, DBAPIError) else error
    return isinstance(cause, _PASSING)
