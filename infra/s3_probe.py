"""Whether a bucket refuses what it must: small trials on objects below `probe/`, which stay locked for a minute.

A store may speak S3 and keep nothing of Object Lock: some take every header, answer 200, and let anybody shorten or
clear a lock afterwards. So the store is asked to do what it must refuse, by a client that may everything.
"""

import hashlib
from base64 import b64encode
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TypeAlias

from infra.object_store import ProbeRow, lock_end
from infra.s3_client import Caller, S3AwayError, S3Client, S3Error, ShownObject, faults_told, make_client
from infra.s3_condition import puts_only_new
from infra.s3_place import S3Place

_KEY = "probe/lock"
_FORGED_KEY = "probe/forged"
_BYTES = b"telesales store probe"
_OTHER = b64encode(hashlib.sha256(b"other bytes").digest()).decode()
_OTHER_MD5 = b64encode(bytes(16)).decode()
_LOCKED_FOR = timedelta(seconds=60)
_LONGEST_SKEW = timedelta(seconds=60)

_Found: TypeAlias = tuple[bool, str]


@dataclass(slots=True)
class _Trial:
    """The objects that the rows try, one after the other."""

    client: S3Client
    place: S3Place
    now: datetime
    timeout_s: float
    version_id: str = ""
    until: datetime | None = None

    @property
    def key(self) -> dict[str, str]:
        return {"Bucket": self.place.bucket, "Key": self.place.key(_KEY)}

    @property
    def version(self) -> dict[str, str]:
        if not self.version_id:
            raise S3Error("not tried: no object could be kept under hold")
        return {**self.key, "VersionId": self.version_id}

    @property
    def locked_until(self) -> datetime:
        if self.until is None:
            raise S3Error("not tried: no object could be locked")
        return self.until

    def head(self) -> ShownObject:
        return self.client.head_object(**self.version, ChecksumMode="ENABLED")

    def lock(self, until: datetime, *, mode: str = "COMPLIANCE", bypasses: bool = False) -> object:
        more = {"BypassGovernanceRetention": True} if bypasses else {}
        retention = {"Mode": mode, "RetainUntilDate": until}
        return self.client.put_object_retention(**self.version, Retention=retention, **more)


def probe_bucket(place: S3Place, *, now: datetime, timeout_s: float) -> list[ProbeRow]:
    """Return what was tried in the bucket, in order; `now` is ours, to be compared with the store's.

    Raises:
        S3Error: the bucket does not answer.
    """
    with closing(make_client(place, timeout_s=timeout_s)) as client:
        trial = _Trial(client, place, now, timeout_s)
        _remove_earlier(trial)
        return [
            ProbeRow(name, expected, found, is_ok=is_ok, is_needed=is_needed)
            for name, expected, is_needed, question in _ROWS
            for is_ok, found in [_asked(trial, question)]
        ]


def _remove_earlier(trial: _Trial) -> None:
    """Remove what earlier probes left and is locked no longer."""
    bucket = trial.place.bucket
    try:
        with faults_told():
            page = trial.client.list_object_versions(Bucket=bucket, Prefix=trial.place.key("probe/"))
    except S3Error as error:
        if error.status == HTTPStatus.FORBIDDEN:  # they may not list, and perhaps do all else
            return
        raise
    for one in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
        with suppress(S3Error), faults_told():
            trial.client.delete_object(Bucket=bucket, Key=one["Key"], VersionId=one["VersionId"])


def _asked(trial: _Trial, question: Callable[[_Trial], _Found]) -> _Found:
    try:
        with faults_told():
            return question(trial)
    except S3Error as error:
        return False, str(error)


def _refused(question: Callable[[], object]) -> _Found:
    """Whether the store says no; that it fails, or does not answer, is none."""
    try:
        with faults_told():
            question()
    except S3Error as error:
        is_refusal = error.status != 0 and not isinstance(error, S3AwayError)
        return is_refusal, f"refused ({error.status})" if is_refusal else str(error)
    return False, "accepted"


