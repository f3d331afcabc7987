"""Fixtures that several files of tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from infra.database import make_engine
from infra.embedded_postgres import EmbeddedPostgres
from infra.ids import new_id
from tests.compliance.attested_ledger import AttestedLedger
from tests.compliance.checkpoint_places import Outside, OutsideBucket, OutsideDirectory, make_bucket
from tests.compliance.import_lists import Importer
from tests.compliance.scrub_desk import Desk, fill
from tests.conftest import SettableClock
from tests.services.shared_app import fresh_database


@pytest.fixture
def importer(engine: Engine, tmp_path: Path, clock: SettableClock) -> Importer:
    return Importer(engine, tmp_path, clock)


@pytest.fixture(scope="module")
def desk(server: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with fresh_database(server, template) as url:
        engine = make_engine(url, application_name="tests")
        with engine.begin() as connection:
            fill(connection)
        yield Desk(engine, tmp_path_factory.mktemp("scrubs"))
        engine.dispose()


@pytest.fixture
def bucket(credentials: None, object_store: str) -> OutsideBucket:
    return make_bucket(object_store, f"evidence-{new_id().hex}")


@pytest.fixture(params=["directory", "bucket"])
def outside(request: pytest.FixtureRequest, tmp_path: Path) -> Outside:
    """A place for outside checkpoints, of each kind."""
    if request.param == "directory":
        return OutsideDirectory(tmp_path / "outside")
    found: OutsideBucket = request.getfixturevalue("bucket")
    return found


@pytest.fixture
def ledger(engine: Engine, clock: SettableClock) -> AttestedLedger:
    return AttestedLedger.make(engine, clock)
