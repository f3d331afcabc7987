"""Imports of lists: which row does what, in which kinds of files, and what is rejected."""

from datetime import UTC, date, datetime
from pathlib import Path

import openpyxl
import pytest

from compliance.do_not_call import PERMANENT
from compliance.do_not_call_imports import ImportMode
from compliance.list_rows import UnreadableListError
from compliance.policy import parse_policy
from compliance.policy_store import store_policy
from compliance.shanghai import shanghai_day
from infra.ids import new_id
from tests.compliance.import_lists import Importer, counts
from tests.conftest import NOON

NUMBERED = "phone,refused_at,blocked_through,customer_id,permanent,reason\r\n"
MIXED = (
    "phone,refused_at\r\n"
    "13800138000,2026-03-15\r\n"
    "\r\n"
    "13800138001,2026-03-15T23:30:00Z\r\n"
    "110,\r\n"
    "13800138000,2026-04-15\r\n"
    " , \r\n"
    "1.38E+10,\r\n"
    "13800138001,2026-03-16\r\n"
    '"138-0013-8002",\r\n'
    "13800138003,2026-02-30\r\n"
)
MIXED_COUNTS = counts(created=3, extended=1, unchanged=1, rejected=3)
MIXED_ENDS = {8613800138000: date(2026, 10, 15), 8613800138001: date(2026, 9, 16), 8613800138002: date(2027, 5, 23)}


def test_every_row_is_created_extended_unchanged_or_rejected(importer: Importer) -> None:
    assert importer.run(MIXED) == MIXED_COUNTS
    assert importer.ends() == MIXED_ENDS


def test_rejected_rows_are_listed_with_line_input_and_reason(importer: Importer) -> None:
    importer.run(MIXED)
    listed = importer.rejected()
    assert [(row["line"], row["input"], row["reason"]) for row in listed] == [
        ("5", "110", "short_number"),
        ("8", "1.38E+10", "scientific_notation"),
        ("11", "13800138003", "invalid_refused_at"),
    ]
    assert list(listed[0]) == ["line", "input", "reason", "message"]
    assert "短号码" in listed[0]["message"]


def test_cells_of_rejected_rows_cannot_run_as_formulas(importer: Importer) -> None:
    importer.run('phone\n"=cmd|""/C calc""!A0"\n')
    assert importer.rejected()[0]["input"] == '\'=cmd|"/C calc"!A0'


def test_a_row_that_moves_no_date_is_unchanged_even_if_refused_later(importer: Importer) -> None:
    importer.run(NUMBERED + "13800138000,2026-03-15,2027-12-31,,,first\n")
    assert importer.run(NUMBERED + "13800138000,2026-08-15,,,,second\n") == counts(unchanged=1)
    assert importer.read("SELECT refused_at, blocked_through, reason FROM do_not_call_entries") == [
        (datetime(2026, 8, 14, 16, tzinfo=UTC), date(2027, 12, 31), "second")
    ]
    assert importer.read("SELECT count(*) FROM do_not_call_events") == [(2,)]


def test_an_end_below_the_floor_is_raised_to_it(importer: Importer) -> None:
    rows = "13800138000,2026-03-15,2026-09-14,,,\n13800138001,2026-03-15,2026-09-15,,,\n"
    assert importer.run(NUMBERED + rows) == counts(created=2, raised=1)
    assert set(importer.ends().values()) == {date(2026, 9, 15)}


def test_the_floor_is_that_of_the_policy_in_force(importer: Importer) -> None:
    policy = parse_policy("[do_not_call]\nblock_months = 12\n", on=shanghai_day(NOON))
    with importer.engine.begin() as connection:
        store_policy(connection, policy, policy_id=new_id(), source="api", now=NOON)
    importer.run("phone,refused_at\n13800138000,2026-03-15\n")
    assert importer.ends() == {8613800138000: date(2027, 3, 15)}


