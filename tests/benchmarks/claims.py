"""Fifty inspectors who claim at once from 100,000 open inspections, each with a connection of his own."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from statistics import median
from threading import Barrier
from time import perf_counter
from uuid import UUID

from sqlalchemy import Engine, text

from infra.database import make_engine
from qa_sampling.claims import claim_next
from tests.benchmarks.block_rows import settle
from tests.benchmarks.figures import Figure, Finding, at_most, percentile
from tests.benchmarks.ground import Ground, empty_database
from tests.conftest import NOON
from tests.qa_sampling.inspection_desk import add_scorecard

NAME = "claims"
ROWS = 100_000
INSPECTORS = 50
_EACH = 40
_DATABASE = f"claims_{ROWS}"

_SALES = f"""
    INSERT INTO sales (policy_no, product_code, sales_mode, centre_id, agent_id, consented_at, closed_on, cover_start,
        cooling_off_days, is_gift, content, content_digest, inspection_class, inspect_before, inspect_before_basis,
        deliver_by, retention_class, actor, recorded_at, changed_at)
    SELECT 'P-' || n, 'TERM-1', 'own_centre', 'centre-1', 'agent-' || n % 600, now(), date '2026-11-01',
           date '2026-11-02', 15, false, '{{}}', sha256(''), 'over_1y',
           timestamptz '2026-12-01 00:00+08' + interval '1 day' * (n * 7919 % 30), 'closing_day', date '2026-11-12',
           '10y', 'bench', now(), now()
      FROM generate_series(1, {ROWS}) AS n"""  # noqa: S608 - constants only
_INSPECTIONS = """
    INSERT INTO inspections (inspection_id, policy_no, sales_mode, centre_id, inspection_class, closed_on, origin,
        is_random, state, due_before, created_at, changed_at)
    SELECT gen_random_uuid(), policy_no, sales_mode, centre_id, inspection_class, closed_on, 'draw', true, 'open',
           inspect_before, now(), now() FROM sales"""


def run(ground: Ground) -> Finding:
    """Let every inspector claim again and again; each claim is a transaction, counted from its start to its commit."""
    url = empty_database(ground.server, _DATABASE)
    engine = make_engine(url, application_name="benchmarks", pool_size=INSPECTORS)
    ground.say(f"making {ROWS:,} open inspections")
    _fill(engine)
    settle(engine)
    ready = Barrier(INSPECTORS)
    started = perf_counter()
    with ThreadPoolExecutor(INSPECTORS) as pool:
        done = list(pool.map(lambda number: _work(engine, f"inspector-{number}", ready), range(INSPECTORS)))
    lasted = perf_counter() - started
    engine.dispose()
    given = [one for claims in done for one, _ in claims]
    took = [seconds for claims in done for _, seconds in claims]
    twice = len(given) - len(set(given))
    ground.say(f"{len(given):,} claims, {twice} of them double; p99 {percentile(took, 99) * 1000:.0f} ms")
    figures = (
        Figure(NAME, f"claims given twice, {INSPECTORS} inspectors at once", twice, "", at_most(0)),
        Figure(NAME, f"claim of one of {ROWS:,}, {INSPECTORS} inspectors at once, p99", percentile(took, 99), "s"),
        Figure(NAME, f"claim of one of {ROWS:,}, {INSPECTORS} inspectors at once, median", median(took), "s"),
        Figure(NAME, f"claims by {INSPECTORS} inspectors at once", len(given) / lasted, "1/s"),
    )
    return Finding(figures, took)


def _fill(engine: Engine) -> None:
    """Write the rows as a draw leaves them; their entries in the ledger are not asked for here."""
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text(_SALES))
        connection.execute(text(_INSPECTIONS))
        add_scorecard(connection)


def _work(engine: Engine, inspector: str, ready: Barrier) -> list[tuple[UUID, float]]:
    found: list[tuple[UUID, float]] = []
    ready.wait()
    for number in range(_EACH):
        started = perf_counter()
        with engine.begin() as connection:
            sitting = claim_next(connection, inspector, now=NOON + timedelta(seconds=number))
        if sitting is None:
            msg = f"{inspector} was given nothing, though inspections wait"
            raise RuntimeError(msg)
        found.append((sitting.inspection_id, perf_counter() - started))
    return found
