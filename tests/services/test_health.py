"""Whether the service lives and is ready, without a token."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, text

from compliance.working_days import package_calendar
from infra.clock import Clock
from infra.migrate import head_revision
from infra.settings import Settings
from recordings.retention import refresh
from services.app import create_app
from tests.conftest import NOON
from tests.recordings.archive_rows import POLICY, add_recording

END = package_calendar().known_through


@contextmanager
def running(
    database_url: str, data_dir: Path, *, clock: Clock = lambda: NOON, offset_ms: int = 0
) -> Iterator[TestClient]:
    settings = Settings(data_dir=data_dir, clock_offset_ms=offset_ms)
    with TestClient(create_app(settings, database_url=database_url, clock=clock)) as client:
        yield client


def test_a_live_process_says_so(database: str, tmp_path: Path) -> None:
    with running(database, tmp_path) as client:
        response = client.get("/healthz")

    assert response.status_code == 200
    assert response.json() == {"status": "ok", "calendar_coverage_end": END.isoformat(), "worm": False}


@pytest.mark.parametrize("offset_ms", [1, -86_400_000])
def test_a_demo_clock_is_said_to_be_one(database: str, tmp_path: Path, offset_ms: int) -> None:
    with running(database, tmp_path, offset_ms=offset_ms) as client:
        assert client.get("/healthz").json()["clock"] == "demo"


def test_a_live_process_without_a_database_lives_but_is_not_ready(tmp_path: Path) -> None:
    with running(f"postgresql://postgres@/none?host={tmp_path}", tmp_path) as client:
        lives, ready = client.get("/healthz"), client.get("/readyz")

    assert lives.status_code == 200
    assert ready.status_code == 503
    assert ready.json()["status"] == "not ready"
    assert ready.json()["problems"] == ["the database cannot be reached; checks are answered with deny"]


def test_a_migrated_database_is_ready(database: str, tmp_path: Path) -> None:
    with running(database, tmp_path) as client:
        response = client.get("/readyz")

    assert response.status_code == 200
    found = response.json()
    assert found.pop("ledger") | {"size": 0, "oldest_unsealed_s": 0} == {
        "size": 0,
        "last_sealed_at": None,
        "oldest_unsealed_s": 0,
        "last_verified_at": None,
        "last_witnessed_at": None,
        "last_timestamped_at": None,
    }
    assert found.pop("locks") == {"waiting": 0, "since": None}
    assert found == {"status": "ready", "problems": [], "calendar_coverage_end": END.isoformat()}


def test_a_database_at_another_migration_is_not_ready(database: str, engine: Engine, tmp_path: Path) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0000'"))

    with running(database, tmp_path) as client:
        response = client.get("/readyz")

    assert response.status_code == 503
    assert "0000" in response.json()["problems"][0]
    assert head_revision() in response.json()["problems"][0]


@pytest.mark.parametrize(
    ("instant", "status"),
    [
        pytest.param(datetime(END.year, END.month, END.day, 15, 59, 59, tzinfo=UTC), 200, id="last second"),
        pytest.param(datetime(END.year, END.month, END.day, 16, 0, tzinfo=UTC), 503, id="midnight in Shanghai"),
    ],
)
def test_beyond_the_calendar_it_is_not_ready(database: str, tmp_path: Path, instant: datetime, status: int) -> None:
    with running(database, tmp_path, clock=lambda: instant) as client:
        response = client.get("/readyz")

    # On a clock of years to come, what the ledger has to seal seems to have waited for long.
    about_days = [one for one in response.json()["problems"] if "ledger" not in one]
    assert len(about_days) == (status == 503)
    assert response.status_code == status or not about_days


def test_a_database_that_takes_no_changes_is_not_ready(database: str, engine: Engine, tmp_path: Path) -> None:
    with engine.begin() as connection:
        connection.execute(text(f"ALTER DATABASE {engine.url.database} SET default_transaction_read_only = on"))

    with running(database, tmp_path) as client:
        response = client.get("/readyz")

    assert response.status_code == 503
    assert "takes no changes" in response.json()["problems"][0]


def test_every_problem_is_listed_at_once(database: str, engine: Engine, tmp_path: Path) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0000'"))

    with running(database, tmp_path, clock=lambda: NOON + timedelta(days=3660)) as client:
        assert len(client.get("/readyz").json()["problems"]) == 2


def test_recordings_that_wait_for_their_stores_are_told_and_do_not_make_the_service_unready(
    database: str, engine: Engine, tmp_path: Path
) -> None:
    with engine.begin() as connection:
        refresh(connection, [add_recording(connection)], policy=POLICY, now=NOON)
    with running(database, tmp_path) as client:
        found = client.get("/readyz").json()

    assert (found["status"], found["locks"]) == ("ready", {"waiting": 1, "since": "2026-11-23T12:00:00+08:00"})
