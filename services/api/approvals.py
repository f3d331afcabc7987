"""Decisions of a second officer on what a first one asked for."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, ConfigDict
from starlette.background import BackgroundTask, BackgroundTasks

from compliance.approvals import Request, decide_request, list_requests, shown_payload
from compliance.audit import note
from compliance.shanghai import SHANGHAI, in_shanghai
from services.approval_actions import ACTIONS
from services.dependencies import Now, State, Transaction, requires
from services.fields import Body, LongText
from services.idempotency import CreatingRoute
from services.json_answers import json_response
from services.paging import Cursor, Limit, id_of, page, read_cursor
from services.tokens import Actor, Role

router = APIRouter(prefix="/v1/approvals", tags=["Approvals"], route_class=CreatingRoute)

Officer = Annotated[Actor, Depends(requires(Role.OFFICER))]
Reader = Annotated[Actor, Depends(requires(Role.OFFICER, Role.AUDITOR))]


class OfficerDecision(StrEnum):
    APPROVE = "approve"
    REJECT = "reject"


class RequestState(StrEnum):
    OPEN = "open"
    APPROVED = "approved"
    REJECTED = "rejected"


class ApprovalBody(Body):
    decision: OfficerDecision = OfficerDecision.APPROVE
    reason: LongText | None = None


class ApprovalAnswer(BaseModel):
    """The decision, and what the action gives once it is approved."""

    model_config = ConfigDict(extra="allow")

    request_id: str
    decision: OfficerDecision


class RequestAnswer(BaseModel):
    request_id: str
    kind: str
    payload: dict[str, Any]
    state: RequestState
    requested_by: str
    requested_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    reason: str | None


class RequestList(BaseModel):
    items: list[RequestAnswer]
    next_cursor: str | None


InState = Annotated[RequestState | None, Query(description="Only requests in this state.")]


@router.post("/{request_id}", response_model=None, responses={200: {"model": ApprovalAnswer}})
def decide(
    *,
    request_id: UUID,
    connection: Transaction,
    now: Now,
    state: State,
    actor: Officer,
    body: ApprovalBody | None = None,
) -> Response:
    """Approve what another officer asked for, and carry it out; or reject it.

    A policy under which blocks last longer than before answers with the `job_id` of the job that raises the
    existing ones.
    """
    body = body or ApprovalBody()
    approved = body.decision is OfficerDecision.APPROVE
    request = decide_request(connection, request_id, approved=approved, reason=body.reason, person=actor.owner, now=now)
    details = {"kind": request.kind, "requested_by": request.requested_by, "reason": body.reason}
    kind = f"request_{request.state}"
    note(connection, kind=kind, subject=str(request_id), details=details, person=actor.owner, now=now)
    given = ACTIONS[request.kind](connection, request.payload, person=actor.owner, now=now) if approved else {}
    response = json_response({"request_id": str(request_id), "decision": body.decision, **given})
    jobs = [UUID(given[name]) for name in ("job_id", "retention_job_id") if given.get(name) is not None]
    if jobs:
        response.background = BackgroundTasks([BackgroundTask(state.wake, one) for one in jobs])
    return response


@router.get("", response_model=None, responses={200: {"model": RequestList}})
def list_all(
    connection: Transaction, _actor: Reader, state: InState = None, limit: Limit = 100, cursor: Cursor = None
) -> Response:
    """List requests, newest first."""
    query = {"list": "approvals", "state": state}
    before = id_of(read_cursor(query, cursor))
    found = list_requests(connection, state=state, before=before, limit=limit + 1)
    names = [str(request.request_id) for request in found]
    return json_response(page([_answer(request) for request in found], limit=limit, query=query, names=names))


def _answer(request: Request) -> dict[str, object]:
    decided_at = in_shanghai(request.decided_at)
    return {
        **request._asdict(),
        "payload": shown_payload(request.payload),
        "requested_at": request.requested_at.astimezone(SHANGHAI),
        "decided_at": decided_at,
    }
