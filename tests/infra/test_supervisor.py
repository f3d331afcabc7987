import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it ships no types
import pytest

from infra.supervisor import Child, Patience, run
from tests.infra.deadline import wait_until

PROJECT = Path(__file__).parents[2]
QUICK = Patience(first_delay_s=0.01, longest_delay_s=0.04, started_after_s=60, stop_within_s=4)
FOREVER = "while :; do sleep 0.05; done"
STUBBORN = f"trap '' TERM; {FOREVER}"


def _shell(name: str, script: str, ready: Callable[[], bool] | None = None) -> Child:
    return Child(name=name, command=("sh", "-c", script), ready=ready)


def _send_to_self(kind: signal.Signals) -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), kind)


def _is_gone(pid_file: Path) -> bool:
    """Tell whether the process whose id stands in `pid_file` has ended; a zombie has."""
    try:
        return bool(psutil.Process(int(pid_file.read_text())).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


@contextmanager
def _supervisor(stop_within_s: float, *scripts: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.infra.supervise", str(stop_within_s), *scripts]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


# Under nohup the tests are started deaf to it, and so is what they start.
is_deaf = pytest.mark.skipif(signal.getsignal(signal.SIGHUP) is signal.SIG_IGN, reason="SIGHUP is ignored")


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM, pytest.param(signal.SIGHUP, marks=is_deaf)])
def test_signal_stops_everything_in_reverse_order(tmp_path: Path, kind: signal.Signals) -> None:
    ended = tmp_path / "ended"
    children = [
        _shell(
            name,
            f"trap 'echo {name} >> {ended}; exit' TERM; touch {tmp_path / name}; {FOREVER}",
            (tmp_path / name).exists,
        )
        for name in ("first", "second", "third")
    ]

    status = run(children, on_ready=_send_to_self(kind), patience=QUICK)

    assert status == 0
    assert ended.read_text().split() == ["third", "second", "first"]


def test_handlers_of_the_caller_are_put_back() -> None:
    before = signal.getsignal(signal.SIGINT)

    run([_shell("server", FOREVER)], on_ready=_send_to_self(signal.SIGTERM), patience=QUICK)

    assert signal.getsignal(signal.SIGINT) is before


def test_ready_is_announced_once_and_only_when_every_child_is_ready(tmp_path: Path) -> None:
    announced: list[bool] = []
    slow = tmp_path / "slow"

    def note() -> None:
        announced.append(slow.exists())
        os.kill(os.getpid(), signal.SIGINT)

    children = [_shell("quick", FOREVER), _shell("slow", f"sleep 0.3; touch {slow}; {FOREVER}", slow.exists)]
    run(children, on_ready=note, patience=QUICK)

    assert announced == [True]


def test_crashed_child_is_started_again_and_said_so(tmp_path: Path) -> None:
    said: list[str] = []
    crashed, up = tmp_path / "crashed", tmp_path / "up"
    script = f"if [ -e {crashed} ]; then touch {up}; {FOREVER}; else touch {crashed}; exit 3; fi"

    run(
        [_shell("server", script, up.exists)],
        on_ready=_send_to_self(signal.SIGINT),
        say=said.append,
        patience=QUICK,
    )

    assert said == ["server ended with status 3; starting it again in 0.01 s"]


@pytest.mark.parametrize(
    ("command", "how"),
    [
        (("sh", "-c", "exit 0"), "ended with status 0"),
        (("sh", "-c", "kill -SEGV $$"), "was ended by SIGSEGV"),
        (("no-such-program",), "cannot be started: No such file or directory"),
    ],
    ids=["ends", "crashes", "is not there"],
)
def test_child_that_never_starts_ends_everything_after_five_growing_delays(command: tuple[str, ...], how: str) -> None:
    said: list[str] = []
    children = [_shell("other", FOREVER), Child(name="broken", command=command)]

    status = run(children, say=said.append, patience=QUICK)

    assert status == 1
    assert said == [
        f"broken {how}; starting it again in 0.01 s",
        f"broken {how}; starting it again in 0.02 s",
        f"broken {how}; starting it again in 0.04 s",
        f"broken {how}; starting it again in 0.04 s",
        f"broken {how}; it failed to start 5 times in a row",
    ]