def _both(*found: _Found) -> _Found:
    return all(is_ok for is_ok, _ in found), ", ".join(dict.fromkeys(said for _, said in found))


def _versions(trial: _Trial) -> _Found:
    said = str(trial.client.get_bucket_versioning(Bucket=trial.place.bucket).get("Status", "off"))
    return said == "Enabled", said


def _object_lock(trial: _Trial) -> _Found:
    answer = trial.client.get_object_lock_configuration(Bucket=trial.place.bucket)
    said = str(answer.get("ObjectLockConfiguration", {}).get("ObjectLockEnabled", "off"))
    return said == "Enabled", said


def _clock(trial: _Trial) -> _Found:
    """Compare clocks, and go by the store's from here on: it judges the dates of the rows to come."""
    answer = trial.client.get_bucket_versioning(Bucket=trial.place.bucket)
    said = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
    try:
        theirs = parsedate_to_datetime(said)
    except ValueError:
        return False, "it does not say its time"
    ahead, trial.now = theirs - trial.now, theirs
    return abs(ahead) <= _LONGEST_SKEW, f"{round(ahead.total_seconds()):+d} s"


def _hold(trial: _Trial) -> _Found:
    answer = trial.client.put_object(
        **trial.key,
        Body=_BYTES,
        ChecksumAlgorithm="SHA256",
        ChecksumSHA256=b64encode(hashlib.sha256(_BYTES).digest()).decode(),
        ObjectLockLegalHoldStatus="ON",
    )
    trial.version_id = str(answer.get("VersionId", ""))
    said = trial.head().get("ObjectLockLegalHoldStatus", "no hold")
    return said == "ON", said


def _delete(trial: _Trial) -> _Found:
    version = trial.version
    return _refused(lambda: trial.client.delete_object(**version))


def _lock(trial: _Trial) -> _Found:
    until = lock_end(trial.now + _LOCKED_FOR)
    trial.lock(until)
    trial.until = until
    return _shows(trial, until)


def _shows(trial: _Trial, until: datetime) -> _Found:
    shown = trial.head()
    told = trial.client.get_object_retention(**trial.version).get("Retention", {})
    said = (shown.get("ObjectLockMode"), shown.get("ObjectLockRetainUntilDate"))
    is_ok = said == (told.get("Mode"), told.get("RetainUntilDate")) == ("COMPLIANCE", until)
    return is_ok, "read back" if is_ok else "another lock is read back"


def _release(trial: _Trial) -> _Found:
    _ = trial.locked_until
    trial.client.put_object_legal_hold(**trial.version, LegalHold={"Status": "OFF"})
    return _delete(trial)


def _shorten(trial: _Trial) -> _Found:
    earlier = trial.locked_until - _LOCKED_FOR / 2
    return _both(_refused(lambda: trial.lock(earlier)), _refused(lambda: trial.lock(earlier, bypasses=True)))


def _weaken(trial: _Trial) -> _Found:
    later = trial.locked_until + timedelta(seconds=1)
    return _refused(lambda: trial.lock(later, mode="GOVERNANCE", bypasses=True))


def _clear(trial: _Trial) -> _Found:
    version, _ = trial.version, trial.locked_until
    return _refused(lambda: trial.client.put_object_retention(**version, Retention={}, BypassGovernanceRetention=True))


def _extend(trial: _Trial) -> _Found:
    """Lock again until the same instant, as after a retry, and until a later one."""
    trial.lock(trial.locked_until)
    later = trial.locked_until + timedelta(seconds=1)
    trial.lock(later)
    return _shows(trial, later)


def _past(trial: _Trial) -> _Found:
    answer = trial.client.put_object(**trial.key, Body=_BYTES)
    fresh = {**trial.key, "VersionId": str(answer.get("VersionId", ""))}
    retention = {"Mode": "COMPLIANCE", "RetainUntilDate": trial.now - timedelta(days=1)}
    return _refused(lambda: trial.client.put_object_retention(**fresh, Retention=retention))


