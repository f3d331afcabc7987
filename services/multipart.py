"""Multipart bodies with one file: streamed to where the caller wants it and hashed on the way, fields beside it.

Nothing of the file is held in memory. Owns how a body is read and its limits, not where the file lies.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import msgspec
from anyio import to_thread
from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect

from services.dependencies import state_of
from services.problems import InputError, RefusedError, input_error

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks  # exists for the type checker only

FILE_FIELD = "file"
_MOST_FIELDS = 30
_LONGEST_FIELD_BYTES = 20_000
_WRITE_BYTES = 1 << 20
_ROOM_FOR_FIELDS = 1 << 20


class UploadTooLargeError(RefusedError):
    """The file is larger than this installation accepts."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    slug = "too-large"


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """A file that came whole, and the form fields that came with it."""

    size_bytes: int
    sha256: bytes
    fields: Mapping[str, str]

    def digest(self) -> bytes:
        """Return what tells this request's content from any other's."""
        return request_digest(self.sha256, self.fields)


def request_digest(sha256: bytes, fields: Mapping[str, str]) -> bytes:
    """Return a digest of a file's own digest and the fields that came with it."""
    content = msgspec.json.encode([sha256.hex(), dict(fields)], order="sorted")
    return hashlib.sha256(content).digest()


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


async def receive_file(request: Request, path: Path) -> ReceivedFile:
    """Write the file of a multipart request to `path`, which must be new, and return what came.

    Whether its bytes and its name must be on disk is the caller's to know and to see to; if this raises, to remove it.

    Raises:
        UploadTooLargeError: the file is larger than UPLOAD_LIMIT_BYTES.
        InputError: the body is no multipart form with one part named `file`, or not whole.
    """
    boundary = _boundary(request)
    _check_declared_length(request)
    with path.open("xb") as target:
        return await _store(request, target, boundary)


def _boundary(request: Request) -> bytes:
    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise input_error(FILE_FIELD, "send multipart/form-data with the content in a part named 'file'")
    return options[b"boundary"]


def _check_declared_length(request: Request) -> None:
    """Refuse what is surely too large before a byte of it is read."""
    limit_bytes = request_limit(request)
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > limit_bytes + _ROOM_FOR_FIELDS:
        raise too_large(limit_bytes)


async def _store(request: Request, target: BinaryIO, boundary: bytes) -> ReceivedFile:
    digest = hashlib.sha256()

    def write(chunk: bytes) -> None:
        digest.update(chunk)
        target.write(chunk)

    limit_bytes = request_limit(request)
    receiver = _Receiver(limit_bytes)
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
    return ReceivedFile(receiver.size_bytes, digest.digest(), receiver.fields)
