"""Call records over HTTP: one or many, kept once, refused when they contradict themselves or the clock."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import Engine
from starlette.testclient import TestClient

from services.api.calls import CallAnswer, CallList, CallResults
from services.paging import make_cursor
from tests.conftest import SettableClock
from tests.gate_facts import CALL, write_registers
from tests.services.documented import as_documented
from tests.services.shared_app import SharedApp

ClientFor = Callable[..., TestClient]
URL = "/v1/calls"
BODY = {
    "call_id": "call-1",
    "direction": "outbound",
    "caller": "400-812-3123",
    "callee": "138 0013 8000",
    "agent_id": "agent-1",
    "started_at": "2026-11-23T11:58:00+08:00",
    "answered_at": "2026-11-23T11:58:10+08:00",
    "ended_at": "2026-11-23T11:59:00+08:00",
    "outcome": "other",
}
REFUSED = {**BODY, "outcome": "refused"}


def results(client: TestClient, body: object) -> list[dict[str, Any]]:
    answer = client.post(URL, json=body)
    assert answer.status_code == 201, answer.text
    assert as_documented(CallResults, answer.json()) == answer.json()
    found: list[dict[str, Any]] = answer.json()["results"]
    return found


def test_a_checked_call_is_kept_without_incident(client_for: ClientFor, engine: Engine, clock: SettableClock) -> None:
    with engine.begin() as connection:
        write_registers(connection)
    dialer = client_for("dialer")
    checked = dialer.post("/v1/call-checks", json=CALL).json()
    clock.advance(timedelta(minutes=2))
    call = {**BODY, "check_id": checked["check_id"], "started_at": checked["checked_at"], "answered_at": None}

    found = results(dialer, {**call, "ended_at": None})

    assert found == [{"call_id": "call-1", "do_not_call_entry_id": None, "incidents": []}]


def test_a_refusal_blocks_before_the_answer_and_an_unchecked_call_is_an_incident(client_for: ClientFor) -> None:
    dialer, officer = client_for("dialer"), client_for("officer")

    (found,) = results(dialer, REFUSED)

    entry = dialer.get(f"/v1/do-not-call/{found['do_not_call_entry_id']}").json()
    assert (entry["source"], entry["refused_at"]) == ("call", "2026-11-23T11:59:00+08:00")
    reasons = dialer.post("/v1/call-checks", json={"callee": "13800138000"}).json()["reasons"]
    assert "do_not_call" in [reason["code"] for reason in reasons]
    (incident,) = found["incidents"]
    assert incident["kind"] == "call_without_check"
    assert officer.get(f"/v1/incidents/{incident['incident_id']}").json()["call_id"] == "call-1"


def test_many_records_are_answered_in_their_order(client_for: ClientFor) -> None:
    calls = [{**BODY, "call_id": name} for name in "zax"]

    assert [one["call_id"] for one in results(client_for("dialer"), {"calls": calls})] == ["z", "a", "x"]
    assert results(client_for("dialer"), {"calls": []}) == []


def test_the_same_record_again_changes_nothing_and_another_is_a_conflict(client_for: ClientFor) -> None:
    dialer = client_for("dialer")
    first = results(dialer, REFUSED)

    again = results(dialer, {"calls": [REFUSED]})
    other = dialer.post(URL, json=BODY)

    assert again == first
    assert other.status_code == 409
    assert len(client_for("officer").get("/v1/incidents").json()["items"]) == 1


def test_a_delivery_is_kept_whole_or_not_at_all(client_for: ClientFor) -> None:
    dialer = client_for("dialer")
    results(dialer, BODY)

    answer = dialer.post(URL, json={"calls": [{**BODY, "call_id": "new"}, REFUSED]})

    assert answer.status_code == 409
    assert dialer.get(f"{URL}/new").status_code == 404


@pytest.mark.parametrize(
    ("changes", "loc"),
    [
        pytest.param({"started_at": "2026-11-23T12:05:00.000001+08:00", "answered_at": None, "ended_at": None},
                     "started_at", id="starts in the future"),
        pytest.param({"ended_at": "2026-11-23T12:05:01+08:00"}, "ended_at", id="ends in the future"),
        pytest.param({"started_at": "2026-11-23T11:58:00"}, "started_at", id="no offset"),
        pytest.param({"answered_at": "2026-11-23T11:57:59+08:00"}, "body", id="answered before it started"),
        pytest.param({"ended_at": "2026-11-23T11:58:09+08:00"}, "body", id="ended before it was answered"),
        pytest.param({"answered_at": None, "ended_at": "2026-11-23T11:57:59+08:00"}, "body", id="ended before start"),
        pytest.param({"direction": "sideways"}, "direction", id="an unknown direction"),
        pytest.param({"outcome": "maybe"}, "outcome", id="an unknown outcome"),
        pytest.param({"call_id": ""}, "call_id", id="an empty id"),
        pytest.param({"call_id": "a\x00b"}, "call_id", id="a NUL"),
        pytest.param({"callees": "1"}, "callees", id="an unknown field"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_named_and_nothing_is_kept(
    shared: SharedApp, changes: dict[str, object], loc: str
) -> None:
    dialer = shared.client("dialer")

    alone = dialer.post(URL, json={**BODY, **changes})
    among = dialer.post(URL, json={"calls": [{**BODY, "call_id": "good"}, {**BODY, **changes}]})

    assert (alone.status_code, among.status_code) == (422, 422)
    assert [one["loc"] for one in alone.json()["errors"]] == [loc]
    assert [one["loc"] for one in among.json()["errors"]] == ["calls.1" if loc == "body" else f"calls.1.{loc}"]
    assert dialer.get(URL).json()["items"] == []


@pytest.mark.parametrize("body", [[], "x", 1, None, {"calls": BODY}, {"calls": [BODY], "call_id": "x"}])
def test_what_is_neither_one_nor_many_is_422(shared: SharedApp, body: object) -> None:
    assert shared.client("dialer").post(URL, json=body).status_code == 422


def test_more_than_10000_records_are_422(shared: SharedApp) -> None:
    calls = [{"call_id": str(number), "direction": "inbound", "started_at": BODY["started_at"], "outcome": "other"}
             for number in range(10_001)]  # fmt: skip

    assert shared.client("dialer").post(URL, json={"calls": calls}).status_code == 422


def test_a_clock_five_minutes_ahead_is_accepted(client_for: ClientFor) -> None:
    late = {**REFUSED, "ended_at": "2026-11-23T12:05:00+08:00"}

    assert results(client_for("dialer"), late)[0]["do_not_call_entry_id"] is not None


def test_a_number_that_cannot_be_read_is_kept_and_an_incident(client_for: ClientFor) -> None:
    dialer = client_for("dialer")

    (found,) = results(dialer, {**BODY, "callee": "unknown"})

    assert [one["kind"] for one in found["incidents"]] == ["call_without_check", "other_number"]
    assert dialer.get(f"{URL}/call-1").json()["callee"] is None


@pytest.mark.parametrize(
    ("role", "owner", "callee"),
    [
        ("dialer", "dialer", "+8613800138000"),
        ("dialer", "another", "138****8000"),
        ("officer", None, "+8613800138000"),
        ("admin", None, "138****8000"),
        ("auditor", None, "138****8000"),
    ],
)
def test_who_reads_a_record_sees(client_for: ClientFor, role: str, owner: str | None, callee: str) -> None:
    results(client_for("dialer"), BODY)

    one = client_for(role, owner=owner).get(f"{URL}/call-1").json()
    (listed,) = client_for(role, owner=owner).get(URL).json()["items"]

    assert as_documented(CallAnswer, one) == one
    assert one == listed
    assert (one["callee"], one["started_at"]) == (callee, BODY["started_at"])


def test_inspectors_read_no_records_and_only_dialers_write_them(shared: SharedApp) -> None:
    inspector = shared.client("inspector")

    assert (inspector.get(URL).status_code, inspector.get(f"{URL}/call-1").status_code) == (403, 403)
    writes = [
        shared.client(role).post(URL, json=BODY).status_code for role in ("inspector", "officer", "admin", "auditor")
    ]
    assert writes == [403] * 4


def test_records_are_listed_in_pages_from_the_latest_start(client_for: ClientFor) -> None:
    dialer, officer = client_for("dialer"), client_for("officer")
    starts = {"a": "2026-11-22T23:59:59+08:00", "b": "2026-11-23T00:00:00+08:00", "c": "2026-11-23T10:00:00+08:00"}
    calls = [
        {"call_id": name, "direction": "inbound", "started_at": at, "outcome": "other", "agent_id": f"of-{name}"}
        for name, at in starts.items()
    ]
    results(dialer, {"calls": calls})

    def ids(**query: str) -> list[str]:
        answer = officer.get(URL, params=query)
        assert as_documented(CallList, answer.json()) == answer.json()
        return [one["call_id"] for one in answer.json()["items"]]

    first = officer.get(URL, params={"limit": 2}).json()
    assert ids(limit="2", cursor=first["next_cursor"]) == ["a"]
    assert [one["call_id"] for one in first["items"]] == ["c", "b"]
    assert ids(**{"from": "2026-11-23", "to": "2026-11-23"}) == ["c", "b"]
    assert ids(to="2026-11-22") == ["a"]
    assert ids(agent_id="of-b") == ["b"]


@pytest.mark.parametrize(
    "query",
    [{"from": "2026-11-24", "to": "2026-11-23"}, {"from": "x"}, {"cursor": "x"}, {"agent_id": ""}, {"limit": "0"}],
)
def test_a_query_that_makes_no_sense_is_422(shared: SharedApp, query: dict[str, str]) -> None:
    assert shared.client("auditor").get(URL, params=query).status_code == 422


@pytest.mark.parametrize("last", ["2026-11-23T12:00:00+08:00 a\0b", "yesterday a", ""])
def test_a_forged_cursor_is_422(shared: SharedApp, last: str) -> None:
    query = {"list": "calls", "from": None, "to": None, "agent_id": None}

    answer = shared.client("dialer").get(URL, params={"cursor": make_cursor(query, last)})

    assert (answer.status_code, answer.json()["errors"][0]["loc"]) == (422, "cursor")


@pytest.mark.parametrize("call_id", ["a/b", "/", "a//b/", "f81d4fae-7dec@pbx/0;x=1?y#z", "通话/1"])
def test_a_record_is_shown_whatever_characters_its_id_has(client_for: ClientFor, call_id: str) -> None:
    dialer = client_for("dialer")
    results(dialer, {**BODY, "call_id": call_id})

    answer = dialer.get(f"{URL}/{quote(call_id, safe='')}")

    assert (answer.status_code, answer.json().get("call_id")) == (200, call_id)


def test_the_same_key_gives_the_first_answer_again(client_for: ClientFor) -> None:
    dialer = client_for("dialer")
    headers = {"Idempotency-Key": "k1"}

    first = dialer.post(URL, json=REFUSED, headers=headers)
    again = dialer.post(URL, json=REFUSED, headers=headers)

    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["Idempotency-Replayed"] == "true"
