"""Callback requests over HTTP: with evidence, for a slot to come, used by one check."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import Engine
from starlette.testclient import TestClient

from services.api.callback_requests import CallbackAnswer
from tests.conftest import SettableClock
from tests.gate_facts import CALL, write_registers
from tests.services.documented import as_documented
from tests.services.shared_app import SharedApp

ClientFor = Callable[..., TestClient]
URL = "/v1/callback-requests"
BODY = {
    "phone": "138 0013 8000",
    "from": "2026-11-23T22:00:00+08:00",
    "to": "2026-11-23T23:00:00+08:00",
    "evidence": {"inbound_call_id": "i-1", "offset_ms": 1000},
}
NOBODY = "01a20960-4a56-73d0-b2d4-88bed749ba2c"


def test_a_request_answers_with_its_slot(client_for: ClientFor) -> None:
    answer = client_for("dialer").post(URL, json={**BODY, "customer_id": "C"})

    found = answer.json()
    assert answer.status_code == 201
    assert as_documented(CallbackAnswer, found) == found
    assert found == {
        "callback_request_id": found["callback_request_id"],
        "phone": "+8613800138000",
        "customer_id": "C",
        "from": BODY["from"],
        "to": BODY["to"],
        "used_by": None,
        "evidence": BODY["evidence"],
        "created_at": "2026-11-23T12:00:00+08:00",
    }


def test_the_first_call_in_the_slot_uses_it(client_for: ClientFor, engine: Engine, clock: SettableClock) -> None:
    with engine.begin() as connection:
        write_registers(connection)
    dialer = client_for("dialer")
    callback = dialer.post(URL, json=BODY).json()["callback_request_id"]
    clock.advance(timedelta(hours=10))
    checks = [dialer.post("/v1/call-checks", json={**CALL, "callback_request_id": callback}).json() for _ in range(2)]

    assert [one["decision"] for one in checks] == ["allow", "deny"]
    assert dialer.get(f"{URL}/{callback}").json()["used_by"] == checks[0]["check_id"]


@pytest.mark.parametrize(
    ("changes", "loc"),
    [
        pytest.param({"evidence": None}, "evidence", id="no evidence"),
        pytest.param({"evidence": {}}, "evidence", id="empty evidence"),
        pytest.param({"evidence": {"offset_ms": 1}}, "evidence", id="evidence of nothing"),
        pytest.param({"to": "2026-11-23T23:00:00.000001+08:00"}, "to", id="more than 60 minutes"),
        pytest.param({"to": BODY["from"]}, "to", id="an empty slot"),
        pytest.param({"from": "2026-11-23T12:00:00+08:00", "to": "2026-11-23T12:30:00+08:00"}, "from", id="begins now"),
        pytest.param({"from": "2026-12-07T12:00:00+08:00", "to": "2026-12-07T12:00:01+08:00"}, "to", id="15th day"),
        pytest.param({"from": "2026-11-23T22:00:00"}, "from", id="no offset"),
        pytest.param({"phone": "110"}, "phone", id="an emergency number"),
        pytest.param({"from_at": BODY["from"]}, "from_at", id="an unknown field"),
    ],
)
def test_what_cannot_be_used_is_named(shared: SharedApp, changes: dict[str, object], loc: str) -> None:
    answer = shared.client("dialer").post(URL, json={**BODY, **changes})

    assert (answer.status_code, [one["loc"] for one in answer.json()["errors"]]) == (422, [loc])


@pytest.mark.parametrize("evidence", [{"inbound_call_id": "i"}, {"document": "d"}])
def test_every_kind_of_evidence_is_enough(client_for: ClientFor, evidence: dict[str, str]) -> None:
    assert client_for("dialer").post(URL, json={**BODY, "evidence": evidence}).status_code == 201


@pytest.mark.parametrize(
    ("role", "owner", "status", "phone"),
    [
        ("dialer", "dialer", 200, "+8613800138000"),
        ("dialer", "another", 200, "138****8000"),
        ("inspector", None, 403, None),
        ("officer", None, 200, "+8613800138000"),
        ("admin", None, 200, "138****8000"),
        ("auditor", None, 200, "138****8000"),
    ],
)
def test_who_may_read_a_request(
    client_for: ClientFor, role: str, owner: str | None, status: int, phone: str | None
) -> None:
    callback = client_for("dialer").post(URL, json=BODY).json()["callback_request_id"]

    answer = client_for(role, owner=owner).get(f"{URL}/{callback}")

    assert (answer.status_code, answer.json().get("phone")) == (status, phone)


@pytest.mark.parametrize("role", ["inspector", "officer", "admin", "auditor"])
def test_only_dialers_make_requests(shared: SharedApp, role: str) -> None:
    assert shared.client(role).post(URL, json=BODY).status_code == 403


def test_an_unknown_request_is_404(shared: SharedApp) -> None:
    assert shared.client("dialer").get(f"{URL}/{NOBODY}").status_code == 404


def test_the_same_key_gives_the_first_answer_again(client_for: ClientFor) -> None:
    dialer = client_for("dialer")
    headers = {"Idempotency-Key": "k1"}

    answers = [dialer.post(URL, json=BODY, headers=headers) for _ in range(2)]

    assert answers[0].json() == answers[1].json()
    assert answers[1].headers["Idempotency-Replayed"] == "true"
