"""The sealer: numbers what has been committed, extends the tree, signs a checkpoint. One transaction.

Entries are numbered in the order of their source, which is the order in which changes of one row were made: who changes
a row holds it until the end of its transaction. All that is committed is sealed, not only what lies below the oldest
open transaction: of two changes of one row the later may have the lower transaction id, and would be numbered first.
Transaction ids only say from where on to look. Call checks never change, and are cut by them.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from sqlalchemy import Connection, TextClause, insert, text

from compliance.ledger_lines import ROW_DOMAIN
from compliance.ledger_reading import CoveredTable, StoredCheckpoint, covered_tables, latest_checkpoint, line_of
from compliance.ledger_tables import ledger_checkpoints
from compliance.ledger_tree import append_leaves
from compliance.merkle import leaf_hash
from compliance.signed_notes import Checkpoint
from infra.advisory_locks import AdvisoryLock
from infra.logs import logger

MOST_ENTRIES = 20_000
"""So many entries one transaction seals at most; the next takes up where it stopped."""

MOST_CHECKS = 100_000
CHECKS_PER_RANGE = 1000
CHECKS_TABLE = "call_checks"
RANGE_KIND = f"{CHECKS_TABLE}.range"

_ROWS_AT_ONCE = 1000
_LAST_CHECK = UUID(int=(1 << 128) - 1)

log = logger(__name__)

_BEGIN = text("""
    SELECT pg_try_advisory_xact_lock(:lock), set_config('statement_timeout', '600000', true),
           set_config('TimeZone', 'UTC', true), set_config('bytea_output', 'hex', true)""")
_SEEN = text("""
    SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint,
           (SELECT system_identifier::text FROM pg_control_system())""")
_ENDED = "({tx} < :horizon OR :restored AND {tx} >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint)"
# The plus keeps the server from walking the whole primary key in search of the first that fits.
_FIRST_WAITING = text("""
    SELECT min(e.source + 0) FROM ledger_entries e
     WHERE e.tx >= :low AND NOT EXISTS (SELECT FROM ledger_leaves l WHERE l.source = e.source)""")
_WAITING = text("""
    SELECT e.source, e.recorded_at, e.kind, e.keys, e.digests FROM ledger_entries e
     WHERE e.source > :after AND e.tx >= :low
       AND NOT EXISTS (SELECT FROM ledger_leaves l WHERE l.source = e.source)
     ORDER BY e.source LIMIT :most""")
_RANGES = """
    WITH chosen AS MATERIALIZED (
      SELECT check_id, row_number() OVER (ORDER BY written_in, check_id) - 1 AS place FROM call_checks
       WHERE written_in >= :through AND (written_in, check_id) > (:through, CAST(:after AS uuid))
         AND {ended}
       ORDER BY written_in, check_id LIMIT :most),
    texts AS MATERIALIZED (
      SELECT place, place / :per_range AS nth, t.check_id::text AS key, uuid_send(gen_random_uuid()) AS salt,
             convert_to(row_to_json(r)::text, 'UTF8') AS row
        FROM chosen JOIN call_checks t USING (check_id) CROSS JOIN LATERAL (SELECT {columns}) r)
    INSERT INTO ledger_entries (recorded_at, kind, keys, digests, salts)
    SELECT :now, :kind, array_agg(key ORDER BY place),
           string_agg(sha256(CAST(:domain AS bytea) || salt || row), ''::bytea ORDER BY place),
           string_agg(salt, ''::bytea ORDER BY place)
      FROM texts GROUP BY nth ORDER BY nth
    RETURNING source, recorded_at, kind, keys, digests"""
_WRITTEN_IN = text("SELECT written_in FROM call_checks WHERE check_id = :check_id")


class Signer(Protocol):
    """Whatever signs checkpoints under the ledger's name."""

    @property
    def origin(self) -> str: ...
    @property
    def key_id(self) -> str: ...
    @property
    def since(self) -> datetime: ...
    def sign(self, text: str, *, at: datetime) -> str: ...


class ChecksCursor(NamedTuple):
    """Call checks are sealed up to the check `after` of the transaction `through`."""

    through: int
    after: UUID


_NO_CHECKS = ChecksCursor(0, UUID(int=0))


@dataclass(frozen=True, slots=True)
class Position:
    """Where one transaction of a sealing begins: what is to be sealed, and how much of it is.

    `horizon`: transactions below it had ended when the sealing began. `restored`: since the last checkpoint the
    database came from another cluster, whose transaction ids mean nothing here. `after`: entries up to this source are
    sealed; None: no entry waits. `size`: that of the checkpoint on which this goes on.
    """

    size: int
    horizon: int
    low: int
    cluster: str
    restored: bool
    after: int | None
    checks: ChecksCursor


@dataclass(frozen=True, slots=True)
class Sealed:
    """What one transaction sealed; `rest` is where the next goes on, None if nothing else waited."""

    checkpoint: StoredCheckpoint
    entries: int
    rest: Position | None


