"""A copy of the do-not-call list in a file, for lists of millions: it must never lack a block that is committed.

The file shows the state of one database snapshot. Every change of an entry, a new number included, stamps the
entry with the transaction that makes it (`changed_in`, by a trigger). So what a later snapshot sees and the file
does not are the entries stamped by transactions that are newer than the newest in the file, or that were still
open when it was written. These are read in the transaction of each use and laid over the file.

A file is thrown away when it is broken, of another database, or when the database has another history than the
file remembers (restored from a backup): then the event named by the file's stamp is missing.
"""

import fcntl
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from psycopg import sql
from sqlalchemy import Connection, Engine, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import BIGINT as SQL_BIGINT

from compliance.listed_phones import (
    NOT_LISTED,
    BrokenListError,
    Days,
    ListedPhones,
    Phones,
    Stamp,
    decode,
    encode,
    from_rows,
    listed_columns,
    merged,
)
from infra.binary_copy import BIGINT, DATE, TIMESTAMPTZ, copy_out, driver_connection

FILE_NAME = "listed-phones"
_LOCK_NAME = "listed-phones.lock"
_FOLD_FROM = 20_000
"""As many changed numbers as are worth writing the file anew: laying them over it costs each use more."""

_REBUILD_FROM = 2_000_000

_DATABASE = text("""
    SELECT (SELECT system_identifier FROM pg_control_system()) || '/' ||
           (SELECT oid FROM pg_database WHERE datname = current_database()) || '/' ||
           substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8)""")
"""Cluster, database and timeline."""

_HORIZON = "pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
_NEWEST = text(f"""
    SELECT changed_in, entry_id FROM do_not_call_entries WHERE changed_in < {_HORIZON}
     ORDER BY changed_in DESC LIMIT 1""")  # noqa: S608 - constants only
"""Entries restored from another cluster may bear transactions that this one has not reached; they show no change."""

_WITNESS = text("SELECT event_id FROM do_not_call_events WHERE entry_id = :entry_id ORDER BY event_id DESC LIMIT 1")
_IS_WITNESSED = text("SELECT EXISTS (SELECT FROM do_not_call_events WHERE event_id = CAST(:witness AS uuid))")
_OPEN_NOW = text("SELECT pg_snapshot_xip(pg_current_snapshot())::text::bigint")
_IS_CHANGED = f"((e.changed_in > {{newest}} AND e.changed_in < {_HORIZON}) OR e.changed_in = ANY({{open_then}}))"
_HOW_MANY_CHANGED = text(f"""
    SELECT count(*) FROM (SELECT FROM do_not_call_entries e
      WHERE {_IS_CHANGED.format(newest=":newest", open_then=":open_then")} LIMIT :most) changed""").bindparams(  # noqa: S608 - constants only
    bindparam("open_then", type_=ARRAY(SQL_BIGINT))
)
_LISTED = """
    SELECT p.phone_digits, e.blocked_through,
           CASE WHEN e.released_at IS NULL THEN greatest(e.refused_at, e.raised_at) ELSE 'infinity' END
      FROM do_not_call_entries e JOIN do_not_call_phones p USING (entry_id)"""
_COLUMNS = [("phone", BIGINT), ("through", DATE), ("settled", TIMESTAMPTZ)]
_WITH_MEMORY = text("SET LOCAL work_mem = '128MB'")


@dataclass(frozen=True, slots=True)
class PhoneSnapshot:
    """The do-not-call list as one transaction sees it: a file's, with what has changed since laid over it."""

    filed: ListedPhones
    changed: ListedPhones

    def find(self, wanted: Phones, *, at: datetime) -> Days:
        """Return for each number the last day of the block in force at `at`, NOT_LISTED or ASK."""
        found = self.filed.find(wanted, at=at)
        if len(self.changed):
            later = self.changed.find(wanted, at=at)
            np.copyto(found, later, where=later != NOT_LISTED)
        return found


@dataclass(frozen=True, slots=True)
class FiledPhones:
    """The list as it stands in the file."""

    listed: ListedPhones
    stamp: Stamp


def file_listed_phones(engine: Engine, cache_dir: Path) -> FiledPhones:
    """Return the filed list of the engine's database, made or written anew when that is due.

    Call it before the transaction of use begins: what that transaction sees is then never older than the file.
    """
    with _only_one(cache_dir), one_state(engine) as connection:
        filed = _read_file(cache_dir)
        if filed is not None and not _is_of(connection, filed.stamp):
            filed = None
        changes = 0 if filed is None else _count_changes(connection, filed.stamp)
        if filed is not None and changes < _FOLD_FROM:
            return filed
        if filed is None or changes >= min(_REBUILD_FROM, len(filed.listed)):
            listed = _read_list(connection, "")
        else:
            listed = merged(filed.listed, _read_list(connection, _changed_since(connection, filed.stamp)))
        stamp = _stamp_of(connection)
        filed = None  # The old file's pages are let go before the new ones are counted.
        _write_file(cache_dir, encode(listed, stamp))
        # Pages of the file, unlike the arrays in memory, are shared with a second process and can be let go of.
        return _read_file(cache_dir) or FiledPhones(listed, stamp)


