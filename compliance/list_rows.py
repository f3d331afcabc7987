"""Rows and headers of a list of telephone numbers, whatever kind of file it came in.

Owns `Row`, the faults a row can have, and how a column is found by its header. Pure: reads no file.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from msgspec import Struct

NUMBER_HEADERS = (
    "phone",
    "mobile",
    "tel",
    "telephone",
    "number",
    "callee",
    "phone_number",
    "mobile_phone",
    "mobile_number",
    "telephone_number",
    "phone_no",
    "mobile_no",
    "e164",
    "手机号",
    "手机号码",
    "手机",
    "电话",
    "电话号码",
    "联系电话",
    "联系方式",
    "移动电话",
    "号码",
    "客户手机号",
    "客户手机",
    "客户电话",
    "客户联系电话",
    "被叫号码",
    "被叫",
    "固定电话",
    "座机",
)
"""Accepted headers of the column of telephone numbers, the best one first."""

_NUMBER_LOOKING = re.compile(r"\+?[\d ()./-]*\d(?:\.\d+)?(?:[eE]\+?\d+)?")
_FEWEST_DIGITS_OF_A_NUMBER = 7
_MOST_HEADERS_SHOWN = 20
_LONGEST_HEADER_SHOWN = 40


class UnreadableListError(ValueError):
    """A file that cannot be read as a list of telephone numbers at all. `message_zh` says so in Chinese."""

    def __init__(self, message: str, message_zh: str) -> None:
        super().__init__(message)
        self.message_zh = message_zh

    def __reduce__(self) -> tuple[type[Self], tuple[str, str]]:
        """Keep both messages when the error crosses from a worker process."""
        return type(self), (str(self), self.message_zh)


@dataclass(frozen=True, slots=True)
class RowFault:
    """Why one row cannot be used, in English and in Chinese. Never quotes the row."""

    message: str
    message_zh: str


class Row(Struct, frozen=True, gc=False):
    """One row after the header.

    `line` is the physical line on which the row starts, 1 being the first line of the file; in a workbook
    it is the number of the row. `cells` are as they came, unquoted: a row may have fewer or more of them than
    there are headers. In a row with a fault they are a best effort, for showing only.
    """

    line: int
    cells: tuple[str, ...]
    fault: RowFault | None = None

    @property
    def error(self) -> str | None:
        return None if self.fault is None else self.fault.message

    @property
    def blank(self) -> bool:
        """Whether every cell is empty or white space. A row with a fault is never blank."""
        return self.fault is None and not "".join(self.cells).strip()


def find_column(headers: Sequence[str], names: Sequence[str]) -> int | None:
    """Return the index of the column headed by the first of `names` that occurs, the leftmost if twice.

    Case, white space, underscores, hyphens and full-width forms make no difference.
    """
    plain_headers = [_plain(header) for header in headers]
    for name in names:
        if _plain(name) in plain_headers:
            return plain_headers.index(_plain(name))
    return None


def number_column_of(headers: Sequence[str], *, line: int) -> int:
    """Return the index of the column of telephone numbers among the headers found on `line`.

    Raises:
        UnreadableListError: no header names such a column, or the row looks like data.
    """
    column = find_column(headers, NUMBER_HEADERS)
    if column is not None:
        return column
    accepted = ", ".join(NUMBER_HEADERS)
    if any(_looks_like_a_number(header) for header in headers):
        raise UnreadableListError(
            f"line {line} must hold the headers, but a cell of it looks like a telephone number; "
            f"put a header row before the first number, with one of: {accepted}",
            f"第{line}行应为表头,但其中有形似电话号码的单元格;请在第一个号码之前加一行表头,列名为下列之一:{accepted}",
        )
    found = ", ".join(repr(header[:_LONGEST_HEADER_SHOWN]) for header in headers[:_MOST_HEADERS_SHOWN])
    raise UnreadableListError(
        f"no column of telephone numbers: line {line} has the headers {found}; "
        f"head the column of numbers with one of: {accepted}",
        f"没有号码列:第{line}行的表头为 {found};请将号码列命名为下列之一:{accepted}",
    )


def too_few_cells(found: int, number_column: int) -> RowFault:
    return RowFault(
        f"the row has {found} cells, but the telephone number belongs into cell {number_column + 1}; "
        f"complete the row or remove it",
        f"该行只有{found}个单元格,而号码应在第{number_column + 1}个单元格;请补全或删除该行",
    )


def _plain(header: str) -> str:
    return re.sub(r"[\s_\-\ufeff\u200b]+", "", unicodedata.normalize("NFKC", header).casefold())


def _looks_like_a_number(cell: str) -> bool:
    text = unicodedata.normalize("NFKC", cell).strip("'\" \t")
    digits = sum(character.isdigit() for character in text)
    return digits >= _FEWEST_DIGITS_OF_A_NUMBER and _NUMBER_LOOKING.fullmatch(text) is not None
