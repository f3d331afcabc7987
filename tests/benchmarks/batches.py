"""Batches of 10,000 checks, durable: over HTTP, and by the functions alone."""

import http.client
import json
from statistics import median
from time import perf_counter
from urllib.parse import urlsplit

from compliance.call_checks import Gate, check_calls
from compliance.decision import Verdict
from compliance.phone_numbers import normalise
from compliance.register_book import Shelf
from compliance.working_days import package_calendar
from services.api.call_checks import CallCheckBody
from tests.benchmarks.figures import Figure, Finding, at_least
from tests.benchmarks.ground import BLOCKED_SHARE, Database, Ground, bodies
from tests.benchmarks.processes import ProgramFailedError, running_server
from tests.conftest import NOON

NAME = "batch"
SIZE = 10_000
_WARM_UP = 2


def run(ground: Ground) -> Finding:
    """Send different batches one after the other; those of the warm-up do not count."""
    database = ground.database()
    batches = [bodies(SIZE, database.entries, seed=100 + turn) for turn in range(ground.rounds * 2 + _WARM_UP)]
    over_http = _over_http(ground, database, batches)
    in_process = _in_process(database, batches)
    ground.say(f"HTTP {SIZE / median(over_http):,.0f}/s, in process {SIZE / median(in_process):,.0f}/s")
    figures = (
        Figure(NAME, "decisions over HTTP, batches of 10,000", SIZE / median(over_http), "/s", at_least(25_000)),
        Figure(NAME, "decisions by the functions alone", SIZE / median(in_process), "/s"),
        Figure(NAME, "one batch over HTTP", median(over_http), "s"),
    )
    return Finding(figures, {"http_s": over_http, "in_process_s": in_process})


def _over_http(ground: Ground, database: Database, batches: list[list[dict[str, str]]]) -> list[float]:
    took = []
    headers = {"Authorization": f"Bearer {database.token}", "Content-Type": "application/json"}
    with running_server(ground, "ours", database) as url:
        parts = urlsplit(f"{url}/batch")
        client = http.client.HTTPConnection(parts.hostname or "", parts.port)
        for batch in batches:
            content = json.dumps({"checks": batch}).encode()
            started = perf_counter()
            client.request("POST", parts.path, content, headers)
            response = client.getresponse()
            answer = response.read()
            took.append(perf_counter() - started)
            _check(response.status, answer.count(b'"decision":"allow"'))
        client.close()
    return took[_WARM_UP:]


def _in_process(database: Database, batches: list[list[dict[str, str]]]) -> list[float]:
    gate = Gate(shelf=Shelf(), calendar=package_calendar())
    normalise("13800138000")
    engine = database.engine()
    took = []
    for batch in batches:
        calls = [CallCheckBody.model_validate(one).call() for one in batch]
        started = perf_counter()
        with engine.begin() as connection:
            judged = check_calls(connection, calls, gate=gate, actors=["dialer"] * SIZE, now=NOON)
        took.append(perf_counter() - started)
        gate.shelf.stored_sides.update(one.side.digest for one in judged)
        _check(200, sum(one.decision.verdict is Verdict.ALLOW for one in judged))
    engine.dispose()
    return took[_WARM_UP:]


def _check(status: int, allowed: int) -> None:
    """See that the batch was answered with the decisions that the list of blocked numbers demands."""
    if status != http.client.OK or abs(allowed / SIZE - (1 - BLOCKED_SHARE)) > 0.02:
        msg = f"a batch was answered {status} with {allowed} of {SIZE} calls allowed"
        raise ProgramFailedError(msg)
