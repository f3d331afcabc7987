"""The recordings of a sale, and how much of each an inspector has heard.

A sale has the recordings that name its policy number and those of its calls, whenever they arrive, as long as they are
not disposed of. What an inspector heard counts for one inspection over all his sittings of it for the same purpose.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, TEXT
from sqlalchemy.dialects.postgresql import UUID as PG_UUID

from qa_sampling.excused import Excuse, RecordedCall, excuses
from qa_sampling.listening import Span, coverage_bp, length, missing, union


@dataclass(frozen=True, slots=True, kw_only=True)
class SaleRecording:
    """A recording of a sale; `excused` is what of it need not be heard."""

    recording_id: UUID
    call_id: str | None
    started_at: datetime
    duration_ms: int
    channels: tuple[str, ...]
    excused: tuple[Excuse, ...]


@dataclass(frozen=True, slots=True)
class RecordingCoverage:
    """How much of a recording is covered, all spans in order and half-open.

    `covered` was heard; `excused_ms` is all that is excused, heard or not; `missing` is neither. `coverage_bp` is
    10,000 only when nothing is missing.
    """

    recording_id: UUID
    duration_ms: int
    covered_ms: int
    excused_ms: int
    covered: tuple[Span, ...]
    missing: tuple[Span, ...]
    coverage_bp: int


_policy_nos = bindparam("policy_nos", type_=ARRAY(TEXT))

_RECORDINGS = text("""
    SELECT l.policy_no, r.recording_id, r.call_id, r.started_at, r.duration_ms, r.channels, c.answered_at,
           ARRAY(SELECT ARRAY[g.start_ms, g.end_ms] FROM recording_segments g
                  WHERE g.recording_id = r.recording_id AND g.kind = 'hold' ORDER BY g.start_ms) AS holds
      FROM (SELECT policy_no, recording_id FROM recordings WHERE policy_no = ANY(:policy_nos)
             UNION
            SELECT s.policy_no, o.recording_id FROM sale_calls s JOIN recordings o ON o.call_id = s.call_id
             WHERE s.policy_no = ANY(:policy_nos)) l
      JOIN recordings r ON r.recording_id = l.recording_id
      LEFT JOIN call_records c ON c.call_id = r.call_id
     WHERE r.disposed_at IS NULL ORDER BY l.policy_no, r.started_at, r.recording_id""").bindparams(_policy_nos)

# Only what was heard for the work that he is at, or was at last: who judges anew hears anew.
_HEARD = text("""
    SELECT l.inspection_id, l.recording_id, l.intervals
      FROM unnest(:ids, :inspectors) AS h (inspection_id, inspector)
     CROSS JOIN LATERAL (SELECT s.purpose FROM inspection_sittings s
                          WHERE s.inspection_id = h.inspection_id AND s.inspector = h.inspector
                          ORDER BY s.ended_at IS NULL DESC, s.claimed_at DESC, s.sitting_id DESC LIMIT 1) w
      JOIN inspection_sittings o
        ON o.inspection_id = h.inspection_id AND o.inspector = h.inspector AND o.purpose = w.purpose
      JOIN listening_reports l
        ON l.inspection_id = h.inspection_id AND l.inspector = h.inspector AND l.sitting_id = o.sitting_id
""").bindparams(bindparam("ids", type_=ARRAY(PG_UUID(as_uuid=True))), bindparam("inspectors", type_=ARRAY(TEXT)))

_POLICY_NO = text("SELECT policy_no FROM inspections WHERE inspection_id = :inspection_id")


def recordings_of_sale(connection: Connection, policy_no: str) -> list[SaleRecording]:
    """Return the recordings of a sale that are not disposed of, the earliest first."""
    return recordings_of_sales(connection, [policy_no]).get(policy_no, [])


def recordings_of_sales(connection: Connection, policy_nos: Sequence[str]) -> dict[str, list[SaleRecording]]:
    """Return the recordings of each of these sales that has any; a call may belong to several."""
    found: dict[str, list[SaleRecording]] = {}
    for row in connection.execute(_RECORDINGS, {"policy_nos": list(policy_nos)}):
        found.setdefault(row.policy_no, []).append(_recording(row))
    return found


def _recording(row: Row[Any]) -> SaleRecording:
    call = RecordedCall(
        started_at=row.started_at,
        duration_ms=row.duration_ms,
        answered_at=row.answered_at,
        holds=tuple((start, end) for start, end in row.holds),
    )
    return SaleRecording(
        recording_id=row.recording_id,
        call_id=row.call_id,
        started_at=row.started_at,
        duration_ms=row.duration_ms,
        channels=tuple(row.channels),
        excused=tuple(excuses(call)),
    )


def coverage_of(connection: Connection, inspection_id: UUID, inspector: str) -> list[RecordingCoverage]:
    """Return what `inspector` has heard of each recording that the sale of an inspection has now."""
    policy_no = connection.execute(_POLICY_NO, {"inspection_id": inspection_id}).scalar_one()
    found = recordings_of_sale(connection, policy_no)
    heard = spans_heard(connection, {inspection_id: inspector})
    return [covered_by(one, heard.get((inspection_id, one.recording_id), ())) for one in found]


def spans_heard(connection: Connection, hearers: Mapping[UUID, str]) -> dict[tuple[UUID, UUID], list[Span]]:
    """Return what one person per inspection heard for his last purpose, by inspection and recording, merged."""
    asked = {"ids": list(hearers), "inspectors": list(hearers.values())}
    reported: dict[tuple[UUID, UUID], list[Span]] = {}
    for row in connection.execute(_HEARD, asked) if hearers else ():
        spans = reported.setdefault((row.inspection_id, row.recording_id), [])
        spans.extend((start, end) for start, end in row.intervals)
    return {key: union(spans) for key, spans in reported.items()}


def covered_by(recording: SaleRecording, heard: Sequence[Span]) -> RecordingCoverage:
    """Return the coverage of a recording of which `heard` was heard."""
    excused = [(one.start_ms, one.end_ms) for one in recording.excused]
    lacking = missing([*heard, *excused], recording.duration_ms)
    return RecordingCoverage(
        recording_id=recording.recording_id,
        duration_ms=recording.duration_ms,
        covered_ms=length(union(heard)),
        excused_ms=length(union(excused)),
        covered=tuple(union(heard)),
        missing=tuple(lacking),
        coverage_bp=coverage_bp(length(lacking), recording.duration_ms),
    )


def is_whole(coverage: Sequence[RecordingCoverage]) -> bool:
    """Say whether there is something to hear at all and no millisecond of it is missing (art. 34: 全程).

    A recording that rounds to no millisecond is nothing to hear.
    """
    return any(one.duration_ms for one in coverage) and all(not one.missing for one in coverage)
