"""Parts of a representation by RFC 9110: which bytes a request is answered with, and under which status.

One range is answered; several in one request are passed over, as the RFC allows (14.2), and the whole is sent. A
`Range` that cannot be read is passed over, too; one that lies behind the end is refused.
"""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import NamedTuple

_RANGE = re.compile(r"(\d*)-(\d*)", re.ASCII)
_MOST_DIGITS = 20


class Selection(NamedTuple):
    """The status of the answer, and the bytes [start, end) that it holds. Errors and 304 hold none."""

    status: HTTPStatus
    start: int = 0
    end: int = 0


def select_bytes(headers: Mapping[str, str], *, method: str, size: int, etag: str) -> Selection:
    """Return what to answer about a representation of `size` bytes, at least one, with a strong `etag`.

    `headers` are looked up by their names in lower case. The order is that of RFC 9110, 13.2.2.
    """
    if (wanted := headers.get("if-match")) is not None and etag not in _tags(wanted) and wanted.strip() != "*":
        return Selection(HTTPStatus.PRECONDITION_FAILED)
    if (known := headers.get("if-none-match")) is not None and _is_known(known, etag):
        return Selection(HTTPStatus.NOT_MODIFIED)
    whole = Selection(HTTPStatus.OK, 0, size)
    if method != "GET" or headers.get("if-range", etag).strip() != etag:
        return whole
    found = _only_range(headers.get("range", ""))
    return whole if found is None else _selected(*found, size=size)


def _tags(value: str) -> set[str]:
    """Return the entity tags of a list; the signs of our own tags never hold a comma."""
    return {one.strip() for one in value.split(",")}


def _is_known(value: str, etag: str) -> bool:
    return value.strip() == "*" or etag in {one.removeprefix("W/") for one in _tags(value)}


def _only_range(value: str) -> tuple[str, str] | None:
    """Return first and last of the one range asked for, as text; None if there is none, several or nonsense."""
    unit, _, ranges = value.partition("=")
    wanted = [one.strip() for one in ranges.split(",") if one.strip()]
    found = _RANGE.fullmatch(wanted[0]) if unit.strip().lower() == "bytes" and len(wanted) == 1 else None
    if found is None or found[0] == "-":
        return None
    return found[1], found[2]


def _selected(first: str, last: str, *, size: int) -> Selection:
    if not first:
        length = min(_number(last), size)
        return _part(size - length, size, size=size)
    start = _number(first)
    if last and _number(last) < start:
        return Selection(HTTPStatus.OK, 0, size)
    return _part(start, min(_number(last) + 1, size) if last else size, size=size)


def _part(start: int, end: int, *, size: int) -> Selection:
    if start >= size:
        return Selection(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
    return Selection(HTTPStatus.PARTIAL_CONTENT, start, end)


def _number(digits: str) -> int:
    """Return the number; one with more digits than any file has bytes is as large as it needs to be."""
    found = digits.lstrip("0")
    return int(found or "0") if len(found) <= _MOST_DIGITS else 10**_MOST_DIGITS
