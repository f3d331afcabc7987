"""Idempotency keys over HTTP: work and answer kept together, once, per token and path."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import Engine, func, select, text
from starlette.testclient import TestClient

from compliance.tables import do_not_call_entries
from infra.ids import new_id
from services.idempotency import KEPT_FOR, Exchange, StillRunningError, forget_old_answers
from services.tables import idempotency_keys
from services.tokens import Actor, Role, create_token
from tests.conftest import NOON, ClientFor
from tests.gate_facts import CALL
from tests.services.shared_app import SharedApp

REFUSAL = {"phone": "13800138001", "source": "call"}
HEADER = "Idempotency-Key"


@pytest.fixture
def key() -> dict[str, str]:
    """A key that no other test uses."""
    return {HEADER: str(new_id())}


def entries(engine: Engine) -> int:
    with engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(do_not_call_entries)).scalar_one()


def test_a_repeat_gets_status_and_body_of_the_first_and_says_so(shared: SharedApp, key: dict[str, str]) -> None:
    client = shared.client("officer")

    first = client.post("/v1/do-not-call", json=REFUSAL, headers=key)
    again = client.post("/v1/do-not-call", json=REFUSAL, headers=key)
    without = client.post("/v1/do-not-call", json=REFUSAL)

    assert (first.status_code, again.status_code, without.status_code) == (201, 201, 200)
    assert again.content == first.content
    assert again.headers["content-type"] == first.headers["content-type"]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first.headers


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({**REFUSAL, "source": "counter"}, id="another value"),
        pytest.param({**REFUSAL, "reason": "x"}, id="one field more"),
        pytest.param({}, id="nothing"),
    ],
)
def test_the_same_key_with_another_body_is_409(
    shared: SharedApp, key: dict[str, str], other: dict[str, object]
) -> None:
    client = shared.client("officer")
    client.post("/v1/do-not-call", json=REFUSAL, headers=key)

    response = client.post("/v1/do-not-call", json=other, headers=key)

    assert response.status_code == 409
    assert response.json()["type"] == "urn:telesales:problem:idempotency-key-reused"


def test_a_key_belongs_to_its_token_and_its_path(shared: SharedApp, key: dict[str, str]) -> None:
    officer, inspector = shared.client("officer"), shared.client("inspector")
    first = officer.post("/v1/do-not-call", json={**REFUSAL, "phone": "13800138002"}, headers=key)

    of_another = inspector.post("/v1/do-not-call", json={**REFUSAL, "phone": "13800138003"}, headers=key)
    elsewhere = officer.post(
        f"/v1/do-not-call/{first.json()['entry_id']}/release",
        json={"reason": "asked to be called", "evidence": {"document": "letter 1"}},
        headers=key,
    )

    assert (first.status_code, of_another.status_code, elsewhere.status_code) == (201, 201, 202)
    assert [one for one in (of_another, elsewhere) if "Idempotency-Replayed" in one.headers] == []


def test_a_refused_request_leaves_its_key_free(shared: SharedApp, key: dict[str, str]) -> None:
    client = shared.client("officer")

    refused = client.post("/v1/do-not-call", json={"phone": "110", "source": "call"}, headers=key)
    corrected = client.post("/v1/do-not-call", json={**REFUSAL, "phone": "13800138004"}, headers=key)

    assert (refused.status_code, corrected.status_code) == (422, 201)


@pytest.mark.parametrize("bad", ["", "x" * 256, "a\tb", "\x7f", "钥匙"])
def test_a_key_that_is_no_printable_ascii_is_422(shared: SharedApp, bad: str) -> None:
    response = shared.client("officer").post("/v1/do-not-call", json=REFUSAL, headers={HEADER.encode(): bad.encode()})

    assert response.status_code == 422
    assert [one["loc"] for one in response.json()["errors"]] == [HEADER]


@pytest.mark.parametrize("length", [1, 255])
def test_a_key_may_have_up_to_255_characters(shared: SharedApp, length: int) -> None:
    client = shared.client("officer")
    headers = {HEADER: "k" * length}

    found = [client.post("/v1/do-not-call", json=REFUSAL, headers=headers) for _ in range(2)]

    assert found[1].headers["Idempotency-Replayed"] == "true"


def test_a_repeated_check_keeps_its_first_validity(shared: SharedApp, key: dict[str, str]) -> None:
    dialer = shared.client("dialer")

    found = [dialer.post("/v1/call-checks", json=CALL, headers=key).json() for _ in range(2)]
    fresh = dialer.post("/v1/call-checks", json=CALL).json()

    assert found[0] == found[1]
    assert found[0]["check_id"] != fresh["check_id"]


def test_a_repeated_batch_makes_no_second_rows(shared: SharedApp, key: dict[str, str]) -> None:
    dialer = shared.client("dialer")
    body = {"checks": [CALL, CALL]}

    first = dialer.post("/v1/call-checks/batch", json=body, headers=key)
    again = dialer.post("/v1/call-checks/batch", json=body, headers=key)

    assert again.content == first.content
    assert again.headers["Idempotency-Replayed"] == "true"


def test_simulations_take_no_notice_of_keys(shared: SharedApp, key: dict[str, str]) -> None:
    dialer = shared.client("dialer")
    at = "2026-11-23T16:00:00+08:00"

    first = dialer.post("/v1/call-checks/simulate", json={**CALL, "at": at}, headers=key)
    other = dialer.post("/v1/call-checks/simulate", json={**CALL, "at": at, "callee": "110"}, headers=key)

    assert (first.status_code, other.status_code) == (200, 200)
    assert first.json()["decision"] != other.json()["decision"]
    assert "Idempotency-Replayed" not in other.headers


def test_reading_takes_no_notice_of_keys(shared: SharedApp, key: dict[str, str]) -> None:
    client = shared.client("officer")
    client.get("/v1/do-not-call", headers=key)

    assert "Idempotency-Replayed" not in client.get("/v1/do-not-call", headers=key).headers


def test_a_revoked_token_gets_no_stored_answer(client_for: ClientFor, engine: Engine, key: dict[str, str]) -> None:
    officer = client_for("officer")
    before = officer.post("/v1/do-not-call", json=REFUSAL, headers=key).status_code
    with engine.begin() as connection:
        connection.execute(text("UPDATE access_tokens SET revoked_at = created_at"))

    after = officer.post("/v1/do-not-call", json=REFUSAL, headers=key).status_code

    assert (before, after) == (201, 401)


def test_simultaneous_requests_with_one_key_do_the_work_once(
    client_for: ClientFor, engine: Engine, key: dict[str, str]
) -> None:
    officer = client_for("officer")

    def post(_number: int) -> tuple[int, str | None]:
        response = officer.post("/v1/do-not-call", json=REFUSAL, headers=key)
        return response.status_code, response.headers.get("Retry-After")

    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(post, range(16)))

    assert found <= {(201, None), (409, "1")}
    assert (201, None) in found
    assert entries(engine) == 1
    with engine.connect() as connection:
        kept = connection.execute(text("SELECT count(*) FROM do_not_call_events")).scalar_one()
    assert kept == 1


def test_when_the_commit_fails_neither_work_nor_answer_is_kept(
    client_for: ClientFor, engine: Engine, key: dict[str, str]
) -> None:
    officer = client_for("officer")
    with engine.begin() as connection:
        connection.execute(
            text("""
            CREATE FUNCTION disk_full() RETURNS trigger LANGUAGE plpgsql AS
              $$ BEGIN RAISE EXCEPTION 'disk full' USING ERRCODE = '53100'; END $$;
            CREATE CONSTRAINT TRIGGER full_at_commit AFTER INSERT ON idempotency_keys
              DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION disk_full();""")
        )

    failed = officer.post("/v1/do-not-call", json=REFUSAL, headers=key)
    with engine.begin() as connection:
        connection.execute(text("DROP TRIGGER full_at_commit ON idempotency_keys"))

    assert failed.status_code == 503
    assert entries(engine) == 0
    assert officer.post("/v1/do-not-call", json=REFUSAL, headers=key).status_code == 201


def exchange(engine: Engine, *, path: str = "/v1/do-not-call", key: str = "k") -> Exchange:
    token_id = new_id()
    with engine.begin() as connection:
        create_token(connection, token_id=token_id, role=Role.OFFICER, owner="x", now=NOON)
    return Exchange(Actor(token_id, Role.OFFICER, "x"), path, key)


def test_a_repeat_while_the_first_runs_is_told_to_ask_again(engine: Engine) -> None:
    keyed = exchange(engine)
    with engine.connect() as first, engine.connect() as second:
        assert keyed.first_answer(first, b"digest") is None

        with pytest.raises(StillRunningError) as raised:
            keyed.first_answer(second, b"digest")

        first.rollback()
        assert keyed.first_answer(second, b"digest") is None

    assert raised.value.problem().headers == {"Retry-After": "1"}
    assert raised.value.problem().status == 409


def test_other_keys_paths_and_tokens_have_locks_of_their_own(engine: Engine) -> None:
    keyed = exchange(engine)
    others = [Exchange(keyed.actor, keyed.path, "l"), Exchange(keyed.actor, keyed.path + "k", ""), exchange(engine)]

    assert len({one.lock() for one in [keyed, *others]}) == 4
    assert all(-(2**63) <= one.lock() < 2**63 for one in [keyed, *others])


@pytest.mark.parametrize(
    ("age", "forgotten"),
    [
        pytest.param(timedelta(hours=24), 0, id="the promised day"),
        pytest.param(KEPT_FOR, 0, id="to the last instant"),
        pytest.param(KEPT_FOR + timedelta(microseconds=1), 1, id="older"),
    ],
)
def test_answers_are_kept_at_least_a_day_and_then_forgotten(engine: Engine, age: timedelta, forgotten: int) -> None:
    with engine.connect() as connection:
        connection.execute(
            idempotency_keys.insert().values(
                token_id=new_id(), path="/", key="k", body_digest=b"", status=200, body=b"", created_at=NOON - age
            )
        )

        assert forget_old_answers(connection, now=NOON) == forgotten


def test_a_body_of_another_spelling_is_another_body(shared: SharedApp, key: dict[str, str]) -> None:
    client: TestClient = shared.client("officer")
    headers = {**key, "Content-Type": "application/json"}
    client.post("/v1/do-not-call", content=b'{"phone":"13800138009","source":"call"}', headers=headers)

    response = client.post("/v1/do-not-call", content=b'{ "phone":"13800138009","source":"call"}', headers=headers)

    assert response.status_code == 409
