"""The rules on when a callee may be called: hours, the customer's own request, and closures.

Owns art. 25(1) of the Measures: the hours for all, by region and by group of customers, the callback request
that opens them for one slot, and overlays, which nothing opens. Hours that a company sets only ever add.

A callee of the mainland whose region is unknown is bound by the windows and closures of every region. One
whose number is not of the mainland has no region here; a text that is no number has none that could be known.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from compliance import regions
from compliance.call_facts import CallbackRequest, Overlay, Purpose
from compliance.calling_windows import WeekPattern, state
from compliance.decision import Outcome
from compliance.rule_answers import (
    ALWAYS_PERMITTED,
    Answer,
    Case,
    Moment,
    Wording,
    judged,
    next_instant_of,
    permit,
    refuse,
)

QUIET = Wording(
    "No call may be placed at this hour. Call later, or in a slot that the customer has asked for.",
    "当前为禁止拨打时间。请稍后再拨,或在客户主动要求的时段内拨打。",
)
REGIONAL_QUIET = Wording(
    "No call to this region may be placed at this hour. Call later, or in a slot that the customer has asked for.",
    "当前为该地区的禁止拨打时间。请稍后再拨,或在客户主动要求的时段内拨打。",
)
SEGMENT_QUIET = Wording(
    "No call to this group of customers may be placed at this hour. "
    "Call later, or in a slot that the customer has asked for.",
    "当前为该客户群体的禁止拨打时间。请稍后再拨,或在客户主动要求的时段内拨打。",
)
CALLBACK_UNKNOWN = Wording(
    "The callback request named is not one of this callee. Name the right one, or none.",
    "所引用的客户回拨要求不存在或不属于该受话人。请引用正确的要求或不引用。",
)
CALLBACK_USED = Wording(
    "The callback request named has been used. One request opens the hours for one call.",
    "所引用的客户回拨要求已使用。一次要求仅对应一次呼出。",
)
CALLBACK_EARLY = Wording(
    "The slot of the callback request named has not begun. Call within the slot.",
    "客户要求的回拨时段尚未开始。请在该时段内呼出。",
)
CALLBACK_LATE = Wording(
    "The slot of the callback request named is over. Call at ordinary hours without it.",
    "客户要求的回拨时段已结束。请在正常时段呼出且不引用该要求。",
)
CLOSED = Wording(
    "Calling is closed by an emergency or holiday order. Wait until the closure ends.",
    "因紧急或节假日安排暂停呼出。请等待暂停结束。",
)


def is_policy_service(case: Case) -> bool:
    """Say whether this is proven to be service of a policy holder on a number of theirs.

    Such calls are not sales, so that art. 25 does not bind them; anything less than proof stays bound.
    """
    call, callee = case.call, case.facts.callee
    if call.purpose is not Purpose.SERVICE or call.customer_id is None:
        return False
    return callee.policy_holder is True and callee.customer_has_callee


def quiet_hours(case: Case, moment: Moment) -> Answer:
    """Refuse in the hours prohibited for everybody: the law's and the company's (art. 25(1))."""
    return _hours(case, moment, (case.policy.quiet_hours.general,), QUIET)


def regional_quiet_hours(case: Case, moment: Moment) -> Answer:
    """Refuse in the hours prohibited for the callee's region; all regions if it is unknown (art. 25(1))."""
    windows = case.policy.quiet_hours.regions
    patterns = [window.pattern for window in windows if may_bind((window.code,), case)]
    return _hours(case, moment, patterns, REGIONAL_QUIET)


def segment_quiet_hours(case: Case, moment: Moment) -> Answer:
    """Refuse in the hours prohibited for a group of customers to which the callee belongs (art. 25(1))."""
    windows = case.policy.quiet_hours.segments
    patterns = [window.pattern for window in windows if window.name in case.facts.callee.segments]
    return _hours(case, moment, patterns, SEGMENT_QUIET)


def may_bind(codes: Sequence[str], case: Case) -> bool:
    """Say whether the callee lives in one of the regions `codes`, or might for all that is known."""
    callee = case.facts.callee
    if callee.region is not None:
        return regions.covers(codes, callee.region)
    return callee.mainland and callee.phone_e164 is not None


def _hours(case: Case, moment: Moment, patterns: Sequence[WeekPattern], why: Wording) -> Answer:
    if not patterns or is_policy_service(case):
        return ALWAYS_PERMITTED
    at = moment.at
    states = [state(pattern, at) for pattern in patterns]
    changes = [each.changes_at for each in states]
    is_prohibited = any(each.prohibited for each in states)
    callback = _usable_callback(case)
    if callback is None:
        return judged(why if is_prohibited else None, next_instant_of(changes, at))
    opens_at = _opens_at(callback)
    changes_at = next_instant_of([*changes, opens_at, callback.to_at], at)
    if not is_prohibited:
        return permit(changes_at)
    if opens_at <= at < callback.to_at:
        return Answer(Outcome.PERMIT, changes_at, opened=True)
    return refuse(why, changes_at)


def _usable_callback(case: Case) -> CallbackRequest | None:
    """Return the callback request named, if it is this callee's and unused; its slot is another question."""
    callback = case.facts.callee.callback
    if case.call.callback_request_id is None or callback is None:
        return None
    return callback if callback.for_this_callee and not callback.used else None


def _opens_at(callback: CallbackRequest) -> datetime:
    """Return the first instant of the slot after the request was made: evidence is never made afterwards."""
    return max(callback.from_at, callback.created_at + timedelta.resolution)


def callback_request_invalid(case: Case, moment: Moment) -> Answer:
    """Refuse, at any hour, a call naming a callback request that does not cover it (art. 25(1))."""
    if case.call.callback_request_id is None:
        return ALWAYS_PERMITTED
    callback = _usable_callback(case)
    if callback is None:
        named = case.facts.callee.callback
        is_used = named is not None and named.for_this_callee
        return refuse(CALLBACK_USED if is_used else CALLBACK_UNKNOWN, None)
    opens_at = _opens_at(callback)
    if moment.at >= callback.to_at or opens_at >= callback.to_at:
        return refuse(CALLBACK_LATE, None)
    if moment.at < opens_at:
        return refuse(CALLBACK_EARLY, next_instant_of([opens_at], moment.at))
    return permit(next_instant_of([callback.to_at], moment.at))


def overlay(case: Case, moment: Moment) -> Answer:
    """Refuse any call, whatever its purpose, to a region that an officer has closed for now (art. 25(1))."""
    closures = [closure for closure in case.facts.side.overlays if _closes(closure, case)]
    if not closures:
        return ALWAYS_PERMITTED
    edges = [edge for closure in closures for edge in (closure.from_at, closure.to_at)]
    is_closed = any(closure.from_at <= moment.at < closure.to_at for closure in closures)
    return judged(CLOSED if is_closed else None, next_instant_of(edges, moment.at))


def _closes(closure: Overlay, case: Case) -> bool:
    return closure.regions is None or may_bind(closure.regions, case)
