"""Starts the product's own commands as processes, in an environment that holds only what a test says."""

import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it ships no types

from infra.settings import Settings

PROJECT = Path(__file__).parents[2]
_OURS = {name.upper() for name in Settings.model_fields}


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def environment(**variables: object) -> dict[str, str]:
    """Return this environment without any variable of the product, with `variables` over it."""
    kept = {name: value for name, value in os.environ.items() if name.upper() not in _OURS}
    return {**kept, **{name: str(value) for name, value in variables.items()}}


def finished(*arguments: str, **variables: object) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end and return what it said."""
    return subprocess.run(
        [sys.executable, "-m", "services.cli.main", *arguments],
        cwd=PROJECT,
        env=environment(**variables),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@dataclass(frozen=True, slots=True)
class Running:
    """A command that serves, with where it writes and where it listens."""

    process: "subprocess.Popen[bytes]"
    log: Path
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def is_healthy(self) -> bool:
        """Return whether /healthz answers 200; fail when the process has ended."""
        assert self.process.poll() is None, self.log.read_text()[-4000:]
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=2) as response:  # noqa: S310 - our own address
                return bool(response.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def family(self) -> list[psutil.Process]:
        """Return the process and all that it started, directly or not."""
        own = psutil.Process(self.process.pid)
        return [own, *own.children(recursive=True)]


@contextmanager
def running(command: str, log: Path, **variables: object) -> Iterator[Running]:
    """Run `command` on a free port; whatever is left at the end is killed."""
    port = free_port()
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.cli.main", command],
            cwd=PROJECT,
            env=environment(PORT=port, **variables),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    found = Running(process, log, port)
    try:
        yield found
    finally:
        if process.poll() is None:
            left = found.family()
            process.send_signal(signal.SIGTERM)
            _, alive = psutil.wait_procs(left, timeout=35)
            for one in alive:
                one.kill()
        process.wait()
