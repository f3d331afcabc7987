"""Clients of object stores that speak S3, and what is wrong when one fails, in words for an operator.

Nothing here trusts a store's 200: who puts an object reads it back. boto3 takes a third of a second and 40 MB to load
and to make a client, so that this module is imported only where a bucket is configured.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, TypedDict

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    SSLError,
)
from urllib3.exceptions import HTTPError

from infra.s3_place import S3Place

_ATTEMPTS = 2
"""One more than one: a store may have closed the connection that lay ready."""

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
    """An object store cannot be reached or refuses; of what it said, the message has the code alone."""


class NoSuchObjectError(S3Error, LookupError):
    """The bucket is there and answers, and has no object of this name."""


class ObjectBody(Protocol):
    def read(self, amt: int | None = None) -> bytes: ...
    def close(self) -> None: ...


class GotObject(TypedDict):
    """Of the answer to GetObject, what is used."""

    Body: ObjectBody
    ContentLength: int


class S3Client(Protocol):
    """Of boto3's client, which has no types, what is used."""

    def get_object(self, *, Bucket: str, Key: str) -> GotObject: ...  # noqa: N803 - boto3's names
    def put_object(self, **request: str | bytes) -> object: ...
    def close(self) -> None: ...


def make_client(place: S3Place, *, timeout_s: float) -> S3Client:
    """Return a client of its own session, with what boto3's chain finds as credentials now.

    `timeout_s` is how long it waits for a connection, and for each piece of an answer, in each of two attempts:
    whoever must not wait longer bounds the whole of it, name resolution included.

    Raises:
        S3Error: profile or configuration of boto3 cannot be used.
    """
    config = Config(
        connect_timeout=timeout_s,
        read_timeout=timeout_s,
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        # Checksums as trailers, boto3's default, are refused by older stores; ours are ready before the request.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        # A store of one's own seldom has a name for each bucket; Amazon wants one.
        s3={"payload_signing_enabled": True, "addressing_style": "path" if place.endpoint else "auto"},
    )
    try:
        session = boto3.session.Session()
        client: S3Client = session.client("s3", endpoint_url=place.endpoint, region_name=place.region, config=config)
    except (BotoCoreError, OSError, ValueError) as error:
        raise S3Error(f"boto3 cannot use its configuration ({type(error).__name__}); {_CREDENTIALS}") from error
    return client


@contextmanager
def faults_told() -> Iterator[None]:
    """Turn whatever boto3 raises inside into one error that says what to do.

    Raises:
        NoSuchObjectError: the store says that it has no such object.
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
    except (BotoCoreError, HTTPError, OSError) as error:
        # The text of these quotes addresses at most; their kind says what there is to say.
        raise S3Error(f"it does not answer as it should ({type(error).__name__}); see that it runs") from error


def _refusal(error: ClientError) -> S3Error:
    said = error.response.get("Error", {}).get("Code", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = said if _CODE.fullmatch(said) else "no code"
    if status >= _FIRST_SERVER_FAULT:
        return S3Error(f"it fails ({status} {code}); see its own log")
    if code == str(status):  # boto3's own, where the body is no answer of a store
        return S3Error(f"what answers ({status}) does not speak S3; correct the endpoint in the URL")
    if code == "NoSuchKey":
        return NoSuchObjectError("there is no such object")
    return S3Error(f"it refuses ({status} {code}); {_ADVICE.get(code, 'see its own log')}")
