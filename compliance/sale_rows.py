"""Sales as stored: the values of a row, reading one and many, and the events in which its history stays."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, insert, select, update

from compliance.call_facts import CentreKind
from compliance.retention_terms import CoverTerm
from compliance.sale_tables import sale_calls, sale_events, sales
from compliance.sale_terms import (
    InspectionWindow,
    SaleTerms,
    SaleTermsRow,
    WindowBasis,
    inspection_window,
    replaced_window,
)
from compliance.shanghai import shanghai_day
from infra.ids import new_id


class Confirmation(StrEnum):
    """How the applicant's wish to be insured was confirmed (art. 30)."""

    SIGNATURE = "signature"
    RECORDING = "recording"


class UnknownSaleError(LookupError):
    """No sale has this policy number."""


class SaleDateError(ValueError):
    """A day of a sale that cannot be; `field` names it."""

    def __init__(self, field: str, reason: str) -> None:
        self.field = field
        self.reason = reason
        super().__init__(f"{field}: {reason}")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSale:
    """A sale as the core system sends it; None: not known."""

    policy_no: str
    product_code: str
    sales_mode: CentreKind
    centre_id: str
    agent_id: str
    call_ids: tuple[str, ...]
    consented_at: datetime
    cover_start: date
    cover_end_exclusive: date | None
    declared_term_months: int | None
    cooling_off_days: int
    effective_on: date | None
    receipt_confirmed_on: date | None
    confirmation: Confirmation
    applicant_birth_date: date | None
    applicant_is_insured: bool | None
    medical_exam: bool | None
    gift: bool

    def content(self) -> dict[str, object]:
        """Return the sale as JSON values, the instant in UTC and calls in order: equal sales have equal content."""
        found: dict[str, object] = msgspec.to_builtins(self)
        found["consented_at"] = self.consented_at.astimezone(UTC).isoformat()
        found["call_ids"] = sorted(set(self.call_ids))
        return found

    def term(self) -> CoverTerm:
        return CoverTerm(self.cover_start, self.cover_end_exclusive, self.declared_term_months)

    def terms(self) -> SaleTerms:
        return SaleTerms(
            closed_on=shanghai_day(self.consented_at),
            term=self.term(),
            is_gift=self.gift,
            cooling_off_days=self.cooling_off_days,
            receipt_confirmed_on=self.receipt_confirmed_on,
            effective_on=self.effective_on,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSale(SaleTermsRow):
    """A row of the register, by the names of its columns."""

    policy_no: str
    position: int
    product_code: str
    sales_mode: str
    centre_id: str
    agent_id: str
    consented_at: datetime
    content: Mapping[str, Any]
    content_digest: bytes
    delivered_on: date | None
    delivery_notice: Mapping[str, Any] | None
    inspection_class: str
    inspect_before: datetime
    inspect_before_basis: str
    right_through: date | None
    deliver_by: date
    retention_class: str
    findings: list[dict[str, str]]
    is_voice_confirmable: bool
    actor: str
    recorded_at: datetime
    changed_at: datetime

    def window(self) -> InspectionWindow:
        return InspectionWindow(self.inspect_before, WindowBasis(self.inspect_before_basis))


class SaleEvent(NamedTuple):
    """One change of a sale; `kind` is registered, amended, terminated or reinstated."""

    policy_no: str
    kind: str
    details: dict[str, Any]
    actor: str
    recorded_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SaleFilter:
    """Which sales are asked for; the days are closing days in Shanghai, both included."""

    centre_id: str | None = None
    from_day: date | None = None
    to_day: date | None = None


_columns = sales.c
_SALE_COLUMNS = [_columns[name] for name in StoredSale.__dataclass_fields__]


def read_sale(connection: Connection, policy_no: str, *, lock: bool = False) -> StoredSale:
    """Return one sale, its row locked until the transaction ends if `lock`.

    Raises:
        UnknownSaleError: there is none with this policy number.
    """
    statement = select(*_SALE_COLUMNS).where(_columns.policy_no == policy_no)
    row = connection.execute(statement.with_for_update() if lock else statement).mappings().one_or_none()
    if row is None:
        msg = f"there is no sale {policy_no}; register it with POST /v1/sales"
        raise UnknownSaleError(msg)
    return StoredSale(**row)


def list_sales(connection: Connection, wanted: SaleFilter, *, before: int | None, limit: int) -> list[StoredSale]:
    """Return sales, newest first by order of entry; `before` is the position of the last of the page before."""
    statement = select(*_SALE_COLUMNS).order_by(_columns.position.desc()).limit(limit)
    if wanted.centre_id is not None:
        statement = statement.where(_columns.centre_id == wanted.centre_id)
    if wanted.from_day is not None:
        statement = statement.where(_columns.closed_on >= wanted.from_day)
    if wanted.to_day is not None:
        statement = statement.where(_columns.closed_on <= wanted.to_day)
    if before is not None:
        statement = statement.where(_columns.position < before)
    return [StoredSale(**row) for row in connection.execute(statement).mappings()]


def read_call_ids(connection: Connection, policy_nos: list[str]) -> dict[str, list[str]]:
    """Return the calls of each of these sales that has any, in the order of their ids."""
    found: dict[str, list[str]] = {}
    columns = sale_calls.c
    statement = select(columns.policy_no, columns.call_id).where(columns.policy_no.in_(policy_nos))
    for row in connection.execute(statement.order_by(columns.policy_no, columns.call_id)):
        found.setdefault(row.policy_no, []).append(row.call_id)
    return found


def write_sale(connection: Connection, policy_no: str, values: Mapping[str, object], *, now: datetime) -> None:
    """Change a sale whose row the caller holds."""
    connection.execute(update(sales).where(_columns.policy_no == policy_no).values(**values, changed_at=now))


def moved_window(sale: StoredSale, terms: SaleTerms) -> dict[str, object]:
    """Return the columns of the inspection's end once the facts of `sale` have become `terms`."""
    window = replaced_window(sale.window(), inspection_window(terms))
    return {"inspect_before": window.before, "inspect_before_basis": window.basis}


_events = sale_events.c


def read_sale_events(connection: Connection, policy_nos: list[str]) -> dict[str, list[SaleEvent]]:
    """Return everything that happened to each of these sales, oldest first."""
    found: dict[str, list[SaleEvent]] = {}
    statement = (
        select(*(_events[name] for name in SaleEvent._fields))
        .where(_events.policy_no.in_(policy_nos))
        .order_by(_events.policy_no, _events.recorded_at, _events.event_id)
    )
    for row in connection.execute(statement):
        found.setdefault(row.policy_no, []).append(SaleEvent(*row))
    return found


def add_sale_event(
    connection: Connection, policy_no: str, kind: str, details: Mapping[str, object], *, person: str, now: datetime
) -> None:
    """Keep a change of a sale; `details` are JSON."""
    connection.execute(
        insert(sale_events).values(
            event_id=new_id(),
            policy_no=policy_no,
            kind=kind,
            details=msgspec.to_builtins(dict(details)),
            actor=person,
            recorded_at=now,
        )
    )
