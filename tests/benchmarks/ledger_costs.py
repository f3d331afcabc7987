"""What the ledger costs those who write: call checks and do-not-call entries, with it and without it.

Without: a copy of the database in which nothing is covered, no trigger fires, checks do not say which transaction wrote
them, and nobody seals. With: as it is, and a process that seals every few seconds on the same two cores.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from statistics import median
from time import monotonic

from sqlalchemy import text

from tests.benchmarks.figures import Figure, Finding, at_least
from tests.benchmarks.ground import Database, Ground, copy_database, request_file
from tests.benchmarks.processes import Load, result_of, run_load, running_server, start_program

NAME = "ledger"
CONNECTIONS = 64
WRITERS = 8
SHORT_LIST = 100_000
_PROGRAMS = "tests.benchmarks.ledger_programs"
_KINDS = ("with", "without")
_STARTED_WITHIN_S = 20
"""By then even on two slow cores all writers have loaded Python and write."""

_COVERED = text("SELECT DISTINCT table_name, mode FROM ledger_coverage ORDER BY table_name")


def run(ground: Ground) -> Finding:
    """Load both databases in turn, every second round in the opposite order."""
    source = ground.database(min(SHORT_LIST, ground.entries // 10))
    databases = {kind: _copy(ground, source, kind) for kind in _KINDS}
    _take_away(databases["without"])
    checks = _rounds(ground, databases, _check_calls)
    writes = _rounds(ground, databases, _block_people)
    return Finding(
        (
            *_figures("call checks", "checks/s", checks, at_least_share=0.9),
            *_figures(f"do-not-call writes, {WRITERS} writers", "writes/s", writes, at_least_share=0.8),
        ),
        {"checks": checks, "writes": writes},
    )


def _copy(ground: Ground, source: Database, kind: str) -> Database:
    return replace(source, url=copy_database(ground.server, source, f"ledger_{kind}"))


def _take_away(database: Database) -> None:
    engine = database.engine()
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        for table, mode in connection.execute(_COVERED).all():
            for event in ("insert", "update", "delete") if mode == "entries" else ():
                connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER ledger_{event}"))
        connection.execute(text("DELETE FROM ledger_coverage"))
        connection.execute(text("ALTER TABLE call_checks DROP COLUMN written_in"))
    engine.dispose()


def _rounds(
    ground: Ground, databases: dict[str, Database], measure: Callable[[Ground, Database], float]
) -> dict[str, list[float]]:
    seen: dict[str, list[float]] = {kind: [] for kind in _KINDS}
    for turn in range(ground.rounds):
        for kind in _KINDS if turn % 2 == 0 else reversed(_KINDS):
            with _sealing(ground, databases[kind], is_on=kind == "with"):
                seen[kind].append(measure(ground, databases[kind]))
            ground.say(f"round {turn + 1}, {kind} the ledger: {seen[kind][-1]:,.0f}/s")
    return seen


@contextmanager
def _sealing(ground: Ground, database: Database, *, is_on: bool) -> Iterator[None]:
    if not is_on:
        yield
        return
    process = start_program(_PROGRAMS, "keep-sealing", database.url, str(ground.work / "sealing"))
    try:
        yield
    finally:
        process.terminate()
        result_of(process)


def _check_calls(ground: Ground, database: Database) -> float:
    with running_server(ground, "ours", database) as url:
        load = Load(url, request_file(ground, database), CONNECTIONS, ground.seconds)
        return float(run_load(load)["per_second"])


_seeds = count()


def _block_people(ground: Ground, database: Database) -> float:
    """Return the writes per second of all writers together."""
    begin = str(monotonic() + _STARTED_WITHIN_S)
    arguments = ("block", database.url, str(ground.seconds))
    writers = [start_program(_PROGRAMS, *arguments, str(next(_seeds)), begin) for _ in range(WRITERS)]
    return float(sum(result_of(one)["per_second"] for one in writers))


def _figures(what: str, unit: str, seen: dict[str, list[float]], *, at_least_share: float) -> list[Figure]:
    pairs = zip(seen["with"], seen["without"], strict=True)
    share = float(median(own / other for own, other in pairs))
    return [
        Figure(NAME, f"throughput of {what} with the ledger to that without", share, "×", at_least(at_least_share)),
        *(Figure(NAME, f"{what}, {kind} the ledger", float(median(seen[kind])), unit) for kind in _KINDS),
    ]
