"""The stores on which the same tests run, and which of those tests a store is known to get wrong."""

import os

from infra.clock import Clock
from infra.ids import new_id
from infra.s3_object_store import S3ObjectStore
from infra.s3_place import read_s3_place
from tests.compliance.checkpoint_places import make_bucket

ENDPOINT = os.environ.get("S3_TEST_ENDPOINT", "")
"""A server of one's own, with credentials where boto3 finds them; each test makes a bucket there."""

KINDS = ["directory", "simulator", "moto", *(["server"] if ENDPOINT else [])]

_NO_RETENTION = "moto has no GetObjectRetention, by which a lock is read back"
MOTO_GETS_WRONG = {
    "test_a_lock_is_read_back_as_it_was_put": _NO_RETENTION,
    "test_a_lock_keeps_a_version_after_the_hold_is_released": _NO_RETENTION,
    "test_a_hold_keeps_a_version_beyond_its_date": _NO_RETENTION,
    "test_a_lock_is_extended_and_the_same_date_changes_nothing": _NO_RETENTION,
    "test_a_lock_is_never_shortened": _NO_RETENTION,
    "test_a_fraction_of_a_second_is_rounded_up_and_an_offset_is_read": _NO_RETENTION,
    "test_locks_set_at_once_leave_the_latest_date": "moto takes shorter locks",
    "test_the_probe_finds_nothing_that_is_needed_missing": "moto takes past dates, shorter locks and any secret",
}


def bucket_store(endpoint: str, clock: Clock) -> S3ObjectStore:
    """Return a store in a new bucket with Object Lock."""
    bucket = make_bucket(endpoint, f"recordings-{new_id().hex}")
    place = f"s3://{bucket.bucket}/of-us?endpoint={endpoint}&region=us-east-1"
    return S3ObjectStore(read_s3_place(place), clock=clock)
