"""Uploads: a multipart body streamed to a job's directory, hashed and on disk before the job's row is committed.

Nothing is held in memory and nothing is written elsewhere first. A repeat with the same `Idempotency-Key` is
recognised by the SHA-256 of the file and the fields; what it sent is thrown away again.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from anyio import to_thread
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.background import BackgroundTask
from starlette.responses import Response

from infra.durable import sync_path
from infra.jobs import create_job
from services.dependencies import actor_of, state_of
from services.idempotency import exchange_of
from services.job_answers import JobAnswer, new_job_answer
from services.multipart import receive_file, request_digest
from services.state import AppState

INPUT_NAME = "input"
OUTPUT_NAME = "files"

Form = TypeVar("Form", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Upload:
    """A stored file and the form fields that came with it. `digest` tells it from any other request."""

    job_id: UUID
    size_bytes: int
    sha256: str
    fields: Mapping[str, str]

    def digest(self) -> bytes:
        return request_digest(bytes.fromhex(self.sha256), self.fields)

    def form(self, kind: type[Form]) -> Form:
        """Return the fields as `kind`.

        Raises:
            RequestValidationError: a field is unknown or bad.
        """
        try:
            return kind.model_validate(self.fields)
        except ValidationError as error:
            found = [{**one, "loc": ("body", *one["loc"])} for one in error.errors()]
            raise RequestValidationError(found) from None


def job_directory(files: Path, job_id: UUID) -> Path:
    """Return where a job keeps its input and its output; `files` is the directory of all jobs."""
    return files / str(job_id)


def output_directory(files: Path, job_id: UUID) -> Path:
    """Return where a job leaves its files."""
    return job_directory(files, job_id) / OUTPUT_NAME


async def receive_upload(request: Request, job_id: UUID) -> Upload:
    """Store the file of a multipart request, synced to disk; nothing stays behind when it is refused.

    Raises:
        UploadTooLargeError: the file is larger than UPLOAD_LIMIT_BYTES.
        InputError: the body is no multipart form with one part named `file`.
    """
    directory = job_directory(state_of(request).files, job_id)
    await to_thread.run_sync(_make_directory, directory)
    try:
        received = await receive_file(request, directory / INPUT_NAME)
        await to_thread.run_sync(_sync, directory)
    except BaseException:
        await to_thread.run_sync(shutil.rmtree, directory, True)  # noqa: FBT003 - ignore_errors
        raise
    return Upload(job_id, received.size_bytes, received.sha256.hex(), received.fields)


async def accept_job(request: Request, upload: Upload, *, kind: str, parameters: Mapping[str, object]) -> Response:
    """Queue a job on an upload and answer 202 with it, after the commit; wake a worker then.

    A repeat of a keyed request gets the first answer again.

    Raises:
        StillRunningError: the first request with this key has not ended.
        ReusedKeyError: the key came with another file or other fields.
    """
    state = state_of(request)
    stored = {**parameters, "sha256": upload.sha256, "size_bytes": upload.size_bytes}
    response, is_new = await to_thread.run_sync(_queue, request, upload, kind, stored)
    if is_new:
        response.background = BackgroundTask(state.wake, upload.job_id)
    else:
        await to_thread.run_sync(discard_upload, state, upload)
    return response


def discard_upload(state: AppState, upload: Upload) -> None:
    """Remove a stored upload that no job will use."""
    shutil.rmtree(job_directory(state.files, upload.job_id), ignore_errors=True)


def _queue(request: Request, upload: Upload, kind: str, parameters: Mapping[str, object]) -> tuple[Response, bool]:
    state, actor, exchange = state_of(request), actor_of(request), exchange_of(request)
    now: datetime = state.clock()
    with state.engine.begin() as connection:
        first = exchange.first_answer(connection, upload.digest()) if exchange else None
        if first is not None:
            return first, False
        create_job(
            connection,
            job_id=upload.job_id,
            kind=kind,
            role=actor.role,
            actor=actor.owner,
            parameters=parameters,
            now=now,
        )
        answer: JobAnswer = new_job_answer(upload.job_id, kind)
        response = Response(answer.model_dump_json(), HTTPStatus.ACCEPTED, media_type="application/json")
        if exchange is not None:
            exchange.keep(connection, upload.digest(), response, now=now)
    return response, True


def _make_directory(directory: Path) -> None:
    directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.mkdir(mode=0o700)


def _sync(directory: Path) -> None:
    for one in (directory / INPUT_NAME, directory, directory.parent):
        sync_path(one)
