"""The do-not-call list over HTTP: blocked before it is answered, masked by role, released by two."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine
from starlette.testclient import TestClient

from compliance.policy import parse_policy
from compliance.policy_store import store_policy
from compliance.shanghai import shanghai_day
from infra.ids import new_id
from services.api.do_not_call import BlockAnswer, DoNotCallEntryList, DoNotCallEntryWithHistory
from tests.conftest import NOON, SettableClock
from tests.services.documented import as_documented
from tests.services.shared_app import SharedApp

ClientFor = Callable[..., TestClient]
URL = "/v1/do-not-call"
NOBODY = "01a20960-4a56-73d0-b2d4-88bed749ba2c"
BODY = {"phone": "138 0013 8000", "source": "call", "refused_at": "2026-03-15T10:00:00+08:00"}
EVIDENCE = {"document": "letter-1"}


def blocked(client: TestClient, **changes: object) -> dict[str, Any]:
    answer = client.post(URL, json={**BODY, **changes})
    assert answer.status_code in (200, 201), answer.text
    found: dict[str, Any] = answer.json()
    return found


def is_denied(dialer: TestClient, callee: str = "13800138000") -> bool:
    reasons = dialer.post("/v1/call-checks", json={"callee": callee}).json()["reasons"]
    return "do_not_call" in [reason["code"] for reason in reasons]


def test_a_refusal_answers_with_every_field_and_binds_the_next_check(client_for: ClientFor) -> None:
    dialer = client_for("dialer")
    before = is_denied(dialer)

    answer = dialer.post(URL, json={**BODY, "reason": "别再打了", "customer_id": "C"})

    found = answer.json()
    assert answer.status_code == 201
    assert as_documented(BlockAnswer, found) == found
    assert found == {
        "entry_id": found["entry_id"],
        "phone": "+8613800138000",
        "phones": ["+8613800138000"],
        "customer_id": "C",
        "refused_at": "2026-03-15T10:00:00+08:00",
        "blocked_from": "2026-03-15T10:00:00+08:00",
        "blocked_through": "2026-09-15",
        "first_callable_on": "2026-09-16",
        "provisional": False,
        "permanent": False,
        "source": "call",
        "reason": "别再打了",
        "released_at": None,
        "created_at": "2026-11-23T12:00:00+08:00",
        "warnings": [],
    }
    assert (before, is_denied(dialer)) == (False, False)
    blocked(dialer, refused_at="2026-11-23T11:59:59+08:00")
    assert is_denied(dialer)


@pytest.mark.parametrize(
    ("changes", "through", "opens", "provisional"),
    [
        pytest.param({"refused_at": None}, "2027-05-23", "2027-06-03", True, id="an unknown calendar"),
        pytest.param({"refused_at": "2026-03-19T00:00:00+08:00"}, "2026-09-19", "2026-09-21", False, id="a Saturday"),
        pytest.param({"permanent": True}, None, None, False, id="permanent"),
        pytest.param({"source": "key_phrase", "permanent": True}, None, None, True, id="heard by a machine"),
    ],
)
def test_the_dates_of_an_entry(
    client_for: ClientFor, changes: dict[str, object], through: str | None, opens: str | None, *, provisional: bool
) -> None:
    found = blocked(client_for("officer"), **changes)

    assert (found["blocked_through"], found["first_callable_on"]) == (through, opens)
    assert (found["provisional"], found["permanent"]) == (provisional, through is None)


def test_a_repeat_answers_200_with_the_same_fields_and_never_shortens(client_for: ClientFor) -> None:
    dialer = client_for("dialer")
    first = dialer.post(URL, json={**BODY, "months": 24})
    again = dialer.post(URL, json={**BODY, "phone": "+86-138-0013-8000", "refused_at": "2026-04-01T10:00:00+08:00"})

    assert (first.status_code, again.status_code) == (201, 200)
    assert set(first.json()) == set(again.json())
    assert again.json()["entry_id"] == first.json()["entry_id"]
    assert again.json()["blocked_through"] == "2028-03-15"
    assert again.json()["refused_at"] == "2026-04-01T10:00:00+08:00"


def test_fewer_months_than_law_and_policy_are_raised_with_a_warning(client_for: ClientFor, engine: Engine) -> None:
    dialer = client_for("dialer")
    by_law = blocked(dialer, months=3)
    policy = parse_policy("[do_not_call]\nblock_months = 12\n", on=shanghai_day(NOON))
    with engine.begin() as connection:
        store_policy(connection, policy, policy_id=new_id(), source="api", now=NOON)
    by_policy = blocked(dialer, months=11)

    assert (by_law["blocked_through"], by_policy["blocked_through"]) == ("2026-09-15", "2027-03-15")
    assert [one["code"] for one in by_law["warnings"]] == ["raised_to_floor"]
    assert by_policy["warnings"][0]["article"] == "25(2)"
    assert "12 months" in by_policy["warnings"][0]["message"]
    assert "12个月" in by_policy["warnings"][0]["message_zh"]
    assert blocked(dialer, months=12)["warnings"] == []


@pytest.mark.parametrize(
    ("changes", "loc"),
    [
        pytest.param({"phone": None}, "phone", id="nobody"),
        pytest.param({"phone": ""}, "phone", id="an empty number"),
        pytest.param({"phone": "110"}, "phone", id="an emergency number"),
        pytest.param({"phone": "95518"}, "phone", id="a short number"),
        pytest.param({"phone": "1380013800"}, "phone", id="a digit too few"),
        pytest.param({"phone": 13800138000}, "phone", id="a number that is no text"),
        pytest.param({"phone": "138\x0000138000"}, "phone", id="a NUL"),
        pytest.param({"refused_at": "2026-11-23T12:05:00.000001+08:00"}, "refused_at", id="the future"),
        pytest.param({"refused_at": "2026-11-23T12:00:00"}, "refused_at", id="no offset"),
        pytest.param({"refused_at": "2026-11-23"}, "refused_at", id="a day"),
        pytest.param({"months": -1}, "months", id="negative months"),
        pytest.param({"months": 10**30}, "months", id="too many months"),
        pytest.param({"months": 6.5}, "months", id="half months"),
        pytest.param({"source": "hearsay"}, "source", id="an unknown source"),
        pytest.param({"customer_id": ""}, "customer_id", id="an empty customer"),
        pytest.param({"customer_id": " \t"}, "customer_id", id="a customer of blanks"),
        pytest.param({"evidence": {"recording": "r"}}, "evidence.recording", id="an unknown field inside"),
        pytest.param({"months_": 6}, "months_", id="an unknown field"),
    ],
)
def test_what_cannot_be_used_is_named(shared: SharedApp, changes: dict[str, object], loc: str) -> None:
    answer = shared.client("dialer").post(URL, json={**BODY, **changes})

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [one["loc"] for one in answer.json()["errors"]] == [loc]


def test_a_clock_five_minutes_ahead_is_accepted(client_for: ClientFor) -> None:
    assert blocked(client_for("dialer"), refused_at="2026-11-23T12:05:00+08:00")["blocked_from"] == (
        "2026-11-23T12:00:00+08:00"
    )


@pytest.mark.parametrize(
    ("role", "status", "phone"),
    [
        ("dialer", 201, "+8613800138000"),
        ("inspector", 201, "138****8000"),
        ("officer", 201, "+8613800138000"),
        ("admin", 403, None),
        ("auditor", 403, None),
    ],
)
def test_who_may_block_and_what_they_see(client_for: ClientFor, role: str, status: int, phone: str | None) -> None:
    answer = client_for(role).post(URL, json=BODY)

    assert (answer.status_code, answer.json().get("phone")) == (status, phone)


@pytest.mark.parametrize(
    ("role", "status", "phone"),
    [
        ("dialer", 200, "138****8000"),
        ("inspector", 200, "138****8000"),
        ("officer", 200, "+8613800138000"),
        ("admin", 403, None),
        ("auditor", 200, "138****8000"),
    ],
)
def test_who_may_read_an_entry_and_what_they_see(
    client_for: ClientFor, role: str, status: int, phone: str | None
) -> None:
    entry_id = blocked(client_for("officer"))["entry_id"]

    answer = client_for(role).get(f"{URL}/{entry_id}")

    assert (answer.status_code, answer.json().get("phone")) == (status, phone)
    assert role == "officer" or "13800138000" not in answer.text


def test_an_entry_shows_its_whole_history_oldest_first(client_for: ClientFor, clock: SettableClock) -> None:
    dialer, officer = client_for("dialer"), client_for("officer")
    entry_id = blocked(dialer, months=9, evidence={"recording_id": "r", "offset_ms": 5})["entry_id"]
    clock.advance(timedelta(hours=1))
    blocked(officer, permanent=True, reason="letter")

    found = officer.get(f"{URL}/{entry_id}").json()

    assert as_documented(DoNotCallEntryWithHistory, found) == found
    first, second = found["history"]
    assert (first["kind"], first["actor"], first["blocked_through"]) == ("refusal", "dialer", "2026-12-15")
    assert first["details"]["evidence"] == {"recording_id": "r", "offset_ms": 5}
    assert (second["recorded_at"], second["blocked_through"]) == ("2026-11-23T13:00:00+08:00", None)
    assert second["details"]["permanent"] is True


def test_blanks_around_a_customer_id_part_nobody_from_their_refusal(client_for: ClientFor) -> None:
    client_for("admin").put("/v1/customers/C", json={"phones": ["13900139000"], "region": "110000"})
    dialer = client_for("dialer")

    refused = dialer.post(URL, json={"customer_id": " C ", "source": "counter"}).json()
    check = dialer.post("/v1/call-checks", json={"callee": "13700137000", "customer_id": "C\u3000"}).json()

    assert (refused["customer_id"], refused["phones"]) == ("C", ["139****9000"])
    assert "do_not_call" in [one["code"] for one in check["reasons"]]


def test_entries_are_found_by_number_and_customer(client_for: ClientFor) -> None:
    admin, officer = client_for("admin"), client_for("officer")
    body = {"phones": ["13800138000", "13900139000"], "region": "110000"}
    assert admin.put("/v1/customers/C", json=body).status_code == 201
    entry_id = blocked(officer)["entry_id"]

    def ids(**query: str) -> list[str]:
        answer = client_for("auditor").get(URL, params=query)
        assert as_documented(DoNotCallEntryList, answer.json()) == answer.json()
        return [one["entry_id"] for one in answer.json()["items"]]

    assert ids(phone="0086 138 0013 8000") == [entry_id]
    assert ids(phone="13900139000") == [entry_id]
    assert ids(customer_id="C") == [entry_id]
    assert ids(phone="13700137000") == []
    assert ids() == [entry_id]


def test_a_dialer_sees_the_number_it_asks_for_and_masks_for_the_others(client_for: ClientFor) -> None:
    client_for("admin").put("/v1/customers/C", json={"phones": ["13800138000", "13900139000"], "region": "110000"})
    blocked(client_for("officer"))

    (found,) = client_for("dialer").get(URL, params={"phone": "13800138000"}).json()["items"]

    assert (found["phone"], found["phones"]) == ("+8613800138000", ["+8613800138000", "139****9000"])


@pytest.mark.parametrize("phone", ["", "110", "x", "1" * 300])
def test_an_impossible_number_in_a_query_is_named(shared: SharedApp, phone: str) -> None:
    answer = shared.client("auditor").get(URL, params={"phone": phone})

    assert (answer.status_code, answer.json()["errors"][0]["loc"]) == (422, "phone")


def test_the_list_comes_in_pages_newest_first(client_for: ClientFor) -> None:
    officer = client_for("officer")
    ids = [blocked(officer, phone=f"1380013800{last}")["entry_id"] for last in range(3)]

    first = officer.get(URL, params={"limit": 2}).json()
    rest = officer.get(URL, params={"limit": 2, "cursor": first["next_cursor"]}).json()

    assert [one["entry_id"] for one in (*first["items"], *rest["items"])] == ids[::-1]
    assert rest["next_cursor"] is None
    other = officer.get(URL, params={"limit": 2, "cursor": first["next_cursor"], "customer_id": "C"})
    assert other.status_code == 422


@pytest.mark.parametrize("method", ["DELETE", "PUT", "PATCH"])
def test_nothing_deletes_or_changes_an_entry(client_for: ClientFor, method: str) -> None:
    officer = client_for("officer")
    entry_id = blocked(officer)["entry_id"]

    assert officer.request(method, f"{URL}/{entry_id}").status_code == 405


def test_what_does_not_exist_is_404(client_for: ClientFor) -> None:
    officer = client_for("officer")

    assert officer.get(f"{URL}/{NOBODY}").status_code == 404
    answer = officer.post(f"{URL}/{NOBODY}/release", json={"reason": "r", "evidence": EVIDENCE})
    assert answer.status_code == 404


def test_two_officers_release_on_the_customers_own_request(client_for: ClientFor, clock: SettableClock) -> None:
    officer, second, dialer = client_for("officer"), client_for("officer", owner="second"), client_for("dialer")
    entry_id = blocked(officer, refused_at=None)["entry_id"]

    asked = officer.post(f"{URL}/{entry_id}/release", json={"reason": "asked for it", "evidence": EVIDENCE})
    still = is_denied(dialer)
    alone = officer.post(f"/v1/approvals/{asked.json()['request_id']}", json={})
    given = second.post(f"/v1/approvals/{asked.json()['request_id']}", json={})

    assert (asked.status_code, still, alone.status_code, given.status_code) == (202, True, 403, 200)
    assert given.json()["released_at"] == "2026-11-23T12:00:00+08:00"
    assert not is_denied(dialer)
    found = officer.get(f"{URL}/{entry_id}").json()
    assert (found["released_at"], found["history"][-1]["kind"]) == ("2026-11-23T12:00:00+08:00", "release")
    repeat = officer.post(f"{URL}/{entry_id}/release", json={"reason": "asked for it", "evidence": EVIDENCE})
    assert repeat.status_code == 409
    clock.advance(timedelta(seconds=1))
    assert blocked(dialer, refused_at=None)["released_at"] is None
    assert is_denied(dialer)


def test_a_newer_refusal_stops_a_release(client_for: ClientFor) -> None:
    officer, second = client_for("officer"), client_for("officer", owner="second")
    entry_id = blocked(officer)["entry_id"]
    asked = officer.post(f"{URL}/{entry_id}/release", json={"reason": "asked for it", "evidence": EVIDENCE}).json()
    blocked(client_for("dialer"))

    assert second.post(f"/v1/approvals/{asked['request_id']}", json={}).status_code == 409
    assert officer.get(f"{URL}/{entry_id}").json()["released_at"] is None


@pytest.mark.parametrize(
    ("body", "loc"),
    [
        pytest.param({"reason": "r"}, "evidence", id="no evidence"),
        pytest.param({"reason": "r", "evidence": {}}, "evidence", id="empty evidence"),
        pytest.param({"reason": "r", "evidence": {"offset_ms": 1}}, "evidence", id="evidence of nothing"),
        pytest.param({"evidence": EVIDENCE}, "reason", id="no reason"),
        pytest.param({"reason": "", "evidence": EVIDENCE}, "reason", id="an empty reason"),
    ],
)
def test_a_release_needs_reason_and_evidence(client_for: ClientFor, body: dict[str, object], loc: str) -> None:
    officer = client_for("officer")
    entry_id = blocked(officer)["entry_id"]

    answer = officer.post(f"{URL}/{entry_id}/release", json=body)

    assert (answer.status_code, answer.json()["errors"][0]["loc"]) == (422, loc)


@pytest.mark.parametrize("role", ["dialer", "inspector", "admin", "auditor"])
def test_only_officers_ask_for_release(client_for: ClientFor, role: str) -> None:
    entry_id = blocked(client_for("officer"))["entry_id"]

    answer = client_for(role).post(f"{URL}/{entry_id}/release", json={"reason": "r", "evidence": EVIDENCE})

    assert answer.status_code == 403


def test_the_same_key_gives_the_first_answer_again(client_for: ClientFor) -> None:
    dialer = client_for("dialer")
    headers = {"Idempotency-Key": "k1"}

    first = dialer.post(URL, json=BODY, headers=headers)
    again = dialer.post(URL, json=BODY, headers=headers)
    other = dialer.post(URL, json={**BODY, "months": 9}, headers=headers)

    assert (first.status_code, again.status_code, other.status_code) == (201, 201, 409)
    assert again.json() == first.json()
    assert again.headers["Idempotency-Replayed"] == "true"
    history = dialer.get(f"{URL}/{first.json()['entry_id']}").json()["history"]
    assert len(history) == 1


def test_concurrent_refusals_over_http_are_one_entry_with_the_latest_end(client_for: ClientFor) -> None:
    clients = [client_for("dialer") for _ in range(8)]

    def send(number: int) -> tuple[int, str]:
        answer = clients[number % 8].post(URL, json={**BODY, "months": 6 + number})
        return answer.status_code, answer.json()["entry_id"]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(send, range(64)))

    assert sorted(status for status, _ in found) == [200] * 63 + [201]
    assert len({entry_id for _, entry_id in found}) == 1
    assert blocked(clients[0])["blocked_through"] == "2031-12-15"
