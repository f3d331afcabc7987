"""PUT and HEAD without boto3's layers: the same requests, answers and faults as with them."""

import hashlib
from base64 import b64encode
from collections.abc import Iterator
from datetime import timedelta

import pytest
from botocore.client import BaseClient

from infra.clock import utc_now
from infra.s3_client import (
    KeyTakenError,
    NoSuchObjectError,
    S3AwayError,
    S3Client,
    S3Error,
    faults_told,
    make_client,
)
from infra.s3_direct import make_direct_client
from infra.s3_place import S3Place, read_s3_place
from tests.s3_simulator import Fault, Simulator, s3_simulator

BODY = b"voice"
PUT = {
    "Body": BODY,
    "ContentLength": len(BODY),
    "ContentType": "application/octet-stream",
    "ChecksumAlgorithm": "SHA256",
    "ChecksumSHA256": b64encode(hashlib.sha256(BODY).digest()).decode(),
    "ObjectLockLegalHoldStatus": "ON",
    "ServerSideEncryption": "AES256",
}
HERE = {"Bucket": "evidence", "Key": "of-us/ab/abcd"}
LATER = utc_now().replace(microsecond=0) + timedelta(days=3650)
USED = {
    "ContentLength",
    "VersionId",
    "ETag",
    "ChecksumSHA256",
    "ServerSideEncryption",
    "ObjectLockMode",
    "ObjectLockRetainUntilDate",
    "ObjectLockLegalHoldStatus",
}


@pytest.fixture
def simulator(credentials: None) -> Iterator[Simulator]:
    with s3_simulator() as running:
        yield running


@pytest.fixture
def place(simulator: Simulator) -> S3Place:
    return read_s3_place(simulator.place())


@pytest.fixture
def direct(place: S3Place) -> S3Client:
    return make_direct_client(place, timeout_s=2)


@pytest.fixture
def boto3_client(place: S3Place) -> S3Client:
    return make_client(place, timeout_s=2, attempts=1)


def test_what_was_put_is_what_boto3_shows(direct: S3Client, boto3_client: S3Client) -> None:
    version_id = direct.put_object(**HERE, **PUT)["VersionId"]

    shown = boto3_client.head_object(**HERE, VersionId=version_id, ChecksumMode="ENABLED")

    assert (shown["ContentLength"], shown["ChecksumSHA256"]) == (len(BODY), PUT["ChecksumSHA256"])
    assert (shown["ObjectLockLegalHoldStatus"], shown["ServerSideEncryption"]) == ("ON", "AES256")


def test_a_head_tells_what_boto3_tells(direct: S3Client, boto3_client: S3Client) -> None:
    where = {**HERE, "VersionId": str(boto3_client.put_object(**HERE, **PUT)["VersionId"])}
    boto3_client.put_object_retention(**where, Retention={"Mode": "COMPLIANCE", "RetainUntilDate": LATER})

    found = direct.head_object(**where, ChecksumMode="ENABLED")

    shown = boto3_client.head_object(**where, ChecksumMode="ENABLED")
    assert found == {name: value for name, value in shown.items() if name in USED}
    assert set(found) == USED


@pytest.mark.parametrize("key", ["of-us/(a)*!'_~./b-c", "of us/%41+b"])
def test_a_key_is_asked_for_as_boto3_asks_for_it(direct: S3Client, simulator: Simulator, key: str) -> None:
    direct.put_object(**{**HERE, "Key": key}, **PUT)

    assert list(simulator.bucket.keys) == [key]


def test_of_a_role_its_token_is_sent_and_signed(
    place: S3Place, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of a role")

    make_direct_client(place, timeout_s=2).put_object(**HERE, **PUT)

    assert len(simulator.bucket.keys[HERE["Key"]]) == 1


def test_another_secret_is_refused(place: S3Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    client = make_direct_client(place, timeout_s=2)

    with pytest.raises(S3Error, match="SignatureDoesNotMatch\\); check what boto3 finds"), faults_told():
        client.put_object(**HERE, **PUT)


def test_without_credentials_it_says_so(place: S3Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    client = make_direct_client(place, timeout_s=2)

    with pytest.raises(S3Error, match="there are no credentials"), faults_told():
        client.put_object(**HERE, **PUT)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [(Fault.FAILS, S3AwayError), (Fault.FORBIDDEN, S3Error), (Fault.HANGS, S3AwayError)],
    ids=str,
)
def test_a_fault_of_a_put_is_told_as_boto3s_is(
    place: S3Place, simulator: Simulator, fault: Fault, kind: type[S3Error]
) -> None:
    simulator.fails(fault, "put")
    direct, other = make_direct_client(place, timeout_s=0.3), make_client(place, timeout_s=0.3, attempts=1)

    with pytest.raises(kind) as raised, faults_told():
        direct.put_object(**HERE, **PUT)
    with pytest.raises(kind) as expected, faults_told():
        other.put_object(**HERE, **PUT)

    assert str(raised.value) == str(expected.value)


def test_what_is_there_is_told_as_taken_and_what_is_not_as_missing(direct: S3Client) -> None:
    direct.put_object(**HERE, **PUT)

    with pytest.raises(KeyTakenError), faults_told():
        direct.put_object(**HERE, **PUT, IfNoneMatch="*")
    with pytest.raises(NoSuchObjectError), faults_told():
        direct.head_object(**HERE, VersionId="v000404")


@pytest.mark.parametrize("operation", ["put", "head"])
def test_a_store_that_sends_elsewhere_is_asked_by_boto3(direct: S3Client, simulator: Simulator, operation: str) -> None:
    direct.put_object(**HERE, **PUT)
    simulator.asked.clear()
    simulator.fails(Fault.ELSEWHERE, operation, times=1)

    direct.put_object(**HERE, **PUT)
    direct.head_object(**HERE)

    assert simulator.asked.count(operation) == 2


def test_a_body_from_a_file_and_all_else_go_by_boto3(
    direct: S3Client, simulator: Simulator, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("given") / "voice"
    path.write_bytes(BODY)

    with path.open("rb") as file:
        direct.put_object(**HERE, **{**PUT, "Body": file})

    assert simulator.bucket.keys[HERE["Key"]][0].body == BODY
    assert direct.get_object(**HERE)["ContentLength"] == len(BODY)


def test_a_place_that_names_no_endpoint_is_boto3s_alone(credentials: None) -> None:
    client = make_direct_client(S3Place("evidence", region="cn-north-1"), timeout_s=2)

    assert isinstance(client, BaseClient)
