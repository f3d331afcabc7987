"""Clients of object stores that speak S3, and what is wrong when one fails, in words for an operator.

Nothing here trusts a store's 200: who puts an object reads it back. boto3 takes a third of a second and 40 MB to load
and to make a client, so that this module is imported only where a bucket is configured.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from enum import Enum, auto
from http import HTTPStatus
from typing import Any, Protocol, TypeAlias, TypedDict

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
    ResponseStreamingError,
    SSLError,
)
from urllib3.exceptions import HTTPError, ProtocolError

from infra.s3_place import S3Place

_ATTEMPTS = 2
"""One more than one: a store may have closed the connection that lay ready."""

_CONNECTIONS = 32

_CODE = re.compile(r"[A-Za-z0-9.]{1,64}", re.ASCII)
_FIRST_SERVER_FAULT = 500
_CREDENTIALS = (
    "check what boto3 finds: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or the role of the machine"
)
_ADVICE = {
    "NoSuchBucket": "there is no such bucket; make it, or correct the URL",
    "AccessDenied": "give these credentials s3:GetObject and s3:PutObject on it, and s3:ListBucket on the bucket,"
    " without which a missing object cannot be told from a forbidden one",
    "InvalidAccessKeyId": _CREDENTIALS,
    "SignatureDoesNotMatch": _CREDENTIALS,
    "ExpiredToken": _CREDENTIALS,
    "InvalidToken": _CREDENTIALS,
    "RequestTimeTooSkewed": "set the clock of this machine or of the store",
    "AuthorizationHeaderMalformed": "name the bucket's region in the URL, ?region=",
    "PermanentRedirect": "name the bucket's region or endpoint in the URL",
}


class S3Error(RuntimeError):
    """An object store cannot be reached or refuses; of what it said, the message has the code alone.

    `status` is that of its answer, 0 if there was none.
    """

    def __init__(self, message: str, *, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class S3AwayError(S3Error):
    """It cannot be reached, fails, or broke off: what was asked for may have been done all the same."""


class NoSuchObjectError(S3Error, LookupError):
    """The bucket is there and answers, and has no object, or no version of one, of this name."""


class KeyTakenError(S3Error):
    """What was to be put only where nothing is was not put: there is something, or somebody is putting it now."""


class Caller(Enum):
    """As whom a client asks: as ourselves, or as somebody who must be refused."""

    WE = auto()
    NOBODY = auto()
    FORGER = auto()
    """With our key and another secret."""


class BodyStream(Protocol):
    """Bytes as they come in."""

    def read1(self, amt: int) -> bytes: ...


class ObjectBody(Protocol):
    def read(self, amt: int | None = None) -> bytes: ...
    def close(self) -> None: ...
    def __enter__(self) -> BodyStream: ...
    def __exit__(self, *error: object) -> None: ...


class GotObject(TypedDict):
    """Of the answer to GetObject, what is used."""

    Body: ObjectBody
    ContentLength: int


class ShownObject(TypedDict, total=False):
    """Of the answer to HeadObject, what is used."""

    ContentLength: int
    VersionId: str
    ETag: str
    ChecksumSHA256: str
    ServerSideEncryption: str
    ObjectLockMode: str
    ObjectLockRetainUntilDate: datetime
    ObjectLockLegalHoldStatus: str


class Retention(TypedDict, total=False):
    Mode: str
    RetainUntilDate: datetime


class ShownRetention(TypedDict, total=False):
    Retention: Retention


class ListedVersion(TypedDict, total=False):
    """An entry of ListObjectVersions: a version, or a marker."""

    Key: str
    VersionId: str
    IsLatest: bool
    LastModified: datetime


class ListedVersions(TypedDict, total=False):
    Versions: list[ListedVersion]
    DeleteMarkers: list[ListedVersion]
    IsTruncated: bool
    NextKeyMarker: str
    NextVersionIdMarker: str


Told: TypeAlias = Mapping[str, Any]
"""An answer of which a word or two are read, as boto3 gives it."""


class S3Client(Protocol):
    """Of boto3's client, which has no types, what is used."""

    def get_object(self, **request: str) -> GotObject: ...
    def put_object(self, **request: object) -> Told: ...
    def head_object(self, **request: str) -> ShownObject: ...
    def delete_object(self, **request: str) -> Told: ...
    def list_object_versions(self, **request: str) -> ListedVersions: ...
    def get_object_retention(self, **request: str) -> ShownRetention: ...
    def put_object_retention(self, **request: object) -> Told: ...
    def put_object_legal_hold(self, **request: object) -> Told: ...
    def create_multipart_upload(self, **request: str) -> Told: ...
    def upload_part(self, **request: object) -> Told: ...
    def complete_multipart_upload(self, **request: object) -> Told: ...
    def abort_multipart_upload(self, **request: str) -> Told: ...
    def get_bucket_versioning(self, **request: str) -> Told: ...
    def get_object_lock_configuration(self, **request: str) -> Told: ...
    def close(self) -> None: ...


