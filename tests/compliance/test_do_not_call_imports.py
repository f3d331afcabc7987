import csv
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, insert, text, update

from compliance.block_list import BlockChange, BlockSource, Refusal, block_person
from compliance.do_not_call import PERMANENT, blocked_through
from compliance.do_not_call_imports import (
    JOB_KIND,
    REJECTED_FILE,
    ImportMode,
    ListImport,
    Standing,
    run_import,
    run_import_job,
)
from compliance.import_plan import demand_of
from compliance.import_rows import ImportedRefusal
from compliance.import_writing import store_chunk
from compliance.list_rows import UnreadableListError
from compliance.phone_numbers import masked
from compliance.policy import parse_policy
from compliance.policy_store import store_policy
from compliance.register_tables import customer_phones
from compliance.shanghai import shanghai_day
from compliance.tables import do_not_call_entries
from infra.ids import new_id
from infra.jobs import JobResult, LostJobError, RunningJob, claim, create_job, finish, read_job
from tests.conftest import NOON, SettableClock
from tests.infra.deadline import wait_until

DAY = timedelta(days=1)
MORE_THAN_ENOUGH_S = 60


class Importer:
    """Imports texts as lists into one database, each in a thread of its own, whose low priority ends with it."""

    def __init__(self, engine: Engine, directory: Path, clock: SettableClock) -> None:
        self.engine = engine
        self.clock = clock
        self.directory = directory

    def start(self, content: str | bytes | Path, mode: ImportMode = ImportMode.TOLERANT, **more: Any) -> Future[Any]:
        source = content if isinstance(content, Path) else self.directory / "list"
        if isinstance(content, str | bytes):
            source.write_bytes(content.encode() if isinstance(content, str) else content)
        wanted = ListImport(
            **{
                "engine": self.engine,
                "source": source,
                "rejected": self.directory / "rejected.csv",
                "mode": mode,
                "person": "officer",
                "clock": self.clock,
                "chunk_rows": 3,
                **more,
            }
        )
        return in_a_thread(lambda: run_import(wanted))

    def run(self, content: str | bytes | Path, mode: ImportMode = ImportMode.TOLERANT, **more: Any) -> dict[str, Any]:
        found: dict[str, Any] = self.start(content, mode, **more).result(MORE_THAN_ENOUGH_S)
        return found

    def rejected(self, encoding: str = "utf-8") -> list[dict[str, str]]:
        with (self.directory / "rejected.csv").open(encoding=encoding, newline="") as opened:
            return list(csv.DictReader(opened))

    def read(self, query: str, **values: object) -> list[tuple[Any, ...]]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query), values)]

    def ends(self) -> dict[int, date]:
        query = "SELECT phone_digits, blocked_through FROM do_not_call_phones JOIN do_not_call_entries USING (entry_id)"
        return dict(self.read(query))


def in_a_thread(work: Callable[[], Any]) -> Future[Any]:
    executor = ThreadPoolExecutor(1)
    future = executor.submit(work)
    executor.shutdown(wait=False)
    return future


@pytest.fixture
def importer(engine: Engine, tmp_path: Path, clock: SettableClock) -> Importer:
    return Importer(engine, tmp_path, clock)


def counts(
    created: int = 0, extended: int = 0, unchanged: int = 0, rejected: int = 0, raised: int = 0
) -> dict[str, int]:
    return {
        "rows": created + extended + unchanged + rejected,
        "created": created,
        "extended": extended,
        "unchanged": unchanged,
        "rejected": rejected,
        "raised": raised,
    }


NUMBERED = "phone,refused_at,blocked_through,customer_id,permanent,reason\r\n"
MIXED = (
    "phone,refused_at\r\n"
    "13800138000,2026-03-15\r\n"
    "\r\n"
    "13800138001,2026-03-15T23:30:00Z\r\n"
    "110,\r\n"
    "13800138000,2026-04-15\r\n"
    " , \r\n"
    "1.38E+10,\r\n"
    "13800138001,2026-03-16\r\n"
    '"138-0013-8002",\r\n'
    "13800138003,2026-02-30\r\n"
)
MIXED_COUNTS = counts(created=3, extended=1, unchanged=1, rejected=3)
MIXED_ENDS = {8613800138000: date(2026, 10, 15), 8613800138001: date(2026, 9, 16), 8613800138002: date(2027, 5, 23)}


