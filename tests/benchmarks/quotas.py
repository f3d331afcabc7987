"""The quotas of a year with a million sales, and what is made of them: forecast, replacements, shortfalls, metrics."""

from collections.abc import Callable
from datetime import date, timedelta
from statistics import median
from time import perf_counter

from sqlalchemy import Connection, Engine, text

from compliance.working_days import package_calendar
from infra.database import make_engine
from qa_sampling.failure_rates import read_failure_rates, read_item_rates
from qa_sampling.quotas import QuotaFilter, read_quotas, read_waiting
from qa_sampling.replacements import replace_failing
from qa_sampling.risk_sweep import sweep_risks
from qa_sampling.shortfalls import look_ahead, raise_shortfalls
from tests.benchmarks.block_rows import settle
from tests.benchmarks.bulk_rows import without_indexes
from tests.benchmarks.figures import Figure, Finding, at_most, percentile
from tests.benchmarks.ground import Ground, empty_database
from tests.conftest import NOON

NAME = "quotas"
SALES = 1_000_000
_CENTRES = 20
_LAST_DAY = date(2026, 11, 22)
_DAYS = 365
_FIRST_DAY = _LAST_DAY - timedelta(days=_DAYS - 1)
_YEAR = QuotaFilter(from_on=_FIRST_DAY, to_on=_LAST_DAY)

# Every tenth sale is a gift, every third of the rest shorter than a year; half of the centres are agencies.
_SALES = f"""
    INSERT INTO sales (policy_no, product_code, sales_mode, centre_id, agent_id, consented_at, closed_on, cover_start,
        cooling_off_days, is_gift, content, content_digest, inspection_class, inspect_before, inspect_before_basis,
        deliver_by, retention_class, actor, recorded_at, changed_at)
    SELECT 'P' || n, 'TERM-1', CASE WHEN n % 2 = 0 THEN 'own_centre' ELSE 'agency' END, 'centre-' || n % {_CENTRES},
           'agent-' || n % 600, closed_on + time '10:00' AT TIME ZONE 'Asia/Shanghai', closed_on, closed_on, 15,
           kind = 'gift', '{{}}', sha256(int8send(n)), kind,
           (closed_on + CASE kind WHEN 'within_1y' THEN 180 WHEN 'gift' THEN 45 ELSE 16 END)::timestamp
               AT TIME ZONE 'Asia/Shanghai', 'closing_day', closed_on, '5y', 'bench', now(), now()
      FROM generate_series(1::bigint, {SALES}) AS n,
           LATERAL (SELECT date '{_FIRST_DAY}' + (n % {_DAYS})::int AS closed_on,
                           CASE WHEN n % 10 = 0 THEN 'gift' WHEN n % 3 = 0 THEN 'within_1y'
                                ELSE 'over_1y' END AS kind) d
"""  # noqa: S608 - constants only
_COUNTED = """
    INSERT INTO stratum_days (closed_on, sales_mode, centre_id, inspection_class, sales)
    SELECT closed_on, sales_mode, centre_id, inspection_class, count(*) FROM sales GROUP BY 1, 2, 3, 4"""
_DRAWS = """
    INSERT INTO draws (draw_id, sales_mode, centre_id, inspection_class, from_on, to_on, frame, frame_digest,
        frame_size, rate_bp, sample_size, seed, seed_commitment, committed_before, public_number, algorithm,
        policy_digest, actor, drawn_at)
    SELECT gen_random_uuid(), sales_mode, centre_id, inspection_class, closed_on, closed_on, '', sha256(''), sales,
           CASE inspection_class WHEN 'over_1y' THEN 3500 WHEN 'within_1y' THEN 2000 ELSE 100 END, 1, sha256('s'),
           sha256('c'), true, '', 'telesales-draw-1', 'sha256:0', 'bench', now() FROM stratum_days"""
