"""The API compares the ledger with the outside at its start; whatever it finds, checks are served."""

import json
import logging
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import structlog
from fastapi.testclient import TestClient
from sqlalchemy import Engine, text

from infra import embedded_postgres
from infra.application_role import application_url
from infra.clock import seconds_running
from infra.database import make_engine
from infra.logs import configure_logs
from infra.migrate import migrate
from infra.settings import Settings
from services.app import create_app
from services.sealing import StartComparison, open_ledger, seal_if_possible
from tests.compliance.ledger_rows import write_entries
from tests.conftest import NOON
from tests.faulty_store import Fault, FaultyStore, faulty_store
from tests.infra.deadline import wait_until
from tests.services.shared_app import make_tokens

CHECKS = "/v1/call-checks"
CALL = {"callee": "13800138000"}
STARTS_WITHIN_S = 2.5
"""A second for the comparison, and more than that for a busy machine; boto3 alone would wait for 3 s."""
READY_WITHIN_S = 6.0
"""4 s for the store, and the rest for the database and a busy machine."""

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines() -> Iterator[Lines]:
    """What was logged."""
    root = logging.getLogger()
    handlers, level, before = root.handlers[:], root.level, structlog.get_config()
    stream = StringIO()
    configure_logs("INFO", stream=stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**before)


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyStore]:
    given = {"AWS_ACCESS_KEY_ID": "ours", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_EC2_METADATA_DISABLED": "true"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with faulty_store() as store:
        yield store


@pytest.fixture
def dialer(engine: Engine) -> dict[str, str]:
    """Headers of a dialer."""
    with engine.begin() as connection:
        return {"Authorization": f"Bearer {make_tokens(connection)['dialer']}"}


@contextmanager
def served(settings: Settings, database: str) -> Iterator[TestClient]:
    app = create_app(settings, database_url=application_url(database), clock=lambda: NOON)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def seal(settings: Settings, engine: Engine) -> None:
    with engine.begin() as connection:
        write_entries(connection, 5)
    seal_if_possible(open_ledger(settings, engine, lambda: NOON))


def forget(engine: Engine) -> None:
    """Make the database a copy from before its first sealing."""
    with engine.begin() as owner:
        owner.execute(text("SET LOCAL session_replication_role = replica"))
        owner.execute(text("DELETE FROM ledger_checkpoints"))
        owner.execute(text("DELETE FROM ledger_leaves"))


def incidents(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.execute(text("SELECT kind FROM incidents WHERE kind LIKE 'ledger%'")).scalars())


def named(lines: Lines, event: str) -> list[dict[str, Any]]:
    return [line for line in lines() if line["event"] == event]


def test_a_ledger_that_agrees_with_the_outside_is_said_to(
    engine: Engine, database: str, tmp_path: Path, lines: Lines
) -> None:
    settings = Settings(data_dir=tmp_path)
    seal(settings, engine)

    with served(settings, database):
        wait_until(lambda: named(lines, "ledger_compared"))

    assert named(lines, "ledger_contradicted") == named(lines, "ledger_not_compared") == []


def test_a_contradiction_is_said_at_each_start_opens_one_incident_and_checks_are_answered(
    engine: Engine, database: str, tmp_path: Path, lines: Lines, dialer: dict[str, str]
) -> None:
    settings = Settings(data_dir=tmp_path)
    seal(settings, engine)
    forget(engine)

    with served(settings, database) as client:
        wait_until(lambda: incidents(engine))
        answers = [client.post(CHECKS, json=CALL, headers=dialer)]
    with served(settings, database) as client:
        wait_until(lambda: len(named(lines, "ledger_contradicted")) == 2)
        answers += [client.post(CHECKS, json=CALL, headers=dialer)]

    assert [one.status_code for one in answers] == [200, 200]
    assert {one["level"] for one in named(lines, "ledger_contradicted")} == {"error"}
    assert {one["finding"] for one in named(lines, "ledger_contradicted")} == {"ledger_rolled_back"}
    assert incidents(engine) == ["ledger_rolled_back"]


def test_a_checkpoint_that_cannot_be_trusted_is_a_contradiction(
    engine: Engine, database: str, tmp_path: Path, lines: Lines
) -> None:
    settings = Settings(data_dir=tmp_path)
    seal(settings, engine)
    (tmp_path / "checkpoints" / "checkpoint.txt").write_text("no checkpoint")

    with served(settings, database):
        wait_until(lambda: incidents(engine) == ["ledger_checkpoint_unreadable"])

    assert named(lines, "ledger_contradicted")


@pytest.mark.parametrize("fault", [Fault.FORBIDDEN, Fault.SERVER_ERROR, Fault.HANG])
def test_a_store_that_cannot_be_read_is_said_and_checks_are_answered(
    database: str, tmp_path: Path, lines: Lines, dialer: dict[str, str], faulty: FaultyStore, fault: Fault
) -> None:
    faulty.fails(fault)
    settings = Settings(data_dir=tmp_path, checkpoints_url=faulty.place())

    with served(settings, database) as client:
        check = client.post(CHECKS, json=CALL, headers=dialer)
        began = seconds_running()
        ready = client.get("/readyz")
        asked_s = seconds_running() - began
        wait_until(lambda: named(lines, "ledger_not_compared"))

    assert check.status_code == 200
    assert "the outside checkpoints of the ledger cannot be read; see the log" in ready.json()["problems"]
    assert asked_s < READY_WITHIN_S
    assert named(lines, "ledger_not_compared")[0]["level"] == "error"
    assert "s3://evidence/ledger" in named(lines, "ledger_not_compared")[0]["reason"]


def test_a_store_that_hangs_does_not_hold_up_the_start(engine: Engine, tmp_path: Path, faulty: FaultyStore) -> None:
    faulty.fails(Fault.HANG)
    settings = Settings(data_dir=tmp_path, checkpoints_url=faulty.place())
    comparison = StartComparison(open_ledger(settings, engine, lambda: NOON))
    began = seconds_running()

    comparison.start()
    started_s = seconds_running() - began
    comparison.stop()

    assert started_s < STARTS_WITHIN_S


def test_a_store_that_comes_back_is_compared_then(
    engine: Engine, database: str, tmp_path: Path, lines: Lines, faulty: FaultyStore
) -> None:
    settings = Settings(data_dir=tmp_path, checkpoints_url=faulty.place())
    seal(settings, engine)
    forget(engine)
    faulty.fails(Fault.SERVER_ERROR)

    with served(settings, database):
        wait_until(lambda: named(lines, "ledger_not_compared"))
        faulty.fails(Fault.NONE)
        wait_until(lambda: incidents(engine) == ["ledger_rolled_back"])


@pytest.fixture
def home() -> Iterator[Path]:
    """Where a test has a PostgreSQL of its own, which it may stop."""
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory)
        if (left := embedded_postgres.find_running(Path(directory))) is not None:
            left.stop(within_s=5)


def test_a_database_that_is_away_at_the_start_is_compared_when_it_is_there(
    home: Path, tmp_path: Path, lines: Lines
) -> None:
    settings = Settings(data_dir=tmp_path)
    server = embedded_postgres.start(home)
    url = server.url()
    engine = make_engine(url, application_name="tests")
    migrate(engine)
    seal(settings, engine)
    forget(engine)
    with engine.begin() as connection:
        headers = {"Authorization": f"Bearer {make_tokens(connection)['dialer']}"}
    engine.dispose()
    server.stop()

    with served(settings, url) as client:
        lives, denied = client.get("/healthz"), client.post(CHECKS, json=CALL, headers=headers)
        wait_until(lambda: named(lines, "ledger_not_compared"))
        again = embedded_postgres.start(home)
        wait_until(lambda: incidents(engine) == ["ledger_rolled_back"])
        answered = client.post(CHECKS, json=CALL, headers=headers)
    engine.dispose()
    again.stop()

    assert (lives.status_code, denied.status_code, denied.json()["decision"]) == (200, 503, "deny")
    assert answered.status_code == 200