def test_every_row_is_created_extended_unchanged_or_rejected(importer: Importer) -> None:
    assert importer.run(MIXED) == MIXED_COUNTS
    assert importer.ends() == MIXED_ENDS


def test_rejected_rows_are_listed_with_line_input_and_reason(importer: Importer) -> None:
    importer.run(MIXED)
    listed = importer.rejected()
    assert [(row["line"], row["input"], row["reason"]) for row in listed] == [
        ("5", "110", "short_number"),
        ("8", "1.38E+10", "scientific_notation"),
        ("11", "13800138003", "invalid_refused_at"),
    ]
    assert list(listed[0]) == ["line", "input", "reason", "message"]
    assert "短号码" in listed[0]["message"]


def test_cells_of_rejected_rows_cannot_run_as_formulas(importer: Importer) -> None:
    importer.run('phone\n"=cmd|""/C calc""!A0"\n')
    assert importer.rejected()[0]["input"] == '\'=cmd|"/C calc"!A0'


def test_a_row_that_moves_no_date_is_unchanged_even_if_refused_later(importer: Importer) -> None:
    importer.run(NUMBERED + "13800138000,2026-03-15,2027-12-31,,,first\n")
    assert importer.run(NUMBERED + "13800138000,2026-08-15,,,,second\n") == counts(unchanged=1)
    assert importer.read("SELECT refused_at, blocked_through, reason FROM do_not_call_entries") == [
        (datetime(2026, 8, 14, 16, tzinfo=UTC), date(2027, 12, 31), "second")
    ]
    assert importer.read("SELECT count(*) FROM do_not_call_events") == [(2,)]


def test_an_end_below_the_floor_is_raised_to_it(importer: Importer) -> None:
    rows = "13800138000,2026-03-15,2026-09-14,,,\n13800138001,2026-03-15,2026-09-15,,,\n"
    assert importer.run(NUMBERED + rows) == counts(created=2, raised=1)
    assert set(importer.ends().values()) == {date(2026, 9, 15)}


def test_the_floor_is_that_of_the_policy_in_force(importer: Importer) -> None:
    policy = parse_policy("[do_not_call]\nblock_months = 12\n", on=shanghai_day(NOON))
    with importer.engine.begin() as connection:
        store_policy(connection, policy, policy_id=new_id(), source="api", now=NOON)
    importer.run("phone,refused_at\n13800138000,2026-03-15\n")
    assert importer.ends() == {8613800138000: date(2027, 3, 15)}


def test_a_permanent_block_has_no_end(importer: Importer) -> None:
    importer.run("号码,永久\n13800138000,是\n")
    assert importer.ends() == {8613800138000: PERMANENT}


def test_a_strict_list_without_bad_rows_is_stored(importer: Importer) -> None:
    found = importer.run("phone\n13800138000\n\n13800138001\n13800138002\n13800138000\n", ImportMode.STRICT)
    assert found == {**counts(created=3, unchanged=1), "stored": True}
    assert len(importer.ends()) == 3


def test_a_strict_list_with_a_bad_row_stores_nothing_and_names_every_bad_row(importer: Importer) -> None:
    found = importer.run(MIXED, ImportMode.STRICT)
    assert found == {**counts(), "rows": 8, "rejected": 3, "stored": False}
    assert [row["line"] for row in importer.rejected()] == ["5", "8", "11"]
    assert importer.ends() == {}


def test_a_list_without_rows_is_imported(importer: Importer) -> None:
    assert importer.run("phone\n\n") == counts()
    assert importer.rejected() == []


@pytest.mark.parametrize("mode", list(ImportMode))
@pytest.mark.parametrize("listed", [MIXED, "phone\n13800138000\n", "phone\n"], ids=["bad rows", "good", "empty"])
def test_progress_ends_with_every_row_read(importer: Importer, mode: ImportMode, listed: str) -> None:
    seen: list[tuple[int, int]] = []
    importer.run(listed, mode, show=lambda done, total: seen.append((done, total)))
    rows = listed.count("\n") - 1
    assert seen[-1] == (rows, rows)
    assert seen == sorted(seen)


def test_a_file_that_is_no_list_is_refused(importer: Importer) -> None:
    with pytest.raises(UnreadableListError):
        importer.run("name\nWang\n")


CHINESE = "姓名,手机号,拒绝日期,备注\r\n王,１３８ ００１３ ８０００,2026年3月15日,无\r\n李,拒接,2026/3/15,无\r\n"


