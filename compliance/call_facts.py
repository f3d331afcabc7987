"""What is known about a proposed call: the values that the rules read, and that each decision keeps.

All are plain values. Register rows come as versions: the rules pick the one in force on the day judged,
so that the same facts also answer "from when on may this call be placed?". `msgspec` encodes every class
here to JSON and back, which is how a decision can be decided again years later.

Instants are aware; civil dates are days in Asia/Shanghai; `..._through` is inclusive, `..._until` and
`to_...` are exclusive.
"""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum


class Purpose(StrEnum):
    SALES = "sales"
    GIFT = "gift"
    APPOINTMENT = "appointment"
    SERVICE = "service"


class CentreKind(StrEnum):
    OWN_CENTRE = "own_centre"
    AGENCY = "agency"


class CentreState(StrEnum):
    PREPARING = "preparing"
    OPEN = "open"
    CLOSED = "closed"


class ProductType(StrEnum):
    ORDINARY = "ordinary"
    PARTICIPATING = "participating"
    UNIVERSAL = "universal"
    UNIT_LINKED = "unit_linked"


class OverlayKind(StrEnum):
    EMERGENCY = "emergency"
    HOLIDAY = "holiday"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposedCall:
    """A call as the dialer proposes it. Ids are as sent: they may be absent, malformed or unknown."""

    callee: str
    caller_number: str | None = None
    agent_id: str | None = None
    centre_id: str | None = None
    purpose: Purpose = Purpose.SALES
    product_code: str | None = None
    campaign_id: str | None = None
    customer_id: str | None = None
    callback_request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of a register row. Versions come oldest first: by `effective_from`, then `recorded_at`.

    The version of a day is the *last* one whose `effective_from` is not after that day, and only if the
    day is not after its `effective_through`: an ended version never brings an earlier one back.
    """

    effective_from: date
    effective_through: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Insurer(Version):
    operating_regions: tuple[str, ...]
    telesales_since: date | None = None
    major_penalties_on: tuple[date, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Centre(Version):
    centre_id: str
    kind: CentreKind
    state: CentreState
    sales_regions: tuple[str, ...]
    approval_no: str | None = None
    insurance_licence_no: str | None = None
    business_licence_no: str | None = None
    licensed_on: date | None = None
    filed_on: date | None = None
    qualified_through: date | None = None
    contract_from: date | None = None
    contract_through: date | None = None
    telesales_since: date | None = None
    major_penalties_on: tuple[date, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent(Version):
    agent_id: str
    centre_id: str
    trained_on: date | None = None
    certified_from: date | None = None
    certified_through: date | None = None
    participating_trained_on: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerNumber(Version):
    caller_number_id: str
    phone: str
    """The number of this version in E.164: a row may have had another one before."""
    centre_id: str | None
    in_use_from: date
    retired_on: date | None = None
    """The first day on which the number is no longer in use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Product(Version):
    product_code: str
    type: ProductType
    sold_from: date | None = None
    sold_through: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Script(Version):
    script_id: str
    sales_mode: CentreKind
    product_code: str
    version: str
    approved_on: date | None = None
    approved_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign(Version):
    campaign_id: str
    centre_id: str | None = None
    lead_source: str | None = None
    legal_basis: str | None = None
    leads_collected_on: date | None = None
    leads_expire_on: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlay:
    """A closure ordered by an officer, [from_at, to_at). `regions` None means everywhere."""

    overlay_id: str
    name: str
    kind: OverlayKind
    regions: tuple[str, ...] | None
    from_at: datetime
    to_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CallingSide:
    """Who calls, for what: shared by all calls with the same line, agent, centre, campaign and product.

    An empty tuple means that the id was given and is unknown, or was not given: `ProposedCall` tells which.
    `caller_number_e164` is the caller number in normal form, None if absent or not a telephone number.
    `caller_numbers` holds one version list per register row that ever had that number (empty: not registered).
    `scripts` holds one version list per script row of the product and sales mode in question.
    `asked` are the ids as sent, with an empty callee; rules do not read it. It lets a stored decision name them once.
    """

    asked: ProposedCall | None = None
    insurer: tuple[Insurer, ...]
    centre: tuple[Centre, ...] = ()
    agent: tuple[Agent, ...] = ()
    caller_number_e164: str | None = None
    caller_numbers: tuple[tuple[CallerNumber, ...], ...] = ()
    product: tuple[Product, ...] = ()
    scripts: tuple[tuple[Script, ...], ...] = ()
    campaign: tuple[Campaign, ...] = ()
    overlays: tuple[Overlay, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """What the do-not-call list says of a person: the longest block among all entries that bind the number.

    `first_callable_on` is the first day on which the list no longer closes the gate, art. 203 and unknown
    calendars included; None for a permanent block. `blocked_from` is the instant at which the block bites.
    """

    entry_ids: tuple[str, ...]
    blocked_from: datetime
    first_callable_on: date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackRequest:
    """A call that the customer asked for: one slot [from_at, to_at), one use, evidence made beforehand."""

    callback_request_id: str
    for_this_callee: bool
    created_at: datetime
    from_at: datetime
    to_at: datetime
    used: bool


class RegionSource(StrEnum):
    CUSTOMER = "customer"
    NUMBER = "number"


@dataclass(frozen=True, slots=True, kw_only=True)
class Callee:
    """Who would be called.

    `phone_e164` is None when `ProposedCall.callee` is no telephone number that can be called.
    `region` is the six-digit administrative code, None when unknown or not of the mainland.
    `mainland` is False for numbers of Hong Kong, Macao, Taiwan and abroad.
    `policy_holder` is None when no customer was named or the named one is unknown.
    `attempts_at` are the contact attempts of the person inside the policy's window, oldest first.
    """

    phone_e164: str | None
    mainland: bool = True
    region: str | None = None
    region_source: RegionSource | None = None
    segments: tuple[str, ...] = ()
    customer_known: bool = False
    customer_has_callee: bool = False
    policy_holder: bool | None = None
    block: Block | None = None
    attempts_at: tuple[datetime, ...] = ()
    callback: CallbackRequest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    side: CallingSide
    callee: Callee
