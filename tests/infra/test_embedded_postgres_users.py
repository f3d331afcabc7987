"""Several processes on one embedded server: who started it, who may end it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from infra import embedded_postgres
from tests.infra.embedded_server import ask, lose_starter

PROJECT = Path(__file__).parents[2]


def test_found_server_has_the_url_of_the_started_one_and_close_leaves_it(data_dir: Path) -> None:
    started = embedded_postgres.start(data_dir)

    found = embedded_postgres.find_running(data_dir)

    assert found is not None
    found.close()
    assert found.url() == started.url()
    assert started.is_running()
    started.stop()


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

    assert ask(server, "SELECT 1") == 1
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
    lose_starter(data_dir, holder)

    server = embedded_postgres.start(data_dir)
    server.close()

    assert not server.started_here
    assert embedded_postgres.find_running(data_dir) is None


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