def _marker(trial: _Trial) -> _Found:
    version = trial.version
    trial.client.delete_object(**trial.key)
    with closing(trial.client.get_object(**version)["Body"]) as body:
        is_ok = body.read() == _BYTES
    return is_ok, "hidden, and there by its version" if is_ok else "other bytes"


def _range(trial: _Trial) -> _Found:
    with closing(trial.client.get_object(**trial.version, Range="bytes=2-5")["Body"]) as body:
        is_ok = body.read() == _BYTES[2:6]
    return is_ok, "these bytes" if is_ok else "other bytes"


def _checksum(trial: _Trial) -> _Found:
    said = trial.head().get("ChecksumSHA256")
    return said == b64encode(hashlib.sha256(_BYTES).digest()).decode(), "shown" if said else "none is shown"


def _wrong_checksum(trial: _Trial) -> _Found:
    where = {"Bucket": trial.place.bucket, "Key": trial.place.key(_FORGED_KEY)}
    forged = {"ChecksumAlgorithm": "SHA256", "ChecksumSHA256": _OTHER}
    return _refused(lambda: trial.client.put_object(**where, Body=_BYTES, **forged))


def _wrong_md5(trial: _Trial) -> _Found:
    where = {"Bucket": trial.place.bucket, "Key": trial.place.key(_FORGED_KEY)}
    return _refused(lambda: trial.client.put_object(**where, Body=_BYTES, ContentMD5=_OTHER_MD5))


def _encryption(trial: _Trial) -> _Found:
    answer = trial.client.put_object(**trial.key, Body=_BYTES, ServerSideEncryption="AES256")
    said = str(answer.get("ServerSideEncryption", "none is shown"))
    return said == "AES256", said


def _only_new(trial: _Trial) -> _Found:
    is_ok = puts_only_new(trial.client, trial.place)
    return is_ok, "refused" if is_ok else "accepted: each put is preceded by a question"


def _anonymous(trial: _Trial) -> _Found:
    return _read_as(trial, Caller.NOBODY)


def _forged(trial: _Trial) -> _Found:
    return _read_as(trial, Caller.FORGER)


def _read_as(trial: _Trial, caller: Caller) -> _Found:
    version = trial.version
    with closing(make_client(trial.place, timeout_s=trial.timeout_s, caller=caller)) as client:
        return _refused(lambda: client.get_object(**version))


_ROWS: Sequence[tuple[str, str, bool, Callable[[_Trial], _Found]]] = (
    ("versions", "Enabled", True, _versions),
    ("Object Lock", "Enabled", True, _object_lock),
    ("clock", "within 60 s of ours", True, _clock),
    ("put under hold", "read back as ON", True, _hold),
    ("delete under hold", "refused", True, _delete),
    ("lock in COMPLIANCE", "read back", True, _lock),
    ("release the hold, delete", "refused", True, _release),
    ("shorten the lock", "refused", True, _shorten),
    ("weaken it to GOVERNANCE", "refused", True, _weaken),
    ("clear the lock", "refused", True, _clear),
    ("extend the lock", "read back", True, _extend),
    ("lock until a past date", "refused", True, _past),
    ("delete without a version", "hidden, and there by its version", True, _marker),
    ("read a range", "these bytes", True, _range),
    ("read without credentials", "refused", True, _anonymous),
    ("read with a wrong secret", "refused", True, _forged),
    ("checksum SHA-256", "shown", False, _checksum),
    ("put with a wrong SHA-256", "refused", False, _wrong_checksum),
    ("put with a wrong MD5", "refused", False, _wrong_md5),
    ("encryption at rest", "AES256", False, _encryption),
    ("put only what is not there", "refused", False, _only_new),
)
