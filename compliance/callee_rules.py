"""The rules on the person called: the number, the do-not-call list, the contact limit, missing facts.

Owns art. 25(2) and the company's contact limit under art. 24, and the one reason that names every fact
without which other rules could not judge.
"""

from datetime import timedelta

from compliance.call_facts import Purpose
from compliance.decision import Outcome
from compliance.hours_rules import is_policy_service
from compliance.rule_answers import (
    ALWAYS_PERMITTED,
    Answer,
    Case,
    Moment,
    Wording,
    is_sales,
    midnight_of,
    next_instant_of,
    permit,
    refuse,
)

BLOCKED = Wording(
    "The person is on the do-not-call list. Do not call on any number of theirs.",
    "该客户在禁止拨打名单中。请勿拨打其任何号码。",
)
INVALID_NUMBER = Wording(
    "The callee is not a telephone number that can be called. Correct the number.",
    "受话号码不是可拨打的电话号码。请更正号码。",
)
TOO_OFTEN = Wording(
    "The person has been called as often as the company's contact limit allows. Call later.",
    "该客户的联系次数已达公司上限。请稍后再拨。",
)
FACTS_MISSING_EN = "These facts are absent or unknown: {facts}. Supply or register them."
FACTS_MISSING_ZH = "缺少或无法识别以下信息:{facts}。请补充或登记。"


def do_not_call(case: Case, moment: Moment) -> Answer:
    """Refuse a call to a person who wants none, from the refusal to the block's last 24:00 (art. 25(2))."""
    block = case.facts.callee.block
    if block is None or is_policy_service(case):
        return ALWAYS_PERMITTED
    ends_at = midnight_of(block.first_callable_on)
    if ends_at is not None and ends_at <= moment.at:
        return ALWAYS_PERMITTED
    if moment.at < block.blocked_from:
        return permit(next_instant_of([block.blocked_from], moment.at))
    return refuse(BLOCKED, ends_at)


def invalid_number(case: Case, _moment: Moment) -> Answer:
    """Refuse what is no number: it cannot be looked up in the do-not-call list (art. 25(2))."""
    return refuse(INVALID_NUMBER, None) if case.facts.callee.phone_e164 is None else ALWAYS_PERMITTED


def contact_limit(case: Case, moment: Moment) -> Answer:
    """Refuse a sales call to a person called too often in the hours before (company limit, art. 24)."""
    limit = case.policy.contact_limit
    attempts = case.facts.callee.attempts_at
    if not is_sales(case) or limit is None or len(attempts) < limit.attempts:
        return ALWAYS_PERMITTED
    window = timedelta(hours=limit.per_hours)
    leaving = sorted(attempt + window for attempt in attempts if attempt <= moment.at < attempt + window)
    upcoming = [attempt for attempt in attempts if moment.at < attempt]
    if len(leaving) < limit.attempts:
        return permit(next_instant_of(upcoming, moment.at))
    # One below the limit must be left: the attempts before that place have to leave the window first.
    below_limit_at = leaving[len(leaving) - limit.attempts]
    return refuse(TOO_OFTEN, next_instant_of([below_limit_at, *upcoming], moment.at))


def facts_missing(case: Case, _moment: Moment) -> Answer:
    """Name every fact that is absent or unknown, so that no rule permits for lack of it."""
    missing = (*_missing_of_side(case), *_missing_of_callee(case))
    if not missing:
        return ALWAYS_PERMITTED
    why = Wording(FACTS_MISSING_EN.format(facts=", ".join(missing)), FACTS_MISSING_ZH.format(facts="、".join(missing)))
    return Answer(Outcome.UNDETERMINED, None, why, missing)


def _missing_of_side(case: Case) -> list[str]:
    call, side = case.call, case.facts.side
    is_present = {
        "caller_number": call.caller_number is not None and side.caller_number_e164 is not None,
        "agent_id": call.agent_id is not None and bool(side.agent),
        "centre_id": call.centre_id is not None and bool(side.centre),
        "insurer": bool(side.insurer),
    }
    if is_sales(case):
        is_present["campaign_id"] = call.campaign_id is not None and bool(side.campaign)
        # An appointment needs no product; one that is named must be known all the same.
        is_needed = call.purpose is not Purpose.APPOINTMENT or call.product_code is not None
        is_present["product_code"] = not is_needed or (call.product_code is not None and bool(side.product))
    return [name for name, present in is_present.items() if not present]


def _missing_of_callee(case: Case) -> list[str]:
    return ["customer_id"] if case.call.purpose is Purpose.SERVICE and not is_policy_service(case) else []
