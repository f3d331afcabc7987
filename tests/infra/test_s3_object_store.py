"""A bucket whose store fails, lies, or lacks something: what is told, and that nothing is believed or made twice."""

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from infra.clock import utc_now
from infra.object_store import (
    Content,
    NoSuchVersionError,
    ObjectStoreError,
    StoredObject,
    UntrueStoreError,
    VersionLockedError,
)
from infra.s3_object_store import S3ObjectStore
from infra.s3_place import read_s3_place
from tests.infra.conftest import PROJECT
from tests.infra.stored_contents import content
from tests.s3_simulator import SECRET, Fault, Simulator

KEY = "ab/abcd"
NAME = f"of-us/{KEY}"
LATER = utc_now().replace(microsecond=0) + timedelta(days=3650)


@pytest.fixture
def kept(store: S3ObjectStore, voice: Content) -> StoredObject:
    return store.put(KEY, voice, is_held=False)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        pytest.param(Fault.FAILS, "it fails \\(500", id="500"),
        pytest.param(Fault.FORBIDDEN, "refuses \\(403 AccessDenied\\)", id="403"),
        pytest.param(Fault.HANGS, "does not answer", id="hangs"),
    ],
)
def test_a_store_that_does_not_take_it_is_told_without_its_words(
    simulator: Simulator, voice: Content, fault: Fault, said: str
) -> None:
    store = S3ObjectStore(read_s3_place(simulator.place()), clock=utc_now, timeout_s=0.3)
    simulator.fails(fault, "put")

    with pytest.raises(ObjectStoreError, match=f"cannot be written: .*{said}") as raised:
        store.put(KEY, voice, is_held=True)

    assert SECRET not in str(raised.value)
    assert simulator.bucket.keys == {}


@pytest.mark.parametrize(
    ("fault", "operation", "said"),
    [
        pytest.param(Fault.FORGETS, "put", "no such version", id="nothing stored"),
        pytest.param(Fault.NO_LOCK, "put", "the hold to be on", id="no hold"),
        pytest.param(Fault.OTHER_CHECKSUM, "put", "the SHA-256", id="other bytes with their checksum"),
        pytest.param(Fault.SHORTER, "head", "5 bytes", id="another length"),
        pytest.param(Fault.NO_VERSIONS, "put", "keeps no versions", id="no versions"),
    ],
)
def test_a_200_is_not_believed_before_it_is_read_back(
    store: S3ObjectStore, simulator: Simulator, voice: Content, fault: Fault, operation: str, said: str
) -> None:
    simulator.fails(fault, operation)

    with pytest.raises(UntrueStoreError, match=said):
        store.put(KEY, voice, is_held=True)


def test_a_store_that_shows_no_checksum_is_read_and_hashed(
    store: S3ObjectStore, simulator: Simulator, voice: Content
) -> None:
    simulator.fails(Fault.NO_CHECKSUM)

    assert store.put(KEY, voice, is_held=True).sha256 is None
    assert "get" in simulator.asked[simulator.asked.index("put") :]


def test_bytes_that_come_back_otherwise_are_no_reason_to_put_nothing(
    store: S3ObjectStore, simulator: Simulator, voice: Content, kept: StoredObject
) -> None:
    """A repair puts the same bytes under the same key: the damaged version must not be taken for them."""
    simulator.bucket.keys[NAME][0].body = b"v0ice"

    repaired = store.put(KEY, voice, is_held=False)

    assert repaired.version_id != kept.version_id
    assert b"".join(store.read(KEY, repaired.version_id)) == b"voice"


def test_a_store_without_encryption_is_asked_for_it_once(
    store: S3ObjectStore, simulator: Simulator, tmp_path: Path
) -> None:
    simulator.fails(Fault.NO_ENCRYPTION)
    for data in (b"one", b"two"):
        store.put(f"ab/{data.decode()}", content(tmp_path, data), is_held=True)

    trial, with_encryption, without = 2, 1, 2
    assert simulator.asked.count("put") == trial + with_encryption + without
    assert {one.encryption for key in ("one", "two") for one in simulator.bucket.keys[f"of-us/ab/{key}"]} == {None}


def test_what_is_put_is_encrypted_where_the_store_can(
    store: S3ObjectStore, simulator: Simulator, kept: StoredObject
) -> None:
    assert simulator.bucket.keys[NAME][0].encryption == "AES256"


def test_a_body_shorter_than_what_was_put_is_told(
    store: S3ObjectStore, simulator: Simulator, kept: StoredObject
) -> None:
    simulator.fails(Fault.SHORTER, "get")

    with pytest.raises(UntrueStoreError, match="1 bytes too early"):
        b"".join(store.read(KEY, kept.version_id))


def test_a_connection_that_breaks_off_says_nothing_about_the_bytes(
    store: S3ObjectStore, simulator: Simulator, kept: StoredObject
) -> None:
    simulator.fails(Fault.CUT, "get")

    with pytest.raises(ObjectStoreError, match="breaks off") as raised:
        b"".join(store.read(KEY, kept.version_id))

    assert not isinstance(raised.value, UntrueStoreError)


