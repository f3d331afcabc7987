"""The checks that the demo's dialers ask for: 30 days of proposed calls, most of them proper.

Pure. What the gate says of them is not planned: the real rules decide, in `call_history`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from compliance.call_facts import ProposedCall, Purpose
from compliance.phone_numbers import normalise
from compliance.shanghai import midnight, shanghai_day
from compliance.working_days import Calendar
from services.demo.block_plan import CALLED_ENTRIES
from services.demo.chance import Chance
from services.demo.facts import (
    CALLER_NUMBERS,
    CENTRE_KEYS,
    EXPIRED_CAMPAIGN,
    FIRST_FREE_CUSTOMER,
    NATIONAL,
    OWN,
    PARTICIPATING,
    REFERENCE,
    REGIONAL,
    REGIONAL_PROVINCES,
    TERM_LIFE,
    UNIVERSAL,
    WITHOUT_SCRIPT,
    register_id,
)
from services.demo.people_plan import PlannedAgent, PlannedCustomer, planned_agents, sells_participating
from services.demo.phone_plan import NumberUse, mobile_digits
from services.demo.register_plan import CAMPAIGNS, PlannedCampaign

DAYS = 30
LEADS = 9_000
_OPENING = timedelta(hours=9, seconds=20)
_CLOSING = timedelta(hours=20, minutes=30)
_REST_DAY_SHARE = 12
_WORKING_DAY_SHARE = 100
_SUNDAYS_AND_SATURDAYS = 5
_NOT_NUMBERS = ("12345", "无", "1470000", "见备注", "110")


@dataclass(frozen=True, slots=True)
class PlannedCheck:
    """One proposed call at one instant; `is_lead` says that the callee is nobody known."""

    index: int
    at: datetime
    call: ProposedCall
    is_lead: bool


@dataclass(frozen=True, slots=True)
class Dialling:
    """Whom the demo's dialers have to choose from."""

    chance: Chance
    customers: Sequence[PlannedCustomer]
    agents: Mapping[str, Sequence[PlannedAgent]]
    unfit_agents: Sequence[PlannedAgent]
    regional_leads: Sequence[int]
    called_today: set[str] = field(default_factory=set)


def dialling(chance: Chance, customers: Sequence[PlannedCustomer]) -> Dialling:
    agents = planned_agents()
    return Dialling(
        chance=chance,
        customers=customers,
        agents={key: [one for one in agents if one.key == key and one.flaw is None] for key in CENTRE_KEYS},
        unfit_agents=[one for one in agents if one.flaw is not None],
        regional_leads=[index for index in range(LEADS) if _region_of_lead(index) in REGIONAL_PROVINCES],
    )


def _region_of_lead(index: int) -> str | None:
    number = normalise(f"+{mobile_digits(NumberUse.LEAD, index)}")
    return None if number is None else number.region


def check_instants(chance: Chance, calendar: Calendar, *, now: datetime, count: int) -> list[list[datetime]]:
    """Return `count` instants of the last 30 days, oldest first and one list per day, none later than `now`.

    They lie in calling hours, mostly on working days, save for one in a hundred that was asked too early or late.
    """
    today = shanghai_day(now)
    days = [today - timedelta(days=age) for age in range(DAYS - 1, -1, -1)]
    stretches = [_stretch(day, now) for day in days]
    weights = [_weight(day, stretch, calendar) for day, stretch in zip(days, stretches, strict=True)]
    found, done, weight_so_far = [], 0, 0.0
    for stretch, weight in zip(stretches, weights, strict=True):
        weight_so_far += weight
        last = round(count * weight_so_far / sum(weights))
        found.append(sorted(_instant(chance, index, stretch, now) for index in range(done, last)))
        done = last
    return found


def _stretch(day: date, now: datetime) -> tuple[datetime, datetime]:
    return midnight(day) + _OPENING, min(midnight(day) + _CLOSING, now)


def _weight(day: date, stretch: tuple[datetime, datetime], calendar: Calendar) -> float:
    is_rest = calendar.is_rest(day)
    if is_rest is None:
        is_rest = day.weekday() >= _SUNDAYS_AND_SATURDAYS
    share = max(timedelta(), stretch[1] - stretch[0]) / (_CLOSING - _OPENING)
    return share * (_REST_DAY_SHARE if is_rest else _WORKING_DAY_SHARE)


