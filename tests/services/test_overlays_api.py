"""Closures over HTTP: ordered by one officer, ended by two, known to the next decision."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from tests.conftest import SettableClock

ClientFor = Callable[..., httpx2.Client]

CLOSURE = {
    "name": "flood",
    "kind": "emergency",
    "regions": ["310000"],
    "from": "2026-11-23T12:00:00+08:00",
    "to": "2026-11-23T18:00:00+08:00",
    "reason": "ordered by the bureau",
}
NOBODY = "01a20960-4a56-73d0-b2d4-88bed749ba2c"


def ordered(client: httpx2.Client, **changes: object) -> dict[str, Any]:
    answer = client.post("/v1/overlays", json={**CLOSURE, **changes})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def is_closed(client: httpx2.Client) -> bool:
    reasons = client.post("/v1/call-checks", json={"callee": "13800138000"}).json()["reasons"]
    return "overlay" in [reason["code"] for reason in reasons]


def test_an_overlay_answers_with_what_was_ordered(client_for: ClientFor) -> None:
    overlay = ordered(client_for("officer"))

    assert overlay == {
        **CLOSURE,
        "overlay_id": overlay["overlay_id"],
        "ordered_by": "officer",
        "created_at": "2026-11-23T12:00:00+08:00",
        "ended_at": None,
    }
    assert client_for("auditor").get("/v1/overlays").json() == {"items": [overlay], "next_cursor": None}


def test_the_next_decision_knows_the_order_and_the_end(client_for: ClientFor) -> None:
    officer, second, dialer = client_for("officer"), client_for("officer", owner="second"), client_for("dialer")
    before = is_closed(dialer)
    overlay = ordered(officer, regions=None)
    during = is_closed(dialer)

    asked = officer.post(f"/v1/overlays/{overlay['overlay_id']}/end", json={"reason": "over"})
    still = is_closed(dialer)
    given = second.post(f"/v1/approvals/{asked.json()['request_id']}", json={})

    assert (before, during, still, is_closed(dialer)) == (False, True, True, False)
    assert (asked.status_code, given.status_code) == (202, 200)
    assert given.json()["ended_at"] == "2026-11-23T12:00:00+08:00"
    assert officer.get("/v1/overlays").json()["items"][0]["ended_at"] == "2026-11-23T12:00:00+08:00"


def test_an_overlay_that_is_over_cannot_be_ended(client_for: ClientFor, clock: SettableClock) -> None:
    officer = client_for("officer")
    overlay = ordered(officer)
    one = f"/v1/overlays/{overlay['overlay_id']}/end"
    asked = officer.post(one)
    clock.advance(timedelta(hours=6))

    too_late = client_for("officer", owner="second").post(f"/v1/approvals/{asked.json()['request_id']}")

    assert (asked.status_code, officer.post(one).status_code, too_late.status_code) == (202, 409, 409)
    assert officer.get("/v1/approvals", params={"state": "open"}).json()["items"] != []
    assert officer.post(f"/v1/overlays/{NOBODY}/end").status_code == 404


@pytest.mark.parametrize(
    ("changes", "loc"),
    [
        pytest.param({"to": CLOSURE["from"]}, "to", id="empty"),
        pytest.param({"from": "2026-11-23T12:00:00"}, "from", id="without an offset"),
        pytest.param({"kind": "war"}, "kind", id="unknown kind"),
        pytest.param({"regions": []}, "regions", id="nowhere"),
        pytest.param({"regions": ["310115"]}, "regions.0", id="a district"),
        pytest.param({"reason": ""}, "reason", id="without a reason"),
        pytest.param({"colour": "red"}, "colour", id="unknown field"),
    ],
)
def test_what_cannot_be_used_is_named(client_for: ClientFor, changes: dict[str, Any], loc: str) -> None:
    answer = client_for("officer").post("/v1/overlays", json={**CLOSURE, **changes})

    assert answer.status_code == 422
    assert [error["loc"] for error in answer.json()["errors"]] == [loc]


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        ("dialer", (403, 403, 403)),
        ("inspector", (403, 403, 403)),
        ("admin", (403, 403, 403)),
        ("auditor", (200, 403, 403)),
        ("officer", (200, 422, 404)),
    ],
)
def test_officers_write_and_auditors_read(client_for: ClientFor, role: str, expected: tuple[int, int, int]) -> None:
    client = client_for(role)

    answers = (
        client.get("/v1/overlays"),
        client.post("/v1/overlays", json={}),
        client.post(f"/v1/overlays/{NOBODY}/end", json={}),
    )

    assert tuple(answer.status_code for answer in answers) == expected


def test_a_repeated_order_with_its_key_is_one_order(client_for: ClientFor) -> None:
    officer, key = client_for("officer"), {"Idempotency-Key": "k1"}

    first = officer.post("/v1/overlays", json=CLOSURE, headers=key)
    again = officer.post("/v1/overlays", json=CLOSURE, headers=key)

    assert again.json() == first.json()
    assert len(officer.get("/v1/overlays").json()["items"]) == 1


def test_lists_come_in_pages_newest_first(client_for: ClientFor) -> None:
    officer = client_for("officer")
    names = [ordered(officer, name=name)["name"] for name in "abc"]

    first = officer.get("/v1/overlays", params={"limit": 2}).json()
    second = officer.get("/v1/overlays", params={"limit": 2, "cursor": first["next_cursor"]}).json()

    assert [one["name"] for one in first["items"] + second["items"]] == names[::-1]