def test_a_permanent_block_has_no_end(importer: Importer) -> None:
    importer.run("号码,永久\n13800138000,是\n")
    assert importer.ends() == {8613800138000: PERMANENT}


def test_a_strict_list_without_bad_rows_is_stored(importer: Importer) -> None:
    found = importer.run("phone\n13800138000\n\n13800138001\n13800138002\n13800138000\n", ImportMode.STRICT)
    assert found == {**counts(created=3, unchanged=1), "stored": True}
    assert len(importer.ends()) == 3


def test_a_strict_list_with_a_bad_row_stores_nothing_and_names_every_bad_row(importer: Importer) -> None:
    found = importer.run(MIXED, ImportMode.STRICT)
    assert found == {**counts(), "rows": 8, "rejected": 3, "stored": False}
    assert [row["line"] for row in importer.rejected()] == ["5", "8", "11"]
    assert importer.ends() == {}


def test_a_list_without_rows_is_imported(importer: Importer) -> None:
    assert importer.run("phone\n\n") == counts()
    assert importer.rejected() == []


@pytest.mark.parametrize("mode", list(ImportMode))
@pytest.mark.parametrize("listed", [MIXED, "phone\n13800138000\n", "phone\n"], ids=["bad rows", "good", "empty"])
def test_progress_ends_with_every_row_read(importer: Importer, mode: ImportMode, listed: str) -> None:
    seen: list[tuple[int, int]] = []
    importer.run(listed, mode, show=lambda done, total: seen.append((done, total)))
    rows = listed.count("\n") - 1
    assert seen[-1] == (rows, rows)
    assert seen == sorted(seen)


def test_a_file_that_is_no_list_is_refused(importer: Importer) -> None:
    with pytest.raises(UnreadableListError):
        importer.run("name\nWang\n")


CHINESE = "姓名,手机号,拒绝日期,备注\r\n王,１３８ ００１３ ８０００,2026年3月15日,无\r\n李,拒接,2026/3/15,无\r\n"


@pytest.mark.parametrize("encoding", ["gb18030", "utf-16", "utf-8-sig", "utf-8"])
def test_lists_come_in_the_encodings_of_spreadsheets(importer: Importer, encoding: str) -> None:
    assert importer.run(CHINESE.encode(encoding)) == counts(created=1, rejected=1)
    assert importer.ends() == {8613800138000: date(2026, 9, 15)}
    assert importer.rejected(encoding)[0]["input"] == "拒接"


def test_a_workbook_is_imported(importer: Importer, tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["手机号", "拒绝日期"])
    book.active.append([13800138000, date(2026, 3, 15)])
    book.active.append(["138 0013 8001", datetime(2026, 3, 16)])  # noqa: DTZ001 - cells know no zones
    book.active.append([None, None])
    book.active.append(["一三八", None])
    book.save(tmp_path / "list.xlsx")
    assert importer.run(tmp_path / "list.xlsx") == counts(created=2, rejected=1)
    assert importer.ends() == {8613800138000: date(2026, 9, 15), 8613800138001: date(2026, 9, 16)}
    assert importer.rejected("utf-8-sig")[0]["line"] == "5"


def test_the_history_says_which_line_of_which_import_blocked_whom(importer: Importer) -> None:
    job_id = new_id()
    importer.run(NUMBERED + '13800138000,2026-03-15,,,,"a\\b,\tc"\n', job_id=job_id)
    ((details, actor, refused_at, end),) = importer.read(
        "SELECT details, actor, refused_at, blocked_through FROM do_not_call_events"
    )
    assert details["evidence"] == {"job_id": str(job_id), "line": 2}
    assert (details["phone"], details["demanded_through"]) == ("138****8000", "2026-09-15")
    assert (details["reason"], actor) == ("a\\b,\tc", "officer")
    assert (refused_at, end) == (datetime(2026, 3, 14, 16, tzinfo=UTC), date(2026, 9, 15))
