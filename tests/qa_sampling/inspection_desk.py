"""Sales with recordings and inspections as their intakes write them, every value with a default."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, TypedDict
from uuid import UUID

from sqlalchemy import Connection, insert, text
from sqlalchemy.dialects.postgresql import insert as pg_insert

from compliance.registers import Change, Register, add_row, amend_row
from compliance.sale_tables import sale_calls, sales
from compliance.shanghai import midnight
from compliance.tables import call_records
from infra.ids import new_id
from qa_sampling.inspection_tasks import open_drawn
from qa_sampling.tables import scorecards
from recordings.tables import recordings
from tests.conftest import NOON

CLOSED_ON = date(2026, 11, 20)
CALLED_AT = NOON - timedelta(days=3)
"""In the morning of the closing day, by the clock of Shanghai."""

DUE = midnight(date(2026, 12, 6))


def add_scorecard(connection: Connection, version: int = 1, *, effective_from: date = date(2026, 1, 1)) -> None:
    """Add a scorecard of one item, unless there is one of this version."""
    item = {"item_id": "consent", "text": "询问并得到同意", "article": "30(3)", "fatal": True, "weight": 1}
    values = {
        "version": version,
        "name": "tests",
        "items": [item],
        "pass_bp": 6000,
        "effective_from": effective_from,
        "reason": "tests",
        "actor": "tests",
        "recorded_at": NOON,
    }
    connection.execute(pg_insert(scorecards).values(values).on_conflict_do_nothing())


def add_sale(connection: Connection, policy_no: str = "P-1", **values: object) -> None:
    """Add a sale of one call, `call-of-` its policy number, that agent-1 closed."""
    row = {
        "policy_no": policy_no,
        "product_code": "TERM-1",
        "sales_mode": "own_centre",
        "centre_id": "centre-1",
        "agent_id": "agent-1",
        "consented_at": CALLED_AT,
        "closed_on": CLOSED_ON,
        "cover_start": date(2026, 11, 21),
        "cover_end_exclusive": date(2046, 11, 21),
        "cooling_off_days": 15,
        "is_gift": False,
        "content": {},
        "content_digest": b"\0" * 32,
        "inspection_class": "over_1y",
        "inspect_before": DUE,
        "inspect_before_basis": "closing_day",
        "deliver_by": date(2026, 12, 1),
        "retention_class": "10y",
        "actor": "tests",
        "recorded_at": NOON,
        "changed_at": NOON,
    }
    connection.execute(insert(sales).values({**row, **values}))
    connection.execute(insert(sale_calls).values(policy_no=policy_no, call_id=f"call-of-{policy_no}", recorded_at=NOON))


def add_call(connection: Connection, call_id: str, **values: object) -> None:
    row = {
        "call_id": call_id,
        "direction": "outbound",
        "caller_digits": 8695500,
        "callee_digits": 8613800138000,
        "agent_id": "agent-1",
        "started_at": CALLED_AT,
        "answered_at": CALLED_AT,
        "ended_at": CALLED_AT + timedelta(minutes=5),
        "outcome": "sold",
        "content": {},
        "content_digest": b"\0" * 32,
        "actor": "tests",
        "recorded_at": NOON,
    }
    connection.execute(insert(call_records).values({**row, **values}))


class Link(TypedDict, total=False):
    """By what a recording belongs to a sale or to a call."""

    policy_no: str
    call_id: str


def add_recording(connection: Connection, *, seconds: float = 60, **values: object) -> UUID:
    recording_id = new_id()
    digest = recording_id.bytes * 2
    row = {
        "recording_id": recording_id,
        "sha256": digest,
        "size_bytes": 4,
        "object_key": f"audio/{digest.hex()}",
        "started_at": CALLED_AT,
        "channels": ["agent", "customer"],
        "codec": "alaw",
        "container": "wav",
        "sample_rate": 8000,
        "duration_ms": round(seconds * 1000),
        "silence_bp": 0,
        "source": "api",
        "is_held": True,
        "retention_basis": "sale",
        "is_lock_due": False,
        "actor": "tests",
        "recorded_at": NOON,
    }
    connection.execute(insert(recordings).values({**row, **values}))
    return recording_id


def open_inspection(connection: Connection, policy_no: str = "P-1") -> UUID:
    return open_drawn(connection, [policy_no], now=NOON)[policy_no]


def add_inspection(connection: Connection, policy_no: str = "P-1", *, seconds: float = 60, **sale: Any) -> UUID:
    """Add a sale with one recording of its call, and its inspection."""
    add_scorecard(connection)
    add_sale(connection, policy_no, **sale)
    add_recording(connection, seconds=seconds, call_id=f"call-of-{policy_no}")
    return open_inspection(connection, policy_no)


def recording_of(connection: Connection, policy_no: str = "P-1") -> UUID:
    found = text("SELECT recording_id FROM recordings WHERE call_id = :call_id")
    return UUID(str(connection.execute(found, {"call_id": f"call-of-{policy_no}"}).scalar_one()))


def add_agent(
    connection: Connection, agent_id: str, fields: Mapping[str, object], *, since: date = date(2026, 1, 1)
) -> None:
    change = Change(fields={"agent_id": agent_id, **fields}, effective_from=since)
    add_row(connection, Register.AGENTS, agent_id, change, person="tests", now=NOON)


def change_agent(connection: Connection, agent_id: str, fields: Mapping[str, object], *, since: date) -> None:
    amend_row(
        connection, Register.AGENTS, agent_id, Change(fields=fields, effective_from=since), person="tests", now=NOON
    )


def reports_of(connection: Connection) -> Sequence[Any]:
    return connection.execute(text("SELECT recording_id, inspector, intervals, added_ms FROM listening_reports")).all()


def set_due(connection: Connection, policy_no: str, due_before: datetime) -> None:
    connection.execute(
        text("UPDATE inspections SET due_before = :due WHERE policy_no = :policy_no"),
        {"due": due_before, "policy_no": policy_no},
    )
