from datetime import UTC, date, datetime, timedelta

import pytest

from compliance.do_not_call import PERMANENT
from compliance.import_rows import ImportedRefusal, RefusalReader, RejectedRow
from compliance.list_rows import Row, RowFault
from compliance.shanghai import SHANGHAI

MOMENT = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
HEADERS = ("手机号", "拒绝时间", "截止日期", "客户号", "永久", "原因")


def read(*cells: str, headers: tuple[str, ...] = HEADERS) -> ImportedRefusal | RejectedRow:
    reader = RefusalReader(headers, 0, moment=MOMENT, latest=MOMENT + timedelta(minutes=5), block_months=6)
    return reader.read(Row(2, cells))


def refusal(*cells: str) -> ImportedRefusal:
    found = read(*cells)
    assert isinstance(found, ImportedRefusal)
    return found


def rejected(*cells: str) -> RejectedRow:
    found = read(*cells)
    assert isinstance(found, RejectedRow)
    return found


def test_a_number_alone_is_refused_at_the_moment_of_import() -> None:
    assert refusal("13800138000") == ImportedRefusal(
        2, "+8613800138000", None, MOMENT, date(2027, 5, 23), raised=False, reason=None
    )


def test_a_whole_row_is_read() -> None:
    assert refusal("138 0013 8000", "2026-08-31", "2027-12-31", "C-1", "否", " 明确拒绝 ") == ImportedRefusal(
        2,
        "+8613800138000",
        "C-1",
        datetime(2026, 8, 31, tzinfo=SHANGHAI),
        date(2027, 12, 31),
        raised=False,
        reason="明确拒绝",
    )


@pytest.mark.parametrize(
    "header", ["refused_at", "Refused At", "拒绝时间", "拒绝日期"], ids=["english", "spaced", "time", "date"]
)
def test_the_refusal_is_found_by_any_of_its_headers(header: str) -> None:
    found = read("13800138000", "2026-03-15", headers=("phone", header))
    assert isinstance(found, ImportedRefusal)
    assert found.through == date(2026, 9, 15)


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-05",
        "2026/3/5",
        "2026.03.05",
        "2026年3月5日",
        "20260305",
        "２０２６－０３－０５",
        "2026/3/5 0:00",
        "2026-03-05 00:00:00",
        "2026-03-05T00:00:00",
        " '2026-03-05",
        "2026-03-05T00:00:00+08:00",
        "2026-03-04T16:00:00Z",
        "2026-03-04t16:00:00z",
        "2026-03-05 00:00+08:00",
        "2026-03-05T00:00:00.000000+0800",
    ],
)
def test_a_time_of_refusal_is_read_in_every_clear_form(text: str) -> None:
    found = refusal("13800138000", text)
    assert (found.refused_at, found.through) == (datetime(2026, 3, 5, tzinfo=SHANGHAI), date(2026, 9, 5))


def test_the_months_count_from_the_day_in_shanghai() -> None:
    assert refusal("13800138000", "2026-03-15T23:30:00Z").through == date(2026, 9, 16)


@pytest.mark.parametrize(
    "text",
    [
        "yesterday",
        "2026-02-29",
        "2026-13-01",
        "3/15/2026",
        "15.03.2026",
        "2026-03/15",
        "46096",
        "2026-03-15 14:30",
        "2026-03-15T14:30:00",
        "2026-03-15T25:00:00+08:00",
        "1899-12-31",
        "1900-06-01T00:00:00+08:00",
        "0000-00-00",
        "٢٠٢٦-٠٣-١٥",
    ],
)
def test_an_unclear_time_of_refusal_is_rejected_naming_the_column(text: str) -> None:
    found = rejected("13800138000", text)
    assert found.reason == "invalid_refused_at"
    assert "column refused_at: expected" in found.message
    assert "拒绝时间列" in found.message_zh
    assert found.input == "13800138000"


@pytest.mark.parametrize("text", ["2026/3/15 9:05", "2026-03-15 14:30:00", "2026年3月15日 14:30"])
def test_a_time_without_an_offset_as_spreadsheets_write_it_says_how_to_write_it(text: str) -> None:
    found = rejected("13800138000", text)
    assert "an offset after the time of day" in found.message
    assert "format the column as a date" in found.message
    assert "仅填日期" in found.message_zh


def test_the_reason_is_found_as_spreadsheets_name_it() -> None:
    found = read("13800138000", "不需要", headers=("手机号码", "拒绝原因"))
    assert isinstance(found, ImportedRefusal)
    assert found.reason == "不需要"


