"""Recordings over HTTP: real audio in, found again, refused when it is not what is said of it."""

import hashlib
import json
import resource
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import insert, text

from compliance.sale_tables import sale_calls
from infra.object_store import ObjectStoreError
from tests.conftest import NOON
from tests.recordings.archive_rows import add_sale
from tests.recordings.desk import METADATA, stereo, without
from tests.services.shared_app import SharedApp


@pytest.fixture(autouse=True)
def empty(shared: SharedApp) -> None:
    with shared.engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text("TRUNCATE recordings, sales, sale_calls, idempotency_keys CASCADE"))


@pytest.fixture
def call(tmp_path: Path) -> bytes:
    return stereo(tmp_path / "call.wav").read_bytes()


def send(
    shared: SharedApp,
    content: bytes,
    fields: Mapping[str, object] = METADATA,
    *,
    role: str = "dialer",
    key: str | None = None,
) -> httpx2.Response:
    return shared.client(role).post(
        "/v1/recordings",
        files={"file": ("call.wav", content, "audio/wav")},
        data={"metadata": json.dumps(fields)},
        headers={} if key is None else {"Idempotency-Key": key},
    )


def staged(shared: SharedApp) -> list[Path]:
    return list(shared.app.state.telesales.places.staging.iterdir())


def listed(client: TestClient, **query: str) -> list[str]:
    answer = client.get("/v1/recordings", params=query)
    assert answer.status_code == 200, answer.text
    return [one["recording_id"] for one in answer.json()["items"]]


def test_a_recording_is_answered_as_the_contract_says(shared: SharedApp, call: bytes) -> None:
    answer = send(shared, call)

    found = answer.json()
    assert answer.status_code == 201
    assert (found["sha256"], found["size_bytes"]) == (hashlib.sha256(call).hexdigest(), len(call))
    assert (found["duration_ms"], found["codec"], found["channels"]) == (2000, "alaw", ["agent", "customer"])
    assert found["warnings"] == []
    retention = found["retention"]
    assert (retention["state"], retention["keep_through"], retention["article"]) == ("dated", "2029-11-23", "35")
    assert (retention["class"], retention["earliest_disposal_on"], retention["holds"]) == (None, "2029-11-24", [])
    assert retention["why"]
    assert staged(shared) == []


def test_an_unknown_policy_is_held_without_a_day(shared: SharedApp, call: bytes) -> None:
    retention = send(shared, call, without(policy_no="P-1")).json()["retention"]

    assert (retention["state"], retention["keep_through"]) == ("held", None)


def test_the_same_bytes_and_call_again_are_200_with_the_same_id(shared: SharedApp, call: bytes) -> None:
    first, again = send(shared, call), send(shared, call)

    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json()["recording_id"] == first.json()["recording_id"]


def test_what_contradicts_is_a_warning(shared: SharedApp, call: bytes) -> None:
    send(shared, call)

    again = send(shared, call, without(agent_id="agent-2"))

    assert again.status_code == 200
    assert [(one["code"], one["field"]) for one in again.json()["warnings"]] == [("contradicts_stored", "agent_id")]


def test_a_key_gives_the_first_answer_again(shared: SharedApp, call: bytes) -> None:
    first, again = send(shared, call, key="k-1"), send(shared, call, key="k-1")

    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["idempotency-replayed"] == "true"


def test_a_key_with_another_file_is_409(shared: SharedApp, call: bytes, tmp_path: Path) -> None:
    send(shared, call, key="k-2")

    other = send(shared, stereo(tmp_path / "other.wav", seconds=1).read_bytes(), key="k-2")

    assert (other.status_code, listed(shared.client("officer"))) == (
        409,
        listed(shared.client("officer"), call_id="call-1"),
    )


