"""Which closed sales are inspected because of what is known of them, on top of the random part.

Owns the list of reasons: what each rests on, and whether it is on. Art. 34 demands a share of all sales, which the draw
serves; nothing here ever fills it. The reasons are the company's own rules about where customers need it most.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from compliance.periods import add_years

ELDERLY_YEARS = 65
"""From which birthday on a customer's sale is always inspected. A company rule: no article names an age for it."""

NEW_AGENT_DAYS = 90
"""For how many days an agent is new, counted from the certificate and from the first entry with a centre."""

NEW_AGENT_SALES = 3
"""How many first sales of a new agent are inspected: all of them would leave inspectors no time for the sample."""


class RiskCode(StrEnum):
    """Why a sale is inspected beside the draw."""

    CUSTOMER_OVER_65 = "customer_over_65"
    NEW_AGENT = "new_agent"
    CALLBACK_OUTSIDE_HOURS = "callback_outside_hours"
    LATE_SALE = "late_sale"
    KEY_PHRASE = "key_phrase"
    COMPLAINT = "complaint"


@dataclass(frozen=True, slots=True)
class RiskRule:
    """What a reason rests on: the article whose duty it watches, and the rule in words. `is_on`: it is applied."""

    article: str
    words: str
    is_on: bool = True


RISKS: Mapping[RiskCode, RiskRule] = {
    RiskCode.CUSTOMER_OVER_65: RiskRule("34", "company rule: the applicant had the 65th birthday by the consent"),
    RiskCode.NEW_AGENT: RiskRule("26", "company rule: one of the first 3 sales of an agent of less than 90 days"),
    RiskCode.CALLBACK_OUTSIDE_HOURS: RiskRule(
        "25(1)", "company rule: every sale with a call in quiet hours that the customer asked for"
    ),
    RiskCode.LATE_SALE: RiskRule(
        "34", "company rule: registered when its day had been drawn already, and not drawn then"
    ),
    RiskCode.KEY_PHRASE: RiskRule(
        "29", "company rule: a call of the sale lacks what must be said, or has what must not"
    ),
    RiskCode.COMPLAINT: RiskRule("42", "company rule: a complaint about the sale"),
}
"""Every reason and what it rests on. The last two are flagged by who finds them; the others follow from the sale."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SaleSigns:
    """What is known of a sale when its risks are judged. Days are civil dates in Asia/Shanghai; None: not known.

    `earlier_sales` counts those of the same agent that were registered before this one.
    """

    closed_on: date
    birth_date: date | None
    agent_certified_on: date | None
    agent_registered_on: date | None
    earlier_sales: int
    has_callback_in_quiet_hours: bool
    is_late_and_not_drawn: bool


def risks_of(signs: SaleSigns, rules: Mapping[RiskCode, RiskRule] = RISKS) -> list[RiskCode]:
    """Return every reason that follows from the sale itself and is on, in the order of the list."""
    stands = {
        RiskCode.CUSTOMER_OVER_65: _is_elderly(signs),
        RiskCode.NEW_AGENT: _is_new_agent(signs) and signs.earlier_sales < NEW_AGENT_SALES,
        RiskCode.CALLBACK_OUTSIDE_HOURS: signs.has_callback_in_quiet_hours,
        RiskCode.LATE_SALE: signs.is_late_and_not_drawn,
    }
    return [code for code, is_so in stands.items() if is_so and rules[code].is_on]


def _is_elderly(signs: SaleSigns) -> bool:
    # The birthday itself counts; who was born on 29 February has it on the 28th in a common year, the safer day.
    return signs.birth_date is not None and signs.closed_on >= add_years(signs.birth_date, ELDERLY_YEARS)


def _is_new_agent(signs: SaleSigns) -> bool:
    """Say whether the agent was certified, or came to a centre, less than 90 days before the sale, or after it.

    Of an agent whom no register knows nothing follows here: such a sale is an incident of its own.
    """
    began = [day for day in (signs.agent_certified_on, signs.agent_registered_on) if day is not None]
    return any(signs.closed_on < day + timedelta(days=NEW_AGENT_DAYS) for day in began)
