"""The rules on what is offered and to whose lead: product, script, provenance of the number.

Owns arts. 4, 19, 24 and 28 of the Measures as far as a call depends on them; they bind sales calls only. Like
the rules on the calling side they read nothing of the callee and change only at midnight.
"""

from collections.abc import Sequence
from datetime import date

from compliance.call_facts import Campaign, Centre, Product, ProductType, Purpose, Script
from compliance.legal import in_force
from compliance.periods import add_years
from compliance.rule_answers import (
    ALWAYS_PERMITTED,
    LAST_YEAR,
    Answer,
    Case,
    Moment,
    Wording,
    centre_on,
    day_after,
    is_centre_known,
    is_sales,
    is_stated,
    judged,
    next_day_of,
    refuse,
    undetermined,
    version_days,
    version_on,
)

CLEAN_YEARS = "products.participating_clean_years"
"""Name of the law's figure: years of telesales without a major penalty before participating products."""

PRODUCT_NOT_SOLD = Wording(
    "The product is not on sale on this day. Offer a product that is.",
    "该产品当日不在销售期内。请改用在售产品。",
)
PRODUCT_NEVER_BY_TELEPHONE = Wording(
    "Universal and unit-linked products may never be sold by telephone. Offer an ordinary product.",
    "万能型和投资连结型产品不得通过电话销售。请改用普通型产品。",
)
PARTICIPATING_TOO_EARLY = Wording(
    "Participating products need a longer time in telesales than is on record. Offer an ordinary product.",
    "销售分红型产品须连续经营电话销售业务达到法定年限,当日尚未达到或无记录。请改用普通型产品。",
)
PARTICIPATING_AFTER_PENALTY = Wording(
    "Participating products may not be offered so soon after a major penalty. Offer an ordinary product.",
    "受到重大行政处罚后未满法定年限,不得通过电话销售分红型产品。请改用普通型产品。",
)
NO_SCRIPT = Wording(
    "No script approved by head office is in force for this sales mode and product. Have one approved first.",
    "该销售模式和产品当日没有总公司批准的有效销售用语。请先制定并批准。",
)
LEADS_NOT_PROVEN = Wording(
    "The campaign does not show where its numbers come from and on what legal basis. Record both first.",
    "该活动未载明客户信息的来源及合法依据。请先登记。",
)
LEADS_NOT_VALID = Wording(
    "The campaign or its leads are not in force on this day. Use leads that are.",
    "该活动或其客户信息当日未生效或已过期。请使用有效期内的客户信息。",
)
LEADS_OF_OTHER_CENTRE = Wording(
    "The campaign belongs to another centre. Use a campaign of the calling centre.",
    "该活动属于其他中心。请使用呼出中心自己的活动。",
)


def product_not_permitted(case: Case, moment: Moment) -> Answer:
    """Refuse a product not on sale, or not of a type that may be sold by telephone (art. 19)."""
    side = case.facts.side
    if not is_sales(case) or _is_without_product(case):
        return ALWAYS_PERMITTED
    if case.call.product_code is None or not side.product:
        return undetermined(None)
    product = version_on(side.product, moment.day)
    term = [] if product is None else [product.sold_from, day_after(product.sold_through)]
    days = [*version_days(side.product), *term]
    fault = _product_fault(product, moment.day)
    if fault is None and product is not None and product.type is ProductType.PARTICIPATING:
        return _participating(case, days, moment.day)
    return judged(fault, next_day_of(days, moment.day))


def _is_without_product(case: Case) -> bool:
    """An appointment may be made before any product is chosen; one that names a product is judged by it."""
    return case.call.purpose is Purpose.APPOINTMENT and case.call.product_code is None


def _product_fault(product: Product | None, day: date) -> Wording | None:
    if product is None:
        return PRODUCT_NOT_SOLD
    if product.type in {ProductType.UNIVERSAL, ProductType.UNIT_LINKED}:
        return PRODUCT_NEVER_BY_TELEPHONE
    has_begun = product.sold_from is None or product.sold_from <= day
    has_ended = product.sold_through is not None and day > product.sold_through
    return None if has_begun and not has_ended else PRODUCT_NOT_SOLD