@pytest.mark.parametrize(
    ("fields", "loc"),
    [
        pytest.param(without(sha256="0" * 64), "sha256", id="wrong digest"),
        pytest.param(without(sha256="abc"), "sha256", id="no digest"),
        pytest.param(without(channels=["mixed"]), "channels", id="another number of channels"),
        pytest.param(without(channels=["agent", "agent"]), "channels", id="one voice twice"),
        pytest.param(without(channels=["agent", "somebody"]), "channels", id="unknown voice"),
        pytest.param(without("channels"), "channels", id="no channels"),
        pytest.param(without("started_at"), "started_at", id="no start"),
        pytest.param(without(started_at="2026-11-23T11:00:00"), "started_at", id="no offset"),
        pytest.param(without(started_at="2026-11-23T13:00:00+08:00"), "started_at", id="in the future"),
        pytest.param(without(phone="110"), "phone", id="no number"),
        pytest.param(without(direction="sideways"), "direction", id="no direction"),
        pytest.param(without(policy_no="P 1"), "policy_no", id="a space in the policy number"),
        pytest.param(without(call_id="a\0b"), "call_id", id="NUL"),
        pytest.param(without(colour="red"), "colour", id="unknown field"),
        pytest.param(without("call_id", "agent_id", "phone"), "call_id", id="nobody's"),
        pytest.param(without(raw_codec="alaw"), "raw_codec", id="half of a raw format"),
    ],
)
def test_bad_metadata_is_422_and_stores_nothing(
    shared: SharedApp, call: bytes, fields: dict[str, object], loc: str
) -> None:
    refused = send(shared, call, fields)

    assert refused.status_code == 422
    assert refused.json()["errors"][0]["loc"] == loc
    assert (listed(shared.client("officer")), staged(shared)) == ([], [])


@pytest.mark.parametrize("metadata", ["", "[]", "nothing", '"x"', "{", '{"a":"\\ud800"}', "[" * 9000], ids=str)
def test_metadata_that_is_no_object_is_422(shared: SharedApp, call: bytes, metadata: str) -> None:
    refused = shared.client("dialer").post("/v1/recordings", files={"file": ("x", call)}, data={"metadata": metadata})

    assert refused.status_code == 422


def test_other_parts_are_422(shared: SharedApp, call: bytes) -> None:
    fields = {"metadata": json.dumps(METADATA), "more": "x"}

    assert shared.client("dialer").post("/v1/recordings", files={"file": ("x", call)}, data=fields).status_code == 422
    assert shared.client("dialer").post("/v1/recordings", files={"file": ("x", call)}).status_code == 422
    assert shared.client("dialer").post("/v1/recordings", json=dict(METADATA)).status_code == 422


@pytest.mark.parametrize("cut", [0, 20, 44, 1000, -1], ids=["empty", "in the head", "head only", "early", "last byte"])
def test_a_file_cut_short_is_422_and_stores_nothing(shared: SharedApp, call: bytes, cut: int) -> None:
    refused = send(shared, call[:cut])

    assert refused.status_code == 422
    assert refused.json()["errors"][0]["loc"] == "file"
    assert (listed(shared.client("officer")), staged(shared)) == ([], [])


def test_a_file_over_the_limit_is_413(shared: SharedApp, call: bytes) -> None:
    state = shared.app.state.telesales
    before = state.settings
    state.settings = before.model_copy(update={"upload_limit_bytes": 2048})
    try:
        refused = send(shared, call)
    finally:
        state.settings = before

    assert (refused.status_code, staged(shared)) == (413, [])


def test_a_store_that_is_full_is_503_with_advice(
    shared: SharedApp, call: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object, **_named: object) -> None:
        msg = "the directory is full: make room"
        raise ObjectStoreError(msg)

    first = shared.app.state.telesales.places.first
    monkeypatch.setattr(first, "put", full)

    refused = send(shared, call, key="k-3")

    assert refused.status_code == 503
    assert "make room" in refused.json()["detail"]
    assert (listed(shared.client("officer")), staged(shared)) == ([], [])
    monkeypatch.undo()
    assert send(shared, call, key="k-3").status_code == 201


