"""Verification of a recording when somebody asks for it: every copy hashed now, what is damaged repaired (art. 35)."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field

from recordings.copy_bytes import Finding, Weakness
from recordings.fixity import CheckedCopy, verify_recording
from services.archive_places import keeping_in
from services.dependencies import State, requires
from services.json_answers import json_response
from services.tokens import Actor, Role

router = APIRouter(prefix="/v1/recordings", tags=["Recordings"])

Verifier = Annotated[Actor, Depends(requires(Role.INSPECTOR, Role.OFFICER, Role.AUDITOR))]


class CheckedCopyAnswer(BaseModel):
    """What was found of a copy before any repair; `sha256` null: its bytes could not all be read."""

    store: str
    ok: bool
    sha256: str | None
    finding: Finding
    weaknesses: list[Weakness] = Field(description="How its lock is weaker than it was; put right within a minute.")


class VerificationAnswer(BaseModel):
    """`ok`: all copies were good before any repair. `incident_id`: the open incident, if they were not."""

    ok: bool
    copies: list[CheckedCopyAnswer]
    repaired: bool
    incident_id: str | None


@router.post("/{recording_id}/verify", response_model=None, responses={200: {"model": VerificationAnswer}})
def verify(recording_id: UUID, state: State, _actor: Verifier) -> Response:
    """Hash every copy now, compare its lock, and repair what is damaged from a copy that is good.

    409 while its copies are being worked on, 410 when it was disposed of.
    """
    found = verify_recording(keeping_in(state.places, state.engine, state.clock), recording_id)
    answer = {
        "ok": found.is_good,
        "copies": [_checked(one) for one in found.copies],
        "repaired": found.is_repaired,
        "incident_id": None if found.incident_id is None else str(found.incident_id),
    }
    return json_response(answer, HTTPStatus.OK)


def _checked(one: CheckedCopy) -> dict[str, object]:
    return {
        "store": one.store,
        "ok": one.is_good,
        "sha256": None if one.sha256 is None else one.sha256.hex(),
        "finding": one.finding,
        "weaknesses": list(one.weaknesses),
    }
