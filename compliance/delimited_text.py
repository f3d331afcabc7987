"""Delimited text as people really have it: finding its header, its rows and its cells, with bounded memory.

Quotes follow RFC 4180: a quoted cell begins with `"`, may hold delimiters and line breaks, doubles its
quotes and ends before a delimiter or a line break. A `"` inside an unquoted cell is a character like any
other. A row ends at LF, CRLF or CR. A quote that is never closed, or closed before other text, spoils the
physical line on which its row starts and nothing else: reading goes on with the next line, because a
row swallowed by a neighbour's quote would be a person left unprotected.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path

from compliance.list_rows import (
    NUMBER_HEADERS,
    Row,
    RowFault,
    UnreadableListError,
    find_column,
    number_column_of,
    too_few_cells,
)
from compliance.text_bytes import LINE_BREAK, LONGEST_LINE, TextForm, detect_form, is_valid, stream

DELIMITERS = (",", "\t", ";")

_PHYSICAL_LINE = re.compile(rb"[^\r\n]*+(?:\r\n|\r|\n|\Z)")
_CONTROL_CHARACTER = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")

_TOO_LONG = RowFault(
    f"the row is longer than {LONGEST_LINE} bytes; break it up or remove it",
    f"该行超过{LONGEST_LINE}字节;请拆分或删除该行",
)
_BAD_QUOTE = RowFault(
    'a quoted cell of the row is not closed, or is closed before other text; double each " inside a quoted cell',
    '该行有引号未闭合,或闭合后还有其他文字;引号内的 " 须写成两个',
)
_NUL = RowFault("the row has a NUL byte; remove it", "该行含有空字节(NUL);请删除")


@dataclass(frozen=True, slots=True)
class TextBlock:
    """Whole rows of a file, in a row, as bytes in `encoding` (utf-8 or gb18030).

    `first_line` is the physical line on which the block starts. `plain` promises that each physical line
    is one row without fault of reading: there are no quotes, NUL bytes, lone CRs, invalid bytes or rows
    that are too long, so `data` may be split at LF (a CR before it belongs to the line break) and at `delimiter` as raw
    bytes.
    The promise is about reading only: rows may still be blank, ragged or hold no number. `written_in` is the
    encoding of the file itself, for messages.
    """

    first_line: int
    data: bytes
    plain: bool
    encoding: str
    written_in: str
    delimiter: str
    number_column: int

    def rows(self) -> Iterator[Row]:
        return self._plain_rows() if self.plain else self._careful_rows()

    def _plain_rows(self) -> Iterator[Row]:
        """Yield what `_careful_rows` would, at half the cost: nearly every block of nearly every list is plain."""
        lines = self.data.decode(self.encoding).replace("\r\n", "\n").split("\n")
        if not lines[-1]:
            lines.pop()
        delimiter, number_column = self.delimiter, self.number_column
        for line, text in enumerate(lines, self.first_line):
            cells = tuple(text.split(delimiter))
            yield Row(line, cells, None if len(cells) > number_column else self._fault_of_few(cells))

    def _careful_rows(self) -> Iterator[Row]:
        line = self.first_line
        for raw, is_whole in _raw_rows(self.data, _record(self.delimiter)):
            yield self._row(raw, line, None if is_whole else _BAD_QUOTE)
            line += 1 + (len(LINE_BREAK.findall(raw)) if is_whole and b'"' in raw else 0)

    def _row(self, raw: bytes, line: int, fault: RowFault | None) -> Row:
        if len(raw) > LONGEST_LINE:
            return Row(line, (), _TOO_LONG)
        try:
            text = raw.decode(self.encoding)
        except UnicodeDecodeError:
            text = raw.decode(self.encoding, "replace")
            fault = _bytes_that_are_not(self.written_in)
        if "\0" in text:
            text = text.replace("\0", "\ufffd")
            fault = _NUL
        cells = _cells(text, self.delimiter) if fault is None else tuple(text.split(self.delimiter))
        if fault is None and len(cells) <= self.number_column:
            fault = self._fault_of_few(cells)
        return Row(line, cells, fault)

    def _fault_of_few(self, cells: Sequence[str]) -> RowFault | None:
        """Return the fault of a row that ends before the number, unless it is blank."""
        return too_few_cells(len(cells), self.number_column) if any(cell.strip() for cell in cells) else None


@dataclass(frozen=True, slots=True)
class TextTable:
    """A delimited text file whose header is known. `newline` is that of the header row.

    `body_offset` counts bytes of the stream (see `text_bytes.stream`); `body_line` is the line it falls on.
    """

    path: Path
    form: TextForm
    delimiter: str
    newline: str
    headers: tuple[str, ...]
    number_column: int
    body_offset: int
    body_line: int

    def blocks(self, size: int) -> Iterator[TextBlock]:
        """Yield all rows after the header in blocks of about `size` bytes that end between rows.

        Needs a few times `size` plus `LONGEST_LINE` of memory.
        """
        line, pending = self.body_line, b""
        for chunk in self._body(size):
            pending += chunk
            end = _end_of_whole_rows(pending, _record(self.delimiter)) if len(pending) >= size else 0
            if end:
                yield self._block(line, pending[:end])
                line += _line_breaks(pending[:end])
                pending = pending[end:]
        if pending:
            yield self._block(line, pending)

    def _body(self, chunk_bytes: int) -> Iterator[bytes]:
        to_skip = self.body_offset
        for chunk in stream(self.path, self.form, chunk_bytes=chunk_bytes):
            yield chunk[to_skip:]
            to_skip = max(to_skip - len(chunk), 0)

    def _block(self, line: int, data: bytes) -> TextBlock:
        encoding = self.form.streamed_as
        return TextBlock(
            first_line=line,
            data=data,
            plain=_is_plain(data, encoding),
            encoding=encoding,
            written_in=self.form.encoding,
            delimiter=self.delimiter,
            number_column=self.number_column,
        )


@dataclass(frozen=True, slots=True)
class _Header:
    delimiter: str
    cells: tuple[str, ...]
    start: int
    end: int


def open_text(path: Path) -> TextTable:
    """Find encoding, delimiter and header of a text file. Blank lines before the header are passed over.

    Raises:
        UnreadableListError: empty, not text, or without a column of telephone numbers.
    """
    form = detect_form(path)
    # One chunk more than the longest line, so that the header is whole or too long.
    head = b"".join(islice(stream(path, form), 3))
    start = _start_of_header(head)
    header = _header(head, start, form.streamed_as)
    breaks = LINE_BREAK.findall(head[start : header.end])
    return TextTable(
        path=path,
        form=form,
        delimiter=header.delimiter,
        newline=breaks[-1].decode() if breaks else "\r\n",
        headers=header.cells,
        number_column=number_column_of(header.cells, line=_line_breaks(head[:start]) + 1),
        body_offset=header.end,
        body_line=_line_breaks(head[: header.end]) + 1,
    )


def _start_of_header(head: bytes) -> int:
    start = 0
    while start < len(head):
        end = _end_of(_PHYSICAL_LINE, head, start)
        if head[start:end].strip():
            return start
        start = end
    raise UnreadableListError(
        "the file is empty; it needs a header row and one row for each number",
        "文件为空;文件须有一行表头,其后每行一个号码",
    )


def _header(head: bytes, start: int, encoding: str) -> _Header:
    """Try each delimiter; the best gives a number column, then the most cells, then comes first."""
    candidates = [_header_by(delimiter, head, start, encoding) for delimiter in DELIMITERS]
    return max(
        candidates,
        key=lambda header: (find_column(header.cells, NUMBER_HEADERS) is not None, len(header.cells)),
    )


def _header_by(delimiter: str, head: bytes, start: int, encoding: str) -> _Header:
    match = _record(delimiter).match(head, start)
    end = match.end() if match else _end_of(_PHYSICAL_LINE, head, start)
    raw = head[start:end].rstrip(b"\r\n")
    try:
        text = raw.decode(encoding) if len(raw) <= LONGEST_LINE else "\0"
    except UnicodeDecodeError:
        text = "\0"
    if _CONTROL_CHARACTER.search(text):
        raise UnreadableListError(
            "the file does not begin with a header row of text; it is a picture, a program or damaged. "
            "Give a CSV file in UTF-8 or GB18030, or an .xlsx workbook",
            "文件开头不是文本表头,可能是图片、程序或已损坏;请提供 UTF-8 或 GB18030 编码的 CSV,或 .xlsx 工作簿",
        )
    cells = _cells(text, delimiter) if match else tuple(text.split(delimiter))
    return _Header(delimiter, cells, start, end)


@cache
def _record(delimiter: str) -> re.Pattern[bytes]:
    """Match one well-formed row with its line break. Possessive throughout, so it never backtracks."""
    d = re.escape(delimiter.encode())
    cell = rb'(?:"[^"]*+(?:""[^"]*+)*+"|[^"\r\n%b][^\r\n%b]*+)?+' % (d, d)
    return re.compile(rb"%b(?:%b%b)*+(?:\r\n|\r|\n|\Z)" % (cell, d, cell))


@cache
def _cell(delimiter: str) -> re.Pattern[str]:
    d = re.escape(delimiter)
    return re.compile(rf'(?:^|{d})(?:"([^"]*+(?:""[^"]*+)*+)"|([^{d}]*+))')


def _cells(text: str, delimiter: str) -> tuple[str, ...]:
    """Split one well-formed row without its line break."""
    if '"' not in text:
        return tuple(text.split(delimiter))
    found = _cell(delimiter).findall(text)
    return tuple(quoted.replace('""', '"') if quoted else unquoted for quoted, unquoted in found)


def _raw_rows(data: bytes, record: re.Pattern[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Yield the bytes of each row without its line break, and whether its quotes are well formed."""
    if b'"' not in data:
        lines = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        yield from ((line, True) for line in (lines if lines[-1] else lines[:-1]))
        return
    start = 0
    while start < len(data):
        match = record.match(data, start)
        is_whole = match is not None and _fits(data, start, match.end())
        end = match.end() if match is not None and is_whole else _end_of(_PHYSICAL_LINE, data, start)
        yield _without_line_break(data[start:end]), is_whole
        start = end


