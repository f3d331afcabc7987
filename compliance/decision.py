"""What the gate answers: outcomes, reasons and decisions.

Owns the vocabulary of answers and nothing else; `call_rules` fills it.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Outcome(StrEnum):
    """What one rule says of one call at one instant."""

    PERMIT = "permit"
    REFUSE = "refuse"
    UNDETERMINED = "undetermined"
    """A fact is missing. To a dialer this is a denial; it is counted apart because it shows missing data."""


class Verdict(StrEnum):
    ALLOW = "allow"
    DENY = "deny"


class ReasonCode(StrEnum):
    """Why a call may not be placed, in the order in which rules are listed in every answer."""

    QUIET_HOURS = "quiet_hours"
    REGIONAL_QUIET_HOURS = "regional_quiet_hours"
    SEGMENT_QUIET_HOURS = "segment_quiet_hours"
    REGION_UNKNOWN = "region_unknown"
    DO_NOT_CALL = "do_not_call"
    INVALID_NUMBER = "invalid_number"
    CALLER_NUMBER_NOT_REGISTERED = "caller_number_not_registered"
    OUTSIDE_SALES_REGION = "outside_sales_region"
    CENTRE_NOT_OPEN = "centre_not_open"
    AGENCY_NOT_FILED = "agency_not_filed"
    AGENT_NOT_QUALIFIED = "agent_not_qualified"
    PRODUCT_NOT_PERMITTED = "product_not_permitted"
    NO_APPROVED_SCRIPT = "no_approved_script"
    NO_LEAD_PROVENANCE = "no_lead_provenance"
    CONTACT_LIMIT = "contact_limit"
    CALLBACK_REQUEST_INVALID = "callback_request_invalid"
    FACTS_MISSING = "facts_missing"
    OVERLAY = "overlay"


RULES_CHECKED: tuple[str, ...] = tuple(code.value for code in ReasonCode)
"""Every rule, in the order of the published list. All of them run on every call."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason to refuse, citing its article.

    `until` is the first instant (exclusive end) at which the reason no longer stands by the passing of
    time alone; None if it never ends so.
    """

    code: ReasonCode
    article: str
    message: str
    message_zh: str
    until: datetime | None
    outcome: Outcome = Outcome.REFUSE
    facts: tuple[str, ...] = ()
    """Names of the missing facts, for `facts_missing` only."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to one proposed call at one instant.

    `valid_until` (exclusive) is set for an allow only; `next_callable_at` for a deny only, None when a
    reason never ends by itself. `uses_callback` says that this allow rests on the named callback request.
    """

    verdict: Verdict
    reasons: tuple[Reason, ...]
    valid_until: datetime | None
    next_callable_at: datetime | None
    uses_callback: bool = False
