"""Fixtures that several files of tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer
from sqlalchemy import Engine

from infra.database import make_engine
from infra.embedded_postgres import EmbeddedPostgres
from infra.ids import new_id
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
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """What boto3's chain finds, and nothing else: no profile, no role of this machine."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    given = {"AWS_ACCESS_KEY_ID": "ours", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_EC2_METADATA_DISABLED": "true"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="session")
def object_store() -> Iterator[str]:
    """The endpoint of an object store that speaks S3, in this process."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


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
