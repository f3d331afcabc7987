"""Cells of a worksheet that its reader takes for empty: errors such as #N/A, and formulas never calculated.

Programs that write workbooks leave formulas for Excel to calculate. A number in such a cell, taken for none, would
leave its row out of a do-not-call list without a word; so these cells get the text of their error or formula.
"""

import re
import zipfile
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from posixpath import join, normpath

from compliance.list_rows import UnreadableListError

Cells = dict[int, dict[int, str]]
"""Text by row of the sheet, from 1, and by column, from 0."""

MOST_CELLS = 1_000_000
_CHUNK_BYTES = 1 << 20
_LONGEST_ROW = 64 << 20
_WORKBOOK = "xl/workbook.xml"
_RELATIONS = "xl/_rels/workbook.xml.rels"

_SHEET = re.compile(rb"""<(?:\w+:)?sheet\s[^<>]*?:id\s*=\s*["']([^"']*)["']""")
_RELATION = re.compile(rb"<(?:\w+:)?Relationship\s[^<>]*>")
_ID = re.compile(rb"""\sId\s*=\s*["']([^"']*)["']""")
_TARGET = re.compile(rb"""\sTarget\s*=\s*["']([^"']*)["']""")
_SUSPECT = re.compile(rb"""<(?:\w+:)?f[\s/>]|\st\s*=\s*["']e["']""")
_BEFORE_ROW = re.compile(rb"(?=<(?:\w+:)?row[\s/>])")
_ROW_NUMBER = re.compile(rb"""<(?:\w+:)?row\b[^<>]*?\sr\s*=\s*["']\s*([0-9]{1,9})["']""")
_ROW = re.compile(rb"<(?:\w+:)?row[\s/>]")
_CELL = re.compile(rb"<(?:\w+:)?c(\s[^<>]*?)?(?:/>|>(.*?)</(?:\w+:)?c\s*>)", re.DOTALL)
_COLUMN = re.compile(rb"""\sr\s*=\s*["']\s*([A-Za-z]{1,3})[0-9]""")
_KIND = re.compile(rb"""\st\s*=\s*["'](\w+)["']""")
_FORMULA = re.compile(rb"<(?:\w+:)?f\b[^<>]*?(?:/>|>([^<]*)<)")
_VALUE = re.compile(rb"<(?:\w+:)?v\b[^<>]*?(?:/>|>([^<]*)<)")


def cells_taken_for_empty(path: Path, sheet: int) -> Cells:
    """Return these cells of the sheet that stands at `sheet`, from 0, in a workbook that was checked before.

    Raises:
        UnreadableListError: there are more than `MOST_CELLS`, or a row is too long to be one.
    """
    with zipfile.ZipFile(path) as archive:
        member = _member(archive, sheet)
        if member is None or not any(_SUSPECT.search(chunk) for chunk in _overlapping(archive, member)):
            return {}
        return _found(_rows(archive, member))


def _member(archive: zipfile.ZipFile, sheet: int) -> str | None:
    if _RELATIONS not in archive.namelist():
        return None
    names = _SHEET.findall(archive.read(_WORKBOOK))
    relations = _RELATION.findall(archive.read(_RELATIONS))
    targets = {_first(_ID, one): _first(_TARGET, one).decode("utf-8", "replace") for one in relations}
    target = targets.get(names[sheet]) if sheet < len(names) else None
    member = None if target is None else normpath(join("xl", target)).lstrip("/")
    return member if member in archive.namelist() else None


def _first(pattern: re.Pattern[bytes], text: bytes) -> bytes:
    found = pattern.search(text)
    return b"" if found is None else found[1] or b""


def _overlapping(archive: zipfile.ZipFile, member: str) -> Iterator[bytes]:
    """Yield a member in chunks of which each begins with the end of the one before, so that no tag is cut for good."""
    end = b""
    with archive.open(member) as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield end + chunk
            end = chunk[-64:]


def _rows(archive: zipfile.ZipFile, member: str) -> Iterator[bytes]:
    begun = b""
    with archive.open(member) as file:
        while chunk := file.read(_CHUNK_BYTES):
            *whole, begun = _BEFORE_ROW.split(begun + chunk)
            yield from whole
            if len(begun) > _LONGEST_ROW:
                raise UnreadableListError(
                    "a row of the workbook is too long to be one of a list; save the list as CSV",
                    "工作簿中有一行过长,不是名单中的行;请另存为 CSV",
                )
    yield begun


def _found(rows: Iterator[bytes]) -> Cells:
    found: Cells = {}
    number = count = 0
    for row in rows:
        if _ROW.match(row) is None:
            continue
        number = int(_first(_ROW_NUMBER, row) or number + 1)
        if _SUSPECT.search(row) is None:
            continue
        cells = _cells_of(row)
        count += len(cells)
        if count > MOST_CELLS:
            raise UnreadableListError(
                f"the workbook has errors, or formulas that were never calculated, in more than {MOST_CELLS} cells; "
                f"open it in a spreadsheet program, put their values in their place and save it",
                f"工作簿中有超过{MOST_CELLS}个单元格为错误值或未计算的公式;请用表格软件打开,粘贴为数值后保存",
            )
        if cells:
            found[number] = cells
    return found


def _cells_of(row: bytes) -> dict[int, str]:
    found: dict[int, str] = {}
    column = -1
    for attributes, content in _CELL.findall(row):
        letters = _first(_COLUMN, attributes)
        column = _column(letters) if letters else column + 1
        text = _text(_first(_KIND, attributes), content)
        if text is not None:
            found[column] = text
    return found


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + letter - ord("A") + 1
    return number - 1


def _text(kind: bytes, content: bytes) -> str | None:
    """Return the text of an error, or of a formula without a value; None for any other cell."""
    value, formula = _VALUE.search(content), _FORMULA.search(content)
    if kind == b"e":
        return unescape((value[1] or b"").decode("utf-8", "replace")) if value and value[1] else "#N/A"
    if formula is None or (value is not None and (value[1] or kind == b"str")):
        return None
    return "=" + unescape((formula[1] or b"").decode("utf-8", "replace"))
