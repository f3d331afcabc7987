"""How the copies are as a whole: figures for metrics, and one note a night in the ledger (art. 35)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import Connection, func, select, text

from compliance.audit import note
from compliance.shanghai import midnight, shanghai_day
from compliance.tables import audit_events
from infra.advisory_locks import AdvisoryLock, hold
from recordings.copy_rows import LACKING, PERSON
from recordings.tables import fixity_days, recording_copies

NIGHT_KIND = "fixity_day"
_COUNTED = ("copies", "bytes", "damaged", "weakened", "repaired")


@dataclass(frozen=True, slots=True)
class FixityFigures:
    """Copies that stores lack, by state; how long the copy most overdue has waited; what was done so far."""

    lacking: Mapping[str, int]
    overdue: timedelta
    done: Mapping[str, int]


_LACKING = text("""
    SELECT state, count(*) FROM recording_copies WHERE state IN ('wanted', 'missing', 'changed') GROUP BY state""")
_OLDEST = text("SELECT min(verify_after) FROM recording_copies WHERE state = 'stored'")
_TOTALS = select(*(func.coalesce(func.sum(fixity_days.c[name]), 0).label(name) for name in _COUNTED))


def read_figures(connection: Connection, *, now: datetime) -> FixityFigures:
    """Return the figures of now; what was done is counted since the beginning."""
    found = {state: number for state, number in connection.execute(_LACKING)}  # noqa: C416 - rows are no pairs to mypy
    oldest: datetime | None = connection.execute(_OLDEST).scalar_one()
    done = connection.execute(_TOTALS).mappings().one()
    return FixityFigures(
        lacking={one.value: found.get(one.value, 0) for one in LACKING},
        overdue=max(timedelta(), now - oldest) if oldest is not None else timedelta(),
        done={name: int(done[name]) for name in _COUNTED},
    )


def note_day(connection: Connection, *, now: datetime) -> bool:
    """Note in the ledger, once, what was verified on the day before that of `now`; say whether it was noted now."""
    day = shanghai_day(now) - timedelta(days=1)
    hold(connection, AdvisoryLock.FIXITY_FIGURES)
    if _is_noted(connection, day):
        return False
    counted = connection.execute(select(fixity_days).where(fixity_days.c.day == day)).mappings().one_or_none()
    figures = read_figures(connection, now=now)
    done = {name: 0 if counted is None else counted[name] for name in _COUNTED}
    stored = select(func.count()).select_from(recording_copies).where(recording_copies.c.state == "stored")
    details = {
        **done,
        "stored": connection.execute(stored).scalar_one(),
        "lacking": dict(figures.lacking),
        "overdue_s": int(figures.overdue.total_seconds()),
    }
    note(connection, kind=NIGHT_KIND, subject=day.isoformat(), details=details, person=PERSON, now=now)
    return True


def _is_noted(connection: Connection, day: date) -> bool:
    columns = audit_events.c
    # The note of a day is made after it: an index leads there.
    recent = columns.recorded_at >= midnight(day)
    same = (columns.kind == NIGHT_KIND) & (columns.subject == day.isoformat())
    return connection.execute(select(columns.event_id).where(recent, same).limit(1)).first() is not None
