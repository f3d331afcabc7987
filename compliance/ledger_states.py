"""The covered rows as they are now, each beside the latest entry about it, read in one snapshot.

For those who check: the database is only asked for what it holds, and everything is hashed here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, TextClause, text

from compliance.ledger_lines import DIGEST_BYTES, SALT_BYTES, row_digest
from compliance.ledger_reading import CoveredTable, StoredCheckpoint, line_of

_AT_ONCE = 2000
_NO_CHECK = UUID(int=0)

_STATES = """
WITH seen AS (
    SELECT split_part(e.kind, '.', 1) AS name, k.key, k.place, e.source, l.entry
      FROM ledger_entries e LEFT JOIN ledger_leaves l ON l.source = e.source
     CROSS JOIN LATERAL unnest(e.keys) WITH ORDINALITY AS k (key, place)
     WHERE l.entry IS NULL OR l.entry >= :begin
), latest AS (
    SELECT DISTINCT ON (name, key) name, key, place, source, entry,
           coalesce(bool_or(entry < :end) OVER (PARTITION BY name, key), false) AS is_touched,
           min(entry) OVER (PARTITION BY name, key) AS first
      FROM seen ORDER BY name, key, entry DESC NULLS FIRST, source DESC
), present AS (
    {present}
)
SELECT coalesce(l.name, p.name), coalesce(l.key, p.key), l.source, l.place, l.is_touched, p.row,
       coalesce(p.is_waiting, false), CASE WHEN l.first < l.entry THEN l.first END
  FROM latest l {join} JOIN present p ON p.name = l.name AND p.key = l.key
 ORDER BY l.source IS NULL, l.entry NULLS LAST, l.source, l.place, 1, 2
"""
_NOTHING = (
    "SELECT CAST(NULL AS text) AS name, CAST(NULL AS text) AS key, CAST(NULL AS text) AS row, false AS is_waiting"
    " WHERE false"
)
# Texts of rows are made as they were for the entries, whatever the database or the login is set to.
_AS_WRITTEN = text("""
SELECT set_config('work_mem', '64MB', true), set_config('TimeZone', 'UTC', true),
       set_config('bytea_output', 'hex', true)
""")
_FIRST = text("""
SELECT w.name, w.key, substr(e.digests, 32 * p.place - 31, 32), substr(e.salts, 16 * p.place - 15, 16)
  FROM unnest(CAST(:names AS text[]), CAST(:keys AS text[]), CAST(:entries AS bigint[])) AS w (name, key, entry)
  JOIN ledger_leaves l ON l.entry = w.entry JOIN ledger_entries e ON e.source = l.source
 CROSS JOIN LATERAL array_position(e.keys, w.key) AS p (place)
""")
_SOURCES = text("""
SELECT e.source, l.entry,
       CASE WHEN e.recorded_at BETWEEN '0001-01-02' AND '9999-12-30' THEN e.recorded_at END,
       e.kind, e.keys, e.digests, e.salts
  FROM ledger_entries e LEFT JOIN ledger_leaves l ON l.source = e.source
 WHERE l.entry IS NULL OR l.entry >= :begin
 ORDER BY l.entry NULLS LAST, e.source
""")


@dataclass(frozen=True, slots=True)
class SourceEntry:
    """An entry as it was written; `entry` None: it is not sealed yet."""

    source: int
    entry: int | None
    recorded_at: datetime
    kind: str
    keys: list[str]
    digests: bytes
    salts: bytes

    @property
    def is_delete(self) -> bool:
        return self.kind.endswith(".delete")

    def digest(self, place: int) -> bytes:
        return self.digests[place * DIGEST_BYTES : (place + 1) * DIGEST_BYTES]

    def salt(self, place: int) -> bytes:
        return self.salts[place * SALT_BYTES : (place + 1) * SALT_BYTES]

    def line(self, entry: int) -> bytes:
        """Return the entry's line under the number `entry`.

        Raises:
            BrokenEntryError: there is not a digest for each key.
        """
        return line_of(entry, self.recorded_at, self.kind, self.keys, self.digests)


@dataclass(frozen=True, slots=True)
class RowState:
    """A row and the latest entry about it.

    `row` None: there is none. `latest` None: no entry from the first asked for on speaks of it; `is_waiting` then says
    that it was written after the last seal and belongs to a range still to be sealed. `is_touched`: some entry of the
    range asked for speaks of it. `first`: the first entry of those about it, if that is another than the latest.
    """

    table: str
    key: str
    row: str | None
    latest: SourceEntry | None
    place: int
    is_touched: bool
    is_waiting: bool
    first: int | None

    @property
    def salt(self) -> bytes:
        return bytes(SALT_BYTES) if self.latest is None else self.latest.salt(self.place)

    @property
    def is_as_left(self) -> bool:
        """Whether the row is as the latest entry left it: absent after a delete, else of its digest."""
        if self.latest is None or self.latest.is_delete:
            return self.latest is not None and self.row is None
        return self.row is not None and row_digest(self.salt, self.row) == self.latest.digest(self.place)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows are read: those that entries from `begin` on speak of; `with_unknown`, also those of which none does.

    Rows that some entry before `end` speaks of count as touched.
    """

    begin: int
    end: int
    with_unknown: bool


