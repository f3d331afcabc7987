"""Makes a do-not-call list of any size straight in the database, with the rows that the product itself would write.

Blocked numbers are every tenth of a range of mobile numbers, in an order that has nothing to do with the numbers:
in a list that has grown over years, neighbours in the table are no neighbours in the index.
"""

from collections.abc import Callable
from random import Random

from sqlalchemy import Connection, Engine, text

from tests.benchmarks.bulk_rows import without_indexes

FIRST_PHONE = 86_138_0000_0000
SPACING = 10
"""One number in ten is blocked; those between are callable."""

MOST_ENTRIES = 10_000_000
"""More would leave the range 138."""

_STEP = 982_451_653
"""A prime above `MOST_ENTRIES`: multiplying by it modulo any smaller size visits every place once."""

_CHUNK = 500_000

_ROWS = f"""
    WITH numbered AS (
      SELECT i, (lpad(to_hex(1735689600000 + i), 12, '0') || '7000' || '8000' || lpad(to_hex(i), 12, '0'))::uuid AS id,
             {FIRST_PHONE} + i * {_STEP} % :entries * {SPACING} AS phone,
             timestamptz '2025-01-01 08:00+08' + i * interval '1 second' AS at,
             date '2030-06-30' + (i % 400)::int AS through
        FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) AS i),
    entries AS (
      INSERT INTO do_not_call_entries (entry_id, blocked_from, refused_at, blocked_through, source, created_at)
      SELECT id, at, at, through, 'call', at FROM numbered),
    phones AS (
      INSERT INTO do_not_call_phones (phone_digits, entry_id) SELECT phone, id FROM numbered)
    INSERT INTO do_not_call_events
      (event_id, entry_id, kind, refused_at, blocked_through, details, actor, recorded_at)
    SELECT id, id, 'refusal', at, through,
           jsonb_build_object('source', 'call', 'phone', '138****' || lpad((phone % 10000)::text, 4, '0'),
             'customer_id', NULL, 'months', NULL, 'permanent', false, 'demanded_through', NULL, 'reason', NULL,
             'evidence', NULL, 'call_id', 'call-' || i), 'dialer', at
      FROM numbered"""  # noqa: S608 - constants only

_TABLES = ("do_not_call_entries", "do_not_call_phones", "do_not_call_events")


def build_block_list(engine: Engine, entries: int, *, say: Callable[[str], None]) -> None:
    """Fill an empty database with `entries` blocked numbers, one person and one refusal each."""
    with without_indexes(engine, _TABLES, say=say):
        for first in range(0, entries, _CHUNK):
            last = min(first + _CHUNK, entries)
            with engine.begin() as connection:
                # The rows fit together by construction; proving each reference would triple the time.
                connection.execute(text("SET LOCAL session_replication_role = replica"))
                connection.execute(text(_ROWS), {"entries": entries, "first": first, "last": last - 1})
            say(f"{last:,} of {entries:,} do-not-call entries")
    settle(engine)


def settle(engine: Engine) -> None:
    """Do at once what autovacuum and the checkpointer would do in the background, while others measure."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
        connection.execute(text("CHECKPOINT"))


def count_entries(connection: Connection) -> int:
    """Return how many of the numbers that `build_block_list` makes are blocked."""
    found = connection.execute(
        text("SELECT count(*) FROM do_not_call_phones WHERE phone_digits BETWEEN :first AND :last"),
        {"first": FIRST_PHONE, "last": FIRST_PHONE + MOST_ENTRIES * SPACING - 1},
    )
    return int(found.scalar_one())


def mixed_callees(count: int, entries: int, *, blocked_share: float, seed: int) -> list[str]:
    """Return `count` national numbers, about `blocked_share` of them blocked, spread over the whole list."""
    chance = Random(seed)
    found = []
    for _ in range(count):
        place = chance.randrange(entries) * SPACING
        if chance.random() >= blocked_share:
            place += chance.randrange(1, SPACING)
        found.append(str(FIRST_PHONE + place)[2:])
    return found
