"""Loads the demo into an empty database: in one transaction, so that a load cut short leaves nothing behind.

Everything but tokens and passwords follows from the seed and `now`: the same two give the same rows.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, Engine, insert, select, text

from compliance.policy import floor_policy
from compliance.policy_store import store_policy
from compliance.register_book import read_book
from compliance.register_tables import customer_phones, register_rows, register_versions
from compliance.shanghai import midnight, shanghai_day
from compliance.tables import audit_events, call_checks, do_not_call_entries
from compliance.working_days import package_calendar
from infra.advisory_locks import AdvisoryLock, hold
from recordings.places import Places
from recordings.tables import archive_begun
from services.demo.block_plan import CALLED_ENTRIES, Listing, fresh_blocks, planned_blocks
from services.demo.block_rows import write_blocks, write_release_requests
from services.demo.call_history import History, write_day
from services.demo.call_plan import DAYS, check_instants, dialling
from services.demo.facts import CHANCE, DemoFacts, demo_facts
from services.demo.files import write_files
from services.demo.inspected_month import Month, write_month
from services.demo.late_plan import with_late_sales
from services.demo.month_clock import MonthClock
from services.demo.people_plan import PlannedCustomer, agent_versions, planned_customers
from services.demo.register_plan import PlannedVersion, planned_registers
from services.demo.rows import copy_rows, json_text
from services.demo.sale_plan import planned_sales
from services.demo.sale_rows import write_sales

Progress = Callable[[str, float], None]
"""Told what is being done and which share of the whole, 0 to 1, is done before it."""

ENTRIES = 50_000
CHECKS = 20_000
_LISTED_BEFORE = 48_000
"""Entries older than the checks; the rest are refusals in the demo's calls and of other channels."""

_MARK = "demo_loaded"
_ANALYZE = text(
    "ANALYZE register_versions, customer_phones, do_not_call_entries, do_not_call_phones, do_not_call_events"
)
_ANALYZE_CALLS = text("ANALYZE call_checks, calling_sides, call_records, incidents, sales, sale_calls")
_ANALYZE_INSPECTIONS = text(
    "ANALYZE draws, draw_tickets, inspections, inspection_sittings, inspection_results, listening_reports, recordings"
)


def is_loaded(connection: Connection) -> bool:
    """Say whether there is nothing to load: the demo is there, or the database holds data of its own."""
    marked = select(audit_events.c.event_id).where(audit_events.c.kind == _MARK)
    filled = [select(column).limit(1) for column in (register_rows.c.row_id, do_not_call_entries.c.entry_id)]
    checked = select(call_checks.c.check_id).limit(1)
    return any(connection.execute(one.limit(1)).first() is not None for one in (marked, *filled, checked))


def load_demo(engine: Engine, *, now: datetime, data_dir: Path, places: Places, progress: Progress) -> DemoFacts:
    """Load the demo, which ends at `now`, and write its files; does nothing to a database that holds data.

    Recordings are put into the first store of `places`, where those of a load that was cut short are found again. The
    files are in their places before the data are committed: a database with the demo has its tokens.
    """
    with engine.begin() as connection:
        hold(connection, AdvisoryLock.DEMO)
        if not is_loaded(connection):
            data_dir.mkdir(parents=True, exist_ok=True)
            _load(connection, now=now, data_dir=data_dir, places=places, progress=progress)
            progress("writing tokens and files", 0.99)
            write_files(connection, CHANCE, data_dir, now=now)
            _mark(connection, now=now)
            progress("demo data loaded", 1.0)
    return demo_facts()


def _mark(connection: Connection, *, now: datetime) -> None:
    connection.execute(
        insert(audit_events).values(
            event_id=CHANCE.uuid7(now, _MARK), kind=_MARK, details={"seed": CHANCE.seed}, actor="demo", recorded_at=now
        )
    )


