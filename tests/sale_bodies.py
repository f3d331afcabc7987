"""Sales as the core system would send them, proper by the registers of `tests.gate_facts` unless changed."""

from typing import Any

SALE: dict[str, Any] = {
    "policy_no": "P-1",
    "product_code": "TERM-1",
    "sales_mode": "own_centre",
    "centre_id": "centre-1",
    "agent_id": "agent-1",
    "call_ids": ["call-1"],
    "consented_at": "2026-11-02T10:00:00+08:00",
    "cover_start": "2026-11-03",
    "cover_end_exclusive": "2046-11-03",
    "declared_term_months": 240,
    "cooling_off_days": 15,
    "effective_on": "2026-11-03",
    "receipt_confirmed_on": None,
    "confirmation": "recording",
    "applicant_birth_date": "1986-05-10",
    "applicant_is_insured": True,
    "medical_exam": False,
    "gift": False,
}
