"""Lists of files with what is said of each: CSV in UTF-8 or GB18030 with the columns `file` and those of metadata."""

import codecs
import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from compliance.text_bytes import detect_form, stream
from recordings.metadata import FIELDS

FILE_COLUMN = "file"
_DELIMITERS = (",", "\t", ";")
_BAD_CHARACTER = "�"


class UnreadableFileListError(ValueError):
    """The list cannot be read at all; the message says why and what to do."""


class ListedFile(NamedTuple):
    """A row of a list. `line` is the physical line on which it begins; `fault` None: the row can be read."""

    line: int
    file: str
    cells: Mapping[str, str]
    fault: str | None


def read_file_list(path: Path) -> Iterator[ListedFile]:
    """Yield the rows of a list, blank ones left out; memory does not grow with the list.

    Raises:
        UnreadableFileListError: there is no header with `file`, a column is unknown or twice, or it is no CSV.
        UnreadableListError: it is text in UTF-32.
    """
    lines = _lines(path)
    header_line = next(lines, "")
    delimiter, header = _header(header_line)
    rows = csv.reader(lines, delimiter=delimiter)
    line = 2
    try:
        for cells in rows:
            if "".join(cells).strip():
                yield _listed(line, header, cells)
            line = rows.line_num + 2
    except csv.Error as error:
        msg = f"line {line} cannot be read ({error}); save the list as CSV again"
        raise UnreadableFileListError(msg) from error


def _listed(line: int, header: list[str], cells: list[str]) -> ListedFile:
    named = dict(zip(header, cells, strict=False))
    file = named.pop(FILE_COLUMN, "").strip()
    fault = None
    if len(cells) > len(header):
        fault = f"has {len(cells)} cells where the header has {len(header)}"
    elif _BAD_CHARACTER in "".join(cells):
        fault = "has bytes that are neither UTF-8 nor GB18030"
    elif not file:
        fault = "names no file"
    return ListedFile(line, file, named, fault)


def _header(line: str) -> tuple[str, list[str]]:
    """Return the delimiter and the names of the columns."""
    for delimiter in _DELIMITERS:
        names = [cell.strip().lower() for cell in next(csv.reader([line], delimiter=delimiter), [])]
        if FILE_COLUMN in names:
            break
    else:
        msg = f"line 1 has no column '{FILE_COLUMN}'; the columns are {FILE_COLUMN}, {', '.join(FIELDS)}"
        raise UnreadableFileListError(msg)
    while names and not names[-1]:
        names.pop()
    unknown = [name for name in names if name not in (FILE_COLUMN, *FIELDS)]
    if unknown or len(set(names)) != len(names):
        named = f"unknown columns ({', '.join(unknown[:10])[:200]})" if unknown else "a column twice"
        msg = f"line 1 has {named}; the columns are {FILE_COLUMN}, {', '.join(FIELDS)}"
        raise UnreadableFileListError(msg)
    return delimiter, names


def _lines(path: Path) -> Iterator[str]:
    form = detect_form(path)
    rest = ""
    for text in codecs.iterdecode(stream(path, form), form.streamed_as, "replace"):
        *whole, rest = (rest + text).split("\n")
        yield from (f"{line}\n" for line in whole)
    if rest:
        yield rest
