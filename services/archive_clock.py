"""What the worker does for the retention clock: brings the stores to the rows, and sweeps up what stayed behind.

Both find their work in rows and are due by themselves; a run that is lost, or a database that is away, loses nothing.
"""

from datetime import timedelta

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from infra.clock import Clock
from infra.logs import logger
from infra.object_stores import open_recording_stores
from infra.settings import Settings
from recordings.copy_rows import CopyName, Keeping
from recordings.locks import apply_locks
from recordings.retention_sweep import sweep_retention

APPLY_LOCKS = "telesales.apply_locks"
APPLY_LOCKS_EVERY_SECONDS = 15.0
SWEEP_RETENTION = "telesales.sweep_retention"
SWEEP_RETENTION_EVERY_SECONDS = 600.0

_MOST_SECONDS = 10.0
"""Less than from one run to the next, so that runs do not pile up and other tasks have their turn."""

_FIXITY_PERIOD = timedelta(days=90)

log = logger(__name__)


def open_keeping(settings: Settings, engine: Engine, clock: Clock) -> Keeping:
    """Return what work on copies needs, with both stores opened; nothing is asked of them yet."""
    first, second = open_recording_stores(settings, clock=clock)
    stores = {CopyName.FIRST.value: first, CopyName.SECOND.value: second}
    return Keeping(engine, clock, stores, settings.data_dir / "staging", _FIXITY_PERIOD)


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
    try:
        with engine.begin() as connection:
            changed = sweep_retention(connection, now=clock())
    except SQLAlchemyError as error:
        log.warning("retention_not_swept", error=type(error).__name__)
        return
    if changed:
        log.info("retention_swept", recordings=changed)
