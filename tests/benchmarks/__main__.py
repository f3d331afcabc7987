"""Measures the product against its rivals: `make bench`. What each figure means stands in docs/performance.md."""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from time import perf_counter
from traceback import format_exc
from typing import Any, cast

from infra import embedded_postgres
from infra.clock import utc_now
from tests.benchmarks.block_rows import MOST_ENTRIES
from tests.benchmarks.figures import Figure, Finding
from tests.benchmarks.ground import Ground, drop_databases_of_one_benchmark
from tests.benchmarks.machine import describe, keep_to_two_cores
from tests.benchmarks.report import as_json, show, write_document, write_results

BENCHMARKS = {
    "single": "tests.benchmarks.single_checks",
    "batch": "tests.benchmarks.batches",
    "growth": "tests.benchmarks.growth",
    "scrub": "tests.benchmarks.scrubs",
    "ledger-costs": "tests.benchmarks.ledger_costs",
    "ledger-work": "tests.benchmarks.ledger_work",
    "recording-intake": "tests.benchmarks.recording_intake",
    "recording-search": "tests.benchmarks.recording_search",
    "audio": "tests.benchmarks.audio",
    "claims": "tests.benchmarks.claims",
    "draw": "tests.benchmarks.draws",
    "quotas": "tests.benchmarks.quotas",
    "import": "tests.benchmarks.imports",
}
"""In this order: the import comes last, because it makes the list longer."""


@dataclass(frozen=True, slots=True)
class Wanted:
    output: Path
    names: tuple[str, ...]
    entries: int
    seconds: float
    rounds: int
    rows: int
    data: Path | None
    write_docs: bool


def read_arguments(arguments: list[str]) -> Wanted:
    """Return what to measure, the full size unless told otherwise."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="directory of results.json")
    parser.add_argument("--only", action="append", choices=list(BENCHMARKS), help="may be given more than once")
    parser.add_argument("--entries", type=int, default=MOST_ENTRIES, help="size of the do-not-call list")
    parser.add_argument("--seconds", type=float, default=10, help="length of one measurement")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is repeated")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the lists scrubbed and imported")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the databases there, and use them again")
    parser.add_argument("--write-docs", action="store_true", help="put the figures into docs/performance.md")
    found = parser.parse_args(arguments)
    if not 1000 <= found.entries <= MOST_ENTRIES:
        parser.error(f"--entries must be 1000 to {MOST_ENTRIES}")
    names = tuple(name for name in BENCHMARKS if found.only is None or name in found.only)
    return Wanted(
        output=found.output,
        names=names,
        entries=found.entries,
        seconds=found.seconds,
        rounds=found.rounds,
        rows=found.rows,
        data=found.keep,
        write_docs=found.write_docs,
    )


@contextmanager
def _data_directory(kept: Path | None) -> Iterator[Path]:
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept
        return
    with tempfile.TemporaryDirectory(prefix="telesales-bench-") as made:
        yield Path(made)


def _say(started: float, message: str) -> None:
    sys.stderr.write(f"{perf_counter() - started:7.1f} s  {message}\n")
    sys.stderr.flush()


def measure(wanted: Wanted, *, say: Callable[[str], None]) -> tuple[list[Figure], dict[str, Any]]:
    """Run the benchmarks; return their figures and all that belongs into results.json.

    One that breaks off is named under `broken_off`, and the others are run all the same.
    """
    before = os.getloadavg()
    measured_on = f"{utc_now():%Y-%m-%d}"
    figures: list[Figure] = []
    details: dict[str, object] = {}
    broken_off: list[str] = []
    with (
        _data_directory(wanted.data) as data,
        tempfile.TemporaryDirectory(prefix="work-", dir=data) as work,
        embedded_postgres.start(data, progress=say) as server,
    ):
        ground = Ground(server, Path(work), wanted.entries, wanted.seconds, wanted.rounds, wanted.rows, say)
        for name in wanted.names:
            say(name)
            run = cast("Callable[[Ground], Finding]", import_module(BENCHMARKS[name]).run)
            try:
                found = run(ground)
            except Exception:  # noqa: BLE001 - half an hour of other figures is not lost for it
                say(format_exc())
                broken_off.append(name)
                continue
            finally:
                drop_databases_of_one_benchmark(server)
            figures.extend(found.figures)
            details[name] = {"load_average": os.getloadavg(), "found": found.details}
        machine = describe(server)
    results: dict[str, Any] = {
        "measured_on": measured_on,
        "machine": machine,
        "load_average": {"before": before, "after": os.getloadavg()},
        "entries": wanted.entries,
        "figures": as_json(figures),
        "broken_off": broken_off,
        "details": details,
    }
    return figures, results


def main() -> None:
    wanted = read_arguments(sys.argv[1:])
    keep_to_two_cores()
    figures, results = measure(wanted, say=partial(_say, perf_counter()))
    show(figures)
    path = write_results(wanted.output, results)
    if results["broken_off"]:
        sys.exit(f"{path}: broke off, see above: {', '.join(results['broken_off'])}")
    if wanted.write_docs:
        write_document(results)
    missed = [figure.name for figure in figures if figure.reached is False]
    print(f"{path}: {'all targets reached' if not missed else 'missed: ' + '; '.join(missed)}")


if __name__ == "__main__":
    main()
