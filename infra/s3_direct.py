"""PUT and HEAD of an object, signed and sent without what boto3 puts between the two.

Of a request's Python, in which no other thread runs, boto3 spends two thirds on checks of parameters, rules for
endpoints, hooks and parsing of answers, and it hashes a body whose hash is known. Signature and transport are
botocore's own, of the client that all else goes by: its credentials, TLS, proxies, time-outs and errors. Only for
places that name their endpoint, whose addresses need no rules; what is not understood here is asked by boto3 instead.
"""

import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import quote

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError
from botocore.utils import parse_timestamp

from infra.s3_client import S3Client, S3Error, ShownObject, Told, open_client
from infra.s3_place import S3Place

_NO_BYTES_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
_CODE = re.compile(rb"<Code>([^<]{1,64})</Code>")

_PUT_HEADERS = {
    "ChecksumAlgorithm": "x-amz-sdk-checksum-algorithm",
    "ChecksumSHA256": "x-amz-checksum-sha256",
    "ContentType": "Content-Type",
    "IfNoneMatch": "If-None-Match",
    "ObjectLockLegalHoldStatus": "x-amz-object-lock-legal-hold",
    "ServerSideEncryption": "x-amz-server-side-encryption",
}
_PUT_REQUEST = {"Bucket", "Key", "Body", "ContentLength", *_PUT_HEADERS}
_HEAD_REQUEST = {"Bucket", "Key", "VersionId", "ChecksumMode"}
_ANSWER: Mapping[str, tuple[str, Callable[[str], object]]] = {
    "ContentLength": ("content-length", lambda said: int(said) if said.isdecimal() else -1),
    "VersionId": ("x-amz-version-id", str),
    "ETag": ("etag", str),
    "ChecksumSHA256": ("x-amz-checksum-sha256", str),
    "ServerSideEncryption": ("x-amz-server-side-encryption", str),
    "ObjectLockMode": ("x-amz-object-lock-mode", str),
    "ObjectLockRetainUntilDate": ("x-amz-object-lock-retain-until-date", parse_timestamp),
    "ObjectLockLegalHoldStatus": ("x-amz-object-lock-legal-hold", str),
}


def make_direct_client(place: S3Place, *, timeout_s: float) -> S3Client:
    """Return a client that asks once, and by itself for PUT and HEAD where it can; see `make_client`.

    Raises:
        S3Error: profile or configuration of boto3 cannot be used.
    """
    client, session = open_client(place, timeout_s=timeout_s, attempts=1)
    region = client.meta.region_name
    if place.endpoint is None or region in {None, "aws-global"}:
        return cast("S3Client", client)
    return cast("S3Client", _DirectClient(client, session.get_credentials(), place.endpoint, region))


class _KnownPayload(S3SigV4Auth):  # type: ignore[misc]  # the library has no type hints
    """Signs a body by the SHA-256 that is known of it."""

    def payload(self, request: AWSRequest) -> str:
        return str(request.context["sha256"])


class _DirectClient:
    """boto3's client, with two of its methods in a shorter way."""

    def __init__(self, client: Any, credentials: Any, endpoint: str, region: str) -> None:  # noqa: ANN401 - boto3's
        self._client = client
        self._credentials = credentials
        self._endpoint = endpoint
        self._region = region
        # The session of the client itself: another would have to be given all that boto3 gives it.
        self._transport = client._endpoint.http_session  # noqa: SLF001

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - boto3's
        return getattr(self._client, name)

    def put_object(self, **request: Any) -> Told:  # noqa: ANN401 - boto3's
        body = request.get("Body")
        if not isinstance(body, bytes) or "ChecksumSHA256" not in request or not _PUT_REQUEST.issuperset(request):
            found: Told = self._client.put_object(**request)
            return found
        headers = {header: request[name] for name, header in _PUT_HEADERS.items() if name in request}
        sha256 = b64decode(request["ChecksumSHA256"]).hex()
        signed = self._signed("PUT", self._address(request), headers, body, sha256)
        answer = self._answer(signed, "PutObject")
        return self._client.put_object(**request) if answer is None else answer

    def head_object(self, **request: str) -> ShownObject:
        if not _HEAD_REQUEST.issuperset(request):
            return cast("ShownObject", self._client.head_object(**request))
        version = f"?versionId={quote(request['VersionId'], safe='-_.~')}" if "VersionId" in request else ""
        headers = {"x-amz-checksum-mode": request["ChecksumMode"]} if "ChecksumMode" in request else {}
        signed = self._signed("HEAD", self._address(request) + version, headers, None, _NO_BYTES_SHA256)
        answer = self._answer(signed, "HeadObject")
        return cast("ShownObject", self._client.head_object(**request) if answer is None else answer)

    def _address(self, request: Mapping[str, str]) -> str:
        return f"{self._endpoint}/{request['Bucket']}/{quote(request['Key'], safe='/~')}"

    def _signed(self, method: str, url: str, headers: dict[str, str], body: bytes | None, sha256: str) -> AWSRequest:
        request = AWSRequest(method=method, url=url, headers=headers, data=body)
        request.context["sha256"] = sha256
        # Frozen for this request alone: those of a role are renewed in time, and not in the midst of one.
        frozen = None if self._credentials is None else self._credentials.get_frozen_credentials()
        _KnownPayload(frozen, "s3", self._region).add_auth(request)
        return request

    def _answer(self, request: AWSRequest, operation: str) -> Told | None:
        """Return what the store says, in boto3's words; None when it sends us elsewhere, which boto3 knows how to go.

        Raises:
            ClientError: it refuses or fails.
        """
        response = self._transport.send(request.prepare())
        status = response.status_code
        if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            return None
        if status >= HTTPStatus.BAD_REQUEST:
            found = _CODE.search(response.content)
            code = str(status) if found is None else found[1].decode("ascii", "replace")
            told = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
            raise ClientError(told, operation)
        return _told(response.headers)


def _told(headers: Mapping[str, str]) -> Told:
    try:
        return {name: read(headers[header]) for name, (header, read) in _ANSWER.items() if header in headers}
    except ValueError as error:
        raise S3Error("what answers does not speak S3; correct the endpoint in the URL") from error
