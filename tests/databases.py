"""Databases for tests that commit: each in the template's state, under a name that no test had before it.

Making and dropping a database costs a quarter of a second, putting back what a test wrote a fraction of that. So a
database goes on to a later test, but only when nothing in it can differ from a fresh copy:

- it is renamed, after every session in it has ended: who still holds the old name, such as a thread that outlived its
  test, finds no database, exactly as after a drop;
- no row of any system catalog was written or deleted (which covers tables, columns, constraints, triggers and whether
  they fire, functions, grants, defaults, statistics, large objects), and nothing is set for the database as a whole;
- tables that have pages are truncated and get the template's rows again; sequences stand as in the template.

Else it is dropped. What belongs to the server, such as roles, is shared by all tests in either case.
"""

import itertools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from infra.embedded_postgres import EmbeddedPostgres

Rows = list[tuple[Any, ...]]

_OF_THE_DATABASE = """
    SELECT to_jsonb(d) - '{oid,datname,datfrozenxid,datminmxid}'::text[],
        (SELECT count(*) FROM pg_db_role_setting WHERE setdatabase = d.oid),
        (SELECT count(*) FROM pg_shdepend WHERE dbid = d.oid),
        (SELECT count(*) FROM pg_shdescription WHERE objoid = d.oid),
        (SELECT count(*) FROM pg_shseclabel WHERE objoid = d.oid)
    FROM pg_database d WHERE datname = %s"""
_CATALOGS = """
    SELECT oid::regclass::text FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'pg_catalog'::regnamespace AND NOT relisshared"""
_TABLES = "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND oid >= 16384"
_TABLES_WITH_PAGES = f"{_TABLES} AND pg_relation_size(oid) > 0"
_SEQUENCES = "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'S' AND oid >= 16384"
_ANALYZED = "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND oid >= 16384 AND reltuples >= 0"
_NEXT_TRANSACTION = "SELECT pg_snapshot_xmax(pg_current_snapshot())::xid::text"


@dataclass(frozen=True, slots=True)
class _State:
    """What a copy of the template holds, and the statements that look for what differs from it."""

    of_the_database: Rows
    rows_of_catalogs: str
    catalogs: Rows
    rows_of_seeded: str
    seeded: dict[str, list[str]]
    """The rows of each table that has any, each row as text."""
    values_of_sequences: str
    sequences: Rows
    analyzed: int

    @property
    def seeded_counts(self) -> Rows:
        return [(table, len(rows), 0) for table, rows in self.seeded.items()]


@dataclass(slots=True)
class Databases:
    """The databases of one server that are copies of `template`, named `prefix` and a number."""

    server: EmbeddedPostgres
    template: str
    prefix: str = "test"
    made: int = 0
    """How many were copied, for the tests of this module."""
    _administrator: psycopg.Connection[Any] = field(init=False)
    _state: _State = field(init=False)
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _idle: list[str] = field(default_factory=list)
    _since: dict[str, str] = field(default_factory=dict)
    """By database, the first transaction after the one that last brought it into the template's state."""

    def __post_init__(self) -> None:
        self._administrator = psycopg.connect(self.server.libpq_url("postgres"), autocommit=True)
        with psycopg.connect(self.server.libpq_url(self.template)) as connection:
            self._state = _read_state(connection, self.template)

    def close(self) -> None:
        self._administrator.close()

    def take(self) -> str:
        """Return the name of a database in the template's state, for the caller alone."""
        return self._idle.pop() if self._idle else self._make()

    def give_back(self, name: str) -> None:
        """Keep the database for another test under another name, or drop it when it may differ from the template."""
        renamed = self._name()
        since = self._since.pop(name)
        if self._rename(name, renamed) and self._put_back(renamed, since):
            self._idle.append(renamed)
        else:
            for left in (name, renamed):
                self._administer("DROP DATABASE IF EXISTS {} WITH (FORCE)", left)

    def _name(self) -> str:
        return f"{self.prefix}_{next(self._numbers)}"

    def _make(self) -> str:
        name = self._name()
        # FILE_COPY takes half of what logging each page takes.
        self._administer("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY", name, self.template)
        self._since[name] = _one(self._administrator, _NEXT_TRANSACTION)
        self.made += 1
        return name

    def _rename(self, name: str, renamed: str) -> bool:
        sessions = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = %s"
        try:
            # RENAME itself looks for sessions that are about to end every 100 ms only.
            while _one(self._administrator, sessions, name):
                self._administrator.execute("SELECT pg_sleep(0.002)")
            self._administer("ALTER DATABASE {} RENAME TO {}", name, renamed)
        except (psycopg.errors.ObjectInUse, psycopg.errors.InvalidCatalogName):
            return False
        return _sorted(self._administrator, _OF_THE_DATABASE, renamed) == self._state.of_the_database

    def _put_back(self, name: str, since: str) -> bool:
        state = self._state
        options = "-c session_replication_role=replica"  # triggers that guard rows would guard them from this too
        with psycopg.connect(self.server.libpq_url(name), options=options) as connection:
            if _sorted(connection, state.rows_of_catalogs, since) != state.catalogs:
                return False
            _empty_and_refill(connection, state, since)
            for sequence, value, is_called in set(state.sequences) - set(
                _sorted(connection, state.values_of_sequences)
            ):
                connection.execute("SELECT setval(%s::regclass, %s, %s)", (sequence, value, is_called))
            seeded_now = [row[:2] for row in _sorted(connection, state.rows_of_seeded, since)]
            if seeded_now != [row[:2] for row in state.seeded_counts] or _one(connection, _ANALYZED) != state.analyzed:
                return False
        self._since[name] = _one(self._administrator, _NEXT_TRANSACTION)
        return True

    def _administer(self, statement: str, *names: str) -> None:
        self._administrator.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


