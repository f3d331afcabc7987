"""Scrubs on a real database: each row gets the verdict that the gate would give, and comes back as it came."""

import codecs
import csv
import io
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, insert, text

from compliance import scrubs
from compliance.block_entries import BlockSource
from compliance.block_list import Refusal, block_person
from compliance.call_checks import Gate, check_calls, simulate_calls
from compliance.call_facts import ProposedCall, Purpose
from compliance.customer_rows import put_customer
from compliance.decision import RULES_CHECKED, Decision
from compliance.list_rows import UnreadableListError
from compliance.number_lists import Block
from compliance.policy import parse_policy
from compliance.policy_store import store_policy
from compliance.register_book import Shelf
from compliance.register_tables import overlays
from compliance.registers import Change
from compliance.scrub_answers import Answerer
from compliance.scrub_pair import Piece
from compliance.scrubs import added_headers, scrub_file
from compliance.working_days import package_calendar
from infra.database import make_engine
from infra.embedded_postgres import EmbeddedPostgres
from infra.ids import new_id
from tests.conftest import NOON
from tests.gate_facts import CALL, LONG_AGO, write_registers
from tests.releases import approve_release
from tests.services.shared_app import fresh_database

CALENDAR = package_calendar()
TEMPLATE = ProposedCall(**{**CALL, "purpose": Purpose.SALES, "callee": ""})
HOUR = timedelta(hours=1)

BLOCKED, EXTENDED, PERMANENT, RELEASED, REFUSED_AGAIN = range(13800138001, 13800138006)
CUSTOMER, CUSTOMERS_OTHER, IN_TIBET, CALLED, FRESH = range(13900139001, 13900139006)

REGIONAL_POLICY = """
[contact_limit]
attempts = 2
per_hours = 24

[[quiet_hours.region]]
code = "540000"
daily = [21:00:00, 12:30:00]

[[quiet_hours.segment]]
name = "age_60_plus"
daily = [11:00:00, 14:30:00]
"""


@dataclass(frozen=True, slots=True)
class Desk:
    """Where scrubs of these tests are made."""

    engine: Engine
    directory: Path

    def scrub(
        self, content: bytes, *, call: ProposedCall = TEMPLATE, at: datetime | None = None, name: str = "in.csv"
    ) -> tuple[bytes, dict[str, object]]:
        source, target = self.directory / name, self.directory / "out.csv"
        source.write_bytes(content)
        result = scrub_file(
            self.engine,
            source,
            target,
            call=call,
            at=at,
            clock=lambda: NOON,
            calendar=CALENDAR,
            cache_dir=self.directory / "cache",
            progress=lambda _done, _total: None,
        )
        return target.read_bytes(), result

    def verdicts(self, callees: Sequence[str], *, call: ProposedCall = TEMPLATE, at: datetime) -> list[list[str]]:
        """Return the cells that the answers of single simulations would be."""
        with self.engine.connect() as connection:
            return [cells_of(*self._simulated(connection, callee, call, at)) for callee in callees]

    def _simulated(
        self, connection: Connection, callee: str, call: ProposedCall, at: datetime
    ) -> tuple[str | None, Decision]:
        proposed = ProposedCall(**{**_as_dict(call), "callee": callee})
        [judged] = simulate_calls(connection, [proposed], policy=None, calendar=CALENDAR, at=at, now=NOON)
        return judged.callee.phone_e164, judged.decision


def _as_dict(call: ProposedCall) -> dict[str, object]:
    return {name: getattr(call, name) for name in call.__dataclass_fields__}


def cells_of(e164: str | None, decision: Decision) -> list[str]:
    until = decision.next_callable_at
    reasons = ";".join(reason.code for reason in decision.reasons)
    return [e164 or "", decision.verdict.value, reasons, "" if until is None else until.isoformat()]


def table(data: bytes, *, encoding: str = "utf-8", delimiter: str = ",") -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode(encoding), newline=""), delimiter=delimiter))


def refuse(connection: Connection, phone: int, *, at: datetime, entered_at: datetime = NOON, **more: object) -> None:
    refusal = Refusal(phone_e164=f"+86{phone}", source=BlockSource.CALL, refused_at=at, **more)  # type: ignore[arg-type]
    block_person(connection, refusal, block_months=6, person="tests", now=entered_at)


