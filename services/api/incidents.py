"""Incidents: what went wrong, who answers for it, what was done; closed with another officer (art. 25(3))."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, StringConstraints

from compliance.approvals import request_approval
from compliance.incidents import (
    ACCOUNT,
    CLOSE,
    Incident,
    IncidentEvent,
    IncidentFilter,
    account_for,
    closing_payload,
    list_incidents,
    read_incident,
    read_incident_history,
)
from compliance.shanghai import SHANGHAI, in_shanghai
from infra.ids import new_id
from services.dependencies import Now, Transaction, requires
from services.fields import NO_NUL, Body, Day, Pending
from services.idempotency import CreatingRoute
from services.json_answers import json_response
from services.paging import Cursor, Limit, check_span, id_of, page, read_cursor
from services.problems import input_error
from services.tokens import Actor, Role

router = APIRouter(prefix="/v1/incidents", tags=["Incidents"], route_class=CreatingRoute)

Officer = Annotated[Actor, Depends(requires(Role.OFFICER))]
Reader = Annotated[Actor, Depends(requires(Role.OFFICER, Role.AUDITOR))]

Words = Annotated[str, StringConstraints(min_length=1, max_length=20_000, pattern=NO_NUL, strip_whitespace=True)]


class IncidentChange(Body):
    """What is found out about an incident; `closed: true` asks for it to be closed by another officer."""

    cause: Words | None = None
    responsible: Words | None = None
    measures: Words | None = None
    closed: Literal[True] | None = None


class ListedIncident(BaseModel):
    incident_id: str
    kind: str
    article: str
    call_id: str | None
    detected_at: datetime
    state: Literal["open", "closed"]


class IncidentEventAnswer(BaseModel):
    event_id: str
    details: dict[str, Any]
    actor: str
    recorded_at: datetime


class IncidentAnswer(ListedIncident):
    details: dict[str, Any]
    cause: str | None
    responsible: str | None
    measures: str | None
    closed_at: datetime | None
    history: list[IncidentEventAnswer]


class IncidentList(BaseModel):
    items: list[ListedIncident]
    next_cursor: str | None


OfKind = Annotated[str | None, Query(pattern=r"^[a-z0-9_]{1,64}$")]
OfCall = Annotated[str | None, Query(min_length=1, max_length=100, pattern=NO_NUL)]
FromDay = Annotated[Day | None, Query(alias="from", description="First day of detection, in Shanghai.")]
ToDay = Annotated[Day | None, Query(alias="to", description="Last day of detection, included.")]


@router.get("", response_model=None, responses={200: {"model": IncidentList}})
def list_all(  # noqa: PLR0913 - one argument per query parameter
    *,
    connection: Transaction,
    _actor: Reader,
    kind: OfKind = None,
    call_id: OfCall = None,
    state: Literal["open", "closed"] | None = None,
    from_day: FromDay = None,
    to_day: ToDay = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """List incidents, newest first."""
    check_span(from_day, to_day)
    wanted = IncidentFilter(kind=kind, call_id=call_id, state=state, from_day=from_day, to_day=to_day)
    query = {"list": "incidents", "kind": kind, "call_id": call_id, "state": state, "from": from_day, "to": to_day}
    before = id_of(read_cursor(query, cursor))
    found = list_incidents(connection, wanted, before=before, limit=limit + 1)
    names = [str(one.incident_id) for one in found]
    return json_response(page([_listed(one) for one in found], limit=limit, query=query, names=names))


def _listed(one: Incident) -> dict[str, object]:
    return {
        "incident_id": str(one.incident_id),
        "kind": one.kind,
        "article": one.article,
        "call_id": one.call_id,
        "detected_at": one.detected_at.astimezone(SHANGHAI),
        "state": one.state,
    }


@router.get("/{incident_id}", response_model=None, responses={200: {"model": IncidentAnswer}})
def show(incident_id: UUID, connection: Transaction, _actor: Reader) -> Response:
    """Show an incident with everything that happened to it, oldest first."""
    incident = read_incident(connection, incident_id)
    return json_response(_answer(incident, read_incident_history(connection, incident_id)))


def _answer(one: Incident, history: list[IncidentEvent]) -> dict[str, object]:
    return {
        **_listed(one),
        "details": one.details,
        "cause": one.cause,
        "responsible": one.responsible,
        "measures": one.measures,
        "closed_at": in_shanghai(one.closed_at),
        "history": [
            {
                "event_id": str(event.event_id),
                "details": event.details,
                "actor": event.actor,
                "recorded_at": event.recorded_at.astimezone(SHANGHAI),
            }
            for event in history
        ],
    }


@router.patch(
    "/{incident_id}",
    response_model=None,
    responses={
        200: {"model": IncidentAnswer},
        202: {"model": Pending, "description": "Closing waits for another officer."},
    },
)
def change(incident_id: UUID, body: IncidentChange, connection: Transaction, now: Now, actor: Officer) -> Response:
    """Record cause, responsible person and measures; with `closed: true`, also ask for the incident to be closed."""
    given = body.model_dump(include=set(ACCOUNT), exclude_none=True)
    if not given and body.closed is None:
        raise input_error("body", "give cause, responsible, measures or closed")
    incident = account_for(connection, incident_id, given, person=actor.owner, now=now)
    if body.closed is None:
        return json_response(_answer(incident, read_incident_history(connection, incident_id)))
    request_id = new_id()
    payload = closing_payload(connection, incident_id)
    request_approval(connection, request_id=request_id, kind=CLOSE, payload=payload, person=actor.owner, now=now)
    return json_response({"request_id": str(request_id)}, HTTPStatus.ACCEPTED)
