"""Registers under which a call is allowed at noon, written as the registers' own functions write them."""

from datetime import date

from sqlalchemy import Connection

from compliance.regions import MAINLAND_PROVINCES
from compliance.registers import Change, Register, add_row, amend_insurer
from tests.conftest import NOON

LONG_AGO = date(2015, 1, 1)
CALL: dict[str, str] = {
    "callee": "13800138000",
    "caller_number": "4008123123",
    "agent_id": "agent-1",
    "centre_id": "centre-1",
    "campaign_id": "campaign-1",
    "product_code": "TERM-1",
    "purpose": "sales",
}
"""The body of a check that is allowed at noon once `write_registers` ran."""

_EVERYWHERE = sorted(MAINLAND_PROVINCES)
_ROWS: tuple[tuple[Register, str, dict[str, object]], ...] = (
    (
        Register.CENTRES,
        "centre-1",
        {
            "centre_id": "centre-1",
            "kind": "own_centre",
            "name": "示例人寿电话销售中心",
            "state": "open",
            "sales_regions": _EVERYWHERE,
            "approval_no": "A1",
            "insurance_licence_no": "B1",
            "business_licence_no": "C1",
            "licensed_on": "2015-01-01",
        },
    ),
    (
        Register.AGENTS,
        "agent-1",
        {
            "agent_id": "agent-1",
            "centre_id": "centre-1",
            "trained_on": "2020-01-01",
            "certified_from": "2020-01-01",
            "certified_through": "2030-12-31",
        },
    ),
    (
        Register.CALLER_NUMBERS,
        "number-1",
        {
            "caller_number_id": "number-1",
            "phone": "+864008123123",
            "centre_id": None,
            "in_use_from": "2020-01-01",
            "retired_on": None,
        },
    ),
    (Register.PRODUCTS, "TERM-1", {"product_code": "TERM-1", "name": "定期寿险", "type": "ordinary"}),
    (
        Register.SCRIPTS,
        "script-1",
        {
            "script_id": "script-1",
            "sales_mode": "own_centre",
            "product_code": "TERM-1",
            "version": "1",
            "text": "…",
            "approved_on": "2020-01-01",
            "approved_by": "head office",
        },
    ),
    (
        Register.CAMPAIGNS,
        "campaign-1",
        {
            "campaign_id": "campaign-1",
            "centre_id": "centre-1",
            "lead_source": "web form",
            "legal_basis": "consent",
            "leads_expire_on": "2030-12-31",
        },
    ),
)


def write_registers(connection: Connection) -> None:
    """Enter one insurer, own centre, agent, caller number, product, script and campaign, in force since 2015."""
    insurer = Change(
        fields={"operating_regions": _EVERYWHERE, "telesales_since": "2015-01-01"}, effective_from=LONG_AGO
    )
    unsaid: dict[str, object] = {"operating_regions": [], "telesales_since": None, "major_penalties_on": []}
    amend_insurer(connection, insurer, defaults={"name": "示例人寿", **unsaid}, person="tests", now=NOON)
    for register, row_id, fields in _ROWS:
        add_row(connection, register, row_id, Change(fields=fields, effective_from=LONG_AGO), person="tests", now=NOON)
