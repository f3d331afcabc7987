"""Imports lists into the do-not-call list: every row that can be read blocks its person, every other says why not.

Tolerant: rows are stored in chunks, a transaction each, together with how far the import is; an import that was
killed goes on where it stopped. Strict: all rows or, if any is bad, none, in one transaction. Memory does not grow
with the list, except for a workbook, which is read as a whole.
"""

import gc
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine

from compliance.block_list import CLOCKS_MAY_DIFFER
from compliance.block_raises import Term, raise_own_changes
from compliance.delimited_text import TextBlock
from compliance.import_chunks import until_stored
from compliance.import_plan import Demand, Tally, demand_of
from compliance.import_rows import ImportedRefusal, RefusalReader, RejectedRow
from compliance.import_writing import store_chunk
from compliance.number_lists import Block, NumberList, RowWriter, open_number_list
from compliance.policy_store import policy_for_blocks, policy_in_force
from infra.clock import Clock
from infra.ids import new_id_text
from infra.jobs import JobResult, RunningJob, note_progress, read_job
from infra.priority import give_way_in_server, giving_way

JOB_KIND = "do_not_call_import"
REJECTED_FILE = "rejected.csv"

_CHUNK_CHARACTERS = 8 << 20
_REJECTED_HEADERS = ("line", "input", "reason", "message")


class ImportMode(StrEnum):
    TOLERANT = "tolerant"
    STRICT = "strict"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How far an import is: what a later attempt goes on from. `read` counts rows of the file, blank ones too."""

    moment: datetime
    read: int = 0
    rows: int = 0
    created: int = 0
    extended: int = 0
    unchanged: int = 0
    rejected: int = 0
    raised: int = 0

    def result(self) -> dict[str, object]:
        """Return the counts as a job's result: `created` + `extended` + `unchanged` + `rejected` = `rows`."""
        names = ("rows", "created", "extended", "unchanged", "rejected", "raised")
        return {name: getattr(self, name) for name in names}

    def stored(self) -> dict[str, object]:
        return {**asdict(self), "moment": self.moment.isoformat()}


def standing_of(stored: Mapping[str, Any]) -> Standing:
    """Return what `Standing.stored` gave."""
    return Standing(**{**stored, "moment": datetime.fromisoformat(stored["moment"])})


