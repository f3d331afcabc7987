"""Sending bytes to a bucket with their checksum and their hold; nothing here reads back or tries again."""

import hashlib
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from infra.object_store import Content, UntrueStoreError
from infra.s3_client import S3Client, S3Error, Told

LARGEST_PUT_BYTES = 5 * 1024**3
"""More is refused in one request."""

_PART_BYTES = 64 * 1024**2


@dataclass(frozen=True, slots=True)
class Sent:
    """What is sent, and its bytes if they lie in memory."""

    content: Content
    body: bytes | None


def upload(
    client: S3Client, where: dict[str, str], sent: Sent, *, headers: dict[str, str], largest_put_bytes: int
) -> str:
    """Send to `where`, Bucket and Key, with `headers` in boto3's words; return the id of the version.

    What is not in memory is streamed from the file in one request, or else in parts, of which each lies in memory by
    itself.

    Raises:
        UntrueStoreError: it took them and named no version.
    """
    content = sent.content
    whole = {"ContentLength": content.size_bytes, "ChecksumSHA256": b64encode(content.sha256).decode()}
    if sent.body is not None:
        # A body from memory goes out with its headers, without the question (100-continue) that a file is preceded by.
        answer: Told = client.put_object(**where, **headers, **whole, Body=sent.body)
    elif content.size_bytes > largest_put_bytes:
        answer = _upload_in_parts(client, where, content, headers)
    else:
        with content.path.open("rb") as body:
            answer = client.put_object(**where, **headers, **whole, Body=body)
    version_id = str(answer.get("VersionId", "null"))
    if version_id == "null":
        raise UntrueStoreError(
            f"{where['Bucket']} keeps no versions, so that nothing there can be locked; make a bucket with versioning"
            " and Object Lock"
        )
    return version_id


def _upload_in_parts(client: S3Client, where: dict[str, str], content: Content, headers: dict[str, str]) -> Told:
    upload_id = str(client.create_multipart_upload(**where, **headers)["UploadId"])
    try:
        with content.path.open("rb") as body:
            parts = [
                _upload_part(client, {**where, "UploadId": upload_id}, number, part)
                for number, part in enumerate(_parts(body), start=1)
            ]
        answer = client.complete_multipart_upload(**where, UploadId=upload_id, MultipartUpload={"Parts": parts})
    except BaseException:
        # Parts that nobody completes lie there, are paid for, and show in no listing of objects.
        client.abort_multipart_upload(**where, UploadId=upload_id)
        raise
    if headers.get("ObjectLockLegalHoldStatus") == "ON":
        # Stores were seen that drop the hold of an upload in parts, and say 200.
        version_id = str(answer.get("VersionId", "null"))
        client.put_object_legal_hold(**where, VersionId=version_id, LegalHold={"Status": "ON"})
    return answer


def _parts(body: BinaryIO) -> Iterator[bytes]:
    while part := body.read(_PART_BYTES):
        yield part


def _upload_part(client: S3Client, where: dict[str, str], number: int, part: bytes) -> dict[str, object]:
    checksum = b64encode(hashlib.sha256(part).digest()).decode()
    answer = client.upload_part(
        **where, PartNumber=number, Body=part, ChecksumAlgorithm="SHA256", ChecksumSHA256=checksum
    )
    if "ETag" not in answer:
        raise S3Error("it took a part and gave it no name; see what lies between")
    return {"PartNumber": number, "ETag": answer["ETag"], "ChecksumSHA256": checksum}
