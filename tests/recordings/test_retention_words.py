"""What people are told about a recording's retention."""

from dataclasses import replace
from datetime import date

import pytest

from compliance.do_not_call import PERMANENT
from compliance.policy import RetentionYears
from recordings.retention_rules import LinkedSale, RetentionFacts, decide
from recordings.retention_words import why

YEARS = RetentionYears(years_5y=5, years_10y=10, years_without_sale=3, dispute_years=2)
TODAY = date(2026, 11, 23)
FACTS = RetentionFacts(call_day=date(2020, 3, 1), sales=(LinkedSale("P-2", "5y", date(2020, 2, 29)),))


def said(facts: RetentionFacts) -> list[tuple[str, str]]:
    return [(en, zh) for en, zh in why(facts, decide(facts, YEARS, today=TODAY), YEARS, today=TODAY)]


def test_an_expired_one_says_from_which_day_it_was_counted_and_that_nothing_goes_by_itself() -> None:
    assert said(FACTS) == [
        (
            "The contract of policy P-2 ended on 2020-02-29: 5 years from that day (art. 35).",
            "保单P-2的保险合同于2020年2月29日终止:自该日起保存5年(第三十五条)。",
        ),
        (
            "It was kept through 2025-02-28 and may be disposed of, if two officers agree; nothing goes by itself.",
            "保存期限已于2025年2月28日届满,经两名合规人员同意可以销毁;系统不会自行销毁。",
        ),
    ]


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        pytest.param(replace(FACTS, names_unknown_policy=True), "is not registered", id="unknown policy"),
        pytest.param(replace(FACTS, sales=(LinkedSale("P-1", "10y", None),)), "P-1 has not ended", id="running"),
        pytest.param(
            replace(FACTS, sales=()), "No sale is linked to it: the company keeps it for 3 years", id="no sale"
        ),
        pytest.param(replace(FACTS, held_since=(date(2026, 1, 5),)), "on hold since 2026-01-05", id="hold"),
        pytest.param(
            replace(FACTS, blocked_through=date(2027, 1, 5)), "list through 2027-01-05 (art. 25(2))", id="block"
        ),
        pytest.param(replace(FACTS, blocked_through=PERMANENT), "list for good", id="permanent block"),
        pytest.param(
            replace(FACTS, given_through=date(2030, 1, 1)), "a date once given is not shortened", id="given before"
        ),
        pytest.param(replace(FACTS, dispute_ended_on=date(2026, 1, 5)), "at least 2 years more", id="dispute"),
        pytest.param(replace(FACTS, given_through=date(2030, 1, 1)), "may be disposed of from 2030-01-02", id="dated"),
        pytest.param(replace(FACTS, disposed_on=date(2026, 1, 5)), "It was disposed of on 2026-01-05.", id="disposed"),
    ],
)
def test_each_reason_is_named_with_its_day(facts: RetentionFacts, expected: str) -> None:
    sentences = said(facts)

    assert any(expected in english for english, _ in sentences)
