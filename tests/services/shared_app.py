"""One running application for the tests of a module that do not disturb one another: a database costs a second."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import Connection, Engine, text

from infra.application_role import application_url
from infra.clock import Clock
from infra.database import make_engine
from infra.embedded_postgres import EmbeddedPostgres
from infra.ids import new_id
from infra.settings import Settings
from services.app import create_app
from services.tokens import Role, create_token
from tests.conftest import NOON
from tests.gate_facts import write_registers

ROLES = tuple(role.value for role in Role)


@cache
def published_document() -> dict[str, Any]:
    """Return the OpenAPI document, which needs no database."""
    return create_app(Settings(), database_url="postgresql://unused").openapi()


@contextmanager
def fresh_database(server: EmbeddedPostgres, template: str) -> Iterator[str]:
    """Give the URL of a migrated database of its own; `template` "template0" gives an empty one."""
    name = f"module_{new_id().hex}"
    engine = make_engine(server.url("postgres"), application_name="tests")
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY"))
    yield server.url(name)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


@dataclass(frozen=True, slots=True)
class SharedApp:
    """An application that runs, with its database, its registers filled, and a live token per role."""

    app: FastAPI
    engine: Engine
    running: TestClient
    tokens: dict[str, str] = field(default_factory=dict)

    def client(self, role: str | None = None) -> TestClient:
        """Return a client with the token of `role`, None: without a token."""
        made = TestClient(self.app, raise_server_exceptions=False)
        made.portal = self.running.portal
        if role is not None:
            made.headers["Authorization"] = f"Bearer {self.tokens[role]}"
        return made


def make_tokens(connection: Connection) -> dict[str, str]:
    """Return a token by role, each of an owner named like its role, live for ten years."""
    life = timedelta(days=3660)
    return {
        role: create_token(connection, token_id=new_id(), role=Role(role), owner=role, now=NOON, life=life)
        for role in ROLES
    }


@contextmanager
def shared_app(
    server: EmbeddedPostgres, template: str, data_dir: Path, *, clock: Clock = lambda: NOON
) -> Iterator[SharedApp]:
    """Run the application at noon on a database of its own, with the registers of `tests.gate_facts`."""
    with fresh_database(server, template) as url:
        engine = make_engine(url, application_name="tests")
        app = create_app(Settings(data_dir=data_dir), database_url=application_url(url), clock=clock)
        with TestClient(app, raise_server_exceptions=False) as running:
            with engine.begin() as connection:
                write_registers(connection)
                tokens = make_tokens(connection)
            yield SharedApp(app, engine, running, tokens)
        engine.dispose()
