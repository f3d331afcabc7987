import csv
import io
import pickle
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compliance.delimited_text import TextBlock, TextTable, open_text
from compliance.list_rows import Row, UnreadableListError
from compliance.text_bytes import LONGEST_LINE

SIZES = [1, 7, 100_000, 4 << 20]

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
shared_tmp_path = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def table_of(tmp_path: Path, content: bytes) -> TextTable:
    path = tmp_path / "list.csv"
    path.write_bytes(content)
    return open_text(path)


def rows_of(table: TextTable, size: int = 1 << 20) -> list[Row]:
    return [row for block in table.blocks(size) for row in block.rows()]


def summary(rows: list[Row]) -> list[tuple[int, tuple[str, ...], str | None]]:
    """Return line, cells and the beginning of the error of each row."""
    return [(row.line, row.cells, row.error and " ".join(row.error.split()[:6])) for row in rows]


QUOTE = "a quoted cell of the row"
BYTES = "the row has bytes that are"
NUL = "the row has a NUL byte;"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(b"", [], id="header only"),
        pytest.param(b"1,a\n2,b\n", [(2, ("1", "a"), None), (3, ("2", "b"), None)], id="LF"),
        pytest.param(b"1,a\r\n2,b\r\n", [(2, ("1", "a"), None), (3, ("2", "b"), None)], id="CRLF"),
        pytest.param(b"1,a\r2,b\r", [(2, ("1", "a"), None), (3, ("2", "b"), None)], id="CR"),
        pytest.param(
            b"1,a\r\n2,b\n3,c\r4,d",
            [(2, ("1", "a"), None), (3, ("2", "b"), None), (4, ("3", "c"), None), (5, ("4", "d"), None)],
            id="mixed",
        ),
        pytest.param(b"1,a\n2,b", [(2, ("1", "a"), None), (3, ("2", "b"), None)], id="no last line break"),
        pytest.param(
            b"\n1,a\n\n\n",
            [(2, ("",), None), (3, ("1", "a"), None), (4, ("",), None), (5, ("",), None)],
            id="blank rows",
        ),
        pytest.param(b",\n", [(2, ("", ""), None)], id="row of empty cells"),
        pytest.param(b"1\n", [(2, ("1",), None)], id="too few cells, number present"),
        pytest.param(b"1,a,b,,\n", [(2, ("1", "a", "b", "", ""), None)], id="too many cells"),
        pytest.param(b'"1","a,b"\n', [(2, ("1", "a,b"), None)], id="delimiter in quotes"),
        pytest.param(b'"1","a""b"\n', [(2, ("1", 'a"b'), None)], id="doubled quotes"),
        pytest.param(b'"",""""\n', [(2, ("", '"'), None)], id="empty cell and lone quote"),
        pytest.param(b',"a"\n', [(2, ("", "a"), None)], id="empty cell before quotes"),
        pytest.param(
            b'1,"a\r\nb\nc\rd"\n2,"e"\n',
            [(2, ("1", "a\r\nb\nc\rd"), None), (6, ("2", "e"), None)],
            id="line breaks in quotes",
        ),
        pytest.param(b'1,a"b"\n', [(2, ("1", 'a"b"'), None)], id="quote inside an unquoted cell"),
        pytest.param(b' 1 , "a"\n', [(2, (" 1 ", ' "a"'), None)], id="spaces stay"),
        pytest.param(
            b'1,"a\n2,b\n3,c\n',
            [(2, ("1", '"a'), QUOTE), (3, ("2", "b"), None), (4, ("3", "c"), None)],
            id="quote never closed",
        ),
        pytest.param(
            b'1,"a\n2,b\n3,"c"\n',
            [(2, ("1", '"a'), QUOTE), (3, ("2", "b"), None), (4, ("3", "c"), None)],
            id="quote closed by a later row's",
        ),
        pytest.param(b'1,"a"b\n2,b\n', [(2, ("1", '"a"b'), QUOTE), (3, ("2", "b"), None)], id="text after quotes"),
        pytest.param(b'1,"', [(2, ("1", '"'), QUOTE)], id="quote at the very end"),
        pytest.param(b"1\0,a\n2,b\n", [(2, ("1\ufffd", "a"), NUL), (3, ("2", "b"), None)], id="NUL byte"),
        pytest.param(b"1,\xff\n2,b\n", [(2, ("1", "\ufffd"), BYTES), (3, ("2", "b"), None)], id="invalid bytes"),
        pytest.param(
            b'1,"\xff"\n2,"b"\n', [(2, ("1", '"\ufffd"'), BYTES), (3, ("2", "b"), None)], id="invalid bytes in quotes"
        ),
        pytest.param(b"1,a\n\x1a", [(2, ("1", "a"), None), (3, ("\x1a",), None)], id="control character"),
    ],
)
@pytest.mark.parametrize("size", SIZES)
def test_rows_as_people_really_have_them(
    tmp_path: Path, body: bytes, expected: list[tuple[int, tuple[str, ...], str | None]], size: int
) -> None:
    assert summary(rows_of(table_of(tmp_path, b"phone,name\n" + body), size)) == expected


