"""What the worker does for inspections by itself: ends claims whose time is over, and follows sales that moved on.

Both find their work in rows; a run that is lost, or a database that is away, loses nothing.
"""

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from infra.clock import Clock
from infra.logs import logger
from qa_sampling.inspection_tasks import follow_sales
from qa_sampling.sittings import end_expired

END_CLAIMS = "telesales.end_claims"
END_CLAIMS_EVERY_SECONDS = 60.0
FOLLOW_SALES = "telesales.follow_sales"
FOLLOW_SALES_EVERY_SECONDS = 600.0

log = logger(__name__)


def end_claims(engine: Engine, clock: Clock) -> None:
    """Put inspections whose claim is over back into the queue."""
    try:
        with engine.begin() as connection:
            ended = end_expired(connection, now=clock())
    except SQLAlchemyError as error:
        log.warning("claims_not_ended", error=type(error).__name__)
        return
    if ended:
        log.info("claims_ended", inspections=ended)


def bring_deadlines(engine: Engine, clock: Clock) -> None:
    """Bring along deadlines of inspections that were opened while their sale changed."""
    try:
        with engine.begin() as connection:
            moved = follow_sales(connection, now=clock())
    except SQLAlchemyError as error:
        log.warning("deadlines_not_brought", error=type(error).__name__)
        return
    if moved:
        log.info("deadlines_brought", inspections=moved)
