import tomllib
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from compliance.call_facts import Facts, ProposedCall, Purpose
from compliance.call_rules import ARTICLES, FACT_ARTICLES, LONGEST_VALIDITY, RULES, decide, decide_all
from compliance.decision import RULES_CHECKED, Decision, Outcome, ReasonCode, Verdict
from compliance.legal import citation
from compliance.policy import floor_policy, parse_policy
from compliance.rule_answers import NaiveInstantError
from compliance.shanghai import SHANGHAI
from tests.compliance.call_rules_builders import (
    CALL,
    CAMPAIGN,
    CENTRE,
    FACTS,
    MORNING,
    NUMBER,
    POLICY_HOLDER,
    PRODUCT,
    SERVICE_CALL,
    case_from,
    with_callee,
    with_side,
)

LAW_DAY = date(2026, 6, 1)
FLOOR = floor_policy(on=LAW_DAY)
CASES = tomllib.loads((Path(__file__).parents[1] / "cases" / "call_rules.toml").read_text("utf-8"))["case"]
KEYS = {
    *("id", "article", "at", "policy", "agency", "call", "callee", "overlays"),
    *("absent", "unknown", "not_known", "withheld", "reasons", "facts", "until", "next", "valid_until"),
    *("uses_callback", "insurer", "centre", "agent", "product", "campaign", "caller_number", "script"),
    *("insurer_then", "centre_then", "agent_then", "product_then", "campaign_then"),
    *("caller_number_then", "script_then"),
}

Pair = tuple[ProposedCall, Facts]


def decided(table: Mapping[str, Any]) -> Decision:
    call, facts = case_from(table)
    return decide(call, facts, parse_policy(table.get("policy", ""), on=LAW_DAY), at=table["at"])


def by_id(table: Mapping[str, Any]) -> str:
    return str(table["id"])


@pytest.mark.parametrize("table", CASES, ids=by_id)
def test_case_has_exactly_its_reasons_each_until_its_instant(table: Mapping[str, Any]) -> None:
    decision = decided(table)

    assert [reason.code.value for reason in decision.reasons] == table["reasons"]
    assert {reason.code.value: reason.until for reason in decision.reasons if reason.until} == table.get("until", {})


@pytest.mark.parametrize("table", CASES, ids=by_id)
def test_case_is_allowed_for_a_while_or_denied_until_its_next_instant(table: Mapping[str, Any]) -> None:
    decision = decided(table)

    is_allowed = not table["reasons"]
    longest = table["at"] + LONGEST_VALIDITY
    assert decision.verdict is (Verdict.ALLOW if is_allowed else Verdict.DENY)
    assert decision.valid_until == (table.get("valid_until", longest) if is_allowed else None)
    assert decision.next_callable_at == table.get("next") or "next" not in table
    assert decision.uses_callback is table.get("uses_callback", False)


@pytest.mark.parametrize("table", [table for table in CASES if table["reasons"]], ids=by_id)
def test_a_denied_case_is_never_callable_if_one_reason_never_ends(table: Mapping[str, Any]) -> None:
    decision = decided(table)

    assert (decision.next_callable_at is None) >= any(reason.until is None for reason in decision.reasons)


@pytest.mark.parametrize("table", [table for table in CASES if "facts" in table], ids=by_id)
def test_missing_facts_are_all_named_in_one_reason(table: Mapping[str, Any]) -> None:
    missing = [reason for reason in decided(table).reasons if reason.code is ReasonCode.FACTS_MISSING]

    assert [list(reason.facts) for reason in missing] == [table["facts"]]
    assert all(fact in missing[0].message and fact in missing[0].message_zh for fact in table["facts"])
    assert missing[0].outcome is Outcome.UNDETERMINED


@pytest.mark.parametrize("table", CASES, ids=by_id)
def test_case_is_written_with_known_keys_and_cites_the_law(table: Mapping[str, Any]) -> None:
    assert set(table) <= KEYS
    assert all(citation(article).words for article in table["article"].split(","))


def test_case_ids_are_unique() -> None:
    assert len({table["id"] for table in CASES}) == len(CASES)


