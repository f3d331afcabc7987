"""Drawing 300,000 sales from 1,000,000: our tickets and smallest, against `consistent_sampler` on the same numbers."""

import json
import sys
from statistics import median
from time import perf_counter
from typing import Any

from consistent_sampler import sampler

from qa_sampling.draw import Chance, smallest_tickets
from tests.benchmarks.figures import Figure, Finding, at_least, at_most
from tests.benchmarks.ground import Ground
from tests.benchmarks.list_programs import peak_bytes
from tests.benchmarks.processes import ProgramFailedError, run_program

NAME = "draw"
SALES, DRAWN = 1_000_000, 300_000
SEED = bytes(range(32))
_MEBIBYTE = 1024**2
_RIVALS_ROUNDS = 2
"""It takes half a minute; more would say no more."""


def ours(policy_nos: list[str]) -> int:
    return len(smallest_tickets(Chance(SEED, "20261103"), [one.encode() for one in policy_nos], DRAWN))


def consistent(policy_nos: list[str]) -> int:
    return len(list(sampler(policy_nos, SEED.hex(), take=DRAWN, output="id")))


PROGRAMS = {"ours": ours, "consistent_sampler": consistent}


def run(ground: Ground) -> Finding:
    """Draw by turns, each draw in a process of its own."""
    rounds = [{name: _measure(ground, name) for name in PROGRAMS} for _ in range(min(ground.rounds, _RIVALS_ROUNDS))]
    mine = median(one["ours"]["seconds"] for one in rounds)
    ratio = median(one["consistent_sampler"]["seconds"] / one["ours"]["seconds"] for one in rounds)
    peak = max(one["ours"]["peak_bytes"] for one in rounds)
    figures = (
        Figure(NAME, "300,000 of 1,000,000 sales", mine, "s", at_most(2.5)),
        Figure(NAME, "time of consistent_sampler to ours", ratio, "×", at_least(3)),
        Figure(NAME, "peak memory", peak / _MEBIBYTE, "MiB"),
    )
    return Finding(figures, rounds)


def _measure(ground: Ground, name: str) -> dict[str, Any]:
    found = run_program("tests.benchmarks.draws", name)
    if found["drawn"] != DRAWN:
        msg = f"{name} drew {found['drawn']} sales"
        raise ProgramFailedError(msg)
    ground.say(f"{name}: {found['seconds']:.2f} s")
    return found


def _timed(name: str) -> dict[str, object]:
    policy_nos = [f"P-2026-{number:09}" for number in range(SALES)]
    started = perf_counter()
    drawn = PROGRAMS[name](policy_nos)
    return {"seconds": perf_counter() - started, "drawn": drawn, "peak_bytes": peak_bytes()}


if __name__ == "__main__":
    print(json.dumps(_timed(sys.argv[1])))
