"""The recordings of a sale, and how much of each an inspector has heard.

A sale has the recordings that name its policy number and those of its calls, whenever they arrive, as long as they are
not disposed of. What an inspector heard counts for one inspection over all his sittings of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
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


_RECORDINGS = text("""
    SELECT r.recording_id, r.call_id, r.started_at, r.duration_ms, r.channels, c.answered_at,
           ARRAY(SELECT ARRAY[g.start_ms, g.end_ms] FROM recording_segments g
                  WHERE g.recording_id = r.recording_id AND g.kind = 'hold' ORDER BY g.start_ms) AS holds
      FROM recordings r LEFT JOIN call_records c ON c.call_id = r.call_id
     WHERE r.disposed_at IS NULL AND r.recording_id IN (
             SELECT recording_id FROM recordings WHERE policy_no = :policy_no
              UNION
             SELECT o.recording_id FROM recordings o JOIN sale_calls s ON s.call_id = o.call_id
              WHERE s.policy_no = :policy_no)
     ORDER BY r.started_at, r.recording_id""")

_HEARD = text("""
    SELECT recording_id, intervals FROM listening_reports
     WHERE inspection_id = :inspection_id AND inspector = :inspector AND recording_id = ANY(:ids)""").bindparams(
    bindparam("ids", type_=ARRAY(PG_UUID(as_uuid=True)))
)

_POLICY_NO = text("SELECT policy_no FROM inspections WHERE inspection_id = :inspection_id")


def recordings_of_sale(connection: Connection, policy_no: str) -> list[SaleRecording]:
    """Return the recordings of a sale that are not disposed of, the earliest first."""
    return [
        SaleRecording(
            recording_id=row.recording_id,
            call_id=row.call_id,
            started_at=row.started_at,
            duration_ms=row.duration_ms,
            channels=tuple(row.channels),
            excused=tuple(
                excuses(
                    RecordedCall(
                        started_at=row.started_at,
                        duration_ms=row.duration_ms,
                        answered_at=row.answered_at,
                        holds=tuple((start, end) for start, end in row.holds),
                    )
                )
            ),
        )
        for row in connection.execute(_RECORDINGS, {"policy_no": policy_no})
    ]


def coverage_of(connection: Connection, inspection_id: UUID, inspector: str) -> list[RecordingCoverage]:
    """Return what `inspector` has heard of each recording that the sale of an inspection has now."""
    policy_no = connection.execute(_POLICY_NO, {"inspection_id": inspection_id}).scalar_one()
    return coverage_in(connection, recordings_of_sale(connection, policy_no), inspection_id, inspector)


def coverage_in(
    connection: Connection, found: Sequence[SaleRecording], inspection_id: UUID, inspector: str
) -> list[RecordingCoverage]:
    """Return what `inspector` has heard, for this inspection, of recordings read before."""
    heard = spans_heard(connection, inspection_id, inspector, [one.recording_id for one in found])
    return [covered_by(one, heard.get(one.recording_id, [])) for one in found]


def spans_heard(
    connection: Connection, inspection_id: UUID, inspector: str, recording_ids: Sequence[UUID]
) -> dict[UUID, list[Span]]:
    """Return what an inspector heard of each of these recordings for one inspection, in order and merged."""
    asked = {"inspection_id": inspection_id, "inspector": inspector, "ids": list(recording_ids)}
    reported: dict[UUID, list[Span]] = {}
    for row in connection.execute(_HEARD, asked):
        reported.setdefault(row.recording_id, []).extend((start, end) for start, end in row.intervals)
    return {recording_id: union(spans) for recording_id, spans in reported.items()}


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
    """Say whether there is a recording at all and no millisecond of any is missing (art. 34: 全程)."""
    return bool(coverage) and all(not one.missing for one in coverage)
