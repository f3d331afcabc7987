"""Where scrubs are made in tests: a database whose people differ in everything the rules read of a callee."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypedDict, Unpack

from sqlalchemy import Connection, Engine, insert, text

from compliance.block_entries import BlockSource
from compliance.block_list import Refusal, block_person
from compliance.call_checks import Gate, check_calls, simulate_calls
from compliance.call_facts import ProposedCall
from compliance.customer_rows import put_customer
from compliance.decision import Decision
from compliance.policy import parse_policy
from compliance.policy_store import store_policy
from compliance.register_book import Shelf
from compliance.register_tables import overlays
from compliance.registers import Change
from compliance.scrubs import scrub_file
from compliance.working_days import package_calendar
from infra.ids import new_id
from tests.compliance.judged_calls import ALLOWED
from tests.conftest import NOON
from tests.gate_facts import LONG_AGO, write_registers
from tests.releases import approve_release

CALENDAR = package_calendar()
TEMPLATE = replace(ALLOWED, callee="")
HOUR = timedelta(hours=1)

BLOCKED, EXTENDED, PERMANENT, RELEASED, REFUSED_AGAIN = range(13800138001, 13800138006)
CUSTOMER, CUSTOMERS_OTHER, IN_TIBET, CALLED, FRESH = range(13900139001, 13900139006)

SPECIAL = [
    BLOCKED, EXTENDED, PERMANENT, RELEASED, REFUSED_AGAIN, CUSTOMER, CUSTOMERS_OTHER, IN_TIBET, CALLED, FRESH,
    13908900000, 13857400000, 18900000000, 17300000000,
]  # fmt: skip

REGIONAL_POLICY = """
[contact_limit]
attempts = 2
per_hours = 24

[[quiet_hours.region]]
code = "540000"
daily = [21:00:00, 12:30:00]

[[quiet_hours.segment]]
name = "age_60_plus"
daily = [11:00:00, 14:30:00]
"""


@dataclass(frozen=True, slots=True)
class Desk:
    """Where scrubs of these tests are made."""

    engine: Engine
    directory: Path

    def scrub(
        self, content: bytes, *, call: ProposedCall = TEMPLATE, at: datetime | None = None, name: str = "in.csv"
    ) -> tuple[bytes, dict[str, object]]:
        source, target = self.directory / name, self.directory / "out.csv"
        source.write_bytes(content)
        result = scrub_file(
            self.engine,
            source,
            target,
            call=call,
            at=at,
            clock=lambda: NOON,
            calendar=CALENDAR,
            cache_dir=self.directory / "cache",
            progress=lambda _done, _total: None,
        )
        return target.read_bytes(), result

    def verdicts(self, callees: Sequence[str], *, call: ProposedCall = TEMPLATE, at: datetime) -> list[list[str]]:
        """Return the cells that the answers of single simulations would be."""
        with self.engine.connect() as connection:
            return [cells_of(*self._simulated(connection, callee, call, at)) for callee in callees]

    def _simulated(
        self, connection: Connection, callee: str, call: ProposedCall, at: datetime
    ) -> tuple[str | None, Decision]:
        proposed = replace(call, callee=callee)
        [judged] = simulate_calls(connection, [proposed], policy=None, calendar=CALENDAR, at=at, now=NOON)
        return judged.callee.phone_e164, judged.decision


def cells_of(e164: str | None, decision: Decision) -> list[str]:
    until = decision.next_callable_at
    reasons = ";".join(reason.code for reason in decision.reasons)
    return [e164 or "", decision.verdict.value, reasons, "" if until is None else until.isoformat()]


def table(data: bytes, *, encoding: str = "utf-8", delimiter: str = ",") -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode(encoding), newline=""), delimiter=delimiter))


class Length(TypedDict, total=False):
    """How long a refusal counts, where the policy's figure does not."""

    months: int
    permanent: bool


def refuse(
    connection: Connection, phone: int, *, at: datetime, entered_at: datetime = NOON, **length: Unpack[Length]
) -> None:
    refusal = Refusal(phone_e164=f"+86{phone}", source=BlockSource.CALL, refused_at=at, **length)
    block_person(connection, refusal, block_months=6, person="tests", now=entered_at)


def release(connection: Connection, phone: int, *, at: datetime) -> None:
    [entry_id] = connection.execute(
        text("SELECT entry_id FROM do_not_call_phones WHERE phone_digits = :phone"), {"phone": int(f"86{phone}")}
    ).one()
    approve_release(connection, entry_id, at=at)
    connection.execute(
        text("UPDATE do_not_call_entries SET released_at = :at WHERE entry_id = :id"), {"at": at, "id": entry_id}
    )
    connection.execute(
        text("""INSERT INTO do_not_call_events (event_id, entry_id, kind, actor, recorded_at)
                VALUES (:event_id, :id, 'release', 'tests', :at)"""),
        {"event_id": new_id(), "at": at, "id": entry_id},
    )


def put_policy(connection: Connection, policy_text: str) -> None:
    policy = parse_policy(policy_text, on=NOON.date())
    store_policy(connection, policy, policy_id=new_id(), source="api", now=NOON - timedelta(days=1))


def fill(connection: Connection) -> None:
    """Enter registers, people, blocks and calls that differ in everything the rules read of a callee."""
    write_registers(connection)
    put_policy(connection, REGIONAL_POLICY)
    month_ago = NOON - timedelta(days=30)
    refuse(connection, BLOCKED, at=month_ago, entered_at=month_ago)
    refuse(connection, EXTENDED, at=month_ago, entered_at=month_ago)
    refuse(connection, EXTENDED, at=NOON - HOUR, months=24)
    refuse(connection, PERMANENT, at=month_ago, permanent=True)
    refuse(connection, RELEASED, at=month_ago, entered_at=month_ago)
    release(connection, RELEASED, at=NOON - timedelta(days=10))
    refuse(connection, REFUSED_AGAIN, at=month_ago, entered_at=month_ago)
    release(connection, REFUSED_AGAIN, at=NOON - timedelta(days=10))
    refuse(connection, REFUSED_AGAIN, at=NOON - timedelta(days=5), entered_at=NOON - timedelta(days=4))
    person = {"phones": [f"+86{CUSTOMER}", f"+86{CUSTOMERS_OTHER}"], "segments": ["age_60_plus"], "policy_nos": ["P1"]}
    settled = {"phones": [f"+86{IN_TIBET}"], "segments": [], "policy_nos": [], "region": "540100"}
    for customer_id, fields in (("c1", person), ("c2", settled)):
        put_customer(connection, customer_id, Change(fields=fields, effective_from=LONG_AGO), person="tests", now=NOON)
    refuse(connection, CUSTOMERS_OTHER, at=NOON - timedelta(days=3))
    connection.execute(
        insert(overlays).values(
            overlay_id=new_id(),
            name="closure",
            kind="emergency",
            regions=["330200"],
            from_at=NOON - HOUR,
            to_at=NOON + 2 * HOUR,
            reason="typhoon",
            actor="tests",
            created_at=NOON - HOUR,
        )
    )
    call = replace(ALLOWED, callee=str(CALLED))
    gate = Gate(shelf=Shelf(), calendar=CALENDAR)
    check_calls(connection, [call, call], gate=gate, actors=["d", "d"], now=NOON - timedelta(minutes=30))
