"""Why a recording may or may not go, in sentences with dates and articles, English and Chinese.

Says what `retention_rules` decided, and decides nothing. Sentences hold policy numbers and dates, and no number or
name of a person.
"""

from collections.abc import Iterator
from datetime import date
from typing import NamedTuple

from compliance.do_not_call import PERMANENT
from compliance.policy import RetentionYears
from recordings.retention_rules import LinkedSale, Retention, RetentionFacts, RetentionState, term_of, years_of


class Sentence(NamedTuple):
    english: str
    chinese: str


def why(facts: RetentionFacts, retention: Retention, years: RetentionYears, *, today: date) -> list[Sentence]:
    """Return all that keeps the recording, and at last what follows from it on the day `today`."""
    return [
        *_contracts(facts, years, today=today),
        *_beyond_contracts(facts, retention, years, today=today),
        *_hindrances(facts),
        _conclusion(facts, retention),
    ]


def chinese_day(day: date) -> str:
    return f"{day.year}年{day.month}月{day.day}日"


def _contracts(facts: RetentionFacts, years: RetentionYears, *, today: date) -> Iterator[Sentence]:
    if facts.names_unknown_policy:
        yield Sentence(
            "The policy named with the recording is not registered; until it is, its contract counts as running"
            " (art. 35).",
            "录音所注保单尚未登记;登记前视为保险合同未终止(第三十五条)。",
        )
    for sale in facts.sales:
        yield _contract(sale, years, today=today)
    if not facts.sales and not facts.names_unknown_policy:
        count, called = years.years_without_sale, facts.call_day
        yield Sentence(
            f"No sale is linked to it: the company keeps it for {count} years from the call of {called}.",
            f"该录音未关联成交保单:公司自通话日{chinese_day(called)}起保存{count}年。",
        )


def _contract(sale: LinkedSale, years: RetentionYears, *, today: date) -> Sentence:
    if sale.ended_on is None or not sale.has_ended(today):
        return Sentence(
            f"The contract of policy {sale.policy_no} has not ended; the period counts from its end (art. 35).",
            f"保单{sale.policy_no}的保险合同尚未终止;保存时限自保险合同终止之日起算(第三十五条)。",
        )
    count = years_of(sale.retention_class, years)
    return Sentence(
        f"The contract of policy {sale.policy_no} ended on {sale.ended_on}: {count} years from that day (art. 35).",
        f"保单{sale.policy_no}的保险合同于{chinese_day(sale.ended_on)}终止:自该日起保存{count}年(第三十五条)。",
    )


def _beyond_contracts(
    facts: RetentionFacts, retention: Retention, years: RetentionYears, *, today: date
) -> Iterator[Sentence]:
    ended = facts.dispute_ended_on
    if ended is not None and years.dispute_years:
        yield Sentence(
            f"A dispute about it ended on {ended}: at least {years.dispute_years} years more.",
            f"相关纠纷于{chinese_day(ended)}结束:此后至少再保存{years.dispute_years}年。",
        )
    given, computed = facts.given_through, term_of(facts, years, today=today).through
    if given is not None and retention.keep_through is not None and computed is not None and given > computed:
        yield Sentence(
            f"It was dated {given} before; a date once given is not shortened.",
            f"此前已定保存至{chinese_day(given)};保存期限不得缩短。",
        )


def _hindrances(facts: RetentionFacts) -> Iterator[Sentence]:
    for since in sorted(facts.held_since):
        yield Sentence(f"It is on hold since {since}.", f"自{chinese_day(since)}起被依法留存。")
    if facts.blocked_through == PERMANENT:
        yield Sentence(
            "Its number is on the do-not-call list for good; while that stands, its recordings stay (art. 25(2)).",
            "该号码被永久列入禁止拨打名单;期间录音予以保留(第二十五条第二项)。",
        )
    elif facts.blocked_through is not None:
        yield Sentence(
            f"Its number is on the do-not-call list through {facts.blocked_through} (art. 25(2)).",
            f"该号码在{chinese_day(facts.blocked_through)}前列入禁止拨打名单(第二十五条第二项)。",
        )


def _conclusion(facts: RetentionFacts, retention: Retention) -> Sentence:
    if facts.disposed_on is not None:
        return Sentence(f"It was disposed of on {facts.disposed_on}.", f"已于{chinese_day(facts.disposed_on)}销毁。")
    through, earliest = retention.keep_through, retention.earliest_disposal_on
    if through is None or earliest is None:
        return Sentence("It may not be disposed of.", "不得销毁。")
    if retention.state is RetentionState.DATED:
        return Sentence(
            f"It is kept through {through} and may be disposed of from {earliest}, if two officers agree.",
            f"须保存至{chinese_day(through)};自{chinese_day(earliest)}起,经两名合规人员同意方可销毁。",
        )
    return Sentence(
        f"It was kept through {through} and may be disposed of, if two officers agree; nothing goes by itself.",
        f"保存期限已于{chinese_day(through)}届满,经两名合规人员同意可以销毁;系统不会自行销毁。",
    )
