"""The policy file: tightening is kept, loosening and mistakes are refused, all at once."""

import hashlib
import tomllib
from datetime import date, time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compliance.calling_windows import DailyWindow, covers, week_pattern
from compliance.legal import NotInForceError, citation, in_force
from compliance.policy import (
    ComplaintTerms,
    ContactLimit,
    Offence,
    PolicyError,
    RegionalWindows,
    RetentionYears,
    SamplingRates,
    SegmentWindows,
    floor_policy,
    floor_policy_text,
    parse_policy,
)

ON = date(2026, 11, 23)
CASES = tomllib.loads((Path(__file__).parents[1] / "cases" / "policy_floors.toml").read_text("utf-8"))["case"]
NIGHT = DailyWindow(time(21), time(9))

TIGHTER = """
[do_not_call]
block_months = 12

[quiet_hours]
daily = [20:30:00, 09:00:00]              # must cover 21:00-09:00

[[quiet_hours.region]]
code = "650000"
daily = [21:00:00, 11:00:00]

[[quiet_hours.segment]]
name = "age_60_plus"
daily = [12:00:00, 14:30:00]

[sampling]
over_1y_bp = 3500
within_1y_bp = 2000
gift_bp = 100

[retention]
years_5y = 6
years_10y = 15

[complaints]
explain_working_days = 1
resolve_working_days = 8
business_close = 17:30:00

[contact_limit]
attempts = 3
per_hours = 24
"""


def offences(text: str) -> tuple[Offence, ...]:
    with pytest.raises(PolicyError) as refusal:
        parse_policy(text, on=ON)
    return refusal.value.offences


