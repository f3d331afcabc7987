"""Scrubs: a whole list of numbers decided at one instant, row by row, with the rules that judge each call.

The file streams through in blocks of bytes; the database is read in one transaction, so that all rows are judged
by the same state of it. Nothing is recorded.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
from sqlalchemy import Connection, Engine

from compliance.call_facts import ProposedCall
from compliance.delimited_text import TextBlock
from compliance.list_rows import Row
from compliance.listed_phones import ASK, NOT_LISTED
from compliance.number_lists import Block, NumberList, RowWriter, open_number_list
from compliance.phone_snapshot import PhoneSnapshot, file_listed_phones, one_state, see_changes
from compliance.prefix_cache import keep_prefix_tables
from compliance.register_book import read_book
from compliance.scrub_lines import SimpleRows, cut_rows, number_cells
from compliance.scrub_numbers import Numbers, read_texts
from compliance.scrub_people import People, read_people
from compliance.scrub_verdicts import Answer, Sitting, VerdictIds, Verdicts
from compliance.shanghai import SHANGHAI
from compliance.working_days import Calendar
from infra.clock import Clock

ADDED_HEADERS = ("e164", "decision", "reasons", "next_callable_at")
_BLOCK_BYTES = 2 << 20

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
    with one_state(engine) as connection:
        snapshot = see_changes(connection, filed)
        now = clock()
        sitting = _sitting(connection, call, calendar=calendar, at=at or now, now=now)
        people = read_people(connection, sitting, as_of=at)
        scrub = _Scrub(numbers, snapshot, people, Verdicts(sitting))
        partial = target.with_name(f"{target.name}.partial")
        with partial.open("wb") as stream:
            scrub.write(stream, progress)
        partial.replace(target)
    found = scrub.verdicts.tally()
    return {**found, "at": sitting.at.isoformat(), "policy_digest": sitting.policy.digest}


def _sitting(connection: Connection, call: ProposedCall, *, calendar: Calendar, at: datetime, now: datetime) -> Sitting:
    book = read_book(connection, now=now, all_overlays=True)
    return Sitting(
        call=call,
        side=book.calling_side(call).side,
        policy=book.policy,
        calendar=calendar,
        at=at.astimezone(SHANGHAI),
    )


@dataclass(slots=True)
class _Scrub:
    """One scrub while it runs."""

    numbers: NumberList
    snapshot: PhoneSnapshot
    people: People
    verdicts: Verdicts
    _tails: list[bytes] = field(default_factory=list)

    def write(self, stream: BinaryIO, progress: Progress) -> None:
        """Write the header and every row."""
        RowWriter(stream, self.numbers).write_row([*self.numbers.headers, *added_headers(self.numbers.headers)])
        done = 0
        for block in self.numbers.blocks(_BLOCK_BYTES):
            count, data = self._answer(block)
            stream.write(data if self.numbers.encoding == block_encoding(block) else self._encoded(data))
            done += count
            progress(done, None)
        progress(done, done)

    def _encoded(self, data: bytes) -> bytes:
        """Return UTF-8 in the encoding of the list: UTF-16 was read as UTF-8."""
        return data.decode().encode(self.numbers.encoding)

    def _answer(self, block: Block) -> tuple[int, bytes]:
        """Return how many rows the block has, and their answers as bytes in the encoding of the block."""
        found = cut_rows(block, len(self.numbers.headers)) if isinstance(block, TextBlock) else None
        if isinstance(block, TextBlock) and found is not None:
            return len(found.lines), self._answer_lines(block, found)
        rows = list(block.rows())
        numbers = read_texts(map(self._number_text, rows), len(rows))
        ids = self._judge(numbers)
        answers = zip(rows, numbers.phones.tolist(), ids.tolist(), strict=True)
        return len(rows), b"".join(self._row_writer(block, answers_of=list(answers)))

    def _answer_lines(self, block: TextBlock, found: SimpleRows) -> bytes:
        others = np.flatnonzero(~found.is_simple)
        rows = [_row_of(block, found.lines[one]) for one in others.tolist()]
        read = read_texts(map(self._number_text, rows), len(rows))
        numbers = found.numbers
        numbers.phones[others], numbers.places[others] = read.phones, read.places
        ids = self._judge(numbers)
        parts: list[bytes] = [b""] * (3 * len(found.lines))
        parts[0::3] = found.lines
        parts[1::3] = number_cells(numbers.phones, block.delimiter)
        parts[2::3] = self._tails_of(ids)
        answers = zip(rows, read.phones.tolist(), ids[others].tolist(), strict=True)
        for one, line in zip(others.tolist(), self._row_writer(block, answers_of=list(answers)), strict=True):
            parts[3 * one : 3 * one + 3] = [line, b"", b""]
        return b"".join(parts)

    def _number_text(self, row: Row) -> str:
        """Return the cell of the number; nothing, hence no number, where the row cannot be relied on."""
        column = self.numbers.number_column
        return "" if row.fault is not None or len(row.cells) <= column else row.cells[column]

    def _judge(self, numbers: Numbers) -> VerdictIds:
        """Return the number of each row's answer, and count it."""
        at = self.people.sitting.at
        through = self.snapshot.find(numbers.phones, at=at)
        is_known = (through == ASK) | (self.people.known.find(numbers.phones, at=at) != NOT_LISTED)
        through[is_known] = NOT_LISTED
        ids = self.verdicts.judge(numbers.places, through)
        if is_known.any():
            phones, inverse = np.unique(numbers.phones[is_known], return_inverse=True)
            decided = [self.verdicts.number_of(one) for one in self.people.decide(phones.tolist())]
            ids[is_known] = np.array(decided, np.int64)[inverse]
        self.verdicts.count(ids)
        return ids

    def _tails_of(self, ids: VerdictIds) -> list[bytes]:
        """Return, for each row, what follows its number."""
        for answer in self.verdicts.answers[len(self._tails) :]:
            self._tails.append(self._tail(answer))
        tails: list[bytes] = np.array(self._tails, np.object_)[ids].tolist()
        return tails

    def _tail(self, answer: Answer) -> bytes:
        delimiter = self.numbers.delimiter
        reasons = f'"{answer.reasons}"' if delimiter in answer.reasons else answer.reasons
        cells = (answer.decision, reasons, answer.next_callable_at)
        return (delimiter + delimiter.join(cells) + self.numbers.newline).encode()

    def _row_writer(self, block: Block, *, answers_of: Sequence[tuple[Row, int, int]]) -> list[bytes]:
        """Return rows written cell by cell: the added cells stand below their headers, cells without one behind."""
        like = replace(self.numbers, encoding=block_encoding(block), has_mark=False)
        buffer = BytesIO()
        writer = RowWriter(buffer, like)
        width = len(self.numbers.headers)
        lines: list[bytes] = []
        for row, phone, number in answers_of:
            own = [*row.cells[:width], *[""] * (width - len(row.cells))]
            writer.write_row([*own, f"+{phone}" if phone else "", *self.verdicts.answers[number], *row.cells[width:]])
            lines.append(buffer.getvalue())
            buffer.seek(0)
            buffer.truncate()
        return lines


def _row_of(block: TextBlock, line: bytes) -> Row:
    """Return the one row of a line, the bytes of which were found sound with the whole block."""
    return next(replace(block, data=line, plain=False).rows(), Row(block.first_line, ("",)))


def block_encoding(block: Block) -> str:
    return block.encoding if isinstance(block, TextBlock) else "utf-8"


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
