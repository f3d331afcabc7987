"""The rules on where the callee lives: regions in which this insurer and this centre may sell.

Owns arts. 6 and 18 of the Measures as far as a call depends on them; they bind sales calls only. A province
covers the city with a regulator of its own inside it. Numbers not of the mainland are outside every region.
"""

from datetime import date

from compliance import regions
from compliance.call_facts import Centre, Insurer
from compliance.calling_windows import covers
from compliance.decision import Outcome
from compliance.rule_answers import (
    ALWAYS_PERMITTED,
    Answer,
    Case,
    Moment,
    Wording,
    is_centre_known,
    is_sales,
    next_day_of,
    permit,
    refuse,
    undetermined,
    version_days,
    version_on,
)

REGION_UNKNOWN = Wording(
    "The callee's province is not known, and sales regions or regional hours depend on it. "
    "Record the customer's region.",
    "受话人所在省份未知,而销售区域或地区禁拨时间取决于此。请登记客户所在地区。",
)
OUTSIDE_INSURER = Wording(
    "The callee is outside the regions in which the insurer operates. Do not sell to this region.",
    "受话人不在保险公司的经营区域内。不得向该地区销售。",
)
OUTSIDE_CENTRE = Wording(
    "The callee is outside the sales regions of this centre. Have a centre call whose regions include the callee's.",
    "受话人不在该中心的销售区域内。请由销售区域包含该地区的中心呼出。",
)
OUTSIDE_MAINLAND = Wording(
    "The number is not of the mainland, where alone these sales are permitted. Do not call it for sales.",
    "该号码不属于中国内地,不得对其进行电话销售。",
)


def region_unknown(case: Case, moment: Moment) -> Answer:
    """Refuse a sales call to an unknown region when the region could make a difference (arts. 18, 25(1))."""
    callee = case.facts.callee
    if not is_sales(case) or callee.region is not None or not callee.mainland or callee.phone_e164 is None:
        return ALWAYS_PERMITTED
    changes_at = next_day_of(_region_days(case), moment.day)
    if _has_regional_hours(case) or _has_limited_regions(case, moment.day):
        return Answer(Outcome.UNDETERMINED, changes_at, REGION_UNKNOWN)
    return permit(changes_at)


def _has_regional_hours(case: Case) -> bool:
    hours = case.policy.quiet_hours
    return any(not covers(hours.general, window.pattern) for window in hours.regions)


def _has_limited_regions(case: Case, day: date) -> bool:
    """Say whether the insurer or the centre, as far as known, may not sell in all of the mainland."""
    side = case.facts.side
    permitted: list[tuple[str, ...]] = []
    if side.insurer:
        permitted.append(_operating_regions(version_on(side.insurer, day)))
    if is_centre_known(case):
        permitted.append(_sales_regions(version_on(side.centre, day)))
    return any(not regions.MAINLAND_PROVINCES.issubset(codes) for codes in permitted)


def outside_sales_region(case: Case, moment: Moment) -> Answer:
    """Refuse a sales call to where the insurer or the centre may not sell (arts. 6, 18)."""
    callee, side = case.facts.callee, case.facts.side
    if not is_sales(case):
        return ALWAYS_PERMITTED
    if callee.phone_e164 is not None and not callee.mainland:
        return refuse(OUTSIDE_MAINLAND, None)
    changes_at = next_day_of(_region_days(case), moment.day)
    fault = None if callee.region is None else _region_fault(case, callee.region, moment.day)
    if fault is not None:
        return refuse(fault, changes_at)
    is_limit_known = bool(side.insurer) and is_centre_known(case)
    if not is_limit_known or (callee.region is None and _has_limited_regions(case, moment.day)):
        return undetermined(changes_at)
    return permit(changes_at)


def _region_fault(case: Case, region: str, day: date) -> Wording | None:
    side = case.facts.side
    if side.insurer and not regions.covers(_operating_regions(version_on(side.insurer, day)), region):
        return OUTSIDE_INSURER
    if is_centre_known(case) and not regions.covers(_sales_regions(version_on(side.centre, day)), region):
        return OUTSIDE_CENTRE
    return None


def _region_days(case: Case) -> list[date | None]:
    return [*version_days(case.facts.side.insurer), *version_days(case.facts.side.centre)]


def _operating_regions(insurer: Insurer | None) -> tuple[str, ...]:
    return () if insurer is None else insurer.operating_regions


def _sales_regions(centre: Centre | None) -> tuple[str, ...]:
    return () if centre is None else centre.sales_regions