def test_child_that_started_is_started_again_for_ever(tmp_path: Path) -> None:
    lived = Patience(first_delay_s=0.01, longest_delay_s=9, started_after_s=0, steady_after_s=0)
    said: list[str] = []

    def note(message: str) -> None:
        said.append(message)
        if len(said) == 7:
            os.kill(os.getpid(), signal.SIGINT)

    status = run([_shell("server", "exit 1")], say=note, patience=lived)

    assert status == 0
    assert set(said) == {"server ended with status 1; starting it again in 0.01 s"}


def test_child_that_does_not_end_is_killed_with_what_it_started(tmp_path: Path) -> None:
    said: list[str] = []
    pid_file = tmp_path / "pid"
    script = f"trap '' TERM; sleep 600 & echo $! > {pid_file}.new; mv {pid_file}.new {pid_file}; {FOREVER}"

    status = run(
        [_shell("stubborn", script, pid_file.exists)],
        on_ready=_send_to_self(signal.SIGINT),
        say=said.append,
        patience=Patience(stop_within_s=0.3),
    )

    assert status == 0
    assert said == ["stubborn did not end; killing it"]
    wait_until(lambda: _is_gone(pid_file))


def test_what_a_crashed_child_started_is_ended_before_it_starts_again(tmp_path: Path) -> None:
    pid_file, up = tmp_path / "pid", tmp_path / "up"
    script = (
        f"if [ -e {pid_file} ]; then touch {up}; {FOREVER}; fi; "
        f"sleep 600 & echo $! > {pid_file}.new; mv {pid_file}.new {pid_file}; exit 1"
    )

    run(
        [_shell("server", script, up.exists)],
        on_ready=_send_to_self(signal.SIGINT),
        say=lambda _message: None,
        patience=QUICK,
    )

    wait_until(lambda: _is_gone(pid_file))


def test_one_stubborn_child_leaves_time_for_the_others(tmp_path: Path) -> None:
    ended, up = tmp_path / "ended", tmp_path / "up"
    polite = f"trap 'touch {ended}; exit' TERM; touch {up}; {FOREVER}"

    run(
        [_shell("polite", polite, up.exists), _shell("stubborn", STUBBORN)],
        on_ready=_send_to_self(signal.SIGINT),
        say=lambda _message: None,
        patience=Patience(stop_within_s=2),
    )

    assert ended.exists()


def test_second_signal_does_not_wait_any_longer(tmp_path: Path) -> None:
    deaf = [tmp_path / "one", tmp_path / "two"]
    with _supervisor(3600, *(f"trap '' TERM; touch {path}; {FOREVER}" for path in deaf)) as process:
        wait_until(lambda: all(path.exists() for path in deaf))

        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=20)

    assert process.returncode == 0
    assert said == "child 2 did not end; killing it\nchild 1 did not end; killing it\n"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_children_die_with_a_supervisor_that_was_killed(tmp_path: Path) -> None:
    pid_files = [tmp_path / "one", tmp_path / "two"]
    with _supervisor(30, *(f"echo $$ > {path}; {STUBBORN}" for path in pid_files)) as process:
        wait_until(lambda: all(path.exists() and path.read_text().strip() for path in pid_files))

        process.kill()

        wait_until(lambda: all(_is_gone(path) for path in pid_files))


def test_supervisor_under_nohup_outlives_its_terminal(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    survived = tmp_path / "survived"

    def hang_up() -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        survived.touch()
        os.kill(os.getpid(), signal.SIGINT)

    try:
        status = run([_shell("server", FOREVER)], on_ready=hang_up, patience=QUICK)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)

    assert status == 0
    assert survived.exists()