@pytest.mark.parametrize("encoding", ["gb18030", "utf-16", "utf-8-sig", "utf-8"])
def test_lists_come_in_the_encodings_of_spreadsheets(importer: Importer, encoding: str) -> None:
    assert importer.run(CHINESE.encode(encoding)) == counts(created=1, rejected=1)
    assert importer.ends() == {8613800138000: date(2026, 9, 15)}
    assert importer.rejected(encoding)[0]["input"] == "拒接"


def test_a_workbook_is_imported(importer: Importer, tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["手机号", "拒绝日期"])
    book.active.append([13800138000, date(2026, 3, 15)])
    book.active.append(["138 0013 8001", datetime(2026, 3, 16)])  # noqa: DTZ001 - cells know no zones
    book.active.append([None, None])
    book.active.append(["一三八", None])
    book.save(tmp_path / "list.xlsx")
    assert importer.run(tmp_path / "list.xlsx") == counts(created=2, rejected=1)
    assert importer.ends() == {8613800138000: date(2026, 9, 15), 8613800138001: date(2026, 9, 16)}
    assert importer.rejected("utf-8-sig")[0]["line"] == "5"


def test_the_history_says_which_line_of_which_import_blocked_whom(importer: Importer) -> None:
    job_id = new_id()
    importer.run(NUMBERED + '13800138000,2026-03-15,,,,"a\\b,\tc"\n', job_id=job_id)
    ((details, actor, refused_at, end),) = importer.read(
        "SELECT details, actor, refused_at, blocked_through FROM do_not_call_events"
    )
    assert details["evidence"] == {"job_id": str(job_id), "line": 2}
    assert (details["phone"], details["demanded_through"]) == ("138****8000", "2026-09-15")
    assert (details["reason"], actor) == ("a\\b,\tc", "officer")
    assert (refused_at, end) == (datetime(2026, 3, 14, 16, tzinfo=UTC), date(2026, 9, 15))


class KilledError(RuntimeError):
    """The end of an import, for a test."""


def keep(standings: list[Standing], *, until: int) -> Callable[[Connection, Standing, int], None]:
    """Keep each standing noted, and end the import in its transaction number `until`, before it commits."""

    def note(_connection: Connection, standing: Standing, _total: int) -> None:
        if len(standings) == until:
            raise KilledError
        standings.append(standing)

    return note


LONG = "phone,refused_at\n" + "".join(
    f"1380013{index % 7:04},2026-0{index % 8 + 1}-01\n" if index % 5 else "bad,\n" for index in range(40)
)


@pytest.mark.parametrize("survived", [0, 1, 5, 12, 13])
def test_a_killed_import_goes_on_where_it_stopped(importer: Importer, survived: int) -> None:
    standings: list[Standing] = []
    with pytest.raises(KilledError):
        importer.run(LONG, note=keep(standings, until=survived))
    found = importer.run(LONG, standing=standings[-1] if standings else None)
    assert found == counts(created=7, extended=4, unchanged=21, rejected=8)
    assert len(importer.rejected()) == 8
    assert importer.read("SELECT count(*) FROM do_not_call_events") == [(32,)]


def test_the_moment_of_import_stays_that_of_its_beginning(importer: Importer, clock: SettableClock) -> None:
    standings: list[Standing] = []
    listed = "phone\n" + "".join(f"1380013800{index}\n" for index in range(6))
    with pytest.raises(KilledError):
        importer.run(listed, note=keep(standings, until=1))
    clock.advance(2 * DAY)
    importer.run(listed, standing=standings[-1])
    assert importer.read("SELECT DISTINCT refused_at FROM do_not_call_entries") == [(NOON,)]
    assert importer.read("SELECT DISTINCT recorded_at FROM do_not_call_events ORDER BY 1") == [(NOON,), (clock(),)]


def test_a_strict_import_killed_in_the_middle_has_stored_nothing(importer: Importer) -> None:
    with pytest.raises(KilledError):
        importer.run("phone\n13800138000\n", ImportMode.STRICT, note=keep([], until=0))
    assert importer.ends() == {}


