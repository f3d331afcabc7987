"""Checkpoints in a bucket of an object store, under the names that they have in a directory.

With Object Lock or versioning an overwritten object is a new version, and the old ones stay; without, it is replaced
whole. Either way only what was read back counts as written.
"""

import hashlib
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date, datetime

from compliance.checkpoint_stores import KEYS_NAME, LONGEST_NOTE, NEWEST_NAME, OutsideStoreError, day_name
from compliance.shanghai import shanghai_day
from infra.s3_client import NoSuchObjectError, S3Client, S3Error, faults_told, make_client
from infra.s3_place import S3Place

TIMEOUT_S = 1.5


class CheckpointBucket:
    """Checkpoints in a bucket.

    The client is made when it is first needed, and anew after a fault: boto3 looks for credentials when it makes one,
    and those of a file may have been replaced since.
    """

    def __init__(self, place: S3Place, *, timeout_s: float = TIMEOUT_S) -> None:
        self._place = place
        self._timeout_s = timeout_s
        self._client: S3Client | None = None

    def newest(self) -> str | None:
        return self._note(NEWEST_NAME)

    def of_day(self, day: date) -> str | None:
        return self._note(day_name(day))

    def _note(self, name: str) -> str | None:
        with self._trouble("read"):
            found = self._get(name)
        return None if found is None else found.decode(errors="replace")

    def put(self, note: str, *, sealed_at: datetime) -> None:
        with self._trouble("written"):
            self._put(day_name(shanghai_day(sealed_at)), note.encode(), kind="text/plain; charset=utf-8")
            self._put(NEWEST_NAME, note.encode(), kind="text/plain; charset=utf-8")

    def put_keys(self, text: str) -> None:
        with self._trouble("written"):
            if self._get(KEYS_NAME) != text.encode():
                self._put(KEYS_NAME, text.encode(), kind="application/json")

    def _get(self, name: str) -> bytes | None:
        """Return the first bytes of an object, None if the store says that there is none."""
        try:
            with faults_told():
                answer = self._connected().get_object(Bucket=self._place.bucket, Key=self._place.key(name))
                with closing(answer["Body"]) as body:
                    found = body.read(LONGEST_NOTE)
        except NoSuchObjectError:
            return None
        # A body whose length was not announced may have been cut off, and nobody would see it.
        if len(found) != min(answer.get("ContentLength", -1), LONGEST_NOTE):
            raise S3Error("it sent less than it announced, or announced nothing; see what lies between")
        return found

    def _put(self, name: str, content: bytes, *, kind: str) -> None:
        checksum = b64encode(hashlib.sha256(content).digest()).decode()
        with faults_told():
            self._connected().put_object(
                Bucket=self._place.bucket,
                Key=self._place.key(name),
                Body=content,
                ContentType=kind,
                ChecksumAlgorithm="SHA256",
                ChecksumSHA256=checksum,
            )
        # The newest version and not that of the answer: it is what will be compared with the tree. Another process
        # that put its own in between makes this an error too, and the next sealing puts it right.
        if self._get(name) != content:
            raise S3Error(f"it took {name} and gives something else back; see that nobody else writes there")

    def _connected(self) -> S3Client:
        if self._client is None:
            self._client = make_client(self._place, timeout_s=self._timeout_s)
        return self._client

    @contextmanager
    def _trouble(self, done: str) -> Iterator[None]:
        try:
            yield
        except S3Error as error:
            if self._client is not None:
                self._client.close()
                self._client = None
            message = f"the outside checkpoints in {self._place} (CHECKPOINTS_URL) cannot be {done}: {error}"
            raise OutsideStoreError(message) from error
