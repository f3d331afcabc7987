"""The sales of the demo: one for each call in which something was sold, and the older policies of its customers.

Pure. Says what the core system sent and when; what follows from it is not planned, but computed by the rules.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import cast

from compliance.call_facts import CentreKind, ProposedCall, Purpose
from compliance.periods import add_months
from compliance.sale_rows import Confirmation, NewSale
from compliance.shanghai import midnight, shanghai_day
from services.demo.chance import Chance, Dice
from services.demo.facts import FIRST_DAY, NATIONAL, OWN, PARTICIPATING, TERM_LIFE, register_id
from services.demo.people_plan import PlannedCustomer
from services.demo.register_plan import planned_registers

_ACCIDENT, _MEDICAL = "DEMO-ACCIDENT-1", "DEMO-MEDICAL-1"
_MONTHS = {TERM_LIFE: 240, _ACCIDENT: 12, _MEDICAL: 12, "DEMO-CRITICAL-30": 360, PARTICIPATING: 180}
"""Months of cover by product; the others are for life."""

_SOLD_LONG_AGO = (
    TERM_LIFE,
    TERM_LIFE,
    _ACCIDENT,
    _ACCIDENT,
    _MEDICAL,
    "DEMO-WHOLE-LIFE",
    "DEMO-PENSION",
    PARTICIPATING,
)
_FIRST_PARTICIPATING = date(2017, 2, 1)
"""From when on the demo's insurer may sell such products (art. 19)."""

_OLDER_THAN_THE_CALLS = 60
_OLDEST, _ELDERLY = 57, 68
"""Applicants who would be the one are the other, and sign on paper: one in forty."""

_IN_THE_EVENING = timedelta(hours=18)


@dataclass(frozen=True, slots=True)
class SoldCall:
    """A call in which something was sold, by what its check proposed."""

    proposed: ProposedCall
    call_id: str
    callee_e164: str
    ended_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedSale:
    """A sale as first sent at `recorded_at`, and what became known of it later; days without a value have not come.

    `callee_e164` and `region` are of its customer; `region` None: that of the number.
    """

    sale: NewSale
    has_medical_exam: bool
    callee_e164: str
    region: str | None
    recorded_at: datetime
    receipt_on: date | None = None
    delivered_on: date | None = None
    notified_on: date | None = None
    ended_on: date | None = None
    end_reason: str = ""


@dataclass(frozen=True, slots=True)
class _Product:
    cooling_off_days: int
    medical_exam: bool
    is_ordinary: bool


def planned_sales(
    chance: Chance, sold: Sequence[SoldCall], customers: Sequence[PlannedCustomer], *, now: datetime
) -> list[PlannedSale]:
    """Return all sales in the order in which they were recorded, none later than `now`."""
    products = _products(shanghai_day(now))
    found = [_of_call(chance, products, call, now=now) for call in sold if call.proposed.product_code in products]
    found += list(_older(chance, products, customers, now=now))
    return sorted(
        (one for one in found if one.recorded_at <= now), key=lambda one: (one.recorded_at, one.sale.policy_no)
    )


def _products(today: date) -> dict[str, _Product]:
    bodies = [one.body for one in planned_registers(today) if one.register == "products"]
    return {
        str(body["product_code"]): _Product(
            cooling_off_days=cast("int", body["cooling_off_days"]),
            medical_exam=bool(body["medical_exam"]),
            is_ordinary=body["type"] == "ordinary",
        )
        for body in bodies
    }


def _of_call(chance: Chance, products: dict[str, _Product], call: SoldCall, *, now: datetime) -> PlannedSale:
    dice = chance.dice("sale", call.call_id)
    closed_at = call.ended_at - timedelta(seconds=45)
    is_own = call.proposed.centre_id == register_id("centres", OWN)
    code = call.proposed.product_code or ""
    sale = _sale(dice, products, f"DEMO-S-{call.call_id.removeprefix('DEMO-')}", code, closed_at)
    sale = replace(
        sale,
        sales_mode=CentreKind.OWN_CENTRE if is_own else CentreKind.AGENCY,
        centre_id=call.proposed.centre_id or "",
        agent_id=call.proposed.agent_id or "",
        call_ids=(call.call_id,),
    )
    if call.proposed.purpose is Purpose.GIFT:
        sale = _given_away(sale)
    planned = PlannedSale(
        sale=sale,
        has_medical_exam=products[code].medical_exam,
        callee_e164=call.callee_e164,
        region=None,
        recorded_at=call.ended_at + timedelta(minutes=20 + dice.below(90)),
    )
    return _followed_up(dice, planned, now=now)