class _Leaves:
    """Sources and hashes of what is being sealed; the lines are not kept."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.sources: list[int] = []
        self.hashes: list[bytes] = []

    def add(self, source: int, at: datetime, kind: str, keys: Sequence[str], digests: bytes) -> None:
        number = self.size + len(self.sources)
        self.hashes.append(leaf_hash(line_of(number, at, kind, keys, digests)))
        self.sources.append(source)


def seal(connection: Connection, *, signer: Signer, now: datetime, position: Position | None = None) -> Sealed | None:
    """Seal what waits, in the caller's transaction of READ COMMITTED; None if nothing does or another is sealing.

    At most MOST_ENTRIES entries and MOST_CHECKS call checks at a time: `position` is `rest` of the time before.

    Raises:
        BrokenEntryError: an entry that waits was changed.
        MissingHashError: the stored tree is not whole.
    """
    locked, *_ = connection.execute(_BEGIN, {"lock": AdvisoryLock.SEALING}).one()
    if not locked:
        return None
    last = latest_checkpoint(connection)
    place = _begin(connection, last, position)
    leaves = _Leaves(place.size)
    after, more_entries = _add_entries(connection, leaves, place)
    checks, more_checks = _add_checks(connection, leaves, place, now=now)
    if not leaves.sources:
        return None
    size = place.size + len(leaves.sources)
    rest = replace(place, size=size, after=after, checks=checks) if more_entries or more_checks else None
    root = append_leaves(connection, place.size, leaves.sources, leaves.hashes)
    sealed_at = _sealed_at(last, signer, now)
    note = signer.sign(Checkpoint(signer.origin, size, root, sealed_at).text(), at=sealed_at)
    stored = StoredCheckpoint(
        size=size, root=root, note=note, key_id=signer.key_id, sealed_at=sealed_at, **_reach(last, place, rest, checks)
    )
    connection.execute(insert(ledger_checkpoints).values(**asdict(stored)))
    return Sealed(stored, len(leaves.sources), rest)


def _begin(connection: Connection, last: StoredCheckpoint | None, position: Position | None) -> Position:
    """Return where to begin: where the transaction before stopped, unless another sealer came between."""
    size = 0 if last is None else last.size
    if position is not None and position.size == size:
        return position
    horizon, cluster = connection.execute(_SEEN).one()
    restored = last is not None and last.cluster != cluster
    if restored:
        log.warning("ledger_restored", size=size, hint="sealing everything that is not sealed, call checks anew")
    low = 0 if last is None or restored else last.horizon
    first = connection.execute(_FIRST_WAITING, {"low": low}).scalar_one()
    checks = _NO_CHECKS if last is None or restored else ChecksCursor(last.checks_through, last.checks_after)
    return Position(
        size=size,
        horizon=horizon,
        low=low,
        cluster=cluster,
        restored=restored,
        after=None if first is None else first - 1,
        checks=checks,
    )


def _add_entries(connection: Connection, leaves: _Leaves, place: Position) -> tuple[int | None, bool]:
    """Add the entries that wait; return the last source of those read, and whether more wait."""
    if place.after is None:
        return None, False
    asked = {"after": place.after, "low": place.low}
    options = {"stream_results": True, "yield_per": _ROWS_AT_ONCE}
    with connection.execute(_WAITING, {**asked, "most": MOST_ENTRIES + 1}, execution_options=options) as rows:
        for row in rows:
            if len(leaves.sources) == MOST_ENTRIES:
                return leaves.sources[-1], True
            leaves.add(*row)
    return None, False


def _add_checks(
    connection: Connection, leaves: _Leaves, place: Position, *, now: datetime
) -> tuple[ChecksCursor, bool]:
    """Write and add the entries of call checks that wait; return up to where they are sealed, and whether more wait."""
    covered = next((one for one in covered_tables(connection) if one.table == CHECKS_TABLE), None)
    if covered is None:
        return place.checks, False
    asked = {
        "through": place.checks.through,
        "after": place.checks.after,
        "horizon": place.horizon,
        "restored": place.restored,
        "most": MOST_CHECKS,
        "per_range": CHECKS_PER_RANGE,
        "kind": RANGE_KIND,
        "domain": ROW_DOMAIN,
        "now": now,
    }
    rows = sorted(connection.execute(_ranges(covered), asked).all())
    for row in rows:
        leaves.add(*row)
    if sum(len(keys) for _source, _at, _kind, keys, _digests in rows) < MOST_CHECKS:
        return ChecksCursor(place.horizon - 1, _LAST_CHECK), False
    last = UUID(rows[-1][3][-1])
    through: int = connection.execute(_WRITTEN_IN, {"check_id": last}).scalar_one()
    return ChecksCursor(through, last), True


def _ranges(covered: CoveredTable) -> TextClause:
    # Names from the ledger's own table of what it covers, quoted; they come from migrations alone.
    columns = ", ".join(f't."{name}"' for name in covered.columns)
    return text(_RANGES.format(columns=columns, ended=_ENDED.format(tx="written_in")))


def _sealed_at(last: StoredCheckpoint | None, signer: Signer, now: datetime) -> datetime:
    """Return when the checkpoint is sealed: now, but never before the last one, nor before its key signs."""
    earliest = signer.since if last is None else max(signer.since, last.sealed_at)
    if earliest <= now:
        return now
    log.warning("ledger_clock_set_back", now=now.isoformat(), not_before=earliest.isoformat())
    return earliest


def _reach(
    last: StoredCheckpoint | None, place: Position, rest: Position | None, checks: ChecksCursor
) -> dict[str, Any]:
    """Return how far the new checkpoint reaches: a horizon is noted only once nothing below it waits."""
    reached = {"checks_through": checks.through, "checks_after": checks.after}
    if rest is None:
        return {**reached, "horizon": place.horizon, "cluster": place.cluster}
    if last is None:
        return {**reached, "horizon": 0, "cluster": place.cluster}
    if place.restored:
        reached = {"checks_through": last.checks_through, "checks_after": last.checks_after}
    return {**reached, "horizon": last.horizon, "cluster": last.cluster}
