"""Which part of the ledger somebody asks for: from and to, both included, as days of recording or entry numbers."""

import re
from datetime import date, datetime, timedelta

from sqlalchemy import Connection

from compliance.ledger_reading import EntrySpan, span_of_time
from compliance.shanghai import midnight

MOST = 1 << 62
_NUMBER = re.compile(r"0|[1-9][0-9]{0,17}")
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_FIRST_YEAR, _LAST_YEAR = 1900, 2200


class LedgerEdgeError(ValueError):
    """What stands in from or to is neither a day nor a number, or to lies before from; `name` says which of them."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name, self.message = name, message


def read_edge(name: str, value: str | None) -> tuple[int | None, datetime | None]:
    """Return an end of what is asked for: a number, or the midnight in Shanghai with which a day begins.

    Raises:
        LedgerEdgeError: it is neither.
    """
    if value is None:
        return None, None
    if _NUMBER.fullmatch(value):
        return int(value), None
    try:
        day = date.fromisoformat(value) if _DAY.fullmatch(value) else None
    except ValueError:
        day = None
    if day is None or not _FIRST_YEAR <= day.year <= _LAST_YEAR:
        raise LedgerEdgeError(name, "must be a civil date YYYY-MM-DD or the number of an entry")
    return None, midnight(day)


def span_between(connection: Connection, from_edge: str | None, to_edge: str | None) -> EntrySpan:
    """Return which entries are asked for; its end may lie beyond the newest entry.

    Raises:
        LedgerEdgeError: an end is none, or to lies before from.
    """
    begin, from_at = read_edge("from", from_edge)
    end, to_at = read_edge("to", to_edge)
    past = None if to_at is None else to_at + timedelta(days=1)
    if (from_at is not None and past is not None and from_at >= past) or (begin or 0) > (MOST if end is None else end):
        raise LedgerEdgeError("to", "must not be before from")
    span = EntrySpan(0, MOST)
    if from_at is not None or past is not None:
        span = span_of_time(connection, from_at, past)
    return span._replace(begin=max(span.begin, begin or 0), end=span.end if end is None else min(span.end, end + 1))