def test_a_strict_import_stored_but_not_reported_is_not_stored_again(importer: Importer) -> None:
    standings: list[Standing] = []
    listed = "phone\n13800138000\n"
    importer.run(listed, ImportMode.STRICT, note=keep(standings, until=1))
    found = importer.run(listed, ImportMode.STRICT, standing=standings[-1])
    assert found == {**counts(created=1), "stored": True}
    assert importer.read("SELECT count(*) FROM do_not_call_events") == [(1,)]


def running_job(importer: Importer, job_id: UUID, source: Path) -> RunningJob:
    with importer.engine.begin() as connection:
        job = read_job(connection, job_id)
    (importer.directory / "files").mkdir(exist_ok=True)
    return RunningJob(
        engine=importer.engine,
        clock=importer.clock,
        job_id=job_id,
        role=job.role,
        actor=job.actor,
        parameters=job.parameters,
        progress=job.progress,
        input_path=source,
        output_dir=importer.directory / "files",
        cache_dir=importer.directory,
        report_progress=lambda _done, _total, _progress=None: None,
    )


def queued_job(importer: Importer, mode: ImportMode) -> UUID:
    job_id = new_id()
    with importer.engine.begin() as connection:
        create_job(
            connection,
            job_id=job_id,
            kind=JOB_KIND,
            role="officer",
            actor="officer",
            parameters={"mode": mode},
            now=NOON,
        )
    return job_id


@pytest.mark.parametrize("mode", list(ImportMode))
def test_a_job_tells_how_far_it_is_and_leaves_the_rejected_rows(importer: Importer, mode: ImportMode) -> None:
    job_id, source = queued_job(importer, mode), importer.directory / "list.csv"
    source.write_text("phone\n13800138000\n\n13800138001\n")
    with importer.engine.begin() as connection:
        job = claim(connection, job_id, now=NOON)
    assert job is not None
    running = running_job(importer, job_id, source)
    found: JobResult = in_a_thread(lambda: run_import_job(running)).result(MORE_THAN_ENOUGH_S)
    with importer.engine.begin() as connection:
        finish(connection, job, found, now=NOON)
        done = read_job(connection, job_id)
    assert (done.state, done.done, done.total, done.files) == ("done", 3, 3, (REJECTED_FILE,))
    assert done.result == {**counts(created=2), **({"stored": True} if mode is ImportMode.STRICT else {})}
    assert (running.output_dir / REJECTED_FILE).is_file()


def test_an_import_whose_job_was_taken_over_stores_nothing_more(importer: Importer) -> None:
    job_id, source = queued_job(importer, ImportMode.TOLERANT), importer.directory / "list.csv"
    source.write_text("phone\n13800138000\n")
    running = running_job(importer, job_id, source)
    with pytest.raises(LostJobError):
        in_a_thread(lambda: run_import_job(running)).result(MORE_THAN_ENOUGH_S)
    assert importer.ends() == {}


KILLED_PROGRAM = """
import os, signal, sys
from datetime import datetime
from pathlib import Path
from uuid import UUID
from compliance import do_not_call_imports as imports
from infra.database import make_engine
from infra.jobs import note_progress, read_job

url, source, job_id, now = sys.argv[1], Path(sys.argv[2]), UUID(sys.argv[3]), datetime.fromisoformat(sys.argv[4])
engine = make_engine(url, application_name="killed")
with engine.begin() as connection:
    job = read_job(connection, job_id)

def note(connection, standing, total):
    note_progress(connection, job, done=standing.read, total=total, progress=standing.stored(), now=now)
    if standing.read >= 20:
        os.kill(os.getpid(), signal.SIGKILL)

imports.run_import(imports.ListImport(
    engine=engine, source=source, rejected=source.with_name("rejected.csv"), mode=imports.ImportMode.TOLERANT,
    person="officer", clock=lambda: now, job_id=job_id, note=note, chunk_rows=3))
"""


def test_an_import_killed_with_sigkill_ends_with_the_counts_of_one_that_was_not(
    importer: Importer, database: str
) -> None:
    job_id, source = queued_job(importer, ImportMode.TOLERANT), importer.directory / "list.csv"
    source.write_text(LONG)
    with importer.engine.begin() as connection:
        claim(connection, job_id, now=NOON)
    program = [sys.executable, "-c", KILLED_PROGRAM, database, str(source), str(job_id), NOON.isoformat()]
    assert subprocess.run(program, check=False, timeout=MORE_THAN_ENOUGH_S).returncode == -signal.SIGKILL
    running = running_job(importer, job_id, source)
    assert running.progress is not None
    assert running.progress["read"] == 18
    found: JobResult = in_a_thread(lambda: run_import_job(running)).result(MORE_THAN_ENOUGH_S)
    assert found.result == counts(created=7, extended=4, unchanged=21, rejected=8)


