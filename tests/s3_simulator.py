"""A store over HTTP that speaks S3 with Object Lock, and does in one thing what a test says."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, RLock, Thread
from urllib.parse import parse_qsl, unquote, urlsplit

from infra.clock import utc_now
from tests.lock_bucket import LockBucket, LockVersion, Refusal
from tests.s3_signature import is_signed

Headers = Mapping[str, str | None]
SECRET = "secret-of-mine"


class Fault(StrEnum):
    NONE = "none"
    FAILS = "500"
    FAILS_AFTERWARDS = "done, and then 500"
    HANGS_UP_AFTERWARDS = "done, and then no answer"
    HANGS = "no answer"
    HANGS_AFTERWARDS = "done, and then silence"
    FORBIDDEN = "403"
    FORGETS = "200, and nothing stored"
    CUT = "cut off in mid-body"
    DRIPS = "a byte now and then"
    SHORTER = "a shorter body, and its length"
    OTHER_BYTES = "other bytes"
    OTHER_CHECKSUM = "other bytes stored, and their checksum"
    NO_CHECKSUM = "no checksums"
    NO_LOCK = "200 without the lock"
    OTHER_DATE = "a day less than was asked"
    ANY_DATE = "any change of a lock taken"
    NO_VERSIONS = "no versions"
    NO_ENCRYPTION = "encryption refused"
    DELETES = "deletes what is locked"
    KEEPS = "204, and nothing deleted"
    SKEWED = "another time"
    ANYBODY = "no signature needed"
    CONFLICT = "409 where a condition was asked"


@dataclass(slots=True)
class Simulator:
    """What the server holds, how it fails, for which operations and how often."""

    url: str
    bucket: LockBucket = field(default_factory=LockBucket)
    fault: Fault = Fault.NONE
    operations: frozenset[str] = frozenset()
    spared: str = ""
    """No key with this in it is concerned, if it is not empty."""
    left: int = 0
    asked: list[str] = field(default_factory=list)
    lock: RLock = field(default_factory=RLock)
    over: Event = field(default_factory=Event)
    stalled: Event = field(default_factory=Event)
    """Somebody waits for an answer that does not come."""
    knows_conditions: bool = True
    ahead: timedelta = timedelta()
    """How far the clock by which locks end is ahead of this machine's; requests are dated by the latter."""

    def now(self) -> datetime:
        return utc_now() + self.ahead

    def fails(self, fault: Fault, *operations: str, times: int = 1_000_000) -> None:
        """Have `fault` in these operations, all if none is named, so many times."""
        self.fault, self.operations, self.left = fault, frozenset(operations), times

    def fault_in(self, operation: str, key: str) -> Fault:
        with self.lock:
            is_spared = bool(self.spared) and self.spared in key
            if self.left == 0 or is_spared or (self.operations and operation not in self.operations):
                return Fault.NONE
            self.left -= 1
            return self.fault

    def place(self) -> str:
        return f"s3://evidence/of-us?endpoint={self.url}&region=us-east-1"


@contextmanager
def s3_simulator() -> Iterator[Simulator]:
    """Run such a store on a free port; what hangs ends with it."""

    class Handler(_Handler):
        pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        simulator = Handler.simulator = Simulator(f"http://127.0.0.1:{server.server_port}")
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield simulator
        simulator.over.set()
        server.shutdown()
        thread.join()


