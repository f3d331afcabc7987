"""Holds on recordings: an officer places one at once, another must agree to its release."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel

from compliance.approvals import request_approval
from compliance.shanghai import SHANGHAI, in_shanghai
from infra.ids import new_id
from recordings.holds import HOLD_RELEASE, Hold, list_holds, place_hold, release_payload
from services.dependencies import Now, Transaction, requires
from services.fields import Body, Name, Pending, Reason
from services.idempotency import CreatingRoute
from services.json_answers import json_response
from services.shown_numbers import shown_words
from services.tokens import Actor, Role

router = APIRouter(prefix="/v1/recordings", tags=["Recordings"], route_class=CreatingRoute)

Officer = Annotated[Actor, Depends(requires(Role.OFFICER))]
Reader = Annotated[Actor, Depends(requires(Role.INSPECTOR, Role.OFFICER, Role.AUDITOR))]


class HoldBody(Body):
    """Why a recording must stay whatever its date. `case` names the complaint or lawsuit, if there is one."""

    reason: Reason
    case: Name | None = None


class HoldReleaseBody(Body):
    reason: Reason


class HoldPlaced(BaseModel):
    hold_id: str


class HoldAnswer(BaseModel):
    hold_id: str
    reason: str
    case: str | None
    placed_by: str
    placed_at: datetime
    released_at: datetime | None
    released_by: str | None
    release_reason: str | None


class HoldList(BaseModel):
    items: list[HoldAnswer]


@router.post(
    "/{recording_id}/holds",
    response_model=None,
    status_code=HTTPStatus.CREATED,
    responses={201: {"model": HoldPlaced}},
)
def place(recording_id: UUID, body: HoldBody, connection: Transaction, now: Now, actor: Officer) -> Response:
    """Keep a recording from this answer on, whatever its date; the stores follow within seconds."""
    hold_id = place_hold(connection, recording_id, reason=body.reason, case=body.case, person=actor.owner, now=now)
    return json_response({"hold_id": str(hold_id)}, HTTPStatus.CREATED)


@router.get("/{recording_id}/holds", response_model=None, responses={200: {"model": HoldList}})
def list_all(recording_id: UUID, connection: Transaction, actor: Reader) -> Response:
    """List the holds that a recording has and had, oldest first."""
    return json_response({"items": [_answer(one, actor) for one in list_holds(connection, recording_id)]})


@router.post(
    "/{recording_id}/holds/{hold_id}/release",
    response_model=None,
    status_code=HTTPStatus.ACCEPTED,
    responses={202: {"model": Pending}},
)
def release(
    *,
    recording_id: UUID,
    hold_id: UUID,
    body: HoldReleaseBody,
    connection: Transaction,
    now: Now,
    actor: Officer,
) -> Response:
    """Ask for a hold to be released; another officer must approve."""
    payload = release_payload(connection, recording_id, hold_id, reason=body.reason)
    request_id = new_id()
    request_approval(connection, request_id=request_id, kind=HOLD_RELEASE, payload=payload, person=actor.owner, now=now)
    return json_response({"request_id": str(request_id)}, HTTPStatus.ACCEPTED)


def _answer(one: Hold, actor: Actor) -> dict[str, object]:
    written = {name: getattr(one, name) for name in ("reason", "case", "release_reason")}
    return {
        "hold_id": str(one.hold_id),
        **{name: None if words is None else shown_words(words, actor=actor) for name, words in written.items()},
        "placed_by": one.placed_by,
        "placed_at": one.placed_at.astimezone(SHANGHAI),
        "released_at": in_shanghai(one.released_at),
        "released_by": one.released_by,
    }
