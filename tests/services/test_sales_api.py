"""The register of sales over HTTP: what is computed, what is amended, how a contract ends, and what is refused."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine
from starlette.testclient import TestClient

from services.api.sales import SaleAnswer, SaleList
from tests.gate_facts import write_registers
from tests.sale_bodies import SALE
from tests.services.documented import as_documented

ClientFor = Callable[..., TestClient]
URL = "/v1/sales"
ENDED = {"ended_on": "2026-11-20", "reason": "surrender"}


@pytest.fixture
def officer(client_for: ClientFor, engine: Engine) -> TestClient:
    """An officer of a house whose registers allow the sales of `tests.sale_bodies`."""
    with engine.begin() as connection:
        write_registers(connection)
    return client_for("officer")


def registered(client: TestClient, **changes: object) -> dict[str, Any]:
    answer = client.post(URL, json={**SALE, **changes})
    assert answer.status_code == 201, answer.text
    assert as_documented(SaleAnswer, answer.json()) == answer.json()
    found: dict[str, Any] = answer.json()
    return found


def test_a_proper_sale_has_its_clocks_and_no_findings(officer: TestClient) -> None:
    sale = registered(officer)

    assert (sale["closed_on"], sale["inspection_class"], sale["retention_class"]) == ("2026-11-02", "over_1y", "10y")
    assert (sale["inspect_before"], sale["inspect_before_basis"]) == ("2026-11-18T00:00:00+08:00", "closing_day")
    assert sale["cooling_off"] == {"start_on": None, "ends_on": None, "right_through": None}
    assert (sale["deliver_by"], sale["voice_confirmation_allowed"]) == ("2026-11-11", True)
    assert sale["findings"] == []
    assert sale["termination"] == {"ended_on": None, "history": []}
    assert officer.get(f"{URL}/P-1").json() == sale
    assert officer.get("/v1/incidents").json()["items"] == []


def test_exactly_one_year_is_drawn_in_the_stricter_class_and_kept_in_the_shorter(officer: TestClient) -> None:
    sale = registered(officer, cover_end_exclusive="2027-11-03", declared_term_months=12, cooling_off_days=0)

    assert (sale["inspection_class"], sale["retention_class"]) == ("over_1y", "5y")
    assert (sale["inspect_before"], sale["inspect_before_basis"]) == ("2027-11-03T00:00:00+08:00", "policy_term")


def test_a_contract_older_than_the_measures_has_its_clocks_and_cannot_have_broken_them(officer: TestClient) -> None:
    terms = {"cover_start": "2012-05-02", "cover_end_exclusive": "2015-05-02", "declared_term_months": 36}
    facts = {"effective_on": "2012-05-02", "receipt_confirmed_on": "2012-05-04", "medical_exam": True}

    sale = registered(officer, consented_at="2012-04-28T10:00:00+08:00", **terms, **facts)

    assert (sale["closed_on"], sale["inspection_class"], sale["retention_class"]) == ("2012-04-28", "over_1y", "10y")
    assert sale["inspect_before"] == "2012-05-20T00:00:00+08:00"
    assert (sale["deliver_by"], sale["voice_confirmation_allowed"], sale["findings"]) == ("2012-05-10", False, [])
    assert (sale["delivery"]["late"], sale["delivery"]["breach"]) == (True, False)
    assert officer.get("/v1/incidents").json()["items"] == []
    ended = officer.post(f"{URL}/P-1/termination", json={"ended_on": "2015-05-01", "reason": "expiry"}).json()
    assert ended["termination"]["ended_on"] == "2015-05-01"


def test_the_same_sale_again_is_the_same_answer_and_another_is_a_conflict(officer: TestClient) -> None:
    sale = registered(officer, call_ids=["b", "a"])

    again = officer.post(URL, json={**SALE, "call_ids": ["a", "b"], "consented_at": "2026-11-02T02:00:00Z"})
    other = officer.post(URL, json={**SALE, "call_ids": ["a"]})

    assert (again.status_code, again.json()) == (200, sale)
    assert other.status_code == 409
    assert "sale P-1 is registered already with another content" in other.json()["detail"]


def test_a_sale_that_breaks_the_rules_is_registered_with_findings_and_one_incident(officer: TestClient) -> None:
    sale = registered(officer, applicant_birth_date="1950-01-01", medical_exam=True)
    officer.post(URL, json={**SALE, "applicant_birth_date": "1950-01-01", "medical_exam": True})

    assert [(one["code"], one["article"]) for one in sale["findings"]] == [
        ("applicant_age", "30(1)"),
        ("medical_exam", "30(2)"),
    ]
    assert sale["voice_confirmation_allowed"] is False
    [incident] = officer.get("/v1/incidents").json()["items"]
    assert (incident["kind"], incident["article"]) == ("sale_outside_rules", "30(1)")
    details = officer.get(f"/v1/incidents/{incident['incident_id']}").json()["details"]
    assert (details["policy_no"], details["findings"]) == ("P-1", ["applicant_age", "medical_exam"])


def test_a_signed_form_needs_nothing_of_article_30(officer: TestClient) -> None:
    sale = registered(officer, confirmation="signature", applicant_birth_date=None, applicant_is_insured=False)

    assert (sale["findings"], sale["voice_confirmation_allowed"]) == ([], False)


def test_a_sale_without_any_call_is_an_incident_of_its_own(officer: TestClient) -> None:
    sale = registered(officer, call_ids=[])

    assert [one["code"] for one in sale["findings"]] == ["no_recorded_call"]
    assert [one["kind"] for one in officer.get("/v1/incidents").json()["items"]] == ["sale_without_call"]


def test_receipt_starts_the_cooling_off_and_later_corrections_keep_every_protection(officer: TestClient) -> None:
    registered(officer)

    first = officer.patch(f"{URL}/P-1", json={"receipt_confirmed_on": "2026-11-13"}).json()
    later = officer.patch(f"{URL}/P-1", json={"receipt_confirmed_on": "2026-11-16"}).json()
    earlier = officer.patch(f"{URL}/P-1", json={"receipt_confirmed_on": "2026-11-06"}).json()

    assert first["cooling_off"] == {"start_on": "2026-11-13", "ends_on": "2026-11-28", "right_through": "2026-11-30"}
    assert (first["inspect_before"], first["inspect_before_basis"]) == ("2026-11-29T00:00:00+08:00", "cooling_off")
    assert (later["cooling_off"]["right_through"], later["inspect_before"][:10]) == ("2026-12-01", "2026-11-29")
    assert (earlier["cooling_off"]["right_through"], earlier["inspect_before"][:10]) == ("2026-12-01", "2026-11-22")


def test_late_papers_are_a_breach_unless_the_applicant_was_told_in_time(officer: TestClient) -> None:
    late = registered(officer)["delivery"]
    notice = {"notified_on": "2026-11-11", "reason": "flood"}
    told = officer.patch(f"{URL}/P-1", json={"delivery_notice": notice}).json()
    told_late = officer.patch(f"{URL}/P-1", json={"delivery_notice": {**notice, "notified_on": "2026-11-12"}}).json()
    in_time = officer.patch(f"{URL}/P-1", json={"delivered_on": "2026-11-11"}).json()

    assert late == {
        "due_on": "2026-11-11",
        "delivered_on": None,
        "late": True,
        "breach": True,
        "provisional": False,
    }
    assert (told["delivery"]["late"], told["delivery"]["breach"]) == (True, False)
    assert told["delivery_notice"] == notice
    assert told_late["delivery"]["breach"] is True
    assert (in_time["delivery"]["late"], in_time["delivery"]["breach"]) == (False, False)


def test_a_later_end_counts_at_once_and_an_earlier_one_takes_another_officer(
    officer: TestClient, client_for: ClientFor
) -> None:
    registered(officer)
    ended = officer.post(f"{URL}/P-1/termination", json={**ENDED, "ended_on": "2026-11-18"})
    later = officer.post(f"{URL}/P-1/termination", json=ENDED)
    same = officer.post(f"{URL}/P-1/termination", json=ENDED)
    earlier = officer.post(f"{URL}/P-1/termination", json={**ENDED, "ended_on": "2026-11-10"})

    assert [answer.status_code for answer in (ended, later, same, earlier)] == [200, 200, 200, 202]
    assert same.json()["termination"]["ended_on"] == "2026-11-20"
    assert len(same.json()["termination"]["history"]) == 2
    request = f"/v1/approvals/{earlier.json()['request_id']}"
    assert officer.post(request, json={}).status_code == 403
    assert officer.get(f"{URL}/P-1").json()["termination"]["ended_on"] == "2026-11-20"
    approved = client_for("officer", owner="officer2").post(request, json={})
    assert (approved.status_code, approved.json()["ended_on"]) == (200, "2026-11-10")
    last = officer.get(f"{URL}/P-1").json()["termination"]["history"][-1]
    assert (last["on"], last["actor"], last["approved_by"]) == ("2026-11-10", "officer", "officer2")


def test_an_earlier_end_asked_for_before_another_change_must_be_asked_for_again(
    officer: TestClient, client_for: ClientFor
) -> None:
    registered(officer)
    officer.post(f"{URL}/P-1/termination", json={**ENDED, "ended_on": "2026-11-18"})
    asked = officer.post(f"{URL}/P-1/termination", json={**ENDED, "ended_on": "2026-11-10"}).json()
    officer.post(f"{URL}/P-1/termination", json=ENDED)

    refused = client_for("officer", owner="officer2").post(f"/v1/approvals/{asked['request_id']}", json={})

    assert refused.status_code == 409
    assert officer.get(f"{URL}/P-1").json()["termination"]["ended_on"] == "2026-11-20"


def test_a_reinstated_contract_runs_and_cannot_have_ended_before(officer: TestClient) -> None:
    registered(officer)
    nothing = officer.post(f"{URL}/P-1/reinstatement", json={"reinstated_on": "2026-11-21", "reason": "paid"})
    officer.post(f"{URL}/P-1/termination", json=ENDED)
    before = officer.post(f"{URL}/P-1/reinstatement", json={"reinstated_on": "2026-11-19", "reason": "paid"})
    done = officer.post(f"{URL}/P-1/reinstatement", json={"reinstated_on": "2026-11-21", "reason": "paid"})
    around = officer.post(f"{URL}/P-1/termination", json={**ENDED, "ended_on": "2026-11-10"})
    again = officer.post(f"{URL}/P-1/termination", json={**ENDED, "ended_on": "2026-11-22"})

    assert (nothing.status_code, before.status_code, around.status_code) == (409, 422, 422)
    assert (done.status_code, done.json()["termination"]["ended_on"]) == (200, None)
    assert "lies before the contract was reinstated, 2026-11-21" in around.json()["detail"]
    assert again.status_code == 200
    assert [one["kind"] for one in again.json()["termination"]["history"]] == ["terminated", "reinstated", "terminated"]


ABSURD = {
    "end before start": ({"cover_end_exclusive": "2026-11-03"}, "cover_end_exclusive", "must be after cover_start"),
    "future consent": ({"consented_at": "2026-11-23T12:06:00+08:00"}, "consented_at", "lies in the future"),
    "a slip in the year": ({"consented_at": "1989-12-31T23:59:59+08:00"}, "consented_at", "lies before 1990-01-01"),
    "future receipt": ({"receipt_confirmed_on": "2026-11-24"}, "receipt_confirmed_on", "lies after today, 2026-11-23"),
    "receipt before the sale": (
        {"receipt_confirmed_on": "2026-11-01"},
        "receipt_confirmed_on",
        "lies before the sale was closed, 2026-11-02",
    ),
    "birth after the consent": ({"applicant_birth_date": "2026-11-03"}, "applicant_birth_date", "after the consent"),
    "no offset": ({"consented_at": "2026-11-02T10:00:00"}, "consented_at", "with an offset"),
    "white space in the number": ({"policy_no": "P 1"}, "policy_no", "without white space"),
    "a control character in the number": ({"policy_no": "P\u00071"}, "policy_no", "printable"),
    "too long a number": ({"policy_no": "P" * 65}, "policy_no", "at most 64"),
    "unknown field": ({"phone": "13800138000"}, "phone", "is no field here"),
    "no months": ({"declared_term_months": 0}, "declared_term_months", "greater than or equal to 1"),
    "gift in words": ({"gift": "no"}, "gift", "valid boolean"),
    "insured as a number": ({"applicant_is_insured": 1}, "applicant_is_insured", "valid boolean"),
    "negative cooling-off": ({"cooling_off_days": -1}, "cooling_off_days", "greater than or equal to 0"),
}


@pytest.mark.parametrize(("change", "field", "message"), ABSURD.values(), ids=ABSURD.keys())
def test_what_cannot_be_is_refused_and_says_why(
    officer: TestClient, change: dict[str, object], field: str, message: str
) -> None:
    refused = officer.post(URL, json={**SALE, **change})

    assert refused.status_code == 422
    [error] = refused.json()["errors"]
    assert error["loc"] == field
    assert message in error["msg"]
    assert officer.get(URL).json()["items"] == []


REFUSED_CHANGES = {
    "future delivery": ({"delivered_on": "2026-11-24"}, "delivered_on"),
    "future receipt": ({"receipt_confirmed_on": "2026-11-24"}, "receipt_confirmed_on"),
    "receipt before the sale": ({"receipt_confirmed_on": "2026-11-01"}, "receipt_confirmed_on"),
    "future notice": (
        {"delivery_notice": {"notified_on": "2026-11-24", "reason": "flood"}},
        "delivery_notice.notified_on",
    ),
    "delivery before the sale": ({"delivered_on": "2026-11-01"}, "delivered_on"),
    "notice before the sale": (
        {"delivery_notice": {"notified_on": "2025-11-11", "reason": "flood"}},
        "delivery_notice.notified_on",
    ),
    "nothing": ({}, "body"),
    "the product": ({"product_code": "TERM-2"}, "product_code"),
}


@pytest.mark.parametrize(("change", "field"), REFUSED_CHANGES.values(), ids=REFUSED_CHANGES.keys())
def test_a_change_that_cannot_be_changes_nothing(officer: TestClient, change: dict[str, object], field: str) -> None:
    sale = registered(officer)

    refused = officer.patch(f"{URL}/P-1", json=change)

    assert (refused.status_code, refused.json()["errors"][0]["loc"]) == (422, field)
    assert officer.get(f"{URL}/P-1").json() == sale


@pytest.mark.parametrize("reason", ["", " ", "\t\n", "\u3000", "a\0"])
def test_an_end_needs_a_reason_in_words(officer: TestClient, reason: str) -> None:
    sale = registered(officer)

    refused = officer.post(f"{URL}/P-1/termination", json={**ENDED, "reason": reason})

    assert (refused.status_code, refused.json()["errors"][0]["loc"]) == (422, "reason")
    assert officer.get(f"{URL}/P-1").json() == sale


@pytest.mark.parametrize(("ended_on", "message"), [("2026-11-24", "after today"), ("2026-11-02", "before cover_start")])
def test_an_end_in_the_future_or_before_the_cover_is_refused(officer: TestClient, ended_on: str, message: str) -> None:
    registered(officer)

    refused = officer.post(f"{URL}/P-1/termination", json={**ENDED, "ended_on": ended_on})

    assert refused.status_code == 422
    assert message in refused.json()["errors"][0]["msg"]


def test_unknown_sales_are_not_found(officer: TestClient) -> None:
    answers = [
        officer.get(f"{URL}/P-9"),
        officer.patch(f"{URL}/P-9", json={"delivered_on": "2026-11-11"}),
        officer.post(f"{URL}/P-9/termination", json=ENDED),
        officer.post(f"{URL}/P-9/reinstatement", json={"reinstated_on": "2026-11-21", "reason": "paid"}),
    ]

    assert [answer.status_code for answer in answers] == [404] * 4


def test_a_policy_number_may_hold_signs_of_an_address(officer: TestClient) -> None:
    registered(officer, policy_no="保单/2026?1%")

    found = officer.get(f"{URL}/%E4%BF%9D%E5%8D%95%2F2026%3F1%25")

    assert found.json()["policy_no"] == "保单/2026?1%"


def test_a_list_goes_by_centre_and_closing_day_newest_first_with_a_cursor(officer: TestClient) -> None:
    registered(officer, policy_no="P-1", consented_at="2026-11-01T23:59:59+08:00")
    registered(officer, policy_no="P-2", consented_at="2026-11-02T00:00:00+08:00")
    registered(officer, policy_no="P-3", consented_at="2026-11-03T23:59:59+08:00")
    registered(officer, policy_no="P-4", centre_id="centre-2")

    first = officer.get(URL, params={"centre_id": "centre-1", "from": "2026-11-02", "to": "2026-11-03", "limit": 1})
    assert as_documented(SaleList, first.json()) == first.json()
    cursor = first.json()["next_cursor"]
    second = officer.get(
        URL, params={"centre_id": "centre-1", "from": "2026-11-02", "to": "2026-11-03", "limit": 1, "cursor": cursor}
    )
    other_query = officer.get(URL, params={"cursor": cursor})
    backwards = officer.get(URL, params={"from": "2026-11-03", "to": "2026-11-02"})

    assert [one["policy_no"] for one in first.json()["items"] + second.json()["items"]] == ["P-3", "P-2"]
    assert second.json()["next_cursor"] is None
    assert (other_query.status_code, backwards.status_code) == (422, 422)
    assert [one["policy_no"] for one in officer.get(URL).json()["items"]] == ["P-4", "P-3", "P-2", "P-1"]


def test_birth_dates_are_shown_to_those_who_register_sales_alone(officer: TestClient, client_for: ClientFor) -> None:
    registered(officer)
    shown = {
        role: client_for(role).get(f"{URL}/P-1").json()["applicant_birth_date"]
        for role in ("officer", "admin", "inspector", "auditor")
    }

    assert shown == {"officer": "1986-05-10", "admin": "1986-05-10", "inspector": None, "auditor": None}


def test_a_number_in_words_is_whole_for_officers_alone(officer: TestClient, client_for: ClientFor) -> None:
    registered(officer)
    notice = {"notified_on": "2026-11-11", "reason": "told at 13800138000"}
    officer.patch(f"{URL}/P-1", json={"delivery_notice": notice})
    officer.post(f"{URL}/P-1/termination", json={**ENDED, "reason": "13800138000 called"})

    shown = {role: client_for(role).get(f"{URL}/P-1").text for role in ("officer", "admin", "inspector", "auditor")}

    assert {role: text.count("13800138000") for role, text in shown.items()} == {
        "officer": 2,
        "admin": 0,
        "inspector": 0,
        "auditor": 0,
    }


def test_a_key_gives_the_first_answer_again(officer: TestClient) -> None:
    headers = {"Idempotency-Key": "sale-1"}
    first = officer.post(URL, json=SALE, headers=headers)
    again = officer.post(URL, json=SALE, headers=headers)

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json() == first.json()
