"""Uploads: what is stored of a list before its job is, and what is left of one that is refused."""

import hashlib
import os
from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import pytest

from infra.ids import new_id
from infra.jobs import read_job
from services import uploads
from services.tasks import remove_inputs_without_need
from tests.conftest import NOON
from tests.services.list_house import House


def test_the_upload_is_stored_whole_with_its_digest_for_its_owner_only(house: House) -> None:
    content = b"phone\n" + b"13800138000\n" * 400_000

    job_id = house.send(content).json()["job_id"]

    directory = house.worker.files / job_id
    with house.shared.engine.connect() as connection:
        parameters = read_job(connection, UUID(job_id)).parameters
    assert (directory / "input").read_bytes() == content
    assert parameters["sha256"] == hashlib.sha256(content).hexdigest()
    assert parameters["size_bytes"] == len(content)
    assert directory.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"purpose": "spam"}, id="unknown purpose"),
        pytest.param({"at": "2026-11-23T22:00:00"}, id="instant without offset"),
        pytest.param({"at": "2014-12-31T12:00:00+08:00"}, id="before all simulations"),
        pytest.param({"colour": "red"}, id="unknown field"),
        pytest.param({"agent_id": "x" * 101}, id="id too long"),
        pytest.param({"agent_id": "x" * 30_000}, id="field too long"),
        pytest.param({"agent_id": "a\0b"}, id="NUL"),
    ],
)
def test_bad_fields_are_422_and_leave_no_upload(house: House, fields: dict[str, str]) -> None:
    before = house.uploads()

    refused = house.send(form=fields)

    assert refused.status_code == 422
    assert refused.json()["errors"][0]["loc"] == next(iter(fields))
    assert house.uploads() == before


BOUNDARY = {"Content-Type": "multipart/form-data; boundary=b"}


FILE_PART = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nphone\n1\n\r\n'


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        pytest.param(b"{}", {"Content-Type": "application/json"}, id="JSON"),
        pytest.param(b"", {}, id="nothing"),
        pytest.param(b"phone\n", {"Content-Type": "multipart/form-data"}, id="no boundary"),
        pytest.param(b"", BOUNDARY, id="empty form"),
        pytest.param(b"--b--\r\n", BOUNDARY, id="no part"),
        pytest.param(b"rubbish" * 100, BOUNDARY, id="no multipart"),
        pytest.param(FILE_PART, BOUNDARY, id="cut off"),
        pytest.param(FILE_PART + FILE_PART + b"--b--\r\n", BOUNDARY, id="two files"),
        pytest.param(
            b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nsales\r\n--b--\r\n', BOUNDARY, id="no file"
        ),
        pytest.param(b"--b\r\nContent-Type: text/csv\r\n\r\nx\r\n--b--\r\n", BOUNDARY, id="a part without a name"),
        pytest.param(
            FILE_PART + b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\n\xff\r\n--b--\r\n',
            BOUNDARY,
            id="a field that is not UTF-8",
        ),
    ],
)
def test_a_body_that_is_no_upload_is_422_and_leaves_nothing(house: House, body: bytes, headers: dict[str, str]) -> None:
    before = house.uploads()

    refused = house.client().post("/v1/scrubs", content=body, headers=headers)

    assert refused.status_code == 422
    assert house.uploads() == before


@pytest.fixture
def small_limit(house: House) -> Iterator[int]:
    state = house.shared.app.state.telesales
    before = state.settings
    state.settings = before.model_copy(update={"upload_limit_bytes": 2048})
    yield 2048
    state.settings = before


@pytest.mark.parametrize(
    ("size", "status"), [pytest.param(2048, 202, id="at the limit"), pytest.param(2049, 413, id="one byte more")]
)
def test_files_over_the_limit_are_413(house: House, small_limit: int, size: int, status: int) -> None:
    before = house.uploads()

    sent = house.send(b"phone\n".ljust(size, b"1"))

    assert sent.status_code == status
    assert (house.uploads() == before) is (status == 413)


def test_a_declared_length_over_the_limit_is_413_before_anything_is_read(house: House, small_limit: int) -> None:
    headers = {**BOUNDARY, "Content-Length": str(small_limit + (2 << 20))}

    refused = house.client().post("/v1/scrubs", content=b"", headers=headers)

    assert refused.status_code == 413


def test_bytes_around_the_file_are_limited_too(house: House, small_limit: int) -> None:
    def endless() -> Iterator[bytes]:
        yield b"--b\r\n"
        for _ in range(40):
            yield b"X-Padding: " + b"x" * 4000 + b"\r\n"
            yield FILE_PART + b"--b--\r\n" + b"x" * (1 << 16)

    refused = house.client().post("/v1/scrubs", content=endless(), headers=BOUNDARY)

    assert refused.status_code in {413, 422}


def test_uploads_that_broke_off_before_their_job_are_removed_after_a_day(house: House) -> None:
    kept = house.send().json()["job_id"]
    old, young, foreign = str(new_id()), str(new_id()), "notes"
    for name in (kept, old, young, foreign):
        (house.worker.files / name).mkdir(exist_ok=True)
    two_days_ago = (NOON - timedelta(days=2)).timestamp()
    for name in (kept, old, foreign):
        os.utime(house.worker.files / name, (two_days_ago, two_days_ago))
    os.utime(house.worker.files / young, (NOON.timestamp(), NOON.timestamp()))

    remove_inputs_without_need(house.worker)

    assert {kept, young, foreign} <= house.uploads()
    assert old not in house.uploads()
    (house.worker.files / foreign).rmdir()


def test_nothing_is_stored_of_a_job_whose_commit_fails(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail_to_create(*_arguments: object, **_named: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(uploads, "create_job", fail_to_create)
    woken = list(house.woken)

    refused = house.send()

    assert refused.status_code == 500
    assert house.woken == woken
