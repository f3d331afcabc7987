"""Cells of a worksheet that its reader takes for empty: errors such as #N/A, and formulas never calculated.

Programs that write workbooks leave formulas for Excel to calculate. A number in such a cell, taken for none, would
leave its row out of a do-not-call list without a word; so these cells get the text of their error or formula.
"""

import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from posixpath import join, normpath
from xml.etree.ElementTree import ParseError, fromstring
from xml.parsers import expat

from compliance.list_rows import UnreadableListError

Cells = dict[int, dict[int, str]]
"""Text by row of the sheet, from 1, and by column, from 0."""

MOST_CELLS = 1_000_000
_CHUNK_BYTES = 1 << 20
_WORKBOOK = "xl/workbook.xml"
_RELATIONS = "xl/_rels/workbook.xml.rels"
_SUSPECT = re.compile(rb"""<(?:\w+:)?f[\s/>]|\st\s*=\s*["']e["']""")
_REFERENCE = re.compile(r"([A-Za-z]{1,3})[0-9]+")
_LONGEST_NUMBER = 9
_LONGEST_TEXT = 1_000
"""Of a formula or an error so much is kept; it is shown to whoever puts the list right."""


def cells_taken_for_empty(path: Path, sheet: int) -> Cells:
    """Return these cells of the sheet that stands at `sheet`, from 0, in a workbook that was checked before.

    Raises:
        UnreadableListError: there are more than `MOST_CELLS`, or the sheet is no sound XML.
    """
    with zipfile.ZipFile(path) as archive:
        try:
            member = _member(archive, sheet)
            if member is None or not any(_SUSPECT.search(chunk) for chunk in _overlapping(archive, member)):
                return {}
            with archive.open(member) as file:
                return _Sheet().read(iter(lambda: file.read(_CHUNK_BYTES), b""))
        except (ParseError, expat.ExpatError) as error:
            raise damaged_workbook() from error


def damaged_workbook() -> UnreadableListError:
    return UnreadableListError(
        "the workbook is damaged; open it in a spreadsheet program and save it again as .xlsx or CSV",
        "工作簿已损坏;请用表格软件打开后重新保存为 .xlsx 或 CSV",
    )


def _member(archive: zipfile.ZipFile, sheet: int) -> str | None:
    if _RELATIONS not in archive.namelist():
        return None
    sheets = list(fromstring(archive.read(_WORKBOOK)).iterfind("{*}sheets/{*}sheet"))  # noqa: S314 - expat bounds entities
    relations = fromstring(archive.read(_RELATIONS)).iterfind("{*}Relationship")  # noqa: S314 - and fetches nothing
    targets = {one.get("Id"): one.get("Target") for one in relations}
    names = [value for one in sheets[sheet : sheet + 1] for key, value in one.items() if key.endswith("}id")]
    target = targets.get(names[0]) if names else None
    member = None if target is None else normpath(join("xl", target)).lstrip("/")
    return member if member in archive.namelist() else None


def _overlapping(archive: zipfile.ZipFile, member: str) -> Iterator[bytes]:
    """Yield a member in chunks of which each begins with the end of the one before, so that no tag is cut for good."""
    end = b""
    with archive.open(member) as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield end + chunk
            end = chunk[-64:]


class _Sheet:
    """Takes what the parser finds in a sheet, one element after the other; nothing of it is kept but these cells."""

    def __init__(self) -> None:
        self._found: Cells = {}
        self._count = 0
        self._row = 0
        self._column = -1
        self._kind = ""
        self._parts: dict[str, str] = {}
        """Of the cell at hand: the texts of its formula and of its value, if it has them."""
        self._part: str | None = None

    def read(self, chunks: Iterator[bytes]) -> Cells:
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.StartElementHandler = self._begin
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._take
        for chunk in chunks:
            parser.Parse(chunk, False)  # noqa: FBT003 - is_final
        parser.Parse(b"", True)  # noqa: FBT003 - is_final
        return self._found

    def _begin(self, name: str, attributes: Mapping[str, str]) -> None:
        match name.rpartition(" ")[2]:
            case "row":
                number = attributes.get("r", "").strip()
                is_number = number.isascii() and number.isdecimal() and len(number) <= _LONGEST_NUMBER
                self._row = int(number) if is_number else self._row + 1
                self._column = -1
            case "c":
                place = _REFERENCE.fullmatch(attributes.get("r", "").strip())
                self._column = self._column + 1 if place is None else _column(place[1])
                self._kind = attributes.get("t", "")
                self._parts.clear()
            case "f" | "v" as part:
                self._part = part
                self._parts.setdefault(part, "")

    def _take(self, text: str) -> None:
        if self._part is not None:
            self._parts[self._part] = (self._parts[self._part] + text)[:_LONGEST_TEXT]

    def _end(self, name: str) -> None:
        match name.rpartition(" ")[2]:
            case "f" | "v":
                self._part = None
            case "c":
                text = _text(self._kind, self._parts)
                if text is not None:
                    self._note(text)
                self._parts.clear()

    def _note(self, text: str) -> None:
        self._count += 1
        if self._count > MOST_CELLS:
            raise UnreadableListError(
                f"the workbook has errors, or formulas that were never calculated, in more than {MOST_CELLS} cells; "
                f"open it in a spreadsheet program, put their values in their place and save it",
                f"工作簿中有超过{MOST_CELLS}个单元格为错误值或未计算的公式;请用表格软件打开,粘贴为数值后保存",
            )
        self._found.setdefault(self._row, {})[self._column] = text


def _column(letters: str) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1


def _text(kind: str, parts: Mapping[str, str]) -> str | None:
    """Return the text of an error, or of a formula without a value; None for any other cell."""
    formula, value = parts.get("f"), parts.get("v")
    if kind == "e":
        return value or "#N/A"
    if formula is None or (value is not None and (value or kind == "str")):
        return None
    return f"={formula}"
