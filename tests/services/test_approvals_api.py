"""Approvals over HTTP: another officer, once, and everything or nothing."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx2
import pytest
from sqlalchemy import Engine, select

from compliance.approvals import request_approval
from compliance.tables import audit_events
from infra.ids import new_id
from services.approval_actions import ACTIONS
from tests.conftest import NOON

ClientFor = Callable[..., httpx2.Client]

NOBODY = "01a20960-4a56-73d0-b2d4-88bed749ba2c"
TIGHTER = "[do_not_call]\nblock_months = 12\n"


@pytest.fixture
def request_id(client_for: ClientFor) -> str:
    """A policy that the officer "officer" asks for."""
    answer = client_for("officer").post("/v1/policy", json={"policy": TIGHTER, "reason": "board"})
    found: str = answer.json()["request_id"]
    return found


def stored_request(engine: Engine, kind: str, payload: dict[str, Any]) -> UUID:
    made = new_id()
    with engine.begin() as connection:
        request_approval(connection, request_id=made, kind=kind, payload=payload, person="officer", now=NOON)
    return made


def in_force(client: httpx2.Client) -> str:
    found: str = client.get("/v1/policy").json()["policy"]
    return found


def test_who_asked_cannot_approve_even_with_another_token(client_for: ClientFor, request_id: str) -> None:
    again = client_for("officer")

    answer = again.post(f"/v1/approvals/{request_id}", json={})

    assert answer.status_code == 403
    assert in_force(again) != TIGHTER


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({}, id="an empty body approves"),
        pytest.param({"decision": "approve", "reason": "checked"}, id="said in words"),
        pytest.param(None, id="no body"),
    ],
)
def test_another_officer_approves(client_for: ClientFor, request_id: str, body: dict[str, str] | None) -> None:
    second = client_for("officer", owner="second")

    answer = second.post(f"/v1/approvals/{request_id}", json=body)

    assert answer.status_code == 200
    assert (answer.json()["request_id"], answer.json()["decision"]) == (request_id, "approve")
    assert in_force(second) == TIGHTER


def test_a_rejected_request_changes_nothing_and_stays_rejected(client_for: ClientFor, request_id: str) -> None:
    second = client_for("officer", owner="second")

    rejected = second.post(f"/v1/approvals/{request_id}", json={"decision": "reject", "reason": "no"})
    approved = client_for("officer", owner="third").post(f"/v1/approvals/{request_id}", json={})

    assert rejected.json() == {"request_id": request_id, "decision": "reject"}
    assert approved.status_code == 409
    assert in_force(second) != TIGHTER


def test_a_second_approval_comes_too_late(client_for: ClientFor, request_id: str) -> None:
    second = client_for("officer", owner="second")
    second.post(f"/v1/approvals/{request_id}", json={})

    assert second.post(f"/v1/approvals/{request_id}", json={}).status_code == 409


def test_an_approval_repeated_with_its_key_gives_the_first_answer(client_for: ClientFor, request_id: str) -> None:
    second, key = client_for("officer", owner="second"), {"Idempotency-Key": "k1"}

    first = second.post(f"/v1/approvals/{request_id}", json={}, headers=key)
    again = second.post(f"/v1/approvals/{request_id}", json={}, headers=key)

    assert (again.status_code, again.json()) == (200, first.json())


def test_an_action_that_fails_leaves_the_request_open(client_for: ClientFor, engine: Engine) -> None:
    payload = {"policy": "[do_not_call]\nblock_months = 1\n", "reason": "x", "requested_by": "officer"}
    made = stored_request(engine, "policy", payload)
    second = client_for("officer", owner="second")

    answer = second.post(f"/v1/approvals/{made}", json={})

    assert answer.status_code == 422
    assert [error["article"] for error in answer.json()["errors"]] == ["25(2)"]
    assert [one["state"] for one in second.get("/v1/approvals").json()["items"]] == ["open"]


def test_decisions_are_kept_in_the_audit_log(client_for: ClientFor, request_id: str, engine: Engine) -> None:
    client_for("officer", owner="second").post(f"/v1/approvals/{request_id}", json={"reason": "checked"})

    with engine.connect() as connection:
        kept = connection.execute(select(audit_events).where(audit_events.c.subject == request_id)).one()
    assert (kept.kind, kept.actor) == ("request_approved", "second")
    assert kept.details == {"kind": "policy", "requested_by": "officer", "reason": "checked"}


def test_open_requests_are_listed_with_what_they_ask_for(client_for: ClientFor, request_id: str) -> None:
    listed = client_for("auditor").get("/v1/approvals", params={"state": "open"}).json()

    (one,) = listed["items"]
    assert (one["request_id"], one["kind"], one["state"]) == (request_id, "policy", "open")
    assert (one["requested_by"], one["requested_at"]) == ("officer", "2026-11-23T12:00:00+08:00")
    assert one["payload"]["policy"] == TIGHTER
    assert (one["decided_by"], one["decided_at"], listed["next_cursor"]) == (None, None, None)


def test_decided_requests_leave_the_list_of_open_ones(client_for: ClientFor, request_id: str) -> None:
    second = client_for("officer", owner="second")
    second.post(f"/v1/approvals/{request_id}", json={})

    assert second.get("/v1/approvals", params={"state": "open"}).json()["items"] == []
    (one,) = second.get("/v1/approvals", params={"state": "approved"}).json()["items"]
    assert (one["decided_by"], one["decided_at"]) == ("second", "2026-11-23T12:00:00+08:00")


def test_lists_show_no_personal_data(client_for: ClientFor, engine: Engine) -> None:
    stored_request(engine, "policy", {"phone": "+8613800138000", "reason": "客户13800138000要求", "name": "x"})

    answer = client_for("officer").get("/v1/approvals")

    assert answer.json()["items"][0]["payload"] == {"reason": "客户138****8000要求"}


def test_lists_come_in_pages_newest_first(client_for: ClientFor, engine: Engine) -> None:
    made = [str(stored_request(engine, "policy", {"n": n})) for n in range(3)]
    officer = client_for("officer")

    first = officer.get("/v1/approvals", params={"limit": 2}).json()
    second = officer.get("/v1/approvals", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    of_another = officer.get("/v1/approvals", params={"state": "open", "cursor": first["next_cursor"]})

    assert [one["request_id"] for one in first["items"] + second["items"]] == made[::-1]
    assert of_another.status_code == 422


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        pytest.param(NOBODY, {}, 404, id="unknown"),
        pytest.param("no-id", {}, 422, id="no id"),
        pytest.param(NOBODY, {"decision": "maybe"}, 422, id="no decision"),
        pytest.param(NOBODY, {"force": True}, 422, id="unknown field"),
    ],
)
def test_what_cannot_be_decided(client_for: ClientFor, path: str, body: dict[str, Any], status: int) -> None:
    assert client_for("officer").post(f"/v1/approvals/{path}", json=body).status_code == status


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        ("dialer", (403, 403)),
        ("inspector", (403, 403)),
        ("admin", (403, 403)),
        ("auditor", (200, 403)),
        ("officer", (200, 404)),
    ],
)
def test_officers_decide_and_auditors_read(client_for: ClientFor, role: str, expected: tuple[int, int]) -> None:
    client = client_for(role)
    deciding = client.post(f"/v1/approvals/{NOBODY}", json={})

    assert (client.get("/v1/approvals").status_code, deciding.status_code) == expected


def test_every_kind_of_request_has_its_action() -> None:
    assert set(ACTIONS) >= {"policy", "overlay_end", "do_not_call_release", "incident_close"}
