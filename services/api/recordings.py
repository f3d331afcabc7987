"""Finding recordings: by policy, number, agent, call and day; what is stored of each, and how long it is kept."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response
from pydantic import AfterValidator

from compliance.phone_numbers import normalise, normalise_caller
from recordings.recording_rows import RecordingFilter, list_recordings, read_copies, read_recording
from services.api.recording_models import (
    RecordingList,
    RecordingWithCopies,
    copy_answer,
    recording_answer,
    retention_answers,
)
from services.dependencies import Now, Transaction, requires
from services.fields import NO_NUL, Day, PhoneText
from services.json_answers import json_response
from services.paging import Cursor, Limit, check_span, name_of, page, place_of, read_cursor
from services.tokens import Actor, Role

router = APIRouter(prefix="/v1/recordings", tags=["Recordings"])

Reader = Annotated[Actor, Depends(requires(Role.INSPECTOR, Role.OFFICER, Role.AUDITOR))]


def _number(text: str) -> str:
    number = normalise(text)
    found = normalise_caller(text) if number is None else number.e164
    if found is None:
        msg = "is no telephone number"
        raise ValueError(msg)
    return found


OfPolicy = Annotated[
    str | None,
    Query(min_length=1, max_length=64, pattern=NO_NUL, description="Also finds recordings of the calls of its sale."),
]
OfPhone = Annotated[Annotated[PhoneText, AfterValidator(_number)] | None, Query(description="The customer's number.")]
OfText = Annotated[str | None, Query(min_length=1, max_length=100, pattern=NO_NUL)]
FromDay = Annotated[Day | None, Query(alias="from", description="First day of the start, in Shanghai.")]
ToDay = Annotated[Day | None, Query(alias="to", description="Last day of the start, included.")]


@router.get("", response_model=None, responses={200: {"model": RecordingList}})
def list_all(  # noqa: PLR0913 - one argument per query parameter
    *,
    connection: Transaction,
    now: Now,
    actor: Reader,
    policy_no: OfPolicy = None,
    phone: OfPhone = None,
    agent_id: OfText = None,
    call_id: OfText = None,
    from_day: FromDay = None,
    to_day: ToDay = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """List recordings, the latest start first."""
    check_span(from_day, to_day)
    wanted = RecordingFilter(
        policy_no=policy_no,
        phone_e164=phone,
        agent_id=agent_id,
        call_id=call_id,
        from_day=from_day,
        to_day=to_day,
    )
    query = {"list": "recordings", **{name: getattr(wanted, name) for name in RecordingFilter.__dataclass_fields__}}
    before = place_of(read_cursor(query, cursor))
    found = list_recordings(connection, wanted, before=before, limit=limit + 1)
    retention = retention_answers(connection, [one.recording_id for one in found], actor=actor, now=now)
    items = [recording_answer(one, retention[one.recording_id], actor=actor) for one in found]
    names = [name_of(one.started_at, one.recording_id) for one in found]
    return json_response(page(items, limit=limit, query=query, names=names))


@router.get("/{recording_id}", response_model=None, responses={200: {"model": RecordingWithCopies}})
def show(recording_id: UUID, connection: Transaction, now: Now, actor: Reader) -> Response:
    """Show a recording, where its copies lie, and how long it is kept."""
    found = read_recording(connection, recording_id)
    retention = retention_answers(connection, [recording_id], actor=actor, now=now)[recording_id]
    copies = [copy_answer(one) for one in read_copies(connection, recording_id)]
    return json_response({**recording_answer(found, retention, actor=actor), "copies": copies})
