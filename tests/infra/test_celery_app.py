import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it ships no types
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from celery import Celery
from kombu.connection import Connection as BrokerConnection
from sqlalchemy import Connection, Engine, create_engine, inspect, text

from infra import embedded_postgres
from infra.celery_app import (
    BROKER_TABLES,
    QUEUE,
    celery_broker_url,
    create_broker_tables,
    make_celery,
    purge_delivered,
    uses_database,
)
from infra.database import metadata
from infra.embedded_postgres import EmbeddedPostgres
from tests.infra.deadline import wait_until

PROJECT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
SOCKET_URL = "postgresql+psycopg://postgres@/telesales?host=/tmp/telesales-0123456789ab&port=5432"


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedPostgres]:
    top = Path(tempfile.mkdtemp(prefix="telesales-test-"))
    with embedded_postgres.start(top) as running:
        yield running
    shutil.rmtree(top)


@pytest.fixture
def engine(server: EmbeddedPostgres) -> Iterator[Engine]:
    """An engine on a database without broker tables."""
    engine = create_engine(server.url(), connect_args={"connect_timeout": 2})
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE IF EXISTS kombu_message, kombu_queue"))
        connection.execute(text("DROP SEQUENCE IF EXISTS message_id_sequence, queue_id_sequence"))
    yield engine
    engine.dispose()


@pytest.fixture
def broker(engine: Engine, server: EmbeddedPostgres) -> Iterator[Celery]:
    """An application that sends to the database, as the API does."""
    with engine.begin() as connection:
        create_broker_tables(connection)
    application = make_celery(server.url())
    yield application
    application.close()


@contextmanager
def _celery(server: EmbeddedPostgres, tmp_path: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    environment = {
        **os.environ,
        "TEST_BROKER_URL": server.url(),
        "TEST_TICK_FILE": str(tmp_path / "tick"),
    }
    command = [sys.executable, "-m", "celery", "--app=tests.infra.worker_tasks:application", *arguments]
    with (
        (tmp_path / f"{arguments[0]}.log").open("wb") as log,
        subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=log, stderr=log) as process,
    ):
        yield process
        process.terminate()


def _worker(server: EmbeddedPostgres, tmp_path: Path) -> AbstractContextManager[subprocess.Popen[bytes]]:
    return _celery(server, tmp_path, "worker", "--concurrency=1", "--loglevel=INFO")


def _log(tmp_path: Path) -> str:
    return (tmp_path / "worker.log").read_text()


def _messages(engine: Engine) -> list[bool]:
    """Return for every stored message whether it still waits."""
    with engine.connect() as connection:
        return list(connection.scalars(text("SELECT visible FROM kombu_message ORDER BY id")))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (SOCKET_URL, f"telesales+{SOCKET_URL.replace('=/tmp/', '=%2Ftmp%2F')}"),
        ("postgresql://u:p%40ss@db:5433/t", "telesales+postgresql+psycopg://u:p%40ss@db:5433/t"),
        ("postgres://u@db/t", "telesales+postgresql+psycopg://u@db/t"),
        ("redis://cache:6379/0", "redis://cache:6379/0"),
        ("amqp://u:p@rabbit//", "amqp://u:p@rabbit//"),
    ],
    ids=["socket", "libpq", "short scheme", "redis", "rabbitmq"],
)
def test_only_a_database_is_given_to_our_transport(url: str, expected: str) -> None:
    assert celery_broker_url(url) == expected
    assert uses_database(url) == (expected != url)


def test_socket_and_password_reach_sqlalchemy_through_kombu() -> None:
    make_celery(SOCKET_URL)
    url = celery_broker_url("postgresql://u:p%40ss@/t?host=/tmp/x%20y")

    with BrokerConnection(url) as connection:  # type: ignore[no-untyped-call]  # kombu has no types here
        assert connection.hostname == "postgresql+psycopg://u:p%40ss@/t?host=%2Ftmp%2Fx+y"


def test_log_lines_of_celery_hide_the_password() -> None:
    application = make_celery("postgresql://u:hunter2@db/t")

    with application.connection() as connection:
        assert "hunter2" not in connection.as_uri()


def test_messages_are_json_and_acknowledged_after_the_work() -> None:
    conf = make_celery("redis://cache").conf

    assert conf.accept_content == ["json"]
    assert conf.task_serializer == "json"
    assert conf.task_acks_late is True
    assert conf.worker_prefetch_multiplier == 1
    assert conf.result_backend is None
    assert conf.timezone == "UTC"


def test_beat_keeps_its_state_in_the_directory_given(tmp_path: Path) -> None:
    conf = make_celery(SOCKET_URL, schedule_dir=tmp_path).conf

    assert Path(conf.beat_schedule_filename).parent == tmp_path


