"""Restores and verifies copies in a process that kills itself before its nth call to a store or its nth commit.

Arguments: URL of the database, directory of the archive, what to do, n, recording.
"""

import os
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import event

from infra.clock import utc_now
from infra.database import make_engine
from infra.directory_store import DirectoryStore
from infra.logs import configure_logs
from recordings.copies import restore_waiting
from recordings.copy_rows import Keeping
from recordings.fixity import verify_recording


class Steps:
    """Counts what a process does, and ends it where a test says."""

    def __init__(self, last: int) -> None:
        self._left = last

    def step(self, *_arguments: object) -> None:
        self._left -= 1
        if self._left < 0:
            os.kill(os.getpid(), signal.SIGKILL)


class CountedStore(DirectoryStore):
    """A directory of which every call is a step."""

    steps: Steps

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name in {"put", "head", "read", "versions", "delete_version"}:
            return partial(_counted, super().__getattribute__("steps"), found)
        return found


def _counted(steps: Steps, call: Callable[..., Any], *given: Any, **named: Any) -> Any:
    steps.step()
    return call(*given, **named)


def main() -> None:
    url, directory, what, last, recording_id = sys.argv[1:]
    configure_logs("ERROR")
    CountedStore.steps = steps = Steps(int(last))
    engine = make_engine(url, application_name="tests-killed")
    event.listen(engine, "commit", steps.step)
    root = Path(directory)
    stores = {
        "first": CountedStore(root / "recordings", clock=utc_now),
        "second": CountedStore(root / "recordings-copy", clock=utc_now),
    }
    keeping = Keeping(engine, utc_now, stores, root / "staging", timedelta(days=90))
    if what == "restore":
        restore_waiting(keeping, most_seconds=60)
    else:
        verify_recording(keeping, UUID(recording_id))


if __name__ == "__main__":
    main()