def wait_until_blocked(importer: Importer) -> None:
    waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    wait_until(lambda: importer.read(waiting))


def refusal(phone: str, refused_at: datetime = NOON, **more: Any) -> Refusal:
    return Refusal(**{"phone_e164": phone, "source": BlockSource.CALL, "refused_at": refused_at, **more})


def block(connection: Connection, *refusals: Refusal) -> list[BlockChange]:
    return [block_person(connection, one, block_months=6, person="agent", now=NOON).change for one in refusals]


def test_an_import_waits_for_a_refusal_of_the_same_new_number_and_extends_it(importer: Importer) -> None:
    with importer.engine.begin() as connection:
        block(connection, refusal("+8613800138000", NOON - 60 * DAY))
        importing = importer.start("phone\n13800138001\n13800138000\n13800138002\n")
        wait_until_blocked(importer)
    assert importing.result(MORE_THAN_ENOUGH_S) == counts(created=2, extended=1)
    assert importer.read("SELECT count(*) FROM do_not_call_entries") == [(3,)]


def test_an_import_in_a_deadlock_with_refusals_is_done_again(importer: Importer) -> None:
    with importer.engine.begin() as connection:
        block(connection, refusal("+8613800138000", NOON - 60 * DAY), refusal("+8613800138001", NOON - 60 * DAY))
    with importer.engine.begin() as connection:
        block(connection, refusal("+8613800138001"))
        importing = importer.start("phone,refused_at\n13800138000,2026-11-22\n13800138001,2026-11-22\n")
        wait_until_blocked(importer)
        # The import waited first, so that the server sees the deadlock from its side and ends it.
        assert block(connection, refusal("+8613800138000")) == [BlockChange.EXTENDED]
    assert importing.result(MORE_THAN_ENOUGH_S) == counts(unchanged=2)


def test_two_imports_of_one_list_at_once_make_one_entry_per_person(importer: Importer, tmp_path: Path) -> None:
    listed = "phone\n" + "".join(f"138001{index:05}\n" for index in range(200))
    first = importer.start(listed, chunk_rows=20)
    second = importer.start(tmp_path / "list", chunk_rows=20, rejected=tmp_path / "other.csv")
    results = [one.result(MORE_THAN_ENOUGH_S) for one in (first, second)]
    assert sum(result["created"] for result in results) == 200
    assert importer.read("SELECT count(*) FROM do_not_call_entries") == [(200,)]


PHONES = [f"+861380013800{index}" for index in range(5)]
CUSTOMERS = ["C-1", "C-2", "C-3"]

moments = st.integers(0, 400).map(lambda days: NOON - days * DAY)
months = st.sampled_from([None, 6, 9, 24])
persons = st.tuples(st.none() | st.sampled_from(PHONES), st.none() | st.sampled_from(CUSTOMERS)).filter(any)
stored_sources = st.sampled_from([BlockSource.CALL, BlockSource.KEY_PHRASE, BlockSource.IMPORT])


class Wanted(NamedTuple):
    person: tuple[str | None, str | None]
    refused_at: datetime
    months: int | None
    permanent: bool
    reason: str | None

    def refusal(self, source: BlockSource, line: int) -> Refusal:
        return Refusal(
            phone_e164=self.person[0],
            customer_id=self.person[1],
            source=source,
            refused_at=self.refused_at,
            months=self.months,
            permanent=self.permanent,
            reason=self.reason,
            evidence={"job_id": None, "line": line},
        )

    def imported(self, line: int) -> ImportedRefusal:
        months = self.months or 6
        through = PERMANENT if self.permanent else blocked_through(shanghai_day(self.refused_at), months)
        phone, customer_id = self.person
        return ImportedRefusal(line, phone, customer_id, self.refused_at, through, raised=False, reason=self.reason)


wanted = st.builds(
    Wanted, persons, moments, months, st.sampled_from([False, False, False, True]), st.sampled_from([None, "a", "b"])
)
plain = st.builds(
    Wanted,
    st.tuples(st.sampled_from(PHONES), st.none()),
    moments,
    months,
    st.just(False),  # noqa: FBT003 - a value, not an argument
    st.none(),
)


