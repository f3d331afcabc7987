import codecs
from datetime import date
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl import Workbook

from compliance.list_rows import Row, UnreadableListError
from compliance.number_lists import NumberList, RowWriter, neutralise, open_number_list
from compliance.workbooks import WorkbookLimits

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
shared_tmp_path = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def list_of(tmp_path: Path, content: bytes, *, name: str = "list.csv") -> NumberList:
    path = tmp_path / name
    path.write_bytes(content)
    return open_number_list(path)


def workbook(*rows: tuple[object, ...]) -> bytes:
    stream = BytesIO()
    book = Workbook()
    for row in rows:
        book.active.append(row)
    book.save(stream)
    return stream.getvalue()


def written(like: NumberList, *rows: tuple[str, ...]) -> bytes:
    stream = BytesIO()
    writer = RowWriter(stream, like)
    for row in rows:
        writer.write_row(row)
    return stream.getvalue()


def test_text_and_workbook_give_the_same_list(tmp_path: Path) -> None:
    text = list_of(tmp_path, "姓名,手机号\r\n张三,13800138000\r\n,\r\n李四,1\r\n".encode("gb18030"))
    sheet = list_of(
        tmp_path, workbook(("姓名", "手机号"), ("张三", 13800138000), (None, None), ("李四", 1)), name="b.xlsx"
    )

    assert (text.headers, text.number_column) == (sheet.headers, sheet.number_column) == (("姓名", "手机号"), 1)
    assert list(text.rows()) == list(sheet.rows()) == [
        Row(2, ("张三", "13800138000")), Row(3, ("", "")), Row(4, ("李四", "1")),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["list.xlsx", "list.csv", "list.xls", "list"])
def test_workbook_is_known_by_its_content_and_not_by_its_name(tmp_path: Path, name: str) -> None:
    opened = list_of(tmp_path, workbook(("phone",), (13800138000,)), name=name)

    assert opened.is_workbook
    assert list(opened.rows()) == [Row(2, ("13800138000",))]