def make_client(place: S3Place, *, timeout_s: float, attempts: int = _ATTEMPTS, caller: Caller = Caller.WE) -> S3Client:
    """Return a client of its own session, with what boto3's chain finds as credentials now.

    `timeout_s` is how long it waits for a connection, and for each piece of an answer, in each of its attempts:
    whoever must not wait longer bounds the whole of it, name resolution included.

    Raises:
        S3Error: profile or configuration of boto3 cannot be used.
    """
    config = Config(
        connect_timeout=timeout_s,
        read_timeout=timeout_s,
        retries={"mode": "standard", "total_max_attempts": attempts},
        max_pool_connections=_CONNECTIONS,
        signature_version=UNSIGNED if caller is Caller.NOBODY else None,
        # Checksums as trailers, boto3's default, are refused by older stores; ours are ready before the request.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        # A store of one's own seldom has a name for each bucket; Amazon wants one.
        s3={"payload_signing_enabled": True, "addressing_style": "path" if place.endpoint else "auto"},
    )
    try:
        session = boto3.session.Session()
        credentials = _forged(session) if caller is Caller.FORGER else {}
        client: S3Client = session.client(
            "s3", endpoint_url=place.endpoint, region_name=place.region, config=config, **credentials
        )
    except (BotoCoreError, OSError, ValueError) as error:
        raise S3Error(f"boto3 cannot use its configuration ({type(error).__name__}); {_CREDENTIALS}") from error
    return client


def _forged(session: boto3.session.Session) -> dict[str, str]:
    found = session.get_credentials()
    if found is None:
        raise S3Error(f"there are no credentials; {_CREDENTIALS}")
    return {
        "aws_access_key_id": found.access_key,
        "aws_secret_access_key": "0" * 40,
        **({"aws_session_token": found.token} if found.token else {}),
    }


@contextmanager
def faults_told() -> Iterator[None]:
    """Turn whatever boto3 raises inside into one error that says what to do.

    Raises:
        NoSuchObjectError: the store says that it has no such object.
        KeyTakenError: it has one, and was asked to put it only if not.
        S3AwayError: it failed, broke off, or did not answer.
        S3Error: anything else.
    """
    try:
        yield
    except ClientError as error:
        raise _refusal(error) from error
    except (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError) as error:
        raise S3Error(f"there are no credentials ({type(error).__name__}); {_CREDENTIALS}") from error
    except SSLError as error:
        raise S3Error(
            "its TLS cannot be trusted; name a file with the authority of its certificate in AWS_CA_BUNDLE, or correct"
            " the endpoint in the URL"
        ) from error
    except (IncompleteReadError, ProtocolError, ResponseStreamingError) as error:
        raise S3AwayError(f"it breaks off ({type(error).__name__}); see what lies between") from error
    except (BotoCoreError, HTTPError, OSError) as error:
        # The text of these quotes addresses at most; their kind says what there is to say.
        raise S3AwayError(f"it does not answer as it should ({type(error).__name__}); see that it runs") from error


def _refusal(error: ClientError) -> S3Error:
    said = error.response.get("Error", {}).get("Code", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = said if _CODE.fullmatch(said) else "no code"
    if status >= _FIRST_SERVER_FAULT and status != HTTPStatus.NOT_IMPLEMENTED:
        return S3AwayError(f"it fails ({status} {code}); see its own log", status=status)
    if error.operation_name == "PutObject" and status in {HTTPStatus.PRECONDITION_FAILED, HTTPStatus.CONFLICT}:
        return KeyTakenError(f"there is such an object already ({status} {code})", status=status)
    if error.operation_name == "HeadObject" and status in {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}:
        return NoSuchObjectError("there is no such object, or no such bucket: a HEAD has no words", status=status)
    if code == str(status):  # boto3's own, where the body is no answer of a store
        return S3Error(f"what answers ({status}) does not speak S3; correct the endpoint in the URL", status=status)
    is_marker = status == HTTPStatus.METHOD_NOT_ALLOWED and error.operation_name == "GetObject"
    if code in {"NoSuchKey", "NoSuchVersion"} or is_marker:
        return NoSuchObjectError("there is no such object", status=status)
    return S3Error(f"it refuses ({status} {code}); {_ADVICE.get(code, 'see its own log')}", status=status)
