"""Where work for inspectors waits: queues that are rows, each asked for the first task that an inspector may have.

A queue says in one statement which inspections wait in which order, and in another which of some is still free, whose
row it locks. Two inspectors who ask at once never wait for each other and never get the same task.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, TextClause, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as PG_UUID

from qa_sampling.inspector_roles import Asker, bars_by_sale
from qa_sampling.sittings import Purpose, held_sitting

_AT_ONCE = 64
"""More than inspectors who ask at the same instant, so that one of so many is nearly always free."""

_FIRST = (datetime(1, 1, 2, tzinfo=UTC), UUID(int=0))


class Task(NamedTuple):
    """Work on an inspection; `due_before` is exclusive, and the order of its queue."""

    inspection_id: UUID
    policy_no: str
    due_before: datetime
    purpose: Purpose


@dataclass(frozen=True, slots=True)
class Queue:
    """Inspections that wait for the same purpose.

    `waiting` returns `inspection_id`, `policy_no`, `due_before` in order of (due_before, inspection_id), after the
    place (`:due`, `:id`), `:limit` at most; it is also given `:now` and `:inspector`. `free` locks, without waiting,
    the first of the inspections `:ids` that still waits, and returns its id; it is given `:now`, too.
    """

    purpose: Purpose
    waiting: TextClause
    free: TextClause


_ids = bindparam("ids", type_=ARRAY(PG_UUID(as_uuid=True)))
_FREE = text("""
    SELECT inspection_id FROM inspections
     WHERE inspection_id = ANY(:ids) AND state = 'open'
     ORDER BY due_before, inspection_id LIMIT 1 FOR UPDATE SKIP LOCKED""").bindparams(_ids)

IN_TIME = Queue(
    Purpose.INSPECTION,
    text("""
    SELECT inspection_id, policy_no, due_before FROM inspections
     WHERE state = 'open' AND due_before > :now AND (due_before, inspection_id) > (:due, :id)
     ORDER BY due_before, inspection_id LIMIT :limit"""),
    _FREE,
)
"""Inspections that can still be finished in time."""

OVERDUE = Queue(
    Purpose.INSPECTION,
    text("""
    SELECT inspection_id, policy_no, due_before FROM inspections
     WHERE state = 'open' AND due_before <= :now AND (due_before, inspection_id) > (:due, :id)
     ORDER BY due_before, inspection_id LIMIT :limit"""),
    _FREE,
)
"""Inspections whose window is over: they fill no minimum any more, and are still owed to the customer."""


def first_task(connection: Connection, queue: Queue, asker: Asker) -> Task | None:
    """Return the first task of a queue that `asker` may have, its inspection locked; None if there is none."""
    place = _FIRST
    while True:
        asked = {"due": place[0], "id": place[1], "limit": _AT_ONCE, "now": asker.now, "inspector": asker.inspector}
        found = [
            Task(row.inspection_id, row.policy_no, row.due_before, queue.purpose)
            for row in connection.execute(queue.waiting, asked)
        ]
        barred = bars_by_sale(connection, asker, [one.policy_no for one in found])
        task = _free(connection, queue, {one.inspection_id: one for one in found if one.policy_no not in barred}, asker)
        if task is not None or len(found) < _AT_ONCE:
            return task
        place = (found[-1].due_before, found[-1].inspection_id)


def _free(connection: Connection, queue: Queue, tasks: dict[UUID, Task], asker: Asker) -> Task | None:
    while tasks:
        free = connection.execute(queue.free, {"ids": list(tasks), "now": asker.now}).scalar_one_or_none()
        if free is None:
            return None
        task = tasks.pop(free)
        # A statement of its own: it sees a sitting that began after the queue was read.
        if held_sitting(connection, task.inspection_id) is None:
            return task
    return None
