"""What is wrong with values that cannot be used, in words that say what is expected instead.

Owns the words for what validation finds. What was sent may be personal and never stands in them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from services.fields import NO_NUL, REASON

_BODY = "body"
_NO_SUCH_INSTANT = (
    "is no instant that there is; expected an RFC 3339 instant with an offset, such as 2026-11-23T16:00:00+08:00, "
    "on a day of the calendar, from 00:00:00 to 23:59:59"
)
_NO_SUCH_DAY = "is no day of the calendar; expected a civil date YYYY-MM-DD"
_NO_OBJECT = "expected a JSON object, sent with 'Content-Type: application/json'"
_WORDS = {
    "datetime_from_date_parsing": _NO_SUCH_INSTANT,
    "datetime_object_invalid": _NO_SUCH_INSTANT,
    "datetime_parsing": _NO_SUCH_INSTANT,
    "date_from_datetime_parsing": _NO_SUCH_DAY,
    "date_parsing": _NO_SUCH_DAY,
    "extra_forbidden": "is no field here; correct its name or leave it out",
    "missing": "is required",
    "string_unicode": "is no text: it has half of a surrogate pair; send the whole character",
}
_PATTERNS = {
    NO_NUL: "must not have a NUL character; remove it",
    REASON: "must have words, not only blanks, and no NUL character",
}


def rejected_value(error: Mapping[str, Any]) -> dict[str, object]:
    """Return `{"loc", "msg"}` for one error of validation; what concerns the whole body is at `body`."""
    if error["type"] == "json_invalid":
        return {"loc": _BODY, "msg": f"is not JSON that can be read: {error['ctx']['error']}. Send one JSON object"}
    loc = _loc(error["loc"])
    if loc == _BODY and error["type"] in {"model_attributes_type", "model_type"}:
        return {"loc": loc, "msg": _NO_OBJECT}
    return {"loc": loc, "msg": _message(error)}


def _message(error: Mapping[str, Any]) -> str:
    kind, message = error["type"], str(error["msg"])
    if kind == "string_pattern_mismatch":
        return _PATTERNS.get(error["ctx"]["pattern"], message)
    if kind == "value_error":
        return message.removeprefix("Value error, ")
    return _WORDS.get(kind, message)


def _loc(parts: Sequence[object]) -> str:
    named = [str(part) for part in parts]
    if len(named) > 1 and named[0] in {"body", "query", "path", "header"}:
        named = named[1:]
    return ".".join(named) or _BODY
