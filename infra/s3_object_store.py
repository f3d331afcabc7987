"""Objects in a bucket with versioning and Object Lock. Nothing that it acknowledged counts before it is read back.

What protects an object is COMPLIANCE, which nobody's credentials can shorten, and legal hold; GOVERNANCE, which some
credentials pass by, counts as no lock. Reads are by version: a marker over a key hides nothing from us.
"""

import hashlib
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from threading import Lock

from infra.clock import Clock, seconds_running
from infra.object_store import (
    PIECE_BYTES,
    SMALL_BYTES,
    Content,
    NoSuchVersionError,
    ObjectStoreError,
    ProbeRow,
    StoredObject,
    StoredVersion,
    UntrueStoreError,
    VersionLockedError,
    check_key,
    check_lock,
    check_span,
    lock_end,
    read_if_small,
)
from infra.s3_client import (
    BodyStream,
    GotObject,
    KeyTakenError,
    ListedVersions,
    NoSuchObjectError,
    S3AwayError,
    S3Error,
    ShownObject,
    faults_told,
)
from infra.s3_condition import ONLY_NEW, puts_only_new
from infra.s3_connection import S3Connection
from infra.s3_place import S3Place
from infra.s3_probe import probe_bucket
from infra.s3_upload import LARGEST_PUT_BYTES, Sent, upload

TIMEOUT_S = 20.0
_PIECE_TIMEOUTS = 3
"""So many time-outs may pass until a piece is there: a connection that drips never runs into one by itself."""

_COMPLIANCE = "COMPLIANCE"
_SHA256_BYTES = 32
_INSTANT = "%Y-%m-%dT%H:%M:%SZ"
_ENCRYPTED = {"ServerSideEncryption": "AES256"}
_NO_ENCRYPTION = {400, 501}


