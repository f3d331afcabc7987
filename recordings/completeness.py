"""Completeness: every answered call has recordings that are as long as it was, from answer to hang-up (art. 35).

A call is judged once, half an hour after its record came or at 23:30 in Shanghai, whichever is first: what is missing
is an incident of the same day. What came in after 23:30 is judged at once. Calls of before the archive was begun are
not judged. A recording that comes later does not undo what was found: it is noted with the incident.

Calls are judged in the order in which they were recorded. A record that was committed out of this order is found for
a day after its place was passed.
"""

from collections.abc import Sequence
from datetime import datetime, time, timedelta
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, BIGINT, TEXT

from compliance.incidents import NewIncident, note_on_incident, open_incidents
from compliance.row_sets import add_rows
from compliance.shanghai import SHANGHAI, midnight, shanghai_day
from infra.advisory_locks import AdvisoryLock, hold_if_free
from recordings.tables import call_completeness

ARTICLE = "35"
PERSON = "completeness"

JUDGED_AFTER = timedelta(minutes=30)
JUDGED_BY = time(23, 30)
"""In Shanghai: early enough that an incident is still of the day."""

MAY_LACK = timedelta(seconds=2)
"""By so much, this included, a recording may be shorter than its call: recorders need time to start and to stop."""

_OUT_OF_ORDER = timedelta(days=1)
_NOTED_FOR = timedelta(days=30)
_AT_ONCE = 1000


class Completeness(StrEnum):
    COMPLETE = "complete"
    MISSING = "missing"
    """No recording at all."""
    SHORT = "short"


_KINDS = {Completeness.MISSING: "missing_recording", Completeness.SHORT: "short_recording"}


def judge(talk: timedelta | None, recorded: timedelta, *, parts: int) -> Completeness:
    """Say whether `parts` recordings that last `recorded` together cover a call that lasted `talk` after its answer.

    `talk` None: nobody said when it ended; then any recording will do.
    """
    if not parts:
        return Completeness.MISSING
    is_short = talk is not None and recorded < talk - MAY_LACK
    return Completeness.SHORT if is_short else Completeness.COMPLETE


def judged_through(now: datetime) -> datetime:
    """Return the instant up to which, exclusive, records of calls must be judged by `now`."""
    today = midnight(shanghai_day(now))
    at_night = datetime.combine(shanghai_day(now), JUDGED_BY, SHANGHAI)
    # What came in yesterday was due by the end of yesterday, however short a time before it.
    return now if now >= at_night else max(now - JUDGED_AFTER, today)


class _Call(NamedTuple):
    call_id: str
    agent_id: str | None
    started_at: datetime
    talk: timedelta | None
    recorded_at: datetime
    recorded_ms: int
    parts: int


# The index of answered calls is entered where judging has come to, so that a run reads only what is new.
_DUE = text("""
    SELECT c.call_id, c.agent_id, c.started_at, c.ended_at - c.answered_at AS talk, c.recorded_at,
           coalesce(sum(r.duration_ms), 0)::bigint AS recorded_ms, count(r.recording_id) AS parts
      FROM (SELECT * FROM call_records c
             WHERE c.answered_at IS NOT NULL AND c.recorded_at < :through
               AND c.recorded_at >= greatest(
                     coalesce((SELECT max(begun_at) FROM archive_begun), '-infinity'),
                     coalesce((SELECT max(call_recorded_at) FROM call_completeness) - CAST(:out_of_order AS interval),
                              '-infinity'))
               AND NOT EXISTS (SELECT FROM call_completeness j WHERE j.call_id = c.call_id)
             ORDER BY c.recorded_at, c.call_id LIMIT :most) c
      LEFT JOIN recordings r ON r.call_id = c.call_id
     GROUP BY c.call_id, c.agent_id, c.started_at, c.ended_at, c.answered_at, c.recorded_at
     ORDER BY c.recorded_at, c.call_id""")


