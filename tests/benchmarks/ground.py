"""The ground all benchmarks stand on: one embedded PostgreSQL with a database per size of the do-not-call list."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sqlalchemy import Engine, make_url, text

from compliance.policy_store import adopt_start_policy
from infra.clock import utc_now
from infra.database import make_engine
from infra.embedded_postgres import DATABASE, EmbeddedPostgres
from infra.ids import new_id
from infra.migrate import head_revision, migrate
from services import all_tables
from services.tokens import Role, create_token
from tests.benchmarks.block_rows import build_block_list, count_entries, mixed_callees
from tests.conftest import NOON
from tests.gate_facts import CALL, write_registers

assert all_tables.REGISTERED

BLOCKED_SHARE = 0.05
_DISTINCT_BODIES = 20_000
_OF_ONE_BENCHMARK = text(r"""
    SELECT quote_ident(datname) FROM pg_database
     WHERE NOT datistemplate AND datname NOT IN ('postgres', :own) AND datname NOT LIKE 'entries\_%'""")

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Database:
    """A migrated database with registers, a policy and `entries` blocked numbers."""

    url: str
    entries: int
    token: str

    def engine(self) -> Engine:
        return make_engine(self.url, application_name="benchmarks")


@dataclass(frozen=True, slots=True)
class Ground:
    """What a benchmark is given. `seconds` is the length of one measurement, `rounds` how often it is repeated."""

    server: EmbeddedPostgres
    work: Path
    entries: int
    seconds: float
    rounds: int
    rows: int
    say: Say

    def database(self, entries: int | None = None) -> Database:
        """Return the database of this size, making it when the data directory does not hold it yet."""
        return prepare(self.server, self.entries if entries is None else entries, say=self.say)


def clock_offset_ms() -> int:
    """Return by how much a clock that is started now must run ahead to begin at noon on a working Monday."""
    return round((NOON - utc_now()) / timedelta(milliseconds=1))


def prepare(server: EmbeddedPostgres, entries: int, *, say: Say) -> Database:
    """Migrate, write registers and block list where they are missing, and make a token."""
    name = f"entries_{entries}_{head_revision()}"
    if not _exists(server, name):
        say(f"making a database with {entries:,} do-not-call entries")
        making = f"{name}_unfinished"
        _administer(server, f"DROP DATABASE IF EXISTS {making} WITH (FORCE)")
        _administer(server, f"CREATE DATABASE {making}")
        _fill(server.url(making), entries, say=say)
        _administer(server, f"ALTER DATABASE {making} RENAME TO {name}")
    engine = make_engine(server.url(name), application_name="benchmarks")
    with engine.begin() as connection:
        found = count_entries(connection)
        if found != entries:
            msg = f"the database {name} has {found} entries instead of {entries}; delete its data directory"
            raise RuntimeError(msg)
        token = create_token(connection, token_id=new_id(), role=Role.DIALER, owner="dialer", now=NOON)
    engine.dispose()
    return Database(server.url(name), entries, token)


def copy_database(server: EmbeddedPostgres, source: Database, name: str) -> str:
    """Copy a database that nobody is connected to under a new name, and return the URL of the copy."""
    _administer(server, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    _administer(server, f"CREATE DATABASE {name} TEMPLATE {make_url(source.url).database} STRATEGY file_copy")
    return server.url(name)


def empty_database(server: EmbeddedPostgres, name: str) -> str:
    """Make a migrated database without rows, and return its URL."""
    _administer(server, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    _administer(server, f"CREATE DATABASE {name}")
    engine = make_engine(server.url(name), application_name="benchmarks")
    migrate(engine)
    engine.dispose()
    return server.url(name)


def drop_databases_of_one_benchmark(server: EmbeddedPostgres) -> None:
    """Drop all databases but those of `Ground.database`: to vacuum them later is no part of the next benchmark."""
    engine = make_engine(server.url("postgres"), application_name="benchmarks")
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for name in connection.execute(_OF_ONE_BENCHMARK, {"own": DATABASE}).scalars().all():
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


def _fill(url: str, entries: int, *, say: Say) -> None:
    engine = make_engine(url, application_name="benchmarks")
    migrate(engine)
    with engine.begin() as connection:
        write_registers(connection)
        adopt_start_policy(connection, None, policy_id=new_id(), now=NOON - timedelta(days=1))
    build_block_list(engine, entries, say=say)
    engine.dispose()


def _exists(server: EmbeddedPostgres, name: str) -> bool:
    engine = make_engine(server.url("postgres"), application_name="benchmarks")
    with engine.connect() as connection:
        found = connection.execute(text("SELECT 1 FROM pg_database WHERE datname = :name"), {"name": name}).first()
    engine.dispose()
    return found is not None


def _administer(server: EmbeddedPostgres, statement: str) -> None:
    engine = make_engine(server.url("postgres"), application_name="benchmarks")
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(statement))
    engine.dispose()


def bodies(count: int, entries: int, *, seed: int) -> list[dict[str, str]]:
    """Return `count` checks with different callees, of whom `BLOCKED_SHARE` are blocked."""
    callees = mixed_callees(count, entries, blocked_share=BLOCKED_SHARE, seed=seed)
    return [{**CALL, "callee": callee} for callee in callees]


def request_file(ground: Ground, database: Database) -> Path:
    """Write what the load generator sends to this database, and return where."""
    wanted = {
        "headers": {"Authorization": f"Bearer {database.token}", "Content-Type": "application/json"},
        "bodies": bodies(_DISTINCT_BODIES, database.entries, seed=1),
    }
    path = ground.work / f"requests-{database.entries}.json"
    path.write_text(json.dumps(wanted), encoding="utf-8")
    return path
