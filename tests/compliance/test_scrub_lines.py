"""Rows as bytes: which of them are simple, and the numbers written behind them."""

from dataclasses import replace

import numpy as np
import pytest

from compliance.delimited_text import TextBlock
from compliance.scrub_lines import SimpleRows, cut_rows, number_cells


def cut(block: TextBlock, columns: int) -> SimpleRows:
    found = cut_rows(block, columns)
    assert found is not None
    return found


def quoted_block(data: bytes, *, delimiter: str = ",", number_column: int = 0) -> TextBlock:
    return replace(plain_block(data, delimiter=delimiter, number_column=number_column), plain=False)


def plain_block(data: bytes, *, delimiter: str = ",", number_column: int = 0, encoding: str = "utf-8") -> TextBlock:
    return TextBlock(
        first_line=2,
        data=data,
        plain=True,
        encoding=encoding,
        written_in=encoding,
        delimiter=delimiter,
        number_column=number_column,
    )


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
@pytest.mark.parametrize("last", [b"", b"\n"])
def test_lines_come_without_their_breaks_and_with_their_numbers(newline: bytes, last: bytes) -> None:
    data = newline.join([b"13800138000,a", b"x,b", b"+8613900139000,c"]) + last.replace(b"\n", newline)

    found = cut(plain_block(data), 2)

    assert found.lines == [b"13800138000,a", b"x,b", b"+8613900139000,c"]
    assert found.is_simple.tolist() == [True, True, True]
    assert found.numbers.phones.tolist() == [8613800138000, 0, 8613900139000]


@pytest.mark.parametrize(
    ("column", "data"), [(0, b"13800138000,b,c"), (1, b"a,13800138000,c"), (2, b"a,b,13800138000")]
)
def test_the_number_is_found_in_its_column(column: int, data: bytes) -> None:
    found = cut(plain_block(data, number_column=column), 3)

    assert found.numbers.phones.tolist() == [8613800138000]


def test_one_column_needs_no_delimiter() -> None:
    found = cut(plain_block(b"13800138000\n\n13900139000,\n"), 1)

    assert found.is_simple.tolist() == [True, True, False]
    assert found.numbers.phones.tolist()[:2] == [8613800138000, 0]


def test_rows_with_other_numbers_of_cells_are_not_simple_and_disturb_no_other() -> None:
    found = cut(plain_block(b"a,13800138000\n13900139000\n\na,1,2,3\nb,13700137000\n", number_column=1), 2)

    assert found.is_simple.tolist() == [True, False, False, False, True]
    assert found.numbers.phones[found.is_simple].tolist() == [8613800138000, 8613700137000]


@pytest.mark.parametrize(
    ("row", "is_simple"),
    [
        pytest.param("13800138000,=1+1,x", False, id="equals sign"),
        pytest.param("13800138000,@x,x", False, id="at sign"),
        pytest.param("13800138000,\tx,x", False, id="tab"),
        pytest.param("13800138000,x,=1", False, id="in the last cell"),
        pytest.param("=1,x,x", False, id="in the number"),
        pytest.param("13800138000,-5,x", False, id="a negative number"),
        pytest.param("13800138000,+86 21 12345678,x", True, id="a telephone number with a plus"),
        pytest.param("+86 138 0013 8000,x,x", True, id="the number with a plus"),
        pytest.param("+cmd,x,x", False, id="a formula for a number"),
        pytest.param("13800138000,a=b,a@b", True, id="signs inside cells"),
        pytest.param("13800138000,,", True, id="empty cells"),
    ],
)
def test_rows_with_a_formula_are_not_simple(row: str, is_simple: bool) -> None:
    found = cut(plain_block(f"1,a,b\n{row}\n2,c,d\n".encode()), 3)

    assert found.is_simple.tolist() == [True, is_simple, True]


def test_a_tab_that_divides_cells_is_no_formula() -> None:
    found = cut(plain_block(b"13800138000\t\tx\n", delimiter="\t"), 3)

    assert found.is_simple.tolist() == [True]


