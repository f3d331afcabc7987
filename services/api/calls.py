"""Records of calls that took place: refusals are blocked at once, what no check covers becomes incidents."""

from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BaseModel, Field, ValidatorFunctionWrapHandler, WrapValidator, model_validator

from compliance.block_list import CLOCKS_MAY_DIFFER
from compliance.call_records import (
    CallFilter,
    CallOutcome,
    CallRecord,
    Direction,
    RecordedCall,
    StoredCall,
    list_calls,
    read_call,
    record_calls,
)
from compliance.incidents import Incident, incidents_of_calls
from compliance.shanghai import SHANGHAI, in_shanghai
from services.dependencies import Now, State, Transaction, requires
from services.fields import NO_NUL, Body, Day, Identifier, Instant, PhoneText
from services.idempotency import CreatingRoute
from services.json_answers import json_response
from services.paging import Cursor, Limit, check_span, name_of, not_a_cursor, page, read_cursor
from services.problems import InputError
from services.shown_numbers import shown
from services.tokens import Actor, Role

router = APIRouter(prefix="/v1/calls", tags=["Calls"], route_class=CreatingRoute)

MOST_IN_A_DELIVERY = 10_000

Dialer = Annotated[Actor, Depends(requires(Role.DIALER))]
Reader = Annotated[Actor, Depends(requires(Role.DIALER, Role.OFFICER, Role.ADMIN, Role.AUDITOR))]


class CallRecordBody(Body):
    """One call. `call_id` is the dialer's; a number that cannot be read is kept as it came."""

    call_id: Identifier
    check_id: Identifier | None = None
    direction: Direction
    caller: PhoneText | None = None
    callee: PhoneText | None = None
    agent_id: Identifier | None = None
    started_at: Instant
    answered_at: Instant | None = None
    ended_at: Instant | None = None
    outcome: CallOutcome

    @model_validator(mode="after")
    def in_order(self) -> "CallRecordBody":
        instants = [at for at in (self.started_at, self.answered_at, self.ended_at) if at is not None]
        if instants != sorted(instants):
            msg = "started_at, answered_at and ended_at must follow one another in this order"
            raise ValueError(msg)
        return self

    def record(self) -> CallRecord:
        return CallRecord(**dict(self))

    def names_of_future(self, now: datetime) -> list[str]:
        """Return the instants that lie further in the future than clocks differ."""
        named = {"started_at": self.started_at, "answered_at": self.answered_at, "ended_at": self.ended_at}
        return [name for name, at in named.items() if at is not None and at > now + CLOCKS_MAY_DIFFER]


class CallDelivery(Body):
    """Several calls in one transaction: all are kept, or none."""

    calls: list[CallRecordBody] = Field(max_length=MOST_IN_A_DELIVERY)


def _one_or_many(value: Any, read: ValidatorFunctionWrapHandler) -> CallDelivery | CallRecordBody:  # noqa: ANN401 - JSON
    if isinstance(value, dict) and "calls" not in value:
        return CallRecordBody.model_validate(value)
    delivery: CallDelivery = read(value)
    return delivery


CallsBody = Annotated[CallDelivery, WrapValidator(_one_or_many, json_schema_input_type=CallRecordBody | CallDelivery)]


class FoundIncident(BaseModel):
    incident_id: str
    kind: str


class CallResult(BaseModel):
    call_id: str
    do_not_call_entry_id: str | None
    incidents: list[FoundIncident]


class CallResults(BaseModel):
    results: list[CallResult]


class CallAnswer(CallResult):
    check_id: str | None
    direction: Direction
    caller: str | None
    callee: str | None
    agent_id: str | None
    started_at: datetime
    answered_at: datetime | None
    ended_at: datetime | None
    outcome: CallOutcome
    recorded_at: datetime


class CallList(BaseModel):
    items: list[CallAnswer]
    next_cursor: str | None


@router.post("", response_model=None, status_code=HTTPStatus.CREATED, responses={201: {"model": CallResults}})
def record(body: CallsBody, connection: Transaction, now: Now, state: State, actor: Dialer) -> Response:
    """Keep one call record or up to 10,000; the same record again changes nothing and is answered the same."""
    sent: CallDelivery | CallRecordBody = body
    many = isinstance(sent, CallDelivery)
    calls = sent.calls if isinstance(sent, CallDelivery) else [sent]
    _refuse_future(calls, many=many, now=now)
    records = [call.record() for call in calls]
    recorded = record_calls(connection, records, person=actor.owner, calendar=state.gate.calendar, now=now)
    return json_response({"results": [_result(one) for one in recorded]}, HTTPStatus.CREATED)