def test_a_body_that_drips_is_not_waited_for_without_end(simulator: Simulator, tmp_path: Path) -> None:
    store = S3ObjectStore(read_s3_place(simulator.place()), clock=utc_now, timeout_s=0.5)
    version_id = store.put(KEY, content(tmp_path, b"voice" * 80), is_held=False).version_id
    simulator.fails(Fault.DRIPS, "get")

    with pytest.raises(ObjectStoreError, match="too slowly"):
        b"".join(store.read(KEY, version_id))


def test_a_store_that_hangs_is_not_asked_again_at_once(simulator: Simulator, kept: StoredObject) -> None:
    store = S3ObjectStore(read_s3_place(simulator.place()), clock=utc_now, timeout_s=0.3)
    simulator.fails(Fault.HANGS, "head")
    before = simulator.asked.count("head")

    with pytest.raises(ObjectStoreError, match="does not answer"):
        store.head(KEY, kept.version_id)

    assert simulator.asked.count("head") == before + 1


def test_other_bytes_are_for_the_reader_to_find(store: S3ObjectStore, simulator: Simulator, kept: StoredObject) -> None:
    simulator.fails(Fault.OTHER_BYTES, "get")

    assert b"".join(store.read(KEY, kept.version_id)) == b"eciov"


@pytest.mark.parametrize("operation", ["head", "get"])
def test_a_read_that_failed_once_is_asked_again(
    store: S3ObjectStore, simulator: Simulator, kept: StoredObject, operation: str
) -> None:
    simulator.fails(Fault.FAILS, operation, times=1)

    assert b"".join(store.read(KEY, kept.version_id)) == b"voice"


@pytest.mark.parametrize("fault", [Fault.NO_LOCK, Fault.OTHER_DATE])
def test_a_lock_is_not_believed_before_it_is_read_back(
    store: S3ObjectStore, simulator: Simulator, kept: StoredObject, fault: Fault
) -> None:
    simulator.fails(fault, "lock")
    said = {Fault.NO_LOCK: "NoSuchObjectLockConfiguration", Fault.OTHER_DATE: "COMPLIANCE until"}

    with pytest.raises(ObjectStoreError, match=said[fault]):
        store.set_retention(KEY, kept.version_id, LATER)


def test_a_lock_made_before_the_answer_was_lost_is_found(
    store: S3ObjectStore, simulator: Simulator, kept: StoredObject
) -> None:
    simulator.fails(Fault.HANGS_UP_AFTERWARDS, "lock", times=1)

    assert store.set_retention(KEY, kept.version_id, LATER).retain_until == LATER


def test_a_store_that_takes_any_date_is_never_asked_to_shorten(
    store: S3ObjectStore, simulator: Simulator, kept: StoredObject
) -> None:
    simulator.fails(Fault.ANY_DATE, "lock")
    store.set_retention(KEY, kept.version_id, LATER)

    with pytest.raises(VersionLockedError):
        store.set_retention(KEY, kept.version_id, LATER - timedelta(days=1))

    assert simulator.asked.count("lock") == 1


def test_governance_counts_as_no_lock(store: S3ObjectStore, simulator: Simulator, kept: StoredObject) -> None:
    version = simulator.bucket.keys[NAME][0]
    version.mode, version.until = "GOVERNANCE", LATER

    assert store.head(KEY, kept.version_id).retain_until is None
    assert store.set_retention(KEY, kept.version_id, LATER).retain_until == LATER
    assert version.mode == "COMPLIANCE"


def test_a_hold_is_not_believed_before_it_is_read_back(
    store: S3ObjectStore, simulator: Simulator, kept: StoredObject
) -> None:
    simulator.fails(Fault.NO_LOCK, "hold")

    with pytest.raises(UntrueStoreError, match="the hold to be on"):
        store.set_hold(KEY, kept.version_id, is_held=True)


def test_a_store_that_would_delete_what_is_locked_is_not_asked_to(
    store: S3ObjectStore, simulator: Simulator, kept: StoredObject
) -> None:
    store.set_retention(KEY, kept.version_id, LATER)
    simulator.fails(Fault.DELETES, "delete")

    with pytest.raises(VersionLockedError):
        store.delete_version(KEY, kept.version_id)

    assert "delete" not in simulator.asked


def test_a_lock_that_only_the_store_knows_is_a_lock(
    store: S3ObjectStore, simulator: Simulator, kept: StoredObject
) -> None:
    simulator.bucket.keys[NAME][0].mode, simulator.bucket.keys[NAME][0].until = "GOVERNANCE", LATER

    with pytest.raises(VersionLockedError, match="says that"):
        store.delete_version(KEY, kept.version_id)


def test_a_missing_permission_to_delete_is_no_lock(
    store: S3ObjectStore, simulator: Simulator, kept: StoredObject
) -> None:
    simulator.fails(Fault.FORBIDDEN, "delete")

    with pytest.raises(ObjectStoreError, match="AccessDenied") as raised:
        store.delete_version(KEY, kept.version_id)

    assert not isinstance(raised.value, VersionLockedError)


