"""Writes the register of customers: whole bodies, a version only when something changed, every number kept.

The fast path matters: a company loads millions of customers one by one. A new customer costs one statement,
an unchanged one three.
"""

from datetime import date, datetime
from typing import NamedTuple

from sqlalchemy import Connection, TextClause, bindparam, select, text
from sqlalchemy.dialects.postgresql import ARRAY, BIGINT, JSONB

from compliance.register_tables import customer_phones
from compliance.registers import (
    Change,
    ListedRow,
    Register,
    StoredVersion,
    list_rows,
    lock_row,
    make_version,
    read_versions,
    version_of,
)

_VERSION_AND_PHONES = """
    , version AS (
        INSERT INTO register_versions
            (version_id, register, row_id, effective_from, effective_through, body, actor, recorded_at)
        SELECT :version_id, 'customers', :row_id, :effective_from, CAST(:effective_through AS date), :body, :actor, :now
          FROM its_row
        RETURNING version_id),
    numbers AS (
        INSERT INTO customer_phones (phone_digits, customer_id, recorded_at)
        SELECT phone, :row_id, :now FROM its_row, unnest(:phones) AS phone
        ON CONFLICT DO NOTHING)
    SELECT count(*) FROM version"""

_typed = (bindparam("body", type_=JSONB), bindparam("phones", type_=ARRAY(BIGINT)))
_NEW_ROW = """
    WITH its_row AS (
        INSERT INTO register_rows (register, row_id, recorded_at) VALUES ('customers', :row_id, :now)
        ON CONFLICT DO NOTHING RETURNING row_id)"""
_ADD_NEW = text(_NEW_ROW + _VERSION_AND_PHONES).bindparams(*_typed)
_ADD_VERSION = text("WITH its_row AS (SELECT 1)" + _VERSION_AND_PHONES).bindparams(*_typed)


class PutCustomer(NamedTuple):
    """The version that says what was put, and whether the customer is new."""

    version: StoredVersion
    is_new: bool


def put_customer(
    connection: Connection, customer_id: str, change: Change, *, person: str, now: datetime
) -> PutCustomer:
    """Make the customer's content from a day on equal to `change.fields`, which are all of them.

    Nothing is added when the version of that day says and ends the same already.

    Raises:
        RegisterFieldError: the version would end before it begins.
    """
    first = make_version(customer_id, change, history=(), id_field="customer_id", now=now)
    if _add(connection, _ADD_NEW, first, person=person):
        return PutCustomer(first, is_new=True)
    lock_row(connection, Register.CUSTOMERS, customer_id)
    history = read_versions(connection, Register.CUSTOMERS, customer_id)
    current = version_of(history, first.effective_from)
    if current is not None and (current.body, current.effective_through) == (first.body, first.effective_through):
        return PutCustomer(current, is_new=False)
    version = make_version(customer_id, change, history=history, id_field="customer_id", now=now)
    _add(connection, _ADD_VERSION, version, person=person)
    return PutCustomer(version, is_new=False)


def list_customers(
    connection: Connection, *, phone_e164: str | None, day: date, before: int | None, limit: int
) -> list[ListedRow]:
    """Return customers, newest first, as `day` shows them; with a number, those who have or ever had it."""
    among = None
    if phone_e164 is not None:
        columns = customer_phones.c
        having = select(columns.customer_id).where(columns.phone_digits == int(phone_e164))
        among = list(connection.scalars(having))
    return list_rows(connection, Register.CUSTOMERS, day=day, before=before, limit=limit, among=among)


def _add(connection: Connection, statement: TextClause, version: StoredVersion, *, person: str) -> bool:
    """Add the version and its numbers; say whether it was added, which _ADD_NEW does for new customers only."""
    done = connection.execute(
        statement,
        {
            "version_id": version.version_id,
            "row_id": version.row_id,
            "effective_from": version.effective_from,
            "effective_through": version.effective_through,
            "body": version.body,
            "phones": sorted(int(phone) for phone in version.body["phones"]),  # locked in one order by all writers
            "actor": person,
            "now": version.recorded_at,
        },
    )
    return bool(done.scalar_one())