def state(connection: Connection) -> dict[str, object]:
    """Return the whole list without ids of its own: entries by their numbers, with their events in order."""
    phones: dict[UUID, list[int]] = {}
    for phone, entry_id in connection.execute(text("SELECT * FROM do_not_call_phones ORDER BY 1")):
        phones.setdefault(entry_id, []).append(phone)
    events: dict[UUID, list[object]] = {}
    for row in connection.execute(text("SELECT * FROM do_not_call_events ORDER BY recorded_at, event_id")):
        details = {key: value for key, value in row.details.items() if key != "months"}
        event = (row.kind, row.refused_at, row.blocked_through, details, row.actor, row.recorded_at)
        events.setdefault(row.entry_id, []).append(event)
    columns = "customer_id, blocked_from, refused_at, blocked_through, source, reason, released_at, created_at"
    entries = [
        (phones.get(row.entry_id, []), *row[1:], events[row.entry_id])
        for row in connection.execute(text(f"SELECT entry_id, {columns} FROM do_not_call_entries"))  # noqa: S608
    ]
    links = connection.execute(text("SELECT phone_digits, customer_id FROM customer_phones ORDER BY 1, 2")).all()
    return {"entries": sorted(entries, key=repr), "links": [tuple(link) for link in links]}


def one_by_one(connection: Connection, rows: list[Wanted]) -> list[BlockChange]:
    return [
        block_person(
            connection, row.refusal(BlockSource.IMPORT, line), block_months=6, person="officer", now=NOON
        ).change
        for line, row in enumerate(rows, start=2)
    ]


def in_chunks(connection: Connection, rows: list[Wanted], size: int) -> list[BlockChange]:
    changes: list[BlockChange] = []
    demands = [demand_of(row.imported(line), job_id=None) for line, row in enumerate(rows, start=2)]
    for start in range(0, len(demands), size):
        tally = store_chunk(connection, demands[start : start + size], person="officer", now=NOON)
        changes += [BlockChange.CREATED] * tally.created + [BlockChange.EXTENDED] * tally.extended
        changes += [BlockChange.UNCHANGED] * tally.unchanged
    return sorted(changes)


@pytest.fixture(scope="module")
def property_connection(shared_engine: Engine) -> Iterator[Connection]:
    with shared_engine.connect() as opened:
        yield opened
        opened.rollback()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    held=st.sets(st.tuples(st.sampled_from(PHONES), st.sampled_from(CUSTOMERS)), max_size=4),
    stored=st.lists(st.tuples(wanted, stored_sources, st.booleans()), max_size=4),
    rows=st.lists(wanted | plain, min_size=1, max_size=8),
    size=st.integers(1, 8),
)
def test_a_list_does_what_the_same_refusals_do_one_by_one(
    property_connection: Connection,
    held: set[tuple[str, str]],
    stored: list[tuple[Wanted, BlockSource, bool]],
    rows: list[Wanted],
    size: int,
) -> None:
    with property_connection.begin_nested() as everything:
        links = [{"phone_digits": int(phone), "customer_id": one, "recorded_at": NOON} for phone, one in sorted(held)]
        if links:
            property_connection.execute(insert(customer_phones), links)
        for index, (row, source, is_released) in enumerate(stored):
            now = NOON - (10 - index) * timedelta(hours=1)
            refused = row._replace(refused_at=min(row.refused_at, now)).refusal(source, 0)
            entry = block_person(property_connection, refused, block_months=6, person="agent", now=now).entry
            if is_released:
                released = update(do_not_call_entries).where(do_not_call_entries.c.entry_id == entry.entry_id)
                property_connection.execute(released.values(released_at=now))
        with property_connection.begin_nested() as alone:
            expected = sorted(one_by_one(property_connection, rows)), state(property_connection)
            alone.rollback()
        found = in_chunks(property_connection, rows, size), state(property_connection)
        everything.rollback()
    assert found == expected


@given(st.one_of(st.from_regex(r"\+861[0-9]{10}", fullmatch=True), st.from_regex(r"\+[0-9]{5,15}", fullmatch=True)))
def test_numbers_in_the_history_are_masked_as_everywhere(phone: str) -> None:
    demand = demand_of(ImportedRefusal(2, phone, None, NOON, PERMANENT, raised=False, reason=None), job_id=None)
    assert f'"phone":"{masked(phone)}"' in demand.details
