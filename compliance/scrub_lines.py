"""Rows as bytes: where lines and cells of a plain block begin and end, and which rows can be answered as they are.

Pure. A simple row has as many cells as there are headers, none of which a spreadsheet would run as a formula: its
answer is its own bytes with more cells behind them. All other rows go the way of `RowWriter`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compliance.delimited_text import TextBlock
from compliance.number_lists import neutralise
from compliance.scrub_numbers import Numbers, Places, read_numbers

_LINE_FEED = 10
_HARMLESS, _FORMULA, _MAYBE = 0, 1, 2

_FIRST_MOBILE, _LAST_MOBILE = 8_613_000_000_000, 8_619_999_999_999
_FIRST_HEAD = _FIRST_MOBILE // 10**8
_FOUR_DIGITS = np.array([b"%04d" % number for number in range(10_000)]).view(np.uint32)


@dataclass(frozen=True, slots=True)
class SimpleRows:
    """The rows of a plain block: the bytes of each line without its line break, and the numbers of simple rows."""

    lines: list[bytes]
    is_simple: NDArray[np.bool_]
    numbers: Numbers


@dataclass(frozen=True, slots=True)
class _Cut:
    """Places in the bytes of a block: ends of lines, delimiters, and which delimiter is the first of each row."""

    data: bytes
    line_ends: Places
    delimiters: Places
    first_delimiters: Places
    delimiter_counts: Places

    @property
    def line_begins(self) -> Places:
        return np.concatenate(([0], self.line_ends[:-1] + 1))


def cut_rows(block: TextBlock, columns: int) -> SimpleRows:
    """Return the rows of a plain block whose header has `columns` cells. Numbers of rows not simple mean nothing."""
    cut = _cut(_with_line_feeds(block.data), block.delimiter.encode())
    is_simple = cut.delimiter_counts == columns - 1
    begins, ends = _cells(cut, block.number_column, columns)
    begins[~is_simple] = ends[~is_simple] = 0
    numbers = read_numbers(cut.data, begins, ends, encoding=block.encoding)
    is_harmless_number = np.zeros(len(cut.data), np.bool_)
    is_harmless_number[begins[numbers.is_plain]] = True
    is_simple[_rows_with_formulas(cut, block, is_harmless_number)] = False
    lines = cut.data.split(b"\n")
    lines.pop()
    return SimpleRows(lines, is_simple, numbers)


def number_cells(phones: NDArray[np.int64], delimiter: str) -> list[bytes]:
    """Return, for each number, the delimiter and its E.164 (nothing for 0), as ASCII."""
    is_mobile = (phones >= _FIRST_MOBILE) & (phones <= _LAST_MOBILE)
    mobiles = np.where(is_mobile, phones, _FIRST_MOBILE)
    heads = np.array([f"{delimiter}+{_FIRST_HEAD + number}".encode() for number in range(70)])
    cells = np.empty(len(phones), [("head", heads.dtype), ("middle", np.uint32), ("last", np.uint32)])
    upper, last = np.divmod(mobiles, 10_000)
    head, middle = np.divmod(upper, 10_000)
    cells["head"] = heads[head - _FIRST_HEAD]
    cells["middle"] = _FOUR_DIGITS[middle]
    cells["last"] = _FOUR_DIGITS[last]
    found: list[bytes] = cells.view(f"S{cells.itemsize}").tolist()
    for row in np.flatnonzero(~is_mobile).tolist():
        phone = int(phones[row])
        found[row] = f"{delimiter}+{phone}".encode() if phone else delimiter.encode()
    return found


def _with_line_feeds(data: bytes) -> bytes:
    """Return plain data with LF at the end of every line, the last one too."""
    data = data.replace(b"\r\n", b"\n") if b"\r" in data else data
    return data if data.endswith(b"\n") else data + b"\n"


def _cut(data: bytes, delimiter: bytes) -> _Cut:
    octets = np.frombuffer(data, np.uint8)
    line_ends = np.flatnonzero(octets == _LINE_FEED)
    delimiters = np.flatnonzero(octets == ord(delimiter))
    until = np.searchsorted(delimiters, line_ends)
    counts = np.diff(until, prepend=0)
    return _Cut(data, line_ends, delimiters, until - counts, counts)


def _cells(cut: _Cut, column: int, columns: int) -> tuple[Places, Places]:
    """Return where the cells of a column begin and end; true of rows with as many cells as headers."""
    last = max(len(cut.delimiters) - 1, 0)

    def delimiter(number: int) -> Places:
        return cut.delimiters[np.minimum(cut.first_delimiters + number, last)]

    if columns == 1:
        return cut.line_begins, cut.line_ends.copy()
    begins = cut.line_begins if column == 0 else delimiter(column - 1) + 1
    ends = cut.line_ends.copy() if column == columns - 1 else delimiter(column)
    return begins, ends


def _rows_with_formulas(cut: _Cut, block: TextBlock, is_harmless: NDArray[np.bool_]) -> Places:
    """Return the rows with a cell that must be neutralised. `is_harmless` marks places of cells known to be none."""
    octets = np.frombuffer(cut.data, np.uint8)
    begins = np.concatenate((cut.line_begins, cut.delimiters + 1))
    kinds = _kinds_of_first_byte(block.delimiter)[octets[begins]]
    suspects = begins[(kinds != _HARMLESS) & ~is_harmless[begins]]
    is_formula = np.zeros(len(suspects), np.bool_)
    for number, begin in enumerate(suspects.tolist()):
        cell = _cell_at(cut, begin).decode(block.encoding)
        is_formula[number] = neutralise(cell) != cell
    rows: Places = np.searchsorted(cut.line_ends, suspects[is_formula])
    return rows


def _cell_at(cut: _Cut, begin: int) -> bytes:
    ends = (cut.line_ends, cut.delimiters)
    end = min(int(places[place]) for places in ends if (place := int(np.searchsorted(places, begin))) < len(places))
    return cut.data[begin:end]


def _kinds_of_first_byte(delimiter: str) -> NDArray[np.int8]:
    kinds = np.zeros(256, np.int8)
    kinds[[ord(sign) for sign in "=@\t" if sign != delimiter]] = _FORMULA
    kinds[[ord(sign) for sign in "+-"]] = _MAYBE
    return kinds
