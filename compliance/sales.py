"""The register of sales: each kept once with the clocks it starts, its facts corrected, no protection ever lost.

Everything happens in the caller's transaction. Whoever changes a sale holds its row; every change is an event that
stays. What a change means for the recordings of the sale is the archive's to say, and the edge asks it.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, insert
from sqlalchemy.dialects.postgresql import insert as pg_insert

from compliance.block_list import CLOCKS_MAY_DIFFER
from compliance.incidents import NewIncident, open_incidents
from compliance.legal import in_force_or_first, law_begins
from compliance.register_book import Book
from compliance.retention_terms import retention_class
from compliance.sale_facts import read_sale_facts
from compliance.sale_rows import (
    NewSale,
    SaleDateError,
    StoredSale,
    add_sale_event,
    moved_window,
    read_sale,
    write_sale,
)
from compliance.sale_rules import NO_RECORDED_CALL, Finding, SaleFacts, findings_of, may_confirm_by_recording
from compliance.sale_tables import sale_calls, sales
from compliance.sale_terms import customer_right, inspection_class, inspection_window
from compliance.shanghai import SHANGHAI, shanghai_day
from compliance.working_days import Calendar, Deadline, working_day_deadline

DELIVERY_DAYS = "delivery.paper_working_days"
"""Name of the law's figure: working days from the consent to delivery."""

EARLIEST_CLOSING_DAY = date(1990, 1, 1)
"""An earlier sale is a slip in the year; no figure of the law. Contracts older than the Measures may still run."""

OUTSIDE_RULES, WITHOUT_CALL = "sale_outside_rules", "sale_without_call"
"""Kinds of the incidents that a sale opens."""


class SaleRecordedError(ValueError):
    """A sale with the same policy number and another content exists already."""


class Registered(NamedTuple):
    """A sale of the register; `is_new` is False when the same sale came before."""

    sale: StoredSale
    is_new: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Amendment:
    """Facts that became known of a sale; None: nothing new. `delivery_notice` is JSON: `notified_on`, `reason`."""

    receipt_confirmed_on: date | None = None
    effective_on: date | None = None
    delivered_on: date | None = None
    delivery_notice: Mapping[str, object] | None = None


class Delivery(NamedTuple):
    """How the papers of a sale stand on a day (art. 38).

    `breach`: late, and the applicant was not told of a reason by the day on which they were due.
    """

    due_on: date
    delivered_on: date | None
    late: bool
    breach: bool
    provisional: bool


def register_sale(
    connection: Connection, sale: NewSale, *, book: Book, calendar: Calendar, person: str, now: datetime
) -> Registered:
    """Keep a sale with the clocks it starts and what was found about it; the same sale again changes nothing.

    Raises:
        SaleDateError: its days cannot be.
        SaleRecordedError: its policy number came before with another content.
    """
    _check_dates(sale, now=now)
    facts = read_sale_facts(connection, sale, book=book, calendar=calendar)
    found = findings_of(facts, book.policy)
    about = {"actor": person, "recorded_at": now, "changed_at": now}
    row = {**sale_columns(sale, facts, found, calendar=calendar), **about}
    # Whoever else registers the same policy number is waited for: one of the two is first, and the other sees it.
    added = connection.execute(pg_insert(sales).values(row).on_conflict_do_nothing().returning(sales.c.policy_no))
    if added.one_or_none() is None:
        return Registered(_same_sale(connection, sale, row["content_digest"]), is_new=False)
    _add_calls(connection, sale, now=now)
    codes = [one.code for one in found]
    add_sale_event(connection, sale.policy_no, "registered", {"findings": codes}, person=person, now=now)
    open_incidents(connection, sale_incidents(sale, found), person=person, now=now)
    return Registered(read_sale(connection, sale.policy_no), is_new=True)


