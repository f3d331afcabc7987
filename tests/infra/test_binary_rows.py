"""Rows by binary COPY arrive as the values they were made of."""

import json
from datetime import date, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.errors import ProtocolViolation
from sqlalchemy import Connection, text

from infra.binary_rows import NULL, UUID_LENGTH, copy_in, day_field, instant_field, jsonb_field, row_start, text_field
from infra.ids import new_id_bytes

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
zones = st.integers(-14, 14).map(lambda hours: timezone(timedelta(hours=hours)))


@pytest.fixture
def table(connection: Connection) -> Connection:
    connection.execute(
        text("CREATE TEMPORARY TABLE arrived (id uuid, name text, day date, at timestamptz, more jsonb)")
    )
    return connection


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.none() | texts,
    day=st.none() | st.dates(),
    at=st.none() | st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=zones),  # noqa: DTZ001
    more=st.dictionaries(texts, texts | st.integers() | st.none()),
)
def test_every_value_arrives(
    table: Connection, name: str | None, day: date | None, at: datetime | None, more: dict[str, object]
) -> None:
    key = new_id_bytes()
    fields = [text_field(name), day_field(day), instant_field(at), jsonb_field(json.dumps(more).encode())]
    table.execute(text("TRUNCATE arrived"))

    copy_in(table, "COPY arrived FROM STDIN (FORMAT binary)", [row_start(5) + UUID_LENGTH + key + b"".join(fields)])

    row = table.execute(text("SELECT id, name, day, at, more FROM arrived")).one()
    assert tuple(row) == (UUID(bytes=key), name, day, at, more)


def test_rows_arrive_in_their_order_and_none_is_an_empty_table(table: Connection) -> None:
    rows = [row_start(5) + NULL + text_field(str(number)) + NULL * 3 for number in range(1000)]

    copy_in(table, "COPY arrived FROM STDIN (FORMAT binary)", [])
    copy_in(table, "COPY arrived FROM STDIN (FORMAT binary)", rows)

    names = table.execute(text("SELECT name FROM arrived ORDER BY ctid")).scalars().all()
    assert names == [str(number) for number in range(1000)]


def test_a_field_of_another_length_than_its_column_is_an_error(table: Connection) -> None:
    with pytest.raises(ProtocolViolation):
        copy_in(table, "COPY arrived (at) FROM STDIN (FORMAT binary)", [row_start(1) + day_field(date(2026, 3, 15))])


def test_the_bytes_of_new_ids_sort_in_the_order_in_which_they_were_made() -> None:
    made = [new_id_bytes() for _ in range(10_000)]

    assert made == sorted(made, key=lambda one: str(UUID(bytes=one)))
    assert made == sorted(set(made))
