"""Errors and formulas without a value in workbooks: no row that has one passes for blank."""

import zipfile
from pathlib import Path

import pytest
from openpyxl import Workbook

from compliance import uncalculated_cells
from compliance.list_rows import UnreadableListError
from compliance.phone_numbers import normalise
from compliance.uncalculated_cells import cells_taken_for_empty
from compliance.workbooks import DEFAULT_LIMITS, open_sheet

SHEET = "xl/worksheets/sheet1.xml"
NAMESPACE = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'


def workbook_of(path: Path, *rows: tuple[object, ...]) -> Path:
    workbook = Workbook()
    for row in rows:
        workbook.active.append(row)
    workbook.save(path / "list.xlsx")
    return path / "list.xlsx"


def with_sheet(path: Path, rows: str) -> Path:
    """Give a workbook whose first sheet has the XML `rows`."""
    with zipfile.ZipFile(workbook_of(path, ("phone",))) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members[SHEET] = f"<worksheet {NAMESPACE}><sheetData>{rows}</sheetData></worksheet>".encode()
    with zipfile.ZipFile(path / "list.xlsx", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path / "list.xlsx"


def test_a_formula_that_was_never_calculated_is_no_blank_row(tmp_path: Path) -> None:
    table = open_sheet(workbook_of(tmp_path, ("phone",), ('="138"&"00138000"',), ("=B2",)), DEFAULT_LIMITS)

    rows = [row for block in table.blocks(10) for row in block.rows()]

    assert [(row.line, row.cells) for row in rows] == [(2, ('="138"&"00138000"',)), (3, ("=B2",))]


def test_a_number_written_as_a_formula_is_still_found(tmp_path: Path) -> None:
    table = open_sheet(workbook_of(tmp_path, ("phone",), ('="13800138000"',)), DEFAULT_LIMITS)

    (row,) = [row for block in table.blocks(10) for row in block.rows()]
    number = normalise(row.cells[0])

    assert number is not None
    assert number.e164 == "+8613800138000"


@pytest.mark.parametrize(
    ("cells", "found"),
    [
        pytest.param('<row r="7"><c r="C7" t="e"><v>#N/A</v></c></row>', {7: {2: "#N/A"}}, id="error"),
        pytest.param('<row r="7"><c r="A7" t="e"/></row>', {7: {0: "#N/A"}}, id="error without its name"),
        pytest.param('<row r="7"><c r="A7" t="e"><f>1/0</f><v>#DIV/0!</v></c></row>', {7: {0: "#DIV/0!"}}, id="both"),
        pytest.param("<row><c><v>1</v></c><c><f>A1&amp;1</f></c></row>", {1: {1: "=A1&1"}}, id="no references"),
        pytest.param('<row r="2"/><row><c r="AB3"><f>A1</f><v/></c></row>', {3: {27: "=A1"}}, id="empty value"),
        pytest.param('<row r="2"><c r="A2"><f t="shared" si="0"/></c></row>', {2: {0: "="}}, id="shared formula"),
        pytest.param('<row r="2"><c r="A2"><f>1+1</f><v>2</v></c></row>', {}, id="calculated"),
        pytest.param('<row r="2"><c r="A2" t="str"><f>B2</f><v></v></c></row>', {}, id="calculated, and empty"),
        pytest.param('<row r="2"><c r="A2"><v>1</v></c></row>', {}, id="number"),
    ],
)
def test_errors_and_formulas_without_a_value_are_found_where_they_stand(
    tmp_path: Path, cells: str, found: dict[int, dict[int, str]]
) -> None:
    assert cells_taken_for_empty(with_sheet(tmp_path, cells), 0) == found


def test_a_sheet_that_is_no_sound_xml_is_damaged_however_long_it_goes_on(tmp_path: Path) -> None:
    endless = with_sheet(tmp_path, '<row r="2">' + '<c r="A2" t="e"><v>' * 200_000)

    with pytest.raises(UnreadableListError, match="damaged"):
        cells_taken_for_empty(endless, 0)


def test_of_a_formula_without_end_the_beginning_is_shown(tmp_path: Path) -> None:
    path = with_sheet(tmp_path, f'<row r="2"><c r="A2"><f>{"&amp;" * 200_000}</f></c></row>')

    assert cells_taken_for_empty(path, 0) == {2: {0: "=" + "&" * 1_000}}


def test_of_several_sheets_only_the_one_that_is_read_counts(tmp_path: Path) -> None:
    workbook = Workbook()
    workbook.active.append(("=1+1",))
    workbook.create_sheet("list").append(("phone", "=2+2"))
    workbook.save(tmp_path / "list.xlsx")

    assert cells_taken_for_empty(tmp_path / "list.xlsx", 1) == {1: {1: "=2+2"}}


def test_a_sheet_that_no_relation_names_has_none(tmp_path: Path) -> None:
    assert cells_taken_for_empty(workbook_of(tmp_path, ("=1+1",)), 5) == {}


def test_more_such_cells_than_a_list_can_have_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uncalculated_cells, "MOST_CELLS", 1)

    with pytest.raises(UnreadableListError, match="put their values in their place"):
        cells_taken_for_empty(workbook_of(tmp_path, ("=1+1",), ("=1+1",)), 0)
