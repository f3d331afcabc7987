"""Results as stored: every version stays, written once; and who may see them.

Version 1 is the inspection, each later one a correction or the judgement of an appeal. A blind second scoring has no
version: it tells how far inspectors agree, and changes nothing.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Connection, insert, select

from infra.ids import new_id
from qa_sampling.inspection_rows import InspectionState
from qa_sampling.sale_recordings import RecordingCoverage
from qa_sampling.scorecard import Answer, Score
from qa_sampling.sittings import Sitting
from qa_sampling.tables import inspection_results, inspection_sittings


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredResult:
    """One judgement. `answers` and `coverage` are JSON, in the order of scorecard and recordings.

    `reason` is why it was corrected; None of all that is no correction.
    """

    result_id: UUID
    inspection_id: UUID
    version: int | None
    sitting_id: UUID
    purpose: str
    scorecard_version: int
    answers: list[dict[str, Any]]
    comment: str | None
    score_bp: int
    failed_fatal: list[str]
    outcome: str
    coverage: list[dict[str, Any]]
    inspector: str
    submitted_at: datetime
    reason: str | None

    def verdicts(self) -> dict[str, str]:
        """Return the answer of each item."""
        return {one["item_id"]: one["answer"] for one in self.answers}


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a sitting ends with; `version` None: a second scoring."""

    sitting: Sitting
    version: int | None
    answers: Sequence[Answer]
    comment: str | None
    score: Score
    coverage: Sequence[RecordingCoverage]


_columns = inspection_results.c
_OWN = [name for name in StoredResult.__dataclass_fields__ if name != "reason"]
_ALL = select(*(_columns[name] for name in _OWN), inspection_sittings.c.reason).join(
    inspection_sittings, inspection_sittings.c.sitting_id == _columns.sitting_id
)


def read_results(connection: Connection, inspection_id: UUID) -> list[StoredResult]:
    """Return everything that was judged about an inspection, oldest first, second scorings included."""
    statement = _ALL.where(_columns.inspection_id == inspection_id).order_by(_columns.submitted_at, _columns.result_id)
    return [StoredResult(**row) for row in connection.execute(statement).mappings()]


def read_result(connection: Connection, result_id: UUID) -> StoredResult:
    """Return a result that something refers to."""
    return StoredResult(**connection.execute(_ALL.where(_columns.result_id == result_id)).mappings().one())


def newest_version(results: Sequence[StoredResult]) -> StoredResult | None:
    """Return the result that counts; None before there is one."""
    versions = [one for one in results if one.version is not None]
    return max(versions, key=lambda one: one.version or 0, default=None)


def authors(results: Sequence[StoredResult]) -> set[str]:
    """Return who judged a version: they judge no appeal, no correction and no second scoring of it."""
    return {one.inspector for one in results if one.version is not None}


def may_see(
    results: Sequence[StoredResult], inspector: str, *, state: InspectionState, is_second_waiting: bool
) -> bool:
    """Say whether an inspector may see what was judged: he judged it himself, or cannot be given it any more.

    Whoever may still be given a second scoring or an appeal is to hear the sale and not what others said of it.
    """
    if any(one.inspector == inspector for one in results):
        return True
    return state is InspectionState.CLOSED and not is_second_waiting


def add_result(connection: Connection, judgement: Judgement, *, now: datetime) -> StoredResult:
    """Write a result, for good."""
    sitting = judgement.sitting
    found = StoredResult(
        result_id=new_id(),
        inspection_id=sitting.inspection_id,
        version=judgement.version,
        sitting_id=sitting.sitting_id,
        purpose=sitting.purpose,
        scorecard_version=sitting.scorecard_version,
        answers=[msgspec.to_builtins(one) for one in judgement.answers],
        comment=judgement.comment,
        score_bp=judgement.score.score_bp,
        failed_fatal=list(judgement.score.failed_fatal),
        outcome=judgement.score.outcome,
        coverage=[_covered(one) for one in judgement.coverage],
        inspector=sitting.inspector,
        submitted_at=now,
        reason=sitting.reason,
    )
    stored = asdict(found)
    connection.execute(insert(inspection_results).values({name: stored[name] for name in _OWN}))
    return found


def _covered(one: RecordingCoverage) -> dict[str, object]:
    return {
        "recording_id": str(one.recording_id),
        "duration_ms": one.duration_ms,
        "covered_ms": one.covered_ms,
        "excused_ms": one.excused_ms,
    }
