"""What the worker does for results: closes them, tells of late appeals and of recordings that came too late.

All find their work in rows and are due by themselves; a run that is lost, or a database that is away, loses nothing.
"""

from sqlalchemy import Engine

from infra.clock import Clock
from qa_sampling.appeals import close_inspections, note_overdue_appeals
from qa_sampling.withheld_recordings import tell_unheard
from services.due_work import do_due

CARE_FOR_RESULTS = "telesales.care_for_results"
CARE_FOR_RESULTS_EVERY_SECONDS = 60.0
TELL_UNHEARD = "telesales.tell_unheard"
TELL_UNHEARD_EVERY_SECONDS = 3600.0


def care_for_results_if_possible(engine: Engine, clock: Clock) -> None:
    """Close and tell of what is due, each in a transaction of its own."""
    do_due("close_inspections", close_inspections, engine, clock)
    do_due("note_overdue_appeals", note_overdue_appeals, engine, clock)


def tell_unheard_if_possible(engine: Engine, clock: Clock) -> None:
    """Open incidents for recordings that nobody heard when their sale was inspected."""
    do_due("tell_unheard", tell_unheard, engine, clock)
