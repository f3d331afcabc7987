"""What the worker does when a release knows another calendar: days of sales that turn on working days follow it.

The rows are the queue; a run that is lost, or a database that is away, loses nothing.
"""

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from compliance.sale_calendars import follow_calendar
from compliance.working_days import package_calendar
from infra.clock import Clock
from infra.logs import logger

FOLLOW_CALENDAR = "telesales.follow_calendar"
FOLLOW_CALENDAR_EVERY_SECONDS = 3600.0

log = logger(__name__)


def follow_calendar_if_possible(engine: Engine, clock: Clock) -> None:
    """Bring the days of sales to the calendar that came with this release."""
    try:
        with engine.begin() as connection:
            moved = follow_calendar(connection, package_calendar(), now=clock())
    except SQLAlchemyError as error:
        log.warning("calendar_not_followed", error=type(error).__name__)
        return
    if moved:
        log.info("calendar_followed", sales=moved)
