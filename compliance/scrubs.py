"""Scrubs: a whole list of numbers decided at one instant, row by row, with the rules that judge each call.

The file streams through in blocks of bytes; the database is read in one transaction, so that all rows are judged
by the same state of it. Nothing is recorded.
"""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache, partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import Connection, Engine, text

from compliance.call_facts import ProposedCall
from compliance.number_lists import NumberList, RowWriter, open_number_list
from compliance.phone_snapshot import PhoneSnapshot, file_listed_phones, one_state, see_changes
from compliance.prefix_cache import keep_prefix_tables
from compliance.register_book import read_book
from compliance.scrub_answers import Answerer
from compliance.scrub_pair import Pair, Piece, SecondProcessError
from compliance.scrub_people import People, read_people
from compliance.scrub_verdicts import Sitting, Tally, Verdicts
from compliance.shanghai import SHANGHAI
from compliance.working_days import Calendar
from infra.clock import Clock
from infra.database import make_engine
from infra.ids import new_id_text

ADDED_HEADERS = ("e164", "decision", "reasons", "next_callable_at")
_BLOCK_BYTES = 512 << 10
_WORTH_TWO_PROCESSES = 8 << 20
"""Bytes of a list from which on a second process saves more time than it takes to start."""

Progress = Callable[[int, int | None], None]
"""Called with the rows done so far and, once it is known, their total."""


def scrub_file(  # noqa: PLR0913 - where from, where to, and what each comes with
    engine: Engine,
    source: Path,
    target: Path,
    *,
    call: ProposedCall,
    at: datetime | None,
    clock: Clock,
    calendar: Calendar,
    cache_dir: Path,
    progress: Progress,
) -> dict[str, object]:
    """Write `source` to `target` with the decision on every row; return how many rows got which.

    `call` is what all rows have in common. `at` makes it a simulation: decided at that instant, from the facts
    known now. With None, the clock is read once the facts are fixed: a refusal filed before is never too late.

    Raises:
        UnreadableListError: `source` is no list of numbers.
    """
    keep_prefix_tables(cache_dir)
    numbers = open_number_list(source)
    filed = file_listed_phones(engine, cache_dir)
    with _whole_file(target) as stream, one_state(engine) as connection:
        snapshot = see_changes(connection, filed)
        now = clock()
        sitting = _sitting(connection, call, calendar=calendar, at=at or now, now=now)
        scrub = _Scrub(engine, connection, numbers, snapshot, read_people(connection, sitting, as_of=at), progress)
        tally = scrub.write(stream, in_pair=_is_worth_two_processes(numbers, source))
    return {**tally.figures(), "at": sitting.at.isoformat(), "policy_digest": sitting.policy.digest}


@contextmanager
def _whole_file(target: Path) -> Iterator[BinaryIO]:
    """Give a file that takes the name `target` when it is whole; one that is not leaves nothing behind.

    Its name is its own until then: an attempt believed dead may still write.
    """
    unfinished = target.with_name(f"{target.name}.{new_id_text()}")
    try:
        with unfinished.open("xb") as stream:
            yield stream
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)


def _sitting(connection: Connection, call: ProposedCall, *, calendar: Calendar, at: datetime, now: datetime) -> Sitting:
    book = read_book(connection, now=now, all_overlays=True)
    return Sitting(
        call=call,
        side=book.calling_side(call).side,
        policy=book.policy,
        calendar=calendar,
        at=at.astimezone(SHANGHAI),
    )


def _is_worth_two_processes(numbers: NumberList, source: Path) -> bool:
    # Elsewhere, a process that has more than one thread cannot be forked without danger.
    if sys.platform != "linux" or numbers.is_workbook or source.stat().st_size < _WORTH_TWO_PROCESSES:
        return False
    return len(os.sched_getaffinity(0)) > 1


@dataclass(frozen=True, slots=True)
class _Scrub:
    """One scrub, with all that it has read of the database."""

    engine: Engine
    connection: Connection
    numbers: NumberList
    snapshot: PhoneSnapshot
    people: People
    progress: Progress

    def write(self, stream: BinaryIO, *, in_pair: bool) -> Tally:
        """Write the header and every row."""
        RowWriter(stream, self.numbers).write_row([*self.numbers.headers, *added_headers(self.numbers.headers)])
        stream.flush()
        begin = stream.tell()
        if in_pair:
            try:
                return self._write_in_pair(stream, begin)
            except SecondProcessError:
                # Alone it takes longer, and whatever was wrong shows itself here as what it is.
                stream.seek(begin)
                stream.truncate()
        return self._write_alone(stream)

    def _write_alone(self, stream: BinaryIO) -> Tally:
        answerer = self._answerer(self.people)
        rows = 0
        for block in self.numbers.blocks(_BLOCK_BYTES):
            piece = answerer.answer(block)
            stream.write(piece.data)
            rows += piece.rows
            self.progress(rows, None)
        return self._ended(answerer.verdicts.tally())

    def _write_in_pair(self, stream: BinaryIO, begin: int) -> Tally:
        mine, theirs = self._answerer(self.people), self._answerer(self._people_of_second_process())
        pair = Pair(
            mine=partial(self._pieces, mine, first=0),
            theirs=partial(self._pieces, theirs, first=1),
            sum_up=theirs.verdicts.tally,
        )
        others = pair.write(stream.fileno(), begin, note=lambda rows: self.progress(rows, None))
        return self._ended(mine.verdicts.tally().plus(others))

    def _answerer(self, people: People) -> Answerer:
        return Answerer(self.numbers, self.snapshot, people, Verdicts(people.sitting))

    def _pieces(self, answerer: Answerer, *, first: int) -> Iterator[Piece]:
        """Answer every other block of the list."""
        return map(answerer.answer, islice(self.numbers.blocks(_BLOCK_BYTES), first, None, 2))

    def _people_of_second_process(self) -> People:
        """Return the same people, read over a connection of its own that sees the same state."""
        state = self.connection.execute(text("SELECT pg_export_snapshot()")).scalar_one()
        url = self.engine.url.render_as_string(hide_password=False)

        @cache
        def connect() -> Connection:
            connection = make_engine(url, application_name="telesales-scrub").connect()
            connection = connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            connection.execute(text(f"SET TRANSACTION SNAPSHOT '{state}'"))
            return connection

        return replace(self.people, connect=connect)

    def _ended(self, tally: Tally) -> Tally:
        self.progress(tally.rows, tally.rows)
        return tally


def added_headers(headers: Sequence[str]) -> list[str]:
    """Return the headers of the added columns; one that the list has already gets the first free of `_2`, `_3`, ..."""
    taken = set(headers)
    added = []
    for header in ADDED_HEADERS:
        name, number = header, 2
        while name in taken:
            name, number = f"{header}_{number}", number + 1
        taken.add(name)
        added.append(name)
    return added
