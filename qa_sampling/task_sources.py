"""Where work for inspectors waits: rows, of which each inspector is given the first that he may have.

Three kinds of work wait in one order, that of their deadlines: inspections, blind second scorings, appeals. So nobody
can tell by when he is given it what it is. One statement says what waits, another which of some is still free, and
locks its row. Two inspectors who ask at once never wait for each other and never get the same task.
"""

from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, TextClause, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as PG_UUID

from qa_sampling.inspector_roles import Asker, bars_by_sale
from qa_sampling.sittings import SittingPurpose

_AT_ONCE = 64
"""More than inspectors who ask at the same instant, so that one of so many is nearly always free."""

_FIRST = (datetime(1, 1, 2, tzinfo=UTC), UUID(int=0))


class Task(NamedTuple):
    """Work on an inspection; `due_before` is exclusive, and the order in which it waits."""

    inspection_id: UUID
    policy_no: str
    due_before: datetime
    purpose: SittingPurpose


# Who judged it knows what was said of it, and who filed its appeal would judge in his own cause.
_IS_NEW_TO_HIM = """NOT EXISTS (
    SELECT FROM inspection_results r WHERE r.inspection_id = i.inspection_id AND r.inspector = :inspector)
          AND NOT EXISTS (
    SELECT FROM inspection_appeals f WHERE f.inspection_id = i.inspection_id AND f.filed_by = :inspector)"""


def _waiting(is_due: str) -> TextClause:
    """Return the statement of what waits whose deadline `is_due`, after the place (`:due`, `:id`).

    Each kind of work is read along its own index, no more than can be asked for.
    """
    return text(f"""
    SELECT inspection_id, policy_no, due_before, purpose FROM (
      (SELECT inspection_id, policy_no, due_before, 'inspection' AS purpose FROM inspections
        WHERE state = 'open' AND due_before {is_due} AND (due_before, inspection_id) > (:due, :id)
        ORDER BY due_before, inspection_id LIMIT :limit)
      UNION ALL
      (SELECT i.inspection_id, i.policy_no, s.score_before, 'second_scoring'
         FROM second_scorings s JOIN inspections i ON i.inspection_id = s.inspection_id
        WHERE s.second_result_id IS NULL AND s.score_before {is_due} AND (s.score_before, s.inspection_id) > (:due, :id)
          AND {_IS_NEW_TO_HIM}
        ORDER BY s.score_before, s.inspection_id LIMIT :limit)
      UNION ALL
      (SELECT i.inspection_id, i.policy_no, a.decide_before, 'appeal'
         FROM inspection_appeals a JOIN inspections i ON i.inspection_id = a.inspection_id
        WHERE a.decided_at IS NULL AND a.decide_before {is_due} AND (a.decide_before, a.inspection_id) > (:due, :id)
          AND {_IS_NEW_TO_HIM}
        ORDER BY a.decide_before, a.inspection_id LIMIT :limit)) w
     ORDER BY due_before, inspection_id LIMIT :limit""")  # noqa: S608 - only text of ours


IN_TIME = _waiting("> :now")
"""What can still be finished in time."""

OVERDUE = _waiting("<= :now")
"""What is late: inspections whose window is over fill no minimum any more, and are still owed to the customer."""

_FREE = text("""
    SELECT i.inspection_id
      FROM unnest(:ids) WITH ORDINALITY AS n (inspection_id, place)
      JOIN inspections i ON i.inspection_id = n.inspection_id
     ORDER BY n.place LIMIT 1 FOR UPDATE OF i SKIP LOCKED""").bindparams(
    bindparam("ids", type_=ARRAY(PG_UUID(as_uuid=True)))
)

# A statement of its own, once the row is locked: it sees what others did after the queue was read.
_STILL_WAITS = text("""
    SELECT NOT EXISTS (SELECT FROM inspection_sittings WHERE inspection_id = :id AND ended_at IS NULL)
       AND CASE :purpose
             WHEN 'inspection' THEN EXISTS (SELECT FROM inspections WHERE inspection_id = :id AND state = 'open')
             WHEN 'second_scoring' THEN EXISTS (
               SELECT FROM second_scorings WHERE inspection_id = :id AND second_result_id IS NULL)
             ELSE EXISTS (SELECT FROM inspection_appeals WHERE inspection_id = :id AND decided_at IS NULL)
           END""")


def first_task(connection: Connection, waiting: TextClause, asker: Asker) -> Task | None:
    """Return the first task that `asker` may have, its inspection locked; None if there is none."""
    place = _FIRST
    while True:
        asked = {"due": place[0], "id": place[1], "limit": _AT_ONCE, "now": asker.now, "inspector": asker.inspector}
        found = [
            Task(row.inspection_id, row.policy_no, row.due_before, SittingPurpose(row.purpose))
            for row in connection.execute(waiting, asked)
        ]
        barred = bars_by_sale(connection, asker, [one.policy_no for one in found])
        # Of two tasks on one inspection, the later one waits for the earlier.
        tasks = {one.inspection_id: one for one in reversed(found) if one.policy_no not in barred}
        task = _free(connection, dict(reversed(tasks.items())))
        if task is not None or len(found) < _AT_ONCE:
            return task
        place = (found[-1].due_before, found[-1].inspection_id)


def _free(connection: Connection, tasks: dict[UUID, Task]) -> Task | None:
    while tasks:
        free = connection.execute(_FREE, {"ids": list(tasks)}).scalar_one_or_none()
        if free is None:
            return None
        task = tasks.pop(free)
        if connection.execute(_STILL_WAITS, {"id": free, "purpose": task.purpose}).scalar_one():
            return task
    return None
