"""A bucket with versions and Object Lock in memory: what Amazon documents, and nothing of HTTP."""

import hashlib
from base64 import b64encode
from dataclasses import dataclass, field
from datetime import datetime


class Refusal(Exception):  # noqa: N818 - an answer, not a fault
    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status, self.code = status, code


@dataclass(slots=True)
class LockVersion:
    """`body` None: a marker."""

    version_id: str
    body: bytes | None
    at: datetime
    is_held: bool = False
    mode: str | None = None
    until: datetime | None = None
    encryption: str | None = None
    parts: int = 0
    hashed: bytes | None = None
    """The body of which the digests are known: a store hashes what it is given once, not whenever it is asked."""
    digests: tuple[bytes, bytes] = (b"", b"")

    @property
    def checksum(self) -> str:
        return b64encode(self._hashed()[0]).decode()

    @property
    def content_md5(self) -> str:
        return b64encode(self._hashed()[1]).decode()

    @property
    def etag(self) -> str:
        digest = self._hashed()[1].hex()
        return f'"{digest}-{self.parts}"' if self.parts else f'"{digest}"'

    def _hashed(self) -> tuple[bytes, bytes]:
        """Return SHA-256 and MD5 of the body."""
        body = self.body or b""
        if self.hashed is not body:
            self.hashed = body
            self.digests = hashlib.sha256(body).digest(), hashlib.md5(body, usedforsecurity=False).digest()
        return self.digests


@dataclass(slots=True)
class LockBucket:
    """Keys with their versions, oldest first."""

    keys: dict[str, list[LockVersion]] = field(default_factory=dict)
    uploads: dict[str, dict[int, bytes]] = field(default_factory=dict)
    made: int = 0

    def add(self, key: str, version: LockVersion) -> LockVersion:
        """Put a version over those that are there, and name it."""
        self.made += 1
        version.version_id = f"v{self.made:06}"
        self.keys.setdefault(key, []).append(version)
        return version

    def find(self, key: str, version_id: str | None) -> LockVersion:
        versions = self.keys.get(key, [])
        if version_id is None:
            if not versions or versions[-1].body is None:
                raise Refusal(404, "NoSuchKey")
            return versions[-1]
        found = next((one for one in versions if one.version_id == version_id), None)
        if found is None:
            raise Refusal(404, "NoSuchVersion")
        if found.body is None:
            raise Refusal(405, "MethodNotAllowed")
        return found

    def lock(self, version: LockVersion, mode: str | None, until: datetime | None, *, now: datetime) -> None:
        if (mode is None) != (until is None):
            raise Refusal(400, "MalformedXML")
        if until is not None and until <= now:
            raise Refusal(400, "InvalidArgument")
        is_fixed = version.mode == "COMPLIANCE" and version.until is not None and version.until > now
        if is_fixed and (mode != "COMPLIANCE" or until is None or until < (version.until or now)):
            raise Refusal(403, "AccessDenied")
        version.mode, version.until = mode, until

    def delete(self, key: str, version_id: str | None, *, now: datetime) -> None:
        if version_id is None:
            self.add(key, LockVersion("", None, now))
            return
        for version in [one for one in self.keys.get(key, []) if one.version_id == version_id]:
            if version.is_held or (version.until is not None and version.until > now):
                raise Refusal(403, "AccessDenied")
            self.keys[key].remove(version)
