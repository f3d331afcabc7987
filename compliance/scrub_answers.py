"""Answers to the rows of one block after the other, as bytes to be written."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO

import numpy as np

from compliance.delimited_text import TextBlock
from compliance.list_rows import Row
from compliance.listed_phones import ASK, NOT_LISTED
from compliance.number_lists import Block, NumberList, RowWriter
from compliance.phone_snapshot import PhoneSnapshot
from compliance.scrub_lines import SimpleRows, cut_rows, number_cells
from compliance.scrub_numbers import Numbers, read_texts
from compliance.scrub_pair import Piece
from compliance.scrub_people import People
from compliance.scrub_verdicts import Answer, VerdictIds, Verdicts


@dataclass(slots=True)
class Answerer:
    """Answers blocks of one list."""

    numbers: NumberList
    snapshot: PhoneSnapshot
    people: People
    verdicts: Verdicts
    _tails: list[bytes] = field(default_factory=list)

    def answer(self, block: Block) -> Piece:
        """Return the rows of a block with their answers, in the encoding of the list."""
        count, data = self._answer(block)
        return Piece(count, data if self.numbers.encoding == _encoding(block) else self._encoded(data))

    def _encoded(self, data: bytes) -> bytes:
        """Return UTF-8 in the encoding of the list: UTF-16 was read as UTF-8."""
        return data.decode().encode(self.numbers.encoding)

    def _answer(self, block: Block) -> tuple[int, bytes]:
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
        like = replace(self.numbers, encoding=_encoding(block), has_mark=False)
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


def _encoding(block: Block) -> str:
    return block.encoding if isinstance(block, TextBlock) else "utf-8"
