"""Draws over HTTP: what is drawn, by whom, what is refused, and that no seed is seen before its day is drawn."""

import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, text

from infra.settings import Settings
from qa_sampling.verify import verify_bundle
from services.api.draws import BundleAnswer, CommitmentList, DrawAnswer, DrawList
from services.ledger_checks import verify_database
from services.sealing import open_ledger
from tests.conftest import SettableClock
from tests.gate_facts import write_registers
from tests.qa_sampling.sold import OTHER, commit, numbered, sell
from tests.sale_bodies import SALE
from tests.services.documented import as_documented
from tests.services.shared_app import ROLES

ClientFor = Callable[..., TestClient]
URL = "/v1/draws"
STRATUM = {"sales_mode": "own_centre", "centre_id": "centre-1", "class": "over_1y"}
ORDER: dict[str, Any] = {"stratum": STRATUM, "from": "2026-11-02", "to": "2026-11-02"}


@pytest.fixture
def officer(client_for: ClientFor, engine: Engine, tmp_path: Path) -> TestClient:
    """An officer of a house that has ten sales of a committed day, and two of another stratum."""
    with engine.begin() as connection:
        write_registers(connection)
        commit(connection, tmp_path)
        sell(connection, numbered(10))
        sell(connection, numbered(2, "Q"), stratum=OTHER)
    return client_for("officer")


def drawn(client: TestClient, **changes: object) -> dict[str, Any]:
    answer = client.post(URL, json={**ORDER, **changes})
    assert answer.status_code == 201, answer.text
    assert as_documented(DrawAnswer, answer.json()) == answer.json()
    found: dict[str, Any] = answer.json()
    return found


def test_a_draw_is_answered_whole_and_sealed(officer: TestClient) -> None:
    found = drawn(officer, public_number="20261103")

    assert (found["stratum"], found["from"], found["to"]) == (STRATUM, "2026-11-02", "2026-11-02")
    assert (found["frame_size"], found["rate_bp"], found["sample_size"]) == (10, 3000, 3)
    assert (found["algorithm"], found["public_number"]) == ("telesales-draw-1", "20261103")
    assert (found["committed_before"], found["actor"]) == (True, "officer")
    assert [one["ticket"] for one in found["sample"]] == sorted(one["ticket"] for one in found["sample"])
    assert (len(found["sample"]), found["additions"], found["replacements"]) == (3, [], [])
    entries = officer.get("/v1/ledger/entries", params={"from": found["ledger_entry"], "limit": 1}).json()["items"]
    assert [(one["entry"], one["kind"]) for one in entries] == [(found["ledger_entry"], "draws.insert")]
    assert officer.get(f"{URL}/{found['draw_id']}").json() == found


def test_the_same_again_is_the_first_draw_with_200(officer: TestClient) -> None:
    first = drawn(officer)

    again = officer.post(URL, json=ORDER)
    other_number = officer.post(URL, json={**ORDER, "public_number": "7"})

    assert (again.status_code, again.json()) == (200, first)
    assert (other_number.status_code, other_number.json()) == (200, first)


def test_a_keyed_request_answers_the_same_once_more(officer: TestClient) -> None:
    first = officer.post(URL, json=ORDER, headers={"Idempotency-Key": "a"})
    again = officer.post(URL, json=ORDER, headers={"Idempotency-Key": "a"})

    assert (first.status_code, again.status_code, again.json()) == (201, 201, first.json())
    assert first.json()["ledger_entry"] is not None
    assert again.headers["Idempotency-Replayed"] == "true"


def test_the_bundle_verifies_and_stands_for_itself(officer: TestClient) -> None:
    found = drawn(officer)
    for number in range(8):
        officer.post("/v1/sales", json={**SALE, "policy_no": f"L-{number}"}).raise_for_status()

    answer = officer.get(f"{URL}/{found['draw_id']}/bundle")

    bundle = answer.json()
    assert as_documented(BundleAnswer, bundle) == bundle
    assert answer.headers["content-type"] == "application/json"
    assert verify_bundle(answer.content).problems == []
    assert {name: bundle[name] for name in found if name != "additions"} == {
        name: value for name, value in found.items() if name != "additions"
    }
    assert [one["policy_no"] for one in bundle["additions"] if not one["in_frame"]] == numbered(8, "L")
    assert bundle["frame"].count("\n") == 10


