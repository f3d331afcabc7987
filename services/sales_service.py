"""What a change of a sale brings with it in one transaction: the register, the archive of its recordings, inspections.

The register knows nothing of recordings and inspections, which read sales: so here, and only here, the one is told of
the others.
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection

from compliance import sale_endings
from compliance.policy_store import policy_for_blocks
from compliance.register_book import Book
from compliance.sale_rows import NewSale, StoredSale
from compliance.sales import Amendment, Registered, amend_sale, register_sale
from compliance.shanghai import shanghai_day
from compliance.working_days import Calendar
from qa_sampling.inspection_tasks import follow_sale
from qa_sampling.late_sales import join_late
from qa_sampling.risk_sweep import flag_sales
from qa_sampling.samples import share_day
from recordings.disposals import tell_disposed
from recordings.retention import refresh_sale, shorten_sale
from recordings.retention_rules import EarlierEnd


def archive_follows(connection: Connection, policy_no: str, *, now: datetime) -> None:
    """Let the archive work out anew for how long it keeps the recordings of a sale that has just changed."""
    refresh_sale(connection, policy_no, policy=policy_for_blocks(connection, now=now), now=now)


def register(
    connection: Connection, sale: NewSale, *, book: Book, calendar: Calendar, person: str, now: datetime
) -> Registered:
    """Register a sale; recordings that came before it now belong to it, and those that are gone by then are told.

    It is in the frames of draws still to be made, and joins those that were made before it came.
    """
    share_day(connection, shanghai_day(sale.consented_at))
    registered = register_sale(connection, sale, book=book, calendar=calendar, person=person, now=now)
    if registered.is_new:
        archive_follows(connection, sale.policy_no, now=now)
        join_late(connection, sale.policy_no, now=now)
        tell_disposed(connection, sale.policy_no, person=person, now=now)
        # After all others: a sale that its day's draw has drawn is not merely late.
        flag_sales(connection, [sale.policy_no], now=now)
    return registered


def amend(
    connection: Connection, policy_no: str, amendment: Amendment, *, calendar: Calendar, person: str, now: datetime
) -> StoredSale:
    """Record receipt, effect or delivery; an inspection without a result is due when the sale says now."""
    sale = amend_sale(connection, policy_no, amendment, calendar=calendar, person=person, now=now)
    follow_sale(connection, policy_no, now=now)
    return sale


def terminate(
    connection: Connection, policy_no: str, *, ended_on: date, reason: str, person: str, now: datetime
) -> sale_endings.Ending:
    """Record the end of a contract, from which its recordings are kept."""
    ending = sale_endings.terminate_sale(
        connection, policy_no, ended_on=ended_on, reason=reason, person=person, now=now
    )
    if ending.request is None:
        archive_follows(connection, policy_no, now=now)
        follow_sale(connection, policy_no, now=now)
    return ending


def reinstate(
    connection: Connection, policy_no: str, *, reinstated_on: date, reason: str, person: str, now: datetime
) -> StoredSale:
    """Record that a contract runs again: its recordings are held as before its end."""
    sale = sale_endings.reinstate_sale(
        connection, policy_no, reinstated_on=reinstated_on, reason=reason, person=person, now=now
    )
    archive_follows(connection, policy_no, now=now)
    follow_sale(connection, policy_no, now=now)
    return sale


def shorten_termination(
    connection: Connection, payload: Mapping[str, Any], *, person: str, now: datetime
) -> dict[str, Any]:
    """Move the end of a contract earlier as an approved request says, and what is kept with it."""
    sale = sale_endings.shorten_termination(connection, payload, person=person, now=now)
    replaced, ended_on = (date.fromisoformat(payload[name]) for name in ("replaces", "ended_on"))
    earlier = EarlierEnd(replaced=replaced, ended_on=ended_on)
    shorten_sale(connection, sale.policy_no, earlier=earlier, policy=policy_for_blocks(connection, now=now), now=now)
    follow_sale(connection, sale.policy_no, now=now)
    return {"policy_no": sale.policy_no, "ended_on": sale.ended_on}
