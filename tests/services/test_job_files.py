"""Files of jobs over HTTP: which are sent, in parts or whole, which are kept, and when they are on disk."""

import os
from typing import Any
from uuid import UUID

import pytest

from infra.jobs import STALE_AFTER, JobResult, RunningJob, claim
from services.tasks import Worker, remove_inputs_without_need, run_job
from tests.conftest import NOON
from tests.services.list_house import House


def worker_with(house: House, runner: Any) -> Worker:
    worker = house.worker
    return Worker(worker.engine, worker.clock, worker.data_dir, owns_broker=False, runners={"scrub": runner})


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
