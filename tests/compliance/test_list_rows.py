import pickle

import pytest

from compliance.list_rows import NUMBER_HEADERS, Row, RowFault, UnreadableListError, find_column, number_column_of


@pytest.mark.parametrize("header", NUMBER_HEADERS)
def test_each_accepted_header_names_the_column(header: str) -> None:
    assert number_column_of(["姓名", header, "备注"], line=1) == 1


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(" Phone ", id="spaces and case"),
        pytest.param("Phone Number", id="space for underscore"),
        pytest.param("ＰＨＯＮＥ", id="full-width letters"),
        pytest.param("手 机 号", id="spaces inside"),
        pytest.param("\u3000手机号\u3000", id="full-width spaces"),
        pytest.param("手机号\n", id="line break"),
        pytest.param("\ufeffphone", id="stray byte order mark"),
        pytest.param("E164", id="capital E"),
    ],
)
def test_case_spaces_and_full_width_forms_make_no_difference(header: str) -> None:
    assert number_column_of(["x", header], line=1) == 1


@pytest.mark.parametrize(
    ("headers", "names", "column"),
    [
        pytest.param(["number", "phone"], ["phone", "number"], 1, id="order of names before order of headers"),
        pytest.param(["phone", "phone"], ["phone"], 0, id="leftmost of two"),
        pytest.param(["拒绝日期", "x"], ["refused_at", "拒绝时间", "拒绝日期"], 0, id="Chinese name"),
        pytest.param(["phonebook"], ["phone"], None, id="whole header only"),
        pytest.param([], ["phone"], None, id="no headers"),
        pytest.param(["phone"], [], None, id="no names"),
    ],
)
def test_column_is_found_by_the_first_name_that_occurs(
    headers: list[str], names: list[str], column: int | None
) -> None:
    assert find_column(headers, names) == column


def test_missing_number_column_names_the_headers_found_and_those_accepted() -> None:
    with pytest.raises(
        UnreadableListError, match=r"line 3 has the headers '姓名', '地址'; .*phone, .*手机号"
    ) as caught:
        number_column_of(["姓名", "地址"], line=3)

    assert "第3行的表头为 '姓名', '地址'" in caught.value.message_zh


@pytest.mark.parametrize(
    "cell",
    [
        "13800138000",
        "+86 138-0013-8000",
        "(010) 8888 8888",
        "１３８００１３８０００",
        "1.38001E+10",
        "13800138000.0",
        "'13800138000",
    ],
)
def test_first_row_of_data_is_refused_with_advice_and_without_its_content(cell: str) -> None:
    with pytest.raises(UnreadableListError, match="put a header row before the first number") as caught:
        number_column_of(["张三", cell], line=1)

    assert cell not in str(caught.value) + caught.value.message_zh
    assert "张三" not in str(caught.value) + caught.value.message_zh


def test_long_and_many_headers_are_cut_in_the_message() -> None:
    with pytest.raises(UnreadableListError) as caught:
        number_column_of(["x" * 1_000] * 1_000, line=1)

    assert len(str(caught.value)) < 2_000


def test_error_crosses_processes_with_both_messages() -> None:
    error = pickle.loads(pickle.dumps(UnreadableListError("in English", "中文")))  # noqa: S301 - our own bytes

    assert (str(error), error.message_zh) == ("in English", "中文")


@pytest.mark.parametrize(
    ("row", "is_blank"),
    [
        pytest.param(Row(2, ("",)), True, id="empty line"),
        pytest.param(Row(2, ("", " \t\u3000")), True, id="white space"),
        pytest.param(Row(2, ()), True, id="no cell"),
        pytest.param(Row(2, ("", "0")), False, id="one cell filled"),
        pytest.param(Row(2, (), RowFault("too long", "太长")), False, id="faulty row"),
    ],
)
def test_blank_is_a_row_of_white_space_without_fault(row: Row, *, is_blank: bool) -> None:
    assert row.blank is is_blank


def test_the_error_of_a_row_is_that_of_its_fault() -> None:
    row = Row(2, (), RowFault("too long", "太长"))

    assert row.error == "too long"
    assert Row(2, ("1",)).error is None
