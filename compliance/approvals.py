"""Actions that take two people: asked for by one, carried out when another agrees.

A request holds what to do as JSON. Deciding locks its row, so that of two approvers only one can carry it
out; what is done stands in the table of actions at the edge, since the actions belong to many packages.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, Row, insert, select, update

from compliance.numbers_in_words import masked_words
from compliance.tables import approvals


class UnknownRequestError(LookupError):
    """No request has this id."""


class RequestDecidedError(ValueError):
    """Somebody has approved or rejected the request already."""


class SamePersonError(PermissionError):
    """Who asked for an action may not decide on it."""


class Request(NamedTuple):
    """A request as recorded. `payload` may hold personal data: show `shown_payload` to people."""

    request_id: UUID
    kind: str
    payload: dict[str, Any]
    state: str
    requested_by: str
    requested_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    reason: str | None


_columns = approvals.c
_REQUEST_COLUMNS = [_columns[name] for name in Request._fields]


def request_approval(
    connection: Connection,
    *,
    request_id: UUID,
    kind: str,
    payload: dict[str, Any],
    person: str,
    now: datetime,
) -> None:
    """Record that `person` asks for an action; nothing happens before another person approves it."""
    connection.execute(
        insert(approvals).values(
            request_id=request_id, kind=kind, payload=payload, requested_by=person, requested_at=now
        )
    )


def decide_request(
    connection: Connection, request_id: UUID, *, approved: bool, reason: str | None, person: str, now: datetime
) -> Request:
    """Record the decision of `person` and return the request, its row locked until the transaction ends.

    An approved action is the caller's to carry out in the same transaction.

    Raises:
        UnknownRequestError: there is no such request.
        RequestDecidedError: it was decided before.
        SamePersonError: `person` asked for it.
    """
    statement = select(*_REQUEST_COLUMNS).where(_columns.request_id == request_id).with_for_update()
    row = connection.execute(statement).one_or_none()
    if row is None:
        msg = f"there is no request {request_id}"
        raise UnknownRequestError(msg)
    found = _request(row)
    if found.state != "open":
        msg = f"request {request_id} was {found.state} already"
        raise RequestDecidedError(msg)
    if found.requested_by == person:
        msg = f"request {request_id} was made by the same person; another officer must decide on it"
        raise SamePersonError(msg)
    state = "approved" if approved else "rejected"
    connection.execute(
        update(approvals)
        .where(_columns.request_id == request_id)
        .values(state=state, decided_by=person, decided_at=now, reason=reason)
    )
    return found._replace(state=state, decided_by=person, decided_at=now, reason=reason)


def list_requests(connection: Connection, *, state: str | None, before: UUID | None, limit: int) -> list[Request]:
    """Return requests, newest first, all of them or those in `state`; `before` is the last of the page before."""
    statement = select(*_REQUEST_COLUMNS).order_by(_columns.request_id.desc()).limit(limit)
    if state is not None:
        statement = statement.where(_columns.state == state)
    if before is not None:
        statement = statement.where(_columns.request_id < before)
    return [_request(row) for row in connection.execute(statement)]


_PERSONAL = frozenset({"phone", "phones", "name", "birth_date", "callee", "caller"})


def shown_payload(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a request's payload may be shown: no personal fields, numbers in words masked."""
    return {key: _shown(value) for key, value in payload.items() if key not in _PERSONAL}


def _shown(value: Any) -> Any:  # noqa: ANN401 - JSON
    match value:
        case str():
            return masked_words(value)
        case dict():
            return shown_payload(value)
        case list():
            return [_shown(item) for item in value]
        case _:
            return value


def _request(row: Row[*tuple[Any, ...]]) -> Request:
    return Request._make(row)
