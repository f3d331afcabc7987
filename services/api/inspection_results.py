"""What inspectors judged: submitting it, reading every version, appealing against it, correcting it (arts. 33, 34)."""

from collections.abc import Mapping
from datetime import date, datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from compliance.shanghai import SHANGHAI, in_shanghai
from qa_sampling.appeals import NewAppeal, StoredAppeal, file_appeal, read_appeal
from qa_sampling.corrections import open_correction
from qa_sampling.inspection_deadlines import appeal_before
from qa_sampling.inspection_rows import InspectionState, read_inspection
from qa_sampling.result_rows import StoredResult, may_see, newest_version, read_results
from qa_sampling.results import Submission, Submitted, submit
from qa_sampling.scorecard import WHOLE_BP, Answer, Verdict
from qa_sampling.second_scorings import is_second_waiting
from services.api.inspection_models import InspectionAnswer
from services.api.inspections import inspection_answer
from services.dependencies import Now, State, Transaction, requires
from services.fields import Body, Identifier, LongText, Milliseconds, Reason
from services.idempotency import CreatingRoute
from services.json_answers import json_response
from services.shown_numbers import shown_words
from services.tokens import Actor, Role

router = APIRouter(prefix="/v1/inspections", tags=["Inspections"], route_class=CreatingRoute)

Inspector = Annotated[Actor, Depends(requires(Role.INSPECTOR))]
Appellant = Annotated[Actor, Depends(requires(Role.INSPECTOR, Role.OFFICER))]
Reader = Annotated[Actor, Depends(requires(Role.INSPECTOR, Role.OFFICER, Role.AUDITOR))]

_MOST_ANSWERS = 1000


class AnswerBody(Body):
    """An item's answer; `fail` needs the moment and words. Without `recording_id`, `at_ms` counts through all."""

    item_id: Identifier
    answer: Verdict
    at_ms: Milliseconds | None = None
    recording_id: UUID | None = None
    note: LongText | None = None

    def given(self) -> Answer:
        return Answer(**dict(self))


class SubmissionBody(Body):
    """All items of the scorecard, each once."""

    answers: list[AnswerBody] = Field(max_length=_MOST_ANSWERS)
    comment: LongText | None = None

    def submission(self) -> Submission:
        return Submission([one.given() for one in self.answers], self.comment)


class AppealBody(Body):
    """Why a result is contested; without items, all of it."""

    reason: Reason
    item_ids: list[Identifier] = Field(default=[], max_length=_MOST_ANSWERS)


class CorrectionBody(Body):
    reason: Reason


class AnswerShown(BaseModel):
    item_id: str
    answer: Verdict
    at_ms: int | None
    recording_id: str | None
    note: str | None


class CoverageShown(BaseModel):
    recording_id: str
    duration_ms: int
    covered_ms: int
    excused_ms: int


class ResultAnswer(BaseModel):
    """One judgement; `version` null: a blind second scoring, which changes nothing. `reason`: of a correction."""

    result_id: str
    version: int | None
    purpose: Literal["inspection", "second_scoring", "appeal", "correction"]
    reason: str | None
    scorecard_version: int
    outcome: Literal["passed", "failed"]
    score_bp: int
    failed_fatal: list[str]
    answers: list[AnswerShown]
    comment: str | None
    coverage: list[CoverageShown]
    inspector: str
    submitted_at: datetime


class SubmittedAnswer(BaseModel):
    """What was written. `put_right_through` is the last day on which the customer may still withdraw.

    `cooling_off` and `incident_id` are null unless an item failed that decides alone, and did not before.
    """

    inspection_id: str
    policy_no: str
    state: str
    in_time: bool | None
    result: ResultAnswer
    incident_id: str | None
    cooling_off: Literal["none", "not_begun", "running", "over"] | None
    put_right_through: date | None


class AppealAnswer(BaseModel):
    """An appeal, to be decided by another inspector before `decide_before`, exclusive."""

    appeal_id: str
    inspection_id: str
    result_id: str
    reason: str
    item_ids: list[str]
    filed_by: str
    filed_at: datetime
    decide_before: datetime
    decision: Literal["confirmed", "changed"] | None
    decided_by: str | None
    decided_at: datetime | None
    decided_result_id: str | None


class ResultList(BaseModel):
    """Every judgement, the oldest first. `appeal_before`, exclusive, is of the newest version."""

    items: list[ResultAnswer]
    appeal_before: datetime | None
    appeal: AppealAnswer | None


@router.post("/{inspection_id}/submit", response_model=None, responses={200: {"model": SubmittedAnswer}})
def submit_result(
    inspection_id: UUID, body: SubmissionBody, connection: Transaction, now: Now, state: State, actor: Inspector
) -> Response:
    """Submit what was judged, once every recording was heard as a whole; it is never changed."""
    lot = state.lots(WHOLE_BP)
    done = submit(connection, inspection_id, body.submission(), inspector=actor.owner, lot=lot, now=now)
    return json_response(_submitted(connection, done, actor))


