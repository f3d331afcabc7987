"""Rows as bytes: where rows and cells of a block begin and end, and which rows can be answered as they are.

Pure. A simple row has as many cells as there are headers, none of which a spreadsheet would run as a formula: its
answer is its own bytes with more cells behind them. All other rows go the way of `RowWriter`.

Quotes are followed by their parity: after an odd number of them, delimiters and line breaks are text. That holds
if every quote stands at an end of its cell or beside another one, which is checked for a block as a whole.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compliance.delimited_text import TextBlock
from compliance.number_lists import neutralise
from compliance.scrub_numbers import Numbers, Places, read_numbers
from compliance.text_bytes import LONGEST_LINE, is_valid

_LINE_FEED, _QUOTE = 10, 34

_FIRST_MOBILE, _LAST_MOBILE = 8_613_000_000_000, 8_619_999_999_999
_FIRST_HEAD = _FIRST_MOBILE // 10**8
_FOUR_DIGITS = np.array([b"%04d" % number for number in range(10_000)]).view(np.uint32)

Marks = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class SimpleRows:
    """The rows of a block: the bytes of each without its line break, and the numbers of the simple ones."""

    lines: list[bytes]
    is_simple: Marks
    numbers: Numbers


@dataclass(frozen=True, slots=True)
class _Cut:
    """Places in the bytes of a block: ends of rows, delimiters between cells, and all quotes.

    `data` has LF at the end of every row. `first_delimiters` and `delimiter_counts` are those of each row.
    """

    data: bytes
    delimiter: int
    line_ends: Places
    delimiters: Places
    quotes: Places
    first_delimiters: Places
    delimiter_counts: Places

    @property
    def octets(self) -> NDArray[np.uint8]:
        return np.frombuffer(self.data, np.uint8)

    @property
    def line_begins(self) -> Places:
        return np.concatenate(([0], self.line_ends[:-1] + 1))


def cut_rows(block: TextBlock, columns: int) -> SimpleRows | None:
    """Return the rows of a block whose header has `columns` cells; None if it must be read row by row.

    The numbers of rows that are not simple mean nothing.
    """
    cut = _cut(block)
    if cut is None:
        return None
    is_simple = cut.delimiter_counts == columns - 1
    begins, ends = _inside_quotes(cut, *_cells(cut, block.number_column, columns))
    if len(cut.quotes):
        is_simple &= np.searchsorted(cut.quotes, begins) == np.searchsorted(cut.quotes, ends)
    begins[~is_simple] = ends[~is_simple] = 0
    numbers = read_numbers(cut.data, begins, ends, encoding=block.encoding)
    is_known_number = np.zeros(len(cut.data), np.bool_)
    is_known_number[begins[numbers.is_plain]] = True
    is_simple[_rows_with_formulas(cut, block.encoding, is_known_number)] = False
    return SimpleRows(_lines(cut), is_simple, numbers)


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


def _cut(block: TextBlock) -> _Cut | None:
    if not block.plain and not _is_sound(block):
        return None
    data = block.data.replace(b"\r\n", b"\n") if b"\r" in block.data else block.data
    data = data if data.endswith(b"\n") else data + b"\n"
    octets, delimiter = np.frombuffer(data, np.uint8), ord(block.delimiter)
    line_ends, delimiters = np.flatnonzero(octets == _LINE_FEED), np.flatnonzero(octets == delimiter)
    quotes = np.flatnonzero(octets == _QUOTE) if not block.plain else line_ends[:0]
    if len(quotes):
        if not _are_quotes_sound(octets, quotes, delimiter):
            return None
        in_text = _is_in_quotes(quotes, line_ends)
        if in_text.any() and len(data) < len(block.data):
            # A CRLF inside a cell is the cell's own and must stay one.
            return None
        line_ends, delimiters = line_ends[~in_text], delimiters[~_is_in_quotes(quotes, delimiters)]
    if np.diff(line_ends, prepend=-1).max() > LONGEST_LINE:
        return None
    until = np.searchsorted(delimiters, line_ends)
    counts = np.diff(until, prepend=0)
    return _Cut(data, delimiter, line_ends, delimiters, quotes, until - counts, counts)


def _is_sound(block: TextBlock) -> bool:
    """Say whether quotes are all that keeps a block from being plain."""
    data = block.data
    return b"\0" not in data and data.count(b"\r") == data.count(b"\r\n") and is_valid(data, block.encoding)


def _are_quotes_sound(octets: NDArray[np.uint8], quotes: Places, delimiter: int) -> bool:
    """Say whether every quote opens or closes a cell, or is one of two that stand for one."""
    if len(quotes) % 2:
        return False
    is_edge = np.zeros(256, np.bool_)
    is_edge[[delimiter, _LINE_FEED, _QUOTE]] = True
    opening, closing = quotes[0::2], quotes[1::2]
    return bool((is_edge[octets[opening - 1]] | (opening == 0)).all() and is_edge[octets[closing + 1]].all())


def _is_in_quotes(quotes: Places, places: Places) -> Marks:
    is_inside: Marks = np.searchsorted(quotes, places) % 2 == 1
    return is_inside


def _lines(cut: _Cut) -> list[bytes]:
    lines = cut.data.split(b"\n")
    lines.pop()
    if len(lines) == len(cut.line_ends):
        return lines
    bounds = zip(cut.line_begins.tolist(), cut.line_ends.tolist(), strict=True)
    return [cut.data[begin:end] for begin, end in bounds]


def _cells(cut: _Cut, column: int, columns: int) -> tuple[Places, Places]:
    """Return where the cells of a column begin and end; true of rows with as many cells as headers."""
    last = max(len(cut.delimiters) - 1, 0)

    def delimiter(number: int) -> Places:
        if not len(cut.delimiters):
            return cut.line_ends
        return cut.delimiters[np.minimum(cut.first_delimiters + number, last)]

    begins = cut.line_begins if column == 0 else delimiter(column - 1) + 1
    ends = cut.line_ends if column == columns - 1 else delimiter(column)
    return begins, ends.copy()


def _inside_quotes(cut: _Cut, begins: Places, ends: Places) -> tuple[Places, Places]:
    """Return where the text of cells begins and ends: within the quotes of those that have them."""
    if not len(cut.quotes):
        return begins, ends
    is_quoted = cut.octets[np.minimum(begins, len(cut.data) - 1)] == _QUOTE
    return begins + is_quoted, ends - is_quoted


def _rows_with_formulas(cut: _Cut, encoding: str, is_harmless: Marks) -> Places:
    """Return the rows with a cell that must be neutralised. `is_harmless` marks places of text known to be none."""
    begins = np.concatenate((cut.line_begins, cut.delimiters + 1))
    texts, _ = _inside_quotes(cut, begins, begins)
    first = cut.octets[texts]
    # Where a tab divides cells, one that is not in quotes is the end of an empty cell.
    is_suspect = _MAY_BEGIN_FORMULA[first] & ~is_harmless[texts] & ((first != cut.delimiter) | (texts > begins))
    suspects = begins[is_suspect]
    is_formula = np.zeros(len(suspects), np.bool_)
    for number, begin in enumerate(suspects.tolist()):
        cell = _cell_at(cut, begin).decode(encoding)
        is_formula[number] = neutralise(cell) != cell
    rows: Places = np.searchsorted(cut.line_ends, suspects[is_formula])
    return rows


def _cell_at(cut: _Cut, begin: int) -> bytes:
    ends = (cut.line_ends, cut.delimiters)
    end = min(int(places[place]) for places in ends if (place := int(np.searchsorted(places, begin))) < len(places))
    cell = cut.data[begin:end]
    return cell[1:-1].replace(b'""', b'"') if cell.startswith(b'"') else cell


_MAY_BEGIN_FORMULA: Marks = np.isin(np.arange(256), np.frombuffer(b"=@\t\r+-", np.uint8))
