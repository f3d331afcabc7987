"""A lone client's check, on a long do-not-call list and on a short one."""

from contextlib import ExitStack
from statistics import median
from typing import Any

from tests.benchmarks.figures import Figure, Finding, at_most
from tests.benchmarks.ground import Ground, request_file
from tests.benchmarks.processes import Load, run_load, running_server

NAME = "growth"
SHORT_LIST = 100_000


def run(ground: Ground) -> Finding:
    """Ask both databases in turn, one request after the other, in many short rounds.

    The ratio is the median of the ratios of two neighbouring measurements: what else the machine does meanwhile
    changes from minute to minute, and seldom between the two.
    """
    sizes = (min(SHORT_LIST, ground.entries // 10), ground.entries)
    seen: dict[int, list[dict[str, Any]]] = {size: [] for size in sizes}
    with ExitStack() as stack:
        loads = []
        for size in sizes:
            database = ground.database(size)
            url = stack.enter_context(running_server(ground, "ours", database))
            loads.append((size, Load(url, request_file(ground, database), 1, ground.seconds / 10)))
        for turn in range(ground.rounds * 6):
            for size, load in loads if turn % 2 == 0 else reversed(loads):
                seen[size].append(run_load(load))
        ground.say(", ".join(f"{size:,}: {_middle(seen[size]):.2f} ms" for size in sizes))
    short, long = (_middle(seen[size]) for size in sizes)
    pairs = zip(seen[sizes[0]], seen[sizes[1]], strict=True)
    ratio = median(many["p50_ms"] / few["p50_ms"] for few, many in pairs)
    figures = (
        Figure(NAME, f"median at {sizes[1]:,} entries to median at {sizes[0]:,}", ratio, "×", at_most(1.2)),
        Figure(NAME, f"median of a lone client at {sizes[0]:,} entries", short, "ms"),
        Figure(NAME, f"median of a lone client at {sizes[1]:,} entries", long, "ms"),
    )
    return Finding(figures, {str(size): rounds for size, rounds in seen.items()})


def _middle(rounds: list[dict[str, Any]]) -> float:
    return float(median(one["p50_ms"] for one in rounds))
