"""What the demo is made of by name: the ids that documents, tests and people at a terminal may rely on.

Ids depend on the seed and on fixed instants alone, never on the day on which the demo is loaded.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache

from compliance.call_facts import ProposedCall
from compliance.shanghai import SHANGHAI
from services.demo.chance import Chance
from services.demo.phone_plan import NumberUse, mobile_digits

CHANCE = Chance("telesales-demo-1")

FIRST_DAY = date(2015, 1, 1)
"""The first day of the rows that the example checks name: any instant from here on can be simulated."""

LAST_DAY = date(2049, 12, 31)
"""The last day of what in those rows must have an end."""

CALLEE = "13800138000"
"""The number of the example checks: of Beijing, on no list and no customer's."""

OWN, NATIONAL, REGIONAL = "own", "national", "regional"
CENTRE_KEYS = (OWN, NATIONAL, REGIONAL)

CALLER_NUMBERS = {OWN: "95000", NATIONAL: "4000000001", REGIONAL: "02080000147"}
RETIRED_CALLER_NUMBER = "4000000002"
REGIONAL_PROVINCES = ("350000", "440000", "450000", "460000")

TERM_LIFE = "DEMO-TERM-20"
PARTICIPATING = "DEMO-PAR-ENDOWMENT"
UNIVERSAL = "DEMO-UNIVERSAL"
WITHOUT_SCRIPT = "DEMO-CHILD"
EXPIRED_CAMPAIGN = "expired"
REFERENCE = "reference"

_IDS_FROM = datetime(2015, 1, 1, 9, tzinfo=SHANGHAI)


@dataclass(frozen=True, slots=True)
class Desk:
    """Everything on the calling side that a check names."""

    centre_id: str
    agent_id: str
    caller_number: str
    campaign_id: str
    product_code: str

    def call(self, callee: str) -> ProposedCall:
        return ProposedCall(
            callee=callee,
            caller_number=self.caller_number,
            agent_id=self.agent_id,
            centre_id=self.centre_id,
            campaign_id=self.campaign_id,
            product_code=self.product_code,
        )


@dataclass(frozen=True, slots=True)
class DemoFacts:
    """Desks that may call in calling hours, and rows with which a call is refused."""

    own: Desk
    agency: Desk
    regional_agency: Desk
    """May call the provinces of `REGIONAL_PROVINCES` only."""
    callee: str
    blocked_callee: str
    """On the list for good."""
    participating_product: str
    universal_product: str
    product_without_script: str
    expired_campaign_id: str
    """Of the own centre; its leads expired eight days before the demo was loaded."""
    customer_id: str
    customer_phone: str


@cache
def register_id(register: str, *key: str | int) -> str:
    """Return the id of a row that is named by `key` within its register."""
    at = _IDS_FROM + timedelta(minutes=CHANCE.below(100_000, "id", register, *key))
    return str(CHANCE.uuid7(at, register, *key))


def demo_facts() -> DemoFacts:
    """Return the named parts of the demo, the same for every load."""
    return DemoFacts(
        own=_desk(OWN),
        agency=_desk(NATIONAL),
        regional_agency=_desk(REGIONAL),
        callee=CALLEE,
        blocked_callee=f"+{mobile_digits(NumberUse.LISTED, 0)}",
        participating_product=PARTICIPATING,
        universal_product=UNIVERSAL,
        product_without_script=WITHOUT_SCRIPT,
        expired_campaign_id=register_id("campaigns", OWN, EXPIRED_CAMPAIGN),
        customer_id=customer_id(FIRST_FREE_CUSTOMER),
        customer_phone=f"+{mobile_digits(NumberUse.CUSTOMER, FIRST_FREE_CUSTOMER)}",
    )


FIRST_FREE_CUSTOMER = 30
"""Customers before this one are on the do-not-call list."""


def customer_id(index: int) -> str:
    return f"DEMO-C-{index + 1:04d}"


def _desk(key: str) -> Desk:
    return Desk(
        centre_id=register_id("centres", key),
        agent_id=register_id("agents", key, 0),
        caller_number=CALLER_NUMBERS[key],
        campaign_id=register_id("campaigns", key, REFERENCE),
        product_code=TERM_LIFE,
    )
