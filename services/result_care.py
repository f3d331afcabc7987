"""What the worker does for results: closes them, tells of late appeals and of recordings that came too late.

All find their work in rows and are due by themselves; a run that is lost, or a database that is away, loses nothing.
"""

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from infra.clock import Clock
from infra.logs import logger
from qa_sampling.appeals import close_inspections, note_overdue_appeals
from qa_sampling.withheld_recordings import tell_unheard

CARE_FOR_RESULTS = "telesales.care_for_results"
CARE_FOR_RESULTS_EVERY_SECONDS = 60.0
TELL_UNHEARD = "telesales.tell_unheard"
TELL_UNHEARD_EVERY_SECONDS = 3600.0

log = logger(__name__)


def care_for_results_if_possible(engine: Engine, clock: Clock) -> None:
    """Close and tell of what is due, each in a transaction of its own."""
    try:
        with engine.begin() as connection:
            closed = close_inspections(connection, now=clock())
        with engine.begin() as connection:
            overdue = note_overdue_appeals(connection, now=clock())
    except SQLAlchemyError as error:
        log.warning("results_not_cared_for", error=type(error).__name__)
        return
    if closed or overdue:
        log.info("results_cared_for", closed=closed, overdue_appeals=overdue)


def tell_unheard_if_possible(engine: Engine, clock: Clock) -> None:
    """Open incidents for recordings that nobody heard when their sale was inspected."""
    try:
        with engine.begin() as connection:
            found = tell_unheard(connection, now=clock())
    except SQLAlchemyError as error:
        log.warning("unheard_recordings_not_told", error=type(error).__name__)
        return
    if found:
        log.info("unheard_recordings_told", found=found)
