"""Engines on a real PostgreSQL: time-outs, dead connections, and errors that say nothing about people."""

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from infra.database import libpq_url, make_engine, metadata, psycopg_url
from infra.embedded_postgres import EmbeddedPostgres
from services import all_tables
from services.problems import is_database_away

assert all_tables.REGISTERED

Open = Callable[..., Engine]


@pytest.fixture
def open_engine(server: EmbeddedPostgres) -> Iterator[Open]:
    """Give a function that makes engines on the server's own database, disposed at the end."""
    made: list[Engine] = []

    def open_one(**options: object) -> Engine:
        engine = make_engine(server.url("postgres"), application_name="test of engines", **options)  # type: ignore[arg-type]  # the test's own options
        made.append(engine)
        return engine

    yield open_one
    for engine in made:
        engine.dispose()


@pytest.mark.parametrize(
    "url",
    ["postgres://u:p@h:5433/d", "postgresql://u:p@h:5433/d", "postgresql+psycopg://u:p@h:5433/d"],
)
def test_every_spelling_leads_to_psycopg_3_and_back_to_libpq(url: str) -> None:
    assert psycopg_url(url).drivername == "postgresql+psycopg"
    assert libpq_url(url) == "postgresql://u:p@h:5433/d"


def test_a_libpq_url_keeps_password_and_socket_directory() -> None:
    url = "postgresql+psycopg://postgres:p%40ss@/telesales?host=/tmp/socket&port=5432"

    assert libpq_url(url) == "postgresql://postgres:p%40ss@/telesales?host=%2Ftmp%2Fsocket&port=5432"


def test_sessions_are_in_utc_and_say_who_they_are(open_engine: Open) -> None:
    with open_engine().connect() as connection:
        found = connection.execute(text("SELECT current_setting('timezone'), current_setting('application_name')"))

        assert tuple(found.one()) == ("UTC", "test of engines")


def test_without_a_limit_statements_may_take_any_time(open_engine: Open) -> None:
    with open_engine().connect() as connection:
        assert connection.execute(text("SHOW statement_timeout")).scalar_one() == "0"


def test_a_slow_statement_is_given_up_and_counts_as_away(open_engine: Open) -> None:
    with (
        open_engine(statement_timeout_ms=50).connect() as connection,
        pytest.raises(OperationalError, match="statement timeout") as raised,
    ):
        connection.execute(text("SELECT pg_sleep(60)"))

    assert is_database_away(raised.value)


def test_waiting_for_a_lock_is_given_up_and_counts_as_away(open_engine: Open) -> None:
    with open_engine().connect() as holder, open_engine(statement_timeout_ms=50).connect() as waiter:
        holder.execute(text("SELECT pg_advisory_xact_lock(1)"))

        with pytest.raises(OperationalError, match="timeout") as raised:
            waiter.execute(text("SELECT pg_advisory_xact_lock(1)"))

    assert is_database_away(raised.value)


def test_a_pooled_connection_that_died_is_replaced(open_engine: Open) -> None:
    engine = open_engine(pool_size=1, max_overflow=0)
    own_id = text("SELECT pg_backend_pid()")
    with engine.connect() as connection:
        first = connection.execute(own_id).scalar_one()
    with open_engine().connect() as other:
        # The second argument waits until it has ended.
        other.execute(text("SELECT pg_terminate_backend(:id, 5000)"), {"id": first})

    with engine.connect() as connection:
        assert connection.execute(own_id).scalar_one() != first


def test_no_server_counts_as_away(tmp_path: object) -> None:
    engine = make_engine(f"postgresql://postgres@/postgres?host={tmp_path}", application_name="tests")

    with pytest.raises(OperationalError) as raised:
        engine.connect()

    assert is_database_away(raised.value)


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("SELECT CAST(:value AS integer)", id="data that do not fit"),
        pytest.param("SELECT :value FROM there_is_no_such_table", id="no such table"),
    ],
)
def test_an_error_does_not_quote_the_values_of_the_statement(open_engine: Open, statement: str) -> None:
    # A traceback ends in a log, and what was being stored may be a name.
    with open_engine().connect() as connection, pytest.raises(DBAPIError) as raised:
        connection.execute(text(statement), {"value": "王小明"})

    assert "王小明" not in str(raised.value.with_traceback(None)).replace(str(raised.value.orig), "")


def test_a_fault_of_ours_does_not_count_as_away(open_engine: Open) -> None:
    with open_engine().connect() as connection:
        connection.execute(text("CREATE TEMP TABLE one (x integer PRIMARY KEY)"))
        with pytest.raises(IntegrityError) as raised:
            connection.execute(text("INSERT INTO one VALUES (1), (1)"))

    assert not is_database_away(raised.value)


def test_every_constraint_has_a_name_of_its_own() -> None:
    names = [constraint.name for table in metadata.tables.values() for constraint in table.constraints]

    assert None not in names
    assert len(names) == len(set(names))
