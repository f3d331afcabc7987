"""The policy in force, and drafts that two officers put in force together."""

import hashlib
from dataclasses import asdict
from datetime import datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field

from compliance.approvals import request_approval
from compliance.audit import note
from compliance.policy import Policy, PolicyError, parse_policy
from compliance.policy_store import policy_in_force, stored_policy_in_force
from compliance.shanghai import SHANGHAI, shanghai_day
from infra.ids import new_id
from services.approval_actions import POLICY_KIND
from services.dependencies import Now, State, Transaction, requires
from services.fields import Body, LongText, Pending, Reason
from services.idempotency import CreatingRoute
from services.json_answers import json_response
from services.state import AppState
from services.tokens import Actor, Role

router = APIRouter(prefix="/v1/policy", tags=["Policy"], route_class=CreatingRoute)

Officer = Annotated[Actor, Depends(requires(Role.OFFICER))]
Reader = Annotated[Actor, Depends(requires(Role.OFFICER, Role.AUDITOR))]


class PolicyBody(Body):
    policy: Annotated[LongText, Field(description="The whole text of the policy file.")]
    reason: Reason


class PolicyAnswer(BaseModel):
    policy: str
    policy_digest: str
    effective_from: datetime | None


class PendingPolicy(Pending):
    policy_digest: str


@router.get("", response_model=None, responses={200: {"model": PolicyAnswer}})
def show(connection: Transaction, now: Now, _actor: Reader) -> Response:
    """Show the policy in force. Without a stored one it is the legal floor, and `effective_from` is null."""
    stored = stored_policy_in_force(connection)
    policy = policy_in_force(connection, now=now) if stored is None else stored.policy
    return json_response(
        {
            "policy": policy.text,
            "policy_digest": policy.digest,
            "effective_from": None if stored is None else stored.effective_from.astimezone(SHANGHAI),
        }
    )


@router.post("", response_model=None, status_code=HTTPStatus.ACCEPTED, responses={202: {"model": PendingPolicy}})
def propose(body: PolicyBody, connection: Transaction, now: Now, state: State, actor: Officer) -> Response:
    """Ask for a policy to come into force; another officer must approve.

    One that is looser than the law is refused with every offence and its article, and the attempt is kept.
    """
    policy = _read(body, state, actor, now)
    request_id = new_id()
    payload = {
        "policy": policy.text,
        "policy_digest": policy.digest,
        "reason": body.reason,
        "requested_by": actor.owner,
    }
    request_approval(connection, request_id=request_id, kind=POLICY_KIND, payload=payload, person=actor.owner, now=now)
    return json_response({"request_id": str(request_id), "policy_digest": policy.digest}, HTTPStatus.ACCEPTED)


def _read(body: PolicyBody, state: AppState, actor: Actor, now: datetime) -> Policy:
    try:
        return parse_policy(body.policy, on=shanghai_day(now))
    except PolicyError as error:
        # The request's own transaction is rolled back with the refusal, so the attempt is kept in another.
        with state.engine.begin() as connection:
            note(
                connection,
                kind="policy_refused",
                subject="sha256:" + hashlib.sha256(body.policy.encode()).hexdigest(),
                details={"reason": body.reason, "offences": [asdict(offence) for offence in error.offences]},
                person=actor.owner,
                now=now,
            )
        raise
