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
from compliance.ledger_outside import outside_notes
from compliance.ledger_reading import present_checkpoint
from compliance.ledger_runs import Ledger
from compliance.ledger_verifier import Report
from compliance.shanghai import shanghai_day
from infra.priority import give_way_in_server
from qa_sampling.derived_rows import derived_problems
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


def verify_database(ledger: Ledger, *, edges: tuple[str | None, str | None] = (None, None)) -> Report:
    """Verify the database itself, or what lies between two `edges`, also against the checkpoints kept outside.

    The server's process gives way to others until its connection is closed: for processes that serve no calls.

    Raises:
        LedgerEdgeError: an edge is none.
        LedgerKeyError: the public keys cannot be read.
    """
    listed = read_public_keys(ledger.data_dir)
    keys, today = [key.as_json() for key in listed], shanghai_day(ledger.clock())
    since = shanghai_day(listed[0].from_at) if listed else today
    outside, trouble = outside_notes(ledger.store, since=since, until=today)
    with snapshot(ledger.engine) as connection:
        give_way_in_server(connection)
        if edges == (None, None):
            report = verify_live(connection, keys=keys, outside=outside)
            _add_derived(connection, report)
        else:
            span = span_between(connection, *edges)
            report = verify_live(connection, keys=keys, begin=span.begin, end=span.end, outside=outside)
    if trouble is not None:
        report.not_checked.append(trouble)
    return report


def _add_derived(connection: Connection, report: Report) -> None:
    """Name what no entry holds and does not follow from the covered rows, unless these are wrong themselves."""
    known = {(one.table, one.key) for one in report.problems}
    tables = {one.table for one in report.problems}
    for one in derived_problems(connection):
        if (one.table, one.key) not in known and not (one.table == "stratum_days" and "sales" in tables):
            report.add("row_changed", one.message, place=(one.table, one.key))