def _load(connection: Connection, *, now: datetime, data_dir: Path, places: Places, progress: Progress) -> None:
    today = shanghai_day(now)
    progress("registers, agents and customers", 0.0)
    _write_policy(connection, now=now)
    customers = planned_customers(CHANCE, today)
    _write_registers(connection, [*planned_registers(today), *agent_versions(CHANCE, today)])
    _write_customers(connection, customers)
    book = read_book(connection, now=now - timedelta(days=DAYS))
    progress(f"{ENTRIES:,} do-not-call entries", 0.05)
    listing = Listing(CHANCE, today, book.policy.block_months)
    by_index = {customer.index: customer for customer in customers}
    blocks = list(planned_blocks(listing, by_index, count=_LISTED_BEFORE))
    write_blocks(connection, CHANCE, blocks)
    waiting = [blocks[CALLED_ENTRIES[place]] for place in range(2)]
    write_release_requests(connection, CHANCE, blocks, waiting=waiting, now=now)
    connection.execute(_ANALYZE)
    history = History(CHANCE, book, package_calendar(), dialling(CHANCE, customers), now)
    _write_days(connection, history, progress=progress)
    fresh = ENTRIES - _LISTED_BEFORE - history.counts.refusals
    write_blocks(connection, CHANCE, list(fresh_blocks(listing, first=_LISTED_BEFORE, count=fresh)))
    progress("sales, draws, recordings and inspections", 0.8)
    sold = planned_sales(CHANCE, history.sold, customers, now=now)
    timely, late = with_late_sales(sold, now=now)
    write_sales(connection, CHANCE, timely, book=book, calendar=history.calendar)
    connection.execute(_ANALYZE_CALLS)
    # Most of the demo's calls have no recordings: only those of after it need one.
    connection.execute(insert(archive_begun).values(begun_at=now))
    write_month(
        Month(
            connection=connection,
            chance=CHANCE,
            places=places,
            data_dir=data_dir,
            book=book,
            calendar=history.calendar,
            late=late,
            now=now,
            clock=MonthClock(CHANCE, now - timedelta(days=DAYS + 1)),
        )
    )
    connection.execute(_ANALYZE_INSPECTIONS)


def _write_days(connection: Connection, history: History, *, progress: Progress) -> None:
    days = check_instants(history.chance, history.calendar, now=history.now, count=CHECKS)
    for number, instants in enumerate(days):
        if number % 10 == 0:
            progress(f"{DAYS} days of checks and calls: day {number + 1}", 0.45 + 0.35 * number / len(days))
        write_day(connection, history, instants)


def _write_policy(connection: Connection, *, now: datetime) -> None:
    """Put the legal floor in force before the first check, as it would have been from the start."""
    begins_at = midnight(shanghai_day(now)) - timedelta(days=DAYS + 1)
    policy = floor_policy(on=shanghai_day(begins_at))
    store_policy(connection, policy, policy_id=CHANCE.uuid7(begins_at, "policy"), source="floor", now=begins_at)


_VERSION_COLUMNS = (
    "version_id",
    "register",
    "row_id",
    "effective_from",
    "effective_through",
    "body",
    "actor",
    "recorded_at",
)


def _write_registers(connection: Connection, versions: list[PlannedVersion]) -> None:
    first = {(one.register, one.row_id): one for one in reversed(versions)}
    rows = sorted(first.values(), key=versions.index)
    copy_rows(
        connection,
        register_rows,
        ("register", "row_id", "recorded_at"),
        ((one.register, one.row_id, one.recorded_at) for one in rows),
    )
    copy_rows(connection, register_versions, _VERSION_COLUMNS, (_version_row(one) for one in versions))


def _version_row(one: PlannedVersion) -> tuple[object, ...]:
    version_id = CHANCE.uuid7(one.recorded_at, "version", one.register, one.row_id, one.effective_from.isoformat())
    return (
        version_id,
        one.register,
        one.row_id,
        one.effective_from,
        one.effective_through,
        json_text(one.body),
        "admin",
        one.recorded_at,
    )


def _write_customers(connection: Connection, customers: list[PlannedCustomer]) -> None:
    _write_registers(connection, [version for customer in customers for version in customer.versions])
    copy_rows(
        connection,
        customer_phones,
        ("phone_digits", "customer_id", "recorded_at"),
        (
            (phone, customer.customer_id, _known_since(customer, place))
            for customer in customers
            for place, phone in enumerate(customer.phones)
        ),
    )


def _known_since(customer: PlannedCustomer, place: int) -> datetime:
    is_first = place < len(customer.first_phones)
    return customer.versions[0 if is_first else -1].recorded_at