def test_every_reason_is_reached_by_some_case() -> None:
    assert {code for table in CASES for code in table["reasons"]} == set(RULES_CHECKED)


def test_every_reason_has_one_rule() -> None:
    assert set(RULES) == set(ReasonCode)
    assert len(RULES) == 18


def test_every_reason_cites_articles_that_our_copy_of_the_law_holds() -> None:
    cited = ",".join([*ARTICLES.values(), *FACT_ARTICLES.values()])

    assert set(ARTICLES) == set(ReasonCode) - {ReasonCode.FACTS_MISSING}
    assert all(citation(article).words for article in cited.split(","))


def test_facts_missing_cites_the_articles_of_the_facts_it_names() -> None:
    call = replace(CALL, agent_id=None, caller_number=None, centre_id=None)

    decision = decide(call, FACTS, FLOOR, at=MORNING)

    assert decision.reasons[0].article == "14,20,26"


@pytest.mark.parametrize("table", [table for table in CASES if table["reasons"]], ids=by_id)
def test_messages_say_why_and_until_when_in_both_languages_without_numbers_of_people(
    table: Mapping[str, Any],
) -> None:
    for reason in decided(table).reasons:
        stamp = "does not end" if reason.until is None else reason.until.isoformat(" ")
        assert stamp in reason.message
        assert ("不会随时间自行解除" if reason.until is None else stamp) in reason.message_zh
        assert "138001" not in reason.message + reason.message_zh
        assert "4008000000" not in reason.message + reason.message_zh


def test_all_instants_answered_are_in_shanghai_whatever_the_zone_asked_in() -> None:
    at = datetime(2026, 6, 1, 9, 0, tzinfo=ZoneInfo("America/New_York"))

    decision = decide(CALL, FACTS, FLOOR, at=at)

    assert decision.reasons[0].until is not None
    assert decision.reasons[0].until.tzinfo is SHANGHAI
    assert decision.next_callable_at is not None
    assert decision.next_callable_at.tzinfo is SHANGHAI
    allowed = decide(CALL, FACTS, FLOOR, at=MORNING.astimezone(UTC))
    assert allowed.valid_until is not None
    assert allowed.valid_until.tzinfo is SHANGHAI


def test_an_instant_without_offset_is_an_error_not_a_decision() -> None:
    with pytest.raises(NaiveInstantError, match="no offset"):
        decide(CALL, FACTS, FLOOR, at=datetime(2026, 6, 1, 10, 0))  # noqa: DTZ001 - the fault under test


def test_next_callable_at_waits_for_reasons_that_only_begin_later() -> None:
    # When the block ends it is midnight, and the night stands; when the night ends, a closure has begun.
    closed = {
        "overlay_id": "o1",
        "name": "fair",
        "kind": "holiday",
        "from_at": datetime(2026, 6, 2, 8, 0, tzinfo=SHANGHAI),
        "to_at": datetime(2026, 6, 2, 14, 0, tzinfo=SHANGHAI),
    }
    block = {"entry_ids": [], "blocked_from": MORNING, "first_callable_on": date(2026, 6, 2)}
    table = {"at": MORNING, "overlays": [closed], "callee": {"block": block}}

    decision = decided(table)

    assert [reason.code for reason in decision.reasons] == [ReasonCode.DO_NOT_CALL]
    assert decision.next_callable_at == closed["to_at"]


def test_a_call_that_a_later_reason_closes_for_good_is_never_callable() -> None:
    # The agent's certificate ends before the block does.
    block = {"entry_ids": [], "blocked_from": MORNING, "first_callable_on": date(2027, 1, 1)}

    decision = decided({"at": MORNING, "callee": {"block": block}})

    assert decision.reasons[0].until == datetime(2027, 1, 1, tzinfo=SHANGHAI)
    assert decision.next_callable_at is None


def test_windows_that_close_the_day_in_turns_leave_no_callable_instant() -> None:
    policy = parse_policy('[[quiet_hours.segment]]\nname = "never"\ndaily = [09:00:00, 21:00:00]', on=LAW_DAY)

    decision = decide(CALL, with_callee(segments=("never",)), policy, at=MORNING)

    assert decision.reasons[0].until == datetime(2026, 6, 1, 21, 0, tzinfo=SHANGHAI)
    assert decision.next_callable_at is None


