"""Work that is due by itself, as the worker does it: in a transaction of its own, what stands in the way logged.

The rows are the queue: a run that is lost, or a database that is away, loses nothing, for the next one finds the same.
"""

from datetime import datetime
from typing import Protocol

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from infra.clock import Clock
from infra.logs import logger

log = logger(__name__)


class DueWork(Protocol):
    """Does what is due at `now`, and returns how much that was."""

    def __call__(self, connection: Connection, /, *, now: datetime) -> int: ...


def do_due(what: str, work: DueWork, engine: Engine, clock: Clock) -> None:
    """Do `work`, which the log calls `what`."""
    try:
        with engine.begin() as connection:
            found = work(connection, now=clock())
    except SQLAlchemyError as error:
        log.warning("due_work_not_done", what=what, error=type(error).__name__)
        return
    if found:
        log.info("due_work_done", what=what, found=found)
