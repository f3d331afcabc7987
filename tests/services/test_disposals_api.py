"""Holds and disposals over HTTP: who may, what is answered, and that two people are two people."""

from datetime import date
from typing import Any
from uuid import UUID

import httpx2
import pytest
from sqlalchemy import Engine

from infra.ids import new_id
from recordings.retention import refresh
from tests.conftest import NOON, ClientFor
from tests.recordings.archive_rows import POLICY, add_recording, add_sale


@pytest.fixture
def expired(engine: Engine) -> UUID:
    """A recording without a sale, whose three years are over."""
    return stored(engine)


def stored(engine: Engine, **facts: Any) -> UUID:
    with engine.begin() as connection:
        recording_id = add_recording(connection, **facts)
        refresh(connection, [recording_id], policy=POLICY, now=NOON)
    return recording_id


def ask(client: httpx2.Client, *ids: UUID) -> httpx2.Response:
    return client.post("/v1/disposals", json={"recording_ids": [str(one) for one in ids], "reason": "over"})


def test_one_officer_asks_another_approves_and_the_certificate_stays(client_for: ClientFor, expired: UUID) -> None:
    officer, second = client_for("officer"), client_for("officer", owner="officer2")
    listed = officer.get("/v1/disposals/due").json()
    request_id = ask(officer, expired).json()["request_id"]
    alone = officer.post(f"/v1/approvals/{request_id}", json={})

    given = second.post(f"/v1/approvals/{request_id}", json={})

    assert [one["recording_id"] for one in listed["items"]] == [str(expired)]
    assert listed["items"][0]["retention"]["state"] == "expired"
    assert [law["at_least_years"] for law in listed["statutes"]] == [5, 10]
    assert alone.status_code == 403
    assert given.status_code == 200
    disposal = client_for("auditor").get(f"/v1/disposals/{given.json()['disposal_id']}").json()
    assert disposal["certificate"] == given.json()["certificate"]
    assert (disposal["requested_by"], disposal["approved_by"]) == ("officer", "officer2")
    assert officer.get("/v1/disposals/due").json()["items"] == []


def test_what_is_due_is_shown_with_the_retention_of_its_recording(client_for: ClientFor, expired: UUID) -> None:
    officer = client_for("officer")

    [listed] = officer.get("/v1/disposals/due").json()["items"]

    assert listed["retention"] == officer.get(f"/v1/recordings/{expired}").json()["retention"]
    assert "may be disposed of, if two officers agree" in listed["retention"]["why"]


def test_what_may_not_go_is_answered_with_each_one_and_why(
    client_for: ClientFor, engine: Engine, expired: UUID
) -> None:
    with engine.begin() as connection:
        add_sale(connection, "P-1")
    kept = stored(engine, policy_no="P-1")

    answer = ask(client_for("officer"), expired, kept)

    assert answer.status_code == 409
    [error] = answer.json()["errors"]
    assert (error["loc"], error["state"]) == (str(kept), "held")
    assert "P-1 has not ended" in error["msg"]
    assert "第三十五条" in error["msg_zh"]


