import struct
import tracemalloc
import zipfile
from datetime import date, datetime, time, timedelta
from io import BytesIO
from pathlib import Path

import pytest
from openpyxl import Workbook

from compliance.list_rows import Row, UnreadableListError
from compliance.workbooks import (
    DEFAULT_LIMITS,
    CellValue,
    SheetTable,
    WorkbookLimits,
    cell_text,
    check_workbook,
    open_sheet,
)


def saved(tmp_path: Path, workbook: Workbook) -> Path:
    path = tmp_path / "list.xlsx"
    workbook.save(path)
    return path


def workbook_of(*rows: tuple[object, ...]) -> Workbook:
    workbook = Workbook()
    for row in rows:
        workbook.active.append(row)
    return workbook


def rows_of(table: SheetTable, rows_each: int = 1000) -> list[Row]:
    return [row for block in table.blocks(rows_each) for row in block.rows()]


def rewritten(path: Path, member: str, content: bytes) -> Path:
    """Replace or add one member of a workbook."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()} | {member: content}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param(13800138000.0, "13800138000", id="number stored as float"),
        pytest.param(8613800138000, "8613800138000", id="whole number"),
        pytest.param(0.0, "0", id="zero"),
        pytest.param(2.0**53 - 1, "9007199254740991", id="largest exact float"),
        pytest.param(2.0**53, "9007199254740992.0", id="float that may have lost digits"),
        pytest.param(1.2345678901234567e19, "1.2345678901234567e+19", id="scientific float"),
        pytest.param(1.5, "1.5", id="fraction"),
        pytest.param("1.38E+10", "1.38E+10", id="scientific string"),
        pytest.param(" 138 0013 8000 ", " 138 0013 8000 ", id="string as it came"),
        pytest.param(date(2026, 3, 15), "2026-03-15", id="date"),
        pytest.param(datetime(2026, 3, 15), "2026-03-15", id="date as midnight"),  # noqa: DTZ001 - sheets know no zone
        pytest.param(datetime(2026, 3, 15, 10, 20), "2026-03-15T10:20:00", id="date and time"),  # noqa: DTZ001 - same
        pytest.param(time(9, 30), "09:30:00", id="time"),
        pytest.param(timedelta(hours=30), "1 day, 6:00:00", id="duration"),
        pytest.param(True, "TRUE", id="true"),
        pytest.param(False, "FALSE", id="false"),
        pytest.param("", "", id="empty"),
    ],
)
def test_text_of_a_cell(value: CellValue, text: str) -> None:
    assert cell_text(value) == text


def test_numbers_dates_and_text_of_a_real_workbook(tmp_path: Path) -> None:
    path = saved(
        tmp_path,
        workbook_of(
            ("姓名", "手机号", "拒绝日期"),
            ("张三", 13800138000, date(2026, 3, 15)),
            ("李四", "013800138000", datetime(2026, 3, 15, 10, 20)),  # noqa: DTZ001 - sheets know no zone
            (None, None, None),
            ("王五", 1.38e20, None),
        ),
    )

    table = open_sheet(path, DEFAULT_LIMITS)

    assert (table.headers, table.number_column) == (("姓名", "手机号", "拒绝日期"), 1)
    assert rows_of(table) == [
        Row(2, ("张三", "13800138000", "2026-03-15")),
        Row(3, ("李四", "013800138000", "2026-03-15T10:20:00")),
        Row(4, ("", "", "")),
        Row(5, ("王五", "1.38e+20", "")),
    ]
    assert [row.blank for row in rows_of(table)] == [False, False, True, False]


def test_blocks_hold_the_same_rows_whatever_their_size_and_are_never_plain(tmp_path: Path) -> None:
    table = open_sheet(saved(tmp_path, workbook_of(("phone",), *((n,) for n in range(10)))), DEFAULT_LIMITS)
    blocks = list(table.blocks(4))

    assert [block.first_line for block in blocks] == [2, 6, 10]
    assert [(block.plain, block.data) for block in blocks] == [(False, b"")] * 3
    assert rows_of(table, 4) == rows_of(table) == [Row(n + 2, (str(n),)) for n in range(10)]


def test_header_is_the_first_row_that_is_not_blank_wherever_the_list_stands(tmp_path: Path) -> None:
    workbook = Workbook()
    workbook.active["C4"], workbook.active["D4"] = "phone", "name"
    workbook.active["C5"], workbook.active["D5"] = 13800138000, "x"

    table = open_sheet(saved(tmp_path, workbook), DEFAULT_LIMITS)

    assert table.headers[table.number_column] == "phone"
    assert [(row.line, row.cells[table.number_column]) for row in rows_of(table)] == [(5, "13800138000")]


def test_hidden_sheets_are_passed_over(tmp_path: Path) -> None:
    workbook = workbook_of(("hidden",))
    workbook.active.sheet_state = "hidden"
    workbook.create_sheet("list").append(("phone",))

    assert open_sheet(saved(tmp_path, workbook), DEFAULT_LIMITS).headers == ("phone",)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        pytest.param([], "first visible sheet of the workbook is empty", id="no row"),
        pytest.param([(" ",)], "first visible sheet of the workbook is empty", id="blank row"),
        pytest.param([("name", "address")], "line 1 has the headers 'name', 'address'", id="no number column"),
        pytest.param([("x", 13800138000)], "line 1 must hold the headers", id="no header"),
    ],
)
def test_sheet_that_is_no_list_is_refused(tmp_path: Path, rows: list[tuple[object, ...]], message: str) -> None:
    with pytest.raises(UnreadableListError, match=message):
        open_sheet(saved(tmp_path, workbook_of(*rows)), DEFAULT_LIMITS)


def test_workbook_without_a_visible_sheet_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, workbook_of(("phone",)))
    with zipfile.ZipFile(path) as archive:
        listing = archive.read("xl/workbook.xml").replace(b'state="visible"', b'state="hidden"')

    with pytest.raises(UnreadableListError, match="no visible worksheet"):
        open_sheet(rewritten(path, "xl/workbook.xml", listing), DEFAULT_LIMITS)


def test_workbook_that_unpacks_to_more_than_allowed_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = rewritten(saved(tmp_path, workbook_of(("phone",))), "xl/media/zeros", b"\0" * (8 << 20))

    with pytest.raises(UnreadableListError, match=r"more than the 8388608 allowed; save the list as CSV"):
        check_workbook(path, WorkbookLimits(unpacked_bytes=8 << 20))
    check_workbook(path, WorkbookLimits(unpacked_bytes=9 << 20))


def test_workbook_that_is_packed_too_well_is_refused(tmp_path: Path) -> None:
    path = rewritten(saved(tmp_path, workbook_of(("phone",))), "xl/media/zeros", b"\0" * (8 << 20))

    with pytest.raises(UnreadableListError, match=r"more than 200 times its size, as a zip bomb does"):
        check_workbook(path, WorkbookLimits(ratio_from_bytes=1 << 20))


def test_workbook_that_understates_its_size_is_refused_within_the_size_it_states(tmp_path: Path) -> None:
    path = rewritten(saved(tmp_path, workbook_of(("phone",))), "xl/media/zeros", b"\0" * (64 << 20))
    true_size, stated_size = struct.pack("<L", 64 << 20), struct.pack("<L", 1000)
    path.write_bytes(path.read_bytes().replace(true_size, stated_size))

    tracemalloc.start()
    with pytest.raises(UnreadableListError, match="the workbook is damaged"):
        check_workbook(path, DEFAULT_LIMITS)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 8 << 20


@pytest.mark.parametrize(
    "cell",
    [
        pytest.param(b'<c r="XFD1048576"><v>1</v></c>', id="as Excel writes it"),
        pytest.param(b"<c t='n' r = 'xfd1048576' ><v>1</v></c>", id="in another hand"),
        pytest.param(b" " * ((1 << 20) - 60) + b'<c r="XFD1048576"><v>1</v></c>', id="across chunks"),
        pytest.param(b'<c r="XFD00000000001048576"><v>1</v></c>', id="with leading zeros"),
        pytest.param(b"<c r" + b" " * (3 << 20) + b'="XFD1048576"><v>1</v></c>', id="in an endless tag"),
    ],
)
def test_sheet_with_one_cell_far_out_is_refused(tmp_path: Path, cell: bytes) -> None:
    sheet = b'<worksheet><sheetData><row r="1"><c r="A1"><v>1</v></c>' + cell + b"</row></sheetData></worksheet>"
    path = rewritten(saved(tmp_path, workbook_of(("phone",))), "xl/worksheets/sheet1.xml", sheet)

    with pytest.raises(UnreadableListError, match="reaches to row 1048576 and column 16384"):
        open_sheet(path, DEFAULT_LIMITS)


@pytest.mark.parametrize(
    ("sheet", "rows", "columns"),
    [
        pytest.param(b'<row r="99999999"><c><v>1</v></c></row>', 99999999, 2, id="a row far down"),
        pytest.param(b'<row r="99999999999"><c><v>1</v></c></row>', 10**9, 2, id="a row beyond all rows"),
        pytest.param(
            b"<row>" + b"<c/>" * 30_000 + b'</row><row r="1000"><c/></row>', 1001, 30_001, id="cells without names"
        ),
        pytest.param(
            b"<row>" + b"<x:c />" * 300_000 + b'</row><x:row r="1000"/>', 1001, 300_001, id="a row across chunks"
        ),
    ],
)
def test_sheet_that_reaches_far_without_naming_its_cells_is_refused(
    tmp_path: Path, sheet: bytes, rows: int, columns: int
) -> None:
    first = b'<worksheet><sheetData><row r="1"><c r="A1"><v>1</v></c></row>'
    content = first + sheet + b"</sheetData></worksheet>"
    path = rewritten(saved(tmp_path, workbook_of(("phone",))), "xl/worksheets/sheet1.xml", content)

    with pytest.raises(UnreadableListError, match=f"reaches to row {rows} and column {columns},"):
        open_sheet(path, DEFAULT_LIMITS)


def sharing(path: Path, text: bytes, times: int) -> Path:
    """Give a workbook of one column cells that all show the same shared string."""
    cell = b'<row><c t="s"><v>1</v></c></row>'
    head = b'<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><si><t>phone</t></si><si><t>'
    rewritten(path, "xl/sharedStrings.xml", head + text + b"</t></si></sst>")
    return rewritten(path, "xl/worksheets/sheet1.xml", b"<sheetData>" + cell * times + b"</sheetData>")


def test_a_workbook_that_repeats_one_text_too_often_is_refused(tmp_path: Path) -> None:
    path = sharing(saved(tmp_path, workbook_of(("phone",))), b"x" * 30_000, 100_000)

    with pytest.raises(UnreadableListError, match=r"hold 3\d{9} bytes of text, more than the 2147483648 allowed"):
        check_workbook(path, DEFAULT_LIMITS)


def test_a_long_text_that_few_cells_show_is_let_through(tmp_path: Path) -> None:
    path = sharing(saved(tmp_path, workbook_of(("phone",))), b"x" * 30_000, 1000)

    check_workbook(path, WorkbookLimits(text_bytes=31 << 20))
    with pytest.raises(UnreadableListError, match="bytes of text"):
        check_workbook(path, WorkbookLimits(text_bytes=28 << 20))


def test_more_shared_strings_than_cells_are_refused(tmp_path: Path) -> None:
    content = b"<sst>" + b"<si/>" * 101 + b"</sst>"
    path = rewritten(saved(tmp_path, workbook_of(("phone",))), "xl/sharedStrings.xml", content)

    with pytest.raises(UnreadableListError, match="more than 100 cells"):
        check_workbook(path, WorkbookLimits(cells=100))


def test_a_sheet_may_lie_anywhere_in_the_archive_and_is_checked_there(tmp_path: Path) -> None:
    sheet = b'<worksheet><sheetData><row r="1"><c r="XFD1048576"><v>1</v></c></row></sheetData></worksheet>'
    path = rewritten(saved(tmp_path, workbook_of(("phone",))), "xl/list", sheet)

    with pytest.raises(UnreadableListError, match="reaches to row 1048576 and column 16384"):
        open_sheet(path, DEFAULT_LIMITS)


def test_a_sheet_that_names_neither_rows_nor_cells_is_read(tmp_path: Path) -> None:
    row = b'<row><c t="inlineStr"><is><t>%b</t></is></c></row>'
    content = b"".join(
        [
            b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>',
            *(row % text for text in (b"phone", b"13800138000", b"13800138001")),
            b"</sheetData></worksheet>",
        ]
    )
    path = rewritten(saved(tmp_path, workbook_of(("x",))), "xl/worksheets/sheet1.xml", content)

    assert rows_of(open_sheet(path, DEFAULT_LIMITS)) == [Row(2, ("13800138000",)), Row(3, ("13800138001",))]


def archive_of(**members: bytes) -> bytes:
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


ENCRYPTED = bytearray(archive_of(**{"[Content_Types].xml": b"", "xl/workbook.xml": b""}))
ENCRYPTED[ENCRYPTED.index(b"PK\x01\x02") + 8] |= 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(archive_of(word=b"x"), "a zip archive, but no .xlsx workbook", id="zip of something else"),
        pytest.param(b"PK\x03\x04 and nothing else", "the workbook is damaged", id="cut off"),
        pytest.param(
            archive_of(**{"[Content_Types].xml": b"", "xl/workbook.xml": b"", "content.xml": b""}),
            "a zip archive, but no .xlsx workbook",
            id="another format below the same roof",
        ),
        pytest.param(bytes(ENCRYPTED), "the workbook is encrypted", id="encrypted"),
        pytest.param(
            archive_of(**{"[Content_Types].xml": b"", "xl/workbook.xml": b"<x>"}),
            "the workbook is damaged",
            id="no XML",
        ),
    ],
)
def test_archive_that_is_no_sound_workbook_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "list.xlsx"
    path.write_bytes(content)

    with pytest.raises(UnreadableListError, match=message) as caught:
        open_sheet(path, DEFAULT_LIMITS)

    assert caught.value.message_zh


@pytest.mark.parametrize("position", [0.2, 0.5, 0.8])
def test_damaged_byte_is_found_before_the_workbook_is_opened(tmp_path: Path, position: float) -> None:
    path = saved(tmp_path, workbook_of(("phone",), *((n,) for n in range(5000))))
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        sheet = archive.getinfo("xl/worksheets/sheet1.xml")
    content[sheet.header_offset + 60 + int(sheet.compress_size * position)] ^= 0xFF
    path.write_bytes(content)

    with pytest.raises(UnreadableListError, match="the workbook is damaged"):
        check_workbook(path, DEFAULT_LIMITS)
