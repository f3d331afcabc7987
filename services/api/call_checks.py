"""May this call be placed now? Single checks, batches, simulations, and decisions read again."""

from datetime import datetime
from json import JSONDecodeError
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, ValidationError, model_validator

from compliance.call_checks import check_calls, simulate_calls
from compliance.call_facts import ProposedCall, Purpose
from compliance.check_rows import JudgedCall, read_check, replay
from compliance.phone_numbers import masked
from compliance.policy import Policy, parse_policy
from compliance.shanghai import SHANGHAI, shanghai_day
from services.check_answers import answers
from services.dependencies import Now, State, Transaction, actor_of, refuse_unknown_query, requires, state_of
from services.fields import Body, CalleeText, Identifier, Instant, LongText, PhoneText
from services.idempotency import HEADER, CreatingRoute
from services.json_body import Handler, JsonRoute, json_fault, may_repeat_a_name, read_json
from services.tokens import Actor, Role

router = APIRouter(prefix="/v1/call-checks", tags=["Calls"], route_class=CreatingRoute)

MOST_IN_A_BATCH = 10_000
_LONGEST_PLAIN_CHECK_BYTES = 10_000
"""Longer bodies are first read as all others are: validation has no bound on unknown names, and tells of each."""
_FIRST_SIMULATED_YEAR = 2015

_MAY_CHECK = requires(Role.DIALER)
Dialer = Annotated[Actor, Depends(_MAY_CHECK)]
Simulator = Annotated[Actor, Depends(requires(Role.DIALER, Role.OFFICER, Role.ADMIN, Role.AUDITOR))]


class CallCheckBody(Body):
    """A call as the dialer proposes it. Unknown ids are a reason in the answer, not an error."""

    callee: CalleeText
    caller_number: PhoneText | None = None
    agent_id: Identifier | None = None
    centre_id: Identifier | None = None
    purpose: Purpose = Purpose.SALES
    product_code: Identifier | None = None
    campaign_id: Identifier | None = None
    customer_id: Identifier | None = None
    callback_request_id: Identifier | None = None

    def call(self) -> ProposedCall:
        return ProposedCall(
            callee=self.callee,
            caller_number=self.caller_number,
            agent_id=self.agent_id,
            centre_id=self.centre_id,
            purpose=self.purpose,
            product_code=self.product_code,
            campaign_id=self.campaign_id,
            customer_id=self.customer_id,
            callback_request_id=self.callback_request_id,
        )


class CallCheckBatch(Body):
    checks: list[CallCheckBody] = Field(max_length=MOST_IN_A_BATCH)


class Simulation(CallCheckBody):
    """One check, or `checks`, decided at `at`, by the policy in force or by a draft."""

    callee: CalleeText | None = None  # type: ignore[assignment]  # absent when `checks` are given
    checks: list[CallCheckBody] | None = Field(default=None, max_length=MOST_IN_A_BATCH)
    at: Instant
    policy: Annotated[LongText, Field(description="The whole text of a draft policy file.")] | None = None

    @model_validator(mode="after")
    def one_or_many(self) -> "Simulation":
        if (self.callee is None) == (self.checks is None):
            msg = "send either one check (callee and its fields) or checks, not both and not neither"
            raise ValueError(msg)
        beside = self.model_fields_set & CallCheckBody.model_fields.keys() if self.checks is not None else ()
        if beside:
            msg = f"{', '.join(sorted(beside))}: stands beside checks and would bind none of them; put it into each"
            raise ValueError(msg)
        if self.at.astimezone(SHANGHAI).year < _FIRST_SIMULATED_YEAR:
            msg = f"at: instants from {_FIRST_SIMULATED_YEAR} on can be simulated"
            raise ValueError(msg)
        return self


class ReasonAnswer(BaseModel):
    code: str
    article: str
    message: str
    message_zh: str
    until: datetime | None
    facts: list[str] | None = None


class SimulatedAnswer(BaseModel):
    decision: Literal["allow", "deny"]
    callee: str | None
    region: str | None
    checked_at: datetime
    next_callable_at: datetime | None
    reasons: list[ReasonAnswer]
    rules_checked: list[str]
    policy_digest: str
    simulated: Literal[True]


class CallCheckAnswer(BaseModel):
    """The decision. A dialer treats everything but an explicit `allow` as "do not dial"."""

    check_id: str
    decision: Literal["allow", "deny"]
    callee: str | None
    region: str | None
    checked_at: datetime
    valid_until: datetime | None
    next_callable_at: datetime | None
    reasons: list[ReasonAnswer]
    rules_checked: list[str]
    policy_digest: str


class BatchAnswer(BaseModel):
    results: list[CallCheckAnswer]


class SimulatedBatchAnswer(BaseModel):
    results: list[SimulatedAnswer]


class StoredCheckAnswer(CallCheckAnswer):
    superseded_at: datetime | None
    purpose: Purpose
    call: dict[str, Any]
    facts: dict[str, Any]


class ReplayAnswer(BaseModel):
    same: bool
    check_id: str
    decision: Literal["allow", "deny"]
    valid_until: datetime | None
    next_callable_at: datetime | None
    reasons: list[ReasonAnswer]
    policy_digest: str


def _json(content: bytes) -> Response:
    return Response(content, media_type="application/json")


