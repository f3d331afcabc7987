"""Closures that officers order at once, and end together with another officer."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field

from compliance.approvals import request_approval
from compliance.call_facts import OverlayKind
from compliance.overlays import (
    END_KIND,
    OrderedOverlay,
    StoredOverlay,
    add_overlay,
    list_overlays,
    read_running_overlay,
)
from compliance.shanghai import SHANGHAI, in_shanghai
from infra.ids import new_id
from services.api.register_models import RegionCode
from services.dependencies import Now, Transaction, requires
from services.fields import Body, Instant, LongText, Name, Pending, Reason
from services.idempotency import CreatingRoute
from services.json_answers import json_response
from services.paging import Cursor, Limit, id_of, page, read_cursor
from services.problems import input_error
from services.tokens import Actor, Role

router = APIRouter(prefix="/v1/overlays", tags=["Registers"], route_class=CreatingRoute)

Officer = Annotated[Actor, Depends(requires(Role.OFFICER))]
Reader = Annotated[Actor, Depends(requires(Role.OFFICER, Role.AUDITOR))]
Closed = Annotated[list[RegionCode], Field(min_length=1, max_length=100)]


class OverlayBody(Body):
    """A closure from `from` until `to` (exclusive), in `regions`; null: everywhere."""

    name: Name
    kind: OverlayKind
    regions: Closed | None = None
    from_at: Annotated[Instant, Field(alias="from")]
    to_at: Annotated[Instant, Field(alias="to")]
    reason: Reason

    def ordered(self) -> OrderedOverlay:
        return OrderedOverlay(self.name, self.kind, self.regions, self.from_at, self.to_at, self.reason)


class EndBody(Body):
    reason: LongText | None = None


class OverlayAnswer(BaseModel):
    overlay_id: str
    name: str
    kind: OverlayKind
    regions: list[str] | None
    from_at: datetime = Field(alias="from")
    to_at: datetime = Field(alias="to")
    reason: str
    ordered_by: str
    created_at: datetime
    ended_at: datetime | None


class OverlayList(BaseModel):
    items: list[OverlayAnswer]
    next_cursor: str | None


def _answer(overlay: StoredOverlay) -> dict[str, object]:
    ordered = overlay.ordered
    return {
        "overlay_id": str(overlay.overlay_id),
        "name": ordered.name,
        "kind": ordered.kind,
        "regions": ordered.regions,
        "from": ordered.from_at.astimezone(SHANGHAI),
        "to": ordered.to_at.astimezone(SHANGHAI),
        "reason": ordered.reason,
        "ordered_by": overlay.ordered_by,
        "created_at": overlay.created_at.astimezone(SHANGHAI),
        "ended_at": in_shanghai(overlay.ended_at),
    }


@router.post("", response_model=None, status_code=HTTPStatus.CREATED, responses={201: {"model": OverlayAnswer}})
def order(body: OverlayBody, connection: Transaction, now: Now, actor: Officer) -> Response:
    """Close the gate for a time; the next decision already knows it."""
    if body.to_at <= body.from_at:
        raise input_error("to", "must be later than from")
    overlay = add_overlay(connection, body.ordered(), overlay_id=new_id(), person=actor.owner, now=now)
    return json_response(_answer(overlay), HTTPStatus.CREATED)


@router.get("", response_model=None, responses={200: {"model": OverlayList}})
def list_all(connection: Transaction, _actor: Reader, limit: Limit = 100, cursor: Cursor = None) -> Response:
    """List the closures, newest first."""
    query = {"list": "overlays"}
    before = id_of(read_cursor(query, cursor))
    found = list_overlays(connection, before=before, limit=limit + 1)
    names = [str(overlay.overlay_id) for overlay in found]
    return json_response(page([_answer(overlay) for overlay in found], limit=limit, query=query, names=names))


@router.post(
    "/{overlay_id}/end", response_model=None, status_code=HTTPStatus.ACCEPTED, responses={202: {"model": Pending}}
)
def end(overlay_id: UUID, connection: Transaction, now: Now, actor: Officer, body: EndBody | None = None) -> Response:
    """Ask for a closure to end at once; another officer must approve."""
    read_running_overlay(connection, overlay_id, now=now)
    request_id = new_id()
    payload = {"overlay_id": str(overlay_id), "reason": None if body is None else body.reason}
    request_approval(connection, request_id=request_id, kind=END_KIND, payload=payload, person=actor.owner, now=now)
    return json_response({"request_id": str(request_id)}, HTTPStatus.ACCEPTED)