def sale_columns(sale: NewSale, facts: SaleFacts, found: Sequence[Finding], *, calendar: Calendar) -> dict[str, object]:
    """Return the columns of a new sale that follow from what was sent and what was found."""
    content = sale.content()
    return {
        **_stated(sale),
        **_computed(sale, calendar),
        "content": content,
        "content_digest": hashlib.sha256(msgspec.json.encode(content, order="sorted")).digest(),
        "findings": [asdict(one) for one in found],
        "is_voice_confirmable": may_confirm_by_recording(facts.application),
    }


def _check_dates(sale: NewSale, *, now: datetime) -> None:
    today = shanghai_day(now)
    if sale.consented_at > now + CLOCKS_MAY_DIFFER:
        at = sale.consented_at.astimezone(SHANGHAI).isoformat()
        raise SaleDateError("consented_at", f"{at} lies in the future; give the instant at which the applicant agreed")
    closed_on = shanghai_day(sale.consented_at)
    if closed_on < EARLIEST_CLOSING_DAY:
        reason = (
            f"{closed_on} lies before {EARLIEST_CLOSING_DAY}, when no insurance was sold by telephone; check the year"
        )
        raise SaleDateError("consented_at", reason)
    end = sale.cover_end_exclusive
    if end is not None and end <= sale.cover_start:
        reason = f"must be after cover_start {sale.cover_start}, got {end}; it is the first day without cover"
        raise SaleDateError("cover_end_exclusive", reason)
    born_on = sale.applicant_birth_date
    if born_on is not None and born_on > closed_on:
        raise SaleDateError("applicant_birth_date", f"lies after the consent on {closed_on}; check the year")
    _check_happened("receipt_confirmed_on", sale.receipt_confirmed_on, today)
    _check_followed("receipt_confirmed_on", sale.receipt_confirmed_on, closed_on)


def _check_happened(field: str, day: date | None, today: date) -> None:
    if day is not None and day > today:
        raise SaleDateError(field, f"{day} lies after today, {today}; record it once it has happened")


def _check_followed(field: str, day: date | None, closed_on: date) -> None:
    """Refuse a day before there was a sale: papers would seem to be in time, or the customer's right to be over."""
    if day is not None and day < closed_on:
        raise SaleDateError(field, f"{day} lies before the sale was closed, {closed_on}; check the year")


def _stated(sale: NewSale) -> dict[str, object]:
    return {
        "policy_no": sale.policy_no,
        "product_code": sale.product_code,
        "sales_mode": sale.sales_mode,
        "centre_id": sale.centre_id,
        "agent_id": sale.agent_id,
        "consented_at": sale.consented_at,
        "closed_on": shanghai_day(sale.consented_at),
        "cover_start": sale.cover_start,
        "cover_end_exclusive": sale.cover_end_exclusive,
        "declared_term_months": sale.declared_term_months,
        "cooling_off_days": sale.cooling_off_days,
        "is_gift": sale.gift,
        "effective_on": sale.effective_on,
        "receipt_confirmed_on": sale.receipt_confirmed_on,
    }


def _computed(sale: NewSale, calendar: Calendar) -> dict[str, object]:
    terms = sale.terms()
    window, right = inspection_window(terms), customer_right(terms, calendar)
    return {
        "inspection_class": inspection_class(terms.term, is_gift=sale.gift),
        "inspect_before": window.before,
        "inspect_before_basis": window.basis,
        "right_through": None if right is None else right.on,
        "deliver_by": delivery_due(terms.closed_on, calendar).due,
        "retention_class": retention_class(terms.term),
    }


def _same_sale(connection: Connection, sale: NewSale, digest: object) -> StoredSale:
    known = read_sale(connection, sale.policy_no)
    if known.content_digest != digest:
        msg = (
            f"sale {sale.policy_no} is registered already with another content. Receipt, effect and delivery are "
            f"amended with PATCH; nothing else of a sale is ever changed"
        )
        raise SaleRecordedError(msg)
    return known


