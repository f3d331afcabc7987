"""Scrubs and jobs over HTTP, from the upload to the file, with a worker between."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from infra.database import make_engine
from infra.embedded_postgres import EmbeddedPostgres
from infra.ids import new_id
from infra.jobs import MOST_ATTEMPTS, STALE_AFTER, JobResult, LostJobError, RunningJob, claim, read_job
from services import uploads
from services.tasks import RUNNERS, Worker, remove_inputs_without_need, run_job, sweep
from tests.conftest import NOON
from tests.gate_facts import CALL
from tests.services.shared_app import SharedApp, shared_app

FIELDS = {name: value for name, value in CALL.items() if name != "callee"}
LIST = "手机号,姓名\r\n138 0013 8000,张三\r\n110,李四\r\n".encode("gb18030")


@dataclass(frozen=True, slots=True)
class House:
    """An application and the worker on the same data."""

    shared: SharedApp
    worker: Worker
    woken: list[UUID]

    def client(self, role: str = "dialer") -> TestClient:
        return self.shared.client(role)

    def send(
        self, content: bytes = LIST, *, role: str = "dialer", key: str | None = None, **fields: str
    ) -> httpx.Response:
        return self.client(role).post(
            "/v1/scrubs",
            files={"file": ("list.csv", content)},
            data={**FIELDS, **fields},
            headers={} if key is None else {"Idempotency-Key": key},
        )

    def job(self, job_id: str, *, role: str = "dialer") -> dict[str, Any]:
        answer: dict[str, Any] = self.client(role).get(f"/v1/jobs/{job_id}").json()
        return answer

    def uploads(self) -> set[str]:
        return {directory.name for directory in self.worker.files.iterdir()}


@pytest.fixture(scope="module")
def house(server: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    data_dir = tmp_path_factory.mktemp("data")
    with shared_app(server, template, data_dir) as shared:
        woken: list[UUID] = []
        shared.app.state.telesales.wake = woken.append
        url = shared.engine.url.render_as_string(hide_password=False)
        engine = make_engine(url, application_name="tests")
        worker = Worker(engine, clock=lambda: NOON, data_dir=data_dir, owns_broker=False, runners=RUNNERS)
        shared.app.state.telesales.files.mkdir(exist_ok=True)
        yield House(shared, worker, woken)
        engine.dispose()


def test_a_list_is_scrubbed(house: House) -> None:
    sent = house.send()
    job_id = sent.json()["job_id"]
    waiting = house.job(job_id)
    run_job(house.worker, UUID(job_id))
    done = house.job(job_id)
    file = house.client().get(f"/v1/jobs/{job_id}/files/scrubbed.csv")

    assert sent.status_code == 202
    assert waiting == sent.json()
    assert (waiting["kind"], waiting["state"], waiting["done"], waiting["total"]) == ("scrub", "queued", 0, None)
    assert house.woken[-1] == UUID(job_id)
    assert (done["state"], done["done"], done["total"], done["files"]) == ("done", 2, 2, ["scrubbed.csv"])
    assert done["result"]["by_reason"] == {"invalid_number": 1}
    assert {name: done["result"][name] for name in ("rows", "allow", "deny", "invalid")} == {
        "rows": 2,
        "allow": 1,
        "deny": 1,
        "invalid": 1,
    }
    assert file.headers["content-type"].startswith("text/csv")
    assert file.content.decode("gb18030").splitlines() == [
        "手机号,姓名,e164,decision,reasons,next_callable_at",
        "138 0013 8000,张三,+8613800138000,allow,,",
        "110,李四,,deny,invalid_number,",
    ]


def test_an_instant_makes_it_a_simulation(house: House) -> None:
    job_id = house.send(at="2026-11-23T22:00:00+08:00").json()["job_id"]
    run_job(house.worker, UUID(job_id))

    result = house.job(job_id)["result"]

    assert result["at"] == "2026-11-23T22:00:00+08:00"
    assert result["by_reason"] == {"quiet_hours": 2, "invalid_number": 1}


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


@pytest.mark.parametrize("role", ["inspector", "admin", "auditor"])
def test_other_roles_may_not_scrub(house: House, role: str) -> None:
    assert house.send(role=role).status_code == 403


def test_a_job_of_another_role_is_unknown(house: House) -> None:
    job_id = house.send(role="officer").json()["job_id"]
    run_job(house.worker, UUID(job_id))

    assert house.client("officer").get(f"/v1/jobs/{job_id}").status_code == 200
    assert house.client("dialer").get(f"/v1/jobs/{job_id}").status_code == 404
    assert house.client("dialer").get(f"/v1/jobs/{job_id}/files/scrubbed.csv").status_code == 404


@pytest.mark.parametrize(
    "name", ["input", "..%2Finput", "../input", "scrubbed.csv.partial", "%2e%2e", "%2e%2e%2finput", "nothing.csv"]
)
def test_only_files_that_the_job_names_are_sent(house: House, name: str) -> None:
    job_id = house.send().json()["job_id"]
    run_job(house.worker, UUID(job_id))

    assert house.client().get(f"/v1/jobs/{job_id}/files/{name}").status_code in {404, 422}


@pytest.mark.parametrize(
    ("wanted", "status", "content"),
    [
        pytest.param("bytes=0-4", 206, b"phone", id="the beginning"),
        pytest.param("bytes=6-", 206, None, id="the rest"),
        pytest.param("bytes=-2", 206, None, id="the end"),
        pytest.param("bytes=999999-", 200, None, id="beyond the end"),
        pytest.param("bytes=5-2", 200, None, id="backwards"),
        pytest.param("bytes=abc", 200, None, id="no number"),
        pytest.param("lines=0-1", 200, None, id="another unit"),
        pytest.param("bytes=0-1,3-4", 200, None, id="several"),
    ],
)
def test_a_part_of_a_file_is_sent_or_else_the_whole(
    house: House, wanted: str, status: int, content: bytes | None
) -> None:
    job_id = house.send(b"phone\n13800138000\n").json()["job_id"]
    run_job(house.worker, UUID(job_id))

    answer = house.client().get(f"/v1/jobs/{job_id}/files/scrubbed.csv", headers={"Range": wanted})

    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/csv")
    assert content is None or answer.content == content


def test_a_repeat_with_the_same_key_gets_the_first_answer_and_keeps_no_second_upload(house: House) -> None:
    first = house.send(key="once")
    before = house.uploads()

    second = house.send(key="once")

    assert second.status_code == 202
    assert second.json() == first.json()
    assert second.headers["idempotency-replayed"] == "true"
    assert house.uploads() == before


@pytest.mark.parametrize(
    ("content", "fields"),
    [
        pytest.param(LIST + b"1\r\n", {}, id="another file"),
        pytest.param(LIST, {"purpose": "service"}, id="another field"),
    ],
)
def test_the_same_key_with_something_else_is_409(house: House, content: bytes, fields: dict[str, str]) -> None:
    key = new_id().hex
    house.send(key=key)
    before = house.uploads()

    again = house.send(content, key=key, **fields)

    assert again.status_code == 409
    assert house.uploads() == before


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

    refused = house.send(**fields)

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


def test_an_unreadable_list_fails_its_job_with_the_reason_in_both_languages(house: House) -> None:
    job_id = house.send(b"name,city\nx,y\n").json()["job_id"]

    run_job(house.worker, UUID(job_id))

    failed = house.job(job_id)
    assert (failed["state"], failed["result"], failed["files"]) == ("failed", None, [])
    assert failed["error"]["status"] == 422
    assert "no column of telephone numbers" in failed["error"]["detail"]
    assert "没有号码列" in failed["error"]["detail_zh"]


def worker_with(house: House, runner: Any) -> Worker:
    worker = house.worker
    return Worker(worker.engine, worker.clock, worker.data_dir, owns_broker=False, runners={"scrub": runner})


def test_a_fault_of_the_product_fails_the_job_without_quoting_it(house: House) -> None:
    def broken(_running: RunningJob) -> JobResult:
        raise ZeroDivisionError("13800138000")

    job_id = house.send().json()["job_id"]
    run_job(worker_with(house, broken), UUID(job_id))

    failed = house.job(job_id)
    assert (failed["state"], failed["error"]["status"]) == ("failed", 500)
    assert "13800138000" not in str(failed["error"])


def test_while_the_database_is_away_a_job_stays_for_the_sweep(house: House) -> None:
    def interrupted(running: RunningJob) -> JobResult:
        with running.engine.connect() as connection:
            connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        return JobResult({})

    job_id = house.send().json()["job_id"]
    run_job(worker_with(house, interrupted), UUID(job_id))

    assert house.job(job_id)["state"] == "running"


def test_a_worker_that_lost_its_job_leaves_it_to_the_other(house: House) -> None:
    def overtaken(running: RunningJob) -> JobResult:
        with running.engine.begin() as connection:
            claim(connection, running.job_id, now=NOON + 2 * STALE_AFTER)
        with pytest.raises(LostJobError):
            running.report_progress(1, 2)
        return JobResult({"from": "the worker believed dead"})

    job_id = house.send().json()["job_id"]
    run_job(worker_with(house, overtaken), UUID(job_id))

    assert (house.job(job_id)["state"], house.job(job_id)["result"]) == ("running", None)


def later(house: House, by: timedelta) -> Worker:
    worker = house.worker
    return Worker(worker.engine, lambda: NOON + by, worker.data_dir, owns_broker=False, runners=worker.runners)


def test_the_sweep_runs_what_lost_messages_and_dead_workers_left(house: House) -> None:
    lost, dead = house.send().json()["job_id"], house.send().json()["job_id"]
    with house.shared.engine.begin() as connection:
        claim(connection, UUID(dead), now=NOON)

    sweep(later(house, STALE_AFTER + timedelta(seconds=1)))

    assert [house.job(job_id)["state"] for job_id in (lost, dead)] == ["done", "done"]


def test_a_job_whose_worker_dies_again_and_again_fails_in_the_end(house: House) -> None:
    job_id = house.send().json()["job_id"]
    for attempt in range(MOST_ATTEMPTS):
        with house.shared.engine.begin() as connection:
            assert claim(connection, UUID(job_id), now=NOON + attempt * 2 * STALE_AFTER) is not None

    sweep(later(house, MOST_ATTEMPTS * 2 * STALE_AFTER))

    assert house.job(job_id)["error"]["title"] == "Job abandoned"


def test_a_worker_that_fails_at_a_job_it_lost_leaves_it_to_the_other(house: House) -> None:
    def overtaken(running: RunningJob) -> JobResult:
        with running.engine.begin() as connection:
            claim(connection, running.job_id, now=NOON + 2 * STALE_AFTER)
        raise ZeroDivisionError

    job_id = house.send().json()["job_id"]
    run_job(worker_with(house, overtaken), UUID(job_id))

    assert (house.job(job_id)["state"], house.job(job_id)["error"]) == ("running", None)
    assert (house.worker.files / job_id / "input").exists()


def kept_of(house: House, job_id: str) -> set[str]:
    directory = house.worker.files / job_id
    return {str(one.relative_to(directory)) for one in directory.rglob("*")}


def test_a_finished_job_keeps_its_files_and_not_what_they_were_made_from(house: House) -> None:
    job_id = house.send().json()["job_id"]
    before = kept_of(house, job_id)

    run_job(house.worker, UUID(job_id))

    assert (before, kept_of(house, job_id)) == ({"input"}, {"files", "files/scrubbed.csv"})


def test_a_failed_job_keeps_nothing(house: House) -> None:
    def broken(running: RunningJob) -> JobResult:
        (running.output_dir / "half").write_text("13800138000")
        raise ZeroDivisionError

    job_id = house.send().json()["job_id"]
    run_job(worker_with(house, broken), UUID(job_id))

    assert house.job(job_id)["state"] == "failed"
    assert not (house.worker.files / job_id).exists()


def test_the_sweep_removes_inputs_that_workers_left_when_they_died_after_the_end(house: House) -> None:
    finished, waiting = house.send().json()["job_id"], house.send().json()["job_id"]
    run_job(house.worker, UUID(finished))
    (house.worker.files / finished / "input").write_text("left")

    remove_inputs_without_need(house.worker)

    assert kept_of(house, finished) == {"files", "files/scrubbed.csv"}
    assert kept_of(house, waiting) == {"input"}


def test_a_job_is_done_only_when_its_files_are_on_disk(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[tuple[int, str]] = []
    sync = os.fsync

    def note_fsync(number: int) -> None:
        synced.append((os.fstat(number).st_ino, house.job(job_id)["state"]))
        sync(number)

    job_id = house.send().json()["job_id"]
    directory = house.worker.files / job_id
    monkeypatch.setattr(os, "fsync", note_fsync)
    run_job(house.worker, UUID(job_id))

    wanted = [directory / "files" / "scrubbed.csv", directory / "files", directory, directory.parent]
    assert {(one.stat().st_ino, "running") for one in wanted} <= set(synced)
    assert house.job(job_id)["state"] == "done"


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


def test_the_job_is_visible_when_the_worker_is_woken(house: House) -> None:
    seen: list[str] = []

    def look(job_id: UUID) -> None:
        with house.shared.engine.connect() as connection:
            seen.append(read_job(connection, job_id).state)

    state = house.shared.app.state.telesales
    before = state.wake
    state.wake = look
    house.send()
    state.wake = before

    assert seen == ["queued"]
