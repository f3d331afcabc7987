"""Proposed calls and facts in which every rule permits, and ways to change one thing in them.

The base is a sales call on Monday 1 June 2026, 10:00 in Shanghai, of an own centre that may sell everywhere.
"""

from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import date, datetime
from typing import Any

import msgspec

from compliance import regions
from compliance.call_facts import (
    Agent,
    Callee,
    CallerNumber,
    CallingSide,
    Campaign,
    Centre,
    CentreKind,
    CentreState,
    Facts,
    Insurer,
    Product,
    ProductType,
    ProposedCall,
    Purpose,
    Script,
)
from compliance.shanghai import SHANGHAI

MORNING = datetime(2026, 6, 1, 10, 0, tzinfo=SHANGHAI)
FIRST_DAY = date(2026, 1, 1)
EVERYWHERE = tuple(sorted(regions.MAINLAND_PROVINCES))

CALL = ProposedCall(
    callee="13800138000",
    caller_number="4008000000",
    agent_id="a1",
    centre_id="c1",
    product_code="p1",
    campaign_id="l1",
)
INSURER = Insurer(effective_from=FIRST_DAY, operating_regions=EVERYWHERE, telesales_since=date(2015, 1, 1))
CENTRE = Centre(
    effective_from=FIRST_DAY,
    centre_id="c1",
    kind=CentreKind.OWN_CENTRE,
    state=CentreState.OPEN,
    sales_regions=EVERYWHERE,
    approval_no="A1",
    insurance_licence_no="I1",
    business_licence_no="B1",
    licensed_on=FIRST_DAY,
)
AGENCY = replace(
    CENTRE,
    kind=CentreKind.AGENCY,
    approval_no=None,
    insurance_licence_no=None,
    business_licence_no=None,
    licensed_on=None,
    filed_on=FIRST_DAY,
    contract_from=FIRST_DAY,
    contract_through=date(2026, 12, 31),
    qualified_through=date(2026, 12, 31),
)
AGENT = Agent(
    effective_from=FIRST_DAY,
    agent_id="a1",
    centre_id="c1",
    trained_on=FIRST_DAY,
    certified_from=FIRST_DAY,
    certified_through=date(2026, 12, 31),
    participating_trained_on=FIRST_DAY,
)
NUMBER = CallerNumber(
    effective_from=FIRST_DAY,
    caller_number_id="n1",
    phone="+864008000000",
    centre_id=None,
    in_use_from=date(2025, 1, 1),
)
PRODUCT = Product(effective_from=FIRST_DAY, product_code="p1", type=ProductType.ORDINARY)
SCRIPT = Script(
    effective_from=FIRST_DAY,
    script_id="s1",
    sales_mode=CentreKind.OWN_CENTRE,
    product_code="p1",
    version="1",
    approved_on=FIRST_DAY,
    approved_by="head office",
)
CAMPAIGN = Campaign(
    effective_from=FIRST_DAY,
    campaign_id="l1",
    lead_source="consent form",
    legal_basis="consent",
    leads_expire_on=date(2026, 12, 31),
)
SIDE = CallingSide(
    insurer=(INSURER,),
    centre=(CENTRE,),
    agent=(AGENT,),
    caller_number_e164="+864008000000",
    caller_numbers=((NUMBER,),),
    product=(PRODUCT,),
    scripts=((SCRIPT,),),
    campaign=(CAMPAIGN,),
)
AGENCY_SIDE = replace(
    SIDE,
    centre=(AGENCY,),
    caller_numbers=((replace(NUMBER, centre_id="c1"),),),
    scripts=((replace(SCRIPT, sales_mode=CentreKind.AGENCY),),),
)
CALLEE = Callee(phone_e164="+8613800138000", region="110000")
FACTS = Facts(side=SIDE, callee=CALLEE)

SERVICE_CALL = ProposedCall(
    callee="13800138000",
    caller_number="4008000000",
    agent_id="a1",
    centre_id="c1",
    purpose=Purpose.SERVICE,
    customer_id="k1",
)
POLICY_HOLDER = replace(CALLEE, customer_known=True, customer_has_callee=True, policy_holder=True)


def with_side(facts: Facts = FACTS, **changes: Any) -> Facts:
    return replace(facts, side=replace(facts.side, **changes))


def with_callee(facts: Facts = FACTS, **changes: Any) -> Facts:
    return replace(facts, callee=replace(facts.callee, **changes))


def changed(value: Any, changes: Mapping[str, Any]) -> Any:
    """Return `value` with fields changed to plain values as a TOML file holds them; unknown fields are errors."""
    unknown = set(changes) - {field.name for field in fields(value)}
    if unknown:
        raise KeyError(f"{type(value).__name__} has no {sorted(unknown)}")
    plain = msgspec.to_builtins(value, builtin_types=(date, datetime)) | changes
    return msgspec.convert(plain, type(value))


def case_from(table: Mapping[str, Any]) -> tuple[ProposedCall, Facts]:
    """Return the call and facts of one case in `tests/cases/call_rules.toml`; that file explains the keys."""
    side = AGENCY_SIDE if table.get("agency") else SIDE
    rows: dict[str, Any] = {}
    for name in ("insurer", "centre", "agent", "product", "campaign"):
        rows[name] = _versions(table, name, getattr(side, name)[0])
    for name in ("caller_number", "script"):
        rows[f"{name}s"] = (_versions(table, name, getattr(side, f"{name}s")[0][0]),)
    side = replace(side, **rows)
    forgotten: dict[str, Any] = dict.fromkeys(table.get("unknown", []), ())
    if "caller_number_e164" in forgotten:
        forgotten["caller_number_e164"] = None
    side = replace(side, **forgotten)
    side = changed(side, {"overlays": [{"regions": None} | closure for closure in table.get("overlays", [])]})
    is_service = table.get("call", {}).get("purpose") == "service"
    call = changed(SERVICE_CALL if is_service else CALL, table.get("call", {}))
    call = replace(call, **dict.fromkeys(table.get("absent", [])))
    callee_changes = dict(table.get("callee", {}))
    if "block" in callee_changes:
        callee_changes["block"] = {"first_callable_on": None} | callee_changes["block"]
    callee = changed(POLICY_HOLDER if is_service else CALLEE, callee_changes)
    callee = replace(callee, **dict.fromkeys(table.get("not_known", [])))
    return call, Facts(side=side, callee=callee)


def _versions(table: Mapping[str, Any], name: str, base: Any) -> tuple[Any, ...]:
    withheld = dict.fromkeys(table.get("withheld", {}).get(name, []))
    first = replace(changed(base, table.get(name, {})), **withheld)
    later = table.get(f"{name}_then")
    return (first,) if later is None else (first, changed(first, later))
