"""Brings the recordings of the demo's calls into the archive by its own functions, as its recorder's spool would have.

The files are put into the first store within the load's transaction, which elsewhere must not be: the database is new,
nobody else waits for it, and after a load that was cut short the same files are put again, by the same keys. The second
copies are left to the worker.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, TEXT

from recordings.archive import prepare
from recordings.metadata import read_metadata
from recordings.places import Places
from recordings.registration import Arrival, Prepared, register_many
from recordings.spool import SOURCE
from recordings.staging import staged_at, staging_path
from services.demo.call_voices import wav
from services.demo.chance import Chance
from services.demo.recording_plan import PlannedRecording, RecordedCall, planned_recording

_AT_ONCE = 4
"""Files are written side by side: most of the time goes into waiting for the disk."""

_CALLS = text("""
    SELECT DISTINCT ON (r.call_id) s.policy_no, r.call_id, r.agent_id, r.callee_digits, r.started_at, r.answered_at,
           r.ended_at
      FROM sales s JOIN sale_calls c ON c.policy_no = s.policy_no JOIN call_records r ON r.call_id = c.call_id
     WHERE s.policy_no = ANY(:policy_nos) AND r.answered_at IS NOT NULL AND r.ended_at IS NOT NULL
       AND r.callee_digits IS NOT NULL
       AND NOT EXISTS (SELECT FROM recordings o WHERE o.call_id = r.call_id)
     ORDER BY r.call_id""").bindparams(bindparam("policy_nos", type_=ARRAY(TEXT)))


def bring_recordings(
    connection: Connection, chance: Chance, places: Places, policy_nos: Sequence[str], *, now: datetime
) -> None:
    """Have the recordings of these sales that are not there yet come in at `now`."""
    calls = [RecordedCall(*row) for row in connection.execute(_CALLS, {"policy_nos": list(policy_nos)})]
    planned = [planned_recording(chance, call) for call in calls]
    with ThreadPoolExecutor(_AT_ONCE) as writers:
        prepared = list(writers.map(lambda one: _stored(places, one, now=now), planned))
    if prepared:
        register_many(connection, places, prepared, now=now)


def _stored(places: Places, planned: PlannedRecording, *, now: datetime) -> Prepared:
    path = staging_path(places.staging)
    try:
        path.write_bytes(wav(planned.voices))
        return prepare(places, Arrival(staged_at(path), read_metadata(planned.metadata, now=now), SOURCE, SOURCE))
    finally:
        path.unlink(missing_ok=True)
