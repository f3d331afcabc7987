"""Rows by binary COPY: all of them, whole, or an error."""

import numpy as np
import pytest
from psycopg import OperationalError
from sqlalchemy import Connection, text

from infra.binary_copy import BIGINT, DATE, TIMESTAMPTZ, UnexpectedRowError, copy_out


def test_rows_come_with_their_values(connection: Connection) -> None:
    query = "SELECT 7::bigint, date '2000-01-03', timestamptz '2000-01-01 00:00:01+00'"

    [rows] = copy_out(connection, query, [("number", BIGINT), ("day", DATE), ("at", TIMESTAMPTZ)])

    assert rows[["number", "day", "at"]].tolist() == [(7, 2, 1_000_000)]


def test_many_rows_come_in_pieces_and_none_is_lost(connection: Connection) -> None:
    pieces = list(copy_out(connection, "SELECT generate_series(1, 1000000)::bigint", [("number", BIGINT)]))

    assert len(pieces) > 1
    assert np.array_equal(np.concatenate(pieces)["number"], np.arange(1, 1_000_001))


def test_no_rows_are_one_empty_piece(connection: Connection) -> None:
    assert [len(rows) for rows in copy_out(connection, "SELECT 1::bigint WHERE false", [("number", BIGINT)])] == [0]


@pytest.mark.parametrize(
    "query",
    [
        pytest.param("SELECT NULL::bigint", id="a NULL"),
        pytest.param("SELECT 1::bigint UNION ALL SELECT NULL", id="a NULL among others"),
        pytest.param("SELECT 1::integer", id="a narrower column"),
        pytest.param("SELECT 1::bigint, 2::bigint", id="one column more"),
    ],
)
def test_other_columns_than_expected_are_an_error(connection: Connection, query: str) -> None:
    with pytest.raises(UnexpectedRowError):
        list(copy_out(connection, query, [("number", BIGINT)]))


def test_a_refused_query_is_an_error_at_once(connection: Connection) -> None:
    with pytest.raises(OperationalError):
        list(copy_out(connection, "SELECT FROM nothing", [("number", BIGINT)]))


def test_a_query_that_breaks_off_is_an_error_and_not_a_shorter_answer(connection: Connection) -> None:
    query = "SELECT 1000 / (500000 - number) FROM generate_series(1, 1000000::bigint) AS number"

    with pytest.raises(OperationalError):
        list(copy_out(connection, query, [("number", BIGINT)]))


def test_the_connection_can_be_used_afterwards(connection: Connection) -> None:
    list(copy_out(connection, "SELECT 1::bigint", [("number", BIGINT)]))

    assert connection.execute(text("SELECT 2")).scalar_one() == 2