def _participating(case: Case, days: Sequence[date | None], day: date) -> Answer:
    """Judge a participating product on sale; `days` are those on which the product itself changes."""
    side = case.facts.side
    if not side.insurer or not is_centre_known(case):
        return undetermined(None)
    insurer, centre = version_on(side.insurer, day), centre_on(case, day)
    days = [*days, *version_days(side.insurer), *version_days(side.centre)]
    if centre is None:
        return undetermined(next_day_of(days, day))
    if insurer is None:
        return refuse(PARTICIPATING_TOO_EARLY, next_day_of(days, day))
    # It is the insurer who must have sold by telephone for so long: an agency's own years for others do not count.
    since = max((day for day in (centre.telesales_since, insurer.telesales_since) if day is not None), default=None)
    penalties = [*insurer.major_penalties_on, *(centre.major_penalties_on or ())]
    years = in_force(CLEAN_YEARS, day).number
    starts = [since, *penalties]
    changes_at = next_day_of([*days, *starts, *(_first_clean_day(start, years) for start in starts)], day)
    return judged(_clean_fault(since, penalties, years, day), changes_at)


def _clean_fault(since: date | None, penalties: Sequence[date], years: int, day: date) -> Wording | None:
    if not _is_clean(since, years, day):
        return PARTICIPATING_TOO_EARLY
    if any(penalty <= day and not _is_clean(penalty, years, day) for penalty in penalties):
        return PARTICIPATING_AFTER_PENALTY
    return None


def _is_clean(start: date | None, years: int, day: date) -> bool:
    first = _first_clean_day(start, years)
    return first is not None and first <= day


def _first_clean_day(start: date | None, years: int) -> date | None:
    """Return the day after a period of `years` full years that began on `start` (Civil Code art. 201)."""
    return None if start is None or start.year > LAST_YEAR else day_after(add_years(start, years))


def no_approved_script(case: Case, moment: Moment) -> Answer:
    """Refuse unless head office has approved a script for this sales mode and product (art. 28)."""
    if not is_sales(case) or _is_without_product(case):
        return ALWAYS_PERMITTED
    side = case.facts.side
    if case.call.product_code is None or not side.product or not is_centre_known(case):
        return undetermined(None)
    centre = centre_on(case, moment.day)
    rows = [(row, version_on(row, moment.day)) for row in side.scripts]
    days = [day for row, version in rows for day in _script_days(row, version)]
    changes_at = next_day_of([*days, *version_days(side.centre)], moment.day)
    if centre is None:
        return undetermined(changes_at)
    is_approved = any(_is_approved(script, centre, case, moment.day) for _, script in rows)
    return judged(None if is_approved else NO_SCRIPT, changes_at)


def _script_days(row: Sequence[Script], version: Script | None) -> list[date | None]:
    return [*version_days(row), *([] if version is None else [version.approved_on])]


def _is_approved(script: Script | None, centre: Centre, case: Case, day: date) -> bool:
    if script is None or (script.sales_mode, script.product_code) != (centre.kind, case.call.product_code):
        return False
    return script.approved_on is not None and script.approved_on <= day and is_stated(script.approved_by)


def no_lead_provenance(case: Case, moment: Moment) -> Answer:
    """Refuse unless the campaign proves, for the day, where its numbers come from and why they may be used.

    Strangers may not be dialled at random (art. 4); customer data need a lawful source (art. 24).
    """
    if not is_sales(case):
        return ALWAYS_PERMITTED
    versions = case.facts.side.campaign
    if case.call.campaign_id is None or not versions:
        return undetermined(None)
    campaign = version_on(versions, moment.day)
    if campaign is None:
        return refuse(LEADS_NOT_VALID, next_day_of(version_days(versions), moment.day))
    days = [*version_days(versions), campaign.leads_collected_on, day_after(campaign.leads_expire_on)]
    changes_at = next_day_of(days, moment.day)
    fault = _lead_fault(campaign, moment.day)
    if fault is None and campaign.centre_id is not None:
        if not is_centre_known(case):
            return undetermined(changes_at)
        fault = None if campaign.centre_id == case.call.centre_id else LEADS_OF_OTHER_CENTRE
    return judged(fault, changes_at)


def _lead_fault(campaign: Campaign, day: date) -> Wording | None:
    if not (is_stated(campaign.lead_source) and is_stated(campaign.legal_basis)):
        return LEADS_NOT_PROVEN
    is_collected = campaign.leads_collected_on is None or campaign.leads_collected_on <= day
    is_unexpired = campaign.leads_expire_on is not None and day <= campaign.leads_expire_on
    return None if is_collected and is_unexpired else LEADS_NOT_VALID