def test_a_sale_dated_back_into_a_drawn_day_is_shown_for_what_it_is(officer: TestClient) -> None:
    found = drawn(officer)
    officer.post("/v1/sales", json={**SALE, "policy_no": "B-1"}).raise_for_status()

    shown = officer.get(f"{URL}/{found['draw_id']}").json()

    assert shown["additions"][0]["policy_no"] == "B-1"
    assert shown["additions"][0]["in_frame"] is False
    assert shown["additions"][0]["recorded_at"] > found["drawn_at"]
    same = ("frame_digest", "frame_size", "sample_size", "sample")
    assert {name: shown[name] for name in same} == {name: found[name] for name in same}


@pytest.mark.parametrize(
    ("changes", "status", "said"),
    [
        pytest.param({"to": "2026-11-23"}, 409, "not over", id="today"),
        pytest.param({"to": "2027-01-01"}, 409, "not over", id="the future"),
        pytest.param({"from": "2026-10-01", "to": "2026-10-31"}, 409, "no sale", id="no sale"),
        pytest.param({"stratum": {**STRATUM, "centre_id": "nobody"}}, 409, "no sale", id="unknown centre"),
        pytest.param({"stratum": {**STRATUM, "class": "gift"}}, 409, "no sale", id="no sale of the class"),
        pytest.param({"from": "2026-11-03"}, 422, "before it begins", id="ends before it begins"),
        pytest.param({"seed": "00" * 32}, 422, "seed", id="a seed"),
        pytest.param({"rate_bp": 1}, 422, "rate_bp", id="a rate"),
        pytest.param({"stratum": {**STRATUM, "class": "all"}}, 422, "stratum.class", id="no class"),
        pytest.param({"stratum": {**STRATUM, "inspection_class": "gift"}}, 422, "inspection_class", id="inner name"),
        pytest.param({"stratum": {**STRATUM, "centre_id": "a\x00"}}, 422, "centre_id", id="NUL"),
        pytest.param({"stratum": None}, 422, "stratum", id="no stratum"),
        pytest.param({"from": "2026-11-02T00:00:00+08:00"}, 422, "from", id="an instant"),
        pytest.param({"public_number": "x" * 201}, 422, "public_number", id="too long a number"),
        pytest.param({"public_number": 7}, 422, "public_number", id="a number that is no text"),
    ],
)
def test_what_cannot_be_drawn_is_refused(
    officer: TestClient, changes: dict[str, object], status: int, said: str
) -> None:
    answer = officer.post(URL, json={**ORDER, **changes})

    assert answer.status_code == status, answer.text
    assert said in answer.text
    assert officer.get(URL).json()["items"] == []


def test_an_unknown_draw_is_404(officer: TestClient) -> None:
    nobody = "01a20951-105f-70d7-b2ae-2a5916dca676"

    assert officer.get(f"{URL}/{nobody}").status_code == 404
    assert officer.get(f"{URL}/{nobody}/bundle").status_code == 404
    assert officer.get(f"{URL}/x").status_code == 422


def test_all_strata_of_a_committed_day_are_listed_newest_first(officer: TestClient) -> None:
    found = drawn(officer)

    listed = officer.get(URL).json()

    assert as_documented(DrawList, listed) == listed
    assert {one["stratum"]["class"] for one in listed["items"]} == {"over_1y", "within_1y"}
    assert {one["seed"] for one in listed["items"]} == {found["seed"]}
    assert sorted(listed["items"], key=lambda one: one["draw_id"], reverse=True) == listed["items"]
    assert next(one for one in listed["items"] if one["draw_id"] == found["draw_id"]).items() <= found.items()


