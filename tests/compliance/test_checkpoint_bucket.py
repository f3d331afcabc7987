"""A bucket that fails: every fault is said, none is taken for an answer, and no secret is in what is said."""

import hashlib
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest

from compliance.checkpoint_bucket import CheckpointBucket
from compliance.checkpoint_stores import OutsideStoreError
from infra.clock import seconds_running
from infra.s3_place import read_s3_place
from tests.conftest import NOON
from tests.faulty_store import SECRET, Fault, FaultyStore, faulty_store, make_certificate
from tests.services.processes import free_port

NOTE = "a ledger\n7\nroot\n\n— a ledger 签名\n"
LATER = NOTE.replace("7", "8")

pytestmark = pytest.mark.usefixtures("credentials")


@pytest.fixture
def faulty() -> Iterator[FaultyStore]:
    with faulty_store() as store:
        yield store


@pytest.fixture
def store(faulty: FaultyStore) -> CheckpointBucket:
    """A store that holds a note."""
    made = CheckpointBucket(read_s3_place(faulty.place()), timeout_s=0.3)
    made.put(NOTE, sealed_at=NOON)
    return made


@pytest.mark.parametrize(
    ("fault", "advice"),
    [
        (Fault.SERVER_ERROR, "it fails (500 InternalError)"),
        (Fault.FORBIDDEN, "s3:ListBucket"),
        (Fault.NO_BUCKET, "there is no such bucket"),
        (Fault.WRONG_KEY, "AWS_ACCESS_KEY_ID"),
        (Fault.PROXY_404, "does not speak S3"),
        (Fault.NOT_S3, "does not speak S3"),
        (Fault.GARBAGE, "ConnectionClosedError"),
        (Fault.HANG, "ReadTimeoutError"),
        (Fault.CUT, "less than it announced"),
        (Fault.NO_LENGTH, "announced nothing"),
    ],
)
def test_what_cannot_be_read_is_an_error_and_never_nothing(
    store: CheckpointBucket, faulty: FaultyStore, fault: Fault, advice: str
) -> None:
    faulty.fails(fault)

    with pytest.raises(OutsideStoreError, match=r"s3://evidence/ledger \(CHECKPOINTS_URL\) cannot be read") as raised:
        store.newest()

    assert advice in str(raised.value)
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize("fault", [Fault.SERVER_ERROR, Fault.FORBIDDEN, Fault.NO_BUCKET, Fault.HANG, Fault.FORGETS])
def test_what_was_not_taken_is_an_error(store: CheckpointBucket, faulty: FaultyStore, fault: Fault) -> None:
    faulty.fails(fault, "PUT")

    with pytest.raises(OutsideStoreError, match="cannot be written") as raised:
        store.put(LATER, sealed_at=NOON)

    assert SECRET not in str(raised.value)
    assert store.newest() == NOTE


@pytest.mark.parametrize("fault", [Fault.OTHER_BYTES, Fault.CUT, Fault.NO_LENGTH, Fault.SERVER_ERROR])
def test_a_200_is_not_believed_before_it_is_read_back(
    store: CheckpointBucket, faulty: FaultyStore, fault: Fault
) -> None:
    faulty.fails(fault, "GET")

    with pytest.raises(OutsideStoreError, match="cannot be written"):
        store.put(LATER, sealed_at=NOON)
    with pytest.raises(OutsideStoreError, match="cannot be written"):
        store.put_keys("{}")


def test_of_a_day_that_could_not_be_kept_nothing_becomes_the_newest(
    store: CheckpointBucket, faulty: FaultyStore
) -> None:
    faulty.fails(Fault.OTHER_BYTES, "GET")
    with pytest.raises(OutsideStoreError, match=r"by-day/2026-11-23\.txt"):
        store.put(LATER, sealed_at=NOON)

    faulty.fails(Fault.NONE)

    assert store.newest() == NOTE


@pytest.mark.parametrize("speaks_tls", [False, True])
def test_what_is_put_carries_its_checksum_and_is_signed_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, speaks_tls: bool
) -> None:
    """In TLS boto3 would send a checksum of its own making after the body, unsigned; not every store takes that."""
    digest = hashlib.sha256(NOTE.encode()).digest()
    certificate = make_certificate(tmp_path / "store.pem")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))

    with faulty_store(certificate if speaks_tls else None) as faulty:
        CheckpointBucket(read_s3_place(faulty.place())).put(NOTE, sealed_at=NOON)

    sent = [headers for method, _path, headers in faulty.asked if method == "PUT"]

    assert [one["x-amz-checksum-sha256"] for one in sent] == [b64encode(digest).decode()] * 2
    assert [one["x-amz-content-sha256"] for one in sent] == [digest.hex()] * 2
    assert [one for one in sent if "x-amz-trailer" in one] == []


def test_a_store_that_works_again_is_believed_again(store: CheckpointBucket, faulty: FaultyStore) -> None:
    faulty.fails(Fault.CUT)
    with pytest.raises(OutsideStoreError):
        store.newest()

    faulty.fails(Fault.NONE)

    assert store.newest() == NOTE


def test_credentials_that_come_later_are_found(
    store: CheckpointBucket, faulty: FaultyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = CheckpointBucket(read_s3_place(faulty.place()))
    with monkeypatch.context() as without:
        without.delenv("AWS_ACCESS_KEY_ID")
        without.delenv("AWS_SECRET_ACCESS_KEY")
        with pytest.raises(OutsideStoreError, match="there are no credentials"):
            late.newest()

    assert late.newest() == NOTE


def test_a_profile_that_is_not_there_is_said(faulty: FaultyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "none-of-ours")

    with pytest.raises(OutsideStoreError, match=r"boto3 cannot use its configuration \(ProfileNotFound\)"):
        CheckpointBucket(read_s3_place(faulty.place())).newest()


def test_a_port_that_nobody_listens_on_is_said_at_once() -> None:
    store = CheckpointBucket(read_s3_place(f"s3://evidence?endpoint=http://127.0.0.1:{free_port()}"))
    began = seconds_running()

    with pytest.raises(OutsideStoreError, match="EndpointConnectionError"):
        store.newest()

    assert seconds_running() - began < 3


def test_a_certificate_of_nobody_we_trust_is_said(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path / "store.pem")

    with faulty_store(certificate) as faulty, pytest.raises(OutsideStoreError, match="AWS_CA_BUNDLE"):
        CheckpointBucket(read_s3_place(faulty.place())).newest()

    assert faulty.asked == []