class _CheckRoute(CreatingRoute):
    """The route that is asked before every call: documented like the others, answered by a shorter way.

    Without an idempotency key it does by hand what FastAPI would do for this one signature (the role, the body),
    which takes half the time, and puts the check in the queue. Errors go to the same handlers.
    """

    def get_route_handler(self) -> Handler:
        handle_keyed = super().get_route_handler()

        async def handle(request: Request) -> Response:
            if HEADER in request.headers:
                return await handle_keyed(request)
            actor = _MAY_CHECK.admit(actor_of(request))
            await refuse_unknown_query(request)
            body = _read_check(await request.body())
            queue = state_of(request).check_queue
            return _json(await queue.ask(body.call(), actor, request.state.token_hash))

        return handle


def _read_check(content: bytes) -> CallCheckBody:
    try:
        if len(content) > _LONGEST_PLAIN_CHECK_BYTES:
            read_json(content)
        body = CallCheckBody.model_validate_json(content)
        if may_repeat_a_name(content, len(body.model_fields_set)):
            read_json(content)
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_url=False, include_input=False)) from None
    except JSONDecodeError as error:
        raise RequestValidationError([json_fault(error)]) from None
    return body


_simulation_router = APIRouter(prefix="/v1/call-checks", tags=["Calls"], route_class=JsonRoute)
"""Simulations record nothing, so there is nothing that an idempotency key could keep."""

_check_router = APIRouter(prefix="/v1/call-checks", tags=["Calls"], route_class=_CheckRoute)


@_check_router.post("", response_model=None, responses={200: {"model": CallCheckAnswer}})
def check_call(body: CallCheckBody, connection: Transaction, now: Now, state: State, actor: Dialer) -> Response:
    """Decide whether this call may be placed now; the decision is durable before it is answered."""
    judged = check_calls(connection, [body.call()], gate=state.gate, actors=[actor.owner], now=now)
    return _json(answers(judged)[0])


ROUTERS = (_check_router, _simulation_router, router)


@router.post("/batch", response_model=None, responses={200: {"model": BatchAnswer}})
def check_calls_together(
    body: CallCheckBatch, connection: Transaction, now: Now, state: State, actor: Dialer
) -> Response:
    """Decide on up to 10,000 calls in one transaction, each as it would be decided alone at this instant."""
    calls = [one.call() for one in body.checks]
    judged = check_calls(connection, calls, gate=state.gate, actors=[actor.owner] * len(calls), now=now)
    return _json(b'{"results":[' + b",".join(answers(judged)) + b"]}")


@_simulation_router.post(
    "/simulate", response_model=None, responses={200: {"model": SimulatedAnswer | SimulatedBatchAnswer}}
)
def simulate(body: Simulation, connection: Transaction, now: Now, state: State, _actor: Simulator) -> Response:
    """Decide at any instant from 2015 on, from the facts known now; nothing is recorded or used up."""
    many = body.checks is not None
    calls = [one.call() for one in body.checks] if body.checks is not None else [body.call()]
    judged = simulate_calls(
        connection, calls, policy=_draft(body, now), calendar=state.gate.calendar, at=body.at, now=now
    )
    given = answers(judged, simulated=True)
    return _json(b'{"results":[' + b",".join(given) + b"]}" if many else given[0])


def _draft(body: Simulation, now: datetime) -> Policy | None:
    return None if body.policy is None else parse_policy(body.policy, on=shanghai_day(now))


@router.get("/{check_id}", response_model=StoredCheckAnswer)
def get_check(check_id: UUID, connection: Transaction, actor: Simulator) -> Response:
    """Return a decision with the facts it was made of."""
    stored = read_check(connection, check_id)
    judged = stored.judged
    may_see = actor.role is Role.OFFICER or (actor.role is Role.DIALER and actor.owner == stored.actor)
    found: dict[str, Any] = msgspec.json.decode(answers([judged])[0])
    found["superseded_at"] = stored.superseded_at
    found["purpose"] = judged.call.purpose
    found["call"] = msgspec.to_builtins(judged.call)
    found["facts"] = {
        "calling_side": msgspec.to_builtins(judged.side.side),
        "callee": msgspec.to_builtins(judged.callee),
    }
    if not may_see:
        _mask(found, judged)
    return _json(msgspec.json.encode(found))


def _mask(found: dict[str, Any], judged: JudgedCall) -> None:
    hidden = masked(judged.callee.phone_e164) if judged.callee.phone_e164 else "[hidden]"
    found["callee"] = hidden if judged.callee.phone_e164 else None
    found["call"]["callee"] = hidden
    found["facts"]["callee"]["phone_e164"] = found["callee"]


@router.get("/{check_id}/replay", response_model=ReplayAnswer)
def replay_check(check_id: UUID, connection: Transaction, _actor: Simulator) -> Response:
    """Decide again from the stored facts and the stored policy, and say whether the answer is the same."""
    stored = read_check(connection, check_id)
    same, again = replay(stored.judged)
    found = {
        "same": same,
        "check_id": str(check_id),
        "decision": again.verdict,
        "valid_until": again.valid_until,
        "next_callable_at": again.next_callable_at,
        "reasons": [msgspec.to_builtins(one, builtin_types=(datetime,)) for one in again.reasons],
        "policy_digest": stored.judged.policy.digest,
    }
    return _json(msgspec.json.encode(found))
