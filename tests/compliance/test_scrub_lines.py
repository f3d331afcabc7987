"""Rows as bytes: which of them are simple, and the numbers written behind them."""

import numpy as np
import pytest

from compliance.delimited_text import TextBlock
from compliance.scrub_lines import cut_rows, number_cells


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

    found = cut_rows(plain_block(data), 2)

    assert found.lines == [b"13800138000,a", b"x,b", b"+8613900139000,c"]
    assert found.is_simple.tolist() == [True, True, True]
    assert found.numbers.phones.tolist() == [8613800138000, 0, 8613900139000]


@pytest.mark.parametrize(
    ("column", "data"), [(0, b"13800138000,b,c"), (1, b"a,13800138000,c"), (2, b"a,b,13800138000")]
)
def test_the_number_is_found_in_its_column(column: int, data: bytes) -> None:
    found = cut_rows(plain_block(data, number_column=column), 3)

    assert found.numbers.phones.tolist() == [8613800138000]


def test_one_column_needs_no_delimiter() -> None:
    found = cut_rows(plain_block(b"13800138000\n\n13900139000,\n"), 1)

    assert found.is_simple.tolist() == [True, True, False]
    assert found.numbers.phones.tolist()[:2] == [8613800138000, 0]


def test_rows_with_other_numbers_of_cells_are_not_simple_and_disturb_no_other() -> None:
    found = cut_rows(plain_block(b"a,13800138000\n13900139000\n\na,1,2,3\nb,13700137000\n", number_column=1), 2)

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
    found = cut_rows(plain_block(f"1,a,b\n{row}\n2,c,d\n".encode()), 3)

    assert found.is_simple.tolist() == [True, is_simple, True]


def test_a_tab_that_divides_cells_is_no_formula() -> None:
    found = cut_rows(plain_block(b"13800138000\t\tx\n", delimiter="\t"), 3)

    assert found.is_simple.tolist() == [True]


def test_bytes_of_chinese_characters_are_no_digits() -> None:
    data = "13800138000,张三\n１３８００１３８０００,甬\n".encode("gb18030")

    found = cut_rows(plain_block(data, encoding="gb18030"), 2)

    assert found.is_simple.all()
    assert found.numbers.phones.tolist() == [8613800138000, 8613800138000]


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
