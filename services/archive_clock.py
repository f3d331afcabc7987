"""What the worker does for the retention clock: brings the stores to the rows, and sweeps up what stayed behind.

Both find their work in rows and are due by themselves; a run that is lost, or a database that is away, loses nothing.
"""

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from infra.clock import Clock
from infra.logs import logger
from recordings.copy_rows import Keeping
from recordings.locks import apply_locks
from recordings.retention_sweep import sweep_retention
from services.due_work import do_due

APPLY_LOCKS = "telesales.apply_locks"
APPLY_LOCKS_EVERY_SECONDS = 15.0
SWEEP_RETENTION = "telesales.sweep_retention"
SWEEP_RETENTION_EVERY_SECONDS = 600.0

_MOST_SECONDS = 5.0
"""Less than from one run to the next, so that runs do not pile up and other tasks have their turn."""

log = logger(__name__)


def apply_locks_if_possible(keeping: Keeping) -> None:
    """Bring the stores to what rows want, for some seconds. What stands in the way is logged."""
    try:
        brought = apply_locks(keeping, most_seconds=_MOST_SECONDS)
    except SQLAlchemyError as error:
        log.warning("locks_not_applied", error=type(error).__name__)
        return
    if brought:
        log.info("locks_applied", recordings=brought)


def sweep_retention_if_possible(engine: Engine, clock: Clock) -> None:
    """Bring along recordings that stayed behind."""
    do_due("sweep_retention", sweep_retention, engine, clock)