class S3ObjectStore:
    """An `ObjectStore` in a bucket; safe for threads."""

    def __init__(
        self,
        place: S3Place,
        *,
        clock: Clock,
        timeout_s: float = TIMEOUT_S,
        largest_put_bytes: int = LARGEST_PUT_BYTES,
    ) -> None:
        self._place = place
        self._clock = clock
        self._connection = S3Connection(place, timeout_s=timeout_s)
        self._timeout_s = timeout_s
        self._piece_s = timeout_s * _PIECE_TIMEOUTS
        self._largest_put_bytes = largest_put_bytes
        self._encrypts = True
        self._is_worm = False
        self._is_careful: bool | None = None
        self._trying = Lock()

    @property
    def name(self) -> str:
        return str(self._place)

    @property
    def is_worm(self) -> bool:
        return self._is_worm

    def put(self, key: str, content: Content, *, is_held: bool) -> StoredObject:
        sent = Sent(content, read_if_small(content, most_bytes=min(SMALL_BYTES, self._largest_put_bytes)))
        with self._told(key, "written"):
            # What is large is not sent before it is known to be wanted.
            condition = ONLY_NEW if sent.body is not None and self._puts_only_new() else {}
            if not condition and (found := self._same(key, content, is_held=is_held)) is not None:
                return found
            try:
                version_id = self._upload(key, sent, condition, is_held=is_held)
            except (KeyTakenError, S3AwayError):
                # It may have been taken all the same, and a second version would be locked as well, for years.
                if (found := self._same(key, content, is_held=is_held)) is not None:
                    return found
                version_id = self._upload(key, sent, {}, is_held=is_held)
            return self._as_put(key, version_id, content, is_held=is_held)

    def head(self, key: str, version_id: str) -> StoredObject:
        with self._told(key, "read"):
            return self._shown(key, version_id)

    def read(self, key: str, version_id: str, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        check_span(start, end)
        with self._told(key, "read"):
            size_bytes = self._shown(key, version_id).size_bytes
            last = size_bytes if end is None else min(end, size_bytes)
            if start >= last:
                return iter(())
            where = self._where(key, VersionId=version_id)
            if (start, last) != (0, size_bytes):
                where["Range"] = f"bytes={start}-{last - 1}"
            got = self._connection.ask(lambda client: client.get_object(**where))
            return self._pieces(key, got, last - start)

    def set_retention(self, key: str, version_id: str, until: datetime) -> StoredObject:
        whole = lock_end(until)
        with self._told(key, "written"):
            shown = self._shown(key, version_id)
            if shown.retain_until == whole:
                return shown
            check_lock(key, shown.retain_until, whole, now=self._clock())
            lock = {"Mode": _COMPLIANCE, "RetainUntilDate": whole}
            where = self._where(key, VersionId=version_id)
            try:
                self._connection.ask(lambda client: client.put_object_retention(**where, Retention=lock))
            except S3AwayError:
                raise
            except S3Error:
                # Somebody may have locked it for longer since.
                check_lock(key, self._shown(key, version_id).retain_until, whole, now=self._clock())
                raise
            return self._as_locked(key, version_id, whole)

    def set_hold(self, key: str, version_id: str, *, is_held: bool) -> StoredObject:
        with self._told(key, "written"):
            shown = self._shown(key, version_id)
            if shown.is_held == is_held:
                return shown
            where = self._where(key, VersionId=version_id)
            hold = {"Status": "ON" if is_held else "OFF"}
            self._connection.ask(lambda client: client.put_object_legal_hold(**where, LegalHold=hold))
            shown = self._shown(key, version_id)
        if shown.is_held != is_held:
            raise self._untrue(key, version_id, f"the hold to be {'on' if is_held else 'off'}", "the opposite")
        return shown

    def versions(self, key: str) -> list[StoredVersion]:
        with self._told(key, "read"):
            pages = list(self._pages(key))
        found = [(one, False) for page in pages for one in page.get("Versions", [])]
        found += [(one, True) for page in pages for one in page.get("DeleteMarkers", [])]
        found.sort(key=lambda one: (one[0]["IsLatest"], one[0]["LastModified"]), reverse=True)
        name = self._place.key(key)
        return [
            StoredVersion(one["VersionId"], one["IsLatest"], is_marker)
            for one, is_marker in found
            if one["Key"] == name
        ]

    def delete_version(self, key: str, version_id: str) -> None:
        with self._told(key, "written"):
            self._check_free(key, version_id)
            where = self._where(key, VersionId=version_id)
            try:
                self._connection.ask(lambda client: client.delete_object(**where))
            except NoSuchObjectError:
                return
            except S3AwayError:
                raise
            except S3Error as error:
                if error.status == HTTPStatus.FORBIDDEN and self._is_protected(where):
                    raise VersionLockedError(
                        f"{self.name} says that version {version_id} of {key} is locked"
                    ) from error
                raise
        if any(one.version_id == version_id for one in self.versions(key)):
            raise self._untrue(key, version_id, "it to be gone", "that it is there")

    def probe(self) -> list[ProbeRow]:
        self._is_worm = False
        try:
            rows = probe_bucket(self._place, now=self._clock(), timeout_s=self._timeout_s)
        except S3Error as error:
            raise ObjectStoreError(f"{self.name} cannot be probed: {error}") from error
        self._is_worm = all(row.is_ok for row in rows if row.is_needed)
        return rows

    def close(self) -> None:
        self._connection.close()

    def _same(self, key: str, content: Content, *, is_held: bool) -> StoredObject | None:
        """Return the latest version if it has these bytes, proven by reading them, and this hold."""
        try:
            shown = self._connection.head_if_any(self._where(key))
        except NoSuchObjectError:
            return None
        if shown is None:
            return None
        found = self._object(key, shown)
        alike = (found.size_bytes, found.is_held) == (content.size_bytes, is_held)
        if not alike or found.sha256 not in {None, content.sha256}:
            return None
        return found if self._hashed(key, found.version_id) == content.sha256 else None

    def _puts_only_new(self) -> bool:
        """Whether the store puts only what is not there, if asked to. One thread tries it, others wait no longer."""
        if self._is_careful is None and self._trying.acquire(timeout=self._timeout_s):
            try:
                if self._is_careful is None:
                    self._is_careful = self._connection.ask(lambda client: puts_only_new(client, self._place))
            finally:
                self._trying.release()
        return self._is_careful is True

    def _upload(self, key: str, sent: Sent, condition: Mapping[str, str], *, is_held: bool) -> str:
        headers = {"ChecksumAlgorithm": "SHA256", "ContentType": "application/octet-stream", **condition}
        if is_held:  # a bucket without Object Lock refuses the header, which must not be missed where it is needed
            headers["ObjectLockLegalHoldStatus"] = "ON"
        send = partial(self._send, key, sent)
        if not self._encrypts:
            return send(headers)
        try:
            return send(headers | _ENCRYPTED)
        except S3Error as error:
            if error.status not in _NO_ENCRYPTION:
                raise
            version_id = send(headers)
            self._encrypts = False
            return version_id

    def _send(self, key: str, sent: Sent, headers: dict[str, str]) -> str:
        return self._connection.ask_once(
            lambda client: upload(
                client, self._where(key), sent, headers=headers, largest_put_bytes=self._largest_put_bytes
            )
        )

    def _as_put(self, key: str, version_id: str, content: Content, *, is_held: bool) -> StoredObject:
        try:
            shown = self._shown(key, version_id)
        except NoSuchObjectError:
            raise self._untrue(key, version_id, "what it had acknowledged", "no such version") from None
        if shown.size_bytes != content.size_bytes:
            raise self._untrue(key, version_id, f"{content.size_bytes} bytes", str(shown.size_bytes))
        if shown.is_held != is_held:
            raise self._untrue(
                key,
                version_id,
                f"the hold to be {'on' if is_held else 'off'}",
                "the opposite (or these credentials lack s3:GetObjectLegalHold)",
            )
        if (shown.sha256 or self._hashed(key, version_id)) != content.sha256:
            raise self._untrue(key, version_id, "the SHA-256 of what was sent", "another")
        return shown

    def _as_locked(self, key: str, version_id: str, until: datetime) -> StoredObject:
        shown = self._shown(key, version_id)
        where = self._where(key, VersionId=version_id)
        told = self._connection.ask(lambda client: client.get_object_retention(**where)).get("Retention", {})
        dates = [shown.retain_until, told.get("RetainUntilDate") if told.get("Mode") == _COMPLIANCE else None]
        if any(one is None or one < until for one in dates):
            raise self._untrue(
                key,
                version_id,
                f"COMPLIANCE until {until:{_INSTANT}}",
                "less (or these credentials lack s3:GetObjectRetention)",
            )
        if dates != [until, until]:  # somebody has extended it in between
            raise VersionLockedError(
                f"version {version_id} of {key} is locked for longer than {until:{_INSTANT}} by now"
            )
        return shown

    def _shown(self, key: str, version_id: str) -> StoredObject:
        shown = self._object(key, self._connection.head(self._where(key, VersionId=version_id)))
        if shown.version_id != version_id:
            raise self._untrue(key, version_id, "this version", "another")
        return shown

    def _object(self, key: str, shown: ShownObject) -> StoredObject:
        until = shown.get("ObjectLockRetainUntilDate") if shown.get("ObjectLockMode") == _COMPLIANCE else None
        return StoredObject(
            key=key,
            version_id=shown.get("VersionId", ""),
            size_bytes=shown.get("ContentLength", -1),
            sha256=_whole_sha256(shown),
            is_held=shown.get("ObjectLockLegalHoldStatus") == "ON",
            retain_until=None if until is None else until.astimezone(UTC),
        )

    def _hashed(self, key: str, version_id: str) -> bytes:
        found = hashlib.sha256()
        for piece in self.read(key, version_id):
            found.update(piece)
        return found.digest()

    def _pieces(self, key: str, got: GotObject, left: int) -> Iterator[bytes]:
        announced = got["ContentLength"]
        with got["Body"] as stream:
            while left > 0:
                with self._told(key, "read"), faults_told():
                    piece = _next_piece(stream, min(PIECE_BYTES, left), within_s=self._piece_s)
                    announced -= len(piece)
                    if not piece and announced > 0:
                        raise S3AwayError("it breaks off; see what lies between")
                if not piece:
                    raise UntrueStoreError(f"{key} in {self.name} ends {left} bytes too early; repair it from a copy")
                left -= len(piece)
                yield piece

    def _is_protected(self, where: dict[str, str]) -> bool:
        """Whether a version has any lock, GOVERNANCE too, or one that has ended by our clock and not by the store's."""
        shown = self._connection.head(where)
        return "ObjectLockMode" in shown or shown.get("ObjectLockLegalHoldStatus") == "ON"

    def _pages(self, key: str) -> Iterator[ListedVersions]:
        """Yield the pages of the bucket's list of versions that name this key."""
        name = self._place.key(key)
        where = {"Bucket": self._place.bucket, "Prefix": name}
        is_last = False
        while not is_last:
            page = self._connection.ask(lambda client: client.list_object_versions(**where))  # noqa: B023 - called at once
            yield page
            # Names are listed in order, and of those with this prefix it is the first.
            is_last = not page.get("IsTruncated") or page.get("NextKeyMarker") != name
            where |= {"KeyMarker": name, "VersionIdMarker": page.get("NextVersionIdMarker", "")}

    def _check_free(self, key: str, version_id: str) -> None:
        """Raise VersionLockedError if the store shows a lock; what is not there has none, nor has a marker."""
        try:
            shown = self._shown(key, version_id)
        except NoSuchObjectError:
            return
        if shown.is_held:
            raise VersionLockedError(f"version {version_id} of {key} is on hold; release the hold first")
        if shown.retain_until is not None and self._clock() < shown.retain_until:
            raise VersionLockedError(f"version {version_id} of {key} is locked until {shown.retain_until:{_INSTANT}}")

    def _where(self, key: str, **more: str) -> dict[str, str]:
        check_key(key)
        return {"Bucket": self._place.bucket, "Key": self._place.key(key), **more}

    def _untrue(self, key: str, version_id: str, expected: str, got: str) -> UntrueStoreError:
        return UntrueStoreError(
            f"{self.name} was to show {expected} for version {version_id} of {key}, and shows {got};"
            " rely on nothing that it says before telesales store probe finds it well"
        )

    @contextmanager
    def _told(self, key: str, done: str) -> Iterator[None]:
        try:
            yield
        except NoSuchObjectError as error:
            raise NoSuchVersionError(f"{self.name} has no such version of {key}") from error
        except S3Error as error:
            raise ObjectStoreError(f"{self.name} cannot be {done}: {error}") from error


def _next_piece(stream: BodyStream, most_bytes: int, *, within_s: float) -> bytes:
    """Return the next bytes, fewer than `most_bytes` only at the end.

    Raises:
        S3AwayError: they did not come within `within_s` seconds.
    """
    ends, piece = seconds_running() + within_s, bytearray()
    while len(piece) < most_bytes and (came := stream.read1(most_bytes - len(piece))):
        piece += came
        if seconds_running() >= ends and len(piece) < most_bytes:
            raise S3AwayError("it sends too slowly; see what lies between")
    return bytes(piece)


def _whole_sha256(shown: ShownObject) -> bytes | None:
    """Return the checksum of all bytes; that of an upload in parts, whose ETag has their number, is not one."""
    if "-" in shown.get("ETag", ""):
        return None
    try:
        found = b64decode(shown.get("ChecksumSHA256", ""), validate=True)
    except Base64Error:
        return None
    return found if len(found) == _SHA256_BYTES else None
