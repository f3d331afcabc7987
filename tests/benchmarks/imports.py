"""Importing a long do-not-call list while calls are being checked."""

import time
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import text

from tests.benchmarks.block_rows import FIRST_PHONE, SPACING, settle
from tests.benchmarks.figures import Figure, Finding, at_most
from tests.benchmarks.ground import Database, Ground, request_file
from tests.benchmarks.load import WARM_UP_S
from tests.benchmarks.processes import (
    Load,
    ProgramFailedError,
    checked,
    result_of,
    run_load,
    run_program,
    running_server,
    start_program,
)

NAME = "import"
CONNECTIONS = 8
CHECKS_PER_SECOND = 200
_IMPORTED_RANGE = 86_150_0000_0000
_KNOWN_EVERY = 10
"""One row in ten names a number that is blocked already."""

_MORE_ROUNDS = 2
_AT_LONGEST_S = 600
_LAST_IMPORTED = text("""
    SELECT max(phone_digits) FROM do_not_call_phones
     WHERE phone_digits >= :first AND phone_digits < :first + 100000000""")


def run(ground: Ground) -> Finding:
    """Check calls steadily, alone and then during an import of numbers that are not in the list yet; some rounds.

    Before each round the database comes to rest: what a vacuum does for the import before is no part of this one.
    There are more rounds than of others, because a p99 of some thousand checks scatters.
    """
    database = ground.database()
    engine = database.engine()
    seen: list[dict[str, Any]] = []
    with running_server(ground, "ours", database) as url:
        load = Load(url, request_file(ground, database), CONNECTIONS, ground.seconds * 3, CHECKS_PER_SECOND)
        for turn in range(ground.rounds + _MORE_ROUNDS):
            settle(engine)
            seen.append(_round(ground, database, load))
            ground.say(
                f"round {turn + 1}: import {seen[-1]['import']['seconds']:.1f} s, p99 of checks without"
                f" {seen[-1]['quiet']['p99_ms']:.2f} ms, meanwhile {seen[-1]['busy']['p99_ms']:.2f} ms"
            )
    settle(engine)
    engine.dispose()
    return Finding(tuple(_figures(ground, seen)), seen)


def _round(ground: Ground, database: Database, load: Load) -> dict[str, Any]:
    source = ground.work / "import.csv"
    created = _write_list(source, ground.rows, database)
    quiet = run_load(load)
    busy, found = _import_under_load(ground, database, load, source)
    source.unlink()
    if found["result"]["created"] != created:
        msg = f"the import of {created} new numbers gave {found['result']}"
        raise ProgramFailedError(msg)
    return {"quiet": quiet, "busy": busy, "import": found}


def _import_under_load(
    ground: Ground, database: Database, load: Load, source: Path
) -> tuple[dict[str, Any], dict[str, Any]]:
    loading = start_program(*Load(load.url, load.requests, CONNECTIONS, _AT_LONGEST_S, CHECKS_PER_SECOND).arguments())
    time.sleep(WARM_UP_S + 1)  # the generator's start and warm-up; what follows is counted
    arguments = ("import", database.url, str(source), str(ground.work / "rejected.csv"))
    try:
        found = run_program("tests.benchmarks.list_programs", *arguments)
    finally:
        loading.terminate()
    return checked(result_of(loading)), found


def _write_list(path: Path, rows: int, database: Database) -> int:
    """Write refusals of different numbers, most of them new; return how many are new."""
    engine = database.engine()
    with engine.connect() as connection:
        last = connection.execute(_LAST_IMPORTED, {"first": _IMPORTED_RANGE}).scalar_one()
    engine.dispose()
    fresh = _IMPORTED_RANGE if last is None else last + 1
    created = 0
    with path.open("w", encoding="utf-8") as opened:
        opened.write("phone,refused_at\n")
        for row in range(rows):
            day = f"2026-{row % 9 + 1:02d}-{row % 28 + 1:02d}"
            if row % _KNOWN_EVERY == 0:
                phone = FIRST_PHONE + row * SPACING % (database.entries * SPACING)
            else:
                phone, created = fresh + created, created + 1
            opened.write(f"{str(phone)[2:]},{day}\n")
    return created


def _figures(ground: Ground, seen: list[dict[str, Any]]) -> list[Figure]:
    load = f"{CHECKS_PER_SECOND} checks/s"
    seconds = median(one["import"]["seconds"] for one in seen)
    ratio = median(one["busy"]["p99_ms"] / one["quiet"]["p99_ms"] for one in seen)
    peak = max(one["import"]["peak_bytes"] for one in seen)
    return [
        Figure(NAME, f"time for {ground.rows:,} rows, under load", seconds, "s", at_most(40)),
        Figure(NAME, "p99 of checks during the import to p99 without", ratio, "×", at_most(2)),
        Figure(NAME, f"p99 of {load} without import", median(one["quiet"]["p99_ms"] for one in seen), "ms"),
        Figure(NAME, f"p99 of {load} during the import", median(one["busy"]["p99_ms"] for one in seen), "ms"),
        Figure(NAME, "rows a second", ground.rows / seconds, "/s"),
        Figure(NAME, "peak memory of the import", peak / 1024**2, "MiB"),
    ]