def _instant(chance: Chance, index: int, stretch: tuple[datetime, datetime], now: datetime) -> datetime:
    begins, ends = stretch
    if chance.hits(10, "out of hours", index):
        minutes = chance.pick((-25, -15, -5, 725, 740), "how far", index)
        early_or_late = begins + timedelta(minutes=minutes, milliseconds=chance.below(200_000, "when", index))
        if early_or_late < now:
            return early_or_late
    return begins + timedelta(milliseconds=chance.below((ends - begins) // timedelta(milliseconds=1), "at", index))


def planned_day(plan: Dialling, first: int, instants: Sequence[datetime]) -> list[PlannedCheck]:
    """Return the checks of one day, numbered from `first` on; no number is asked for twice in a day."""
    plan.called_today.clear()
    return [_check(plan, first + offset, at) for offset, at in enumerate(instants)]


def _check(plan: Dialling, index: int, at: datetime) -> PlannedCheck:
    key = plan.chance.pick((OWN,) * 11 + (NATIONAL,) * 6 + (REGIONAL,) * 3, "centre", index)
    agent = _agent(plan, key, index)
    call = _calling_side(plan, agent, index)
    what = plan.chance.below(1000, "callee", index)
    if what < 3:  # noqa: PLR2004 - shares of a thousand, named by what they return
        return PlannedCheck(
            index, at, replace(call, callee=plan.chance.pick(_NOT_NUMBERS, "text", index)), is_lead=False
        )
    if what < 43 and (found := _customer_call(plan, call, index)) is not None:  # noqa: PLR2004 - likewise
        return PlannedCheck(index, at, found, is_lead=False)
    if what < 93:  # noqa: PLR2004 - likewise
        return PlannedCheck(index, at, replace(call, callee=_listed(plan, index)), is_lead=False)
    purpose = plan.chance.pick((Purpose.SALES,) * 47 + (Purpose.APPOINTMENT,) * 2 + (Purpose.GIFT,), "purpose", index)
    return PlannedCheck(index, at, replace(call, callee=_lead(plan, agent.key, index), purpose=purpose), is_lead=True)


def _agent(plan: Dialling, key: str, index: int) -> PlannedAgent:
    if plan.chance.hits(15, "unfit", index):
        return plan.chance.pick(plan.unfit_agents, "agent", index)
    return plan.chance.pick(plan.agents[key], "agent", index)


def _calling_side(plan: Dialling, agent: PlannedAgent, index: int) -> ProposedCall:
    """Return who calls with what, wrong in some way in two of a hundred cases."""
    chance, key = plan.chance, agent.key
    campaign = _campaign(chance, agent, index)
    call = ProposedCall(
        callee="",
        caller_number=CALLER_NUMBERS[key],
        agent_id=agent.agent_id,
        centre_id=register_id("centres", key),
        product_code=campaign.product_code,
        campaign_id=register_id("campaigns", key, campaign.key),
    )
    match chance.below(250, "fault", index):
        case 0:
            return replace(call, campaign_id=None)
        case 1:
            return replace(call, agent_id="unknown-agent")
        case 2:
            return replace(call, caller_number=CALLER_NUMBERS[NATIONAL if key == OWN else OWN])
        case 3:
            return replace(call, product_code=UNIVERSAL)
        case 4:
            return replace(call, caller_number=None)
        case _:
            return call


def _campaign(chance: Chance, agent: PlannedAgent, index: int) -> PlannedCampaign:
    campaigns = {one.key: one for one in CAMPAIGNS[agent.key]}
    reference = campaigns[REFERENCE]
    chosen = chance.pick(CAMPAIGNS[agent.key], "campaign", index)
    is_seldom = chosen.product_code == WITHOUT_SCRIPT or chosen.key in {EXPIRED_CAMPAIGN, "unproven"}
    is_seldom = is_seldom or (agent.key != OWN and chosen.key == "whole-life")
    is_seldom = is_seldom or (chosen.product_code == PARTICIPATING and not sells_participating(agent))
    return reference if is_seldom and not chance.hits(60, "seldom", index) else chosen


def _customer_call(plan: Dialling, call: ProposedCall, index: int) -> ProposedCall | None:
    """Return a call to a customer, None when all of the customer's numbers were asked for today."""
    customers = plan.customers[FIRST_FREE_CUSTOMER - 3 :]
    customer = plan.chance.pick(customers, "customer", index)
    callee = f"+{plan.chance.pick(customer.phones, 'phone', index)}"
    if callee in plan.called_today:
        return None
    plan.called_today.add(callee)
    made = replace(call, callee=callee, customer_id=customer.customer_id)
    if customer.is_policy_holder and plan.chance.hits(400, "service", index):
        return replace(made, purpose=Purpose.SERVICE, product_code=None, campaign_id=None)
    return replace(made, product_code=TERM_LIFE, campaign_id=register_id("campaigns", _key_of(call), REFERENCE))


def _key_of(call: ProposedCall) -> str:
    return next(key for key in CENTRE_KEYS if register_id("centres", key) == call.centre_id)


def _listed(plan: Dialling, index: int) -> str:
    return f"+{mobile_digits(NumberUse.LISTED, plan.chance.pick(CALLED_ENTRIES, 'listed', index))}"


def _lead(plan: Dialling, key: str, index: int) -> str:
    """Return the number of a lead that was not asked for today; nearly all of a regional agency's are of its region."""
    in_region = key == REGIONAL and not plan.chance.hits(60, "outside", index)
    pool: Sequence[int] = plan.regional_leads if in_region else range(LEADS)
    place = plan.chance.below(len(pool), "lead", index)
    for step in range(len(pool)):
        lead = f"+{mobile_digits(NumberUse.LEAD, pool[(place + step) % len(pool)])}"
        if lead not in plan.called_today:
            plan.called_today.add(lead)
            return lead
    msg = f"the demo has {len(pool)} leads for a day, and more checks than that were planned"
    raise ValueError(msg)
