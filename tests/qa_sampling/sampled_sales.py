"""Sales, draws and results for tests: sales as the register writes them, the draw by its own functions."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import TypedDict, Unpack
from uuid import UUID

from sqlalchemy import Connection, insert, select, text

from compliance.call_facts import CentreKind
from compliance.register_book import read_book
from compliance.sale_rows import NewSale
from compliance.sale_tables import sales
from compliance.sales import register_sale
from compliance.shanghai import SHANGHAI
from compliance.working_days import package_calendar
from infra.ids import new_id
from qa_sampling.draw import ALGORITHM, Chance, smallest_tickets, ticket
from qa_sampling.frame import frame_digest
from qa_sampling.inspection_tasks import open_drawn
from qa_sampling.quota import Share, least_number
from qa_sampling.strata import Stratum
from qa_sampling.tables import draw_tickets, draws, inspection_results, inspection_sittings
from tests.compliance.test_sales import SALE
from tests.conftest import NOON
from tests.qa_sampling.written_frames import written_frame

CHANCE = Chance(bytes(range(32)), "")
DAY = date(2026, 11, 2)
"""The closing day of SALE, whose inspections end on 18 November at 00:00 in Shanghai."""


class SaleChanges(TypedDict, total=False):
    """What differs from SALE in a sale of a test, by the fields of `NewSale`."""

    product_code: str
    sales_mode: CentreKind
    centre_id: str
    agent_id: str
    call_ids: tuple[str, ...]
    consented_at: datetime
    cover_end_exclusive: date | None
    declared_term_months: int | None
    cooling_off_days: int
    effective_on: date | None
    receipt_confirmed_on: date | None
    applicant_birth_date: date | None
    gift: bool


WITHIN_1Y: SaleChanges = {"cover_end_exclusive": date(2027, 5, 3), "declared_term_months": 6}
EXACTLY_1Y: SaleChanges = {"cover_end_exclusive": date(2027, 11, 3), "declared_term_months": 12}


def sale(policy_no: str, *, closed_on: date = DAY, **changes: Unpack[SaleChanges]) -> NewSale:
    """Return a proper sale without calls, of 10:00 in Shanghai of the day it is closed on."""
    consented_at = datetime.combine(closed_on, time(10), SHANGHAI)
    known: SaleChanges = {"consented_at": consented_at, "call_ids": (), **changes}
    return replace(SALE, policy_no=policy_no, **known)


def add_sales(
    connection: Connection,
    count: int,
    *,
    prefix: str = "P",
    closed_on: date = DAY,
    now: datetime = NOON,
    **changes: Unpack[SaleChanges],
) -> list[str]:
    """Register `count` sales that differ by their number alone, and return these, in order."""
    book = read_book(connection, now=now)
    names = [f"{prefix}-{number:03}" for number in range(1, count + 1)]
    for name in names:
        one = sale(name, closed_on=closed_on, **changes)
        register_sale(connection, one, book=book, calendar=package_calendar(), person="officer", now=now)
    return names


def add_agency_sales(connection: Connection, count: int, *, prefix: str, **changes: Unpack[SaleChanges]) -> list[str]:
    """Register sales of an agency."""
    of_agency: SaleChanges = {"sales_mode": CentreKind.AGENCY, "centre_id": "agency-1", **changes}
    return add_sales(connection, count, prefix=prefix, **of_agency)


def add_draw(
    connection: Connection,
    stratum: Stratum,
    from_on: date = DAY,
    to_on: date | None = None,
    *,
    rate_bp: int = 3000,
    now: datetime = NOON,
) -> UUID:
    """Draw from the sales of a stratum that are registered by now, as the draw does; return its id."""
    columns = sales.c
    asked = select(columns.policy_no, columns.closed_on, columns.inspection_class).where(
        columns.sales_mode == stratum.sales_mode,
        columns.centre_id == stratum.centre_id,
        columns.inspection_class == stratum.inspection_class,
        columns.closed_on.between(from_on, to_on or from_on),
    )
    lines = connection.execute(asked).all()
    content, draw_id = written_frame(lines), new_id()
    size = least_number([Share(len(lines), rate_bp)])
    connection.execute(
        insert(draws).values(
            draw_id=draw_id,
            **stratum._asdict(),
            from_on=from_on,
            to_on=to_on or from_on,
            frame=content,
            frame_digest=frame_digest(content),
            frame_size=len(lines),
            rate_bp=rate_bp,
            sample_size=size,
            seed=CHANCE.seed,
            seed_commitment=bytes(32),
            committed_before=True,
            public_number=CHANCE.public_number,
            algorithm=ALGORITHM,
            policy_digest="sha256:0",
            actor="officer",
            drawn_at=now,
        )
    )
    sample = smallest_tickets(CHANCE, [line.policy_no.encode() for line in lines], size)
    opened = open_drawn(connection, [one.policy_no for one in sample], now=now)
    rows = [
        {
            **one._asdict(),
            "draw_id": draw_id,
            "kind": "sample",
            "is_drawn": True,
            "inspection_id": opened[one.policy_no],
            "recorded_at": now,
        }
        for one in sample
    ]
    if rows:
        connection.execute(insert(draw_tickets), rows)
    return draw_id


def add_late(connection: Connection, draw_id: UUID, policy_no: str, *, now: datetime = NOON) -> None:
    """Let a sale join a draw late without being drawn."""
    row = {"draw_id": draw_id, "policy_no": policy_no, "ticket": ticket(CHANCE, policy_no), "kind": "late"}
    connection.execute(insert(draw_tickets).values(**row, is_drawn=False, recorded_at=now))


def by_ticket(policy_nos: Sequence[str]) -> list[str]:
    """Return policy numbers in the order of their tickets."""
    found = smallest_tickets(CHANCE, [one.encode() for one in policy_nos], len(policy_nos))
    return [one.policy_no for one in found]


def drawn_in(connection: Connection, draw_id: UUID) -> list[str]:
    """Return the drawn policy numbers of a draw, smallest ticket first."""
    columns = draw_tickets.c
    asked = select(columns.policy_no).where(columns.draw_id == draw_id, columns.is_drawn)
    return list(connection.execute(asked.order_by(columns.ticket)).scalars())


_SUBMIT = text("""
    UPDATE inspections SET state = 'submitted', submitted_at = :at, is_in_time = :at < due_before, outcome = :outcome,
           changed_at = :at
     WHERE policy_no = :policy_no RETURNING inspection_id""")
_SCORECARD = text("""
    INSERT INTO scorecards (version, name, items, pass_bp, effective_from, reason, actor, recorded_at)
    VALUES (1, 'standard', '[]', 9000, '2026-01-01', 'first', 'officer', :at) ON CONFLICT DO NOTHING""")


def submit(
    connection: Connection,
    policy_no: str,
    *,
    at: datetime = NOON,
    outcome: str = "passed",
    inspector: str = "inspector",
    answers: Sequence[tuple[str, str]] = (("consent", "pass"),),
) -> UUID:
    """Finish an inspection, as the judging of it writes it."""
    found = connection.execute(_SUBMIT, {"policy_no": policy_no, "at": at, "outcome": outcome})
    inspection_id: UUID = found.scalar_one()
    add_result(connection, inspection_id, 1, at=at, outcome=outcome, inspector=inspector, answers=answers)
    return inspection_id


def add_result(
    connection: Connection,
    inspection_id: UUID,
    version: int | None,
    *,
    at: datetime = NOON,
    outcome: str = "passed",
    inspector: str = "inspector",
    answers: Sequence[tuple[str, str]] = (),
) -> None:
    """Add one version of a result; version 1 is the inspection itself, None a blind second scoring."""
    connection.execute(_SCORECARD, {"at": at})
    sitting_id = new_id()
    purpose = {1: "inspection", None: "second_scoring"}.get(version, "correction")
    about = {"inspection_id": inspection_id, "purpose": purpose, "inspector": inspector, "scorecard_version": 1}
    sitting = {**about, "sitting_id": sitting_id, "claimed_at": at, "expires_at": at + timedelta(hours=4)}
    connection.execute(insert(inspection_sittings).values(**sitting, ended_at=at, ending="submitted"))
    connection.execute(
        insert(inspection_results).values(
            **about,
            result_id=new_id(),
            version=version,
            sitting_id=sitting_id,
            answers=[{"item_id": item_id, "answer": answer} for item_id, answer in answers],
            score_bp=10_000,
            failed_fatal=[],
            outcome=outcome,
            coverage={},
            submitted_at=at,
        )
    )


def shanghai(day: date, hour: int = 0, minute: int = 0) -> datetime:
    """Return an instant in Shanghai, in UTC."""
    return datetime.combine(day, time(hour, minute), SHANGHAI).astimezone(UTC)