def test_a_deletion_is_not_believed_before_it_is_looked_for(
    store: S3ObjectStore, simulator: Simulator, kept: StoredObject
) -> None:
    simulator.fails(Fault.KEEPS, "delete")

    with pytest.raises(UntrueStoreError, match="it to be gone"):
        store.delete_version(KEY, kept.version_id)


def test_a_marker_hides_nothing_from_who_knows_the_version(
    store: S3ObjectStore, simulator: Simulator, kept: StoredObject, voice: Content
) -> None:
    simulator.bucket.delete(NAME, None, now=utc_now())
    marker = store.versions(KEY)[0]

    assert (marker.is_marker, marker.is_latest) == (True, True)
    assert store.head(KEY, kept.version_id) == kept
    with pytest.raises(NoSuchVersionError):
        store.head(KEY, marker.version_id)
    store.delete_version(KEY, marker.version_id)
    assert store.put(KEY, voice, is_held=False) == kept


def test_a_missing_bucket_is_not_a_missing_version(credentials: None, object_store: str) -> None:
    store = S3ObjectStore(read_s3_place(f"s3://none-of-ours?endpoint={object_store}&region=us-east-1"), clock=utc_now)

    with pytest.raises(ObjectStoreError, match="there is no such bucket") as raised:
        store.head(KEY, "v1")

    assert not isinstance(raised.value, NoSuchVersionError)


def test_an_upload_in_parts_is_held_even_if_the_store_drops_the_hold(simulator: Simulator, voice: Content) -> None:
    store = S3ObjectStore(read_s3_place(simulator.place()), clock=utc_now, largest_put_bytes=4)
    simulator.fails(Fault.NO_LOCK, "complete")

    kept = store.put(KEY, voice, is_held=True)

    assert (kept.is_held, kept.sha256) == (True, None)
    assert store.put(KEY, voice, is_held=True) == kept


def test_an_upload_in_parts_that_fails_leaves_no_parts(simulator: Simulator, voice: Content) -> None:
    store = S3ObjectStore(read_s3_place(simulator.place()), clock=utc_now, largest_put_bytes=4)
    simulator.fails(Fault.FORBIDDEN, "part")

    with pytest.raises(ObjectStoreError, match="AccessDenied"):
        store.put(KEY, voice, is_held=True)

    assert simulator.bucket.uploads == {}
    assert simulator.bucket.keys == {}


@pytest.mark.parametrize(
    ("fault", "operations", "failing"),
    [
        pytest.param(
            Fault.ANY_DATE,
            ["lock"],
            {"shorten the lock", "weaken it to GOVERNANCE", "clear the lock", "lock until a past date"},
            id="takes any date",
        ),
        pytest.param(Fault.NO_LOCK, ["lock"], {"lock in COMPLIANCE"}, id="drops locks"),
        pytest.param(Fault.OTHER_DATE, ["lock"], {"lock in COMPLIANCE"}, id="another date"),
        pytest.param(Fault.NO_LOCK, ["put"], {"put under hold"}, id="drops holds"),
        pytest.param(Fault.NO_LOCK, ["object-lock"], {"Object Lock"}, id="no Object Lock"),
        pytest.param(Fault.NO_VERSIONS, ["versioning"], {"versions"}, id="no versions"),
        pytest.param(Fault.DELETES, ["delete"], {"delete under hold"}, id="deletes"),
        pytest.param(Fault.SKEWED, ["none"], {"clock"}, id="another time"),
        pytest.param(Fault.ANYBODY, [], {"read without credentials", "read with a wrong secret"}, id="open to all"),
        pytest.param(Fault.FAILS, ["delete"], {"delete under hold"}, id="fails where it must refuse"),
    ],
)
def test_a_store_that_lets_pass_what_it_must_refuse_is_not_worm(
    store: S3ObjectStore, simulator: Simulator, fault: Fault, operations: list[str], failing: set[str]
) -> None:
    simulator.fails(fault, *operations)

    rows = store.probe()

    assert failing <= {row.name for row in rows if row.is_needed and not row.is_ok}
    assert not store.is_worm


def test_a_store_is_worm_only_after_a_probe_and_until_one_fails(store: S3ObjectStore, simulator: Simulator) -> None:
    before = store.is_worm
    store.probe()
    then = store.is_worm
    simulator.fails(Fault.FAILS)
    with pytest.raises(ObjectStoreError, match="cannot be probed"):
        store.probe()

    assert (before, then, store.is_worm) == (False, True, False)


@pytest.mark.slow
def test_a_large_file_passes_through_little_memory(simulator: Simulator) -> None:
    command = [sys.executable, "-m", "tests.infra.put_large_file", simulator.place(), str(96 * 1024**2)]

    said = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout

    assert len(simulator.bucket.keys["of-us/ab/large"][-1].body or b"") == 96 * 1024**2
    assert int(said) < 24 * 1024, "KiB more than before"
