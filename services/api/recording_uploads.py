"""Recordings in: a file and what is said of it become a recording before they are acknowledged (arts. 35, 36).

No transaction is open while the body comes in, the file is decoded or a store works.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Annotated

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Depends, Request, Response
from sqlalchemy import Connection

from recordings.archive import check_digest, prepare
from recordings.metadata import FIELDS, Metadata, parse_metadata
from recordings.recording_rows import Recording, read_recordings
from recordings.registration import Arrival, Registered, may_be_known, register, register_known
from recordings.staging import StagedFile, staging_path
from services.api.recording_models import StoredAnswer, found_audio, retention_answers
from services.dependencies import actor_of, requires, state_of
from services.idempotency import CreatingRoute, exchange_of
from services.json_answers import json_response
from services.multipart import FILE_FIELD, ReceivedFile, receive_file
from services.problems import input_error
from services.tokens import Actor, Role

router = APIRouter(prefix="/v1/recordings", tags=["Recordings"], route_class=CreatingRoute)

Writer = Annotated[Actor, Depends(requires(Role.DIALER, Role.OFFICER, Role.ADMIN))]

METADATA_FIELD = "metadata"
_SOURCE = "api"
_MOST_AT_WORK = 12
"""So many files are decoded and stored at a time; the others wait, on disk, and keep no other request waiting."""

_FORM_SCHEMA = {
    "type": "object",
    "required": [FILE_FIELD, METADATA_FIELD],
    "additionalProperties": False,
    "properties": {
        FILE_FIELD: {
            "type": "string",
            "format": "binary",
            "description": "WAV (PCM, A-law, µ-law, GSM 6.10, ADPCM), FLAC, Ogg Opus or MP3, or bare samples.",
        },
        METADATA_FIELD: {
            "type": "string",
            "contentMediaType": "application/json",
            "description": f"A JSON object with {', '.join(FIELDS)}. started_at, channels and one of call_id,"
            " policy_no, agent_id, phone are required; raw_codec and raw_sample_rate describe a file without a header;"
            " holds_ms are the times on hold, [[start, end], …] in milliseconds.",
        },
    },
}
_UPLOAD = {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _FORM_SCHEMA}}}}

_places_at_work = CapacityLimiter(_MOST_AT_WORK)


@router.post(
    "",
    response_model=None,
    status_code=HTTPStatus.CREATED,
    openapi_extra=_UPLOAD,
    responses={
        201: {"model": StoredAnswer},
        200: {"model": StoredAnswer, "description": "These bytes of this call were stored before."},
    },
)
async def store(request: Request, _actor: Writer) -> Response:
    """Store a recording. Once this has answered, it lies in the first store under hold and is registered."""
    path = await to_thread.run_sync(staging_path, state_of(request).places.staging)
    try:
        received = await receive_file(request, path)
        staged = StagedFile(path, received.size_bytes, received.sha256)
        return await to_thread.run_sync(_take_in, request, staged, received, limiter=_places_at_work)
    finally:
        # At once, and not by a thread: also when the request is cancelled.
        path.unlink(missing_ok=True)


def _take_in(request: Request, staged: StagedFile, received: ReceivedFile) -> Response:
    """Return the first answer to a repeated key, the recording that this is already, or a new one."""
    state = state_of(request)
    arrival = Arrival(staged, _metadata(received, now=state.clock()), _SOURCE, actor_of(request).owner)
    check_digest(arrival)
    has_key = exchange_of(request) is not None
    if has_key or may_be_known(state.engine, arrival):
        with state.engine.begin() as connection:
            known = _first_answer(connection, request, received) or _known(connection, request, received, arrival)
        if known is not None:
            return known
    prepared = prepare(state.places, arrival)
    if not has_key:
        return state.registrations.register(prepared)
    # The answer is kept with its key in the same transaction, which is this request's alone.
    now = state.clock()
    with state.engine.begin() as connection:
        first = _first_answer(connection, request, received)
        if first is not None:
            return first
        registered = register(connection, state.places, prepared, now=now)
        return _answer(connection, request, received, registered, now=now)


def _metadata(received: ReceivedFile, *, now: datetime) -> Metadata:
    other = [name for name in received.fields if name != METADATA_FIELD]
    if METADATA_FIELD not in received.fields or other:
        raise input_error(METADATA_FIELD, "send the parts 'file' and 'metadata', and no other")
    return parse_metadata(received.fields[METADATA_FIELD], now=now)


def _first_answer(connection: Connection, request: Request, received: ReceivedFile) -> Response | None:
    exchange = exchange_of(request)
    return None if exchange is None else exchange.first_answer(connection, received.digest())


def _known(connection: Connection, request: Request, received: ReceivedFile, arrival: Arrival) -> Response | None:
    now = state_of(request).clock()
    known = register_known(connection, arrival, now=now)
    return None if known is None else _answer(connection, request, received, known, now=now)


def _answer(
    connection: Connection, request: Request, received: ReceivedFile, registered: Registered, *, now: datetime
) -> Response:
    """Return the answer, kept with what it answers for if the request has a key."""
    (response,) = stored_answers(connection, [registered], now=now)
    exchange = exchange_of(request)
    if exchange is not None:
        exchange.keep(connection, received.digest(), response, now=now)
    return response


def stored_answers(connection: Connection, found: Sequence[Registered], *, now: datetime) -> list[Response]:
    """Return what is answered to who brought these recordings, whoever each of them is."""
    ids = [one.recording_id for one in found]
    stored = read_recordings(connection, ids)
    retention = retention_answers(connection, ids, actor=None, now=now)
    return [_stored_answer(one, stored[one.recording_id], retention[one.recording_id]) for one in found]


def _stored_answer(registered: Registered, stored: Recording, retention: Mapping[str, object]) -> Response:
    warnings = [one._asdict() for one in registered.warnings]
    content = {**found_audio(stored), "retention": retention, "warnings": warnings}
    return json_response(content, HTTPStatus.CREATED if registered.is_new else HTTPStatus.OK)
