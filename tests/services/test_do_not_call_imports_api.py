from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest
from sqlalchemy import Engine

from services.tasks import RUNNERS, Worker, run_job
from tests.conftest import ClientFor, SettableClock

URL = "/v1/do-not-call/imports"
LISTED = "手机号,拒绝日期\r\n13800138000,2026-03-15\r\n110,\r\n13800138001,2026-03-16\r\n"

Finish = Callable[[httpx2.Response], dict[str, Any]]


@pytest.fixture
def finish(engine: Engine, clock: SettableClock, tmp_path: Path, officer: httpx2.Client) -> Finish:
    """Run the job of an answer as a worker would, in a thread that takes its low priority with it; return the job."""
    worker = Worker(engine=engine, clock=clock, data_dir=tmp_path, owns_broker=True, runners=RUNNERS)

    def run(accepted: httpx2.Response) -> dict[str, Any]:
        job_id = accepted.json()["job_id"]
        with ThreadPoolExecutor(1) as executor:
            executor.submit(run_job, worker, UUID(job_id)).result()
        found: dict[str, Any] = officer.get(f"/v1/jobs/{job_id}").json()
        return found

    return run


@pytest.fixture
def officer(client_for: ClientFor) -> httpx2.Client:
    return client_for("officer")


def send(
    client: httpx2.Client,
    content: str | bytes,
    headers: dict[str, str] | None = None,
    *,
    form: dict[str, str] | None = None,
) -> httpx2.Response:
    raw = content.encode("gb18030") if isinstance(content, str) else content
    return client.post(URL, files={"file": ("名单.csv", raw)}, data=form or {}, headers=headers)


def test_a_list_becomes_a_job_and_its_people_are_blocked(officer: httpx2.Client, finish: Finish) -> None:
    accepted = send(officer, LISTED)
    assert (accepted.status_code, accepted.json()["kind"]) == (202, "do_not_call_import")
    job = finish(accepted)
    assert (job["state"], job["done"], job["total"], job["files"]) == ("done", 3, 3, ["rejected.csv"])
    assert job["result"] == {"rows": 3, "created": 2, "extended": 0, "unchanged": 0, "rejected": 1, "raised": 0}
    (entry,) = officer.get("/v1/do-not-call", params={"phone": "138 0013 8000"}).json()["items"]
    assert (entry["blocked_through"], entry["source"]) == ("2026-09-15", "import")


def test_the_rejected_rows_can_be_fetched(officer: httpx2.Client, finish: Finish) -> None:
    job = finish(send(officer, LISTED))
    listed = officer.get(f"/v1/jobs/{job['job_id']}/files/rejected.csv")
    header, row = listed.content.decode("gb18030").splitlines()
    assert header == "line,input,reason,message"
    assert row.startswith("3,110,short_number,")


def test_a_strict_list_with_a_bad_row_is_done_with_nothing_stored(officer: httpx2.Client, finish: Finish) -> None:
    job = finish(send(officer, LISTED, form={"mode": "strict"}))
    assert job["state"] == "done"
    assert job["result"]["stored"] is False
    assert (job["result"]["created"], job["result"]["rejected"]) == (0, 1)
    assert officer.get("/v1/do-not-call").json()["items"] == []


def test_a_file_that_is_no_list_fails_the_job_saying_why(officer: httpx2.Client, finish: Finish) -> None:
    job = finish(send(officer, "姓名\r\n王\r\n"))
    assert (job["state"], job["error"]["status"]) == ("failed", 422)
    assert "no column of telephone numbers" in job["error"]["detail"]


def test_the_history_of_an_entry_names_the_job_and_the_line(officer: httpx2.Client, finish: Finish) -> None:
    job = finish(send(officer, LISTED))
    (entry,) = officer.get("/v1/do-not-call", params={"phone": "13800138001"}).json()["items"]
    history = officer.get(f"/v1/do-not-call/{entry['entry_id']}").json()["history"]
    assert [event["details"]["evidence"] for event in history] == [{"job_id": job["job_id"], "line": 4}]


@pytest.mark.parametrize(
    ("form", "loc"), [({"mode": "careful"}, "mode"), ({"purpose": "sales"}, "purpose")], ids=["mode", "unknown field"]
)
def test_a_bad_form_is_refused_and_leaves_no_file(
    officer: httpx2.Client, tmp_path: Path, form: dict[str, str], loc: str
) -> None:
    refused = send(officer, LISTED, form=form)
    assert (refused.status_code, [error["loc"] for error in refused.json()["errors"]]) == (422, [loc])
    assert list((tmp_path / "jobs").iterdir()) == []


def test_a_body_without_a_file_is_refused(officer: httpx2.Client) -> None:
    assert officer.post(URL, data={"mode": "strict"}).status_code == 422


@pytest.mark.parametrize("role", ["dialer", "inspector", "admin", "auditor"])
def test_only_officers_import(client_for: ClientFor, role: str) -> None:
    assert send(client_for(role), LISTED).status_code == 403


def test_the_same_key_and_file_give_the_first_answer_again(officer: httpx2.Client) -> None:
    key = {"Idempotency-Key": "list-1"}
    first, again = send(officer, LISTED, key), send(officer, LISTED, key)
    assert again.json() == first.json()
    assert again.headers["Idempotency-Replayed"] == "true"


def test_the_same_key_with_another_mode_is_a_conflict(officer: httpx2.Client, tmp_path: Path) -> None:
    key = {"Idempotency-Key": "list-1"}
    send(officer, LISTED, key)
    assert send(officer, LISTED, key, form={"mode": "strict"}).status_code == 409
    assert len(list((tmp_path / "jobs").iterdir())) == 1
