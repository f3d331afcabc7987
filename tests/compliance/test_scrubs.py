"""Scrubs on a real database: each row gets the verdict that the gate would give, and comes back as it came."""

import codecs
import io
import os
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import openpyxl
import pytest

from compliance import scrubs
from compliance.decision import RULES_CHECKED
from compliance.list_rows import UnreadableListError
from compliance.number_lists import Block
from compliance.scrub_answers import Answerer
from compliance.scrub_pair import Piece
from compliance.scrubs import added_headers, scrub_file
from tests.compliance.scrub_desk import (
    BLOCKED,
    CALENDAR,
    EXTENDED,
    FRESH,
    HOUR,
    PERMANENT,
    SPECIAL,
    TEMPLATE,
    Desk,
    refuse,
    table,
)
from tests.conftest import NOON


@pytest.fixture(params=["alone", "in a pair"])
def processes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scrub in one process and in two, in small blocks."""
    monkeypatch.setattr(scrubs, "_BLOCK_BYTES", 20_000)
    monkeypatch.setattr(scrubs, "_WORTH_TWO_PROCESSES", 0 if request.param == "in a pair" else 1 << 40)


def test_plain_rows_come_back_byte_for_byte_with_four_cells_behind(desk: Desk) -> None:
    data, result = desk.scrub(f"编号;手机号;备注\r\n1; {BLOCKED};张三 \r\n2;{FRESH};\r\n".encode("gb18030"))

    assert data.decode("gb18030") == (
        "编号;手机号;备注;e164;decision;reasons;next_callable_at\r\n"
        f"1; {BLOCKED};张三 ;+86{BLOCKED};deny;do_not_call;2027-05-05T09:00:00+08:00\r\n"
        f"2;{FRESH};;+86{FRESH};allow;;\r\n"
    )
    assert (result["rows"], result["allow"], result["deny"], result["invalid"]) == (2, 1, 1, 0)
    assert result["by_reason"] == {"do_not_call": 1}


def test_reasons_are_quoted_where_their_semicolon_divides_cells(desk: Desk) -> None:
    data, _ = desk.scrub(f"phone;x\n{BLOCKED};1\n".encode(), at=NOON + 10 * HOUR)

    assert b';"quiet_hours;do_not_call";' in data
    assert len(table(data, delimiter=";")[1]) == 6


def test_blank_short_and_long_rows_stay_rows_with_the_answer_below_its_header(desk: Desk) -> None:
    data, result = desk.scrub(f"name,phone\n\n  ,\nonly a name\na,{FRESH},more,still more\n,,\nb,{FRESH}".encode())

    header, *rows = table(data)
    found = [dict(zip(header, row, strict=False)) for row in rows]
    assert header == ["name", "phone", "e164", "decision", "reasons", "next_callable_at"]
    assert [row["decision"] for row in found] == ["deny", "deny", "deny", "allow", "deny", "allow"]
    assert [row["reasons"] for row in found] == ["invalid_number"] * 3 + ["", "invalid_number", ""]
    assert [row["name"] for row in found] == ["", "  ", "only a name", "a", "", "b"]
    assert rows[3] == ["a", str(FRESH), f"+86{FRESH}", "allow", "", "", "more", "still more"]
    assert (result["rows"], result["invalid"]) == (6, 4)


def test_rows_that_cannot_be_read_are_denied_and_not_lost(desk: Desk) -> None:
    content = f"name,phone\n张,{FRESH}\n".encode() + b"\xff\xfe," + f'{FRESH}\n"open,{FRESH}\n李,{FRESH}\n'.encode()

    data, result = desk.scrub(content)

    _, *rows = table(data)
    assert [row[3] for row in rows] == ["allow", "deny", "deny", "allow"]
    assert [row[4] for row in rows] == ["", "invalid_number", "invalid_number", ""]
    assert (result["rows"], result["invalid"]) == (4, 2)


def test_a_workbook_becomes_csv_with_a_mark(desk: Desk) -> None:
    workbook = openpyxl.Workbook()
    assert workbook.active is not None
    for row in (["手机号", "姓名"], [FRESH, "张三, 先生"], [str(BLOCKED), "=1+1"], [None, None], ["x", None]):
        workbook.active.append(row)
    stream = io.BytesIO()
    workbook.save(stream)

    data, result = desk.scrub(stream.getvalue(), name="in.xlsx")

    assert data.startswith(codecs.BOM_UTF8)
    header, *rows = table(data, encoding="utf-8-sig")
    assert header == ["手机号", "姓名", "e164", "decision", "reasons", "next_callable_at"]
    assert [row[:4] for row in rows[:1]] == [[str(FRESH), "张三, 先生", f"+86{FRESH}", "allow"]]
    assert [row[3] for row in rows] == ["allow", "deny", "deny", "deny"]
    assert result["rows"] == 4


@pytest.mark.parametrize(
    ("headers", "added"),
    [
        pytest.param(["phone"], ["e164", "decision", "reasons", "next_callable_at"], id="no clash"),
        pytest.param(["e164", "reasons"], ["e164_2", "decision", "reasons_2", "next_callable_at"], id="clashes"),
        pytest.param(["e164", "e164_2"], ["e164_3", "decision", "reasons", "next_callable_at"], id="scrubbed twice"),
    ],
)
def test_headers_that_clash_get_a_number(headers: list[str], added: list[str]) -> None:
    assert added_headers(headers) == added


def test_the_result_of_a_scrub_can_be_scrubbed_again(desk: Desk) -> None:
    data, _ = desk.scrub(f"phone\n{BLOCKED}\n{FRESH}\n".encode())

    again, _ = desk.scrub(data)

    header, *rows = table(again)
    assert header[5:] == ["e164_2", "decision_2", "reasons_2", "next_callable_at_2"]
    assert [row[1:5] for row in rows] == [row[5:] for row in rows]


def test_the_same_number_twice_does_not_use_up_the_contact_limit(desk: Desk) -> None:
    data, _ = desk.scrub("\n".join(["phone", *[str(FRESH)] * 5]).encode())

    assert [row[2] for row in table(data)[1:]] == ["allow"] * 5


@pytest.mark.usefixtures("processes")
def test_many_blocks_of_a_file_keep_every_row_in_order(desk: Desk) -> None:
    numbers = [13000000000 + 37 * row for row in range(30_000)]
    content = "\r\n".join(["phone,row", *(f"{number},第{row}行" for row, number in enumerate(numbers))])

    data, result = desk.scrub(content.encode())

    _, *rows = table(data)
    assert [row[:2] for row in rows] == [[str(number), f"第{row}行"] for row, number in enumerate(numbers)]
    assert all(row[2] in {"", f"+86{row[0]}"} for row in rows)
    assert result["rows"] == len(numbers)
    assert result["allow"] == sum(row[3] == "allow" for row in rows)


@pytest.mark.usefixtures("processes")
def test_rows_of_people_get_the_same_answer_in_every_block(desk: Desk) -> None:
    content = "\n".join(["phone", *(str(phone) for phone in SPECIAL for _ in range(400))])

    data, result = desk.scrub(content.encode())

    expected = dict(zip(SPECIAL, desk.verdicts(list(map(str, SPECIAL)), at=NOON), strict=True))
    assert [row[1:] for row in table(data)[1:]] == [expected[phone] for phone in SPECIAL for _ in range(400)]
    assert result["rows"] == 400 * len(SPECIAL)


def test_a_second_process_that_dies_costs_time_and_no_row(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrubs, "_BLOCK_BYTES", 20_000)
    monkeypatch.setattr(scrubs, "_WORTH_TWO_PROCESSES", 0)
    first, answer = os.getpid(), Answerer.answer

    def die_in_the_second_process(answerer: Answerer, block: Block) -> Piece:
        if os.getpid() != first:
            os._exit(1)
        return answer(answerer, block)

    monkeypatch.setattr(Answerer, "answer", die_in_the_second_process)
    content = "\n".join(["phone", *map(str, range(13700000000, 13700010000))])

    data, result = desk.scrub(content.encode())

    assert [row[0] for row in table(data)[1:]] == list(map(str, range(13700000000, 13700010000)))
    assert result["rows"] == 10_000


def test_reasons_are_counted_by_row(desk: Desk) -> None:
    data, result = desk.scrub(f"phone\n{BLOCKED}\n{BLOCKED}\n110\n{FRESH}\n".encode(), at=NOON + 10 * HOUR)

    assert result["by_reason"] == {"quiet_hours": 4, "do_not_call": 2, "invalid_number": 1}
    assert list(result["by_reason"]) == [code for code in RULES_CHECKED if code in result["by_reason"]]
    assert table(data)[3][3] == "quiet_hours;invalid_number"


def test_an_unreadable_file_is_an_error_and_leaves_no_result(desk: Desk, tmp_path: Path) -> None:
    elsewhere = Desk(desk.engine, tmp_path)

    with pytest.raises(UnreadableListError):
        elsewhere.scrub(b"name,city\na,b\n")

    assert not (tmp_path / "out.csv").exists()


def test_a_scrub_that_breaks_off_leaves_nothing(desk: Desk, tmp_path: Path) -> None:
    def fail(_done: int, _total: int | None) -> None:
        raise ZeroDivisionError

    (tmp_path / "in.csv").write_text("phone\n13800138000\n")
    (tmp_path / "out.csv").write_text("the one before")

    with pytest.raises(ZeroDivisionError):
        scrub_file(
            desk.engine,
            tmp_path / "in.csv",
            tmp_path / "out.csv",
            call=TEMPLATE,
            at=None,
            clock=lambda: NOON,
            calendar=CALENDAR,
            cache_dir=desk.directory / "cache",
            progress=fail,
        )

    assert {path.name for path in tmp_path.iterdir()} == {"in.csv", "out.csv"}
    assert (tmp_path / "out.csv").read_text() == "the one before"


def test_a_refusal_committed_just_before_the_clock_is_read_counts(desk: Desk, tmp_path: Path) -> None:
    late = NOON + timedelta(seconds=5)
    source = tmp_path / "in.csv"
    source.write_text("phone\n13700137099\n")
    with desk.engine.begin() as connection:
        refuse(connection, 13700137099, at=late, entered_at=late)

    result = scrub_file(
        desk.engine,
        source,
        tmp_path / "out.csv",
        call=TEMPLATE,
        at=None,
        clock=lambda: late,
        calendar=CALENDAR,
        cache_dir=tmp_path / "cache",
        progress=lambda _done, _total: None,
    )

    assert result["by_reason"] == {"do_not_call": 1}


def test_an_attempt_believed_dead_does_not_write_into_the_result_of_its_successor(desk: Desk, tmp_path: Path) -> None:
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text("phone\n13800138000\n")

    def scrub(at: datetime, progress: Callable[[int, int | None], None]) -> None:
        scrub_file(
            desk.engine,
            source,
            target,
            call=TEMPLATE,
            at=at,
            clock=lambda: NOON,
            calendar=CALENDAR,
            cache_dir=tmp_path / "cache",
            progress=progress,
        )

    def be_overtaken(_done: int, _total: int | None) -> None:
        scrub(NOON + 10 * HOUR, lambda _done, _total: None)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        scrub(NOON, be_overtaken)

    assert [row[2] for row in table(target.read_bytes())] == ["decision", "deny"]
    assert {one.name for one in tmp_path.glob("*.csv*")} == {"in.csv", "out.csv"}


def test_progress_counts_rows_and_ends_with_their_total(desk: Desk, tmp_path: Path) -> None:
    reported: list[tuple[int, int | None]] = []
    (tmp_path / "in.csv").write_text("phone\n" + "13700137000\n" * 300_000)

    scrub_file(
        desk.engine,
        tmp_path / "in.csv",
        tmp_path / "out.csv",
        call=TEMPLATE,
        at=datetime(2026, 11, 23, 4, tzinfo=UTC),
        clock=lambda: NOON,
        calendar=CALENDAR,
        cache_dir=tmp_path / "cache",
        progress=lambda done, total: reported.append((done, total)),
    )

    assert len(reported) > 2
    assert reported[-1] == (300_000, 300_000)
    assert [done for done, _ in reported] == sorted(done for done, _ in reported)


def test_the_days_of_a_block_are_those_of_the_calendar(desk: Desk) -> None:
    data, _ = desk.scrub(f"phone\n{PERMANENT}\n{EXTENDED}\n".encode())

    _, permanent, extended = table(data)
    assert permanent[4] == ""
    assert date.fromisoformat(extended[4][:10]) > date(2028, 11, 22)