def _tag(name: str, text: str) -> str | None:
    found = re.search(f"<{name}>([^<]*)</{name}>", text)
    return None if found is None else found[1]


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    simulator: Simulator
    query: dict[str, str]
    key: str
    body: bytes
    fault: Fault

    def log_message(self, *_arguments: object) -> None:
        pass

    def date_time_string(self, timestamp: float | None = None) -> str:  # noqa: ARG002 - its own, of the base class
        ahead = timedelta(minutes=10) if self.simulator.fault is Fault.SKEWED else timedelta()
        return format_datetime(utc_now() + ahead, usegmt=True)

    def do_GET(self) -> None:
        for parameter in ("versioning", "object-lock", "versions", "retention"):
            if parameter in self._query():
                return self._answer(parameter)
        return self._answer("get")

    def do_HEAD(self) -> None:
        self._answer("head")

    def do_PUT(self) -> None:
        for parameter, operation in (("retention", "lock"), ("legal-hold", "hold"), ("partNumber", "part")):
            if parameter in self._query():
                return self._answer(operation)
        return self._answer("put")

    def do_POST(self) -> None:
        self._answer("begin" if "uploads" in self._query() else "complete")

    def do_DELETE(self) -> None:
        self._answer("abort" if "uploadId" in self._query() else "delete")

    def _query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))

    def _answer(self, operation: str) -> None:
        simulator = self.simulator
        self.query, self.key = self._query(), unquote(urlsplit(self.path).path).removeprefix("/evidence").lstrip("/")
        self.body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        simulator.asked.append(operation)
        self.fault = simulator.fault_in(operation, self.key)
        try:
            self._admit()
            with simulator.lock:
                getattr(self, f"_{operation.replace('-', '_')}")()
        except Refusal as refusal:
            self._refuse(refusal.status, refusal.code)
        except _SilenceError:
            simulator.stalled.set()
            simulator.over.wait()
            self.close_connection = True
        except _NoAnswerError:
            self.close_connection = True

    def _admit(self) -> None:
        if self.fault is Fault.FAILS:
            raise Refusal(500, "InternalError")
        if self.fault is Fault.FORBIDDEN:
            raise Refusal(403, "AccessDenied")
        if self.fault is Fault.HANGS:
            raise _SilenceError
        if self.fault is not Fault.ANYBODY and not is_signed(self.command, self.path, self.headers):
            raise Refusal(403, "SignatureDoesNotMatch")

    def _done(self, status: int = 200, body: str = "", *, headers: Headers | None = None) -> None:
        """Answer a change, unless it goes wrong after it was made."""
        if self.fault is Fault.FAILS_AFTERWARDS:
            raise Refusal(500, "InternalError")
        if self.fault is Fault.HANGS_UP_AFTERWARDS:
            raise _NoAnswerError
        if self.fault is Fault.HANGS_AFTERWARDS:
            raise _SilenceError
        self._send(status, body.encode(), headers=headers)

    def _versioning(self) -> None:
        status = "" if self.fault is Fault.NO_VERSIONS else "<Status>Enabled</Status>"
        self._send(200, f"<VersioningConfiguration>{status}</VersioningConfiguration>".encode())

    def _object_lock(self) -> None:
        if self.fault is Fault.NO_LOCK:
            raise Refusal(404, "ObjectLockConfigurationNotFoundError")
        enabled = "<ObjectLockEnabled>Enabled</ObjectLockEnabled>"
        self._send(200, f"<ObjectLockConfiguration>{enabled}</ObjectLockConfiguration>".encode())

    def _versions(self) -> None:
        entries = []
        for key in sorted(self.simulator.bucket.keys):
            if key.startswith(self.query["prefix"]):
                versions = list(reversed(self.simulator.bucket.keys[key]))
                entries += [(key, one, one is versions[0]) for one in versions]
        marker = (self.query.get("key-marker", ""), self.query.get("version-id-marker", ""))
        seen = [number for number, (key, one, _) in enumerate(entries, start=1) if (key, one.version_id) == marker]
        start = seen[0] if seen else 0
        page, more = entries[start : start + 2], entries[start + 2 :]
        text = "".join(_entry(*one) for one in page)
        if more:
            key, last, _ = page[-1]
            text += f"<NextKeyMarker>{key}</NextKeyMarker><NextVersionIdMarker>{last.version_id}</NextVersionIdMarker>"
        truncated = f"<IsTruncated>{'true' if more else 'false'}</IsTruncated>"
        self._send(200, f"<ListVersionsResult>{truncated}{text}</ListVersionsResult>".encode())

    def _put(self) -> None:
        self._admit_condition()
        given = self.headers.get("x-amz-checksum-sha256")
        if self.fault is Fault.NO_ENCRYPTION and "x-amz-server-side-encryption" in self.headers:
            raise Refusal(400, "InvalidArgument")
        if self.fault is Fault.FORGETS:
            return self._done(headers={"x-amz-version-id": "v999999"})
        body = self.body[::-1] if self.fault is Fault.OTHER_CHECKSUM else self.body
        version = LockVersion("", body, self.simulator.now())
        if self.fault is not Fault.OTHER_CHECKSUM and given not in {None, version.checksum}:
            raise Refusal(400, "BadDigest")
        if self.headers.get("Content-MD5") not in {None, version.content_md5}:
            raise Refusal(400, "BadDigest")
        return self._stored(version)

    def _admit_condition(self) -> None:
        if self.headers.get("If-None-Match") != "*" or not self.simulator.knows_conditions:
            return
        if self.fault is Fault.CONFLICT:
            raise Refusal(409, "ConditionalRequestConflict")
        versions = self.simulator.bucket.keys.get(self.key, [])
        if versions and versions[-1].body is not None:
            raise Refusal(412, "PreconditionFailed")

    def _stored(self, version: LockVersion) -> None:
        self.simulator.bucket.add(self.key, version)
        held = self.headers.get("x-amz-object-lock-legal-hold") == "ON"
        version.is_held = held and self.fault is not Fault.NO_LOCK
        version.encryption = self.headers.get("x-amz-server-side-encryption")
        if self.fault is Fault.NO_VERSIONS:
            version.version_id = "null"
        named = None if self.fault is Fault.NO_VERSIONS else version.version_id
        answer = f"<CompleteMultipartUploadResult><ETag>{version.etag}</ETag></CompleteMultipartUploadResult>"
        self._done(body=answer if version.parts else "", headers={"ETag": version.etag, **_shown(version, named)})

    def _head(self) -> None:
        version = self._found()
        body = version.body or b""
        length = len(body) - 1 if self.fault is Fault.SHORTER else len(body)
        self._send(200, None, length=length, headers=self._told(version))

    def _get(self) -> None:
        version = self._found()
        body, status = version.body or b"", 200
        if (wanted := re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))) is not None:
            body, status = body[int(wanted[1]) : int(wanted[2]) + 1], 206
        if self.fault is Fault.OTHER_BYTES:
            body = body[::-1]
        if self.fault is Fault.SHORTER:
            body = body[:-1]
        if self.fault is Fault.CUT:
            self._send(status, None, length=len(body), headers=self._told(version))
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
        elif self.fault is Fault.DRIPS:
            self._send(status, None, length=len(body), headers=self._told(version))
            self._drip(body)
        else:
            self._send(status, body, headers=self._told(version))

    def _drip(self, body: bytes) -> None:
        with suppress(OSError):  # whoever reads may have had enough
            for at in range(len(body)):
                self.simulator.over.wait(0.02)
                self.wfile.write(body[at : at + 1])
        self.close_connection = True

    def _found(self) -> LockVersion:
        return self.simulator.bucket.find(self.key, self.query.get("versionId"))

    def _told(self, version: LockVersion) -> dict[str, str | None]:
        shows = self.headers.get("x-amz-checksum-mode") == "ENABLED" and self.fault is not Fault.NO_CHECKSUM
        return {
            **_shown(version, version.version_id),
            "ETag": version.etag,
            "x-amz-checksum-sha256": version.checksum if shows else None,
            "x-amz-object-lock-legal-hold": "ON" if version.is_held else None,
            "x-amz-object-lock-mode": version.mode,
            "x-amz-object-lock-retain-until-date": None if version.until is None else version.until.isoformat(),
        }

    def _lock(self) -> None:
        text, version = self.body.decode(), self._found()
        mode, until = _tag("Mode", text), _instant(_tag("RetainUntilDate", text))
        if self.fault is Fault.OTHER_DATE and until is not None:
            until -= timedelta(days=1)
        if self.fault is Fault.ANY_DATE:
            version.mode, version.until = mode, until
        elif self.fault is not Fault.NO_LOCK:
            self.simulator.bucket.lock(version, mode, until, now=self.simulator.now())
        self._done()

    def _retention(self) -> None:
        version = self._found()
        if version.until is None:
            raise Refusal(404, "NoSuchObjectLockConfiguration")
        until = f"<RetainUntilDate>{version.until.isoformat()}</RetainUntilDate>"
        self._send(200, f"<Retention><Mode>{version.mode}</Mode>{until}</Retention>".encode())

    def _hold(self) -> None:
        version = self._found()
        if self.fault is not Fault.NO_LOCK:
            version.is_held = _tag("Status", self.body.decode()) == "ON"
        self._done()

    def _delete(self) -> None:
        version_id = self.query.get("versionId")
        if self.fault is Fault.DELETES:
            self.simulator.bucket.keys[self.key].remove(self._found())
        elif self.fault is not Fault.KEEPS:
            self.simulator.bucket.delete(self.key, version_id, now=self.simulator.now())
        self._done(204)

    def _part(self) -> None:
        parts = self.simulator.bucket.uploads[self.query["uploadId"]]
        parts[int(self.query["partNumber"])] = self.body
        self._done(headers={"ETag": f'"{len(self.body)}"'})

    def _begin(self) -> None:
        upload_id = f"u{len(self.simulator.bucket.uploads) + 1}"
        self.simulator.bucket.uploads[upload_id] = {}
        begun = f"<InitiateMultipartUploadResult><UploadId>{upload_id}</UploadId></InitiateMultipartUploadResult>"
        self._done(body=begun)

    def _complete(self) -> None:
        parts = self.simulator.bucket.uploads.pop(self.query["uploadId"])
        body = b"".join(parts[number] for number in sorted(parts))
        self._stored(LockVersion("", body, self.simulator.now(), parts=len(parts)))

    def _abort(self) -> None:
        del self.simulator.bucket.uploads[self.query["uploadId"]]
        self._send(204, b"")

    def _refuse(self, status: int, code: str) -> None:
        said = f"<Error><Code>{code}</Code><Message>{SECRET}</Message></Error>"
        self._send(status, b"" if self.command == "HEAD" else said.encode())

    def _send(
        self, status: int, body: bytes | None, *, length: int | None = None, headers: Headers | None = None
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            if value is not None:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body or b"") if length is None else length))
        self.end_headers()
        if body:
            self.wfile.write(body)


class _NoAnswerError(Exception):
    """The connection is to be closed without a word."""


class _SilenceError(Exception):
    """The connection is to stay open without a word."""


def _shown(version: LockVersion, named: str | None) -> dict[str, str | None]:
    return {"x-amz-version-id": named, "x-amz-server-side-encryption": version.encryption}


def _entry(key: str, version: LockVersion, is_latest: bool) -> str:
    kind = "DeleteMarker" if version.body is None else "Version"
    latest = "true" if is_latest else "false"
    told = f"<VersionId>{version.version_id}</VersionId><LastModified>{version.at.isoformat()}</LastModified>"
    return f"<{kind}><Key>{key}</Key>{told}<IsLatest>{latest}</IsLatest></{kind}>"