def release(connection: Connection, phone: int, *, at: datetime) -> None:
    [entry_id] = connection.execute(
        text("SELECT entry_id FROM do_not_call_phones WHERE phone_digits = :phone"), {"phone": int(f"86{phone}")}
    ).one()
    approve_release(connection, entry_id, at=at)
    connection.execute(
        text("UPDATE do_not_call_entries SET released_at = :at WHERE entry_id = :id"), {"at": at, "id": entry_id}
    )
    connection.execute(
        text("""INSERT INTO do_not_call_events (event_id, entry_id, kind, actor, recorded_at)
                VALUES (:event_id, :id, 'release', 'tests', :at)"""),
        {"event_id": new_id(), "at": at, "id": entry_id},
    )


def put_policy(connection: Connection, policy_text: str) -> None:
    policy = parse_policy(policy_text, on=NOON.date())
    store_policy(connection, policy, policy_id=new_id(), source="api", now=NOON - timedelta(days=1))


def fill(connection: Connection) -> None:
    """Enter registers, people, blocks and calls that differ in everything the rules read of a callee."""
    write_registers(connection)
    put_policy(connection, REGIONAL_POLICY)
    month_ago = NOON - timedelta(days=30)
    refuse(connection, BLOCKED, at=month_ago, entered_at=month_ago)
    refuse(connection, EXTENDED, at=month_ago, entered_at=month_ago)
    refuse(connection, EXTENDED, at=NOON - HOUR, months=24)
    refuse(connection, PERMANENT, at=month_ago, permanent=True)
    refuse(connection, RELEASED, at=month_ago, entered_at=month_ago)
    release(connection, RELEASED, at=NOON - timedelta(days=10))
    refuse(connection, REFUSED_AGAIN, at=month_ago, entered_at=month_ago)
    release(connection, REFUSED_AGAIN, at=NOON - timedelta(days=10))
    refuse(connection, REFUSED_AGAIN, at=NOON - timedelta(days=5), entered_at=NOON - timedelta(days=4))
    person = {"phones": [f"+86{CUSTOMER}", f"+86{CUSTOMERS_OTHER}"], "segments": ["age_60_plus"], "policy_nos": ["P1"]}
    settled = {"phones": [f"+86{IN_TIBET}"], "segments": [], "policy_nos": [], "region": "540100"}
    for customer_id, fields in (("c1", person), ("c2", settled)):
        put_customer(connection, customer_id, Change(fields=fields, effective_from=LONG_AGO), person="tests", now=NOON)
    refuse(connection, CUSTOMERS_OTHER, at=NOON - timedelta(days=3))
    connection.execute(
        insert(overlays).values(
            overlay_id=new_id(),
            name="closure",
            kind="emergency",
            regions=["330200"],
            from_at=NOON - HOUR,
            to_at=NOON + 2 * HOUR,
            reason="typhoon",
            actor="tests",
            created_at=NOON - HOUR,
        )
    )
    call = ProposedCall(**{**CALL, "purpose": Purpose.SALES, "callee": str(CALLED)})
    gate = Gate(shelf=Shelf(), calendar=CALENDAR)
    check_calls(connection, [call, call], gate=gate, actors=["d", "d"], now=NOON - timedelta(minutes=30))