def see_changes(connection: Connection, filed: FiledPhones) -> PhoneSnapshot:
    """Return the list as the transaction of `connection` (REPEATABLE READ) sees it."""
    return PhoneSnapshot(filed.listed, _read_list(connection, _changed_since(connection, filed.stamp)))


@contextmanager
def one_state(engine: Engine) -> Iterator[Connection]:
    """Give a read-only transaction all of whose statements see the same state of the database."""
    with engine.connect().execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True) as connection:
        yield connection


@contextmanager
def _only_one(cache_dir: Path) -> Iterator[None]:
    """Let one process at a time read, check and write the file."""
    cache_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    opened = os.open(cache_dir / _LOCK_NAME, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield
    finally:
        os.close(opened)


def _read_file(cache_dir: Path) -> FiledPhones | None:
    """Return what the file holds, None if there is none that can be used."""
    with suppress(FileNotFoundError, BrokenListError), (cache_dir / FILE_NAME).open("rb") as file:
        if os.fstat(file.fileno()).st_size:
            mapped = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
            return FiledPhones(*decode(mapped))
    return None


def _write_file(cache_dir: Path, pieces: list[bytes | memoryview]) -> None:
    """Put a whole file in the place of the old one, which its readers keep."""
    new = cache_dir / f"{FILE_NAME}.new"
    with open(os.open(new, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as file:  # noqa: PTH123 - with a mode
        file.writelines(pieces)
        file.flush()
        os.fsync(file.fileno())
    new.replace(cache_dir / FILE_NAME)


def _is_of(connection: Connection, stamp: Stamp) -> bool:
    """Say whether the database is the one that the stamp names, with the history that the stamp remembers."""
    if connection.execute(_DATABASE).scalar_one() != stamp.database:
        return False
    newest = connection.execute(_NEWEST).one_or_none()
    if stamp.newest and (newest is None or newest.changed_in < stamp.newest):
        return False
    if stamp.witness is None:
        return True
    return bool(connection.execute(_IS_WITNESSED, {"witness": stamp.witness}).scalar_one())


def _stamp_of(connection: Connection) -> Stamp:
    """Return the stamp of what the transaction of `connection` sees."""
    newest = connection.execute(_NEWEST).one_or_none()
    open_now = list(connection.execute(_OPEN_NOW).scalars())
    database = connection.execute(_DATABASE).scalar_one()
    if newest is None:
        return Stamp(database=database, newest=0, open_then=(), witness=None)
    event_id = connection.execute(_WITNESS, {"entry_id": newest.entry_id}).scalar_one_or_none()
    return Stamp(
        database=database,
        newest=newest.changed_in,
        open_then=tuple(one for one in open_now if one < newest.changed_in),
        witness=None if event_id is None else str(event_id),
    )


def _count_changes(connection: Connection, stamp: Stamp) -> int:
    """Return how many entries the file does not show as they are, counted up to the worth of a new file."""
    names = {"newest": stamp.newest, "open_then": list(stamp.open_then), "most": _REBUILD_FROM}
    return int(connection.execute(_HOW_MANY_CHANGED, names).scalar_one())


def _changed_since(connection: Connection, stamp: Stamp) -> str:
    """Return the condition on entries that the file of `stamp` does not show as they are."""
    condition = sql.SQL(" WHERE " + _IS_CHANGED).format(
        newest=sql.Literal(stamp.newest),
        open_then=sql.SQL("CAST({} AS bigint[])").format(sql.Literal(list(stamp.open_then))),
    )
    return condition.as_string(driver_connection(connection))


def _read_list(connection: Connection, condition: str) -> ListedPhones:
    connection.execute(_WITH_MEMORY)
    pieces = [from_rows(rows) for rows in copy_out(connection, _LISTED + condition, _COLUMNS)]
    columns = [list(column) for column in zip(*pieces, strict=True)]
    pieces.clear()
    return listed_columns([_joined(column) for column in columns])


def _joined(pieces: list[Any]) -> Any:  # noqa: ANN401 - arrays of one kind, whichever
    """Return the pieces as one array, and let them go."""
    joined = np.concatenate(pieces)
    pieces.clear()
    return joined