def judge_due(connection: Connection, *, now: datetime) -> int:
    """Judge the next calls that are due, at most a thousand, in the caller's transaction; return how many.

    Nothing is judged while another transaction does so.
    """
    if not hold_if_free(connection, AdvisoryLock.COMPLETENESS):
        return 0
    when = {"through": judged_through(now), "out_of_order": _OUT_OF_ORDER, "most": _AT_ONCE}
    calls = [_Call(*row) for row in connection.execute(_DUE, when)]
    verdicts = [judge(one.talk, _length(one.recorded_ms), parts=one.parts) for one in calls]
    found = [(one, verdict) for one, verdict in zip(calls, verdicts, strict=True) if verdict in _KINDS]
    incidents = [_incident(one, verdict) for one, verdict in found]
    ids = open_incidents(connection, incidents, person=PERSON, now=now)
    opened = {one.call_id: incident_id for (one, _), incident_id in zip(found, ids, strict=True)}
    rows = [_row(one, verdict, opened.get(one.call_id), now=now) for one, verdict in zip(calls, verdicts, strict=True)]
    add_rows(connection, call_completeness, rows)
    return len(calls)


def _length(milliseconds: int) -> timedelta:
    return timedelta(milliseconds=milliseconds)


def _milliseconds(length: timedelta) -> int:
    return length // timedelta(milliseconds=1)


def _incident(one: _Call, verdict: Completeness) -> NewIncident:
    details = {
        "agent_id": one.agent_id,
        "started_at": one.started_at.astimezone(SHANGHAI).isoformat(),
        "talk_ms": None if one.talk is None else _milliseconds(one.talk),
        "recorded_ms": one.recorded_ms,
        "recordings": one.parts,
    }
    return NewIncident(_KINDS[verdict], ARTICLE, one.call_id, details)


def _row(one: _Call, verdict: Completeness, incident_id: UUID | None, *, now: datetime) -> dict[str, object]:
    return {
        "call_id": one.call_id,
        "verdict": verdict.value,
        "talk_ms": None if one.talk is None else _milliseconds(one.talk),
        "recorded_ms": one.recorded_ms,
        "incident_id": incident_id,
        "call_recorded_at": one.recorded_at,
        "judged_at": now,
    }


class _Later(NamedTuple):
    call_id: str
    incident_id: UUID
    talk_ms: int | None
    recorded_ms: int
    recordings: list[str]


_LATER = text("""
    SELECT j.call_id, j.incident_id, j.talk_ms, sum(r.duration_ms)::bigint,
           array_agg(r.recording_id::text ORDER BY r.recording_id)
      FROM call_completeness j JOIN recordings r ON r.call_id = j.call_id
     WHERE j.incident_id IS NOT NULL AND j.judged_at >= :since
     GROUP BY j.call_id HAVING sum(r.duration_ms) > j.recorded_ms ORDER BY j.call_id""")
_GROWN = text("""
    UPDATE call_completeness j SET recorded_ms = n.recorded_ms
      FROM unnest(:calls, :lengths) AS n (call_id, recorded_ms) WHERE j.call_id = n.call_id""").bindparams(
    bindparam("calls", type_=ARRAY(TEXT)), bindparam("lengths", type_=ARRAY(BIGINT))
)


def note_later_recordings(connection: Connection, *, now: datetime) -> int:
    """Note, with the incidents of the last 30 days, the recordings that came after them; return of how many calls.

    Nothing is noted while another transaction does so.
    """
    if not hold_if_free(connection, AdvisoryLock.COMPLETENESS):
        return 0
    found = [_Later(*row) for row in connection.execute(_LATER, {"since": now - _NOTED_FOR})]
    for one in found:
        note_on_incident(connection, one.incident_id, _story(one), person=PERSON, now=now)
    _grow(connection, found)
    return len(found)


def _story(one: _Later) -> dict[str, object]:
    return {
        "what": "recording_came_later",
        "recordings": one.recordings,
        "recorded_ms": one.recorded_ms,
        "talk_ms": one.talk_ms,
    }


def _grow(connection: Connection, found: Sequence[_Later]) -> None:
    if found:
        values = {"calls": [one.call_id for one in found], "lengths": [one.recorded_ms for one in found]}
        connection.execute(_GROWN, values)