@pytest.mark.parametrize(
    ("at", "is_imported"),
    [("2026-11-23T12:05:00+08:00", True), ("2026-11-23T12:05:01+08:00", False), ("2026-11-24", False)],
    ids=["five minutes ahead", "a second more", "tomorrow"],
)
def test_a_refusal_in_the_future_is_rejected(at: str, *, is_imported: bool) -> None:
    found = read("13800138000", at)
    assert isinstance(found, ImportedRefusal) is is_imported
    assert getattr(found, "reason", None) == (None if is_imported else "refused_at_in_future")


@pytest.mark.parametrize(
    ("text", "through", "is_raised"),
    [
        ("2026-09-14", date(2026, 9, 15), True),
        ("2026-09-15", date(2026, 9, 15), False),
        ("2026-09-16", date(2026, 9, 16), False),
        ("2020-01-01", date(2026, 9, 15), True),
        ("", date(2026, 9, 15), False),
        ("永久", PERMANENT, False),
        ("长期", PERMANENT, False),
        ("permanent", PERMANENT, False),
        ("9999-12-31", PERMANENT, False),
        ("9999/1/1", PERMANENT, False),
        ("2999-12-31", date(2999, 12, 31), False),
    ],
)
def test_a_last_day_below_the_floor_is_raised(text: str, through: date, *, is_raised: bool) -> None:
    found = refusal("13800138000", "2026-03-15", text)
    assert (found.through, found.raised) == (through, is_raised)


@pytest.mark.parametrize("text", ["soon", "2026-02-30", "1899-12-31", "99999999", "2026-09-15T12:00:00+08:00"])
def test_an_unclear_last_day_is_rejected_naming_the_column(text: str) -> None:
    found = rejected("13800138000", "2026-03-15", text)
    assert (found.reason, "column blocked_through" in found.message) == ("invalid_blocked_through", True)


@pytest.mark.parametrize("text", ["1", "TRUE", "yes", "是", "永久", "Ｙ", "√"])
def test_a_permanent_block_has_no_end_whatever_last_day_stands_beside_it(text: str) -> None:
    found = refusal("13800138000", "2026-03-15", "2026-09-14", "", text)
    assert (found.through, found.raised) == (PERMANENT, False)


@pytest.mark.parametrize("text", ["", "0", "FALSE", "no", "否", "-"])
def test_a_block_that_is_not_permanent_ends(text: str) -> None:
    assert refusal("13800138000", "2026-03-15", "", "", text).through == date(2026, 9, 15)


def test_an_unclear_permanent_is_rejected_naming_the_column() -> None:
    found = rejected("13800138000", "", "", "", "perhaps")
    assert (found.reason, found.message) == ("invalid_permanent", "column permanent: expected yes or no")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("110", "short_number"),
        ("１２０", "short_number"),
        ("12110", "short_number"),
        ("95518", "short_number"),
        ("+86 10086", "short_number"),
        ("1.38E+10", "scientific_notation"),
        ("1.38001E10", "scientific_notation"),
        ("12345678", "invalid_number"),
        ("1380013800", "invalid_number"),
        ("张三", "invalid_number"),
        ("", "no_number"),
        ("   ", "no_number"),
    ],
)
def test_what_is_no_number_of_a_person_is_rejected(text: str, reason: str) -> None:
    found = rejected(text)
    assert (found.line, found.input, found.reason) == (2, text, reason)


def test_a_customer_alone_names_a_person() -> None:
    found = refusal("", "2026-03-15", "", "C-1")
    assert (found.phone_e164, found.customer_id) == (None, "C-1")


def test_a_bad_number_is_rejected_even_beside_a_customer() -> None:
    assert rejected("110", "", "", "C-1").reason == "short_number"


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        (("13800138000", "", "", "c" * 101), "invalid_customer_id"),
        (("13800138000", "", "", "", "", "r" * 20_001), "invalid_reason"),
    ],
    ids=["customer_id", "reason"],
)
def test_a_text_that_is_too_long_is_rejected(cells: tuple[str, ...], reason: str) -> None:
    assert rejected(*cells).reason == reason


def test_a_row_may_lack_the_cells_of_optional_columns() -> None:
    assert refusal("13800138000", "2026-03-15").through == date(2026, 9, 15)


@pytest.mark.parametrize(("cells", "shown"), [(("138", "x"), "138"), ((), "")], ids=["with the number", "with nothing"])
def test_a_faulty_row_is_rejected_with_its_fault(cells: tuple[str, ...], shown: str) -> None:
    reader = RefusalReader(HEADERS, 0, moment=MOMENT, latest=MOMENT, block_months=6)
    found = reader.read(Row(7, cells, RowFault("a quote is open", "引号未闭合")))
    assert found == RejectedRow(7, shown, "unreadable_row", "a quote is open", "引号未闭合")
