"""Rows by the thousand in one statement."""

from datetime import UTC, datetime

from sqlalchemy import Connection, select

from compliance.register_tables import customer_phones
from compliance.row_sets import add_missing_rows, add_rows, bytea_text
from compliance.tables import audit_events, calling_sides
from infra.ids import new_id

NOW = datetime(2026, 11, 23, 4, 0, 0, 123456, tzinfo=UTC)


def held(phone: int, customer_id: str) -> dict[str, object]:
    return {"phone_digits": phone, "customer_id": customer_id, "recorded_at": NOW}


def test_values_arrive_as_they_are_and_absent_columns_take_their_defaults(connection: Connection) -> None:
    event_id = new_id()
    kind = "quote \" ' backslash \\ 中文 \u2028"

    add_rows(connection, audit_events, [{"event_id": event_id, "kind": kind, "actor": "a", "recorded_at": NOW}])

    row = connection.execute(select(audit_events)).one()
    assert (row.event_id, row.kind, row.subject, row.details, row.recorded_at) == (event_id, kind, None, {}, NOW)


def test_bytes_arrive_as_text(connection: Connection) -> None:
    digest = bytes(range(256))

    add_rows(connection, calling_sides, [{"side_digest": bytea_text(digest), "facts": "{}", "recorded_at": NOW}])

    assert connection.execute(select(calling_sides.c.side_digest)).scalar_one() == digest


def test_rows_that_exist_are_left_out_and_the_others_named(connection: Connection) -> None:
    add_rows(connection, customer_phones, [held(1, "C")])

    added = add_missing_rows(connection, customer_phones, [held(1, "C"), held(2, "C"), held(3, "C")])

    assert added == [2, 3]


def test_no_rows_are_no_statement(connection: Connection) -> None:
    add_rows(connection, customer_phones, [])

    assert add_missing_rows(connection, customer_phones, []) == []