@pytest.mark.parametrize(
    ("content", "headers", "column", "delimiter", "newline"),
    [
        pytest.param(b"phone,name\r\n", ("phone", "name"), 0, ",", "\r\n", id="comma"),
        pytest.param(b"name\tphone\n", ("name", "phone"), 1, "\t", "\n", id="tab"),
        pytest.param(b"name;phone\r", ("name", "phone"), 1, ";", "\r", id="semicolon"),
        pytest.param(b"phone", ("phone",), 0, ",", "\r\n", id="one column, no line break"),
        pytest.param(b"a,b,c;phone\n", ("a,b,c", "phone"), 1, ";", "\n", id="the delimiter that shows a number column"),
        pytest.param(b'"a,b,c","phone"\n', ("a,b,c", "phone"), 1, ",", "\n", id="quoted delimiters do not count"),
        pytest.param(b'"na\nme","phone"\r\n', ("na\nme", "phone"), 1, ",", "\r\n", id="line break in a header"),
        pytest.param(b'"na\nme","phone"', ("na\nme", "phone"), 1, ",", "\n", id="no other line break than in a header"),
        pytest.param(b'na"me,phone\n', ('na"me', "phone"), 1, ",", "\n", id="quote in a header"),
        pytest.param(b'"name,phone\n', ('"name', "phone"), 1, ",", "\n", id="quote not closed in a header"),
        pytest.param("手机号,姓名\n".encode("gb18030"), ("手机号", "姓名"), 0, ",", "\n", id="gb18030"),
        pytest.param("\ufeff手机号\t姓名\r\n".encode("utf-16-le"), ("手机号", "姓名"), 0, "\t", "\r\n", id="utf-16"),
    ],
)
def test_header_tells_delimiter_and_line_break(
    tmp_path: Path, content: bytes, headers: tuple[str, ...], column: int, delimiter: str, newline: str
) -> None:
    table = table_of(tmp_path, content)

    assert (table.headers, table.number_column) == (headers, column)
    assert (table.delimiter, table.newline) == (delimiter, newline)
    assert rows_of(table) == []