def _add_calls(connection: Connection, sale: NewSale, *, now: datetime) -> None:
    rows = [
        {"policy_no": sale.policy_no, "call_id": call_id, "recorded_at": now} for call_id in sorted(set(sale.call_ids))
    ]
    if rows:
        connection.execute(insert(sale_calls), rows)


def sale_incidents(sale: NewSale, found: Sequence[Finding]) -> list[NewIncident]:
    """Return the incidents of a sale: one for all that it breaks, one for a sale without any call."""
    about = {"policy_no": sale.policy_no, "agent_id": sale.agent_id, "centre_id": sale.centre_id}
    breaches = [one for one in found if one.is_breach]
    opened = []
    if breaches:
        details = {**about, "findings": [one.code for one in breaches]}
        opened.append(NewIncident(OUTSIDE_RULES, breaches[0].article, details=details))
    missing = [one for one in found if one.code == NO_RECORDED_CALL]
    return opened + [NewIncident(WITHOUT_CALL, one.article, details=about) for one in missing]


def amend_sale(
    connection: Connection, policy_no: str, amendment: Amendment, *, calendar: Calendar, person: str, now: datetime
) -> StoredSale:
    """Record receipt, effect or delivery, known only now or corrected, and move the clocks that depend on them.

    The customer's right moves only later, the end of the inspection only earlier once it is known. What is recorded
    already changes nothing.

    Raises:
        UnknownSaleError: there is no such sale.
        SaleDateError: a day cannot be.
    """
    sale = read_sale(connection, policy_no, lock=True)
    _check_amendment(amendment, closed_on=sale.closed_on, today=shanghai_day(now))
    given = {name: value for name, value in asdict(amendment).items() if value is not None}
    changed = {name: value for name, value in given.items() if getattr(sale, name) != value}
    if not changed:
        return sale
    moved = replace(sale, **changed)
    right = customer_right(moved.terms(), calendar, existing=sale.right_through)
    clocks = {**moved_window(sale, moved.terms()), "right_through": None if right is None else right.on}
    write_sale(connection, policy_no, {**changed, **clocks}, now=now)
    details = {name: {"from": getattr(sale, name), "to": value} for name, value in changed.items()}
    add_sale_event(connection, policy_no, "amended", details, person=person, now=now)
    return read_sale(connection, policy_no)


def _check_amendment(amendment: Amendment, *, closed_on: date, today: date) -> None:
    notice = amendment.delivery_notice
    days = {
        "receipt_confirmed_on": amendment.receipt_confirmed_on,
        "delivered_on": amendment.delivered_on,
        "delivery_notice.notified_on": None if notice is None else date.fromisoformat(str(notice["notified_on"])),
    }
    for field, day in days.items():
        _check_happened(field, day, today)
        _check_followed(field, day, closed_on)


def delivery_due(closed_on: date, calendar: Calendar) -> Deadline:
    """Return by when the papers of a sale are due, as far as `calendar` knows (art. 38).

    A sale older than the Measures has the clock of their first text.
    """
    return working_day_deadline(calendar, closed_on, in_force_or_first(DELIVERY_DAYS, closed_on).number)


def delivery_of(sale: StoredSale, *, calendar: Calendar, today: date) -> Delivery:
    """Return how the papers of a sale stand on the Shanghai day `today`.

    What is not delivered yet is late from the day after the due one. A reason that the applicant was told of on the
    due day or before keeps lateness from being a breach; the text asks for it without a day, and the strict one is
    taken. A sale older than the Measures is late without a breach.
    """
    arrived_on = sale.delivered_on or today
    is_late = arrived_on > sale.deliver_by
    notice = sale.delivery_notice
    was_told = notice is not None and date.fromisoformat(notice["notified_on"]) <= sale.deliver_by
    provisional = delivery_due(sale.closed_on, calendar).provisional
    is_breach = is_late and not was_told and sale.closed_on >= law_begins()
    return Delivery(sale.deliver_by, sale.delivered_on, is_late, is_breach, provisional)
