"""What the ledger holds: checkpoints, sealed entries, the tables it covers, the name it signs under."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, Row, func, select, text

from compliance.ledger_lines import DIGEST_BYTES, entry_line
from compliance.ledger_tables import (
    ledger_checkpoints,
    ledger_entries,
    ledger_identity,
    ledger_leaves,
)
from compliance.ledger_verifier import LEAF_START

ORIGIN_PREFIX = "telesales-ledger/"
_ROWS_AT_ONCE = 2000


class UnknownLedgerEntryError(LookupError):
    """The ledger has no sealed entry of this number."""


class NothingSealedError(LookupError):
    """The ledger has no checkpoint yet."""


class BrokenEntryError(ValueError):
    """An entry of the ledger does not have a digest for each of its keys: somebody changed it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCheckpoint:
    """A checkpoint over the entries 0 … `size` - 1, with how far it reaches into what was written.

    `horizon` and `checks_through` are ids of transactions of `cluster`: entries of all transactions below `horizon`
    are sealed, and the call checks up to `checks_after` of the transaction `checks_through`.
    """

    size: int
    root: bytes
    note: str
    key_id: str
    sealed_at: datetime
    horizon: int
    cluster: str
    checks_through: int
    checks_after: UUID


@dataclass(frozen=True, slots=True)
class CoveredTable:
    """A table of which each change of `columns` leaves an entry; `key_columns` name the row."""

    table: str
    key_columns: tuple[str, ...]
    columns: tuple[str, ...]
    hides_key: bool
    mode: str


class SealedEntry(NamedTuple):
    """An entry as lists show it; `leaf` is the hash of its line in the tree."""

    entry: int
    at: datetime
    kind: str
    leaf: bytes


class EntrySpan(NamedTuple):
    """Sealed entries of numbers from `begin` to `end` (excluded), recorded from `from_at` to `to_at` (excluded)."""

    begin: int
    end: int
    from_at: datetime | None = None
    to_at: datetime | None = None


def read_origin(connection: Connection) -> str:
    """Return the name that this database's ledger signs under."""
    ledger_id: UUID = connection.execute(select(ledger_identity.c.ledger_id)).scalar_one()
    return f"{ORIGIN_PREFIX}{ledger_id}"


_checkpoint_columns = [ledger_checkpoints.c[name] for name in StoredCheckpoint.__dataclass_fields__]
_LATEST = select(*_checkpoint_columns).order_by(ledger_checkpoints.c.size.desc()).limit(1)


def latest_checkpoint(connection: Connection) -> StoredCheckpoint | None:
    """Return the newest checkpoint, None before the first."""
    row = connection.execute(_LATEST).mappings().one_or_none()
    return None if row is None else StoredCheckpoint(**row)


def present_checkpoint(connection: Connection) -> StoredCheckpoint:
    """Return the newest checkpoint.

    Raises:
        NothingSealedError: there is none yet.
    """
    found = latest_checkpoint(connection)
    if found is None:
        raise NothingSealedError("nothing is sealed yet; the worker seals every few seconds, telesales ledger seal now")
    return found


_LINES = (
    select(
        ledger_leaves.c.entry,
        ledger_entries.c.recorded_at,
        ledger_entries.c.kind,
        ledger_entries.c["keys"],
        ledger_entries.c.digests,
    )
    .join(ledger_entries, ledger_entries.c.source == ledger_leaves.c.source)
    .order_by(ledger_leaves.c.entry)
)


