"""Fixtures that several files of tests share."""

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from infra.application_role import application_url
from infra.database import make_engine
from infra.embedded_postgres import EmbeddedPostgres
from services.tasks import RUNNERS, Worker
from tests.conftest import NOON
from tests.ledger_evidence import Firm, Kept, copied_firm, kept_firm
from tests.services.list_house import House
from tests.services.shared_app import SharedApp, shared_app


@pytest.fixture(scope="session")
def kept(server: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    """A database with sealed evidence of every kind."""
    with kept_firm(server, template, tmp_path_factory.mktemp("kept")) as made:
        yield made


@pytest.fixture
def firm(server: EmbeddedPostgres, kept: Kept, tmp_path: Path) -> Iterator[Firm]:
    """This test's own copy of that database, with the application on it."""
    with copied_firm(server, kept, tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def house(server: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    data_dir = tmp_path_factory.mktemp("data")
    with shared_app(server, template, data_dir) as shared:
        woken: list[UUID] = []
        shared.app.state.telesales.wake = woken.append
        url = application_url(shared.engine.url.render_as_string(hide_password=False))
        engine = make_engine(url, application_name="tests")
        worker = Worker(engine, clock=lambda: NOON, data_dir=data_dir, owns_broker=False, runners=RUNNERS)
        shared.app.state.telesales.files.mkdir(exist_ok=True)
        yield House(shared, worker, woken)
        engine.dispose()


@pytest.fixture(scope="module")
def shared(server: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedApp]:
    """An application for the tests of one file, which are about what they left behind themselves."""
    with shared_app(server, template, tmp_path_factory.mktemp("data")) as running:
        yield running
