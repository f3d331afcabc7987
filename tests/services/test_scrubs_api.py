"""Scrubs and jobs over HTTP, from the upload to the file, with a worker between."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from infra.ids import new_id
from infra.jobs import MOST_ATTEMPTS, STALE_AFTER, JobResult, LostJobError, RunningJob, claim, read_job
from services.tasks import Worker, run_job, sweep
from tests.conftest import NOON
from tests.services.list_house import LIST, House


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
    job_id = house.send(form={"at": "2026-11-23T22:00:00+08:00"}).json()["job_id"]
    run_job(house.worker, UUID(job_id))

    result = house.job(job_id)["result"]

    assert result["at"] == "2026-11-23T22:00:00+08:00"
    assert result["by_reason"] == {"quiet_hours": 2, "invalid_number": 1}


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

    again = house.send(content, key=key, form=fields)

    assert again.status_code == 409
    assert house.uploads() == before


def test_an_unreadable_list_fails_its_job_with_the_reason_in_both_languages(house: House) -> None:
    job_id = house.send(b"name,city\nx,y\n").json()["job_id"]

    run_job(house.worker, UUID(job_id))

    failed = house.job(job_id)
    assert (failed["state"], failed["result"], failed["files"]) == ("failed", None, [])
    assert (failed["error"]["status"], failed["error"]["title"]) == (422, "Unprocessable Content")
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
        with running.engine.connect() as connection, house.shared.engine.connect() as owner:
            pid = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
            owner.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
            connection.execute(text("SELECT 1"))
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
