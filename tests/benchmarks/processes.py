"""Starts and stops the processes of a benchmark: servers, and programs that print one line of JSON."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.settings import child_environment
from tests.benchmarks.ground import Database, Ground
from tests.benchmarks.servers import PATH

_READY_WITHIN_S = 60
_STOPPED_WITHIN_S = 20


class ProgramFailedError(RuntimeError):
    """A process of a benchmark ended badly; the message has its last words."""


@contextmanager
def running_server(ground: Ground, kind: str, database: Database, **environment: str) -> Iterator[str]:
    """Run a server of `servers.KINDS` on `database`; give the address of single checks."""
    port = _free_port()
    log = ground.work / f"{kind}-{database.entries}.log"
    arguments = ["tests.benchmarks.servers", kind, str(port), database.url, str(ground.work)]
    with log.open("wb") as output:
        command = [sys.executable, "-m", *arguments]
        process = subprocess.Popen(command, stdout=output, stderr=output, env=child_environment(**environment))
        try:
            _wait_until_it_listens(process, port, log)
            yield f"http://127.0.0.1:{port}{PATH}"
        finally:
            process.terminate()
            process.wait(timeout=_STOPPED_WITHIN_S)


def _free_port() -> int:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return int(opened.getsockname()[1])


def _wait_until_it_listens(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    end = time.monotonic() + _READY_WITHIN_S
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as opened:
            if opened.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    msg = f"a server did not start within {_READY_WITHIN_S} s:\n{log.read_text(encoding='utf-8')[-2000:]}"
    raise ProgramFailedError(msg)


@dataclass(frozen=True, slots=True)
class Load:
    """A load on one address. `per_second` 0: each connection sends as soon as it has its answer."""

    url: str
    requests: Path
    connections: int
    seconds: float
    per_second: float = 0

    def arguments(self) -> list[str]:
        numbers = (self.connections, self.seconds, self.per_second)
        return ["tests.benchmarks.load", self.url, str(self.requests), *(str(one) for one in numbers)]


def run_load(load: Load) -> dict[str, Any]:
    """Return what the load generator saw."""
    return checked(run_program(*load.arguments()))


def checked(found: dict[str, Any]) -> dict[str, Any]:
    """Return what the load generator saw, if every answer was a decision.

    Raises:
        ProgramFailedError: one was not.
    """
    if set(found["statuses"]) != {"200"}:
        msg = f"every answer must be 200, the server gave {found['statuses']}"
        raise ProgramFailedError(msg)
    return found


def start_program(*arguments: str) -> "subprocess.Popen[str]":
    """Start `python -m ARGUMENTS`; `result_of` waits for it."""
    return _start(sys.executable, "-m", *arguments)


def _start(*command: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def result_of(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """Return the JSON of the last line that a program printed.

    Raises:
        ProgramFailedError: it ended badly.
    """
    output, errors = process.communicate()
    if process.returncode != 0:
        msg = f"{process.args!r} ended with {process.returncode}:\n{errors[-2000:]}"
        raise ProgramFailedError(msg)
    found: dict[str, Any] = json.loads(output.splitlines()[-1])
    return found


def run_program(*arguments: str) -> dict[str, Any]:
    """Run `python -m ARGUMENTS` to its end."""
    return result_of(start_program(*arguments))


def run_with(environment: Mapping[str, str], *command: str) -> dict[str, Any]:
    """Run any program that prints a line of JSON to its end, with these variables beside those of this process."""
    pipe = subprocess.PIPE
    given = child_environment(**environment)
    return result_of(subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=given))


def run_command(*command: str) -> dict[str, Any]:
    """Run any program that prints a line of JSON to its end."""
    return result_of(_start(*command))