def test_found_by_each_filter(shared: SharedApp, call: bytes) -> None:
    mine = send(shared, call, without(policy_no="P-1")).json()["recording_id"]
    send(
        shared,
        call,
        without(call_id="call-2", agent_id="agent-2", phone="13900139000", started_at="2026-11-22T23:59:59+08:00"),
    )
    officer = shared.client("officer")

    for query in (
        {"policy_no": "P-1"},
        {"phone": "+86 138-0013-8000"},
        {"agent_id": "agent-1"},
        {"call_id": "call-1"},
        {"from": "2026-11-23", "to": "2026-11-23"},
    ):
        assert listed(officer, **query) == [mine]
    assert listed(officer, **{"from": "2026-11-22", "to": "2026-11-23"})[0] == mine
    assert listed(officer, to="2026-11-21") == []


def test_a_policy_finds_the_recordings_of_its_calls(shared: SharedApp, call: bytes) -> None:
    mine = send(shared, call).json()["recording_id"]
    with shared.engine.begin() as connection:
        add_sale(connection, "P-9")
        connection.execute(insert(sale_calls).values(policy_no="P-9", call_id="call-1", recorded_at=NOON))

    assert listed(shared.client("officer"), policy_no="P-9") == [mine]


def test_pages_go_from_the_latest_start_to_the_earliest(shared: SharedApp, call: bytes) -> None:
    starts = ["2026-11-23T09:00:00+08:00", "2026-11-23T11:00:00+08:00", "2026-11-23T10:00:00+08:00"]
    ids = [
        send(shared, call, without(call_id=f"c-{number}", started_at=start)).json()["recording_id"]
        for number, start in enumerate(starts)
    ]
    officer = shared.client("officer")

    first = officer.get("/v1/recordings?limit=2").json()
    second = officer.get("/v1/recordings", params={"limit": 2, "cursor": first["next_cursor"]}).json()

    assert [one["recording_id"] for one in first["items"]] == [ids[1], ids[2]]
    assert [one["recording_id"] for one in second["items"]] == [ids[0]]
    assert second["next_cursor"] is None
    other = officer.get("/v1/recordings", params={"agent_id": "agent-1", "cursor": first["next_cursor"]})
    assert other.status_code == 422


@pytest.mark.parametrize(
    ("role", "phone"), [("officer", "+8613800138000"), ("inspector", "138****8000"), ("auditor", "138****8000")]
)
def test_numbers_are_masked_for_who_may_not_see_them(shared: SharedApp, call: bytes, role: str, phone: str) -> None:
    recording_id = send(shared, call).json()["recording_id"]
    client = shared.client(role)

    one: Any = client.get(f"/v1/recordings/{recording_id}").json()

    assert one["phone"] == phone
    assert client.get("/v1/recordings?phone=13800138000").json()["items"][0]["phone"] == phone


def test_a_recording_shows_its_copies(shared: SharedApp, call: bytes) -> None:
    recording_id = send(shared, call).json()["recording_id"]

    one = shared.client("auditor").get(f"/v1/recordings/{recording_id}").json()

    assert [(copy["copy"], copy["state"], copy["held"]) for copy in one["copies"]] == [
        ("first", "stored", True),
        ("second", "wanted", False),
    ]
    assert one["started_at"] == "2026-11-23T11:00:00+08:00"
    assert one["linked"] is False


def test_an_unknown_recording_is_404(shared: SharedApp) -> None:
    path = "/v1/recordings/01a20951-105f-70d7-b2ae-2a5916dca676"
    officer = shared.client("officer")

    for suffix in ("", "/audio?purpose=claim", "/peaks", "/accesses"):
        assert officer.get(path + suffix).status_code == 404


@pytest.fixture
def no_room() -> Iterator[None]:
    """Let no file of this process grow beyond a megabyte, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_503_and_leaves_nothing(
    shared: SharedApp, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    content = stereo(tmp_path / "long.wav", seconds=160).read_bytes()
    request.getfixturevalue("no_room")

    refused = send(shared, content)

    assert refused.status_code == 503
    assert (listed(shared.client("officer")), staged(shared)) == ([], [])
