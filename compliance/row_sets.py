"""Adds many rows with one statement: they travel as one JSON document, which the server reads as rows of the table.

For ten thousand rows this is several times faster than a statement per row, and unlike COPY it can leave out
rows that exist already. Values are what JSON knows, dates, instants and UUIDs; bytes go as `bytea_text`.
"""

from collections.abc import Mapping, Sequence
from functools import cache

import msgspec
from sqlalchemy import Connection, Table, TextClause, text


def bytea_text(value: bytes) -> str:
    """Return bytes as the server reads them from text."""
    return "\\x" + value.hex()


def rows_json(rows: Sequence[Mapping[str, object]]) -> str:
    """Return rows as the JSON document that `jsonb_populate_recordset` reads."""
    return msgspec.json.encode(rows).decode()


@cache
def _statement(table: Table, names: tuple[str, ...], ending: str) -> TextClause:
    columns = ", ".join(names)
    # Names of our own tables and columns only; the values come as a parameter.
    source = f"jsonb_populate_recordset(NULL::{table.name}, CAST(:rows AS jsonb))"
    return text(f"INSERT INTO {table.name} ({columns}) SELECT {columns} FROM {source} {ending}")  # noqa: S608


def add_rows(connection: Connection, table: Table, rows: Sequence[Mapping[str, object]]) -> None:
    """Insert rows, all with the same columns; columns left out take their defaults."""
    if rows:
        connection.execute(_statement(table, tuple(rows[0]), ""), {"rows": rows_json(rows)})


def add_missing_rows(connection: Connection, table: Table, rows: Sequence[Mapping[str, object]]) -> list[object]:
    """Insert, in their order, rows that collide with none that exists; return the first column of those inserted.

    Waits for concurrent writers of the same keys. Writers that all come in the same order cannot deadlock.
    """
    if not rows:
        return []
    names = tuple(rows[0])
    statement = _statement(table, names, f"ON CONFLICT DO NOTHING RETURNING {names[0]}")
    return list(connection.execute(statement, {"rows": rows_json(rows)}).scalars())
