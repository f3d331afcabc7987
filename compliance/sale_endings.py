"""The end of a contract, from which its recordings are kept: moved later at once, moved earlier by two people.

A later end only lengthens what is kept, so one person may enter it; an earlier one would shorten it (art. 35) and waits
for another officer. A reinstated contract runs again, and cannot have ended before it was reinstated.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection

from compliance.sale_rows import (
    SaleDateError,
    StoredSale,
    add_sale_event,
    moved_window,
    read_sale,
    read_sale_events,
    write_sale,
)
from compliance.shanghai import shanghai_day

TERMINATION_EARLIER = "termination_earlier"
"""Kind of the request that another officer approves."""


class NotTerminatedError(ValueError):
    """A contract that has not ended cannot be reinstated."""


class TerminationChangedError(ValueError):
    """The end of the contract was changed after an earlier one was asked for."""


class Ending(NamedTuple):
    """What became of a termination: the sale as it stands, and the request it takes, None if it was carried out."""

    sale: StoredSale
    request: dict[str, Any] | None


def terminate_sale(
    connection: Connection, policy_no: str, *, ended_on: date, reason: str, person: str, now: datetime
) -> Ending:
    """Record that the contract's last day was `ended_on`; an end earlier than the recorded one is only prepared.

    Raises:
        UnknownSaleError: there is no such sale.
        SaleDateError: the contract cannot have ended on that day.
    """
    sale = read_sale(connection, policy_no, lock=True)
    _check_end(connection, sale, ended_on, today=shanghai_day(now))
    if sale.ended_on == ended_on:
        return Ending(sale, None)
    if sale.ended_on is not None and ended_on < sale.ended_on:
        asked = {"policy_no": policy_no, "ended_on": ended_on.isoformat(), "reason": reason}
        return Ending(sale, {**asked, "replaces": sale.ended_on.isoformat(), "requested_by": person})
    return Ending(_end(connection, sale, ended_on, {"reason": reason}, person=person, now=now), None)


def shorten_termination(
    connection: Connection, payload: Mapping[str, Any], *, person: str, now: datetime
) -> StoredSale:
    """Move the end of a contract earlier, as an approved request says; `person` is who approved.

    Raises:
        UnknownSaleError: there is no such sale.
        TerminationChangedError: its end is no longer the one that the request was to replace.
    """
    sale = read_sale(connection, payload["policy_no"], lock=True)
    ended_on, reinstated_on = date.fromisoformat(payload["ended_on"]), _reinstated_on(connection, sale)
    is_same_end = sale.ended_on is not None and sale.ended_on.isoformat() == payload["replaces"]
    # The same day may be the end again, of a contract that was reinstated and ended on it.
    if not is_same_end or (reinstated_on is not None and ended_on < reinstated_on):
        msg = f"the end of contract {sale.policy_no} was changed after an earlier one was asked for; ask for it again"
        raise TerminationChangedError(msg)
    details = {name: payload[name] for name in ("reason", "requested_by")} | {"approved_by": person}
    return _end(connection, sale, ended_on, details, person=person, now=now)


def reinstate_sale(
    connection: Connection, policy_no: str, *, reinstated_on: date, reason: str, person: str, now: datetime
) -> StoredSale:
    """Record that a contract which had ended runs again.

    Raises:
        UnknownSaleError: there is no such sale.
        NotTerminatedError: the contract has not ended.
        SaleDateError: it cannot have been reinstated on that day.
    """
    sale = read_sale(connection, policy_no, lock=True)
    if sale.ended_on is None:
        msg = f"contract {policy_no} has no termination; there is nothing to reinstate"
        raise NotTerminatedError(msg)
    today = shanghai_day(now)
    if not sale.ended_on <= reinstated_on <= today:
        expected = f"must be from the contract's end {sale.ended_on} to today, {today}"
        raise SaleDateError("reinstated_on", f"{expected}; got {reinstated_on}")
    write_sale(connection, policy_no, {"ended_on": None}, now=now)
    details = {"reinstated_on": reinstated_on, "ended_on": sale.ended_on, "reason": reason}
    add_sale_event(connection, policy_no, "reinstated", details, person=person, now=now)
    return read_sale(connection, policy_no)


def _check_end(connection: Connection, sale: StoredSale, ended_on: date, *, today: date) -> None:
    if ended_on > today:
        raise SaleDateError("ended_on", f"{ended_on} lies after today, {today}; record the end once it has come")
    if ended_on < sale.cover_start:
        raise SaleDateError("ended_on", f"{ended_on} lies before cover_start {sale.cover_start}; check the year")
    reinstated_on = _reinstated_on(connection, sale)
    if reinstated_on is not None and ended_on < reinstated_on:
        # Otherwise a reinstatement followed by a termination would shorten the keeping without a second person.
        reason = f"{ended_on} lies before the contract was reinstated, {reinstated_on}"
        raise SaleDateError("ended_on", reason)


def _reinstated_on(connection: Connection, sale: StoredSale) -> date | None:
    """Return the day on which the contract was last reinstated, None if it never was."""
    events = read_sale_events(connection, [sale.policy_no]).get(sale.policy_no, [])
    days = [date.fromisoformat(event.details["reinstated_on"]) for event in events if event.kind == "reinstated"]
    return max(days, default=None)


def _end(
    connection: Connection,
    sale: StoredSale,
    ended_on: date,
    details: Mapping[str, object],
    *,
    person: str,
    now: datetime,
) -> StoredSale:
    window = moved_window(sale, replace(sale, ended_on=ended_on).terms())
    write_sale(connection, sale.policy_no, {"ended_on": ended_on, **window}, now=now)
    said = {"ended_on": ended_on, "replaces": sale.ended_on, **details}
    add_sale_event(connection, sale.policy_no, "terminated", said, person=person, now=now)
    return read_sale(connection, sale.policy_no)