@pytest.fixture(params=["alone", "in a pair"])
def processes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scrub in one process and in two, in small blocks."""
    monkeypatch.setattr(scrubs, "_BLOCK_BYTES", 20_000)
    monkeypatch.setattr(scrubs, "_WORTH_TWO_PROCESSES", 0 if request.param == "in a pair" else 1 << 40)


@pytest.fixture(scope="module")
def desk(server: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with fresh_database(server, template) as url:
        engine = make_engine(url, application_name="tests")
        with engine.begin() as connection:
            fill(connection)
        yield Desk(engine, tmp_path_factory.mktemp("scrubs"))
        engine.dispose()


SPECIAL = [
    BLOCKED, EXTENDED, PERMANENT, RELEASED, REFUSED_AGAIN, CUSTOMER, CUSTOMERS_OTHER, IN_TIBET, CALLED, FRESH,
    13908900000, 13857400000, 18900000000, 17300000000,
]  # fmt: skip
SPELLINGS: list[Callable[[int], str]] = [
    str,
    lambda phone: f"+86{phone}",
    lambda phone: f"{str(phone)[:3]} {str(phone)[3:7]}-{str(phone)[7:]}",
    lambda phone: f"0{phone}",
    lambda phone: f"{phone}转8",
]
CALLEES = st.one_of(
    st.builds(lambda phone, spelling: spelling(phone), st.sampled_from(SPECIAL), st.sampled_from(SPELLINGS)),
    st.sampled_from(["", "110", "garbage", "021-62345678", "0990-6234567", "4008123123", "+85291234567", "=1+1"]),
    st.integers(13000000000, 19999999999).map(str),
)
INSTANTS = st.sampled_from(
    [
        NOON,
        NOON + timedelta(minutes=45),
        NOON + 10 * HOUR,
        NOON + timedelta(days=200),
        NOON - 2 * HOUR,
        NOON - timedelta(days=4, hours=12),
        NOON - timedelta(days=7),
        NOON - timedelta(days=20),
        NOON - timedelta(days=40),
    ]
)
CALLS = st.sampled_from(
    [
        TEMPLATE,
        ProposedCall(**{**CALL, "purpose": Purpose.SERVICE, "callee": ""}),
        ProposedCall(callee="", purpose=Purpose.APPOINTMENT, centre_id="centre-1"),
    ]
)


@settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(callees=st.lists(CALLEES, max_size=12), at=INSTANTS, call=CALLS)
def test_each_row_gets_the_verdict_of_its_simulation(
    desk: Desk, callees: list[str], at: datetime, call: ProposedCall
) -> None:
    rows = "".join(f"{number},{callee}\n" for number, callee in enumerate(callees))

    data, result = desk.scrub(f"row,phone\n{rows}".encode(), call=call, at=at)

    _, *scrubbed = table(data)
    assert [row[2:] for row in scrubbed] == desk.verdicts(callees, call=call, at=at)
    assert [row[0] for row in scrubbed] == [str(number) for number in range(len(callees))]
    assert result["rows"] == len(callees)


def test_a_scrub_of_the_present_gives_the_verdicts_of_checks(desk: Desk) -> None:
    with desk.engine.connect() as connection:
        calls = [ProposedCall(**{**CALL, "purpose": Purpose.SALES, "callee": str(phone)}) for phone in SPECIAL]
        gate = Gate(shelf=Shelf(), calendar=CALENDAR)
        checked = check_calls(connection, calls, gate=gate, actors=["d"] * len(calls), now=NOON)

    data, result = desk.scrub("\n".join(["phone", *map(str, SPECIAL)]).encode())

    _, *scrubbed = table(data)
    assert [row[1:] for row in scrubbed] == [cells_of(one.callee.phone_e164, one.decision) for one in checked]
    assert {row[2] for row in scrubbed} == {"allow", "deny"}
    assert result["at"] == "2026-11-23T12:00:00+08:00"
    assert result["policy_digest"] == checked[0].policy.digest


CELLS = st.one_of(
    st.text(st.characters(codec="gb18030", exclude_characters="\r\n\0"), max_size=8),
    st.sampled_from(["=1+1", "@x", "-5", "+86 13800138001", "a,b", 'say "hi"', "a;b", "a\tb", " x", "line\nbreak"]),
)
FORMS = st.tuples(
    st.sampled_from(["utf-8", "gb18030", "utf-16-le"]),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["\n", "\r\n"]),
)


def written(rows: Sequence[Sequence[str]], form: tuple[str, str, str], *, quoting: int) -> bytes:
    encoding, delimiter, newline = form
    stream = io.StringIO(newline="")
    csv.writer(stream, delimiter=delimiter, lineterminator=newline, quoting=quoting).writerows(rows)  # type: ignore[arg-type]
    mark = codecs.BOM_UTF16_LE if encoding == "utf-16-le" else b""
    return mark + stream.getvalue().encode(encoding)


@settings(
    deadline=None,
    max_examples=80,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(rows=st.lists(st.tuples(CELLS, CALLEES, CELLS), max_size=8), form=FORMS)
def test_rows_read_as_bytes_and_rows_read_cell_by_cell_come_out_the_same(
    desk: Desk, rows: list[tuple[str, str, str]], form: tuple[str, str, str]
) -> None:
    listed = [("姓名", "手机号", "备注"), *rows]

    as_bytes, result = desk.scrub(written(listed, form, quoting=csv.QUOTE_MINIMAL))
    by_cells, again = desk.scrub(written(listed, form, quoting=csv.QUOTE_ALL))

    encoding, delimiter, newline = form
    shown = table(as_bytes, encoding=encoding, delimiter=delimiter)
    assert shown == table(by_cells, encoding=encoding, delimiter=delimiter)
    assert result == again
    assert len(shown) == len(listed)
    assert as_bytes.decode(encoding).endswith(newline)
    assert [row[1] for row in shown[1:]] == [("'" if callee == "=1+1" else "") + callee for _, callee, _ in rows]


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
