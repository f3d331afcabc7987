"""What an embedded server and its next start make of crashes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it ships no types
import psycopg
import pytest

from infra import embedded_postgres
from tests.infra.deadline import wait_until
from tests.infra.embedded_server import ask, postmaster_of, write_keepsake

PROJECT = Path(__file__).parents[2]


def test_server_that_hangs_is_ended_by_force(data_dir: Path) -> None:
    server = embedded_postgres.start(data_dir)
    postmaster_of(data_dir).send_signal(signal.SIGSTOP)

    server.stop(within_s=1)

    assert not server.is_running()


def test_committed_rows_survive_kill_of_postgresql(data_dir: Path) -> None:
    first = embedded_postgres.start(data_dir)
    write_keepsake(first)
    postmaster_of(data_dir).kill()

    with embedded_postgres.start(data_dir) as second:
        assert second.started_here
        assert ask(second, "SELECT answer FROM keepsake") == 42
    first.close()


def test_start_ends_server_processes_that_outlived_their_postmaster(data_dir: Path) -> None:
    first = embedded_postgres.start(data_dir)
    client = psycopg.connect(first.libpq_url())
    backend = psutil.Process(client.info.backend_pid)
    backend.send_signal(signal.SIGSTOP)
    postmaster_of(data_dir).kill()

    with embedded_postgres.start(data_dir) as second:
        assert ask(second, "SELECT 1") == 1
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
        assert ask(again, "SELECT 1") == 1


def test_half_made_cluster_is_made_again(data_dir: Path) -> None:
    half_made = data_dir / "postgres" / "data.new-abcdef"
    (half_made / "base").mkdir(parents=True)
    (half_made / "PG_VERSION").write_text("18\n")

    with embedded_postgres.start(data_dir) as server:
        assert ask(server, "SELECT 1") == 1

    assert not half_made.exists()


def test_start_works_after_a_kill_in_the_middle_of_initdb(data_dir: Path) -> None:
    command = [sys.executable, "-m", "tests.infra.hold_postgres", str(data_dir)]
    with subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        wait_until(lambda: list((data_dir / "postgres").glob("data.new-*/base")))
        process.kill()

    with embedded_postgres.start(data_dir) as server:
        assert ask(server, "SELECT 1") == 1