@contextmanager
def databases_of(server: EmbeddedPostgres, template: str, *, prefix: str = "test") -> Iterator[Databases]:
    """Give the databases of a server for as long as the tests run."""
    pool = Databases(server, template, prefix)
    yield pool
    pool.close()


def _read_state(connection: psycopg.Connection[Any], template: str) -> _State:
    now = _one(connection, _NEXT_TRANSACTION)
    counting = _counting(_names(connection, _CATALOGS))
    seeded = {
        table: [row for (row,) in connection.execute(f"SELECT t::text FROM {table} t").fetchall()]
        for table in _names(connection, _TABLES_WITH_PAGES)
    }
    sequences = _names(connection, _SEQUENCES)
    values = " UNION ALL ".join(f"SELECT '{one}', last_value, is_called FROM {one}" for one in sequences)
    return _State(
        of_the_database=_sorted(connection, _OF_THE_DATABASE, template),
        rows_of_catalogs=counting,
        catalogs=_sorted(connection, counting, now),
        rows_of_seeded=_counting(seeded),
        seeded=seeded,
        values_of_sequences=values,
        sequences=_sorted(connection, values),
        analyzed=_one(connection, _ANALYZED),
    )


def _counting(tables: Iterable[str]) -> str:
    """Return the statement that counts the rows of each table, and of these the ones not older than a transaction."""
    return "WITH since AS MATERIALIZED (SELECT age(%s::xid) AS age) " + " UNION ALL ".join(
        f"SELECT '{table}', count(*), count(*) FILTER (WHERE age(t.xmin) <= since.age) FROM since, {table} t"
        for table in tables
    )


def _empty_and_refill(connection: psycopg.Connection[Any], state: _State, since: str) -> None:
    unchanged = {row[0] for row in set(_sorted(connection, state.rows_of_seeded, since)) & set(state.seeded_counts)}
    written = [table for table in _names(connection, _TABLES_WITH_PAGES) if table not in unchanged]
    if written:
        connection.execute(f"TRUNCATE {', '.join(written)} CASCADE")  # what refers to an empty table is empty too
    for table in state.seeded.keys() - unchanged:
        put = f"INSERT INTO {table} OVERRIDING SYSTEM VALUE SELECT (row::{table}).* FROM unnest(%s::text[]) AS row"
        connection.execute(put, (state.seeded[table],))


def _sorted(connection: psycopg.Connection[Any], statement: str, *parameters: str) -> Rows:
    return sorted(connection.execute(statement, parameters).fetchall())


def _names(connection: psycopg.Connection[Any], statement: str) -> list[str]:
    return sorted(name for (name,) in connection.execute(statement).fetchall())


def _one(connection: psycopg.Connection[Any], statement: str, *parameters: str) -> Any:
    [(value,)] = connection.execute(statement, parameters).fetchall()
    return value
