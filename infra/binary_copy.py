"""Millions of rows out of PostgreSQL into numpy arrays: binary COPY, for columns of fixed width without NULLs."""

from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection as PsycopgConnection
from psycopg import OperationalError
from psycopg.pq import ExecStatus
from sqlalchemy import Connection

BIGINT = ">i8"
DATE = ">i4"
"""Days from 2000-01-01."""
TIMESTAMPTZ = ">i8"
"""Microseconds from 2000-01-01T00:00Z; the greatest number stands for `infinity`."""

_HEADER_BYTES = 19
_TRAILER_BYTES = 2
_BYTES_PER_PIECE = 4 << 20

Rows = NDArray[np.void]


class UnexpectedRowError(ValueError):
    """The rows that came are not of the columns expected, or hold NULL."""


def copy_out(connection: Connection, query: str, columns: Sequence[tuple[str, str]]) -> Iterator[Rows]:
    """Yield the rows of `query` in pieces: arrays with a field for each of `columns`, (name, one of the types above).

    Raises:
        UnexpectedRowError: the query has other columns, or a NULL.
        OperationalError: PostgreSQL could not carry it out.
    """
    row = _row_type(columns)
    for data in _pieces(connection, f"COPY ({query}) TO STDOUT (FORMAT binary)", row.itemsize):
        if len(data) % row.itemsize:
            raise UnexpectedRowError("rows of the query have other columns than expected, or NULLs")
        rows = np.frombuffer(data, row)
        widths_fit = all((rows[f"{name} width"] == np.dtype(kind).itemsize).all() for name, kind in columns)
        if not widths_fit or not (rows["columns"] == len(columns)).all():
            raise UnexpectedRowError("rows of the query have other columns than expected, or NULLs")
        yield rows


def driver_connection(connection: Connection) -> PsycopgConnection[Any]:
    """Return the psycopg connection under one of SQLAlchemy's."""
    return cast("PsycopgConnection[Any]", connection.connection.driver_connection)


def _row_type(columns: Sequence[tuple[str, str]]) -> np.dtype[np.void]:
    fields = [("columns", ">i2")]
    for name, kind in columns:
        fields += [(f"{name} width", ">i4"), (name, kind)]
    return np.dtype(fields)


def _pieces(connection: Connection, statement: str, row_bytes: int) -> Iterator[bytes]:
    """Yield the bytes of whole rows, without the header and the trailer of the stream.

    By libpq's own calls, which hand over row by row: whatever else is done for each of ten million rows counts.
    """
    wire = driver_connection(connection).pgconn
    begun = wire.exec_(statement.encode())
    if begun.status != ExecStatus.COPY_OUT:
        raise OperationalError(f"COPY was refused: {begun.get_error_message()}")
    rows = bytearray()
    next_row, to_skip = wire.get_copy_data, _HEADER_BYTES
    while True:
        length, row = next_row(0)
        if length < 0:
            break
        rows += row
        if len(rows) > _BYTES_PER_PIECE:
            whole = (len(rows) - to_skip) // row_bytes * row_bytes + to_skip
            yield bytes(rows[to_skip:whole])
            del rows[:whole]
            to_skip = 0
    ended = wire.get_result()
    while wire.get_result() is not None:
        pass
    if ended is None or ended.status != ExecStatus.COMMAND_OK:
        raise OperationalError("COPY broke off; the rows are not complete")
    yield bytes(rows[to_skip : len(rows) - _TRAILER_BYTES])
