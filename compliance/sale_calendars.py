"""Brings the days of sales to a calendar that says more, or other, than the one by which they were found.

A release may know a year that was unknown, and the State Council has changed years that were known: in January 2020 a
rest was made longer. What was protected stays so: the customer's right moves only later (art. 39), the day by which
papers are due only earlier (art. 38). All days are civil dates in Asia/Shanghai.
"""

from collections.abc import Sequence
from datetime import date, datetime

from sqlalchemy import Connection, TextClause, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, DATE

from compliance.sale_rows import StoredSale, add_sale_event, read_sale, write_sale
from compliance.sale_terms import customer_right
from compliance.sales import delivery_due
from compliance.working_days import Calendar, rolled_over_rest

CALENDAR = "calendar"
"""The actor of what follows from a calendar by itself."""

MOST_AT_ONCE = 500
"""Sales brought along in one transaction: the next run goes on."""

_days = (bindparam("days", type_=ARRAY(DATE)), bindparam("found", type_=ARRAY(DATE)))
_CLOSED = text("SELECT DISTINCT closed_on FROM sales ORDER BY 1")
_DUE_LATER = text("""
    SELECT s.policy_no FROM unnest(:days, :found) AS n (closed_on, due)
      JOIN sales s ON s.closed_on = n.closed_on WHERE s.deliver_by > n.due
     ORDER BY s.policy_no LIMIT :most""").bindparams(*_days)

_ENDS_ON = "greatest(receipt_confirmed_on, effective_on) + cooling_off_days"
_BEGUN = "receipt_confirmed_on IS NOT NULL AND effective_on IS NOT NULL"
_ENDED = text(f"SELECT DISTINCT {_ENDS_ON} FROM sales WHERE {_BEGUN} ORDER BY 1")  # noqa: S608 - constants only
_RIGHT_EARLIER = text(f"""
    SELECT s.policy_no FROM unnest(:days, :found) AS n (ends_on, through)
      JOIN sales s ON {_BEGUN} AND {_ENDS_ON} = n.ends_on WHERE s.right_through < n.through
     ORDER BY s.policy_no LIMIT :most""").bindparams(*_days)  # noqa: S608 - constants only


def follow_calendar(connection: Connection, *, calendar: Calendar, now: datetime) -> int:
    """Move rights later and duties earlier where `calendar` says so; return how many sales were moved.

    Each is an event `amended` of its sale, which names how far the calendar is known. At most `MOST_AT_ONCE` are moved.
    """
    behind = sorted({*_due_too_late(connection, calendar), *_right_too_early(connection, calendar)})[:MOST_AT_ONCE]
    return sum(_follow(connection, policy_no, calendar, now=now) for policy_no in behind)


def moved_by(sale: StoredSale, calendar: Calendar) -> dict[str, date]:
    """Return the days of a sale that move by `calendar`, by the name of their column."""
    moved = {}
    due = delivery_due(sale.closed_on, calendar).due
    if due < sale.deliver_by:
        moved["deliver_by"] = due
    right = customer_right(sale.terms(), calendar, existing=sale.right_through)
    if right is not None and right.on != sale.right_through:
        moved["right_through"] = right.on
    return moved


def _due_too_late(connection: Connection, calendar: Calendar) -> Sequence[str]:
    days = connection.execute(_CLOSED).scalars().all()
    return _behind(connection, _DUE_LATER, days, [delivery_due(day, calendar).due for day in days])


def _right_too_early(connection: Connection, calendar: Calendar) -> Sequence[str]:
    days = connection.execute(_ENDED).scalars().all()
    return _behind(connection, _RIGHT_EARLIER, days, [rolled_over_rest(day, calendar).on for day in days])


def _behind(connection: Connection, asked: TextClause, days: Sequence[date], found: Sequence[date]) -> Sequence[str]:
    values = {"days": days, "found": found, "most": MOST_AT_ONCE}
    return connection.execute(asked, values).scalars().all() if days else ()


def _follow(connection: Connection, policy_no: str, calendar: Calendar, *, now: datetime) -> bool:
    """Move one sale, locked; say whether anything was left to move."""
    sale = read_sale(connection, policy_no, lock=True)
    moved = moved_by(sale, calendar)
    if not moved:
        return False
    write_sale(connection, policy_no, moved, now=now)
    details: dict[str, object] = {name: {"from": getattr(sale, name), "to": day} for name, day in moved.items()}
    details["calendar_known_through"] = calendar.known_through
    add_sale_event(connection, policy_no, "amended", details, person=CALENDAR, now=now)
    return True
