"""Pieces of work on the ledger, each in a process of its own.

`python -m tests.benchmarks.ledger_programs seal URL DATA_DIR` seals everything that waits, once; `keep-sealing URL
DATA_DIR` does so every few seconds until SIGTERM, as the worker does; `block URL SECONDS SEED BEGIN` blocks one new
person after another, each in a transaction of its own, and counts from the instant BEGIN of the monotonic clock, by
which all writers have started. Prints a line of JSON.
"""

import json
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from random import Random
from threading import Event
from time import monotonic, perf_counter

from compliance.block_entries import BlockSource
from compliance.block_list import Refusal, block_person
from compliance.checkpoint_stores import CheckpointDirectory
from compliance.ledger_runs import Ledger, seal_waiting
from infra.clock import clock_with_offset
from infra.database import make_engine
from services.sealing import SEAL_EVERY_SECONDS
from tests.benchmarks.ground import clock_offset_ms
from tests.benchmarks.list_programs import peak_bytes

FIRST_BLOCKED = 86_190_0000_0000
"""The range of numbers that the writers block; no list of the benchmarks reaches into it."""

_NUMBERS = 100_000_000


def _ledger(url: str, data_dir: str) -> Ledger:
    engine = make_engine(url, application_name="benchmarks")
    clock = clock_with_offset(timedelta(milliseconds=clock_offset_ms()))
    return Ledger(engine, clock, Path(data_dir), CheckpointDirectory(Path(data_dir) / "checkpoints"))


def seal(url: str, data_dir: str) -> dict[str, object]:
    started = perf_counter()
    done = seal_waiting(_ledger(url, data_dir))
    return {"entries": done.entries, "seconds": perf_counter() - started, "peak_bytes": peak_bytes()}


def keep_sealing(url: str, data_dir: str) -> dict[str, object]:
    ended = Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    ledger, entries, busy_s = _ledger(url, data_dir), 0, 0.0
    while not ended.wait(SEAL_EVERY_SECONDS):
        started = perf_counter()
        entries += seal_waiting(ledger).entries
        busy_s += perf_counter() - started
    return {"entries": entries, "busy_s": busy_s}


def block(url: str, seconds: str, seed: str, begin: str) -> dict[str, object]:
    engine = make_engine(url, application_name="benchmarks", pre_ping=False)
    clock = clock_with_offset(timedelta(milliseconds=clock_offset_ms()))
    chance, written, begin_s, end_s = Random(seed), 0, float(begin), float(begin) + float(seconds)
    with engine.connect() as connection:
        while (at := monotonic()) < end_s:
            now = clock()
            phone = f"+{FIRST_BLOCKED + chance.randrange(_NUMBERS)}"
            refusal = Refusal(phone_e164=phone, source=BlockSource.CALL, refused_at=now)
            with connection.begin():
                block_person(connection, refusal, block_months=6, person="dialer", now=now)
            written += at >= begin_s
    return {"written": written, "per_second": written / float(seconds)}


PROGRAMS: dict[str, Callable[..., dict[str, object]]] = {"seal": seal, "keep-sealing": keep_sealing, "block": block}


def main() -> None:
    print(json.dumps(PROGRAMS[sys.argv[1]](*sys.argv[2:])))


if __name__ == "__main__":
    main()
