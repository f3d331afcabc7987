"""Structured logs: one JSON object a line, in UTC, without personal data.

Fields that could carry a telephone number, a name or a token are dropped by name, and anything that looks
like a telephone number or a token inside another field is replaced: a log line is never evidence, so it
may lose a detail but must not leak one.
"""

import logging
import re
import sys
from typing import TextIO

import structlog
from structlog.typing import EventDict, WrappedLogger

_PERSONAL = frozenset({"phone", "callee", "caller", "name", "token", "authorization", "body", "text", "evidence"})
_LOOKS_PERSONAL = re.compile(r"(?<![0-9a-fA-F-])\+?\d[\d -]{5,}\d(?![0-9a-fA-F-])|tsl_[\w-]+")


def without_personal_data(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Drop personal fields and mask what looks like a number or a token in the others."""
    return {
        key: _LOOKS_PERSONAL.sub("[hidden]", value) if isinstance(value, str) and key != "timestamp" else value
        for key, value in event.items()
        if key not in _PERSONAL
    }


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
            structlog.processors.format_exc_info,
            without_personal_data,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of a module."""
    bound: structlog.stdlib.BoundLogger = structlog.get_logger(name)
    return bound
