"""Disposal of recordings whose time is over: listed, asked for by one officer, approved by another. Never by itself."""

from datetime import date, datetime
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field

from compliance.approvals import request_approval
from compliance.policy_store import policy_in_force
from compliance.shanghai import SHANGHAI, in_shanghai, shanghai_day
from infra.ids import new_id
from recordings.disposals import (
    DISPOSAL,
    MOST_AT_ONCE,
    Disposal,
    Due,
    Place,
    list_due,
    read_disposal,
    statutes,
)
from services.dependencies import Now, Transaction, requires
from services.disposal_service import disposable, disposal_payload
from services.fields import Body, Pending, Reason
from services.idempotency import CreatingRoute
from services.json_answers import json_response
from services.paging import Cursor, Limit, make_cursor, not_a_cursor, read_cursor
from services.retention_answers import RetentionAnswer, retention_answer
from services.shown_numbers import shown_words
from services.tokens import Actor, Role

router = APIRouter(prefix="/v1/disposals", tags=["Recordings"], route_class=CreatingRoute)

Officer = Annotated[Actor, Depends(requires(Role.OFFICER))]
Reader = Annotated[Actor, Depends(requires(Role.OFFICER, Role.AUDITOR))]

_QUERY = {"list": "disposals-due"}


class DisposalBody(Body):
    """Which recordings are to go, and why now."""

    recording_ids: Annotated[list[UUID], Field(min_length=1, max_length=MOST_AT_ONCE)]
    reason: Reason


class Statute(BaseModel):
    """What art. 35 demands for a class, in its words, and how long the company keeps it."""

    retention_class: str = Field(alias="class")
    article: str
    words: str
    at_least_years: int
    company_years: int


class DueAnswer(BaseModel):
    recording_id: str
    sha256: str
    size_bytes: int
    started_at: datetime
    call_id: str | None
    policy_no: str | None
    retention: RetentionAnswer


class DueList(BaseModel):
    """`statutes` are both limbs of art. 35; a recording without a sale is kept by the company's own term."""

    items: list[DueAnswer]
    next_cursor: str | None
    statutes: list[Statute]


class DisposedCopyAnswer(BaseModel):
    """What became of a copy; `locked_until`: its store keeps it until then, whoever asks."""

    recording_id: str
    copy_name: str = Field(alias="copy")
    store: str
    state: str
    removed_at: datetime | None
    locked_until: datetime | None


class DisposalAnswer(BaseModel):
    disposal_id: str
    reason: str
    requested_by: str
    approved_by: str
    approved_at: datetime
    certificate: dict[str, Any]
    copies: list[DisposedCopyAnswer]


@router.get("/due", response_model=None, responses={200: {"model": DueList}})
def due(connection: Transaction, now: Now, actor: Reader, limit: Limit = 100, cursor: Cursor = None) -> Response:
    """List what two officers may dispose of today, what ended first before the others, each with why."""
    policy = policy_in_force(connection, now=now)
    after = _place(read_cursor(_QUERY, cursor))
    found, next_place = list_due(connection, after=after, limit=limit, policy=policy, now=now)
    return json_response(
        {
            "items": [_due(one, actor) for one in disposable(connection, found)],
            "next_cursor": None if next_place is None else make_cursor(_QUERY, f"{next_place[0]} {next_place[1]}"),
            "statutes": statutes(policy, on=shanghai_day(now)),
        }
    )


@router.post("", response_model=None, status_code=HTTPStatus.ACCEPTED, responses={202: {"model": Pending}})
def ask(body: DisposalBody, connection: Transaction, now: Now, actor: Officer) -> Response:
    """Ask for recordings to be disposed of; another officer must approve, and everything is judged again then."""
    payload = disposal_payload(connection, body.recording_ids, reason=body.reason, person=actor.owner, now=now)
    request_id = new_id()
    request_approval(connection, request_id=request_id, kind=DISPOSAL, payload=payload, person=actor.owner, now=now)
    return json_response({"request_id": str(request_id)}, HTTPStatus.ACCEPTED)


@router.get("/{disposal_id}", response_model=None, responses={200: {"model": DisposalAnswer}})
def show(disposal_id: UUID, connection: Transaction, actor: Reader) -> Response:
    """Show the certificate of a disposal, and what became of each copy."""
    return json_response(_answer(read_disposal(connection, disposal_id), actor))


def _place(last: str | None) -> Place | None:
    if last is None:
        return None
    try:
        day, recording_id = last.split(" ")
        return Place(date.fromisoformat(day), UUID(recording_id))
    except ValueError:
        raise not_a_cursor() from None


def _due(one: Due, actor: Actor) -> dict[str, object]:
    described = one.described
    return {
        "recording_id": str(described.recording_id),
        "sha256": described.sha256.hex(),
        "size_bytes": described.size_bytes,
        "started_at": described.started_at.astimezone(SHANGHAI),
        "call_id": described.call_id,
        "policy_no": described.policy_no,
        "retention": retention_answer(one.standing, [], actor=actor),
    }


def _answer(one: Disposal, actor: Actor) -> dict[str, object]:
    reason = shown_words(one.reason, actor=actor)
    return {
        "disposal_id": str(one.disposal_id),
        "reason": reason,
        "requested_by": one.requested_by,
        "approved_by": one.approved_by,
        "approved_at": one.approved_at.astimezone(SHANGHAI),
        "certificate": {**one.certificate, "reason": reason},
        "copies": [
            {
                "recording_id": str(copy["recording_id"]),
                "copy": copy["copy"],
                "store": copy["store"],
                "state": copy["state"],
                "removed_at": in_shanghai(copy["removed_at"]),
                "locked_until": None if copy["state"] == "removed" else in_shanghai(copy["retain_until"]),
            }
            for copy in one.copies
        ],
    }
