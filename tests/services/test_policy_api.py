"""The policy over HTTP: two officers put it in force, nothing looser than the law, attempts are kept."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest
from sqlalchemy import Engine, select

from compliance.tables import audit_events
from infra.jobs import read_job
from infra.settings import Settings
from services.app import adopt_policy
from services.tasks import RUNNERS, Worker, sweep
from tests.conftest import SettableClock

ClientFor = Callable[..., httpx2.Client]

TIGHTER = "[do_not_call]\nblock_months = 12\n"
CLOSED_AT_NOON = '[[quiet_hours.extra]]\ndaily = [11:00:00, 13:00:00]\nweekdays = ["mon"]\n'
LOOSER = "[do_not_call]\nblock_months = 5\n[sampling]\nover_1y_bp = 2999\ngift_bp = 200\n"


def proposed(client: httpx2.Client, policy: str) -> dict[str, Any]:
    answer = client.post("/v1/policy", json={"policy": policy, "reason": "the board's decision"})
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json()
    return found


def refused_policies(engine: Engine) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(select(audit_events).where(audit_events.c.kind == "policy_refused")))


def test_the_floor_is_in_force_before_any_policy(client_for: ClientFor) -> None:
    shown = client_for("auditor").get("/v1/policy").json()

    assert "block_months = 6" in shown["policy"]
    assert shown["policy_digest"].startswith("sha256:")


def test_another_officer_puts_a_policy_in_force(client_for: ClientFor) -> None:
    officer = client_for("officer")
    before = officer.get("/v1/policy").json()
    pending = proposed(officer, TIGHTER)
    still = officer.get("/v1/policy").json()

    given = client_for("officer", owner="second").post(f"/v1/approvals/{pending['request_id']}", json={})

    assert still == before
    assert given.json()["policy_digest"] == pending["policy_digest"]
    assert officer.get("/v1/policy").json() == {
        "policy": TIGHTER,
        "policy_digest": pending["policy_digest"],
        "effective_from": "2026-11-23T12:00:00+08:00",
    }


def test_the_next_decision_is_made_by_the_new_policy(client_for: ClientFor) -> None:
    officer, dialer = client_for("officer"), client_for("dialer")
    before = dialer.post("/v1/call-checks", json={"callee": "13800138000"}).json()
    pending = proposed(officer, CLOSED_AT_NOON)

    client_for("officer", owner="second").post(f"/v1/approvals/{pending['request_id']}", json={})
    after = dialer.post("/v1/call-checks", json={"callee": "13800138000"}).json()

    assert "quiet_hours" not in [reason["code"] for reason in before["reasons"]]
    assert "quiet_hours" in [reason["code"] for reason in after["reasons"]]
    assert after["policy_digest"] == pending["policy_digest"]


@pytest.fixture
def worker(engine: Engine, clock: SettableClock, tmp_path: Path) -> Worker:
    return Worker(engine, clock=clock, data_dir=tmp_path, owns_broker=False, runners=RUNNERS)


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "k1"}], ids=["without a key", "with a key"])
def test_a_tighter_policy_raises_the_blocks_that_stand(
    client_for: ClientFor, engine: Engine, worker: Worker, headers: dict[str, str]
) -> None:
    officer, second, dialer = client_for("officer"), client_for("officer", owner="second"), client_for("dialer")
    seen: list[tuple[UUID, str]] = []

    def look(job_id: UUID) -> None:
        with engine.connect() as connection:
            seen.append((job_id, read_job(connection, job_id).state))

    officer.app.state.telesales.wake = look  # type: ignore[attr-defined]  # a TestClient
    body = {"phone": "13800138000", "refused_at": "2026-03-15T12:00:00+08:00"}
    entry = dialer.post("/v1/do-not-call", json=body).json()
    pending = proposed(officer, TIGHTER)

    given = second.post(f"/v1/approvals/{pending['request_id']}", json={}, headers=headers).json()
    sweep(worker)

    job = officer.get(f"/v1/jobs/{given['job_id']}").json()
    raised = officer.get(f"/v1/do-not-call/{entry['entry_id']}").json()
    denied = dialer.post("/v1/call-checks", json={"callee": "13800138000"}).json()
    result = {"raised": 1, "months": 12, "policy_digest": pending["policy_digest"]}
    assert seen == [(UUID(given["job_id"]), "queued")]
    assert (job["kind"], job["state"], job["done"], job["total"]) == ("raise_blocks", "done", 1, 1)
    assert job["result"] == result
    assert (entry["blocked_through"], raised["blocked_through"]) == ("2026-09-15", "2027-03-15")
    assert raised["refused_at"] == entry["refused_at"]
    assert [event["kind"] for event in raised["history"]] == ["refusal", "raised"]
    assert raised["history"][1]["details"] == {"months": 12, "policy_digest": pending["policy_digest"]}
    assert raised["history"][1]["actor"] == "second"
    assert "do_not_call" in [reason["code"] for reason in denied["reasons"]]


def test_a_policy_that_does_not_lengthen_blocks_queues_no_job(client_for: ClientFor) -> None:
    officer, woken = client_for("officer"), list[UUID]()
    officer.app.state.telesales.wake = woken.append  # type: ignore[attr-defined]  # a TestClient
    pending = proposed(officer, CLOSED_AT_NOON)

    given = client_for("officer", owner="second").post(f"/v1/approvals/{pending['request_id']}", json={})

    assert given.json()["job_id"] is None
    assert woken == []


def test_a_tighter_policy_file_raises_the_blocks_that_stand(
    client_for: ClientFor, engine: Engine, worker: Worker, clock: SettableClock, tmp_path: Path
) -> None:
    dialer, file = client_for("dialer"), tmp_path / "policy.toml"
    entry = dialer.post("/v1/do-not-call", json={"phone": "13800138000"}).json()
    file.write_text(TIGHTER)

    adopt_policy(engine, Settings(data_dir=tmp_path, policy_file=file), clock)
    sweep(worker)

    raised = dialer.get(f"/v1/do-not-call/{entry['entry_id']}").json()
    assert (entry["blocked_through"], raised["blocked_through"]) == ("2027-05-23", "2027-11-23")


def test_a_looser_policy_is_refused_with_every_offence_and_kept_in_the_audit_log(
    client_for: ClientFor, engine: Engine
) -> None:
    answer = client_for("officer").post("/v1/policy", json={"policy": LOOSER, "reason": "cheaper"})

    offences = [("do_not_call.block_months", "25(2)"), ("sampling.over_1y_bp", "34(1)")]
    assert answer.status_code == 422
    assert [(one["loc"], one["article"]) for one in answer.json()["errors"]] == offences
    (kept,) = refused_policies(engine)
    assert [(one["loc"], one["article"]) for one in kept.details["offences"]] == offences
    assert (kept.actor, kept.details["reason"]) == ("officer", "cheaper")


def test_a_refused_attempt_with_a_key_is_kept_too(client_for: ClientFor, engine: Engine) -> None:
    body = {"policy": LOOSER, "reason": "cheaper"}

    answer = client_for("officer").post("/v1/policy", json=body, headers={"Idempotency-Key": "k1"})

    assert answer.status_code == 422
    assert len(refused_policies(engine)) == 1


def test_what_is_no_policy_file_is_refused(client_for: ClientFor) -> None:
    answer = client_for("officer").post("/v1/policy", json={"policy": "block_months: 12", "reason": "x"})

    assert answer.status_code == 422
    assert [error["loc"] for error in answer.json()["errors"]] == ["policy"]


@pytest.mark.parametrize(
    ("body", "loc"),
    [
        pytest.param({"reason": "x"}, "policy", id="no policy"),
        pytest.param({"policy": TIGHTER}, "reason", id="no reason"),
        pytest.param({"policy": TIGHTER, "reason": "x", "force": True}, "force", id="unknown field"),
        pytest.param({"policy": "# " + "x" * 20_000, "reason": "x"}, "policy", id="too long"),
    ],
)
def test_what_cannot_be_used_is_named(client_for: ClientFor, body: dict[str, Any], loc: str) -> None:
    answer = client_for("officer").post("/v1/policy", json=body)

    assert answer.status_code == 422
    assert [error["loc"] for error in answer.json()["errors"]] == [loc]


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        ("dialer", (403, 403)),
        ("inspector", (403, 403)),
        ("admin", (403, 403)),
        ("auditor", (200, 403)),
        ("officer", (200, 422)),
    ],
)
def test_officers_write_and_auditors_read(client_for: ClientFor, role: str, expected: tuple[int, int]) -> None:
    client = client_for(role)

    assert (client.get("/v1/policy").status_code, client.post("/v1/policy", json={}).status_code) == expected


def test_of_two_policies_the_one_approved_last_is_in_force(client_for: ClientFor, clock: SettableClock) -> None:
    officer, second = client_for("officer"), client_for("officer", owner="second")
    first, later = proposed(officer, TIGHTER), proposed(officer, CLOSED_AT_NOON)

    second.post(f"/v1/approvals/{later['request_id']}", json={})
    clock.advance(timedelta(minutes=1))
    second.post(f"/v1/approvals/{first['request_id']}", json={})

    assert officer.get("/v1/policy").json()["policy"] == TIGHTER


def test_a_repeated_proposal_with_its_key_is_one_request(client_for: ClientFor) -> None:
    officer, key = client_for("officer"), {"Idempotency-Key": "k1"}
    body = {"policy": TIGHTER, "reason": "x"}

    first = officer.post("/v1/policy", json=body, headers=key)
    again = officer.post("/v1/policy", json=body, headers=key)

    assert again.json() == first.json()
    assert len(officer.get("/v1/approvals").json()["items"]) == 1