def places(text: str) -> list[str]:
    return [offence.loc for offence in offences(text)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_cases_quote_their_article(case: dict[str, Any]) -> None:
    assert case["words"] in citation(case["article"]).words


@pytest.mark.parametrize("case", [c for c in CASES if not c["refused"]], ids=lambda case: case["id"])
def test_cases_that_keep_the_law_are_accepted(case: dict[str, Any]) -> None:
    assert parse_policy(case["policy"], on=ON).text == case["policy"]


@pytest.mark.parametrize("case", [c for c in CASES if c["refused"]], ids=lambda case: case["id"])
def test_cases_looser_than_the_law_are_refused_naming_the_article(case: dict[str, Any]) -> None:
    found = offences(case["policy"])

    assert [(o.loc, o.article) for o in found] == [(loc, case["article"]) for loc in case["refused"]]


def test_a_tighter_policy_is_read_as_written() -> None:
    policy = parse_policy(TIGHTER, on=ON)

    assert policy.block_months == 12
    assert policy.quiet_hours.general == week_pattern([DailyWindow(time(20, 30), time(9))])
    assert policy.quiet_hours.regions == (RegionalWindows("650000", week_pattern([DailyWindow(time(21), time(11))])),)
    assert policy.quiet_hours.segments == (
        SegmentWindows("age_60_plus", week_pattern([DailyWindow(time(12), time(14, 30))])),
    )
    assert policy.sampling == SamplingRates(3500, 2000, 100)
    assert policy.retention == RetentionYears(6, 15, 3, 0)
    assert policy.complaints == ComplaintTerms(1, 8, time(17, 30))
    assert policy.contact_limit == ContactLimit(3, 24)


def test_the_digest_is_that_of_the_exact_text() -> None:
    text = "# 安静时间\r\n"

    assert parse_policy(text, on=ON).digest == "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def test_an_empty_file_is_the_floor() -> None:
    empty, floor = parse_policy("", on=ON), floor_policy(on=ON)

    assert empty.block_months == floor.block_months == in_force("do_not_call.block_months", ON).number
    assert empty.quiet_hours == floor.quiet_hours
    assert empty.sampling == floor.sampling
    assert empty.retention == floor.retention
    assert empty.complaints == floor.complaints
    assert empty.contact_limit is None
    assert floor.contact_limit is None


def test_the_floor_is_exactly_the_law() -> None:
    floor = floor_policy(on=ON)

    assert floor.block_months == 6
    assert floor.quiet_hours.general == week_pattern([NIGHT])
    assert (floor.quiet_hours.regions, floor.quiet_hours.segments) == ((), ())
    assert floor.sampling == SamplingRates(3000, 2000, 100)
    assert floor.retention == RetentionYears(5, 10, 3, 0)
    assert floor.complaints == ComplaintTerms(2, 10, None)


def test_the_floor_is_written_with_its_articles() -> None:
    line = "block_months = 6  # art. 25(2), at least, calendar months: 设定不少于6个月的禁止拨打时限"

    assert line in floor_policy_text(on=ON).splitlines()


def test_the_floor_names_every_figure_of_the_file() -> None:
    document = tomllib.loads(floor_policy_text(on=ON))

    assert {section: sorted(table) for section, table in document.items()} == {
        "do_not_call": ["block_months"],
        "quiet_hours": ["daily"],
        "sampling": ["gift_bp", "over_1y_bp", "within_1y_bp"],
        "retention": ["years_10y", "years_5y"],
        "complaints": ["explain_working_days", "resolve_working_days"],
    }


def test_the_digest_of_the_floor_does_not_change_from_day_to_day() -> None:
    assert floor_policy(on=date(2013, 1, 1)).digest == floor_policy(on=ON).digest


def test_there_is_no_policy_before_the_law() -> None:
    with pytest.raises(NotInForceError):
        parse_policy("", on=date(2012, 12, 31))


def test_windows_of_one_region_or_segment_are_merged_and_sorted() -> None:
    policy = parse_policy(
        """
        [[quiet_hours.region]]
        code = "650000"
        daily = [09:00:00, 11:00:00]
        [[quiet_hours.region]]
        code = "210200"
        daily = [19:00:00, 21:00:00]
        weekdays = ["fri"]
        [[quiet_hours.region]]
        code = "650000"
        daily = [11:00:00, 12:00:00]
        [[quiet_hours.segment]]
        name = "午休"
        daily = [12:00:00, 13:00:00]
        [[quiet_hours.segment]]
        name = "午休"
        daily = [13:00:00, 14:00:00]
        """,
        on=ON,
    )

    assert policy.quiet_hours.regions == (
        RegionalWindows("210200", week_pattern([DailyWindow(time(19), time(21), frozenset({4}))])),
        RegionalWindows("650000", week_pattern([DailyWindow(time(9), time(12))])),
    )
    assert policy.quiet_hours.segments == (SegmentWindows("午休", week_pattern([DailyWindow(time(12), time(14))])),)


def test_extra_windows_are_added_to_the_hours_of_everyone() -> None:
    policy = parse_policy('[[quiet_hours.extra]]\ndaily = [12:00:00, 13:00:00]\nweekdays = ["sat", "sun"]', on=ON)

    lunch = DailyWindow(time(12), time(13), frozenset({5, 6}))
    assert policy.quiet_hours.general == week_pattern([NIGHT, lunch])


def test_all_weekdays_by_name_are_every_day() -> None:
    policy = parse_policy('[quiet_hours]\nweekdays = ["mon","tue","wed","thu","fri","sat","sun"]', on=ON)

    assert policy.quiet_hours.general == week_pattern([NIGHT])


def test_all_offences_come_at_once_in_the_order_of_the_format() -> None:
    found = offences("""
        surprise = 1
        [contact_limit]
        attempts = 0
        [complaints]
        resolve_working_days = 11
        business_close = "17:30"
        close = 17:30:00
        [retention]
        years_5y = 4
        years_10y = true
        [quiet_hours]
        daily = [22:00:00, 08:00:00]
        night = 1
        [[quiet_hours.region]]
        code = "999999"
        [sampling]
        over_1y_bp = 2999
        [do_not_call]
        block_months = 5
        block_weeks = 26
        """)

    assert [(o.loc, o.article) for o in found] == [
        ("surprise", None),
        ("do_not_call.block_months", "25(2)"),
        ("do_not_call.block_weeks", None),
        ("quiet_hours.daily", "25(1)"),
        ("quiet_hours.region[0].code", None),
        ("quiet_hours.region[0].daily", None),
        ("quiet_hours.night", None),
        ("sampling.over_1y_bp", "34(1)"),
        ("retention.years_5y", "35"),
        ("retention.years_10y", None),
        ("complaints.resolve_working_days", "42"),
        ("complaints.close", None),
        ("complaints.business_close", None),
        ("contact_limit.attempts", None),
        ("contact_limit.per_hours", None),
    ]


def test_an_offence_quotes_the_law() -> None:
    (offence,) = offences("[do_not_call]\nblock_months = 5")

    assert offence.msg == (
        "is looser than the law; the law demands at least 6 (calendar months), "
        "art. 25(2): 「设定不少于6个月的禁止拨打时限」"
    )


def test_an_offence_names_the_nights_left_open() -> None:
    (offence,) = offences('[quiet_hours]\nweekdays = ["mon", "tue", "wed", "thu", "fri"]')

    assert offence.loc == "quiet_hours.weekdays"
    assert offence.msg.startswith(
        "leaves time open that begins on sat, sun; the law demands at least [21:00:00, 09:00:00]"
    )


def test_the_error_reads_as_a_list_of_offences() -> None:
    with pytest.raises(PolicyError, match=r"do_not_call\.block_weeks: unknown key; known are block_months"):
        parse_policy("[do_not_call]\nblock_weeks = 26", on=ON)


REGION = '[[quiet_hours.region]]\ncode = "650000"\ndaily = [09:00:00, 11:00:00]\n'
SEGMENT = '[[quiet_hours.segment]]\nname = "students"\ndaily = [09:00:00, 11:00:00]\n'
HUGE = "0x" + "f" * 480

WRONG = {
    "a number for a table": ("do_not_call = 6", "do_not_call", "must be a table [do_not_call], not a number"),
    "a list for a table": ("[[sampling]]", "sampling", "must be a table [sampling], not a list"),
    "a boolean": ("[do_not_call]\nblock_months = true", "do_not_call.block_months", "not a boolean"),
    "a decimal number": ("[do_not_call]\nblock_months = 6.0", "do_not_call.block_months", "not a decimal number"),
    "text": ('[do_not_call]\nblock_months = "6"', "do_not_call.block_months", "not text"),
    "a date": ("[do_not_call]\nblock_months = 2026-01-01", "do_not_call.block_months", "not a date"),
    "a table": ("[do_not_call.block_months]", "do_not_call.block_months", "not a table"),
    "too many months": ("[do_not_call]\nblock_months = 1201", "do_not_call.block_months", "from 1 to 1200"),
    "a number without end": (f"[retention]\nyears_5y = {HUGE}", "retention.years_5y", "from 1 to 100"),
    "too many years": ("[retention]\nyears_10y = 101", "retention.years_10y", "from 1 to 100"),
    "more than everything": ("[sampling]\ngift_bp = 10001", "sampling.gift_bp", "from 1 to 10000"),
    "no day to explain": ("[complaints]\nexplain_working_days = 0", "complaints.explain_working_days", "from 1 to"),
    "days before": ("[complaints]\nresolve_working_days = -1", "complaints.resolve_working_days", "from 1 to"),
    "a close of text": ('[complaints]\nbusiness_close = "17:30"', "complaints.business_close", "not text"),
    "no attempts": ("[contact_limit]\nattempts = 0\nper_hours = 1", "contact_limit.attempts", "from 1 to 1000"),
    "a limit without hours": ("[contact_limit]\nattempts = 1", "contact_limit.per_hours", "not nothing"),
    "too many hours": ("[contact_limit]\nattempts = 1\nper_hours = 8761", "contact_limit.per_hours", "1 to 8760"),
    "one time": ("[quiet_hours]\ndaily = [21:00:00]", "quiet_hours.daily", "must be two local times"),
    "three times": ("[quiet_hours]\ndaily = [20:00:00, 09:00:00, 10:00:00]", "quiet_hours.daily", "two local times"),
    "times as text": ('[quiet_hours]\ndaily = ["21:00", "09:00"]', "quiet_hours.daily", "not a list of anything else"),
    "hours alone": ("[quiet_hours]\ndaily = 21:00:00", "quiet_hours.daily", "not a time"),
    "an unknown weekday": ('[quiet_hours]\nweekdays = ["mon","monday"]', "quiet_hours.weekdays[1]", "of mon, tue"),
    "a weekday by number": (REGION + "weekdays = [1]", "quiet_hours.region[0].weekdays[0]", "one or more of mon"),
    "no weekday": (REGION + "weekdays = []", "quiet_hours.region[0].weekdays", "leave it out for every day"),
    "one table of regions": ("[quiet_hours.region]", "quiet_hours.region", "must be a list of tables"),
    "a region of text": ('[quiet_hours]\nregion = ["650000"]', "quiet_hours.region[0]", "must be a table"),
    "an unknown region": (REGION.replace("650000", "000000"), "quiet_hours.region[0].code", "must be the six-digit"),
    "a city under its province": (REGION.replace("650000", "650100"), "quiet_hours.region[0].code", "six-digit"),
    "a region by name": (REGION.replace("650000", "新疆"), "quiet_hours.region[0].code", "must be the six-digit"),
    "full-width digits": (REGION.replace("650000", "６５００００"), "quiet_hours.region[0].code", "six-digit"),
    "a region by number": (REGION.replace('"650000"', "650000"), "quiet_hours.region[0].code", "six-digit"),
    "a region without code": (REGION.replace('code = "650000"', ""), "quiet_hours.region[0].code", "six-digit"),
    "a region without hours": ('[[quiet_hours.region]]\ncode = "650000"', "quiet_hours.region[0].daily", "not nothing"),
    "a key of a segment": (REGION + 'name = "x"', "quiet_hours.region[0].name", "unknown key; known are code, daily"),
    "a segment without name": (SEGMENT.replace("students", ""), "quiet_hours.segment[0].name", "1 to 64 printable"),
    "a long name": (SEGMENT.replace("students", "s" * 65), "quiet_hours.segment[0].name", "1 to 64 printable"),
    "space around a name": (SEGMENT.replace("students", "students "), "quiet_hours.segment[0].name", "without space"),
    "a name of bidi marks": (SEGMENT.replace("students", "a\\u202eb"), "quiet_hours.segment[0].name", "printable"),
    "a name of NUL": (SEGMENT.replace("students", "a\\u0000b"), "quiet_hours.segment[0].name", "1 to 64 printable"),
    "a name by number": (SEGMENT.replace('"students"', "1"), "quiet_hours.segment[0].name", "1 to 64 printable"),
    "a name for everyone": (SEGMENT.replace("segment", "extra"), "quiet_hours.extra[0].name", "unknown key"),
    "an unknown table": ("[telemetry]", "telemetry", "unknown key; known are complaints"),
    "a key that hides": ('"a\\u202eb" = 1', "policy", "unknown key, not made of"),
    "a hidden key in a table": ('[sampling]\n"1 2" = 1', "sampling", "unknown key, not made of"),
    "what is no TOML": ('name = "x', "policy", "not TOML: Unterminated string (at line 1, column 10"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "loc", "msg"), WRONG.values(), ids=WRONG.keys())
def test_what_is_no_policy_is_refused_without_blaming_the_law(text: str, loc: str, msg: str) -> None:
    (offence,) = offences(text)

    assert (offence.loc, offence.article) == (loc, None)
    assert msg in offence.msg


def test_complaints_that_are_no_table_are_one_offence() -> None:
    assert places("complaints = 5") == ["complaints"]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("[do_not_call]\nblock_months = 1200", id="a hundred years of block"),
        pytest.param("[retention]\nyears_5y = 100\nyears_10y = 100", id="a hundred years of recordings"),
        pytest.param("[complaints]\nbusiness_close = 00:00:00", id="closed all day"),
        pytest.param("[contact_limit]\nattempts = 1\nper_hours = 1", id="one attempt an hour"),
        pytest.param(SEGMENT.replace("students", "名" * 64), id="a name of 64 characters"),
        pytest.param("[quiet_hours]\nregion = []", id="no region"),
    ],
)
def test_what_is_at_the_edge_of_the_format_is_accepted(text: str) -> None:
    assert parse_policy(text, on=ON).text == text


