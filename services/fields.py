"""Types of the fields that requests carry: what may be in them, said once."""

import re
from datetime import date, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema

_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_FIRST_YEAR, _LAST_YEAR = 1900, 2200

NO_NUL = r"^[^\x00]*$"
"""PostgreSQL cannot store NUL, and no text of ours needs it."""


def _instant_text(value: Any) -> Any:  # noqa: ANN401 - whatever came in JSON
    if not isinstance(value, str | datetime) or (isinstance(value, str) and not _INSTANT.fullmatch(value)):
        msg = "expected an RFC 3339 instant with an offset, such as 2026-11-23T16:00:00+08:00"
        raise ValueError(msg)
    return value


def _day_text(value: Any) -> Any:  # noqa: ANN401 - whatever came in JSON
    if isinstance(value, datetime) or (isinstance(value, str) and not _DAY.fullmatch(value)):
        msg = "expected a civil date YYYY-MM-DD"
        raise ValueError(msg)
    if not isinstance(value, str | date):
        msg = "expected a civil date YYYY-MM-DD"
        raise ValueError(msg)  # noqa: TRY004 - pydantic turns only ValueError into an answer
    return value


def _in_range(value: Any) -> Any:  # noqa: ANN401 - a date or a datetime
    if not _FIRST_YEAR <= value.year <= _LAST_YEAR:
        msg = f"the year must lie between {_FIRST_YEAR} and {_LAST_YEAR}"
        raise ValueError(msg)
    return value


Instant = Annotated[
    datetime,
    BeforeValidator(_instant_text),
    AfterValidator(_in_range),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""An instant with an offset; one without is refused, never guessed."""

Day = Annotated[
    date,
    BeforeValidator(_day_text),
    AfterValidator(_in_range),
    WithJsonSchema({"type": "string", "format": "date"}),
]
"""A civil day in Asia/Shanghai."""

Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=NO_NUL)]
Identifier = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100, pattern=NO_NUL)]
"""An id without the blanks that systems leave around it: a refusal of `C-1 ` must bind the customer `C-1`."""
PhoneText = Annotated[
    str,
    StringConstraints(max_length=200, pattern=NO_NUL),
    Field(description="A telephone number as people type or systems send it.", examples=["138 0013 8000"]),
]
LONGEST_PHONE = 200
CalleeText = Annotated[
    str,
    StringConstraints(pattern=NO_NUL),
    # Whatever is no number is an answer of the gate. What goes on for longer than any number is kept in short, ending
    # in a sign that no number has.
    AfterValidator(lambda text: text if len(text) <= LONGEST_PHONE else f"{text[: LONGEST_PHONE - 1]}…"),
    Field(description="A telephone number as people type or systems send it.", examples=["138 0013 8000"]),
]
REASON = r"^[^\x00]*[^\s\x00][^\x00]*$"
LongText = Annotated[str, StringConstraints(max_length=20_000, pattern=NO_NUL)]
Reason = Annotated[str, StringConstraints(min_length=1, max_length=20_000, pattern=REASON)]
"""Why somebody does what the record keeps: in words, not in blanks."""
Milliseconds = Annotated[int, Field(ge=0, le=10**12)]


class Body(BaseModel):
    """A request body: unknown fields are refused, so that a misspelt one is never silently ignored."""

    model_config = ConfigDict(extra="forbid")


class Evidence(Body):
    """Where the customer's words can be heard or read."""

    recording_id: Identifier | None = None
    offset_ms: Milliseconds | None = None
    inbound_call_id: Identifier | None = None
    document: Identifier | None = None

    def is_given(self) -> bool:
        return any((self.recording_id, self.inbound_call_id, self.document))


class ProblemError(BaseModel):
    model_config = ConfigDict(extra="allow")

    loc: str
    msg: str


class ProblemBody(BaseModel):
    """An error (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    errors: list[ProblemError] | None = None


class Pending(BaseModel):
    """A two-person action that waits for another officer."""

    request_id: str
