"""Listening: stored audio in ranges of bytes, its waveform, and who listened to it before.

Every listening is noted and committed before its first byte is sent. While bytes flow no transaction is open, and no
thread, no connection and no place among the requests at work is held: a slow listener costs one piece in memory.
"""

from collections.abc import AsyncIterator, Iterator
from http import HTTPStatus
from typing import Annotated, Any, Literal, NamedTuple
from uuid import UUID

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Query, Request, Response
from starlette.responses import StreamingResponse

from compliance.shanghai import SHANGHAI
from recordings.accesses import Access, Listener, ListeningPurpose, list_accesses, note_access
from recordings.audio_layout import suffix_of
from recordings.copy_rows import CopyState
from recordings.recording_rows import Recording, read_copies, read_media, read_recording
from recordings.stored_audio import Source, open_pieces
from services.api.recording_models import AccessList
from services.api.recordings import Reader
from services.byte_ranges import Selection, select_bytes
from services.dependencies import Transaction, actor_of, state_of
from services.fields import ProblemBody
from services.json_answers import json_response
from services.paging import Cursor, Limit, name_of, page, place_of, read_cursor
from services.problems import MEDIA_TYPE, Problem, RefusedError, title_of
from services.state import AppState

router = APIRouter(prefix="/v1/recordings", tags=["Recordings"])

_MOST_READING = 16
_reading = CapacityLimiter(_MOST_READING)

_MEDIA_TYPES = {
    "wav": "audio/wav",
    "rf64": "audio/wav",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
    "mp3": "audio/mpeg",
    "raw": "application/octet-stream",
}
_PLAYABLE_CONTAINER = "wav"


class GoneError(RefusedError):
    """The recording was disposed of; what is known of it stays, its audio does not."""

    status = HTTPStatus.GONE
    slug = "disposed"


class StaleError(RefusedError):
    """The audio is not the one that the request is about."""

    status = HTTPStatus.PRECONDITION_FAILED
    slug = "precondition-failed"


class NoSuchRangeError(RefusedError):
    """The range asked for lies behind the end of the audio."""

    status = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
    slug = "range-not-satisfiable"

    def __init__(self, size: int) -> None:
        super().__init__(f"The audio has {size} bytes; ask for a range within it.")
        self._size = size

    def problem(self) -> Problem:
        headers = {"Content-Range": f"bytes */{self._size}"}
        return Problem(self.status, title_of(self.status), self.detail, self.slug, headers=headers)


class _Heard(NamedTuple):
    """What is sent of a recording: the original, or the copy that browsers play."""

    sources: tuple[Source, ...]
    size: int
    etag: str
    container: str
    name: str


