"""Uploads: a multipart body streamed to a job's directory, hashed and on disk before the job's row is committed.

Nothing is held in memory and nothing is written elsewhere first. A repeat with the same `Idempotency-Key` is
recognised by the SHA-256 of the file and the fields; what it sent is thrown away again.
"""

import hashlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar
from uuid import UUID

import msgspec
from anyio import to_thread
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.background import BackgroundTask
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from infra.jobs import create_job
from services.dependencies import actor_of, state_of
from services.idempotency import exchange_of
from services.job_answers import JobAnswer, new_job_answer
from services.problems import InputError, RefusedError, input_error
from services.state import AppState

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks  # exists for the type checker only

INPUT_NAME = "input"
OUTPUT_NAME = "files"
FILE_FIELD = "file"
_MOST_FIELDS = 30
_LONGEST_FIELD_BYTES = 20_000
_WRITE_BYTES = 1 << 20
_ROOM_FOR_FIELDS = 1 << 20

Form = TypeVar("Form", bound=BaseModel)


class UploadTooLargeError(RefusedError):
    """The file is larger than this installation accepts."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    slug = "too-large"


@dataclass(frozen=True, slots=True)
class Upload:
    """A stored file and the form fields that came with it. `digest` tells it from any other request."""

    job_id: UUID
    size_bytes: int
    sha256: str
    fields: Mapping[str, str]

    def digest(self) -> bytes:
        content = msgspec.json.encode([self.sha256, dict(self.fields)], order="sorted")
        return hashlib.sha256(content).digest()

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


@dataclass(slots=True)
class _Part:
    """One part of the body while it comes in; `value` is None for the file, which goes to disk."""

    name: str
    value: bytearray | None


class _Receiver:
    """Takes the parser's calls. Bytes of the file wait in `pending` until they are worth a write."""

    def __init__(self, limit_bytes: int) -> None:
        self.fields: dict[str, str] = {}
        self.pending = bytearray()
        self.size_bytes = 0
        self.has_file = False
        self.is_whole = False
        self._limit_bytes = limit_bytes
        self._header_name = bytearray()
        self._header_value = bytearray()
        self._disposition = b""
        self._part = _Part("", bytearray())

    def callbacks(self) -> "MultipartCallbacks":
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._header_name.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._header_value.extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_headers_finished": self._name_part,
            "on_part_data": self._take,
            "on_part_end": self._end,
            "on_end": self._finish,
        }

    def _begin(self) -> None:
        self._disposition = b""

    def _end_header(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = bytes(self._header_value)
        self._header_name.clear()
        self._header_value.clear()

    def _name_part(self) -> None:
        _, options = parse_options_header(self._disposition)
        name = options.get(b"name", b"").decode("utf-8", "replace")
        is_file = name == FILE_FIELD
        if not name or name in self.fields or (is_file and self.has_file):
            raise input_error(name[:100] or "body", "every part needs a name of its own")
        if len(self.fields) >= _MOST_FIELDS:
            raise input_error("body", f"at most {_MOST_FIELDS} fields may come with a file")
        self.has_file = self.has_file or is_file
        self._part = _Part(name, None if is_file else bytearray())

    def _take(self, data: bytes, start: int, end: int) -> None:
        value = self._part.value
        if value is None:
            self.size_bytes += end - start
            if self.size_bytes > self._limit_bytes:
                raise too_large(self._limit_bytes)
            self.pending += memoryview(data)[start:end]
        elif len(value) + end - start > _LONGEST_FIELD_BYTES:
            raise input_error(self._part.name[:100], f"a field may have at most {_LONGEST_FIELD_BYTES} bytes")
        else:
            value += data[start:end]

    def _end(self) -> None:
        value = self._part.value
        if value is not None:
            try:
                self.fields[self._part.name] = value.decode()
            except UnicodeDecodeError:
                raise input_error(self._part.name[:100], "must be UTF-8") from None

    def _finish(self) -> None:
        self.is_whole = True


def request_limit(request: Request) -> int:
    """Return how many bytes a file may have."""
    return state_of(request).settings.upload_limit_bytes


def too_large(limit_bytes: int) -> UploadTooLargeError:
    return UploadTooLargeError(f"The file may have at most {limit_bytes} bytes (UPLOAD_LIMIT_BYTES). Split it.")


def job_directory(files: Path, job_id: UUID) -> Path:
    """Return where a job keeps its input and its output; `files` is the directory of all jobs."""
    return files / str(job_id)


def output_directory(files: Path, job_id: UUID) -> Path:
    """Return where a job leaves its files."""
    return job_directory(files, job_id) / OUTPUT_NAME


def sync_path(path: Path) -> None:
    """Have a file, or the names in a directory, on disk before going on."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


async def receive_upload(request: Request, job_id: UUID) -> Upload:
    """Store the file of a multipart request, synced to disk; nothing stays behind when it is refused.

    Raises:
        UploadTooLargeError: the file is larger than UPLOAD_LIMIT_BYTES.
        InputError: the body is no multipart form with one part named `file`.
    """
    boundary = _boundary(request)
    _check_declared_length(request)
    directory = job_directory(state_of(request).files, job_id)
    await to_thread.run_sync(_make_directory, directory)
    try:
        with (directory / INPUT_NAME).open("xb") as target:
            receiver, sha256 = await _store(request, target, _Receiver(request_limit(request)), boundary)
            await to_thread.run_sync(_sync, target)
        await to_thread.run_sync(_sync_directory, directory)
    except BaseException:
        await to_thread.run_sync(shutil.rmtree, directory, True)  # noqa: FBT003 - ignore_errors
        raise
    return Upload(job_id, receiver.size_bytes, sha256, receiver.fields)


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


def _boundary(request: Request) -> bytes:
    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise input_error(FILE_FIELD, "send multipart/form-data with the list in a part named 'file'")
    return options[b"boundary"]


def _check_declared_length(request: Request) -> None:
    """Refuse what is surely too large before a byte of it is read."""
    limit_bytes = request_limit(request)
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > limit_bytes + _ROOM_FOR_FIELDS:
        raise too_large(limit_bytes)


async def _store(request: Request, target: BinaryIO, receiver: _Receiver, boundary: bytes) -> tuple[_Receiver, str]:
    digest = hashlib.sha256()

    def write(chunk: bytes) -> None:
        digest.update(chunk)
        target.write(chunk)

    limit_bytes = request_limit(request)
    received = 0
    try:
        parser = MultipartParser(boundary, receiver.callbacks())
        async for chunk in request.stream():
            received += len(chunk)
            if received > limit_bytes + _ROOM_FOR_FIELDS:
                raise too_large(limit_bytes)
            parser.write(chunk)
            if len(receiver.pending) >= _WRITE_BYTES:
                await to_thread.run_sync(write, bytes(receiver.pending))
                receiver.pending.clear()
    except FormParserError as error:
        raise InputError(f"The multipart body is broken: {error}.") from None
    except ClientDisconnect:
        raise InputError("The body ended early.") from None
    if not (receiver.has_file and receiver.is_whole):
        raise input_error(FILE_FIELD, "the body needs a part named 'file', and must be whole")
    await to_thread.run_sync(write, bytes(receiver.pending))
    return receiver, digest.hexdigest()


def _make_directory(directory: Path) -> None:
    directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.mkdir(mode=0o700)


def _sync(target: BinaryIO) -> None:
    target.flush()
    os.fsync(target.fileno())


def _sync_directory(directory: Path) -> None:
    for one in (directory, directory.parent):
        sync_path(one)
