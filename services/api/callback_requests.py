"""Callback requests: a customer asks to be called in a slot that would else be quiet."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field

from compliance.callbacks import Callback, CallbackSlotError, add_callback, read_callback
from compliance.shanghai import SHANGHAI
from infra.ids import new_id
from services.api.register_models import CallableNumber
from services.cited_recordings import require_heard
from services.dependencies import Now, Transaction, requires
from services.fields import Body, Evidence, Identifier, Instant
from services.idempotency import CreatingRoute
from services.json_answers import json_response
from services.problems import input_error
from services.shown_numbers import shown
from services.tokens import Actor, Role

router = APIRouter(prefix="/v1/callback-requests", tags=["Calls"], route_class=CreatingRoute)

Dialer = Annotated[Actor, Depends(requires(Role.DIALER))]
Reader = Annotated[Actor, Depends(requires(Role.DIALER, Role.OFFICER, Role.ADMIN, Role.AUDITOR))]


class CallbackBody(Body):
    """The slot that the customer asked for, [from, to), and where the customer's words can be heard or read."""

    phone: CallableNumber
    customer_id: Identifier | None = None
    from_at: Annotated[Instant, Field(alias="from")]
    to_at: Annotated[Instant, Field(alias="to")]
    evidence: Evidence


class CallbackAnswer(BaseModel):
    callback_request_id: str
    phone: str
    customer_id: str | None
    from_at: datetime = Field(alias="from")
    to_at: datetime = Field(alias="to")
    used_by: str | None = Field(description="The check that used the request.")
    evidence: Evidence
    created_at: datetime


@router.post("", response_model=None, status_code=HTTPStatus.CREATED, responses={201: {"model": CallbackAnswer}})
def ask(body: CallbackBody, connection: Transaction, now: Now, actor: Dialer) -> Response:
    """Record that a customer asked to be called; opens quiet hours for one call, never the do-not-call list."""
    require_heard(connection, body.evidence)
    try:
        callback = add_callback(
            connection,
            callback_request_id=new_id(),
            phone_e164=body.phone,
            customer_id=body.customer_id,
            slot=(body.from_at, body.to_at),
            evidence=body.evidence.model_dump(exclude_none=True),
            person=actor.owner,
            now=now,
        )
    except CallbackSlotError as error:
        raise input_error(error.field, str(error)) from error
    return json_response(_answer(callback, actor=actor), HTTPStatus.CREATED)


@router.get("/{callback_request_id}", response_model=None, responses={200: {"model": CallbackAnswer}})
def show(callback_request_id: UUID, connection: Transaction, actor: Reader) -> Response:
    """Show a callback request and the check that used it."""
    return json_response(_answer(read_callback(connection, callback_request_id), actor=actor))


def _answer(callback: Callback, *, actor: Actor) -> dict[str, object]:
    phone = f"+{callback.phone_digits}"
    return {
        "callback_request_id": str(callback.callback_request_id),
        "phone": shown(phone, actor=actor, sent=(phone,) if actor.owner == callback.actor else ()),
        "customer_id": callback.customer_id,
        "from": callback.from_at.astimezone(SHANGHAI),
        "to": callback.to_at.astimezone(SHANGHAI),
        "used_by": None if callback.used_by is None else str(callback.used_by),
        "evidence": callback.evidence,
        "created_at": callback.created_at.astimezone(SHANGHAI),
    }