def read_states(
    connection: Connection, tables: Sequence[CoveredTable], wanted: Wanted, checkpoint: StoredCheckpoint | None
) -> Iterator[RowState]:
    """Stream rows in the order of the latest entry about each; entries not sealed come last, then rows without any.

    The transaction must see one snapshot (REPEATABLE READ): rows and entries are read by two statements. `checkpoint`,
    the newest, tells which rows of range tables still wait for the sealer.
    """
    asked: dict[str, object] = {"begin": wanted.begin, "end": wanted.end}
    present = "\n    UNION ALL ".join([_NOTHING, *(_present(table) for table in tables)])
    if any(table.mode == "ranges" for table in tables):
        reach = (0, _NO_CHECK) if checkpoint is None else (checkpoint.checks_through, checkpoint.checks_after)
        asked |= {"through": reach[0], "after": str(reach[1]), "cluster": checkpoint and checkpoint.cluster}
    statement = text(_STATES.format(present=present, join="FULL" if wanted.with_unknown else "LEFT"))
    connection.execute(_AS_WRITTEN)
    sources = (SourceEntry(*row) for row in _streamed(connection, _SOURCES, {"begin": wanted.begin}))
    latest: SourceEntry | None = None
    for name, key, source, place, is_touched, row, is_waiting, first in _streamed(connection, statement, asked):
        while source is not None and (latest is None or latest.source != source):
            latest = next(sources)
        said = None if source is None else latest
        yield RowState(name, key, row, said, (place or 1) - 1, bool(is_touched), is_waiting, first)


def as_first_left(connection: Connection, states: Sequence[RowState]) -> list[bool]:
    """Return of each row of which several entries speak whether it is as the first of them left it."""
    found = _first_entries(connection, states)
    return [_is_of(one.row, *found.get((one.table, one.key), (b"", b""))) for one in states]


def first_salts(connection: Connection, states: Sequence[RowState]) -> dict[tuple[str, str], bytes]:
    """Return by table and key, of rows of which several entries speak, the salt of the first."""
    return {place: salt for place, (_, salt) in _first_entries(connection, states).items()}


def _first_entries(connection: Connection, states: Sequence[RowState]) -> dict[tuple[str, str], tuple[bytes, bytes]]:
    asked = {
        "names": [one.table for one in states],
        "keys": [one.key for one in states],
        "entries": [one.first for one in states],
    }
    return {(name, key): (digest, salt) for name, key, digest, salt in connection.execute(_FIRST, asked)}


def _is_of(row: str | None, digest: bytes, salt: bytes) -> bool:
    return row is not None and row_digest(salt, row) == digest


def _streamed(connection: Connection, statement: TextClause, asked: dict[str, object]) -> Iterator[Any]:
    options = {"stream_results": True, "yield_per": _AT_ONCE}
    return iter(connection.execute(statement, asked, execution_options=options))


def _present(table: CoveredTable) -> str:
    """Return the SELECT of a table's rows as they are now, with their keys as entries have them."""
    columns = ", ".join(f"t.{_quoted(one)}" for one in table.columns)
    waiting = "false"
    if table.mode == "ranges":
        # In another cluster than that of the checkpoint its transactions mean nothing: the sealer will look at all.
        waiting = (
            f"((t.written_in, t.{_quoted(table.key_columns[0])}) > (:through, CAST(:after AS uuid))"
            " AND t.written_in < CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS text) AS bigint)"
            " OR CAST(:cluster AS text) <> (SELECT CAST(system_identifier AS text) FROM pg_control_system()))"
        )
    return (
        f"SELECT CAST({_literal(table.table)} AS text) AS name, {key_sql(table, 't')} AS key,"
        f" (SELECT CAST(row_to_json(r) AS text) FROM (SELECT {columns}) r) AS row, {waiting} AS is_waiting"
        f" FROM {_quoted(table.table)} t"
    )


def key_sql(table: CoveredTable, alias: str) -> str:
    """Return the expression for the key of a row, as entries have it."""
    parts = [f"CAST({alias}.{_quoted(one)} AS text)" for one in table.key_columns]
    if len(parts) == 1:
        joined = parts[0]
    else:
        joined = " || '/' || ".join(f"replace(replace({one}, '%', '%25'), '/', '%2F')" for one in parts)
    if not table.hides_key:
        return joined
    return (
        "'~' || left(encode(sha256(CAST('\\x74656c6573616c65732d6c65646765722d6b65792d3100' AS bytea)"
        f" || (SELECT key_secret FROM ledger_identity) || convert_to({joined}, 'UTF8')), 'hex'), 32)"
    )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