def test_rows_after_a_header_with_line_breaks_and_blank_lines_before_it_keep_their_lines(tmp_path: Path) -> None:
    table = table_of(tmp_path, b'\n \r\n"na\nme",phone\n,1\n')

    assert summary(rows_of(table)) == [(5, ("", "1"), None)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "the file is empty", id="empty"),
        pytest.param(b"\xef\xbb\xbf", "the file is empty", id="only a mark"),
        pytest.param(b"\r\n \n", "the file is empty", id="only blank lines"),
        pytest.param(b"name,address\nx,y\n", "line 1 has the headers 'name', 'address'", id="no number column"),
        pytest.param(b"\n\nname\n", "line 3 has the headers 'name'", id="no number column further down"),
        pytest.param(b"x,13800138000\n", "line 1 must hold the headers", id="no header"),
        pytest.param(bytes(range(256)) * 9, "does not begin with a header row of text", id="binary"),
        pytest.param(b"\x80\xff\xff,phone\n", "does not begin with a header row of text", id="no encoding"),
        pytest.param(b"phone\0\n", "does not begin with a header row of text", id="NUL in the header"),
        pytest.param(b"phone," * 200_000, "does not begin with a header row of text", id="header too long"),
    ],
)
def test_file_that_is_no_list_is_refused_with_what_to_do(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(UnreadableListError, match=message) as caught:
        table_of(tmp_path, content)

    assert caught.value.message_zh


def test_row_without_a_cell_for_the_number_is_at_fault_unless_it_is_blank(tmp_path: Path) -> None:
    blank, short = rows_of(table_of(tmp_path, b"name,phone\n\nx\n"))

    assert blank.blank
    assert short.error == (
        "the row has 1 cells, but the telephone number belongs into cell 2; complete the row or remove it"
    )


@pytest.mark.parametrize(
    ("content", "name"),
    [
        pytest.param("姓名,手机号\n".encode("gb18030") + b"\xff,1\n", "GB18030", id="gb18030"),
        pytest.param("姓名,手机号\n".encode() + b"\xff,1\n", "UTF-8", id="utf-8"),
        pytest.param("\ufeff姓名,手机号\n".encode("utf-16-le") + b"\x00\xdc,\x001\x00", "UTF-16-LE", id="utf-16"),
    ],
)
def test_invalid_bytes_are_named_by_the_encoding_of_the_file(tmp_path: Path, content: bytes, name: str) -> None:
    [row] = rows_of(table_of(tmp_path, content))

    assert row.fault is not None
    assert f"bytes that are not {name};" in row.fault.message
    assert name in row.fault.message_zh


@pytest.mark.parametrize("size", SIZES[2:])
def test_rows_that_are_too_long_are_faults_and_their_neighbours_are_read(tmp_path: Path, size: int) -> None:
    longest = b"2," + b"x" * (LONGEST_LINE - 2)
    too_long = b"3," + b"x" * (LONGEST_LINE - 1)
    endless_quote = b'5,"' + b"x\n" * LONGEST_LINE
    content = b"\n".join(
        [b"phone,name", longest, too_long, b"4," + b"y" * 5 * LONGEST_LINE, endless_quote + b'"', b"6,z"]
    )

    rows = rows_of(table_of(tmp_path, content), size)

    assert [(row.line, row.error and row.error.split(";")[0]) for row in rows[:4]] == [
        (2, None),
        (3, "the row is longer than 1048576 bytes"),
        (4, "the row is longer than 1048576 bytes"),
        (5, "a quoted cell of the row is not closed, or is closed before other text"),
    ]
    assert {row.cells for row in rows[4:-2]} == {("x",)}
    assert rows[-1] == Row(len(rows) + 1, ("6", "z"))


@pytest.mark.parametrize("size", SIZES[2:])
def test_stray_quotes_spoil_only_their_own_rows_in_a_long_file(tmp_path: Path, size: int) -> None:
    lines = [b"%d,name" % n if n % 50_000 else b'%d,"name' % n for n in range(1, 400_001)]

    rows = rows_of(table_of(tmp_path, b"phone,name\n" + b"\n".join(lines) + b"\n"), size)

    assert [row.cells[0] for row in rows] == [str(n) for n in range(1, 400_001)]
    assert [row.line - 1 for row in rows if row.error] == list(range(50_000, 400_001, 50_000))


@pytest.mark.parametrize(
    ("body", "is_plain"),
    [
        pytest.param(b"1,a\n\n2,b", True, id="LF"),
        pytest.param(b"1,a\r\n2,b\r\n", True, id="CRLF"),
        pytest.param("1,张\n".encode(), True, id="Chinese"),
        pytest.param(b"1,a\r2,b\r", False, id="CR"),
        pytest.param(b'1,"a"\n', False, id="quotes"),
        pytest.param(b"1,\0\n", False, id="NUL"),
        pytest.param(b"1,\xff\n", False, id="invalid bytes"),
        pytest.param(b"1,a\n2," + b"x" * LONGEST_LINE, False, id="too long"),
        pytest.param(b"1," + b"x" * (LONGEST_LINE - 2) + b"\n2,b\n", True, id="just not too long"),
    ],
)
def test_block_is_plain_when_every_line_is_a_row(tmp_path: Path, body: bytes, *, is_plain: bool) -> None:
    [block] = table_of(tmp_path, b"phone,name\n" + body).blocks(8 << 20)

    assert (block.plain, block.first_line) == (is_plain, 2)


def test_bytes_of_delimiters_quotes_and_line_breaks_occur_inside_no_character_of_gb18030_or_utf_8() -> None:
    characters = [chr(n) for n in range(128, 0x110000) if not 0xD800 <= n < 0xE000]
    of_gb18030 = "".join(characters).encode("gb18030")
    of_utf_8 = "".join(characters).encode()

    assert [c for c in b',;\t"\r\n' if c in of_gb18030 or c in of_utf_8] == []


def test_block_crosses_processes(tmp_path: Path) -> None:
    [block] = table_of(tmp_path, b"phone\n1\n").blocks(1 << 20)

    copy = pickle.loads(pickle.dumps(block))  # noqa: S301 - our own bytes

    assert isinstance(copy, TextBlock)
    assert list(copy.rows()) == [Row(2, ("1",))]


def test_rows_may_be_read_twice(tmp_path: Path) -> None:
    table = table_of(tmp_path, b"phone\n1\n2\n")

    assert rows_of(table) == rows_of(table) == [Row(2, ("1",)), Row(3, ("2",))]


def test_two_hundred_thousand_rows_are_read_in_bounded_memory(tmp_path: Path) -> None:
    row = "某某某,13800138000,北京市东城区某某街道某某号某某室\r\n".encode("gb18030")
    table = table_of(tmp_path, "姓名,手机号,地址\r\n".encode("gb18030") + row * 200_000)

    tracemalloc.start()
    count = sum(1 for block in table.blocks(1 << 16) for _ in block.rows())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert count == 200_000
    assert (tmp_path / "list.csv").stat().st_size > 10 << 20
    assert peak < 2 << 20


@shared_tmp_path
@given(
    cells=st.lists(st.tuples(texts, texts, texts), max_size=8),
    delimiter=st.sampled_from(",\t;"),
    newline=st.sampled_from(["\r\n", "\n", "\r"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "gb18030", "utf-16"]),
    size=st.sampled_from(SIZES),
)
def test_what_a_csv_writer_wrote_is_read_cell_by_cell(
    tmp_path: Path,
    *,
    cells: list[tuple[str, str, str]],
    delimiter: str,
    newline: str,
    encoding: str,
    size: int,
) -> None:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator=newline, quoting=csv.QUOTE_ALL)
    writer.writerows([("姓名", "手机号", "备注"), *cells])

    table = table_of(tmp_path, text.getvalue().encode(encoding))
    rows = rows_of(table, size)

    assert [row.cells for row in rows] == cells
    assert {row.error for row in rows} <= {None}


