"""The databases of the tests themselves: whatever a test did to one, the next test sees the template's state."""

from collections.abc import Iterator

import psycopg
import pytest

from infra.database import APPLICATION_ROLE
from infra.embedded_postgres import EmbeddedPostgres
from tests.databases import Databases, databases_of

_RELATIONS = """
    SELECT oid::regclass::text, CASE relkind WHEN 'r' THEN 't' ELSE '(last_value, is_called)' END FROM pg_class
    WHERE relkind IN ('r', 'S') AND relnamespace = 'public'::regnamespace ORDER BY 1"""
_TOKEN = """
    INSERT INTO access_tokens (token_id, token_hash, role, owner, created_at, expires_at)
    VALUES (gen_random_uuid(), sha256('x'), 'officer', 'someone', now(), now() + interval '1 day')"""
Rows = dict[str, list[tuple[str]]]
WRITES = {
    "rows": f"SET session_replication_role = replica; {_TOKEN}",
    "seeded rows changed": "UPDATE kombu_queue SET name = 'other'; UPDATE register_counters SET changes = 77",
    "seeded rows deleted": "SET session_replication_role = replica; DELETE FROM ledger_coverage",
    "seeded rows added": "INSERT INTO kombu_queue (id, name) VALUES (2, 'second')",
    "rows rolled back": f"BEGIN; SET LOCAL session_replication_role = replica; {_TOKEN}; ROLLBACK",
    "a sequence used": "SELECT nextval('queue_id_sequence')",
    "a sequence set and not called": "SELECT setval('message_id_sequence', 500, false)",
    "a table that went again": "CREATE TABLE added (n int); DROP TABLE added",
    "an advisory lock": "SELECT pg_advisory_lock(1)",
    "settings of the session": "SET statement_timeout = 1; SET ROLE telesales_application",
    "a transaction left open": "BEGIN; LOCK TABLE jobs",
}
CHANGES = {
    "a table": "CREATE TABLE added (n int)",
    "a table dropped": "DROP TABLE fixity_days",
    "a table emptied at once": "TRUNCATE kombu_queue CASCADE",
    "a column": "ALTER TABLE jobs ADD COLUMN added int",
    "a comment": "COMMENT ON TABLE jobs IS 'changed'",
    "a constraint": "ALTER TABLE jobs ADD CHECK (true)",
    "an index": "CREATE INDEX added ON kombu_queue (name)",
    "a disabled trigger": "ALTER TABLE ledger_entries DISABLE TRIGGER ALL",
    "a function": "CREATE FUNCTION added() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "a grant": f"GRANT DELETE ON ledger_entries TO {APPLICATION_ROLE}",
    "a revoked grant": f"REVOKE INSERT ON ledger_entries FROM {APPLICATION_ROLE}",
    "default rights": f"ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {APPLICATION_ROLE}",
    "a sequence's step": "ALTER SEQUENCE queue_id_sequence INCREMENT 5",
    "a schema": "CREATE SCHEMA added",
    "a type": "CREATE TYPE added AS ENUM ('one')",
    "an event trigger": "CREATE FUNCTION added() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';"
    " CREATE EVENT TRIGGER added ON ddl_command_start EXECUTE FUNCTION added()",
    "statistics of rows": "ANALYZE register_counters",
    "statistics of an empty table": "ANALYZE ledger_coverage",
    "a large object": "SELECT lo_from_bytea(0, 'x')",
    "a setting of the database": "DO $$ BEGIN EXECUTE"
    " format('ALTER DATABASE %I SET statement_timeout = 5', current_database()); END $$",
    "a setting of a role in it": "DO $$ BEGIN EXECUTE format('ALTER ROLE telesales_application IN DATABASE %I"
    " SET statement_timeout = 5', current_database()); END $$",
    "a limit of connections": "DO $$ BEGIN EXECUTE"
    " format('ALTER DATABASE %I CONNECTION LIMIT 5', current_database()); END $$",
    "an owner of the database": "DO $$ BEGIN EXECUTE"
    " format('ALTER DATABASE %I OWNER TO telesales_application', current_database()); END $$",
    "a comment on the database": "DO $$ BEGIN EXECUTE"
    " format('COMMENT ON DATABASE %I IS NULL; COMMENT ON DATABASE %1$I IS %L', current_database(), 'x'); END $$",
    "rights on the database": "DO $$ BEGIN EXECUTE"
    " format('REVOKE CONNECT ON DATABASE %I FROM public', current_database()); END $$",
}


@pytest.fixture(scope="module")
def pool(server: EmbeddedPostgres, template: str) -> Iterator[Databases]:
    with databases_of(server, template, prefix="pool") as made:
        yield made


@pytest.fixture(scope="module")
def template_rows(server: EmbeddedPostgres, template: str) -> Rows:
    return _rows(server.libpq_url(template))


def _rows(url: str) -> Rows:
    """Return every row and every sequence's state, by relation."""
    with psycopg.connect(url) as connection:
        relations = connection.execute(_RELATIONS).fetchall()
        return {name: connection.execute(f"SELECT {what}::text FROM {name} t").fetchall() for name, what in relations}


def _used(pool: Databases, statements: str) -> tuple[str, psycopg.Connection]:
    """Return a database in which the statements ran, and the session that ran them, still open."""
    name = pool.take()
    session = psycopg.connect(pool.server.libpq_url(name), autocommit=True)
    session.execute(statements)
    return name, session


@pytest.mark.parametrize("statements", WRITES.values(), ids=WRITES)
def test_what_was_written_is_gone_and_the_database_serves_again(
    pool: Databases, template_rows: Rows, statements: str
) -> None:
    name, session = _used(pool, statements)
    pool.give_back(name)
    made = pool.made
    following = pool.take()
    assert (pool.made, following == name) == (made, False)
    assert _rows(pool.server.libpq_url(following)) == template_rows
    with psycopg.connect(pool.server.libpq_url(following)) as connection:
        assert connection.execute("SELECT pg_try_advisory_lock(1)").fetchone() == (True,)
    with pytest.raises(psycopg.OperationalError):
        session.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(pool.server.libpq_url(name))
    pool.give_back(following)


@pytest.mark.parametrize("statements", CHANGES.values(), ids=CHANGES)
def test_a_database_that_was_changed_is_not_used_again(pool: Databases, template_rows: Rows, statements: str) -> None:
    name, _session = _used(pool, statements)
    pool.give_back(name)
    made = pool.made
    following = pool.take()
    assert pool.made == made + 1
    assert _rows(pool.server.libpq_url(following)) == template_rows
    pool.give_back(following)


def test_a_database_that_was_dropped_is_made_anew(pool: Databases) -> None:
    name = pool.take()
    with psycopg.connect(pool.server.libpq_url("postgres"), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name}")
    pool.give_back(name)
    assert pool.take() != name


def test_two_databases_taken_at_once_are_two(pool: Databases) -> None:
    assert pool.take() != pool.take()


def test_a_database_handed_on_twice_is_watched_from_its_second_use(pool: Databases, template_rows: Rows) -> None:
    first, _session = _used(pool, WRITES["seeded rows changed"])
    pool.give_back(first)
    second, _session = _used(pool, WRITES["seeded rows deleted"])
    pool.give_back(second)
    third, _session = _used(pool, CHANGES["a column"])
    pool.give_back(third)
    assert _rows(pool.server.libpq_url(pool.take())) == template_rows