def _end_of_whole_rows(data: bytes, record: re.Pattern[bytes]) -> int:
    """Return where the last row ends of which `data`, a part of a file, shows the whole; 0 if none does."""
    # A CR at the end may be half of a CRLF.
    known = len(data) - data.endswith(b"\r")
    if b'"' not in data:
        return max(data.rfind(b"\n", 0, known), data.rfind(b"\r", 0, known)) + 1
    start = 0
    while start < known:
        match = record.match(data, start)
        if match is not None and _fits(data, start, match.end()):
            end = match.end()
            is_certain = end < len(data) or data.endswith(b"\n")
        else:
            end = _end_of(_PHYSICAL_LINE, data, start)
            is_certain = len(data) - start > LONGEST_LINE + len(b"\r\n") and end < len(data)
        if not is_certain:
            break
        start = end
    return start


def _bytes_that_are_not(encoding: str) -> RowFault:
    name = encoding.upper()
    return RowFault(
        f"the row has bytes that are not {name}; type the row again and save it",
        f"该行含有非 {name} 编码的字节;请重新录入并保存该行",
    )


def _fits(data: bytes, start: int, end: int) -> bool:
    return len(_without_line_break(data[start:end])) <= LONGEST_LINE


def _without_line_break(row: bytes) -> bytes:
    return row.removesuffix(b"\n").removesuffix(b"\r") if row.endswith(b"\n") else row.removesuffix(b"\r")


def _end_of(pattern: re.Pattern[bytes], data: bytes, start: int) -> int:
    match = pattern.match(data, start)
    return match.end() if match else len(data)


def _line_breaks(data: bytes) -> int:
    returns = data.count(b"\r")
    return data.count(b"\n") + (returns - data.count(b"\r\n") if returns else 0)


def _is_plain(data: bytes, encoding: str) -> bool:
    if b'"' in data or b"\0" in data or _has_long_line(data):
        return False
    if b"\r" in data and data.count(b"\r") != data.count(b"\r\n"):
        return False
    return data.isascii() or is_valid(data, encoding)


def _has_long_line(data: bytes) -> bool:
    """Say whether a line is longer than `LONGEST_LINE`, by leaping as far as the longest may reach."""
    start = 0
    while len(data) - start > LONGEST_LINE:
        line_feed = data.rfind(b"\n", start, start + LONGEST_LINE + 1)
        if line_feed < 0:
            return True
        start = line_feed + 1
    return False