lawful = st.fixed_dictionaries(
    {},
    optional={
        "do_not_call": st.builds("block_months = {}".format, st.integers(6, 1200)),
        "sampling": st.builds("over_1y_bp = {}".format, st.integers(3000, 10_000)),
        "retention": st.builds("years_5y = {}".format, st.integers(5, 100)),
        "complaints": st.builds("resolve_working_days = {}".format, st.integers(1, 10)),
        "quiet_hours": st.builds(
            "daily = [{}, {}]".format, st.times(time(10), time(21)), st.times(time(9), time(9, 59))
        ),
    },
)


@given(lawful)
def test_whatever_is_tighter_is_accepted_and_never_below_the_floor(sections: dict[str, str]) -> None:
    text = "".join(f"[{name}]\n{line}\n" for name, line in sections.items())
    floor = floor_policy(on=ON)

    policy = parse_policy(text, on=ON)

    assert covers(policy.quiet_hours.general, floor.quiet_hours.general)
    assert policy.block_months >= floor.block_months
    assert policy.sampling.over_1y_bp >= floor.sampling.over_1y_bp
    assert policy.retention.years_5y >= floor.retention.years_5y
    assert policy.complaints.resolve_working_days <= floor.complaints.resolve_working_days


@given(st.times(time(9), time(23, 59)))
def test_a_night_that_ends_too_early_is_refused_whenever_it_begins(start: time) -> None:
    assert places(f"[quiet_hours]\ndaily = [{start}, 08:59:59]") == ["quiet_hours.daily"]


words = st.sampled_from(
    ["[", "]", "=", "\n", '"', "quiet_hours", "daily", "do_not_call", "region", "21:00:00", "6", ",", ".", " ", "true"]
)


@given(st.one_of(st.text(), st.lists(words).map("".join)))
def test_no_text_makes_the_reader_fail_in_another_way(text: str) -> None:
    try:
        outcome: object = parse_policy(text, on=ON).text
    except PolicyError as error:
        outcome = error.offences

    assert outcome == text or outcome