def _older(
    chance: Chance, products: dict[str, _Product], customers: Sequence[PlannedCustomer], *, now: datetime
) -> Iterator[PlannedSale]:
    """Yield the policies that customers hold, sold in the years before the demo's calls by agents of long standing."""
    today = shanghai_day(now)
    first = FIRST_DAY + timedelta(days=30)
    # With a clock set to the demo's first weeks there were no years before: what lies after it is left out.
    span = max(1, (today - timedelta(days=_OLDER_THAN_THE_CALLS) - first).days)
    for customer in customers:
        body = customer.versions[-1].body
        for policy_no in cast("list[str]", body["policy_nos"]):
            dice = chance.dice("older sale", policy_no)
            closed_on = first + timedelta(days=dice.below(span))
            closed_at = midnight(closed_on) + timedelta(hours=10, seconds=dice.below(8 * 3600))
            code = dice.pick(_SOLD_LONG_AGO)
            if code == PARTICIPATING and closed_on < _FIRST_PARTICIPATING:
                code = TERM_LIFE
            key = dice.pick((OWN, OWN, NATIONAL))
            sale = replace(
                _sale(dice, products, policy_no, code, closed_at),
                sales_mode=CentreKind.OWN_CENTRE if key == OWN else CentreKind.AGENCY,
                centre_id=register_id("centres", key),
                agent_id=register_id("agents", key, 0),
                call_ids=(f"OLD-{policy_no}",),
            )
            planned = PlannedSale(
                sale=_given_away(sale) if dice.hits(40) else sale,
                has_medical_exam=products[code].medical_exam,
                callee_e164=f"+{customer.phones[0]}",
                region=cast("str", body["region"]),
                recorded_at=closed_at + timedelta(hours=1),
            )
            yield _followed_up(dice, planned, now=now)


def _sale(dice: Dice, products: dict[str, _Product], policy_no: str, code: str, closed_at: datetime) -> NewSale:
    """Return a sale of a product, of a centre and agent yet to be named."""
    product, closed_on = products[code], shanghai_day(closed_at)
    cover_start = closed_on + timedelta(days=1)
    months = 6 if code == _ACCIDENT and dice.hits(300) else _MONTHS.get(code)
    age_years = 62 if dice.hits(12) else 20 + dice.below(38)
    if age_years == _OLDEST:
        age_years = _ELDERLY
    can_be_recorded = product.is_ordinary and not product.medical_exam and age_years != _ELDERLY
    return NewSale(
        policy_no=policy_no,
        product_code=code,
        sales_mode=CentreKind.OWN_CENTRE,
        centre_id="",
        agent_id="",
        call_ids=(),
        consented_at=closed_at,
        cover_start=cover_start,
        cover_end_exclusive=None if months is None else add_months(cover_start, months),
        declared_term_months=months,
        cooling_off_days=0 if code == _ACCIDENT and dice.hits(150) else product.cooling_off_days,
        effective_on=cover_start,
        receipt_confirmed_on=None,
        confirmation=Confirmation.RECORDING if can_be_recorded and dice.hits(850) else Confirmation.SIGNATURE,
        applicant_birth_date=date(closed_on.year - age_years, 1 + dice.below(12), 1 + dice.below(28)),
        applicant_is_insured=True,
        medical_exam=product.medical_exam,
        gift=False,
    )


def _given_away(sale: NewSale) -> NewSale:
    """Return the sale as an insurance given away: an accident cover of a month, confirmed by a form."""
    return replace(
        sale,
        product_code=_ACCIDENT,
        cover_end_exclusive=add_months(sale.cover_start, 1),
        declared_term_months=1,
        cooling_off_days=0,
        confirmation=Confirmation.SIGNATURE,
        medical_exam=False,
        gift=True,
    )


def _followed_up(dice: Dice, planned: PlannedSale, *, now: datetime) -> PlannedSale:
    """Add receipt, delivery and end, as far as they have come by `now`; a few papers come late, some unannounced."""
    closed_on = shanghai_day(planned.sale.consented_at)
    days = 1 + dice.below(5)
    notified_on = None
    if dice.hits(40):
        days = 16 + dice.below(5)
        notified_on = closed_on + timedelta(days=4) if dice.hits(600) else None
    delivered_on = closed_on + timedelta(days=days)
    receipt_on = None if dice.hits(60) else delivered_on + timedelta(days=dice.below(3))
    ended_on, reason = _end(dice, planned.sale)
    return replace(
        planned,
        delivered_on=_come(delivered_on, now),
        notified_on=_come(notified_on, now),
        receipt_on=_come(receipt_on, now),
        ended_on=_come(ended_on, now),
        end_reason=reason,
    )


def _come(day: date | None, now: datetime) -> date | None:
    """Return a day whose evening, when the core system sends what happened on it, is over; None otherwise."""
    return day if day is not None and midnight(day) + _IN_THE_EVENING <= now else None


def _end(dice: Dice, sale: NewSale) -> tuple[date | None, str]:
    if dice.hits(50):
        return sale.cover_start + timedelta(days=9 + dice.below(8)), "犹豫期内解除合同"
    if sale.cover_end_exclusive is not None and not dice.hits(120):
        return sale.cover_end_exclusive - timedelta(days=1), "保险期间届满"
    return sale.cover_start + timedelta(days=25 + dice.below(3000)), "退保"
