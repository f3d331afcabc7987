"""Single checks under 64 keep-alive connections, against the endpoint that does nothing and the plain one."""

from contextlib import ExitStack
from statistics import median
from typing import Any

from tests.benchmarks.figures import Figure, Finding, at_least
from tests.benchmarks.ground import BLOCKED_SHARE, Ground, request_file
from tests.benchmarks.processes import Load, ProgramFailedError, run_load, running_server

NAME = "single checks"
CONNECTIONS = 64
_KINDS = ("bare", "ours", "plain")
_SHARE_MAY_DIFFER = 0.02


def run(ground: Ground) -> Finding:
    """Load the three servers in turn, several rounds; every second round in the opposite order."""
    database = ground.database()
    requests = request_file(ground, database)
    seen: dict[str, list[dict[str, Any]]] = {kind: [] for kind in _KINDS}
    with ExitStack() as stack:
        urls = {kind: stack.enter_context(running_server(ground, kind, database)) for kind in _KINDS}
        for turn in range(ground.rounds):
            for kind in _KINDS if turn % 2 == 0 else reversed(_KINDS):
                found = run_load(Load(urls[kind], requests, CONNECTIONS, ground.seconds))
                seen[kind].append(found)
                ground.say(f"round {turn + 1}, {kind}: {found['per_second']:,.0f}/s, p99 {found['p99_ms']:.1f} ms")
    for kind in ("ours", "plain"):
        _check_share(seen[kind])
    return Finding(tuple(_figures(seen)), seen)


def _check_share(rounds: list[dict[str, Any]]) -> None:
    """See that the decisions are those that the list of blocked numbers demands."""
    share = sum(one["allowed"] for one in rounds) / sum(one["requests"] for one in rounds)
    if abs(share - (1 - BLOCKED_SHARE)) > _SHARE_MAY_DIFFER:
        msg = f"{share:.1%} of checks were allowed, expected about {1 - BLOCKED_SHARE:.1%}"
        raise ProgramFailedError(msg)


def _figures(seen: dict[str, list[dict[str, Any]]]) -> list[Figure]:
    def middle(kind: str, what: str) -> float:
        return float(median(one[what] for one in seen[kind]))

    def ratio(rival: str) -> float:
        pairs = zip(seen["ours"], seen[rival], strict=True)
        return float(median(own["per_second"] / other["per_second"] for own, other in pairs))

    return [
        Figure(NAME, "share of the throughput of an endpoint without database", ratio("bare"), "×", at_least(0.45)),
        Figure(NAME, "throughput against one transaction per request", ratio("plain"), "×", at_least(2)),
        *(Figure(NAME, f"throughput, {kind}", middle(kind, "per_second"), "checks/s") for kind in _KINDS),
        *(Figure(NAME, f"median, {kind}", middle(kind, "p50_ms"), "ms") for kind in _KINDS),
        *(Figure(NAME, f"p99, {kind}", middle(kind, "p99_ms"), "ms") for kind in _KINDS),
    ]