_PROBLEM = {"content": {MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{ProblemBody.__name__}"}}}}
_BYTES = {"schema": {"type": "string", "format": "binary"}}
_AUDIO = dict.fromkeys(sorted({*_MEDIA_TYPES.values()}), _BYTES)
_GONE: dict[str, Any] = {"description": "The recording was disposed of.", **_PROBLEM}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The whole audio.", "content": _AUDIO},
    206: {"description": "The range of bytes asked for.", "content": _AUDIO},
    304: {"description": "The audio is the one that is known already."},
    410: _GONE,
    412: {"description": "The audio is not the one named by If-Match.", **_PROBLEM},
    416: {"description": "The range lies behind the end.", **_PROBLEM},
}
For = Annotated[ListeningPurpose, Query(description="What it is listened to for; each listening is noted with it.")]
Form = Annotated[
    Literal["original", "playable"],
    Query(description="original: the bytes as they came; playable: a copy that browsers play, where it is needed."),
]


@router.head("/{recording_id}/audio", include_in_schema=False)
@router.get("/{recording_id}/audio", response_class=StreamingResponse, responses=_RESPONSES)
async def listen(
    recording_id: UUID, request: Request, _actor: Reader, purpose: For, form: Form = "original"
) -> Response:
    """Send the audio, or the range of bytes asked for.

    Of several ranges in one request none is regarded, and the whole is sent. HEAD tells what there is and is no
    listening. What one person hears of a recording for one purpose from one address within 30 minutes is noted once.
    """
    state = state_of(request)
    heard = await to_thread.run_sync(_find, state, recording_id, form)
    selection = select_bytes(request.headers, method=request.method, size=heard.size, etag=heard.etag)
    headers = _headers(heard, selection)
    if request.method == "HEAD" or selection.status is HTTPStatus.NOT_MODIFIED:
        return Response(status_code=selection.status, headers=headers, media_type=_MEDIA_TYPES[heard.container])
    pieces = await to_thread.run_sync(_open, heard, selection, limiter=_reading)
    await to_thread.run_sync(_note, request, recording_id, purpose)
    return StreamingResponse(_flow(pieces), selection.status, headers, _MEDIA_TYPES[heard.container])


def _find(state: AppState, recording_id: UUID, form: str) -> _Heard:
    with state.engine.begin() as connection:
        one = read_recording(connection, recording_id)
        _require_audio(one)
        media = read_media(connection, recording_id)
        copies = read_copies(connection, recording_id)
    suffix = suffix_of(one.container)
    if form == "playable" and media is not None and media.playable_key is not None:
        version, size = media.playable_version_id or "", media.playable_size_bytes or 0
        source = Source(state.places.first, media.playable_key, version)
        etag = f'"{one.sha256.hex()}-playable"'
        return _Heard((source,), size, etag, _PLAYABLE_CONTAINER, f"{recording_id}-playable.{_PLAYABLE_CONTAINER}")
    # A copy that was found changed is not listened to, one that was found missing may be back.
    stores = state.places.stores
    sources = tuple(
        Source(stores[copy.copy], one.object_key, copy.version_id)
        for copy in copies
        if copy.version_id is not None and copy.state != CopyState.CHANGED
    )
    return _Heard(sources, one.size_bytes, f'"{one.sha256.hex()}"', one.container, f"{recording_id}.{suffix}")


def _require_audio(one: Recording) -> None:
    if one.disposed_at is not None:
        msg = f"Recording {one.recording_id} was disposed of; the certificate of its disposal says when and why."
        raise GoneError(msg)


def _headers(heard: _Heard, selection: Selection) -> dict[str, str]:
    """Return the headers of an answer; nothing in them names a person.

    Raises:
        StaleError, NoSuchRangeError: what was asked for cannot be had.
    """
    if selection.status is HTTPStatus.PRECONDITION_FAILED:
        raise StaleError(f"The audio has the ETag {heard.etag}.")
    if selection.status is HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        raise NoSuchRangeError(heard.size)
    # Nothing may keep a copy: who listens again is noted again.
    always = {"ETag": heard.etag, "Cache-Control": "private, no-store", "Accept-Ranges": "bytes"}
    if selection.status is HTTPStatus.NOT_MODIFIED:
        return always
    headers = {
        **always,
        "Content-Length": str(selection.end - selection.start),
        "Content-Disposition": f'inline; filename="recording-{heard.name}"',
        "X-Content-Type-Options": "nosniff",
    }
    if selection.status is HTTPStatus.PARTIAL_CONTENT:
        headers["Content-Range"] = f"bytes {selection.start}-{selection.end - 1}/{heard.size}"
    return headers


def _open(heard: _Heard, selection: Selection) -> Iterator[bytes]:
    return open_pieces(heard.sources, start=selection.start, end=selection.end)


def _note(request: Request, recording_id: UUID, purpose: ListeningPurpose) -> None:
    state, actor = state_of(request), actor_of(request)
    listener = Listener(actor.owner, actor.role, None if request.client is None else request.client.host)
    with state.engine.begin() as connection:
        note_access(connection, recording_id, purpose, listener, now=state.clock())


async def _flow(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the pieces, each fetched by a thread that is free again before the piece is sent."""
    while piece := await to_thread.run_sync(next, pieces, b"", limiter=_reading):
        yield piece


@router.get("/{recording_id}/peaks", response_class=Response, responses={410: _GONE})
def peaks(recording_id: UUID, connection: Transaction, _actor: Reader) -> Response:
    """Send the waveform, lowest and highest sample of each channel step by step, as audiowaveform writes JSON."""
    one = read_recording(connection, recording_id)
    _require_audio(one)
    media = read_media(connection, recording_id)
    return Response(b"{}" if media is None else media.peaks, media_type="application/json")


@router.get("/{recording_id}/accesses", response_model=None, responses={200: {"model": AccessList}})
def accesses(
    recording_id: UUID, connection: Transaction, _actor: Reader, limit: Limit = 100, cursor: Cursor = None
) -> Response:
    """List who listened to a recording, when, as what, for what and from where; the latest first."""
    read_recording(connection, recording_id)
    query = {"list": "accesses", "recording_id": str(recording_id)}
    before = place_of(read_cursor(query, cursor))
    found = list_accesses(connection, recording_id, before=before, limit=limit + 1)
    names = [name_of(one.accessed_at, one.access_id) for one in found]
    return json_response(page([_access(one) for one in found], limit=limit, query=query, names=names))


def _access(one: Access) -> dict[str, object]:
    return {
        "at": one.accessed_at.astimezone(SHANGHAI),
        "user": one.actor,
        "role": one.role,
        "purpose": one.purpose,
        "address": one.address,
    }
