"""Submitting what was judged: only by who heard every recording, in time or not, and for good.

A result is written once. A later version stands beside the earlier ones and never in their place.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, assert_never
from uuid import UUID

from sqlalchemy import Connection, update

from compliance.incidents import NewIncident, open_incidents
from compliance.shanghai import shanghai_day
from qa_sampling.appeals import decide_appeal, read_appeal
from qa_sampling.inspection_rows import Inspection, InspectionState, read_inspection
from qa_sampling.inspector_roles import check_may_inspect
from qa_sampling.listening import length
from qa_sampling.remedy import Remedy, remedy
from qa_sampling.result_rows import Judgement, StoredResult, add_result, newest_version, read_results
from qa_sampling.sale_recordings import RecordingCoverage, coverage_of, is_whole
from qa_sampling.scorecard import Answer, Scorecard, score, settled_answers
from qa_sampling.scorecards import read_scorecard
from qa_sampling.second_scorings import choose, note_scored
from qa_sampling.sittings import Ending, Sitting, SittingPurpose, end_sitting, open_sitting
from qa_sampling.tables import inspections

FAILED_FATAL_ITEM = "failed_fatal_item"
"""Kind of the incident that a failed item opens which decides alone."""


class Unheard(NamedTuple):
    """A recording of which something is missing."""

    recording_id: UUID
    missing_ms: int
    coverage_bp: int


class NotHeardError(ValueError):
    """The inspector has not heard all of the sale's recordings, or there is none; `unheard` are those that miss."""

    def __init__(self, inspection_id: UUID, unheard: Sequence[Unheard]) -> None:
        self.unheard = tuple(unheard)
        listed = ", ".join(f"{one.missing_ms} ms of {one.recording_id}" for one in unheard)
        why = (
            f"these are still to be heard: {listed}"
            if unheard
            else "the sale has no recording; have it sent with POST /v1/recordings"
        )
        super().__init__(f"inspection {inspection_id} cannot be submitted (art. 34, 全程): {why}")


@dataclass(frozen=True, slots=True)
class Submission:
    """What an inspector sends at the end of a sitting."""

    answers: Sequence[Answer]
    comment: str | None = None


class Submitted(NamedTuple):
    """A result that was written; `remedy` and `incident_id` when it failed the sale by an item not failed before."""

    result: StoredResult
    remedy: Remedy | None
    incident_id: UUID | None


def submit(
    connection: Connection, inspection_id: UUID, submission: Submission, *, inspector: str, lot: int, now: datetime
) -> Submitted:
    """Write what `inspector` judged of the inspection that he holds, with everything that follows from it.

    `lot` is by chance one of the 10,000 numbers from 0; it decides whether a first result is scored a second time.

    Raises:
        UnknownInspectionError: there is no such inspection.
        NotHeldError: he does not hold it, or not any more.
        MayNotInspectError: he sells, or had to do with the sale.
        NotHeardError: something of a recording is missing, or there is no recording.
        AnswersError: answers cannot be used.
        OpenItemsError: items have no answer.
    """
    sitting = open_sitting(connection, inspection_id, inspector, now=now)
    inspection = read_inspection(connection, inspection_id)
    check_may_inspect(connection, inspection.policy_no, inspector, now=now)
    coverage = coverage_of(connection, inspection_id, inspector)
    _check_heard(inspection_id, coverage)
    card = read_scorecard(connection, sitting.scorecard_version).card
    durations = {one.recording_id: one.duration_ms for one in coverage}
    answers = settled_answers(card, submission.answers, durations=durations, suggestions={})
    earlier = read_results(connection, inspection_id)
    judgement = Judgement(
        sitting=sitting,
        version=_next_version(sitting, earlier),
        answers=answers,
        comment=submission.comment,
        score=score(card, answers),
        coverage=coverage,
    )
    result = add_result(connection, judgement, now=now)
    end_sitting(connection, sitting, Ending.SUBMITTED, now=now)
    _follow(connection, inspection, result, lot=lot)
    return _told(connection, inspection, card, result, earlier)


def _check_heard(inspection_id: UUID, coverage: Sequence[RecordingCoverage]) -> None:
    unheard = [Unheard(one.recording_id, length(one.missing), one.coverage_bp) for one in coverage if one.missing]
    if not is_whole(coverage):
        raise NotHeardError(inspection_id, unheard)


def _next_version(sitting: Sitting, earlier: Sequence[StoredResult]) -> int | None:
    if sitting.purpose is SittingPurpose.SECOND_SCORING:
        return None
    newest = newest_version(earlier)
    return 1 if newest is None else (newest.version or 0) + 1


def _follow(connection: Connection, inspection: Inspection, result: StoredResult, *, lot: int) -> None:
    """Bring the inspection, whose row the caller holds, to what its new result says."""
    purpose = SittingPurpose(result.purpose)
    changed: dict[str, object] = {"outcome": result.outcome, "changed_at": result.submitted_at}
    match purpose:
        case SittingPurpose.INSPECTION:
            changed["state"] = InspectionState.SUBMITTED
            changed["submitted_at"] = result.submitted_at
            # Judged once: a deadline that moves later, and a clock, change nothing about it.
            changed["is_in_time"] = result.submitted_at < inspection.due_before
            changed["claim_expires_at"] = None
            choose(connection, result, lot=lot, due_before=inspection.due_before)
        case SittingPurpose.SECOND_SCORING:
            note_scored(connection, result)
            return
        case SittingPurpose.APPEAL:
            decide_appeal(connection, inspection, result)
            changed["state"] = InspectionState.CLOSED
        case SittingPurpose.CORRECTION:
            # What nobody has appealed against yet can be appealed against anew.
            if read_appeal(connection, inspection.inspection_id) is None:
                changed["state"] = InspectionState.SUBMITTED
        case _:
            assert_never(purpose)
    row = update(inspections).where(inspections.c.inspection_id == inspection.inspection_id)
    connection.execute(row.values(changed))


def _told(
    connection: Connection,
    inspection: Inspection,
    card: Scorecard,
    result: StoredResult,
    earlier: Sequence[StoredResult],
) -> Submitted:
    """Open an incident for fatal items that fail now and did not before."""
    known = {item_id for one in earlier for item_id in one.failed_fatal}
    failed = [item for item in card.items if item.item_id in result.failed_fatal and item.item_id not in known]
    if not failed:
        return Submitted(result, None, None)
    standing = remedy(
        cooling_off_days=inspection.cooling_off_days,
        right_through=inspection.right_through,
        today=shanghai_day(result.submitted_at),
    )
    through = standing.put_right_through
    details = {
        "policy_no": inspection.policy_no,
        "inspection_id": str(inspection.inspection_id),
        "items": [{"item_id": item.item_id, "article": item.article} for item in failed],
        "agent_id": inspection.agent_id,
        "centre_id": inspection.centre_id,
        "cooling_off": standing.cooling_off.value,
        "put_right_through": None if through is None else through.isoformat(),
    }
    incident = NewIncident(FAILED_FATAL_ITEM, failed[0].article, details=details)
    [incident_id] = open_incidents(connection, [incident], person=result.inspector, now=result.submitted_at)
    return Submitted(result, standing, incident_id)