# Nine of ten are done in time; what was closed in the last two weeks is open.
_INSPECTIONS = f"""
    INSERT INTO inspections (inspection_id, policy_no, sales_mode, centre_id, inspection_class, closed_on, origin,
        is_random, state, due_before, submitted_at, is_in_time, outcome, created_at, changed_at)
    SELECT gen_random_uuid(), policy_no, sales_mode, centre_id, inspection_class, closed_on,
           CASE WHEN turn <= share THEN 'draw' ELSE 'risk' END, turn <= share,
           CASE WHEN is_open THEN 'open' ELSE 'submitted' END, inspect_before,
           CASE WHEN NOT is_open THEN inspect_before - interval '1 day' END,
           CASE WHEN NOT is_open THEN position % 10 <> 0 END, CASE WHEN NOT is_open THEN 'passed' END, now(), now()
      FROM (SELECT *, closed_on > date '{_LAST_DAY}' - 14 AS is_open,
                   row_number() OVER (cohort ORDER BY policy_no) AS turn,
                   ceil(count(*) OVER cohort *
                        CASE inspection_class WHEN 'over_1y' THEN 0.35 WHEN 'within_1y' THEN 0.2 ELSE 0.01 END) AS share
              FROM sales WINDOW cohort AS (PARTITION BY closed_on, sales_mode, centre_id, inspection_class)) s
     WHERE turn <= share + 1
"""  # noqa: S608 - constants only
_TICKETS = """
    INSERT INTO draw_tickets (draw_id, policy_no, ticket, kind, is_drawn, inspection_id, recorded_at)
    SELECT d.draw_id, i.policy_no, sha256(convert_to(i.policy_no, 'UTF8')), 'sample', true, i.inspection_id, now()
      FROM inspections i JOIN draws d ON d.from_on = i.closed_on AND d.sales_mode = i.sales_mode
           AND d.centre_id = i.centre_id AND d.inspection_class = i.inspection_class WHERE i.is_random"""
_RESULTS = """
    INSERT INTO inspection_results (result_id, inspection_id, version, sitting_id, purpose, scorecard_version, answers,
        score_bp, failed_fatal, outcome, coverage, inspector, submitted_at)
    SELECT gen_random_uuid(), inspection_id, 1, gen_random_uuid(), 'inspection', 1,
           (SELECT jsonb_agg(jsonb_build_object('item_id', 'item-' || n, 'answer', 'pass', 'at_ms', 1000 * n))
              FROM generate_series(1, 12) n),
           10000, '[]', 'passed', '{}', 'inspector-' || right(policy_no, 1), submitted_at
      FROM inspections WHERE submitted_at IS NOT NULL"""
_TABLES = ("sales", "stratum_days", "draws", "inspections", "draw_tickets", "inspection_results")


def run(ground: Ground) -> Finding:
    """Ask for the quotas of the year, again and again, and let each of the tasks run once."""
    engine = make_engine(empty_database(ground.server, f"quotas_{SALES}"), application_name="benchmarks")
    ground.say(f"making {SALES:,} sales with their inspections")
    _fill(engine, say=ground.say)
    settle(engine)
    calendar = package_calendar()
    by_day = QuotaFilter(from_on=_FIRST_DAY, to_on=_LAST_DAY, by_day=True)
    questions: dict[str, Callable[[Connection], object]] = {
        "quotas of a year": lambda connection: read_quotas(connection, _YEAR, now=NOON),
        "quotas of a year by day": lambda connection: read_quotas(connection, by_day, now=NOON),
        "forecast": lambda connection: look_ahead(connection, calendar=calendar, now=NOON, days=14),
        "failure rates of a year": lambda connection: read_failure_rates(
            connection, _FIRST_DAY, _LAST_DAY, confidence=0.95
        ),
        "failure rates of a year by item": lambda connection: read_item_rates(
            connection, _FIRST_DAY, _LAST_DAY, confidence=0.95
        ),
        "what waits, for metrics": lambda connection: read_waiting(connection, now=NOON),
        "shortfalls raised": lambda connection: raise_shortfalls(connection, calendar=calendar, now=NOON),
        "sweep for replacements": lambda connection: replace_failing(connection, now=NOON),
        "sweep for risks": lambda connection: sweep_risks(connection, now=NOON),
    }
    took = {name: [_ask(engine, question) for _ in range(ground.rounds)] for name, question in questions.items()}
    for name, seconds in took.items():
        ground.say(f"{name}: {median(seconds) * 1000:.0f} ms")
    engine.dispose()
    first = Figure(
        NAME,
        f"quotas of a year, {SALES:,} sales, slowest",
        percentile(took["quotas of a year"], 100),
        "s",
        at_most(0.2),
    )
    others = [Figure(NAME, f"{name}, median", median(seconds), "s") for name, seconds in took.items()]
    return Finding((first, *others), took)


def _fill(engine: Engine, *, say: Callable[[str], None]) -> None:
    """Write the rows as they would be found a year later: their entries in the ledger are not asked for here."""
    with without_indexes(engine, _TABLES, say=say), engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        for statement in (_SALES, _COUNTED, _DRAWS, _INSPECTIONS, _TICKETS, _RESULTS):
            connection.execute(text(statement))


def _ask(engine: Engine, question: Callable[[Connection], object]) -> float:
    """Return how long an answer took; what a task writes is taken back."""
    with engine.connect() as connection:
        started = perf_counter()
        question(connection)
        seconds = perf_counter() - started
        connection.rollback()
    return seconds