def _refuse_future(calls: Sequence[CallRecordBody], *, many: bool, now: datetime) -> None:
    message = "lies more than five minutes in the future; correct it or the dialer's clock"
    errors = [
        {"loc": f"calls.{index}.{name}" if many else name, "msg": message}
        for index, call in enumerate(calls)
        for name in call.names_of_future(now)
    ]
    if errors:
        detail = f"{errors[0]['loc']}: {message}"
        raise InputError(detail, errors=errors[:1000])


def _result(one: RecordedCall) -> dict[str, object]:
    return {
        "call_id": one.call_id,
        "do_not_call_entry_id": None if one.do_not_call_entry_id is None else str(one.do_not_call_entry_id),
        "incidents": [{"incident_id": str(incident_id), "kind": kind} for incident_id, kind in one.incidents],
    }


FromDay = Annotated[Day | None, Query(alias="from", description="First day of the start, in Shanghai.")]
ToDay = Annotated[Day | None, Query(alias="to", description="Last day of the start, included.")]
OfAgent = Annotated[str | None, Query(min_length=1, max_length=100, pattern=NO_NUL)]
CallId = Annotated[str, Path(min_length=1, max_length=100, pattern=NO_NUL)]


@router.get("", response_model=None, responses={200: {"model": CallList}})
def list_all(  # noqa: PLR0913 - one argument per query parameter
    *,
    connection: Transaction,
    actor: Reader,
    from_day: FromDay = None,
    to_day: ToDay = None,
    agent_id: OfAgent = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """List call records, the latest start first."""
    check_span(from_day, to_day)
    query = {"list": "calls", "from": from_day, "to": to_day, "agent_id": agent_id}
    before = _place(read_cursor(query, cursor))
    wanted = CallFilter(from_day=from_day, to_day=to_day, agent_id=agent_id)
    found = list_calls(connection, wanted, before=before, limit=limit + 1)
    incidents = incidents_of_calls(connection, [one.record.call_id for one in found])
    items = [_answer(one, incidents.get(one.record.call_id, ()), actor=actor) for one in found]
    names = [name_of(one.record.started_at, one.record.call_id) for one in found]
    return json_response(page(items, limit=limit, query=query, names=names))


def _place(last: str | None) -> tuple[datetime, str] | None:
    if last is None:
        return None
    started_at, _, call_id = last.partition(" ")
    try:
        found = datetime.fromisoformat(started_at), call_id
    except ValueError:
        found = None
    if found is None or "\0" in call_id:
        raise not_a_cursor()
    return found


# A dialer's id may hold a slash, as the Call-ID of SIP may.
@router.get("/{call_id:path}", response_model=None, responses={200: {"model": CallAnswer}})
def show(call_id: CallId, connection: Transaction, actor: Reader) -> Response:
    """Show a call record with all incidents found about it."""
    found = read_call(connection, call_id)
    incidents = incidents_of_calls(connection, [call_id]).get(call_id, ())
    return json_response(_answer(found, incidents, actor=actor))


def _answer(stored: StoredCall, incidents: Sequence[Incident], *, actor: Actor) -> dict[str, object]:
    record = stored.record
    is_theirs = actor.role is Role.DIALER and actor.owner == stored.actor
    numbers = {"caller": stored.caller_e164, "callee": stored.callee_e164}
    seen = {
        name: None if e164 is None else shown(e164, actor=actor, sent=(e164,) if is_theirs else ())
        for name, e164 in numbers.items()
    }
    return {
        "call_id": record.call_id,
        "check_id": record.check_id,
        "direction": record.direction,
        **seen,
        "agent_id": record.agent_id,
        "started_at": record.started_at.astimezone(SHANGHAI),
        "answered_at": in_shanghai(record.answered_at),
        "ended_at": in_shanghai(record.ended_at),
        "outcome": record.outcome,
        "do_not_call_entry_id": None if stored.do_not_call_entry_id is None else str(stored.do_not_call_entry_id),
        "incidents": [{"incident_id": str(one.incident_id), "kind": one.kind} for one in incidents],
        "recorded_at": stored.recorded_at.astimezone(SHANGHAI),
    }
