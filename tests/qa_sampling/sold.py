"""Sales in the register as its intake writes them, and what draws of them are asked for with."""

import secrets
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Unpack

from sqlalchemy import Connection, insert, select

from compliance.call_facts import CentreKind
from compliance.register_book import read_book
from compliance.sale_rows import NewSale
from compliance.sale_tables import sales
from compliance.sale_terms import InspectionClass
from compliance.shanghai import midnight
from compliance.working_days import package_calendar
from qa_sampling.draw_rows import StoredTicket, read_tickets
from qa_sampling.samples import Drawn, DrawOrder, draw_sample
from qa_sampling.seed_vault import SeedVault
from qa_sampling.seeds import publish_commitments
from qa_sampling.strata import Stratum
from qa_sampling.tables import draws
from services.sales_service import register
from tests.compliance.test_sales import SALE
from tests.conftest import NOON
from tests.qa_sampling.sampled_sales import SaleChanges

DAY = date(2026, 11, 2)
DAY_BEFORE = datetime(2026, 11, 1, 4, 0, tzinfo=UTC)
"""Noon of the day before DAY, in Shanghai."""

ENDS = midnight(date(2026, 12, 1))

STRATUM = Stratum(CentreKind.OWN_CENTRE, "centre-1", InspectionClass.OVER_1Y)
OTHER = Stratum(CentreKind.AGENCY, "centre-2", InspectionClass.WITHIN_1Y)
ORDER = DrawOrder(stratum=STRATUM, from_on=DAY, to_on=DAY, public_number="", person="officer")


def vault_in(data_dir: Path) -> SeedVault:
    return SeedVault(data_dir, random_bytes=secrets.token_bytes)


def numbered(count: int, prefix: str = "P") -> list[str]:
    return [f"{prefix}-{number}" for number in range(count)]


def sell(
    connection: Connection,
    policy_nos: Iterable[str],
    *,
    stratum: Stratum = STRATUM,
    day: date = DAY,
    at: datetime | None = None,
    ends: datetime = ENDS,
) -> None:
    """Write sales past the service, as they stood before any draw; recorded at noon of their day unless `at` says."""
    at = at or midnight(day).replace(hour=12)
    row = {
        **stratum._asdict(),
        "product_code": "TERM-1",
        "agent_id": "agent-1",
        "consented_at": at,
        "closed_on": day,
        "cover_start": day,
        "cooling_off_days": 15,
        "is_gift": False,
        "content": {},
        "content_digest": bytes(32),
        "inspect_before": ends,
        "inspect_before_basis": "closing_day",
        "deliver_by": day,
        "retention_class": "10y",
        "actor": "core",
        "recorded_at": at,
        "changed_at": at,
    }
    connection.execute(insert(sales), [{**row, "policy_no": one} for one in policy_nos])


def new_sale(policy_no: str, **changes: Unpack[SaleChanges]) -> NewSale:
    known: SaleChanges = {"call_ids": (), **changes}
    return replace(SALE, policy_no=policy_no, **known)


def register_late(connection: Connection, sale: NewSale, *, now: datetime = NOON) -> None:
    """Register a sale of DAY as the service does, in the stratum STRATUM unless it says otherwise."""
    book = read_book(connection, now=NOON)
    register(connection, sale, book=book, calendar=package_calendar(), person="officer", now=now)


def commit(connection: Connection, data_dir: Path) -> None:
    """Publish the commitment of DAY, as the schedule does the day before."""
    publish_commitments(connection, vault_in(data_dir), now=DAY_BEFORE)


def drawn(connection: Connection, data_dir: Path, order: DrawOrder = ORDER, *, now: datetime = NOON) -> Drawn:
    return draw_sample(connection, order, vault=vault_in(data_dir), now=now)


def tickets_of(connection: Connection, made: Drawn) -> list[StoredTicket]:
    return read_tickets(connection, made.draw_id)


def count_draws(connection: Connection) -> int:
    return len(connection.execute(select(draws.c.draw_id)).all())
