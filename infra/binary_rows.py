"""Rows into PostgreSQL by binary COPY, each value as the server keeps it, so that the server has no text to read.

A row is `row_start` and then the fields of its columns, in their order. The server checks lengths and encodings: a
field of another type than its column's is an error or, where the lengths agree, a wrong value.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from struct import Struct
from typing import LiteralString

from sqlalchemy import Connection

from infra.binary_copy import driver_connection

NULL = b"\xff\xff\xff\xff"
UUID_LENGTH = b"\0\0\0\x10"
"""Goes before the 16 bytes of a UUID: what is written for each of millions of rows is not worth a call."""

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
_JSONB_VERSION = b"\x01"

_columns = Struct("!h").pack
_length = Struct("!i").pack
_day = Struct("!ii").pack
_bigint = _instant = Struct("!iq").pack
_FIRST_DAY = date(2000, 1, 1).toordinal()
_FIRST_INSTANT = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def copy_in(connection: Connection, statement: LiteralString, rows: Iterable[bytes]) -> None:
    """Send rows, if there are any, in one piece; `statement` is a COPY FROM STDIN (FORMAT binary)."""
    content = b"".join(rows)
    if content:
        copy_parts(connection, statement, [content])


def copy_parts(connection: Connection, statement: LiteralString, parts: Iterable[bytes]) -> None:
    """Send some rows after the other, each part when it is made."""
    with driver_connection(connection).cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(_HEADER)
        for part in parts:
            copy.write(part)
        copy.write(_TRAILER)


def row_start(columns: int) -> bytes:
    """Return what goes before a row of this many columns."""
    return _columns(columns)


def text_field(value: str | None) -> bytes:
    if value is None:
        return NULL
    return bytes_field(value.encode())


def bytes_field(content: bytes) -> bytes:
    """Return what a bytea column takes, or a json column as JSON in UTF-8."""
    return _length(len(content)) + content


def bigint_field(value: int | None) -> bytes:
    return NULL if value is None else _bigint(8, value)


def jsonb_field(content: bytes) -> bytes:
    """Return JSON in UTF-8 as a jsonb column takes it."""
    return _length(len(content) + 1) + _JSONB_VERSION + content


def day_field(value: date | None) -> bytes:
    return NULL if value is None else _day(4, value.toordinal() - _FIRST_DAY)


def instant_field(value: datetime | None) -> bytes:
    """Return an aware instant as a timestamptz column takes it."""
    return NULL if value is None else _instant(8, (value - _FIRST_INSTANT) // _MICROSECOND)
