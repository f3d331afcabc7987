"""Incidents over HTTP: found, accounted for, closed by two officers."""

from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from services.api.incidents import IncidentAnswer, IncidentList
from tests.services.documented import as_documented
from tests.services.shared_app import SharedApp

ClientFor = Callable[..., TestClient]
URL = "/v1/incidents"
ACCOUNT = {"cause": "a wrong clock", "responsible": "agent-1", "measures": "training"}
NOBODY = "01a20960-4a56-73d0-b2d4-88bed749ba2c"


def call(client: TestClient, call_id: str, **changes: object) -> str:
    """Record an unchecked call and return its first incident."""
    body = {"call_id": call_id, "direction": "outbound", "callee": "13800138000", "outcome": "other"}
    answer = client.post("/v1/calls", json={**body, "started_at": "2026-11-23T11:00:00+08:00", **changes})
    incident_id: str = answer.json()["results"][0]["incidents"][0]["incident_id"]
    return incident_id


@pytest.fixture
def incident(client_for: ClientFor) -> str:
    return call(client_for("dialer"), "call-1")


def test_an_incident_shows_everything_about_it(client_for: ClientFor, incident: str) -> None:
    found = client_for("auditor").get(f"{URL}/{incident}").json()

    assert as_documented(IncidentAnswer, found) == found
    assert (found["kind"], found["article"], found["call_id"]) == ("call_without_check", "27", "call-1")
    assert (found["state"], found["detected_at"]) == ("open", "2026-11-23T12:00:00+08:00")
    assert (found["cause"], found["responsible"], found["measures"], found["closed_at"]) == (None, None, None, None)
    assert [(event["actor"], event["details"]) for event in found["history"]] == [("dialer", {"state": "open"})]
    assert "13800138000" not in str(found)


def test_two_officers_close_what_is_accounted_for(client_for: ClientFor, incident: str) -> None:
    officer, second = client_for("officer"), client_for("officer", owner="second")
    early = officer.patch(f"{URL}/{incident}", json={"closed": True})
    changed = officer.patch(f"{URL}/{incident}", json={"cause": ACCOUNT["cause"]})
    rest = {"responsible": ACCOUNT["responsible"], "measures": ACCOUNT["measures"]}

    asked = officer.patch(f"{URL}/{incident}", json={**rest, "closed": True})
    meanwhile = officer.get(f"{URL}/{incident}").json()
    alone = officer.post(f"/v1/approvals/{asked.json()['request_id']}", json={})
    given = second.post(f"/v1/approvals/{asked.json()['request_id']}", json={})

    assert [one.status_code for one in (early, changed, asked, alone, given)] == [409, 200, 202, 403, 200]
    assert (meanwhile["state"], meanwhile["measures"]) == ("open", "training")
    found = officer.get(f"{URL}/{incident}").json()
    assert (found["state"], found["closed_at"]) == ("closed", "2026-11-23T12:00:00+08:00")
    assert {name: found[name] for name in ACCOUNT} == ACCOUNT
    assert [event["actor"] for event in found["history"]] == ["dialer", "officer", "officer", "second"]
    assert officer.patch(f"{URL}/{incident}", json={"cause": "another"}).status_code == 409


def test_what_is_closed_is_what_the_other_officer_was_shown(client_for: ClientFor, incident: str) -> None:
    officer, second = client_for("officer"), client_for("officer", owner="second")
    request = officer.patch(f"{URL}/{incident}", json={**ACCOUNT, "closed": True}).json()["request_id"]
    shown = second.get("/v1/approvals").json()["items"][0]["payload"]
    second.patch(f"{URL}/{incident}", json={"cause": "nobody's fault"})

    given = second.post(f"/v1/approvals/{request}", json={})

    assert shown == {"incident_id": incident, **ACCOUNT}
    assert given.status_code == 409
    assert officer.get(f"{URL}/{incident}").json()["state"] == "open"


def test_a_refused_closing_keeps_nothing(client_for: ClientFor, incident: str) -> None:
    officer = client_for("officer")

    answer = officer.patch(f"{URL}/{incident}", json={"cause": "a wrong clock", "closed": True})

    assert answer.status_code == 409
    assert "responsible, measures" in answer.json()["detail"]
    assert officer.get(f"{URL}/{incident}").json()["cause"] is None


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"cause": None},
        {"cause": ""},
        {"cause": "  "},
        {"cause": "a\x00b"},
        {"closed": False},
        {"state": "closed"},
        {"cause": 1},
        [],
    ],
)
def test_a_change_that_says_nothing_is_422(client_for: ClientFor, incident: str, body: object) -> None:
    assert client_for("officer").patch(f"{URL}/{incident}", json=body).status_code == 422


@pytest.mark.parametrize(
    ("role", "reads", "writes"),
    [
        ("dialer", 403, 403),
        ("inspector", 403, 403),
        ("officer", 200, 200),
        ("admin", 403, 403),
        ("auditor", 200, 403),
    ],
)
def test_who_may_do_what(client_for: ClientFor, incident: str, role: str, reads: int, writes: int) -> None:
    client = client_for(role)

    assert (client.get(URL).status_code, client.get(f"{URL}/{incident}").status_code) == (reads, reads)
    assert client.patch(f"{URL}/{incident}", json=ACCOUNT).status_code == writes


def test_what_does_not_exist_is_404(shared: SharedApp) -> None:
    officer = shared.client("officer")

    assert officer.get(f"{URL}/{NOBODY}").status_code == 404
    assert officer.patch(f"{URL}/{NOBODY}", json=ACCOUNT).status_code == 404


def test_incidents_are_listed_newest_first_and_by_what_is_asked(client_for: ClientFor) -> None:
    dialer, officer = client_for("dialer"), client_for("officer")
    first = call(dialer, "call-1")
    second = call(dialer, "call-2", callee="x")

    def found(**query: str) -> list[dict[str, Any]]:
        answer = officer.get(URL, params=query)
        assert as_documented(IncidentList, answer.json()) == answer.json()
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    assert [one["kind"] for one in found()] == ["other_number", "call_without_check", "call_without_check"]
    assert [one["incident_id"] for one in found(kind="call_without_check")] == [second, first]
    assert [one["incident_id"] for one in found(call_id="call-1")] == [first]
    assert (len(found(state="open")), found(state="closed")) == (3, [])
    today = "2026-11-23"
    assert len(found(**{"from": today, "to": today})) == 3
    assert found(to="2026-11-22") == []
    assert set(found()[0]) == {"incident_id", "kind", "article", "call_id", "detected_at", "state"}


def test_the_list_comes_in_pages(client_for: ClientFor) -> None:
    dialer, officer = client_for("dialer"), client_for("officer")
    ids = [call(dialer, f"call-{number}") for number in range(3)]

    first = officer.get(URL, params={"limit": 2}).json()
    rest = officer.get(URL, params={"limit": 2, "cursor": first["next_cursor"]}).json()

    assert [one["incident_id"] for one in (*first["items"], *rest["items"])] == ids[::-1]
    assert rest["next_cursor"] is None


@pytest.mark.parametrize(
    "query",
    [{"state": "lost"}, {"kind": "A B"}, {"from": "2026-11-24", "to": "2026-11-23"}, {"cursor": "x"}, {"call_id": ""}],
)
def test_a_query_that_makes_no_sense_is_422(shared: SharedApp, query: dict[str, str]) -> None:
    assert shared.client("auditor").get(URL, params=query).status_code == 422
