"""Lists: `limit`, and a cursor that says where the next page begins and of which query it is."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, TypeVar
from uuid import UUID

import msgspec
from fastapi import Query
from pydantic import StringConstraints

from services.problems import InputError, input_error

Limit = Annotated[int, Query(ge=1, le=1000, description="Most items in the answer.")]
Cursor = Annotated[
    str | None,
    StringConstraints(max_length=1000, pattern=r"^[A-Za-z0-9_=-]*$"),
    Query(description="`next_cursor` of the page before, of the same query."),
]
T = TypeVar("T")

_LONGEST_POSITION = 18


def check_span(from_day: date | None, to_day: date | None) -> None:
    """Raise InputError if a list is asked for days that end before they begin."""
    if from_day is not None and to_day is not None and from_day > to_day:
        raise input_error("to", "must not be before from")


def _digest(query: Mapping[str, object]) -> str:
    return hashlib.sha256(msgspec.json.encode(dict(query), order="sorted")).hexdigest()[:16]


def make_cursor(query: Mapping[str, object], last: str) -> str:
    """Return a cursor for the page after the item named `last`."""
    return base64.urlsafe_b64encode(msgspec.json.encode([_digest(query), last])).decode()


def read_cursor(query: Mapping[str, object], cursor: str | None) -> str | None:
    """Return the name of the last item seen, None on the first page.

    Raises:
        InputError: the cursor is broken or belongs to another query.
    """
    if cursor is None:
        return None
    try:
        digest, last = msgspec.json.decode(base64.urlsafe_b64decode(cursor), type=tuple[str, str])
    except (ValueError, msgspec.MsgspecError):
        raise not_a_cursor() from None
    if digest != _digest(query):
        raise input_error("cursor", "belongs to another query; leave it out for the first page")
    return last


def page(items: Sequence[T], *, limit: int, query: Mapping[str, object], names: Sequence[str]) -> dict[str, object]:
    """Return `{"items", "next_cursor"}` of `limit` + 1 items read, `names[i]` naming `items[i]`."""
    more = len(items) > limit
    return {
        "items": list(items[:limit]),
        "next_cursor": make_cursor(query, names[limit - 1]) if more else None,
    }


def not_a_cursor() -> InputError:
    """Return the error for a cursor whose name stands for no item of the list."""
    return input_error("cursor", "not a cursor of this server; leave it out for the first page")


def id_of(last: str | None) -> UUID | None:
    """Return the id that a name stands for, in a list ordered by ids; None on the first page.

    Raises:
        InputError: it is no id.
    """
    try:
        return None if last is None else UUID(last)
    except ValueError:
        raise not_a_cursor() from None


def position_of(last: str | None) -> int | None:
    """Return the position that a name stands for, in a list ordered by positions; None on the first page.

    Raises:
        InputError: it is no position.
    """
    if last is None:
        return None
    if not last.isascii() or not last.isdecimal() or len(last) > _LONGEST_POSITION:
        raise not_a_cursor()
    return int(last)


def name_of(at: datetime, row_id: object) -> str:
    """Return the name of an item in a list that is ordered by an instant, and by ids among the same instants."""
    return f"{at.isoformat()} {row_id}"


def place_of(last: str | None) -> tuple[datetime, UUID] | None:
    """Return the instant and the id that such a name stands for; None on the first page.

    Raises:
        InputError: it is no such name.
    """
    if last is None:
        return None
    at, _, row_id = last.partition(" ")
    try:
        return datetime.fromisoformat(at), UUID(row_id)
    except ValueError:
        raise not_a_cursor() from None
