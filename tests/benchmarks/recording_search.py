"""Finding a recording among millions: by policy, number, agent, call and day, through the API's own functions."""

from collections.abc import Callable
from datetime import date, timedelta
from random import Random
from statistics import median
from time import perf_counter
from uuid import UUID

from sqlalchemy import Engine, text

from infra.database import make_engine
from recordings.recording_rows import RecordingFilter, list_recordings
from services.api.recording_models import retention_answers
from tests.benchmarks.block_rows import settle
from tests.benchmarks.bulk_rows import without_indexes
from tests.benchmarks.figures import Figure, Finding, at_most, percentile
from tests.benchmarks.ground import Ground, empty_database
from tests.conftest import NOON

NAME = "recordings"
ROWS = 5_000_000
_ASKED = 100
_PAGE = 101
"""What the API reads for a page of 100: one more, to know whether there is another page."""

_FIRST_DAY = date(2020, 1, 6)
_DAYS = 2_400
_SALE_EVERY = 50
"""One call in fifty ends in a sale; each sale names five calls."""

_DATABASE = f"recordings_{ROWS}"
_RECORDINGS = f"""
    INSERT INTO recordings (recording_id, sha256, size_bytes, object_key, call_id, policy_no, agent_id, phone_digits,
        started_at, direction, channels, codec, container, sample_rate, duration_ms, silence_bp, source, is_held,
        keep_through, retention_basis, is_lock_due, is_unlinked, actor, recorded_at)
    SELECT gen_random_uuid(), sha256(int8send(n)), 500000, 'key/' || n, 'call-' || n,
           CASE WHEN n % {_SALE_EVERY} = 0 THEN 'P' || n / {_SALE_EVERY} END, 'agent-' || n % 600,
           8613000000000 + (n * 7919) % 2000000000,
           timestamptz '{_FIRST_DAY} 09:00+08' + interval '1 day' * (n % {_DAYS}) + interval '1 second' * (n % 40000),
           'outbound', '{{agent,customer}}', 'alaw', 'wav', 8000, 31250, 1200, 'import', n % {_SALE_EVERY} = 0,
           CASE WHEN n % {_SALE_EVERY} <> 0 THEN date '{_FIRST_DAY}' + (n % {_DAYS})::int + 1095 END,
           CASE WHEN n % {_SALE_EVERY} = 0 THEN 'sale' ELSE 'company' END, false, false, 'bench', now()
      FROM generate_series(1::bigint, {ROWS}) AS n"""  # noqa: S608 - constants only
_CALLS_OF_SALES = f"""
    INSERT INTO sale_calls (policy_no, call_id, recorded_at)
    SELECT 'P' || n / {_SALE_EVERY}, 'call-' || (n - back), now()
      FROM generate_series({_SALE_EVERY}, {ROWS}, {_SALE_EVERY}) AS n, generate_series(0, 4) AS back"""  # noqa: S608 - constants only


def run(ground: Ground) -> Finding:
    """Ask for a page of each kind of question, over and over, of different policies, numbers, agents, calls, days."""
    engine = make_engine(empty_database(ground.server, _DATABASE), application_name="benchmarks")
    ground.say(f"making {ROWS:,} recordings")
    _fill(engine, say=ground.say)
    settle(engine)
    chance = Random(4)
    questions: dict[str, Callable[[], RecordingFilter]] = {
        "policy": lambda: RecordingFilter(policy_no=f"P{chance.randrange(1, ROWS // _SALE_EVERY)}"),
        "number": lambda: RecordingFilter(phone_e164=f"+{8613000000000 + chance.randrange(ROWS) * 7919 % 2000000000}"),
        "agent": lambda: RecordingFilter(agent_id=f"agent-{chance.randrange(600)}"),
        "call": lambda: RecordingFilter(call_id=f"call-{chance.randrange(1, ROWS)}"),
        "day": lambda: _of_day(chance),
        "agent and day": lambda: _of_day(chance, agent_id=f"agent-{chance.randrange(600)}"),
    }
    took: dict[str, list[float]] = {}
    for name, question in questions.items():
        took[name] = [_ask(engine, question()) for _ in range(_ASKED)]
        ground.say(f"by {name}: {median(took[name]) * 1000:.1f} ms, p99 {percentile(took[name], 99) * 1000:.1f} ms")
    engine.dispose()
    slowest = max(percentile(one, 99) for one in took.values())
    figures = [Figure(NAME, f"search of {ROWS:,} rows, slowest p99 of all questions", slowest, "s", at_most(1))]
    figures += [Figure(NAME, f"search by {name}, median", median(one) * 1000, "ms") for name, one in took.items()]
    return Finding(tuple(figures), took)


def _fill(engine: Engine, *, say: Callable[[str], None]) -> None:
    """Write the rows as they would be found years later: their entries in the ledger are not asked for here."""
    with without_indexes(engine, ("recordings", "sale_calls"), say=say), engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text(_RECORDINGS))
        connection.execute(text(_CALLS_OF_SALES))


def _of_day(chance: Random, *, agent_id: str | None = None) -> RecordingFilter:
    day = _FIRST_DAY + timedelta(days=chance.randrange(_DAYS))
    return RecordingFilter(from_day=day, to_day=day, agent_id=agent_id)


def _ask(engine: Engine, wanted: RecordingFilter) -> float:
    """Return how long a page took, with how long each of its recordings is kept."""
    started = perf_counter()
    with engine.connect() as connection:
        found = list_recordings(connection, wanted, before=None, limit=_PAGE)
        ids: list[UUID] = [one.recording_id for one in found]
        retention_answers(connection, ids, actor=None, now=NOON)
    if not found and wanted.agent_id is None:
        msg = f"nothing was found of {wanted}"
        raise RuntimeError(msg)
    return perf_counter() - started
