"""One bucket asked from many threads: a client that is made when it is needed, and anew after a fault."""

from collections.abc import Callable
from threading import Lock
from typing import TypeVar

from infra.clock import seconds_running
from infra.s3_client import (
    KeyTakenError,
    NoSuchObjectError,
    S3AwayError,
    S3Client,
    S3Error,
    ShownObject,
    faults_told,
    make_client,
)
from infra.s3_place import S3Place

T = TypeVar("T")


class S3Connection:
    """Threads share the client and its connections.

    It is made anew after a fault: boto3 looks for credentials when it makes one, and those of a file may have been
    replaced since. Every question raises what `faults_told` does.
    """

    def __init__(self, place: S3Place, *, timeout_s: float) -> None:
        self._place = place
        self._timeout_s = timeout_s
        self._client: S3Client | None = None
        self._connecting = Lock()

    def ask(self, question: Callable[[S3Client], T]) -> T:
        """Return the answer to what may be asked twice; once more after a fault, which may be a stale connection.

        Not after a time-out: a store that hangs would keep its caller twice as long.
        """
        began = seconds_running()
        try:
            return self.ask_once(question)
        except S3AwayError:
            if seconds_running() - began >= self._timeout_s:
                raise
            return self.ask_once(question)

    def ask_once(self, question: Callable[[S3Client], T]) -> T:
        """Return the answer to what must not be asked again before somebody has looked."""
        client = self._connected()
        try:
            with faults_told():
                return question(client)
        except (NoSuchObjectError, KeyTakenError):
            raise
        except S3Error:
            self._forget(client)
            raise

    def head(self, where: dict[str, str]) -> ShownObject:
        """Return what is told of an object without its bytes."""
        try:
            return self._head(where)
        except S3AwayError:
            raise
        except S3Error as error:
            # The answer to HEAD has no words: this one says why.
            self.ask(lambda client: client.get_object(**where))["Body"].close()
            if not isinstance(error, NoSuchObjectError):
                raise
        return self._head(where)  # somebody has put it in between

    def head_if_any(self, where: dict[str, str]) -> ShownObject | None:
        """Return the same, None if HEAD finds nothing: for who then puts, and is told by that what is wrong."""
        try:
            return self._head(where)
        except NoSuchObjectError:
            return None
        except S3AwayError:
            raise
        except S3Error:
            return self.head(where)

    def _head(self, where: dict[str, str]) -> ShownObject:
        return self.ask(lambda client: client.head_object(**where, ChecksumMode="ENABLED"))

    def close(self) -> None:
        """Give back what is open; the next question opens anew."""
        with self._connecting:
            if self._client is not None:
                self._client.close()
            self._client = None

    def _connected(self) -> S3Client:
        with self._connecting:
            if self._client is None:
                self._client = make_client(self._place, timeout_s=self._timeout_s, attempts=1)
            return self._client

    def _forget(self, client: S3Client) -> None:
        with self._connecting:
            if self._client is client:
                self._client = None
        client.close()
