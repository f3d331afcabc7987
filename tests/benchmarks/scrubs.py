"""Scrubbing a list with all rules, against DuckDB that only joins it with the blocked numbers."""

from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any, cast

import duckdb
from psycopg import Connection as PsycopgConnection

from tests.benchmarks.block_rows import mixed_callees
from tests.benchmarks.figures import Figure, Finding, at_most
from tests.benchmarks.ground import BLOCKED_SHARE, Database, Ground
from tests.benchmarks.processes import ProgramFailedError, run_program

NAME = "scrub"
_CHUNK = 100_000
_MEBIBYTE = 1024**2
_COPY = "COPY (SELECT phone_digits % 100000000000 FROM do_not_call_phones) TO STDOUT"


def run(ground: Ground) -> Finding:
    """Scrub once with an empty cache, then in turn with DuckDB, then a list ten times as long for its memory."""
    database = ground.database()
    source, target = ground.work / "list.csv", ground.work / "scrubbed.csv"
    write_list(source, ground.rows, database.entries, seed=2)
    ours = ["scrub", database.url, str(source), str(target), str(ground.work / "cache")]
    theirs = ["join", str(_duckdb_file(ground, database)), str(source), str(ground.work / "joined.csv")]
    cold = _checked(_measure(ours), ground.rows)
    ground.say(f"cold: {cold['seconds']:.2f} s")
    seen: dict[str, list[dict[str, Any]]] = {"ours": [], "duckdb": []}
    for _ in range(ground.rounds):
        seen["duckdb"].append(_measure(theirs))
        seen["ours"].append(_checked(_measure(ours), ground.rows))
        ground.say(f"warm: {seen['ours'][-1]['seconds']:.2f} s, DuckDB {seen['duckdb'][-1]['seconds']:.2f} s")
    write_list(source, ground.rows * 10, database.entries, seed=3)
    long = _checked(_measure(ours), ground.rows * 10)
    for path in (source, target, ground.work / "joined.csv"):
        path.unlink()
    return Finding(tuple(_figures(ground, cold, seen, long)), {"cold": cold, "long": long, **seen})


def write_list(path: Path, rows: int, entries: int, *, seed: int) -> None:
    """Write a call list in CSV: an id, a national number, a city; 5 % of the numbers are blocked."""
    with path.open("w", encoding="utf-8") as opened:
        opened.write("lead_id,phone,city\n")
        for first in range(0, rows, _CHUNK):
            size = min(_CHUNK, rows - first)
            callees = mixed_callees(size, entries, blocked_share=BLOCKED_SHARE, seed=seed * 1000 + first // _CHUNK)
            opened.writelines(f"L{first + place:08d},{callee},北京\n" for place, callee in enumerate(callees))


def _duckdb_file(ground: Ground, database: Database) -> Path:
    """Give DuckDB the blocked numbers in its own format, as the lists name them: it has nothing to normalise."""
    path, numbers = ground.work / "blocked.duckdb", ground.work / "blocked.csv"
    path.unlink(missing_ok=True)
    with numbers.open("wb") as opened:
        opened.writelines(_copied(database))
    with duckdb.connect(str(path)) as duck:
        duck.execute("CREATE TABLE blocked (phone BIGINT)")
        duck.execute("INSERT INTO blocked SELECT * FROM read_csv($1, header = false)", [str(numbers)])
        duck.execute("CHECKPOINT")
    numbers.unlink()
    return path


def _copied(database: Database) -> Iterator[bytes]:
    engine = database.engine()
    with engine.connect() as connection:
        driver = cast("PsycopgConnection[Any]", connection.connection.driver_connection)
        with driver.cursor() as cursor, cursor.copy(_COPY) as copy:
            yield from (bytes(block) for block in copy)
    engine.dispose()


def _measure(arguments: list[str]) -> dict[str, Any]:
    return run_program("tests.benchmarks.list_programs", *arguments)


def _checked(found: dict[str, Any], rows: int) -> dict[str, Any]:
    result = found["result"]
    if result["rows"] != rows or abs(result["deny"] / rows - BLOCKED_SHARE) > 0.02:
        msg = f"a scrub of {rows} rows gave {result}"
        raise ProgramFailedError(msg)
    return found


def _figures(
    ground: Ground, cold: dict[str, Any], seen: dict[str, list[dict[str, Any]]], long: dict[str, Any]
) -> list[Figure]:
    warm, duck = (median(one["seconds"] for one in seen[kind]) for kind in ("ours", "duckdb"))
    ratio = median(own["seconds"] / other["seconds"] for own, other in zip(seen["ours"], seen["duckdb"], strict=True))
    peak = max(one["peak_bytes"] for one in seen["ours"]) / _MEBIBYTE
    rows, many = f"{ground.rows:,} rows", f"{ground.rows * 10:,} rows"
    return [
        Figure(NAME, f"time for {rows} to that of a bare DuckDB join", ratio, "×", at_most(1.5)),
        Figure(NAME, f"peak memory, {rows}", peak, "MiB", at_most(1024)),
        Figure(NAME, f"peak memory, {rows} with an empty cache", cold["peak_bytes"] / _MEBIBYTE, "MiB", at_most(1024)),
        Figure(NAME, f"peak memory, {many}", long["peak_bytes"] / _MEBIBYTE, "MiB", at_most(1024)),
        Figure(NAME, f"time for {rows}", warm, "s"),
        Figure(NAME, f"time for {rows}, DuckDB", duck, "s"),
        Figure(NAME, f"time for {rows} with an empty cache", cold["seconds"], "s"),
        Figure(NAME, f"time for {many}", long["seconds"], "s"),
    ]