def test_commitments_are_shown_and_their_seeds_once_the_day_is_drawn(
    officer: TestClient, client_for: ClientFor
) -> None:
    asked = {"from": "2026-11-02", "to": "2026-11-03"}
    before = officer.get(f"{URL}/commitments", params=asked).json()
    found = drawn(officer)
    after = officer.get(f"{URL}/commitments", params=asked).json()

    assert as_documented(CommitmentList, after) == after
    assert [(one["day"], one["seed"], one["public_number"]) for one in before["items"]] == [
        ("2026-11-03", None, None),
        ("2026-11-02", None, None),
    ]
    assert [one["seed"] for one in after["items"]] == [None, found["seed"]]
    assert after["items"][1]["seed_commitment"] == found["seed_commitment"]
    assert after["items"][1]["published_at"] == "2026-11-01T12:00:00+08:00"
    entry = after["items"][1]["ledger_entry"]
    [sealed] = officer.get("/v1/ledger/entries", params={"from": entry, "to": entry}).json()["items"]
    assert sealed["kind"] == "seed_commitments.insert"
    assert [client_for(role).get(f"{URL}/commitments").status_code for role in ROLES].count(403) == 1


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({}, 200),
        ({"from": "2027-06-01"}, 200),
        ({"to": "2020-01-01"}, 200),
        ({"from": "2026-11-03", "to": "2026-11-02"}, 422),
        ({"from": "2020-01-01"}, 422),
        ({"from": "yesterday"}, 422),
        ({"limit": "5"}, 422),
    ],
)
def test_which_commitments_can_be_asked_for(officer: TestClient, asked: dict[str, str], status: int) -> None:
    assert officer.get(f"{URL}/commitments", params=asked).status_code == status


READABLE = [
    "/v1/draws",
    "/v1/draws/commitments",
    "/v1/draws/commitments?from=2026-11-01&to=2026-11-30",
    "/v1/sales",
    "/v1/incidents",
    "/v1/approvals",
    "/v1/policy",
    "/v1/ledger/entries?limit=1000",
    "/v1/ledger/checkpoint",
    "/v1/ledger/coverage",
    "/v1/ledger/bundle",
    "/metrics",
    "/healthz",
    "/readyz",
    "/openapi.json",
]


@pytest.mark.parametrize("role", ROLES)
def test_no_role_sees_a_seed_before_its_day_is_drawn(
    officer: TestClient, client_for: ClientFor, tmp_path: Path, role: str
) -> None:
    client = client_for(role)
    early = [client.get(path) for path in READABLE]
    early.append(client.post(URL, json={**ORDER, "to": "2026-11-23"}))
    seed = drawn(officer)["seed"]

    seen = b"".join(one.content for one in early)
    assert bytes.fromhex(seed) not in seen
    assert seed.encode() not in seen.lower()
    assert seed in officer.get(f"{URL}/commitments?from=2026-11-02&to=2026-11-02").text
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path for path in files if seed.encode() in path.read_bytes() and "checkpoint" not in path.name] == []


def test_a_frame_changed_after_it_was_frozen_is_found_out(
    officer: TestClient, engine: Engine, clock: SettableClock
) -> None:
    found = drawn(officer)
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(
            text("UPDATE draws SET frame = convert_to(replace(convert_from(frame, 'UTF8'), 'P-1', 'X-1'), 'UTF8')")
        )

    report = verify_bundle(officer.get(f"{URL}/{found['draw_id']}/bundle").content)

    assert "frame_digest" in {one.where for one in report.problems}


def test_a_frame_changed_with_its_digest_is_found_by_the_ledger(
    officer: TestClient, engine: Engine, tmp_path: Path, clock: SettableClock
) -> None:
    found = drawn(officer)
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(
            text(
                "UPDATE draws SET frame = f, frame_digest = sha256(f) FROM (SELECT draw_id AS id, convert_to(replace("
                "convert_from(frame, 'UTF8'), 'P-1', 'X-1'), 'UTF8') AS f FROM draws) g WHERE id = draw_id"
            )
        )

    ledger = open_ledger(Settings(data_dir=tmp_path), engine, clock)
    problems = verify_database(ledger, edges=(None, None)).problems

    assert {(one.table, one.what) for one in problems} == {("draws", "row_changed")}
    assert found["draw_id"] in {one.key for one in problems}


def test_no_bundle_of_the_ledger_holds_a_seed_before_its_day_is_drawn(officer: TestClient) -> None:
    with zipfile.ZipFile(BytesIO(officer.get("/v1/ledger/bundle").content)) as archive:
        early = b"".join(archive.read(name) for name in archive.namelist())
    found = drawn(officer)

    assert found["seed_commitment"].removeprefix("sha256:").encode() in early
    assert found["seed"].encode() not in early


def test_who_may_draw_and_who_may_read(officer: TestClient, client_for: ClientFor) -> None:
    wrote = {role: client_for(role).post(URL, json=ORDER).status_code for role in ROLES if role != "officer"}
    found = drawn(officer)

    assert set(wrote.values()) == {403}
    assert client_for("auditor").get(f"{URL}/{found['draw_id']}/bundle").status_code == 200
    assert client_for("inspector").get(f"{URL}/{found['draw_id']}").status_code == 403