@shared_tmp_path
@given(
    body=st.lists(st.sampled_from([b'"', b"\n", b"\r", b",", b"\0", b"1", b"\xd5\xc5", b"\xff", b'""', b"x"])).map(
        b"".join
    ),
    size=st.integers(min_value=1, max_value=20),
)
def test_any_bytes_give_the_same_rows_in_blocks_of_any_size_and_no_line_is_lost(
    tmp_path: Path, body: bytes, size: int
) -> None:
    table = table_of(tmp_path, b"name,phone\n" + body)
    blocks = list(table.blocks(size))
    rows = [row for block in blocks for row in block.rows()]

    assert b"".join(block.data for block in blocks) == body
    assert rows == rows_of(table)
    assert [row.line for row in rows] == sorted({row.line for row in rows})
    # Each physical line starts a row or belongs to the quoted cell of the row before it.
    broken_inside = sum("".join(row.cells).count("\r\n") for row in rows)
    kept = sum(cell.count("\n") + cell.count("\r") for row in rows for cell in row.cells) - broken_inside
    assert len(rows) + kept == len(body.splitlines())


@shared_tmp_path
@given(
    body=st.lists(st.sampled_from(["\n", "\r\n", ",", " ", "1", "张", "\u2028", "\x0b", "\x85", "x"])).map("".join),
    encoding=st.sampled_from(["utf-8", "gb18030"]),
)
def test_a_plain_block_read_as_a_whole_gives_the_rows_it_gives_one_by_one(
    tmp_path: Path, body: str, encoding: str
) -> None:
    table = table_of(tmp_path, f"姓名,手机号\n{body}".encode(encoding))
    blocks = list(table.blocks(1 << 20))

    assert all(block.plain for block in blocks)
    assert rows_of(table) == [row for block in blocks for row in replace(block, plain=False).rows()]
