"""The bytes of a text file: which encoding they are in, and how to stream them with bounded memory.

Knows UTF-8, GB18030 and UTF-16. In UTF-8 and in GB18030 the bytes of `,` `;` TAB `"` LF and CR stand for
nothing else: the later bytes of a GB18030 character are 0x30-0x39, 0x40-0x7E and 0x80-0xFE. So rows and
cells can be found in raw bytes. (Digits and letters cannot: a GB18030 character may contain them.) UTF-16
has no such luck and is turned into UTF-8 as it streams; bytes that are not UTF-16 become bytes that are
not UTF-8, so that only the row they are in is lost.
"""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from compliance.list_rows import UnreadableListError

LONGEST_LINE = 1 << 20
"""Bytes of the longest row that is read, without its line break. Longer rows are faults of their own."""

LINE_BREAK = re.compile(rb"\r\n|\r|\n")

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (b"\x84\x31\x95\x33", "gb18030"),
)
_HEAD_BYTES = 1 << 16
_ENOUGH_EVIDENCE = 1000
_LEAST_LEAD_OF_THREE_BYTES = 0xE0


@dataclass(frozen=True, slots=True)
class TextForm:
    """`encoding` is utf-8, gb18030, utf-16-le or utf-16-be; `mark` the byte order mark, empty if none."""

    encoding: str
    mark: bytes

    @property
    def streamed_as(self) -> str:
        """The encoding in which the text streams: gb18030 or utf-8."""
        return "gb18030" if self.encoding == "gb18030" else "utf-8"


def detect_form(path: Path) -> TextForm:
    """Tell the encoding of a text file by its mark, its zero bytes, or what most of its rows are valid in.

    One bad row does not change the answer. Reads the file up to 1,000 rows that are not ASCII.

    Raises:
        UnreadableListError: the file is UTF-32.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        raise UnreadableListError(
            "the file is text in UTF-32, which is not read; save it as CSV in UTF-8 or GB18030",
            "文件编码为 UTF-32,无法读取;请另存为 UTF-8 或 GB18030 编码的 CSV",
        )
    for mark, encoding in _BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return TextForm(encoding, mark)
    return TextForm(_utf_16_without_mark(head) or _likelier_encoding(path), b"")


def stream(path: Path, form: TextForm, *, chunk_bytes: int = LONGEST_LINE) -> Iterator[bytes]:
    """Yield the text in `form.streamed_as`, without its mark, in chunks of about `chunk_bytes`.

    A physical line longer than `LONGEST_LINE` loses its middle and stays too long by one byte or more.
    """
    chunks = _raw_chunks(path, skip=len(form.mark), size=min(chunk_bytes, LONGEST_LINE))
    if form.encoding.startswith("utf-16"):
        chunks = _as_utf_8(chunks, form.encoding)
    return _without_endless_lines(chunks)


def is_valid(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _raw_chunks(path: Path, *, skip: int, size: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(skip)
        while chunk := file.read(size):
            yield chunk


def _as_utf_8(chunks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    # "surrogatepass" lets half a surrogate pair through as bytes that strict UTF-8 refuses later, in its row.
    decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
    for chunk in chunks:
        yield decoder.decode(chunk).encode("utf-8", "surrogatepass")
    if decoder.getstate()[0]:
        yield b"\xff"


def _without_endless_lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    passed_on = 0
    for chunk in chunks:
        line_break = LINE_BREAK.search(chunk)
        first_break = line_break.start() if line_break else len(chunk)
        room = max(LONGEST_LINE + 1 - passed_on, 0)
        yield chunk if first_break <= room else chunk[:room] + chunk[first_break:]
        if line_break:
            passed_on = len(chunk) - 1 - max(chunk.rfind(b"\n"), chunk.rfind(b"\r"))
        else:
            passed_on += min(first_break, room)


def _utf_16_without_mark(head: bytes) -> str | None:
    """Recognise UTF-16 by the zero bytes of its digits, delimiters and line breaks, all on the same side.

    The header row must have some too: zero bytes further down only are damage in text of another encoding.
    """
    if b"\0" not in head.partition(b"\n")[0]:
        return None
    zeros_first, zeros_second = head[0::2].count(0), head[1::2].count(0)
    enough = len(head) / 2 * 0.2
    if zeros_second > enough and zeros_second >= 4 * zeros_first:
        return "utf-16-le"
    if zeros_first > enough and zeros_first >= 4 * zeros_second:
        return "utf-16-be"
    return None


def _likelier_encoding(path: Path) -> str:
    """Count lines that speak for UTF-8 and for GB18030; a file that is all ASCII is UTF-8.

    A line with a valid character of three bytes or more speaks for UTF-8: hardly any text in GB18030 is that by
    accident. Characters of two bytes speak for nothing, since 一 in GB18030 is a valid one in UTF-8.
    """
    for_utf_8 = for_gb18030 = 0
    for line in _lines_beyond_ascii(path):
        if not is_valid(line, "utf-8"):
            for_gb18030 += is_valid(line, "gb18030")
        elif max(line) >= _LEAST_LEAD_OF_THREE_BYTES:
            for_utf_8 += 1
        if for_utf_8 + for_gb18030 >= _ENOUGH_EVIDENCE:
            break
    return "gb18030" if for_gb18030 > for_utf_8 else "utf-8"


def _lines_beyond_ascii(path: Path) -> Iterator[bytes]:
    rest = b""
    for chunk in _raw_chunks(path, skip=0, size=LONGEST_LINE):
        if chunk.isascii() and not rest:
            continue
        *lines, rest = LINE_BREAK.split(rest + chunk)
        yield from (line for line in lines if not line.isascii())
        rest = b"" if rest.isascii() or len(rest) > LONGEST_LINE else rest
    if rest:
        yield rest