def test_regional_windows_that_close_the_day_in_turns_never_end_for_an_unknown_region() -> None:
    policy = parse_policy(
        '[[quiet_hours.region]]\ncode = "650000"\ndaily = [08:00:00, 22:00:00]\n'
        '[[quiet_hours.region]]\ncode = "540000"\ndaily = [22:00:00, 08:00:00]',
        on=LAW_DAY,
    )

    decision = decide(CALL, with_callee(region=None), policy, at=MORNING)

    assert [(reason.code, reason.until) for reason in decision.reasons] == [
        (ReasonCode.REGIONAL_QUIET_HOURS, None),
        (ReasonCode.REGION_UNKNOWN, None),
    ]


def test_decisions_survive_the_round_trip_of_their_facts_through_json() -> None:
    pairs = [(*case_from(table), table) for table in CASES]
    for call, facts, table in pairs:
        policy = parse_policy(table.get("policy", ""), on=LAW_DAY)
        again = msgspec.json.decode(msgspec.json.encode(facts), type=Facts)
        call_again = msgspec.json.decode(msgspec.json.encode(call), type=ProposedCall)
        assert decide(call_again, again, policy, at=table["at"]) == decide(call, facts, policy, at=table["at"])


def test_deciding_together_gives_the_decisions_of_deciding_one_by_one_in_any_order() -> None:
    pairs = [case_from(table) for table in CASES]
    for at in (MORNING, MORNING + timedelta(hours=11, minutes=20)):
        alone = [decide(call, facts, FLOOR, at=at) for call, facts in pairs]
        assert decide_all(pairs, FLOOR, at=at) == alone
        assert decide_all(pairs[::-1], FLOOR, at=at) == alone[::-1]


def test_callees_of_whom_the_same_is_known_get_the_same_decision() -> None:
    other = (replace(CALL, callee="13800138001"), with_callee(phone_e164="+8613800138001"))

    decisions = decide_all([(CALL, FACTS), other], FLOOR, at=MORNING)

    assert decisions == [decide(CALL, FACTS, FLOOR, at=MORNING)] * 2


def test_deciding_on_nothing_gives_nothing() -> None:
    assert decide_all([], FLOOR, at=MORNING) == []


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((CALL, FACTS), (replace(CALL, agent_id=None), FACTS)),
        ((CALL, FACTS), (replace(CALL, callback_request_id="b1"), FACTS)),
        ((CALL, FACTS), (replace(CALL, purpose=Purpose.APPOINTMENT, product_code=None), with_side(product=()))),
        ((CALL, FACTS), (CALL, with_callee(phone_e164=None))),
        ((CALL, FACTS), (CALL, with_callee(mainland=False))),
        ((CALL, with_side(centre=(replace(CENTRE, sales_regions=("110000",)),))), (CALL, FACTS)),
        (
            (SERVICE_CALL, replace(FACTS, callee=POLICY_HOLDER)),
            (SERVICE_CALL, replace(FACTS, callee=replace(POLICY_HOLDER, policy_holder=False))),
        ),
        (
            (SERVICE_CALL, replace(FACTS, callee=POLICY_HOLDER)),
            (replace(SERVICE_CALL, customer_id=None), replace(FACTS, callee=POLICY_HOLDER)),
        ),
    ],
    ids=["agent", "callback", "appointment", "no number", "not mainland", "side", "holder", "customer"],
)
def test_calls_that_differ_in_one_fact_do_not_share_an_answer(first: Pair, second: Pair) -> None:
    at = MORNING + timedelta(hours=12)

    together = decide_all([first, second], FLOOR, at=at)

    assert together == [decide(first[0], first[1], FLOOR, at=at), decide(second[0], second[1], FLOOR, at=at)]


def test_rows_of_the_base_are_in_force_so_that_each_case_changes_one_thing() -> None:
    assert decide(CALL, FACTS, FLOOR, at=MORNING).verdict is Verdict.ALLOW
    assert {row.effective_from for row in (NUMBER, PRODUCT, CAMPAIGN)} == {date(2026, 1, 1)}
