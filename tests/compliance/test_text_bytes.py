import codecs
from pathlib import Path

import pytest

from compliance.list_rows import UnreadableListError
from compliance.text_bytes import LONGEST_LINE, TextForm, detect_form, stream

ROWS = "姓名,手机号\r\n张三,13800138000\r\n"
ASCII_ROWS = b"phone\n" + b"13800138000\n" * 200_000
GB18030_MARK = b"\x84\x31\x95\x33"


def file_of(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "list.csv"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("content", "form"),
    [
        pytest.param(ROWS.encode(), TextForm("utf-8", b""), id="utf-8"),
        pytest.param(codecs.BOM_UTF8 + ROWS.encode(), TextForm("utf-8", codecs.BOM_UTF8), id="utf-8 with mark"),
        pytest.param(ROWS.encode("gb18030"), TextForm("gb18030", b""), id="gb18030"),
        pytest.param(GB18030_MARK + ROWS.encode("gb18030"), TextForm("gb18030", GB18030_MARK), id="gb18030 with mark"),
        pytest.param("phone,n\n1,𠀀㐀ㄅ\n".encode("gb18030"), TextForm("gb18030", b""), id="gb18030 four bytes"),
        pytest.param(
            codecs.BOM_UTF16_LE + ROWS.encode("utf-16-le"), TextForm("utf-16-le", codecs.BOM_UTF16_LE), id="utf-16-le"
        ),
        pytest.param(
            codecs.BOM_UTF16_BE + ROWS.encode("utf-16-be"), TextForm("utf-16-be", codecs.BOM_UTF16_BE), id="utf-16-be"
        ),
        pytest.param(ROWS.encode("utf-16-le"), TextForm("utf-16-le", b""), id="utf-16-le without mark"),
        pytest.param(ROWS.encode("utf-16-be"), TextForm("utf-16-be", b""), id="utf-16-be without mark"),
        pytest.param("手机号\r\n".encode("utf-16-le"), TextForm("utf-16-le", b""), id="utf-16-le header only"),
        pytest.param(b"phone\n13800138000\n", TextForm("utf-8", b""), id="ascii"),
        pytest.param(b"", TextForm("utf-8", b""), id="empty"),
        pytest.param(
            ROWS.encode() + b"\xd5\xc5\xc8\xfd,1\n", TextForm("utf-8", b""), id="utf-8 with one row of gb18030"
        ),
        pytest.param(
            ROWS.encode("gb18030") + "张三,1\n".encode(), TextForm("gb18030", b""), id="gb18030 with one row of utf-8"
        ),
        pytest.param(
            "手机号,n\n1,一\n2,一\n".encode("gb18030"), TextForm("gb18030", b""), id="gb18030 that is utf-8 by accident"
        ),
        pytest.param("phone,n\n1,José\n".encode(), TextForm("utf-8", b""), id="latin letters in utf-8"),
        pytest.param("phone,n\n1,é".encode(), TextForm("utf-8", b""), id="last line without line break"),
        pytest.param(b"phone,n\n1,\x00\x00\x00\x00\n", TextForm("utf-8", b""), id="a few NUL bytes"),
        pytest.param(b"phone\n" + b"\0x" * 99, TextForm("utf-8", b""), id="NUL bytes all on one side"),
        pytest.param(ASCII_ROWS + "张三\n".encode("gb18030"), TextForm("gb18030", b""), id="gb18030 two megabytes in"),
        pytest.param(ASCII_ROWS + "张三\n".encode(), TextForm("utf-8", b""), id="utf-8 two megabytes in"),
        pytest.param(ROWS.encode("gb18030") * 60_000, TextForm("gb18030", b""), id="more evidence than needed"),
        pytest.param(
            b"phone\n" + "张".encode() * LONGEST_LINE, TextForm("utf-8", b""), id="one line of three megabytes"
        ),
    ],
)
def test_encoding_is_told_by_mark_zero_bytes_or_most_rows(tmp_path: Path, content: bytes, form: TextForm) -> None:
    assert detect_form(file_of(tmp_path, content)) == form


@pytest.mark.parametrize("encoding", ["utf-32-le", "utf-32-be"])
def test_utf_32_is_refused_with_advice(tmp_path: Path, encoding: str) -> None:
    content = "\ufeffphone\n".encode(encoding)

    with pytest.raises(UnreadableListError, match=r"UTF-32.*save it as CSV in UTF-8 or GB18030"):
        detect_form(file_of(tmp_path, content))


@pytest.mark.parametrize("chunk_bytes", [1, 2, 3, 5, 1 << 20])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
def test_stream_is_the_text_in_utf_8_without_mark_whatever_the_chunks(
    tmp_path: Path, encoding: str, chunk_bytes: int
) -> None:
    path = file_of(tmp_path, ("\ufeff" + ROWS + "𠀀\n").encode(encoding))

    streamed = b"".join(stream(path, detect_form(path), chunk_bytes=chunk_bytes))

    assert streamed == (ROWS + "𠀀\n").encode()


def test_stream_of_gb18030_is_the_bytes_themselves(tmp_path: Path) -> None:
    path = file_of(tmp_path, GB18030_MARK + ROWS.encode("gb18030"))

    assert b"".join(stream(path, detect_form(path))) == ROWS.encode("gb18030")


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(b"\x00\xd8", id="half a surrogate pair at the end"),
        pytest.param(b"\x00\xd8a\x00", id="half a surrogate pair"),
        pytest.param(b"a", id="half a character at the end"),
    ],
)
def test_bytes_that_are_not_utf_16_become_bytes_that_are_not_utf_8(tmp_path: Path, broken: bytes) -> None:
    path = file_of(tmp_path, codecs.BOM_UTF16_LE + "phone\n".encode("utf-16-le") + broken)

    streamed = b"".join(stream(path, detect_form(path)))

    assert streamed.startswith(b"phone\n")
    with pytest.raises(UnicodeDecodeError):
        streamed.decode()


@pytest.mark.parametrize("chunk_bytes", [100_000, 1 << 20])
@pytest.mark.parametrize("line_break", [b"\n", b"\r", b"\r\n"])
def test_endless_line_loses_its_middle_and_its_neighbours_nothing(
    tmp_path: Path, line_break: bytes, chunk_bytes: int
) -> None:
    content = [b"phone", b"1", b"x" * (3 * LONGEST_LINE), b"2", b"y" * LONGEST_LINE, b"3"]
    path = file_of(tmp_path, line_break.join(content))

    streamed = b"".join(stream(path, detect_form(path), chunk_bytes=chunk_bytes)).split(line_break)

    assert [line if len(line) <= LONGEST_LINE else b"too long" for line in streamed] == [
        b"phone", b"1", b"too long", b"2", b"y" * LONGEST_LINE, b"3",
    ]  # fmt: skip
    assert sum(map(len, streamed)) < 4 * LONGEST_LINE
