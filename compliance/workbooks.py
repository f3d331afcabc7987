"""Excel workbooks (.xlsx) as lists: checked before they are opened, then read row by row.

Owns the safety checks and the text of cells. Only the first visible worksheet is read. Unlike text, a sheet
is held in memory as a whole; `WorkbookLimits` bounds how much that can be.
"""

import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import chain, repeat
from pathlib import Path

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

from compliance.list_rows import Row, UnreadableListError, number_column_of
from compliance.uncalculated_cells import Cells, cells_taken_for_empty, damaged_workbook

CellValue = int | float | str | bool | time | date | datetime | timedelta

_CHUNK_BYTES = 1 << 20
_CELL_REFERENCE = re.compile(rb"""\br\s*=\s*["']\s*([A-Za-z]{1,7})0*+([0-9]+)""")
_CELL = re.compile(rb"<(?:\w+:)?c[\s/>]")
_ROW_REFERENCE = re.compile(rb"""<(?:\w+:)?row\b[^<>]*?\sr\s*=\s*["']\s*0*+([0-9]+)""")
_ROW = re.compile(rb"<(?:\w+:)?row[\s/>]")
_SHARED_STRINGS = "xl/sharedstrings.xml"
_STRING_END = re.compile(rb"</(?:\w+:)?si\s*>|<(?:\w+:)?si\s*/>")
_VALUE = re.compile(rb"<(?:\w+:)?v\b[^<>]*>\s*([0-9]{1,9})\s*(?:<|\Z)")
_LONGEST_TAG = 1 << 20
_MOST_DIGITS = 9
_LARGEST_EXACT_FLOAT = 2**53
_ENCRYPTED = 0x1
_OTHER_FORMATS = frozenset({"xl/workbook.bin", "content.xml"})
"""What .xlsb and .ods hold."""


@dataclass(frozen=True, slots=True)
class WorkbookLimits:
    """What a workbook may grow to. A compression ratio is judged from `ratio_from_bytes` on only."""

    unpacked_bytes: int = 2 << 30
    ratio: int = 200
    ratio_from_bytes: int = 64 << 20
    cells: int = 20_000_000
    text_bytes: int = 2 << 30


DEFAULT_LIMITS = WorkbookLimits()


@dataclass(frozen=True, slots=True)
class SheetBlock:
    """Rows of a workbook. There are no bytes to search, so it is never `plain`."""

    first_line: int
    data: bytes
    plain: bool
    sheet_rows: tuple[Row, ...]

    def rows(self) -> Iterator[Row]:
        return iter(self.sheet_rows)


@dataclass(frozen=True, slots=True)
class SheetTable:
    """A worksheet whose header is known. `header_line` is the number of its row in the sheet."""

    sheet: CalamineSheet
    headers: tuple[str, ...]
    number_column: int
    header_line: int
    uncalculated: Cells

    def blocks(self, rows_each: int) -> Iterator[SheetBlock]:
        """Yield all rows after the header, at most `rows_each` to a block."""
        rows: list[Row] = []
        for row in self._rows():
            rows.append(row)
            if len(rows) == rows_each:
                yield SheetBlock(rows[0].line, b"", plain=False, sheet_rows=tuple(rows))
                rows = []
        if rows:
            yield SheetBlock(rows[0].line, b"", plain=False, sheet_rows=tuple(rows))

    def _rows(self) -> Iterator[Row]:
        line = 0
        for line, values in enumerate(self.sheet.iter_rows(), start=1):
            if line > self.header_line:
                yield Row(line, _texts(values, self.uncalculated.get(line)))
        # The reader ends at the last cell that it does not take for empty.
        for beyond in range(line + 1, max(self.uncalculated, default=0) + 1):
            yield Row(beyond, _texts([""] * len(self.headers), self.uncalculated.get(beyond)))


def open_sheet(path: Path, limits: WorkbookLimits) -> SheetTable:
    """Check the workbook, then find the header: the first row of its first visible sheet that is not blank.

    Raises:
        UnreadableListError: not a sound .xlsx, too large, empty, or without a column of telephone numbers.
    """
    check_workbook(path, limits)
    index, sheet = _first_visible_sheet(path)
    uncalculated = cells_taken_for_empty(path, index)
    for line, values in enumerate(sheet.iter_rows(), start=1):
        cells = _texts(values, uncalculated.get(line))
        if any(cell.strip() for cell in cells):
            return SheetTable(sheet, cells, number_column_of(cells, line=line), line, uncalculated)
    raise UnreadableListError(
        "the first visible sheet of the workbook is empty; it needs a header row and one row for each number",
        "工作簿的第一个可见工作表为空;须有一行表头,其后每行一个号码",
    )


