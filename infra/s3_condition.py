"""Whether a store puts an object only where nothing is, when it is asked to (`If-None-Match: *`).

Stores that do not know the condition ignore it, say 200 and make another version, which is locked as well. So a store
is tried, on an object of its own below `probe/` that nothing holds, before anything relies on it.
"""

import hashlib
from base64 import b64encode
from contextlib import suppress
from http import HTTPStatus

from infra.s3_client import KeyTakenError, S3AwayError, S3Client, S3Error, Told, faults_told
from infra.s3_place import S3Place

ONLY_NEW = {"IfNoneMatch": "*"}

_KEY = "probe/once"
_BYTES = b"telesales store probe"
_CHECKSUM = {"ChecksumAlgorithm": "SHA256", "ChecksumSHA256": b64encode(hashlib.sha256(_BYTES).digest()).decode()}


def puts_only_new(client: S3Client, place: S3Place) -> bool:
    """Return whether the store refuses to put what is there already. One that does keeps the object for the next trial.

    Raises:
        S3AwayError: it does not answer, so that nothing is known.
    """
    where = {"Bucket": place.bucket, "Key": place.key(_KEY)}
    made: list[Told] = []
    try:
        with faults_told():
            # The first makes it, if no trial has before; the second must find it.
            made.extend(client.put_object(**where, Body=_BYTES, **_CHECKSUM, **ONLY_NEW) for _ in range(2))
    except KeyTakenError as error:
        return error.status == HTTPStatus.PRECONDITION_FAILED
    except S3AwayError:
        raise
    except S3Error:  # they may not put it there, or it says that it does not know the condition
        return False
    for one in made:
        with suppress(S3Error), faults_told():
            client.delete_object(**where, VersionId=str(one.get("VersionId", "null")))
    return False