def read_lines(connection: Connection, begin: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Yield number and line of the sealed entries from `begin` to `end` (excluded), in order, a few held at a time.

    A number is left out where its entry is gone from the database: whoever verifies counts.

    Raises:
        BrokenEntryError: an entry does not have a digest for each key.
    """
    wanted = _LINES.where(ledger_leaves.c.entry >= begin, ledger_leaves.c.entry < end)
    options = {"stream_results": True, "yield_per": _ROWS_AT_ONCE}
    with connection.execute(wanted, execution_options=options) as rows:
        for entry, at, kind, keys, digests in rows:
            yield entry, line_of(entry, at, kind, keys, digests)


_LEAF_STARTS = select(ledger_leaves.c.entry, func.substr(ledger_leaves.c.leaf, 1, LEAF_START))
_LEAVES_AT_ONCE = 10_000


def leaf_starts(connection: Connection, begin: int, end: int) -> Iterator[bytes]:
    """Yield the beginnings of the leaf hashes of the entries `begin` to `end` (excluded), of many entries at a time.

    Where the hash is gone from the database stand zeros: each has its place.
    """
    for first in range(begin, end, _LEAVES_AT_ONCE):
        past = min(first + _LEAVES_AT_ONCE, end)
        wanted = _LEAF_STARTS.where(ledger_leaves.c.entry >= first, ledger_leaves.c.entry < past)
        found: dict[int, bytes] = {entry: start for entry, start in connection.execute(wanted)}  # noqa: C416 - rows are no pairs to mypy
        yield b"".join([found.get(entry, bytes(LEAF_START)) for entry in range(first, past)])


def line_of(entry: int, at: datetime, kind: str, keys: Sequence[str], digests: bytes) -> bytes:
    """Return the line of a stored entry under its number.

    Raises:
        BrokenEntryError: there is not a digest for each key.
    """
    if len(digests) != DIGEST_BYTES * len(keys):
        raise BrokenEntryError(f"entry {entry} ({kind}) has {len(keys)} keys and {len(digests)} bytes of digests")
    split = [digests[place : place + DIGEST_BYTES] for place in range(0, len(digests), DIGEST_BYTES)]
    return entry_line(entry, at, kind, list(zip(keys, split, strict=True)))


def read_line(connection: Connection, entry: int) -> tuple[bytes, bytes]:
    """Return the line of a sealed entry and the leaf hash that the tree has for it.

    Raises:
        UnknownLedgerEntryError: it is not sealed.
    """
    wanted = _LINES.add_columns(ledger_leaves.c.leaf).where(ledger_leaves.c.entry == entry)
    row: Row[*tuple[Any, ...]] | None = connection.execute(wanted).one_or_none()
    if row is None:
        raise UnknownLedgerEntryError(f"the ledger has no sealed entry {entry}")
    return line_of(entry, row.recorded_at, row.kind, row._mapping["keys"], row.digests), row.leaf  # noqa: SLF001


_LISTED = (
    select(ledger_leaves.c.entry, ledger_entries.c.recorded_at, ledger_entries.c.kind, ledger_leaves.c.leaf)
    .join(ledger_entries, ledger_entries.c.source == ledger_leaves.c.source)
    .order_by(ledger_leaves.c.entry)
)


def list_entries(connection: Connection, span: EntrySpan, *, limit: int) -> list[SealedEntry]:
    """Return the first `limit` sealed entries of a span, in the order of their numbers."""
    wanted = _LISTED.where(ledger_leaves.c.entry >= span.begin, ledger_leaves.c.entry < span.end).limit(limit)
    if span.from_at is not None:
        wanted = wanted.where(ledger_entries.c.recorded_at >= span.from_at)
    if span.to_at is not None:
        wanted = wanted.where(ledger_entries.c.recorded_at < span.to_at)
    return [SealedEntry(*row) for row in connection.execute(wanted)]


def span_of_time(connection: Connection, from_at: datetime | None, to_at: datetime | None) -> EntrySpan:
    """Return the narrowest span with every sealed entry recorded from `from_at` to `to_at` (excluded)."""
    first, last = func.min(ledger_leaves.c.entry), func.max(ledger_leaves.c.entry)
    wanted = select(first, last).join(ledger_entries, ledger_entries.c.source == ledger_leaves.c.source)
    if from_at is not None:
        wanted = wanted.where(ledger_entries.c.recorded_at >= from_at)
    if to_at is not None:
        wanted = wanted.where(ledger_entries.c.recorded_at < to_at)
    begin, end = connection.execute(wanted).one()
    return EntrySpan(0, 0) if begin is None else EntrySpan(begin, end + 1, from_at, to_at)


_COVERED = text("""
    SELECT DISTINCT ON (table_name) table_name, key_columns, columns, hides_key, mode FROM ledger_coverage
     ORDER BY table_name, version DESC""")


def covered_tables(connection: Connection) -> list[CoveredTable]:
    """Return what is covered now, by name of table."""
    return [
        CoveredTable(row.table_name, tuple(row.key_columns), tuple(row.columns), row.hides_key, row.mode)
        for row in connection.execute(_COVERED)
    ]
