"""Copies in buckets: what somebody with the bucket's keys did to them beside us, found and put right.

The bucket is moto's, which lets anybody shorten and lift what a real one refuses: here it plays the operator who can.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import boto3
import pytest
from botocore.config import Config
from sqlalchemy import Engine, update

from infra.clock import utc_now
from infra.ids import new_id
from infra.s3_object_store import S3ObjectStore
from infra.s3_place import read_s3_place
from recordings.copies import restore_waiting
from recordings.copy_bytes import Finding, Weakness
from recordings.copy_rows import read_kept
from recordings.fixity import verify_recording
from recordings.tables import recording_copies
from tests.conftest import SettableClock
from tests.recordings.kept_copies import TwoCopies, two_copies


@dataclass(frozen=True, slots=True)
class InBucket:
    """An archive whose first store is a bucket, with a recording in it, and the operator's client beside it."""

    archive: TwoCopies
    recording_id: UUID
    client: Any
    bucket: str

    @property
    def which(self) -> dict[str, str]:
        """The object as the operator names it."""
        with self.archive.engine.connect() as connection:
            key = read_kept(connection, self.recording_id).object_key
        return {"Bucket": self.bucket, "Key": next(one for one in self._keys() if one.endswith(key))}

    @property
    def version(self) -> dict[str, str]:
        return {**self.which, "VersionId": self.archive.copy(self.recording_id, "first").version_id or ""}

    def _keys(self) -> list[str]:
        found = self.client.list_object_versions(Bucket=self.bucket).get("Versions", [])
        return [one["Key"] for one in found]


@pytest.fixture
def in_bucket(credentials: None, object_store: str, engine: Engine, clock: SettableClock, tmp_path: Path) -> InBucket:
    clock.at = utc_now()
    bucket = f"recordings-{new_id().hex}"
    client = boto3.session.Session().client(
        "s3", endpoint_url=object_store, region_name="us-east-1", config=Config(s3={"addressing_style": "path"})
    )
    client.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    place = read_s3_place(f"s3://{bucket}/recordings?endpoint={object_store}&region=us-east-1")
    directories = two_copies(engine, clock, tmp_path)
    stores = {**directories.keeping.stores, "first": S3ObjectStore(place, clock=clock)}
    archive = TwoCopies(replace(directories.keeping, stores=stores), clock, tmp_path)
    recording_id = archive.add(b"voice")
    restore_waiting(archive.keeping, most_seconds=60)
    return InBucket(archive, recording_id, client, bucket)


def test_copies_in_a_bucket_are_good(in_bucket: InBucket) -> None:
    found = verify_recording(in_bucket.archive.keeping, in_bucket.recording_id)

    assert [one.finding for one in found.copies] == [Finding.GOOD, Finding.GOOD]
    assert found.is_good


def test_a_delete_marker_is_found_and_taken_away_and_no_version_is_lost(in_bucket: InBucket) -> None:
    archive = in_bucket.archive
    marker = in_bucket.client.delete_object(**in_bucket.which)["VersionId"]
    assert archive.read(in_bucket.recording_id, "first") == b"voice"

    found = verify_recording(archive.keeping, in_bucket.recording_id)

    assert (found.copies[0].finding, found.copies[0].weaknesses) == (Finding.GOOD, (Weakness.HIDDEN,))
    assert found.is_repaired
    assert archive.incidents()[0]["details"]["weakened"]["over"] == marker
    assert in_bucket.client.get_object(**in_bucket.which)["Body"].read() == b"voice"
    assert archive.read(in_bucket.recording_id, "first") == b"voice"


def test_other_bytes_over_the_key_are_found_and_ours_are_read_below_them(in_bucket: InBucket) -> None:
    archive = in_bucket.archive
    in_bucket.client.put_object(**in_bucket.which, Body=b"forged voice", ChecksumAlgorithm="SHA256")

    found = verify_recording(archive.keeping, in_bucket.recording_id)

    assert (found.copies[0].finding, found.copies[0].weaknesses) == (Finding.GOOD, (Weakness.OVERLAID,))
    assert archive.read(in_bucket.recording_id, "first") == b"voice"


def test_a_lifted_hold_is_found(in_bucket: InBucket) -> None:
    in_bucket.client.put_object_legal_hold(**in_bucket.version, LegalHold={"Status": "OFF"})

    found = verify_recording(in_bucket.archive.keeping, in_bucket.recording_id)

    assert found.copies[0].weaknesses == (Weakness.HOLD_LIFTED,)


def test_a_shortened_date_is_found(in_bucket: InBucket) -> None:
    archive, until = in_bucket.archive, datetime(2040, 1, 1, tzinfo=UTC)
    longer = {"Mode": "COMPLIANCE", "RetainUntilDate": until}
    in_bucket.client.put_object_retention(**in_bucket.version, Retention=longer)
    with archive.engine.begin() as connection:
        mine = recording_copies.c.copy == "first"
        connection.execute(update(recording_copies).where(mine).values(retain_until=until))
    assert verify_recording(archive.keeping, in_bucket.recording_id).is_good

    shorter = {"Mode": "COMPLIANCE", "RetainUntilDate": until - timedelta(days=3650)}
    in_bucket.client.put_object_retention(**in_bucket.version, Retention=shorter)

    found = verify_recording(archive.keeping, in_bucket.recording_id)
    assert found.copies[0].weaknesses == (Weakness.DATE_SHORTENED,)


def test_a_version_that_somebody_removed_is_put_again_from_the_directory(in_bucket: InBucket) -> None:
    archive, gone = in_bucket.archive, in_bucket.version
    in_bucket.client.put_object_legal_hold(**gone, LegalHold={"Status": "OFF"})
    in_bucket.client.delete_object(**gone)

    found = verify_recording(archive.keeping, in_bucket.recording_id)

    assert (found.copies[0].finding, found.is_repaired) == (Finding.MISSING, True)
    assert archive.read(in_bucket.recording_id, "first") == b"voice"
    assert archive.copy(in_bucket.recording_id, "first").version_id != gone["VersionId"]
    assert archive.copy(in_bucket.recording_id, "first").is_held
    assert verify_recording(archive.keeping, in_bucket.recording_id).is_good


def test_a_bucket_that_is_gone_is_waited_for(in_bucket: InBucket, tmp_path: Path) -> None:
    archive = in_bucket.archive
    nowhere = read_s3_place("s3://none/recordings?endpoint=http://127.0.0.1:9&region=us-east-1")
    away = {**archive.keeping.stores, "first": S3ObjectStore(nowhere, clock=archive.clock, timeout_s=0.2)}

    found = verify_recording(replace(archive.keeping, stores=away), in_bucket.recording_id)

    assert [one.finding for one in found.copies] == [Finding.AWAY, Finding.GOOD]
    assert archive.incidents() == []
