"""The zone of every day in the law: Asia/Shanghai."""

from datetime import date, datetime, time
from zoneinfo import ZoneInfo

SHANGHAI = ZoneInfo("Asia/Shanghai")


def shanghai_day(at: datetime) -> date:
    """Return the civil day in Shanghai on which the aware instant `at` lies."""
    return at.astimezone(SHANGHAI).date()


def in_shanghai(at: datetime | None) -> datetime | None:
    """Return an instant as it is shown in Shanghai; None stays None."""
    return None if at is None else at.astimezone(SHANGHAI)


def midnight(day: date) -> datetime:
    """Return the instant at which `day` begins in Shanghai."""
    return datetime.combine(day, time(), SHANGHAI)
