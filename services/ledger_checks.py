"""Exports of the ledger and verification of the live database, each in one snapshot that may take its time."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, Engine, text

from compliance.audit import note
from compliance.ledger_bundle import BundleWritten, write_bundle
from compliance.ledger_keys import read_public_keys
from compliance.ledger_live import verify_live
from compliance.ledger_reading import present_checkpoint
from compliance.ledger_verifier import Report
from services.ledger_spans import span_between


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """Give a transaction that sees one state of the database, without a limit of time; it is committed at the end."""
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection, connection.begin():
        connection.execute(
            text("SELECT set_config('statement_timeout', '0', true), set_config('TimeZone', 'UTC', true)")
        )
        yield connection


def export_bundle(
    engine: Engine,
    target: Path,
    *,
    edges: tuple[str | None, str | None],
    data_dir: Path,
    person: str,
    now: datetime,
) -> BundleWritten:
    """Write the bundle of what lies between two `edges`, as from and to of requests are, and note who took it.

    Raises:
        LedgerEdgeError: an edge is none.
        NothingSealedError: there is no checkpoint yet.
    """
    keys = [key.as_json() for key in read_public_keys(data_dir)]
    with snapshot(engine) as connection:
        span = span_between(connection, *edges)
        size = present_checkpoint(connection).size
        begin, end = min(span.begin, size), min(span.end, size)
        written = write_bundle(connection, target, begin=begin, end=end, keys=keys, now=now)
        details = {"from": written.begin, "to": written.end, "size": written.size, "rows": written.rows}
        note(connection, kind="ledger_export", subject=None, details=details, person=person, now=now)
    return written


def verify_database(
    engine: Engine, *, edges: tuple[str | None, str | None], data_dir: Path, outside: list[str]
) -> Report:
    """Verify the database itself, or what lies between two `edges`; `outside` are checkpoints kept elsewhere.

    Raises:
        LedgerEdgeError: an edge is none.
    """
    keys = [key.as_json() for key in read_public_keys(data_dir)]
    with snapshot(engine) as connection:
        if edges == (None, None):
            return verify_live(connection, keys=keys, outside=outside)
        span = span_between(connection, *edges)
        return verify_live(connection, keys=keys, begin=span.begin, end=span.end, outside=outside)
