"""Scrubs say of each row what the gate says of the same call."""

import codecs
import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compliance.call_checks import Gate, check_calls
from compliance.call_facts import ProposedCall, Purpose
from compliance.register_book import Shelf
from tests.compliance.scrub_desk import (
    CALENDAR,
    HOUR,
    SPECIAL,
    TEMPLATE,
    Desk,
    cells_of,
    table,
)
from tests.conftest import NOON

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
        replace(TEMPLATE, purpose=Purpose.SERVICE),
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
        calls = [replace(TEMPLATE, callee=str(phone)) for phone in SPECIAL]
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
