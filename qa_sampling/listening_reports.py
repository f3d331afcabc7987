"""Reports of listening: what an inspector's player says was heard, merged here and never by the player (art. 34).

A report counts as a whole or not at all. Those of one inspector come one after the other, so that the second sees the
first: what he can have heard is bounded by the time that has passed, over all inspections together.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, insert, text

from infra.advisory_locks import PartLock, hold_part
from infra.ids import new_id
from qa_sampling.inspection_rows import read_inspection
from qa_sampling.listening import ListeningRefusedError, Span, check_pace, check_spans, length, union
from qa_sampling.sale_recordings import (
    RecordingCoverage,
    SaleRecording,
    covered_by,
    recordings_of_sale,
    spans_heard,
)
from qa_sampling.sittings import Sitting, extend_sitting, open_sitting
from qa_sampling.tables import listening_reports

_ADDED_SINCE = text("""
    SELECT coalesce(sum(added_ms), 0) FROM listening_reports
     WHERE inspector = :inspector AND reported_at >= :since""")


def report(
    connection: Connection,
    inspection_id: UUID,
    recording_id: UUID,
    spans: Sequence[Span],
    *,
    inspector: str,
    now: datetime,
) -> RecordingCoverage:
    """Count what `inspector` says to have heard of a recording, and return all that is covered of it now.

    The same report again changes nothing.

    Raises:
        UnknownInspectionError: there is no such inspection.
        NotHeldError: he does not hold it now.
        ListeningRefusedError: it cannot have been heard; nothing of the report counts.
    """
    # Before the rows of inspections: nobody who holds one of these waits for a report.
    hold_part(connection, PartLock.LISTENING_REPORTS, inspector)
    sitting = open_sitting(connection, inspection_id, inspector, now=now)
    recording = _recording(connection, inspection_id, recording_id)
    check_spans(spans, recording.duration_ms)
    heard = spans_heard(connection, {inspection_id: inspector}).get((inspection_id, recording_id), [])
    together = union([*heard, *spans])
    added_ms = length(together) - length(heard)
    before_ms = _added_since(connection, sitting)
    check_pace(spans, added_ms=added_ms, before_ms=before_ms, since_claim=now - sitting.claimed_at)
    if added_ms:
        _keep(connection, sitting, recording_id, spans, added_ms=added_ms, now=now)
    extend_sitting(connection, sitting, now=now)
    return covered_by(recording, together)


def _recording(connection: Connection, inspection_id: UUID, recording_id: UUID) -> SaleRecording:
    policy_no = read_inspection(connection, inspection_id).policy_no
    found = [one for one in recordings_of_sale(connection, policy_no) if one.recording_id == recording_id]
    if not found:
        reason = f"{recording_id} is no recording of sale {policy_no}; GET /v1/inspections/{inspection_id} lists them"
        raise ListeningRefusedError("recording_id", reason)
    return found[0]


def _added_since(connection: Connection, sitting: Sitting) -> int:
    asked = {"inspector": sitting.inspector, "since": sitting.claimed_at}
    return int(connection.execute(_ADDED_SINCE, asked).scalar_one())


def _keep(
    connection: Connection, sitting: Sitting, recording_id: UUID, spans: Sequence[Span], *, added_ms: int, now: datetime
) -> None:
    connection.execute(
        insert(listening_reports).values(
            report_id=new_id(),
            sitting_id=sitting.sitting_id,
            inspection_id=sitting.inspection_id,
            recording_id=recording_id,
            inspector=sitting.inspector,
            intervals=[list(span) for span in spans],
            added_ms=added_ms,
            reported_at=now,
        )
    )
