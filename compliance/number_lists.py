"""Lists of telephone numbers in files: CSV and other delimited text, and .xlsx workbooks.

Owns the one way in (`open_number_list`) and the one way out (`RowWriter`). Reads files and nothing else:
no database, no clock. What a cell means is up to the caller.
"""

import codecs
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from compliance.delimited_text import TextBlock, TextTable, open_text
from compliance.list_rows import Row, UnreadableListError
from compliance.workbooks import DEFAULT_LIMITS, SheetBlock, SheetTable, WorkbookLimits, open_sheet

Block = TextBlock | SheetBlock

_BLOCK_BYTES = 4 << 20
_BYTES_PER_SHEET_ROW = 64
_HEAD_BYTES = 512

_WORKBOOK = b"PK\x03\x04"
_OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OTHER_KINDS = (
    (b"PK\x05\x06", "an empty zip archive", "空压缩包"),
    (b"%PDF-", "a PDF document", "PDF 文档"),
    (b"\x89PNG", "a picture", "图片"),
    (b"\xff\xd8\xff", "a picture", "图片"),
    (b"GIF8", "a picture", "图片"),
    (b"\x1f\x8b", "a gzip archive", "gzip 压缩包"),
    (b"Rar!", "a RAR archive", "RAR 压缩包"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "7z 压缩包"),
)
_MARKUP = re.compile(rb"\s*<(?:!doctype|html|\?xml|table|head|meta|style|div)\b", re.IGNORECASE)

_AFTER_SIGN = r"(?=(?:[ ()\-]*[0-9]){5})[0-9 ()\-]+"
_TELEPHONE_NUMBER = re.compile(rf"[+-]{_AFTER_SIGN}")
_ALWAYS_A_FORMULA = ("=", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class NumberList:
    """An opened list. `headers` are as they came; `number_column` is the index of the telephone number.

    `encoding` is utf-8, gb18030, utf-16-le or utf-16-be, and `has_mark` says whether a byte order mark leads.
    For a workbook these are, like `delimiter` and `newline`, those in which results are written:
    utf-8 with a mark, commas, CRLF. Rows may be read any number of times, while the file stays as it is.
    """

    headers: tuple[str, ...]
    number_column: int
    encoding: str
    has_mark: bool
    delimiter: str
    newline: str
    is_workbook: bool
    table: TextTable | SheetTable

    def rows(self) -> Iterator[Row]:
        """Yield every row after the header, blank and faulty ones too, in the order of the file."""
        for block in self.blocks():
            yield from block.rows()

    def blocks(self, size: int = _BLOCK_BYTES) -> Iterator[Block]:
        """Yield the same rows in blocks of about `size` bytes, for readers in a hurry.

        `block.rows()` gives the rows of any block. Where `block.plain`, its `data` may instead be searched
        as raw bytes in `block.encoding`; see `TextBlock`. Blocks of text can be sent to other processes.
        """
        if isinstance(self.table, SheetTable):
            return self.table.blocks(max(size // _BYTES_PER_SHEET_ROW, 1))
        return self.table.blocks(size)


def open_number_list(path: Path, *, limits: WorkbookLimits = DEFAULT_LIMITS) -> NumberList:
    """Open a list by what the file holds, whatever its name says.

    Raises:
        UnreadableListError: the file is no list of numbers; the message says what to do.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    _refuse_other_kinds(head)
    if head.startswith(_WORKBOOK):
        sheet = open_sheet(path, limits)
        return NumberList(
            headers=sheet.headers,
            number_column=sheet.number_column,
            encoding="utf-8",
            has_mark=True,
            delimiter=",",
            newline="\r\n",
            is_workbook=True,
            table=sheet,
        )
    text = open_text(path)
    return NumberList(
        headers=text.headers,
        number_column=text.number_column,
        encoding=text.form.encoding,
        has_mark=bool(text.form.mark),
        delimiter=text.delimiter,
        newline=text.newline,
        is_workbook=False,
        table=text,
    )


def neutralise(cell: str) -> str:
    """Put `'` before a cell that a spreadsheet would run as a formula, and return any other as it came.

    Such a cell begins with `=`, `@`, tab or CR, or with `+` or `-` without being a telephone number: at least
    five digits, with nothing but spaces, hyphens and brackets between them.
    """
    if cell.startswith(_ALWAYS_A_FORMULA):
        return "'" + cell
    if cell.startswith(("+", "-")) and not _TELEPHONE_NUMBER.fullmatch(cell):
        return "'" + cell
    return cell


class RowWriter:
    """Write rows in the encoding, delimiter and line break of a list, with its byte order mark if it has one.

    Every cell is neutralised and, where needed, quoted. The caller owns `stream`.
    """

    def __init__(self, stream: BinaryIO, like: NumberList) -> None:
        self._stream = stream
        self._encoding = like.encoding
        self._delimiter = like.delimiter
        self._newline = like.newline
        # `csv.writer` leaves a lone CR unquoted in files with LF, and so would break the row in two.
        self._needs_quotes = re.compile(rf'[{like.delimiter}"\r\n]')
        if like.has_mark:
            stream.write("\ufeff".encode(like.encoding))

    def write_row(self, cells: Sequence[str]) -> None:
        row = self._delimiter.join([self._written(neutralise(cell)) for cell in cells])
        self._stream.write((row + self._newline).encode(self._encoding))

    def _written(self, cell: str) -> str:
        if self._needs_quotes.search(cell) is None:
            return cell
        return '"' + cell.replace('"', '""') + '"'


def _refuse_other_kinds(head: bytes) -> None:
    advice = "give a CSV file in UTF-8 or GB18030, or an .xlsx workbook"
    advice_zh = "请提供 UTF-8 或 GB18030 编码的 CSV,或 .xlsx 工作簿"
    if head.startswith(_OLD_OFFICE):
        raise UnreadableListError(
            "the file is a workbook in the old .xls format, or one with a password; "
            "save it as .xlsx without a password, or as CSV",
            "该文件为旧版 .xls 工作簿或带密码的工作簿;请另存为不带密码的 .xlsx 或 CSV",
        )
    if _MARKUP.match(head.removeprefix(codecs.BOM_UTF8)):
        raise UnreadableListError(
            "the file is a web page or XML, even if it is named .xls; "
            "open it in a spreadsheet program and save it as .xlsx or CSV",
            "该文件实为网页或 XML(即使扩展名为 .xls);请用表格软件打开并另存为 .xlsx 或 CSV",
        )
    for magic, kind, kind_zh in _OTHER_KINDS:
        if head.startswith(magic):
            raise UnreadableListError(f"the file is {kind}; {advice}", f"该文件是{kind_zh};{advice_zh}")