NoteStanding = Callable[[Connection, Standing, int], None]
"""Records, in the transaction that stores a chunk, how far the import is; the number is that of rows to be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListImport:
    """One import. `person` is who imports; `standing` is what an earlier attempt left, None in the first.

    `note` is called in each transaction that stores rows, `show` between them, with rows read and to be read.
    """

    engine: Engine
    source: Path
    rejected: Path
    mode: ImportMode
    person: str
    clock: Clock
    job_id: UUID | None = None
    standing: Standing | None = None
    note: NoteStanding = lambda _connection, _standing, _total: None
    show: Callable[[int, int], None] = lambda _done, _total: None
    chunk_rows: int = 10_000


@dataclass(slots=True)
class _Chunk:
    """Some rows of the list, in order; `read` counts them with the blank ones."""

    read: int = 0
    rows: int = 0
    characters: int = 0
    raised: int = 0
    demands: list[Demand] = field(default_factory=list)
    rejected: list[RejectedRow] = field(default_factory=list)

    def take(self, row: ImportedRefusal | RejectedRow, *, job_id: UUID | None) -> None:
        self.rows += 1
        if isinstance(row, RejectedRow):
            self.rejected.append(row)
            self.characters += len(row.input)
        else:
            demand = demand_of(row, job_id=job_id)
            self.demands.append(demand)
            self.raised += row.raised
            self.characters += len(demand.details)

    def is_full(self, chunk_rows: int) -> bool:
        return self.read >= chunk_rows or self.characters >= _CHUNK_CHARACTERS


@dataclass(frozen=True, slots=True)
class _Work:
    """An import with its list opened; its blocks last `months` at least, `total` rows are to be read."""

    wanted: ListImport
    listed: NumberList
    reader: RefusalReader
    months: int
    total: int


def run_import(wanted: ListImport) -> dict[str, object]:
    """Import a list; return the counts, and write the rows that were not imported to `wanted.rejected`.

    A strict result also says whether the list was `stored`.

    Raises:
        UnreadableListError: the file is no list of numbers.
        ImportContendedError: other writers were in the way too often.
    """
    with giving_way(), _settled_memory():
        return _run(wanted)


def _run(wanted: ListImport) -> dict[str, object]:
    listed = open_number_list(wanted.source)
    now = wanted.clock()
    standing = wanted.standing or Standing(moment=now)
    with wanted.engine.begin() as connection:
        months = policy_in_force(connection, now=now).block_months
    reader = RefusalReader(
        listed.headers,
        listed.number_column,
        moment=standing.moment,
        latest=standing.moment + CLOCKS_MAY_DIFFER,
        block_months=months,
    )
    work = _Work(wanted, listed, reader, months, _count_rows(listed))
    with _rejected_file(wanted.rejected, listed) as rejected:
        if wanted.mode is ImportMode.STRICT:
            result = _store_all_or_nothing(work, standing, rejected)
        else:
            result = _store_in_chunks(work, standing, rejected).result()
    wanted.show(work.total, work.total)
    return result


@contextmanager
def _settled_memory() -> Iterator[None]:
    """Keep what was in memory before out of garbage collection, which a list of millions of rows sets off often."""
    if gc.get_freeze_count():
        # The process has done so for good.
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextmanager
def _rejected_file(path: Path, listed: NumberList) -> Iterator[RowWriter]:
    """Give a writer whose file takes its name when it is whole: an attempt believed dead may still write."""
    unfinished = path.with_name(f"{path.name}.{new_id_text()}")
    try:
        with unfinished.open("xb") as stream:
            rejected = RowWriter(stream, listed)
            rejected.write_row(_REJECTED_HEADERS)
            yield rejected
            stream.flush()
            os.fsync(stream.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _store_in_chunks(work: _Work, standing: Standing, rejected: RowWriter) -> Standing:
    """Store every chunk after those that stand; the rejected rows of all are written anew, whatever stood."""
    read = 0
    for chunk in _chunks(work, boundary=standing.read):
        _write_rejected(rejected, chunk)
        read += chunk.read
        if read > standing.read:
            standing = until_stored(work.wanted.engine, partial(_store_one, work, chunk, standing))
    return standing


def _store_one(work: _Work, chunk: _Chunk, standing: Standing, connection: Connection) -> Standing:
    wanted = work.wanted
    give_way_in_server(connection)
    tally = store_chunk(connection, chunk.demands, person=wanted.person, now=wanted.clock())
    _keep_term(work, connection)
    standing = _after(standing, chunk, tally)
    wanted.note(connection, standing, work.total)
    return standing


def _store_all_or_nothing(work: _Work, standing: Standing, rejected: RowWriter) -> dict[str, object]:
    if standing.read:
        # An earlier attempt stored the list, in one transaction with this standing, and ended before it could say so.
        return {**standing.result(), "stored": True}
    rows, bad = 0, 0
    for done, chunk in _counted(_chunks(work)):
        _write_rejected(rejected, chunk)
        rows, bad = rows + chunk.rows, bad + len(chunk.rejected)
        work.wanted.show(done // 2, work.total)
    if bad:
        return {**replace(standing, rows=rows, rejected=bad).result(), "stored": False}
    stored = until_stored(work.wanted.engine, partial(_store_all, work, standing))
    return {**stored.result(), "stored": True}


def _store_all(work: _Work, standing: Standing, connection: Connection) -> Standing:
    wanted = work.wanted
    give_way_in_server(connection)
    for done, chunk in _counted(_chunks(work)):
        tally = store_chunk(connection, chunk.demands, person=wanted.person, now=wanted.clock())
        standing = _after(standing, chunk, tally)
        wanted.show((work.total + done) // 2, work.total)
    _keep_term(work, connection)
    wanted.note(connection, standing, work.total)
    return standing


def _keep_term(work: _Work, connection: Connection) -> None:
    """Raise what the transaction wrote if a policy with a longer term came into force since the import began."""
    now = work.wanted.clock()
    policy = policy_for_blocks(connection, now=now)
    if policy.block_months > work.months:
        term = Term(policy.block_months, policy.digest)
        raise_own_changes(connection, term, person=work.wanted.person, now=now)


def _after(standing: Standing, chunk: _Chunk, tally: Tally) -> Standing:
    """Return how far the import is after a chunk, of which `tally` says what its rows did."""
    return replace(
        standing,
        read=standing.read + chunk.read,
        rows=standing.rows + chunk.rows,
        created=standing.created + tally.created,
        extended=standing.extended + tally.extended,
        unchanged=standing.unchanged + tally.unchanged,
        rejected=standing.rejected + len(chunk.rejected),
        raised=standing.raised + chunk.raised,
    )


def _chunks(work: _Work, *, boundary: int = 0) -> Iterator[_Chunk]:
    """Yield the list in chunks; one of them ends after `boundary` rows."""
    chunk = _Chunk()
    for read, row in enumerate(work.listed.rows(), start=1):
        chunk.read += 1
        if not row.blank:
            chunk.take(work.reader.read(row), job_id=work.wanted.job_id)
        if chunk.is_full(work.wanted.chunk_rows) or read == boundary:
            yield chunk
            chunk = _Chunk()
    if chunk.read:
        yield chunk


def _counted(chunks: Iterable[_Chunk]) -> Iterator[tuple[int, _Chunk]]:
    """Yield each chunk with the number of rows read at its end."""
    done = 0
    for chunk in chunks:
        done += chunk.read
        yield done, chunk


def _write_rejected(rejected: RowWriter, chunk: _Chunk) -> None:
    for row in chunk.rejected:
        rejected.write_row((str(row.line), row.input, row.reason, f"{row.message} / {row.message_zh}"))


def _count_rows(listed: NumberList) -> int:
    return sum(_rows_of(block) for block in listed.blocks())


def _rows_of(block: Block) -> int:
    if isinstance(block, TextBlock) and block.plain:
        return block.data.count(b"\n") + (not block.data.endswith(b"\n"))
    return sum(1 for _ in block.rows())


def run_import_job(running: RunningJob) -> JobResult:
    """Run the job of an uploaded list; its `parameters` name the mode.

    Raises:
        UnreadableListError: the file is no list of numbers.
        ImportContendedError: other writers were in the way too often.
        LostJobError: another worker has taken the job over.
    """
    with running.engine.begin() as connection:
        job = read_job(connection, running.job_id)

    def note(connection: Connection, standing: Standing, total: int) -> None:
        progress = standing.stored()
        note_progress(connection, job, done=standing.read, total=total, progress=progress, now=running.clock())

    def show(done: int, total: int) -> None:
        running.report_progress(done, total)

    result = run_import(
        ListImport(
            engine=running.engine,
            source=running.input_path,
            rejected=running.output_dir / REJECTED_FILE,
            mode=ImportMode(running.parameters["mode"]),
            person=running.actor,
            clock=running.clock,
            job_id=running.job_id,
            standing=None if running.progress is None else standing_of(running.progress),
            note=note,
            show=show,
        )
    )
    return JobResult(result, (REJECTED_FILE,))
