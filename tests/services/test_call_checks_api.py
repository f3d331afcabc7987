"""Call checks over HTTP, on the whole application with its real database."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine, func, select, text
from starlette.testclient import TestClient

from compliance.decision import RULES_CHECKED
from compliance.tables import call_checks
from services.api.call_checks import CallCheckAnswer, SimulatedAnswer, StoredCheckAnswer
from tests.conftest import SettableClock
from tests.gate_facts import CALL, write_registers
from tests.services.documented import as_documented

ClientFor = Callable[..., TestClient]
URL = "/v1/call-checks"


@pytest.fixture
def dialer(client_for: ClientFor, engine: Engine) -> TestClient:
    with engine.begin() as connection:
        write_registers(connection)
    return client_for("dialer")


def test_an_allowed_check_has_every_field_of_the_contract(dialer: TestClient) -> None:
    response = dialer.post(URL, json=CALL)

    found = response.json()
    assert response.status_code == 200
    assert set(found) == set(CallCheckAnswer.model_fields)
    assert as_documented(CallCheckAnswer, found) == found
    assert (found["decision"], found["callee"], found["region"]) == ("allow", "+8613800138000", "110000")
    assert found["checked_at"].endswith("+08:00")
    assert datetime.fromisoformat(found["valid_until"]) - datetime.fromisoformat(found["checked_at"]) <= timedelta(
        seconds=60
    )
    assert (found["reasons"], found["next_callable_at"]) == ([], None)
    assert tuple(found["rules_checked"]) == RULES_CHECKED
    assert found["policy_digest"].startswith("sha256:")


def test_a_denied_check_lists_all_reasons_with_article_and_chinese_words(
    dialer: TestClient, clock: SettableClock
) -> None:
    clock.advance(timedelta(hours=9))

    found = dialer.post(URL, json={**CALL, "agent_id": "nobody"}).json()

    assert [one["code"] for one in found["reasons"]] == ["quiet_hours", "facts_missing"]
    assert all(one["article"] and one["message"] and one["message_zh"] for one in found["reasons"])
    assert found["reasons"][0]["until"] == "2026-11-24T09:00:00+08:00"
    assert (found["valid_until"], found["next_callable_at"]) == (None, None)


@pytest.mark.parametrize(
    "callee",
    ["", "abc", "☎️ 138", "110", "1.38E+10", "1" * 200, "1" * 201, "13800138000" + " " * 10_000, "+", "138001380001"],
)
def test_what_is_no_number_is_denied_not_an_error(dialer: TestClient, callee: str) -> None:
    response = dialer.post(URL, json={**CALL, "callee": callee})

    assert response.status_code == 200
    assert "invalid_number" in [one["code"] for one in response.json()["reasons"]]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({}, id="no callee"),
        pytest.param({"callee": None}, id="null callee"),
        pytest.param({"callee": 13800138000}, id="a number for a string"),
        pytest.param({"callee": "138\x00"}, id="NUL"),
        pytest.param({"callee": "138", "agent_id": "\x00"}, id="NUL in an id"),
        pytest.param({"callee": "138", "purpose": "selling"}, id="unknown purpose"),
        pytest.param({"callee": "138", "agentid": "x"}, id="unknown field"),
        pytest.param(["138"], id="a list"),
        pytest.param("138", id="a string"),
    ],
)
def test_bad_bodies_are_422_with_the_field_named_and_the_value_kept_out(dialer: TestClient, body: object) -> None:
    response = dialer.post(URL, json=body)

    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["errors"]
    assert "138" not in response.text


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"{", id="cut off"),
        pytest.param(b"\xff\xfe", id="not UTF-8"),
        pytest.param(b'{"callee": "\\ud800"}', id="half a surrogate pair"),
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param(b'{"callee": ' + b'{"a":' * 50_000, id="deep objects"),
        pytest.param(b'{"callee": NaN}', id="NaN"),
        pytest.param(b'{"callee": 1e999}', id="infinite"),
    ],
)
def test_broken_json_is_refused_without_a_server_error(dialer: TestClient, content: bytes) -> None:
    response = dialer.post(URL, content=content, headers={"Content-Type": "application/json"})

    assert response.status_code in {400, 422}
    assert response.headers["content-type"] == "application/problem+json"


def test_more_than_20_mb_of_json_is_413(dialer: TestClient) -> None:
    announced = dialer.post(URL + "/batch", content=b" " * (20 * 1024 * 1024 + 1))

    def stream() -> Iterator[bytes]:
        for _ in range(21):
            yield b" " * 1024 * 1024

    streamed = dialer.post(URL + "/batch", content=stream(), headers={"Content-Type": "application/json"})

    assert announced.status_code == streamed.status_code == 413
    assert announced.headers["content-type"] == "application/problem+json"


def test_fields_beside_the_checks_of_a_simulation_are_refused_instead_of_passed_over(dialer: TestClient) -> None:
    body = {"checks": [CALL], "at": "2026-11-23T16:00:00+08:00", "purpose": "service", "agent_id": "agent-1"}

    response = dialer.post(URL + "/simulate", json=body)

    assert response.status_code == 422
    assert "agent_id, purpose: stands beside checks" in response.json()["errors"][0]["msg"]


def test_a_batch_answers_in_order_and_each_as_alone(dialer: TestClient) -> None:
    callees = ["13800138000", "110", "13900139000"]

    found = dialer.post(URL + "/batch", json={"checks": [{**CALL, "callee": callee} for callee in callees]}).json()

    assert [one["callee"] for one in found["results"]] == ["+8613800138000", None, "+8613900139000"]
    alone = [dialer.post(URL, json={**CALL, "callee": callee}).json() for callee in callees]
    assert [(one["decision"], one["reasons"]) for one in found["results"]] == [
        (one["decision"], one["reasons"]) for one in alone
    ]


def test_an_empty_batch_is_empty_and_one_too_large_is_422(dialer: TestClient) -> None:
    assert dialer.post(URL + "/batch", json={"checks": []}).json() == {"results": []}
    assert dialer.post(URL + "/batch", json={"checks": [CALL] * 10_001}).status_code == 422


def test_a_repeat_with_the_same_key_gets_the_first_answer_and_makes_no_second_row(
    dialer: TestClient, engine: Engine, clock: SettableClock
) -> None:
    first = dialer.post(URL, json=CALL, headers={"Idempotency-Key": "k"})
    clock.advance(timedelta(minutes=5))
    again = dialer.post(URL, json=CALL, headers={"Idempotency-Key": "k"})
    other = dialer.post(URL, json={**CALL, "callee": "13900139000"}, headers={"Idempotency-Key": "k"})

    assert again.content == first.content
    assert again.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first.headers
    assert other.status_code == 409
    with engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(call_checks)).scalar_one() == 1


def test_simultaneous_requests_with_one_key_decide_once(dialer: TestClient, engine: Engine) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: dialer.post(URL, json=CALL, headers={"Idempotency-Key": "same"}), range(8)))

    statuses = {one.status_code for one in found}
    assert statuses <= {200, 409}
    assert len({one.content for one in found if one.status_code == 200}) == 1
    assert all(one.headers["Retry-After"] for one in found if one.status_code == 409)
    with engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(call_checks)).scalar_one() == 1


def test_simulate_takes_one_or_many_and_says_it_is_one(dialer: TestClient, engine: Engine) -> None:
    at = "2026-11-23T21:00:00+08:00"

    one = dialer.post(URL + "/simulate", json={**CALL, "at": at}).json()
    many = dialer.post(URL + "/simulate", json={"checks": [CALL, CALL], "at": at}).json()

    assert set(one) == set(SimulatedAnswer.model_fields)
    assert (one["simulated"], one["decision"], one["checked_at"]) == (True, "deny", at)
    assert one["next_callable_at"] == "2026-11-24T09:00:00+08:00"
    assert many["results"] == [one, one]
    with engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(call_checks)).scalar_one() == 0


def test_simulate_with_a_draft_policy_uses_its_windows(dialer: TestClient) -> None:
    draft = '[[quiet_hours.region]]\ncode = "110000"\ndaily = [12:00:00, 14:00:00]\n'

    found = dialer.post(URL + "/simulate", json={**CALL, "at": "2026-11-23T13:00:00+08:00", "policy": draft}).json()

    assert [one["code"] for one in found["reasons"]] == ["regional_quiet_hours"]


def test_a_draft_looser_than_the_law_is_422_with_every_offence_and_its_article(dialer: TestClient) -> None:
    draft = "[do_not_call]\nblock_months = 5\n[retention]\nyears_5y = 4\n"

    response = dialer.post(URL + "/simulate", json={**CALL, "at": "2026-11-23T13:00:00+08:00", "policy": draft})

    assert response.status_code == 422
    assert {(one["loc"], one["article"]) for one in response.json()["errors"]} == {
        ("do_not_call.block_months", "25(2)"),
        ("retention.years_5y", "35"),
    }


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"at": "2026-11-23T13:00:00"}, id="naive"),
        pytest.param({"at": "2026-02-30T13:00:00+08:00"}, id="impossible date"),
        pytest.param({"at": "2014-12-31T23:59:59+08:00"}, id="before 2015"),
        pytest.param({"at": "9999-12-31T23:59:59-23:59"}, id="beyond all calendars"),
        pytest.param({"at": 1700000000}, id="a number"),
        pytest.param({"at": "2026-11-23T13:00:00+08:00", "checks": [CALL]}, id="one and many"),
    ],
)
def test_bad_simulations_are_422(dialer: TestClient, changes: dict[str, object]) -> None:
    assert dialer.post(URL + "/simulate", json={**CALL, **changes}).status_code == 422


def test_a_check_is_read_again_with_its_facts_and_replays(dialer: TestClient, client_for: ClientFor) -> None:
    check_id = dialer.post(URL, json=CALL).json()["check_id"]

    own = dialer.get(f"{URL}/{check_id}").json()
    officer = client_for("officer").get(f"{URL}/{check_id}").json()
    auditor = client_for("auditor").get(f"{URL}/{check_id}")
    replayed = client_for("auditor").get(f"{URL}/{check_id}/replay").json()

    assert as_documented(StoredCheckAnswer, own) == own
    assert own["callee"] == officer["callee"] == "+8613800138000"
    assert auditor.json()["callee"] == "138****8000"
    assert "13800138000" not in auditor.text
    assert own["facts"]["calling_side"]["agent"][0]["agent_id"] == "agent-1"
    assert own["superseded_at"] is None
    assert (replayed["same"], replayed["decision"]) == (True, "allow")


def test_the_instants_of_the_facts_carry_the_offset_of_shanghai_too(dialer: TestClient, client_for: ClientFor) -> None:
    slot = {"from": "2026-11-23T21:15:00+08:00", "to": "2026-11-23T21:45:00+08:00"}
    asked = {"phone": CALL["callee"], "evidence": {"document": "D-1"}, **slot}
    callback = dialer.post("/v1/callback-requests", json=asked).json()["callback_request_id"]
    closure = {"name": "台风", "kind": "emergency", "regions": ["350000"], "reason": "typhoon", **slot}
    assert client_for("officer").post("/v1/overlays", json=closure).status_code == 201
    assert dialer.post("/v1/do-not-call", json={"phone": CALL["callee"]}).status_code == 201

    check_id = dialer.post(URL, json={**CALL, "callback_request_id": callback}).json()["check_id"]
    facts = dialer.get(f"{URL}/{check_id}").json()["facts"]

    assert facts["callee"]["block"]["blocked_from"] == "2026-11-23T12:00:00+08:00"
    assert (facts["callee"]["callback"]["from_at"], facts["callee"]["callback"]["to_at"]) == tuple(slot.values())
    assert facts["calling_side"]["overlays"][0]["from_at"] == slot["from"]


def test_an_unknown_check_is_404_and_a_malformed_id_422(dialer: TestClient) -> None:
    assert dialer.get(f"{URL}/01a20951-105f-70d7-b2ae-2a5916dca676").status_code == 404
    assert dialer.get(f"{URL}/nonsense").status_code == 422


def test_a_revoked_token_is_refused_with_the_next_check(dialer: TestClient, engine: Engine) -> None:
    before = dialer.post(URL, json=CALL).status_code
    with engine.begin() as connection:
        connection.execute(text("UPDATE access_tokens SET revoked_at = now()"))

    assert (before, dialer.post(URL, json=CALL).status_code) == (200, 401)


def test_an_expired_token_is_refused(dialer: TestClient, clock: SettableClock) -> None:
    before = dialer.post(URL, json=CALL).status_code
    clock.advance(timedelta(days=91))

    assert (before, dialer.post(URL, json=CALL).status_code) == (200, 401)


def test_a_commit_that_fails_answers_503_with_deny_and_leaves_no_row(dialer: TestClient, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(
            text("""
            CREATE FUNCTION disk_full() RETURNS trigger LANGUAGE plpgsql AS
              $$ BEGIN RAISE EXCEPTION 'disk full' USING ERRCODE = '53100'; END $$;
            CREATE CONSTRAINT TRIGGER full_at_commit AFTER INSERT ON call_checks
              DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION disk_full();""")
        )

    for path, body in ((URL, CALL), (URL + "/batch", {"checks": [CALL]})):
        response = dialer.post(path, json=body)
        assert response.status_code == 503
        assert json.loads(response.content)["decision"] == "deny"
    with engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(call_checks)).scalar_one() == 0


def test_a_check_is_answered_when_its_pooled_connection_has_died_since_the_last(
    dialer: TestClient, engine: Engine
) -> None:
    first = dialer.post(URL, json=CALL)
    with engine.begin() as connection:
        ended = connection.execute(
            text(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE application_name = :name AND datname = current_database()"
            ),
            {"name": "telesales-gate"},
        ).scalars()
        assert list(ended) == [True]

    second = dialer.post(URL, json=CALL)

    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json()["check_id"] != second.json()["check_id"]
