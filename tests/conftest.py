"""Fixtures on a real PostgreSQL with the real migrations: one server for the run, databases handed on."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Connection, Engine, text

from infra import embedded_postgres
from infra.application_role import application_url
from infra.database import make_engine
from infra.embedded_postgres import EmbeddedPostgres
from infra.ids import new_id
from infra.migrate import migrate
from infra.settings import Settings
from services import all_tables
from services.app import create_app
from services.tokens import Role, create_token
from tests.databases import Databases, databases_of

assert all_tables.REGISTERED

NOON = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
"""12:00 in Shanghai on a Monday."""

_ROOM_BYTES = 8 << 30
"""Free memory below which the databases lie on disk; a worker's take up to one gigabyte."""


@pytest.fixture(scope="session")
def server() -> Iterator[EmbeddedPostgres]:
    """One PostgreSQL for the whole run, in a temporary directory, in memory where there is enough."""
    with tempfile.TemporaryDirectory(dir=_ground()) as directory, embedded_postgres.start(Path(directory)) as running:
        # Nobody needs these databases after a crash; what must be durable is tested on servers of its own.
        for setting in ("fsync", "full_page_writes", "synchronous_commit", "autovacuum"):
            _administer(running, f"ALTER SYSTEM SET {setting} = off")
        _administer(running, "ALTER SYSTEM SET max_wal_size = '256MB'")
        _administer(running, "SELECT pg_reload_conf()")
        yield running


def _ground() -> Path | None:
    """Return a directory in memory, None where it has no room for the databases of some workers."""
    memory = Path("/dev/shm")  # noqa: S108 - the server makes a directory of mode 0700 in it
    has_room = memory.is_dir() and shutil.disk_usage(memory).free >= _ROOM_BYTES
    return memory if has_room else None


@pytest.fixture(scope="session")
def template(server: EmbeddedPostgres) -> str:
    """The name of a migrated, empty database from which each test's is copied."""
    name = "template_migrated"
    _administer(server, f"CREATE DATABASE {name}")
    engine = make_engine(server.url(name), application_name="tests")
    migrate(engine)
    engine.dispose()
    return name


def _administer(server: EmbeddedPostgres, statement: str) -> None:
    engine = make_engine(server.url("postgres"), application_name="tests")
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(statement))
    engine.dispose()


@pytest.fixture(scope="session")
def databases(server: EmbeddedPostgres, template: str) -> Iterator[Databases]:
    with databases_of(server, template) as made:
        yield made


@pytest.fixture
def database(server: EmbeddedPostgres, databases: Databases) -> Iterator[str]:
    """The URL of a migrated, empty database of this test alone, for what must commit."""
    name = databases.take()
    yield server.url(name)
    databases.give_back(name)


@pytest.fixture(scope="session")
def shared_engine(server: EmbeddedPostgres, template: str) -> Iterator[Engine]:
    """An engine on a migrated database in which nothing is ever committed."""
    name = "test_shared"
    _administer(server, f"CREATE DATABASE {name} TEMPLATE {template}")
    engine = make_engine(server.url(name), application_name="tests")
    yield engine
    engine.dispose()


@pytest.fixture
def connection(shared_engine: Engine) -> Iterator[Connection]:
    """One test's transaction, rolled back at its end."""
    with shared_engine.connect() as opened:
        yield opened
        opened.rollback()


@pytest.fixture
def engine(database: str) -> Iterator[Engine]:
    """An engine on this test's own database."""
    made = make_engine(database, application_name="tests", pool_size=10, max_overflow=30)
    yield made
    made.dispose()


class SettableClock:
    """The product's clock, set by a test."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    def advance(self, by: timedelta) -> None:
        self.at += by


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock(NOON)


ClientFor = Callable[..., httpx2.Client]


@pytest.fixture
def app_settings(tmp_path: Path) -> Settings:
    """What the application of `client_for` runs with; a module of tests may have its own."""
    return Settings(data_dir=tmp_path)


@pytest.fixture
def client_for(
    database: str, engine: Engine, clock: SettableClock, app_settings: Settings
) -> Iterator[Callable[..., TestClient]]:
    """Return clients of one running application by role, each with a live token of its own owner.

    `client_for("officer", owner="officer2")` is another person of the same role.
    """
    app = create_app(app_settings, database_url=application_url(database), clock=clock)
    with TestClient(app, raise_server_exceptions=False) as running:

        def client(role: str, *, owner: str | None = None) -> TestClient:
            with engine.begin() as opened:
                token = create_token(opened, token_id=new_id(), role=Role(role), owner=owner or role, now=clock())
            made = TestClient(app, raise_server_exceptions=False)
            made.portal = running.portal
            made.headers["Authorization"] = f"Bearer {token}"
            return made

        yield client


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """What boto3's chain finds, and nothing else: no profile, no role of this machine."""
    give_credentials(monkeypatch)


def give_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set what boto3's chain is to find."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    given = {"AWS_ACCESS_KEY_ID": "ours", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_EC2_METADATA_DISABLED": "true"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="session")
def object_store() -> Iterator[str]:
    """The endpoint of an object store that speaks S3, in this process."""
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 - takes a second, which few tests need

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()