@router.post(
    "/{inspection_id}/appeal",
    response_model=None,
    status_code=HTTPStatus.CREATED,
    responses={201: {"model": AppealAnswer}},
)
def appeal(inspection_id: UUID, body: AppealBody, connection: Transaction, now: Now, actor: Appellant) -> Response:
    """Contest a result on behalf of the agent, once and in time; another inspector hears the sale and decides."""
    new = NewAppeal(body.reason, tuple(dict.fromkeys(body.item_ids)))
    filed = file_appeal(connection, inspection_id, new, person=actor.owner, now=now)
    return json_response(_appeal(filed, actor), HTTPStatus.CREATED)


@router.post("/{inspection_id}/correction", response_model=None, responses={200: {"model": InspectionAnswer}})
def correct(inspection_id: UUID, body: CorrectionBody, connection: Transaction, now: Now, actor: Inspector) -> Response:
    """Claim a submitted or closed inspection in order to judge it anew; every earlier version stays."""
    open_correction(connection, inspection_id, actor.owner, reason=body.reason, now=now)
    return json_response(inspection_answer(connection, inspection_id, actor=actor, now=now))


@router.get("/{inspection_id}/results", response_model=None, responses={200: {"model": ResultList}})
def results(inspection_id: UUID, connection: Transaction, actor: Reader) -> Response:
    """Show every judgement; to an inspector who may still be given the inspection, none."""
    inspection = read_inspection(connection, inspection_id)
    found = read_results(connection, inspection_id)
    if actor.role is Role.INSPECTOR and not may_see(
        found,
        actor.owner,
        state=InspectionState(inspection.state),
        is_second_waiting=is_second_waiting(connection, inspection_id),
    ):
        return json_response({"items": [], "appeal_before": None, "appeal": None})
    filed = read_appeal(connection, inspection_id)
    newest = newest_version(found)
    return json_response(
        {
            "items": [_result(one, actor) for one in found],
            "appeal_before": None if newest is None else appeal_before(newest.submitted_at),
            "appeal": None if filed is None else _appeal(filed, actor),
        }
    )


def _submitted(connection: Connection, done: Submitted, actor: Actor) -> Mapping[str, object]:
    inspection = read_inspection(connection, done.result.inspection_id)
    return {
        "inspection_id": str(inspection.inspection_id),
        "policy_no": inspection.policy_no,
        "state": inspection.state,
        "in_time": inspection.is_in_time,
        "result": _result(done.result, actor),
        "incident_id": None if done.incident_id is None else str(done.incident_id),
        "cooling_off": None if done.remedy is None else done.remedy.cooling_off,
        "put_right_through": None if done.remedy is None else done.remedy.put_right_through,
    }


def _result(one: StoredResult, actor: Actor) -> Mapping[str, object]:
    return {
        "result_id": str(one.result_id),
        "version": one.version,
        "purpose": one.purpose,
        "reason": _words(one.reason, actor),
        "scorecard_version": one.scorecard_version,
        "outcome": one.outcome,
        "score_bp": one.score_bp,
        "failed_fatal": one.failed_fatal,
        "answers": [_answer(answer, actor) for answer in one.answers],
        "comment": _words(one.comment, actor),
        "coverage": one.coverage,
        "inspector": one.inspector,
        "submitted_at": one.submitted_at.astimezone(SHANGHAI),
    }


def _appeal(one: StoredAppeal, actor: Actor) -> Mapping[str, object]:
    return {
        "appeal_id": str(one.appeal_id),
        "inspection_id": str(one.inspection_id),
        "result_id": str(one.result_id),
        "reason": shown_words(one.reason, actor=actor),
        "item_ids": one.items,
        "filed_by": one.filed_by,
        "filed_at": one.filed_at.astimezone(SHANGHAI),
        "decide_before": one.decide_before.astimezone(SHANGHAI),
        "decision": one.decision,
        "decided_by": one.decided_by,
        "decided_at": in_shanghai(one.decided_at),
        "decided_result_id": None if one.decided_result_id is None else str(one.decided_result_id),
    }


def _answer(answer: Mapping[str, Any], actor: Actor) -> dict[str, object]:
    """Return an answer in the order of its fields; rows keep them in another."""
    return {**{name: answer[name] for name in AnswerShown.model_fields}, "note": _words(answer["note"], actor)}


def _words(words: Any, actor: Actor) -> str | None:  # noqa: ANN401 - of JSON
    return None if words is None else shown_words(words, actor=actor)
