"""Replaces drawn sales that cannot be inspected in time by others of the same cohort (art. 34).

Selected but not finished in its window counts for nothing. So the next ticket of the same draw takes the place, as long
as there is one whose own window is open: nobody chooses it, and who knows the draw can name it. The replaced sale stays
drawn and open, and is heard late; a replacement that fails is replaced in its turn.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, bindparam, insert, text
from sqlalchemy.dialects.postgresql import ARRAY, TEXT

from compliance.shanghai import SHANGHAI, midnight, shanghai_day
from infra.advisory_locks import AdvisoryLock, hold_if_free
from qa_sampling.draw import Ticket, smallest_tickets
from qa_sampling.draw_rows import read_draw, read_frame_bytes
from qa_sampling.frame import policy_numbers
from qa_sampling.inspection_tasks import Origin, open_drawn
from qa_sampling.late_sales import hold_draw
from qa_sampling.tables import draw_tickets

RECORDING_AWAITED = timedelta(days=2)
"""For how long before the end of its window a drawn sale without any recording is given up: the warning of art. 34."""

_ENOUGH_TIME = timedelta(days=1)
"""A replacement should have more than this left, so that somebody can hear it; if none has, any is better than none."""

LOOK_BACK = timedelta(days=800)
"""How far back closing days are looked through: the longest windows are terms of a year, begun some time later."""

_MOST_TURNS = 100
_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Replacement:
    """Which sale took the place of one that could not be inspected in time, and why, in words."""

    policy_no: str
    replaces: str
    reason: str
    recorded_at: datetime


class _Failing(NamedTuple):
    """A drawn sale that cannot be inspected in time; `before` is the end of its window."""

    draw_id: UUID
    policy_no: str
    before: datetime
    ended_on: date | None
    has_recording: bool


class _Cohort(NamedTuple):
    """The draw that is drawn from further: its sales that are not drawn yet, by their tickets, and their ends."""

    draw_id: UUID
    waiting: list[Ticket]
    ends: Mapping[str, datetime]


_IN_WINDOW = """
    c.centre_id = d.centre_id AND c.closed_on BETWEEN d.from_on AND d.to_on AND c.sales_mode = d.sales_mode
    AND c.inspection_class = d.inspection_class AND c.inspect_before > :now
    AND NOT EXISTS (SELECT FROM inspections o WHERE o.policy_no = c.policy_no AND o.is_random)"""
_HAS_RECORDING = """(EXISTS (SELECT FROM recordings r WHERE r.policy_no = {0}.policy_no AND r.disposed_at IS NULL)
    OR EXISTS (SELECT FROM sale_calls k JOIN recordings r ON r.call_id = k.call_id
                WHERE k.policy_no = {0}.policy_no AND r.disposed_at IS NULL))"""
# While no sale of the cohort can be heard, because no recordings come in at all, to draw all of it would help nobody.
_CAN_BE_HEARD = f"(c.inspect_before > :soon OR {_HAS_RECORDING.format('c')})"
# Where several draws have drawn the same sale, the first one replaces it, and once; once more when the replacement is
# drawn by its own ticket since, because the frame grew: then it stands for nobody any more. Of a sale without a result
# the window is asked for itself: it may have moved since the inspection was opened.
_FAILING = text(f"""
    SELECT DISTINCT ON (f.policy_no) d.draw_id, f.policy_no, f.before, f.ended_on, f.has_recording
      FROM (SELECT i.policy_no, s.ended_on,
                   CASE WHEN i.is_in_time IS NULL THEN s.inspect_before ELSE i.due_before END AS before,
                   {_HAS_RECORDING.format("i")} AS has_recording
              FROM inspections i JOIN sales s ON s.policy_no = i.policy_no
             WHERE i.closed_on >= :since AND i.is_random AND i.is_in_time IS NOT TRUE
               AND CASE WHEN i.is_in_time IS NULL THEN s.inspect_before ELSE i.due_before END <= :soon) f
      JOIN draw_tickets t ON t.policy_no = f.policy_no AND t.is_drawn
      JOIN draws d ON d.draw_id = t.draw_id
     WHERE (f.before <= :now OR NOT f.has_recording)
       AND NOT EXISTS (SELECT FROM draw_tickets o
                         JOIN draw_tickets r ON r.draw_id = o.draw_id AND r.replaces = o.policy_no
                        WHERE o.policy_no = f.policy_no
                          AND NOT EXISTS (SELECT FROM draw_tickets w
                                           WHERE w.draw_id = r.draw_id AND w.policy_no = r.policy_no AND w.is_drawn
                                             AND w.kind <> 'replacement'))
       AND EXISTS (SELECT FROM sales c WHERE {_IN_WINDOW} AND {_CAN_BE_HEARD})
     ORDER BY f.policy_no, d.drawn_at, d.draw_id""")  # noqa: S608 - constants only
_WAITING = text(f"""
    SELECT c.policy_no, c.inspect_before FROM draws d JOIN sales c ON {_IN_WINDOW}
     WHERE d.draw_id = :draw_id""")  # noqa: S608 - constants only
_KEPT = text("""
    SELECT max(recorded_at) AS last_at, coalesce(array_agg(policy_no) FILTER (WHERE kind = 'late'), '{}') AS late
      FROM draw_tickets WHERE draw_id = :draw_id""")
_REPLACEMENTS = text("""
    SELECT r.policy_no, r.replaces, r.reason, r.recorded_at
      FROM draw_tickets t JOIN draw_tickets r ON r.draw_id = t.draw_id AND r.replaces = t.policy_no
     WHERE t.policy_no = ANY(:policy_nos) GROUP BY 1, 2, 3, 4 ORDER BY 2, 4""").bindparams(
    bindparam("policy_nos", type_=ARRAY(TEXT))
)


def replacements_of_sales(connection: Connection, policy_nos: Collection[str]) -> dict[str, Replacement]:
    """Return what replaced each of these sales last, by the policy number of the replaced one."""
    rows = connection.execute(_REPLACEMENTS, {"policy_nos": sorted(policy_nos)}) if policy_nos else ()
    return {row.replaces: Replacement(*row) for row in rows}


def replace_failing(connection: Connection, *, now: datetime) -> int:
    """Replace every drawn sale that cannot be inspected in time, while its cohort has another; return how many.

    Each has one that stands for it. Nothing is done while another transaction replaces.
    """
    if not hold_if_free(connection, AdvisoryLock.REPLACEMENTS):
        return 0
    total = 0
    for _ in range(_MOST_TURNS):
        # What replaces may fail at once: it has no recording either, and its window closes as soon.
        replaced = _replace_once(connection, now=now)
        total += replaced
        if not replaced:
            break
    return total


def _replace_once(connection: Connection, *, now: datetime) -> int:
    asked = {"now": now, "soon": now + RECORDING_AWAITED, "since": shanghai_day(now - LOOK_BACK)}
    failing = [_Failing(*row) for row in connection.execute(_FAILING, asked)]
    by_draw = groupby(
        sorted(failing, key=lambda one: (one.draw_id, one.before, one.policy_no)), lambda one: one.draw_id
    )
    return sum(_replace_in(connection, draw_id, list(those), now=now) for draw_id, those in by_draw)


def _replace_in(connection: Connection, draw_id: UUID, failing: Sequence[_Failing], *, now: datetime) -> int:
    """Give each of these sales of one draw the next ticket, as long as there are any; return how many had one."""
    hold_draw(connection, draw_id)
    kept = connection.execute(_KEPT, {"draw_id": draw_id}).one()
    cohort = _read_cohort(connection, draw_id, kept.late, now=now)
    chosen: list[tuple[_Failing, Ticket]] = []
    for one in failing:
        if not cohort.waiting:
            break
        chosen.append((one, _take_next(cohort, now=now)))
    opened = open_drawn(connection, [ticket.policy_no for _, ticket in chosen], origin=Origin.REPLACEMENT, now=now)
    # Each has an instant of its own, later than everything before it: who was next can be told from the order.
    at = max(now, kept.last_at + _INSTANT)
    rows = [
        {
            **ticket._asdict(),
            "draw_id": draw_id,
            "kind": "replacement",
            "is_drawn": True,
            "inspection_id": opened[ticket.policy_no],
            "replaces": one.policy_no,
            "reason": reason_of(one, now=now),
            "recorded_at": at + place * _INSTANT,
        }
        for place, (one, ticket) in enumerate(chosen)
    ]
    if rows:
        connection.execute(insert(draw_tickets), rows)
    return len(rows)


def _read_cohort(connection: Connection, draw_id: UUID, late: Sequence[str], *, now: datetime) -> _Cohort:
    rows = connection.execute(_WAITING, {"draw_id": draw_id, "now": now})
    ends = {row.policy_no.encode(): row.inspect_before for row in rows}
    # Only what the draw knows has a place in it: its frame, and the sales that joined it late.
    known = {*policy_numbers(read_frame_bytes(connection, draw_id)), *(policy_no.encode() for policy_no in late)}
    waiting = sorted(known & ends.keys())
    tickets = smallest_tickets(read_draw(connection, draw_id).chance, waiting, len(waiting))
    return _Cohort(draw_id, tickets, {name.decode(): end for name, end in ends.items()})


def _take_next(cohort: _Cohort, *, now: datetime) -> Ticket:
    """Take the smallest ticket with enough time left out of those waiting, the smallest of all if none has it."""
    places = (place for place, one in enumerate(cohort.waiting) if cohort.ends[one.policy_no] - now > _ENOUGH_TIME)
    return cohort.waiting.pop(next(places, 0))


def reason_of(one: _Failing, *, now: datetime) -> str:
    """Return in words why a sale cannot be inspected in time."""
    end = f"{one.before.astimezone(SHANGHAI):%Y-%m-%d %H:%M} in Shanghai"
    if one.before > now:
        return f"no recording of the sale is there, and its window closes at {end}"
    if one.ended_on is not None and midnight(one.ended_on + timedelta(days=1)) == one.before:
        return f"the contract ended, and with it the window, at {end}, before the sale was inspected"
    if not one.has_recording:
        return f"no recording of the sale came by the end of its window at {end}"
    return f"not inspected by the end of its window at {end}"
