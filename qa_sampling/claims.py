"""Claiming: nobody chooses what he inspects; each is given the next inspection that he may have.

First those that can still be finished in time, by their deadline; then what is owed otherwise. An inspection may also
be named, and is then given only if it is the one that would have been given anyway.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, TextClause

from qa_sampling.eligibility import MayNotInspectError
from qa_sampling.inspection_rows import Inspection, InspectionState, lock_inspection, read_inspection
from qa_sampling.inspector_roles import Asker, bars_by_sale, read_asker, refuse_seller
from qa_sampling.sittings import Ending, Sitting, end_expired, end_sitting, held_sitting, start_sitting
from qa_sampling.task_sources import IN_TIME, OVERDUE, Task, first_task

QUEUES: tuple[TextClause, ...] = (IN_TIME, OVERDUE)
"""In the order in which they are asked: a later one only when the ones before have nothing for this inspector."""


class EarlierWaitsError(ValueError):
    """The inspection that was named would not be given next: another one that the inspector may have comes first."""


class NotWaitingError(ValueError):
    """The inspection that was named does not wait for this inspector: it is held, or has all that it needs."""


def next_task(connection: Connection, asker: Asker) -> Task | None:
    """Return the next task for `asker`, its inspection locked; None if nothing waits that he may have."""
    for queue in QUEUES:
        task = first_task(connection, queue, asker)
        if task is not None:
            return task
    return None


def claim_next(connection: Connection, inspector: str, *, now: datetime) -> Sitting | None:
    """Give `inspector` the next inspection; None if nothing waits that he may have.

    Raises:
        MayNotInspectError: he sells, or did a short while ago.
        NoScorecardError: no scorecard is in force.
    """
    asker = read_asker(connection, inspector, now=now)
    refuse_seller(asker)
    end_expired(connection, now=now)
    task = next_task(connection, asker)
    if task is None:
        return None
    return start_sitting(connection, task.inspection_id, inspector, purpose=task.purpose, now=now)


def claim_one(connection: Connection, inspection_id: UUID, inspector: str, *, now: datetime) -> Sitting:
    """Give `inspector` the inspection that he names if it is the next one; to who holds it already, nothing changes.

    Raises:
        UnknownInspectionError: there is no such inspection.
        MayNotInspectError: he sells, did a short while ago, or had to do with this sale.
        NotWaitingError: it does not wait for him.
        EarlierWaitsError: another one comes first.
        NoScorecardError: no scorecard is in force.
    """
    # The one that is named is locked before others are: those are never waited for, so nobody waits in a circle.
    inspection = lock_inspection(connection, inspection_id)
    asker = read_asker(connection, inspector, now=now)
    refuse_seller(asker)
    bars = bars_by_sale(connection, asker, [inspection.policy_no])
    if bars:
        raise MayNotInspectError(bars[inspection.policy_no])
    held = _held(connection, inspection_id, now=now)
    if held is not None and held.inspector == inspector:
        return held
    if held is not None:
        msg = f"another inspector holds inspection {inspection_id}; POST /v1/inspections/claim gives you the next one"
        raise NotWaitingError(msg)
    end_expired(connection, now=now)
    task = next_task(connection, asker)
    if task is None or task.inspection_id != inspection_id:
        raise _not_given(read_inspection(connection, inspection_id), task)
    return start_sitting(connection, inspection_id, inspector, purpose=task.purpose, now=now)


def _held(connection: Connection, inspection_id: UUID, *, now: datetime) -> Sitting | None:
    """Return the sitting that holds an inspection; one that is over is ended."""
    held = held_sitting(connection, inspection_id, lock=True)
    if held is None or held.expires_at > now:
        return held
    end_sitting(connection, held, Ending.EXPIRED, now=now)
    return None


def _not_given(wanted: Inspection, task: Task | None) -> ValueError:
    """Say why the inspection that was named is not given. What became of one that is not open is not said here."""
    if task is None or wanted.state != InspectionState.OPEN:
        return NotWaitingError(
            f"inspection {wanted.inspection_id} does not wait for you; POST /v1/inspections/claim gives the next one"
        )
    # Its deadline is not told: that of a second scoring is not the inspection's, and would give it away.
    return EarlierWaitsError(
        f"inspection {task.inspection_id} waits and comes first; inspections are given in the order of their "
        f"deadlines, POST /v1/inspections/claim gives you that one"
    )
