"""Callback requests: a customer asks to be called at an hour that would else be quiet (art. 25(1)).

A request opens the hours for one call in its slot, never the do-not-call list. Its evidence is made before
the call: neither the request nor the slot can lie in the past.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, insert, select

from compliance.tables import callback_requests

LONGEST_SLOT = timedelta(minutes=60)
FURTHEST_AHEAD = timedelta(days=14)


class UnknownCallbackError(LookupError):
    """No callback request has this id."""


class CallbackSlotError(ValueError):
    """The slot is empty, too long, past or too far ahead; `field` names the end at fault."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True, kw_only=True)
class Callback:
    """A request for one call in the slot [from_at, to_at); `used_by` is the check that used it."""

    callback_request_id: UUID
    phone_digits: int
    customer_id: str | None
    from_at: datetime
    to_at: datetime
    evidence: dict[str, Any]
    actor: str
    created_at: datetime
    used_by: UUID | None = None
    used_at: datetime | None = None


def check_slot(from_at: datetime, to_at: datetime, *, now: datetime) -> None:
    """See that a slot can be asked for at `now`.

    Raises:
        CallbackSlotError: it cannot; the message says why.
    """
    if from_at <= now:
        raise CallbackSlotError("from", "the slot must begin in the future")
    if to_at <= from_at:
        raise CallbackSlotError("to", "must be later than from")
    if to_at - from_at > LONGEST_SLOT:
        raise CallbackSlotError("to", "the slot may last at most 60 minutes")
    if to_at > now + FURTHEST_AHEAD:
        raise CallbackSlotError("to", "the slot must end within 14 days from now")


def add_callback(  # noqa: PLR0913 - one argument per column
    connection: Connection,
    *,
    callback_request_id: UUID,
    phone_e164: str,
    customer_id: str | None,
    slot: tuple[datetime, datetime],
    evidence: Mapping[str, object],
    person: str,
    now: datetime,
) -> Callback:
    """Record a customer's request for a call in `slot`, [from, to).

    Raises:
        CallbackSlotError: the slot cannot be asked for.
    """
    from_at, to_at = slot
    check_slot(from_at, to_at, now=now)
    callback = Callback(
        callback_request_id=callback_request_id,
        phone_digits=int(phone_e164),
        customer_id=customer_id,
        from_at=from_at,
        to_at=to_at,
        evidence=dict(evidence),
        actor=person,
        created_at=now,
    )
    values = {name: getattr(callback, name) for name in Callback.__dataclass_fields__}
    connection.execute(insert(callback_requests).values(**values))
    return callback


def read_callback(connection: Connection, callback_request_id: UUID) -> Callback:
    """Return one callback request.

    Raises:
        UnknownCallbackError: there is none with this id.
    """
    columns = callback_requests.c
    statement = select(*(columns[name] for name in Callback.__dataclass_fields__))
    row = connection.execute(statement.where(columns.callback_request_id == callback_request_id)).mappings()
    found = row.one_or_none()
    if found is None:
        msg = f"there is no callback request {callback_request_id}"
        raise UnknownCallbackError(msg)
    return Callback(**found)
