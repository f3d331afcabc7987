"""Until when a result may be appealed, an appeal be decided, a second scoring be done.

Days are calendar days in Shanghai; the day on which one begins to count is not counted, and the last one counts until
24:00 (Civil Code arts. 201, 203). All instants returned are exclusive ends.
"""

from datetime import datetime, timedelta

from compliance.shanghai import midnight, shanghai_day

APPEAL_WITHIN_DAYS = 7
"""After a result, the side of the agent may appeal; the company's figure."""

DECIDE_WITHIN_DAYS = 7
"""After an appeal, somebody else has judged; the company's figure."""

SCORE_WITHIN_DAYS = 14
"""After it was chosen, a second scoring is done, or by the deadline of the inspection if that is later."""


def appeal_before(submitted_at: datetime) -> datetime:
    """Return when it is too late to appeal against a result.

    >>> from datetime import UTC
    >>> appeal_before(datetime(2026, 11, 23, 15, 59, tzinfo=UTC)).isoformat()
    '2026-12-01T00:00:00+08:00'
    """
    return _after_days(submitted_at, APPEAL_WITHIN_DAYS)


def decide_before(filed_at: datetime) -> datetime:
    """Return when the decision on an appeal is overdue."""
    return _after_days(filed_at, DECIDE_WITHIN_DAYS)


def score_before(chosen_at: datetime, due_before: datetime) -> datetime:
    """Return when a second scoring is overdue, of an inspection that was due before `due_before`."""
    return max(due_before, _after_days(chosen_at, SCORE_WITHIN_DAYS))


def appealable_from(now: datetime) -> datetime:
    """Return the first instant whose results can still be appealed against at `now`; the inverse of `appeal_before`."""
    return midnight(shanghai_day(now) - timedelta(days=APPEAL_WITHIN_DAYS))


def _after_days(at: datetime, days: int) -> datetime:
    return midnight(shanghai_day(at) + timedelta(days=days + 1))
