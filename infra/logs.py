"""Structured logs: one JSON object a line, in UTC, without personal data.

Fields that could carry a telephone number, a name or a token are dropped by name, and anything that looks
like a telephone number or a token inside another field is replaced: a log line is never evidence, so it
may lose a detail but must not leak one.
"""

import logging
import re
import sys
import traceback
from collections.abc import Iterator
from typing import TextIO

import structlog
from structlog.typing import EventDict, WrappedLogger

_MOST_FRAMES = 40
_LEAST_NUMBER = 1_000_000
_PERSONAL = frozenset({"phone", "callee", "caller", "name", "token", "authorization", "body", "text", "evidence"})
_LOOKS_PERSONAL = re.compile(
    r"""(?P<kept> \b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b   # an id of ours
              | \bsha256:[0-9a-f]+
              | \b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d:\d\d(?:\.\d+)?)?)
      | \+?\(?\d(?:[\s().\-_\u2010-\u2015]{0,2}\d){6,}             # seven digits or more, however they are written
      | tsl_[\w-]+""",
    re.VERBOSE,
)


def without_personal_data(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Drop personal fields and mask what looks like a number or a token in the others."""
    return {
        key: value if key == "timestamp" else _without_numbers(value)
        for key, value in event.items()
        if key not in _PERSONAL
    }


def _without_numbers(value: object) -> object:
    """Return `value`; as text, without what looks like a telephone number, unless it is plainly none."""
    if value is None or isinstance(value, bool | float) or (isinstance(value, int) and abs(value) < _LEAST_NUMBER):
        return value
    return _LOOKS_PERSONAL.sub(_hidden, value if isinstance(value, str) else str(value))


def _hidden(found: re.Match[str]) -> str:
    return found["kept"] or "[hidden]"


def traceback_without_messages(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Say where an exception came from and of what kind it is, not what it says.

    Messages of libraries quote what was sent: pydantic, SQLAlchemy and psycopg all do.
    """
    found = event.pop("exc_info", None)
    error = sys.exc_info()[1] if found is True else found[1] if isinstance(found, tuple) else found
    if isinstance(error, BaseException):
        event["exception"] = "\n".join(_places(error))
    return event


def _places(error: BaseException) -> Iterator[str]:
    """Name the kind of an exception and the calls it passed through, then those of its causes."""
    named: BaseException | None = error
    while named is not None:
        yield type(named).__qualname__
        for frame in traceback.extract_tb(named.__traceback__, limit=-_MOST_FRAMES):
            yield f"  {frame.filename}:{frame.lineno} in {frame.name}"
        named = named.__cause__ or named.__context__


_APPENDS_STACKS = "celery.beat"
"""A logger that writes the stack into its message, five kilobytes for each task that it cannot send."""


def without_stacks(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Keep the first line of what `celery.beat` says: the others are the stack, the same each time."""
    if event.get("logger") == _APPENDS_STACKS:
        event["event"] = str(event["event"]).partition("\n")[0]
    return event


_CHATTY = ("alembic", "celery", "kombu", "uvicorn")
"""Libraries that tell of each step of theirs: what an operator needs to know of these, we say ourselves."""

_TELLING = ("httpcore2", "httpx2")
"""Libraries that tell the addresses they ask, passwords in them included; they warn only, at any level."""


_TALKATIVE = ("boto3", "botocore", "s3transfer", "urllib3")
"""Libraries whose details hold credentials: requests with all their headers, the token of a session among them."""


def configure_logs(level: str, *, stream: TextIO = sys.stderr) -> None:
    """Send structlog's and the standard library's records to `stream` as JSON lines."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            without_stacks,
            traceback_without_messages,
            without_personal_data,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(level if level == "DEBUG" else logging.WARNING)
    for name in (*_TELLING, *_TALKATIVE):
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of a module."""
    bound: structlog.stdlib.BoundLogger = structlog.get_logger(name)
    return bound
