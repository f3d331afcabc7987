"""What the worker does when a release knows another calendar: days of sales that turn on working days follow it."""

from functools import partial

from sqlalchemy import Engine

from compliance.sale_calendars import follow_calendar
from compliance.working_days import package_calendar
from infra.clock import Clock
from services.due_work import do_due

FOLLOW_CALENDAR = "telesales.follow_calendar"
FOLLOW_CALENDAR_EVERY_SECONDS = 3600.0


def follow_calendar_if_possible(engine: Engine, clock: Clock) -> None:
    """Bring the days of sales to the calendar that came with this release."""
    do_due("follow_calendar", partial(follow_calendar, calendar=package_calendar()), engine, clock)
