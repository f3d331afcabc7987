"""Seals in processes that are killed at random moments: URL, directory of keys, seed, and how many of them."""

import os
import random
import signal
import sys
import time
from datetime import timedelta
from pathlib import Path

from compliance.checkpoint_stores import CheckpointDirectory
from compliance.ledger_runs import Ledger, seal_waiting
from infra.clock import utc_now
from infra.database import make_engine
from infra.logs import configure_logs

LONGEST_S = 0.06


def main() -> None:
    url, directory, seed, times = sys.argv[1:]
    configure_logs("ERROR")
    chance = random.Random(int(seed))
    for _ in range(int(times)):
        reading, writing = os.pipe()
        process = os.fork()
        if not process:
            _seal_for_ever(_ledger(url, Path(directory)), writing)
        os.read(reading, 1)
        time.sleep(chance.uniform(0, LONGEST_S))
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        os.close(reading)
        os.close(writing)


def _seal_for_ever(ledger: Ledger, told: int) -> None:
    """Say once that sealing has begun, and go on."""
    while True:
        seal_waiting(ledger)
        os.write(told, b".")


def _ledger(url: str, directory: Path) -> Ledger:
    """Return a ledger with connections of its own."""
    engine = make_engine(url, application_name="tests-sealer")
    began = utc_now() - timedelta(days=1)
    return Ledger(engine, lambda: began, directory / "data", CheckpointDirectory(directory / "outside"))


if __name__ == "__main__":
    main()