def test_bytes_of_chinese_characters_are_no_digits() -> None:
    data = "13800138000,张三\n１３８００１３８０００,甬\n".encode("gb18030")

    found = cut(plain_block(data, encoding="gb18030"), 2)

    assert found.is_simple.all()
    assert found.numbers.phones.tolist() == [8613800138000, 8613800138000]


@pytest.mark.parametrize(
    ("rows", "lines", "is_simple", "phones"),
    [
        pytest.param(b'"13800138000","a"\n', [b'"13800138000","a"'], [True], [8613800138000], id="all quoted"),
        pytest.param(
            b'13800138000,"a,b"\n', [b'13800138000,"a,b"'], [True], [8613800138000], id="a delimiter in quotes"
        ),
        pytest.param(
            b'13800138000,"say ""hi"""\n', [b'13800138000,"say ""hi"""'], [True], [8613800138000], id="quotes"
        ),
        pytest.param(b'13800138000,""\n', [b'13800138000,""'], [True], [8613800138000], id="an empty quoted cell"),
        pytest.param(
            b'13800138000,"a\nb"\n13900139000,c\n',
            [b'13800138000,"a\nb"', b"13900139000,c"],
            [True, True],
            [8613800138000, 8613900139000],
            id="a line break in quotes",
        ),
        pytest.param(b'13800138000,"=1"\n', [b'13800138000,"=1"'], [False], [8613800138000], id="a formula in quotes"),
        pytest.param(b'13800138000,"""=1"\n', [b'13800138000,"""=1"'], [True], [8613800138000], id="a quote before ="),
        pytest.param(b'"138""0013""8000",a\n', [b'"138""0013""8000",a'], [False], [0], id="quotes in the number"),
        pytest.param(b'"13800138000","a"\r\n', [b'"13800138000","a"'], [True], [8613800138000], id="CRLF"),
    ],
)
def test_quoted_rows_are_read_as_bytes_too(
    rows: bytes, lines: list[bytes], is_simple: list[bool], phones: list[int]
) -> None:
    found = cut(quoted_block(rows), 2)

    assert found.lines == lines
    assert found.is_simple.tolist() == is_simple
    assert found.numbers.phones.tolist() == phones


def test_a_tab_in_quotes_is_a_formula_where_tabs_divide_cells() -> None:
    found = cut(quoted_block(b'13800138000\t"\tx"\n', delimiter="\t"), 2)

    assert found.is_simple.tolist() == [False]


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param(b'13800138000,"open\n', id="a quote never closed"),
        pytest.param(b'13800138000,"a"b\n', id="text behind a closing quote"),
        pytest.param(b'13800138000,a"b"\n', id="quotes inside an unquoted cell"),
        pytest.param(b'13800138000,"a\r\nb"\r\n', id="CRLF in quotes"),
        pytest.param(b'13800138000,"a\rb"\n', id="a lone CR"),
        pytest.param(b'13800138000,"a\0b"\n', id="a NUL"),
        pytest.param(b'13800138000,"\xff"\n', id="bytes that are not UTF-8"),
        pytest.param(b'13800138000,"' + b"x" * (1 << 20) + b'"\n', id="a row too long"),
    ],
)
def test_blocks_with_anything_odd_about_their_quotes_are_read_row_by_row(rows: bytes) -> None:
    assert cut_rows(quoted_block(rows), 2) is None


def test_rows_without_any_delimiter_are_not_simple_where_there_are_more_columns() -> None:
    found = cut(plain_block(b"13800138000\n\n", number_column=1), 2)

    assert found.is_simple.tolist() == [False, False]


def test_numbers_are_written_as_e164_behind_the_delimiter() -> None:
    phones = np.array([8613000000000, 8619999999999, 0, 862112345678, 85291234567, 8613800000008])

    cells = number_cells(phones, ";")

    assert cells == [
        b";+8613000000000",
        b";+8619999999999",
        b";",
        b";+862112345678",
        b";+85291234567",
        b";+8613800000008",
    ]
