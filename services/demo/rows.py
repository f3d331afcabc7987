"""Rows into tables by COPY, which alone is quick enough for a demo of a hundred thousand rows."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import msgspec
from psycopg import Connection as PsycopgConnection
from psycopg import sql
from sqlalchemy import Connection, Table


def copy_rows(connection: Connection, table: Table, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Add `rows`, each with the values of `columns` in their order, in the caller's transaction."""
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(table.name), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    driver = cast("PsycopgConnection[Any]", connection.connection.driver_connection)
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


def json_text(value: Mapping[str, object] | list[Any]) -> str:
    """Return `value` as JSON, keys sorted."""
    return msgspec.json.encode(value, order="sorted").decode()