def test_a_hold_stops_an_approval_and_is_released_by_two(client_for: ClientFor, expired: UUID) -> None:
    officer, second = client_for("officer"), client_for("officer", owner="officer2")
    request_id = ask(officer, expired).json()["request_id"]
    placed = officer.post(f"/v1/recordings/{expired}/holds", json={"reason": "complaint", "case": "A-1"})
    hold_id = placed.json()["hold_id"]
    stopped = second.post(f"/v1/approvals/{request_id}", json={})
    released = officer.post(f"/v1/recordings/{expired}/holds/{hold_id}/release", json={"reason": "settled"})
    second.post(f"/v1/approvals/{released.json()['request_id']}", json={})

    again = second.post(f"/v1/approvals/{request_id}", json={})

    assert (placed.status_code, stopped.status_code, released.status_code) == (201, 409, 202)
    assert again.status_code == 200
    [hold] = client_for("auditor").get(f"/v1/recordings/{expired}/holds").json()["items"]
    assert (hold["hold_id"], hold["released_by"], hold["release_reason"]) == (hold_id, "officer2", "settled")


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        pytest.param("GET", "/v1/disposals/NEW", "", 404, id="no such disposal"),
        pytest.param("POST", "/v1/disposals", '{"recording_ids": ["NEW"], "reason": "x"}', 404, id="no such recording"),
        pytest.param("POST", "/v1/disposals", '{"recording_ids": [], "reason": "x"}', 422, id="none named"),
        pytest.param("POST", "/v1/disposals", '{"recording_ids": ["OLD"], "reason": ""}', 422, id="no reason"),
        pytest.param("POST", "/v1/recordings/NEW/holds", '{"reason": "x"}', 404, id="hold on nothing"),
        pytest.param("POST", "/v1/recordings/OLD/holds", "{}", 422, id="hold without reason"),
        pytest.param("POST", "/v1/recordings/OLD/holds/NEW/release", '{"reason": "x"}', 404, id="no such hold"),
        pytest.param("GET", "/v1/recordings/NEW/holds", "", 404, id="holds of nothing"),
        pytest.param("GET", "/v1/disposals/due?cursor=bm8", "", 422, id="a cursor of nobody"),
    ],
)
def test_what_cannot_be_is_refused(
    client_for: ClientFor, expired: UUID, method: str, path: str, body: str, status: int
) -> None:
    names = {"NEW": str(new_id()), "OLD": str(expired)}

    answer = client_for("officer").request(
        method, filled(path, names), content=filled(body, names), headers={"Content-Type": "application/json"}
    )

    assert answer.status_code == status


def filled(text: str, names: dict[str, str]) -> str:
    return text.replace("NEW", names["NEW"]).replace("OLD", names["OLD"])


def test_the_list_goes_on_where_its_page_ended(client_for: ClientFor, engine: Engine) -> None:
    stored(engine), stored(engine), stored(engine)
    officer = client_for("officer")
    first = officer.get("/v1/disposals/due?limit=2").json()

    second = officer.get("/v1/disposals/due", params={"limit": 2, "cursor": first["next_cursor"]}).json()

    seen = [one["recording_id"] for one in (*first["items"], *second["items"])]
    assert len(set(seen)) == 3
    assert second["next_cursor"] is None


def test_a_policy_that_keeps_longer_names_the_job_that_raises_dates(client_for: ClientFor, engine: Engine) -> None:
    with engine.begin() as connection:
        add_sale(connection, "P-1", ended_on=date(2024, 1, 1))
    stored(engine, policy_no="P-1")
    officer, second = client_for("officer"), client_for("officer", owner="officer2")
    body = {"policy": "[retention]\nyears_5y = 6\n", "reason": "longer"}
    request_id = officer.post("/v1/policy", json=body).json()["request_id"]

    given = second.post(f"/v1/approvals/{request_id}", json={}).json()

    job = officer.get(f"/v1/jobs/{given['retention_job_id']}").json()
    assert (job["kind"], job["state"]) == ("raise_retention", "queued")
    assert given["job_id"] is None


@pytest.mark.parametrize(("role", "seen"), [("officer", True), ("auditor", False)])
def test_a_number_in_a_reason_is_whole_for_officers_alone(
    client_for: ClientFor, expired: UUID, engine: Engine, role: str, seen: bool
) -> None:
    officer, second = client_for("officer"), client_for("officer", owner="officer2")
    other = stored(engine)
    hold = {"reason": "13800138000 complained", "case": "case of 13800138000"}
    officer.post(f"/v1/recordings/{other}/holds", json=hold)
    body = {"recording_ids": [str(expired)], "reason": "asked by 13800138000"}
    request_id = officer.post("/v1/disposals", json=body).json()["request_id"]
    disposal_id = second.post(f"/v1/approvals/{request_id}", json={}).json()["disposal_id"]

    paths = (f"recordings/{other}", "recordings", f"recordings/{other}/holds", f"disposals/{disposal_id}")
    answers = [client_for(role).get(f"/v1/{path}").text for path in paths]

    assert ["13800138000" in answer for answer in answers] == [seen] * 4
    assert ["138****8000" in answer for answer in answers] == [not seen] * 4