def test_text_named_like_a_workbook_is_read_as_text(tmp_path: Path) -> None:
    assert not list_of(tmp_path, b"phone\n1\n", name="list.xlsx").is_workbook


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "the old .xls format.*save it as .xlsx", id="xls"
        ),
        pytest.param(
            b"<html><table><tr><td>phone</td></tr></table></html>", "web page or XML", id="web page named xls"
        ),
        pytest.param(b'\xef\xbb\xbf <?xml version="1.0"?><Workbook/>', "web page or XML", id="XML spreadsheet"),
        pytest.param(b"\x89PNG\r\n\x1a\n" + b"\0" * 99, "the file is a picture; give a CSV", id="PNG"),
        pytest.param(b"\xff\xd8\xff\xe0\0\x10JFIF", "the file is a picture", id="JPEG"),
        pytest.param(b"GIF89a", "the file is a picture", id="GIF"),
        pytest.param(b"%PDF-1.7\n", "the file is a PDF document", id="PDF"),
        pytest.param(b"\x1f\x8b\x08\0", "the file is a gzip archive", id="gzip"),
        pytest.param(b"Rar!\x1a\x07", "the file is a RAR archive", id="RAR"),
        pytest.param(b"7z\xbc\xaf\x27\x1c", "the file is a 7z archive", id="7z"),
        pytest.param(b"PK\x05\x06" + b"\0" * 18, "an empty zip archive", id="empty zip"),
        pytest.param(b"PK\x03\x04...", "the workbook is damaged", id="half a zip"),
        pytest.param(bytes(range(255, -1, -1)) * 4, "does not begin with a header row", id="garbage"),
        pytest.param(b"", "the file is empty", id="empty"),
    ],
)
def test_file_of_another_kind_is_refused_with_what_to_do(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(UnreadableListError, match=message) as caught:
        list_of(tmp_path, content)

    assert caught.value.message_zh


def test_limit_of_a_workbook_can_be_set(tmp_path: Path) -> None:
    path = tmp_path / "list.xlsx"
    path.write_bytes(workbook(("phone",), (1,)))

    with pytest.raises(UnreadableListError, match="more than the 1000 allowed"):
        open_number_list(path, limits=WorkbookLimits(unpacked_bytes=1000))


def test_header_only_list_has_no_rows(tmp_path: Path) -> None:
    assert list(list_of(tmp_path, b"phone").rows()) == []
    assert list(list_of(tmp_path, workbook(("phone",))).rows()) == []


def test_blocks_of_a_workbook_follow_the_size_asked_for(tmp_path: Path) -> None:
    opened = list_of(tmp_path, workbook(("phone",), *((n,) for n in range(20))))

    assert [len(list(block.rows())) for block in opened.blocks(640)] == [10, 10]
    assert [len(list(block.rows())) for block in opened.blocks(1)] == [1] * 20


@pytest.mark.parametrize(
    ("cell", "neutral"),
    [
        pytest.param("=1+1", "'=1+1", id="equals"),
        pytest.param('=HYPERLINK("x")', '\'=HYPERLINK("x")', id="function"),
        pytest.param("@SUM(A1)", "'@SUM(A1)", id="at"),
        pytest.param("\tx", "'\tx", id="tab"),
        pytest.param("\rx", "'\rx", id="CR"),
        pytest.param("+1+cmd|' /C calc'!A0", "'+1+cmd|' /C calc'!A0", id="plus and a command"),
        pytest.param("-1+1", "'-1+1", id="minus and a sum"),
        pytest.param("-5", "'-5", id="negative number"),
        pytest.param("+", "'+", id="plus alone"),
        pytest.param("-", "'-", id="minus alone"),
        pytest.param("+8613800138000x", "'+8613800138000x", id="number with a letter"),
        pytest.param("+86 138 0013 8000", "+86 138 0013 8000", id="number with spaces"),
        pytest.param("+8613800138000", "+8613800138000", id="E.164"),
        pytest.param("+86-(0)10-8888-8888", "+86-(0)10-8888-8888", id="number with brackets"),
        pytest.param("-13800138000", "-13800138000", id="minus and a number"),
        pytest.param("+10086\n", "'+10086\n", id="number and a line break"),
        pytest.param("+1 23 4", "'+1 23 4", id="four digits"),
        pytest.param("+1 23 45", "+1 23 45", id="five digits"),
        pytest.param("'=1+1", "'=1+1", id="neutral already"),
        pytest.param("a=1", "a=1", id="equals inside"),
        pytest.param(" =1", " =1", id="space first"),
        pytest.param("", "", id="empty"),
    ],
)
def test_formulas_are_neutralised_and_telephone_numbers_left_alone(cell: str, neutral: str) -> None:
    assert neutralise(cell) == neutral
    assert neutralise(neutral) == neutral


@pytest.mark.parametrize(
    ("content", "output"),
    [
        pytest.param(b"phone,n\n", "1,张\n".encode(), id="utf-8"),
        pytest.param(b"\xef\xbb\xbfphone,n\r\n", b"\xef\xbb\xbf" + "1,张\r\n".encode(), id="utf-8 with mark"),
        pytest.param("手机号;n\r".encode("gb18030"), "1;张\r".encode("gb18030"), id="gb18030"),
        pytest.param("\ufeffphone\tn\r\n".encode("utf-16-le"), "\ufeff1\t张\r\n".encode("utf-16-le"), id="utf-16-le"),
        pytest.param("phone\tn\r\n".encode("utf-16-be"), "1\t张\r\n".encode("utf-16-be"), id="utf-16-be, no mark"),
        pytest.param(workbook(("phone",)), codecs.BOM_UTF8 + "1,张\r\n".encode(), id="workbook"),
    ],
)
def test_rows_are_written_as_the_list_came(tmp_path: Path, content: bytes, output: bytes) -> None:
    assert written(list_of(tmp_path, content), ("1", "张")) == output


@pytest.mark.parametrize(
    ("cell", "output"),
    [
        pytest.param("a,b", b'"a,b"\n', id="delimiter"),
        pytest.param("a;b", b"a;b\n", id="another delimiter"),
        pytest.param('a"b', b'"a""b"\n', id="quote"),
        pytest.param("a\nb", b'"a\nb"\n', id="LF"),
        pytest.param("a\rb", b'"a\rb"\n', id="CR in a file with LF"),
        pytest.param('=A1&"x"', b'"\'=A1&""x"""\n', id="formula"),
        pytest.param("", b"\n", id="empty"),
        pytest.param("𠀀", "𠀀\n".encode("gb18030"), id="four bytes of gb18030"),
        pytest.param("é€", "é€\n".encode("gb18030"), id="letters outside gbk"),
    ],
)
def test_cells_are_quoted_where_needed(tmp_path: Path, cell: str, output: bytes) -> None:
    like = list_of(tmp_path, "手机号,n\n".encode("gb18030"))

    assert written(like, (cell,)) == output


@shared_tmp_path
@given(
    cells=st.lists(st.tuples(texts, texts), max_size=8),
    delimiter=st.sampled_from(",\t;"),
    newline=st.sampled_from(["\r\n", "\n", "\r"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "gb18030", "utf-16"]),
)
def test_what_is_written_is_read_again_with_its_formulas_neutralised(
    tmp_path: Path, *, cells: list[tuple[str, str]], delimiter: str, newline: str, encoding: str
) -> None:
    header = f"姓名{delimiter}手机号{newline}".encode(encoding)
    like = list_of(tmp_path, header)

    again = list_of(tmp_path, written(like, like.headers, *cells))

    assert (again.headers, again.encoding, again.has_mark) == (like.headers, like.encoding, like.has_mark)
    assert [row.cells for row in again.rows()] == [tuple(map(neutralise, row)) for row in cells]
    assert {row.error for row in again.rows()} <= {None}


def test_refused_dates_of_a_workbook_are_iso_dates(tmp_path: Path) -> None:
    opened = list_of(tmp_path, workbook(("phone", "refused_at"), (13800138000, date(2026, 3, 15))))

    assert list(opened.rows()) == [Row(2, ("13800138000", "2026-03-15"))]
