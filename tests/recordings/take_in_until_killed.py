"""Takes a recording in, in processes that kill themselves at one step after the other: URL of the database, directory.

A step is whatever leaves a trace outside the process: a file opened, moved, linked or removed, an fsync, a statement,
a commit. Prints a JSON object per step: its number, what it was, whether the process was killed before it acknowledged.
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from infra.database import make_engine
from recordings.audio import probe
from tests.conftest import NOON
from tests.recordings.audio_files import tone, write
from tests.recordings.desk import Desk, places_below, without

MOST_STEPS = 400
_TRACES = {"open", "os.rename", "os.link", "os.remove", "os.mkdir", "os.truncate", "os.chmod"}


class Steps:
    """Counts steps, and kills this process just before the one that is wanted."""

    def __init__(self, kill_at: int, told: int) -> None:
        self.done = 0
        self._kill_at = kill_at
        self._told = told

    def step(self, what: str) -> None:
        self.done += 1
        if self.done == self._kill_at:
            os.write(self._told, json.dumps({"killed": True, "before": what}).encode())
            os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    url, directory = sys.argv[1], Path(sys.argv[2])
    probe(call_of(directory, 0))  # libraries open files of their own when they are first used
    for number in range(1, MOST_STEPS):
        found = _in_process(url, directory, number)
        sys.stdout.write(json.dumps({"step": number, **found}) + "\n")
        if not found["killed"]:
            return


def call_of(directory: Path, number: int) -> Path:
    """Return a recording of its own for each step, in a format that needs a copy for browsers."""
    path = directory / f"call-{number}.wav"
    return path if path.exists() else write(path, tone(0.5 + number / 100), "wav-gsm")


def fields_of(number: int) -> dict[str, object]:
    return without(call_id=f"call-{number}", channels=["mixed"])


def _in_process(url: str, directory: Path, number: int) -> dict[str, Any]:
    path = call_of(directory, number)
    reading, writing = os.pipe()
    process = os.fork()
    if not process:
        try:
            _take_in(url, directory, path, Steps(number, writing), number)
            os.write(writing, json.dumps({"killed": False}).encode())
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(process, 0)
    with os.fdopen(reading, "rb") as told:
        found: dict[str, Any] = json.loads(told.read())
    return found


def _take_in(url: str, directory: Path, path: Path, steps: Steps, number: int) -> None:
    engine = make_engine(url, application_name="tests-intake")
    with engine.connect():
        pass
    _watch(engine, directory, steps)
    Desk(engine, places_below(directory / "data"), lambda: NOON).take_in(path, fields_of(number))


def _watch(engine: Engine, directory: Path, steps: Steps) -> None:
    below = str(directory / "data")

    def audited(name: str, arguments: tuple[Any, ...]) -> None:
        if name in _TRACES and any(isinstance(one, str | Path) and str(one).startswith(below) for one in arguments):
            steps.step(name)

    sys.addaudithook(audited)
    # Counted and not done: what a killed process has written stays, and waiting for the disk took minutes.
    os.fsync = lambda _descriptor: steps.step("fsync")  # type: ignore[assignment]  # nobody gives it by name
    event.listen(engine, "before_cursor_execute", lambda *_all: steps.step("statement"))
    event.listen(engine, "commit", lambda _connection: steps.step("commit"))


if __name__ == "__main__":
    main()