def test_processes_that_start_together_make_the_broker_tables_once(engine: Engine) -> None:
    def create(_number: int) -> None:
        with engine.begin() as connection:
            create_broker_tables(connection)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(create, range(8)))

    assert set(inspect(engine).get_table_names()) >= BROKER_TABLES
    with engine.connect() as connection:
        assert connection.scalars(text("SELECT name FROM kombu_queue")).all() == [QUEUE]


def test_comparison_with_the_migrations_can_leave_the_broker_tables_out(engine: Engine) -> None:
    def is_ours(_object: object, name: str | None, kind: str, _reflected: bool, _other: object) -> bool:
        return not (kind == "table" and name in BROKER_TABLES)

    def differences(connection: Connection, options: dict[str, object]) -> list[object]:
        context = MigrationContext.configure(connection, opts=options)
        found = compare_metadata(context, metadata)
        return [difference for difference in found if "kombu" in str(difference)]

    with engine.begin() as connection:
        create_broker_tables(connection)
        assert differences(connection, {})
        assert not differences(connection, {"include_object": is_ours})


def test_delivered_messages_are_purged_and_waiting_ones_stay(engine: Engine) -> None:
    with engine.begin() as connection:
        create_broker_tables(connection)
        insert = text(
            "INSERT INTO kombu_message (id, visible, timestamp, payload, version, queue_id) "
            "VALUES (:id, :visible, :timestamp, '{}', 1, (SELECT id FROM kombu_queue))"
        )
        naive = NOW.replace(tzinfo=None)
        connection.execute(insert, {"id": 1, "visible": False, "timestamp": naive - timedelta(seconds=1)})
        connection.execute(insert, {"id": 2, "visible": False, "timestamp": naive})
        connection.execute(insert, {"id": 3, "visible": True, "timestamp": None})

        purged = purge_delivered(connection, older_than=NOW)

        assert purged == 1
        assert connection.scalars(text("SELECT id FROM kombu_message ORDER BY id")).all() == [2, 3]


def test_worker_runs_what_was_sent_before_and_after_it_started(
    broker: Celery, engine: Engine, server: EmbeddedPostgres, tmp_path: Path
) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    broker.send_task("touch", [str(before)])
    assert _messages(engine) == [True]

    with _worker(server, tmp_path):
        wait_until(before.exists, within_s=60)
        broker.send_task("touch", [str(after)])
        wait_until(after.exists)

    assert _messages(engine) == [False, False]


def test_task_may_send_a_task(broker: Celery, server: EmbeddedPostgres, tmp_path: Path) -> None:
    relayed = [tmp_path / str(number) for number in range(5)]

    with _worker(server, tmp_path):
        for path in relayed:
            broker.send_task("relay", [str(path)])
        wait_until(lambda: all(path.exists() for path in relayed), within_s=60)

    assert "ERROR" not in _log(tmp_path)


def _stop(server: EmbeddedPostgres, _data_dir: Path) -> None:
    server.stop()


def _kill(_server: EmbeddedPostgres, data_dir: Path) -> None:
    pid = (data_dir / "postgres" / "data" / "postmaster.pid").read_text().splitlines()[0]
    psutil.Process(int(pid)).kill()


@pytest.mark.parametrize("take_away", [_stop, _kill], ids=["stopped", "killed"])
def test_worker_and_sender_survive_the_loss_of_the_broker_database(
    tmp_path: Path, take_away: Callable[[EmbeddedPostgres, Path], None]
) -> None:
    data_dir = Path(tempfile.mkdtemp(prefix="telesales-test-"))
    first = embedded_postgres.start(data_dir)
    sender = make_celery(first.url())
    with _worker(first, tmp_path) as worker:
        sender.send_task("touch", [str(tmp_path / "before")])
        wait_until((tmp_path / "before").exists, within_s=60)

        take_away(first, data_dir)
        wait_until(lambda: "Trying again" in _log(tmp_path))
        second = embedded_postgres.start(data_dir)
        sender.send_task("touch", [str(tmp_path / "after")])
        wait_until((tmp_path / "after").exists, within_s=60)

        assert worker.poll() is None
    sender.close()
    first.close()
    second.close()
    shutil.rmtree(data_dir)


def test_sending_to_a_database_that_is_away_fails_soon_and_says_so(broker: Celery) -> None:
    away = make_celery("postgresql+psycopg://postgres@/telesales?host=/nonexistent")

    with pytest.raises(Exception, match="connection to server on socket"):
        away.send_task("touch", ["x"])


def test_beat_wakes_tasks_and_keeps_its_state_where_it_was_told(
    broker: Celery, engine: Engine, server: EmbeddedPostgres, tmp_path: Path
) -> None:
    with _celery(server, tmp_path, "beat") as beat:
        wait_until(lambda: _messages(engine), within_s=60)
        beat.terminate()
        beat.wait()

    assert list(tmp_path.glob("celerybeat-schedule*"))
    assert not list(PROJECT.glob("celerybeat-schedule*"))