def check_workbook(path: Path, limits: WorkbookLimits) -> None:
    """Refuse what is no .xlsx, what declares a larger size than allowed, and what does not keep to its declaration.

    Raises:
        UnreadableListError: as above.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            _check_is_workbook(members)
            _check_declared_sizes(members, limits)
            cells = sum(_check_member(archive, member, limits) for member in members)
            _check_shared_text(archive, cells, limits)
    # zipfile answers damage and unknown compression with whatever its parts happen to raise.
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise damaged_workbook() from error


def cell_text(value: CellValue) -> str:
    """Return the text of a cell: 13800138000.0 as 13800138000, dates and times in ISO 8601.

    A number that a float cannot hold exactly, or with a fraction, stays as Python writes it, so that
    whoever reads it as a telephone number fails and can say why.
    """
    match value:
        case str():
            return value
        case bool():
            return "TRUE" if value else "FALSE"
        case float() if value.is_integer() and abs(value) < _LARGEST_EXACT_FLOAT:
            return str(int(value))
        case datetime() if value.time() == time():
            return value.date().isoformat()
        case datetime() | date() | time():
            return value.isoformat()
        case _:
            return str(value)


def _check_is_workbook(members: list[zipfile.ZipInfo]) -> None:
    names = {member.filename for member in members}
    # Beside these, the reader would turn to a part of another format, which is not checked here.
    is_workbook = {"[Content_Types].xml", "xl/workbook.xml"} <= names and names.isdisjoint(_OTHER_FORMATS)
    if not is_workbook:
        raise UnreadableListError(
            "the file is a zip archive, but no .xlsx workbook; unpack it, or save the list as .xlsx or CSV",
            "该文件是压缩包,但不是 .xlsx 工作簿;请先解压,或另存为 .xlsx 或 CSV",
        )
    if any(member.flag_bits & _ENCRYPTED for member in members):
        raise UnreadableListError(
            "the workbook is encrypted; save it without a password",
            "工作簿已加密;请取消密码后重新保存",
        )


def _check_declared_sizes(members: list[zipfile.ZipInfo], limits: WorkbookLimits) -> None:
    unpacked = sum(member.file_size for member in members)
    packed = sum(member.compress_size for member in members)
    if unpacked > limits.unpacked_bytes:
        raise UnreadableListError(
            f"the workbook unpacks to {unpacked} bytes, more than the {limits.unpacked_bytes} allowed; "
            f"save the list as CSV, or split it",
            f"工作簿解压后为{unpacked}字节,超过上限{limits.unpacked_bytes};请另存为 CSV 或拆分",
        )
    if unpacked > limits.ratio_from_bytes and unpacked > packed * limits.ratio:
        raise UnreadableListError(
            f"the workbook unpacks to more than {limits.ratio} times its size, as a zip bomb does; "
            f"save the list as CSV",
            f"工作簿解压后超过其大小的{limits.ratio}倍,疑似压缩炸弹;请另存为 CSV",
        )


def _check_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, limits: WorkbookLimits) -> int:
    """Unpack one member to nowhere: its size and checksum must be those declared, and its sheet not too wide.

    One cell far out makes a sheet as large as the rectangle up to it, so the corner is looked for beforehand.
    Return the number of cells.
    """
    corner = _Corner()
    for tags in _pieces(archive, member):
        corner.take(tags)
        if corner.rows * corner.columns > limits.cells:
            raise _too_many_cells(corner.rows, corner.columns, limits)
    return corner.cells


def _pieces(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[bytes]:
    """Yield a member cut before tags; of a tag too long to be one, the spaces are drawn together."""
    tail = b""
    with archive.open(member) as file:
        while chunk := file.read(_CHUNK_BYTES):
            tags, begun, rest = (tail + chunk).rpartition(b"<")
            tail = begun + rest
            if len(tail) > _LONGEST_TAG:
                tail = re.sub(rb"\s+", b" ", tail)[-_LONGEST_TAG:]
            yield tags
    yield tail


def _check_shared_text(archive: zipfile.ZipFile, cells: int, limits: WorkbookLimits) -> None:
    """Refuse a workbook whose cells repeat shared strings to more text than allowed: the reader copies each."""
    lengths = _shared_lengths(archive, limits)
    if max(lengths, default=0) * cells <= limits.text_bytes:
        return
    text_bytes = 0
    for member in archive.infolist():
        for tags in _pieces(archive, member):
            for number, times in Counter(_VALUE.findall(tags)).items():
                text_bytes += lengths[int(number)] * times if int(number) < len(lengths) else 0
    if text_bytes > limits.text_bytes:
        raise UnreadableListError(
            f"the cells of the workbook hold {text_bytes} bytes of text, more than the {limits.text_bytes} allowed; "
            f"save the list as CSV, or split it",
            f"工作簿单元格的文字共{text_bytes}字节,超过上限{limits.text_bytes};请另存为 CSV 或拆分",
        )


def _shared_lengths(archive: zipfile.ZipFile, limits: WorkbookLimits) -> list[int]:
    """Return of each shared string at most how many bytes it has."""
    lengths: list[int] = []
    open_bytes = 0
    for member in archive.infolist():
        if member.filename.lower() != _SHARED_STRINGS:
            continue
        for tags in _pieces(archive, member):
            *ended, begun = _STRING_END.split(tags)
            for text in ended:
                lengths.append(open_bytes + len(text))
                open_bytes = 0
            open_bytes += len(begun)
            if len(lengths) > limits.cells:
                raise _too_many_cells(len(lengths), 1, limits)
    return lengths


@dataclass(slots=True)
class _Corner:
    """How far a sheet reaches, as far as it has been seen: no cell lies beyond `rows` and `columns`.

    Any member of the archive may be a sheet, whatever its name. Rows and cells without a reference follow the one
    before, so such rows count on top of the last row named, and the cells of the widest row that has such ones on
    top of the last column named.
    """

    last_row: int = 0
    last_column: int = 0
    rows_without_number: int = 0
    widest_row: int = 0
    cells_of_open_row: int = 0
    cells: int = 0

    @property
    def rows(self) -> int:
        return self.last_row + self.rows_without_number

    @property
    def columns(self) -> int:
        return self.last_column + self.widest_row

    def take(self, tags: bytes) -> None:
        """See more of the sheet, cut between tags."""
        cells = _CELL_REFERENCE.findall(tags)
        for letters, digits in set(cells):
            self.last_column = max(self.last_column, _column_number(letters))
            self.last_row = max(self.last_row, _row_number(digits))
        rows = _ROW_REFERENCE.findall(tags)
        self.last_row = max([self.last_row, *map(_row_number, rows)])
        self.rows_without_number += len(_ROW.findall(tags)) - len(rows)
        found = len(_CELL.findall(tags))
        self.cells += found
        if found > len(cells):
            self._count_cells(tags)

    def _count_cells(self, tags: bytes) -> None:
        for number, row in enumerate(_ROW.split(tags)):
            found = len(_CELL.findall(row))
            self.cells_of_open_row = found + (self.cells_of_open_row if number == 0 else 0)
            self.widest_row = max(self.widest_row, self.cells_of_open_row)


def _row_number(digits: bytes) -> int:
    return int(digits) if len(digits) <= _MOST_DIGITS else 10**_MOST_DIGITS


def _column_number(letters: bytes) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + letter - ord("A") + 1
    return number


def _texts(values: Sequence[CellValue], uncalculated: Mapping[int, str] | None) -> tuple[str, ...]:
    if uncalculated is None:
        return tuple(map(cell_text, values))
    width = max(len(values), max(uncalculated) + 1)
    cells = chain(map(cell_text, values), repeat(""))
    return tuple(uncalculated.get(column, text) for column, text in zip(range(width), cells, strict=False))


def _first_visible_sheet(path: Path) -> tuple[int, CalamineSheet]:
    try:
        # Not `from_path`, which goes by the name of the file before it looks inside.
        with path.open("rb") as file, CalamineWorkbook.from_filelike(file) as workbook:
            for index, sheet in enumerate(workbook.sheets_metadata):
                if sheet.typ == SheetTypeEnum.WorkSheet and sheet.visible == SheetVisibleEnum.Visible:
                    return index, workbook.get_sheet_by_index(index)
    except (CalamineError, OSError, ValueError) as error:
        raise damaged_workbook() from error
    raise UnreadableListError(
        "the workbook has no visible worksheet; unhide the sheet with the list",
        "工作簿没有可见的工作表;请取消隐藏名单所在的工作表",
    )


def _too_many_cells(rows: int, columns: int, limits: WorkbookLimits) -> UnreadableListError:
    return UnreadableListError(
        f"a sheet of the workbook reaches to row {rows} and column {columns}, more than {limits.cells} cells; "
        f"delete the empty rows and columns beyond the list, or save it as CSV",
        f"工作表延伸至第{rows}行第{columns}列,超过{limits.cells}个单元格;请删除名单以外的空行空列,或另存为 CSV",
    )
