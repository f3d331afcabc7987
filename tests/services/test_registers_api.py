"""The registers over HTTP: rows, versions, roles, refusals, and decisions that see every change."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy import Engine, text

from compliance.regions import MAINLAND_PROVINCES
from tests.conftest import SettableClock

ClientFor = Callable[..., httpx2.Client]

NOBODY = "01a20960-4a56-73d0-b2d4-88bed749ba2c"
TODAY = "2026-11-23"
CENTRE = {
    "kind": "own_centre",
    "name": "示例人寿电话销售中心",
    "operator_name": "示例人寿",
    "state": "open",
    "place": "310115",
    "sales_regions": sorted(MAINLAND_PROVINCES),
    "reported_regions": ["310000", "210200"],
    "approval_no": "A1",
    "insurance_licence_no": "I1",
    "business_licence_no": "B1",
    "licensed_on": "2020-01-01",
    "effective_from": "2020-01-01",
}
PRODUCT = {"product_code": "p1", "name": "定期寿险", "type": "ordinary", "cooling_off_days": 15, "medical_exam": False}
OTHER_PRODUCT = {**PRODUCT, "product_code": "p2"}
SCRIPT = {
    "sales_mode": "own_centre",
    "product_code": "p1",
    "version": "1",
    "text": "您好",
    "approved_on": "2026-01-01",
    "approved_by": "head office",
}
CAMPAIGN = {
    "name": "autumn",
    "purpose": "sales",
    "product_code": "p1",
    "lead_source": "website",
    "legal_basis": "consent",
    "leads_collected_on": "2026-01-01",
    "leads_expire_on": "2027-01-01",
}
NUMBER = {"phone": "95519", "in_use_from": "2020-01-01"}
INSURER = {"name": "示例人寿", "operating_regions": sorted(MAINLAND_PROVINCES), "telesales_since": "2015-01-01"}
AGENT = {"name": "Agent", "trained_on": "2026-01-01", "certified_from": "2026-01-01", "certified_through": "2026-12-31"}


def added(client: httpx2.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = client.post(f"/v1/{path}", json=body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def refusals(answer: httpx2.Response) -> list[str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return [error["loc"] for error in answer.json().get("errors", [])]


def test_a_new_row_answers_with_all_its_fields_and_dates(client_for: ClientFor) -> None:
    admin = client_for("admin")
    centre = added(admin, "centres", CENTRE)

    agent = added(admin, "agents", {"name": "x", "centre_id": centre["centre_id"]})

    assert agent == {
        "agent_id": agent["agent_id"],
        "name": "x",
        "staff_no": None,
        "centre_id": centre["centre_id"],
        "user_id": None,
        "supervisor_user_id": None,
        "trained_on": None,
        "certified_from": None,
        "certified_through": None,
        "participating_trained_on": None,
        "effective_from": TODAY,
        "effective_through": None,
        "recorded_at": "2026-11-23T12:00:00+08:00",
    }
    assert admin.get(f"/v1/agents/{agent['agent_id']}").json() == agent


@pytest.mark.parametrize(
    ("path", "body", "id_field", "change"),
    [
        pytest.param("centres", CENTRE, "centre_id", {"state": "closed"}, id="centres"),
        pytest.param("caller-numbers", NUMBER, "caller_number_id", {"retired_on": "2027-01-01"}, id="caller numbers"),
        pytest.param("products", OTHER_PRODUCT, "product_code", {"type": "participating"}, id="products"),
        pytest.param("scripts", SCRIPT, "script_id", {"text": "您好!"}, id="scripts"),
        pytest.param("campaigns", CAMPAIGN, "campaign_id", {"legal_basis": None}, id="campaigns"),
    ],
)
def test_a_change_adds_a_version_and_the_earlier_one_stays(
    client_for: ClientFor, path: str, body: dict[str, Any], id_field: str, change: dict[str, Any]
) -> None:
    admin = client_for("admin")
    added(admin, "products", PRODUCT)
    first = added(admin, path, {**body, "effective_from": "2026-01-01"})
    one = f"/v1/{path}/{first[id_field]}"

    second = admin.patch(one, json={**change, "effective_from": "2026-06-01"})

    assert second.status_code == 200
    assert {**second.json(), **change, "effective_from": "2026-06-01"} == second.json()
    assert admin.get(one, params={"on": "2026-05-31"}).json() == first
    assert admin.get(one, params={"on": "2026-06-01"}).json() == second.json()
    assert admin.get(one).json() == second.json()
    assert admin.get(f"{one}/versions").json() == {"items": [second.json(), first]}
    assert admin.get(f"/v1/{path}").json()["items"][0] == second.json()
    assert admin.get(one, params={"on": "2025-12-31"}).status_code == 404


def test_the_insurer_is_there_after_the_first_change(client_for: ClientFor) -> None:
    admin = client_for("admin")
    missing = admin.get("/v1/insurer")

    first = admin.patch("/v1/insurer", json={"name": "x", "effective_from": "2020-01-01"})
    second = admin.patch("/v1/insurer", json={"operating_regions": ["310000"], "major_penalties_on": ["2025-01-01"]})

    assert (missing.status_code, first.status_code, second.status_code) == (404, 200, 200)
    assert (second.json()["name"], second.json()["effective_from"]) == ("x", TODAY)
    assert admin.get("/v1/insurer").json() == second.json()
    assert admin.get("/v1/insurer", params={"on": "2020-01-01"}).json() == first.json()
    assert admin.get("/v1/insurer/versions").json() == {"items": [second.json(), first.json()]}


def test_the_default_day_is_that_of_shanghai(client_for: ClientFor, clock: SettableClock) -> None:
    clock.advance(timedelta(hours=12))

    assert added(client_for("admin"), "centres", {"kind": "agency", "name": "x"})["effective_from"] == "2026-11-24"


@pytest.mark.parametrize(
    ("path", "body", "loc"),
    [
        pytest.param("centres", {**CENTRE, "colour": "red"}, "colour", id="unknown field"),
        pytest.param("centres", {**CENTRE, "sales_regions": ["310115"]}, "sales_regions.0", id="a district"),
        pytest.param("centres", {**CENTRE, "effective_through": "2019-12-31"}, "effective_through", id="ends early"),
        pytest.param("agents", {**AGENT, "centre_id": NOBODY}, "centre_id", id="agent of an unknown centre"),
        pytest.param("campaigns", {**CAMPAIGN, "centre_id": NOBODY}, "centre_id", id="campaign of an unknown centre"),
        pytest.param("caller-numbers", {**NUMBER, "centre_id": NOBODY}, "centre_id", id="number of an unknown centre"),
        pytest.param("caller-numbers", {**NUMBER, "phone": "110"}, "phone", id="emergency number"),
        pytest.param("scripts", SCRIPT, "product_code", id="script of an unknown product"),
        pytest.param("campaigns", CAMPAIGN, "product_code", id="campaign of an unknown product"),
        pytest.param(
            "products",
            {**PRODUCT, "sold_from": "2026-02-01", "sold_through": "2026-01-31"},
            "sold_through",
            id="a product sold until before it is sold",
        ),
    ],
)
def test_what_cannot_be_used_is_named(client_for: ClientFor, path: str, body: dict[str, Any], loc: str) -> None:
    answer = client_for("admin").post(f"/v1/{path}", json=body)

    assert answer.status_code == 422
    assert refusals(answer) == [loc]


@pytest.mark.parametrize(
    ("change", "loc"),
    [
        pytest.param({"colour": "red"}, "colour", id="unknown field"),
        pytest.param({"centre_id": "c2"}, "centre_id", id="the id"),
        pytest.param({"name": None}, "name", id="a name is taken away"),
        pytest.param({"sales_regions": None}, "sales_regions", id="regions are taken away"),
        pytest.param({"effective_through": "2026-11-22"}, "effective_through", id="ends before it begins"),
    ],
)
def test_a_change_that_cannot_be_made_is_named(client_for: ClientFor, change: dict[str, Any], loc: str) -> None:
    admin = client_for("admin")
    centre = added(admin, "centres", CENTRE)

    answer = admin.patch(f"/v1/centres/{centre['centre_id']}", json=change)

    assert answer.status_code == 422
    assert refusals(answer) == [loc]
    assert admin.get(f"/v1/centres/{centre['centre_id']}").json() == centre


@pytest.mark.parametrize(
    ("retired_on", "status"),
    [
        pytest.param("2027-03-01", 422, id="the day of the year's end still has the number"),
        pytest.param("2027-03-02", 201, id="the day after"),
    ],
)
def test_a_number_stays_for_a_full_year(client_for: ClientFor, retired_on: str, status: int) -> None:
    body = {**NUMBER, "in_use_from": "2026-03-01", "retired_on": retired_on}

    assert client_for("admin").post("/v1/caller-numbers", json=body).status_code == status


def test_an_early_retirement_cites_the_article_also_in_a_change(client_for: ClientFor) -> None:
    admin = client_for("admin")
    number = added(admin, "caller-numbers", {**NUMBER, "in_use_from": "2026-03-01"})

    answer = admin.patch(f"/v1/caller-numbers/{number['caller_number_id']}", json={"retired_on": "2027-03-01"})

    assert answer.status_code == 422
    assert [(one["loc"], one["article"]) for one in answer.json()["errors"]] == [("retired_on", "20")]


def test_an_owner_has_one_number(client_for: ClientFor) -> None:
    admin = client_for("admin")
    agency = added(admin, "centres", {"kind": "agency", "name": "x"})["centre_id"]
    added(admin, "caller-numbers", {**NUMBER, "retired_on": "2027-01-01"})
    added(admin, "caller-numbers", {**NUMBER, "phone": "400-800-0000", "centre_id": agency})

    national = admin.post("/v1/caller-numbers", json={"phone": "95518", "in_use_from": "2026-12-31"})
    agencys = admin.post(
        "/v1/caller-numbers", json={"phone": "95518", "in_use_from": "2026-12-31", "centre_id": agency}
    )
    following = admin.post("/v1/caller-numbers", json={"phone": "95518", "in_use_from": "2027-01-01"})

    assert (national.status_code, agencys.status_code, following.status_code) == (409, 409, 201)


def test_numbers_are_stored_in_normal_form(client_for: ClientFor) -> None:
    assert added(client_for("admin"), "caller-numbers", {**NUMBER, "phone": "400-800-0000"})["phone"] == "+864008000000"


def test_a_product_code_is_taken_once(client_for: ClientFor) -> None:
    admin = client_for("admin")
    added(admin, "products", PRODUCT)

    assert admin.post("/v1/products", json=PRODUCT).status_code == 409


def test_a_centre_without_the_words_of_article_8_is_stored_with_a_warning(client_for: ClientFor) -> None:
    admin = client_for("admin")
    centre = added(admin, "centres", {"kind": "own_centre", "name": "示例人寿客服中心"})

    assert [(one["code"], one["article"]) for one in centre["warnings"]] == [("centre_name", "8")]
    assert admin.get(f"/v1/centres/{centre['centre_id']}").json() == centre


def test_a_script_has_the_digest_of_its_text(client_for: ClientFor) -> None:
    admin = client_for("admin")
    added(admin, "products", PRODUCT)

    script = added(admin, "scripts", {**SCRIPT, "text": "abc"})

    assert script["text_sha256"] == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_refusal_names_the_value_that_no_register_has(client_for: ClientFor) -> None:
    answer = client_for("admin").post("/v1/scripts", json=SCRIPT)

    assert "'p1'" in answer.json()["errors"][0]["msg"]


def test_a_repeated_post_with_its_key_adds_one_row(client_for: ClientFor) -> None:
    admin, key = client_for("admin"), {"Idempotency-Key": "k1"}

    first = admin.post("/v1/centres", json=CENTRE, headers=key)
    again = admin.post("/v1/centres", json=CENTRE, headers=key)
    other = admin.post("/v1/centres", json={**CENTRE, "name": "x"}, headers=key)

    assert (first.status_code, again.status_code, other.status_code) == (201, 201, 409)
    assert again.json() == first.json()
    assert again.headers["Idempotency-Replayed"] == "true"
    assert len(admin.get("/v1/centres").json()["items"]) == 1


def test_lists_come_in_pages_newest_first(client_for: ClientFor) -> None:
    admin = client_for("admin")
    names = [added(admin, "centres", {"kind": "agency", "name": name})["name"] for name in "abc"]

    first = admin.get("/v1/centres", params={"limit": 2}).json()
    second = admin.get("/v1/centres", params={"limit": 2, "cursor": first["next_cursor"]}).json()

    assert [row["name"] for row in first["items"] + second["items"]] == names[::-1]
    assert second["next_cursor"] is None
    elsewhere = admin.get("/v1/scripts", params={"cursor": first["next_cursor"]})
    assert (elsewhere.status_code, refusals(elsewhere)) == (422, ["cursor"])


PATHS = ("insurer", "centres", "agents", "caller-numbers", "products", "scripts", "campaigns")


@pytest.mark.parametrize("role", ["dialer", "inspector", "officer", "auditor"])
def test_everybody_reads_and_only_the_admin_writes(client_for: ClientFor, role: str) -> None:
    client_for("admin").patch("/v1/insurer", json={"name": "x"})
    client = client_for(role)

    reading = {path: client.get(f"/v1/{path}").status_code for path in PATHS}
    adding = {path: client.post(f"/v1/{path}", json={}).status_code for path in PATHS[1:]}
    changing = {path: client.patch(f"/v1/{path}/{NOBODY}", json={}).status_code for path in PATHS[1:]}

    assert reading == dict.fromkeys(PATHS, 200)
    assert adding == changing == dict.fromkeys(PATHS[1:], 403)
    assert client.patch("/v1/insurer", json={}).status_code == 403


@pytest.mark.parametrize("path", PATHS[1:])
def test_unknown_rows_are_404_and_nothing_can_be_deleted(client_for: ClientFor, path: str) -> None:
    admin = client_for("admin")
    one = f"/v1/{path}/{NOBODY}"

    assert [admin.get(one).status_code, admin.get(f"{one}/versions").status_code] == [404, 404]
    assert admin.patch(one, json={}).status_code == 404
    assert admin.delete(one).status_code == 405


@pytest.mark.parametrize("on", ["yesterday", "2026-02-30", "0001-01-01", "2026-11-23T00:00:00+08:00"])
def test_a_day_that_is_none_is_refused(client_for: ClientFor, on: str) -> None:
    assert client_for("dialer").get(f"/v1/centres/{NOBODY}", params={"on": on}).status_code == 422


@pytest.fixture
def call(client_for: ClientFor) -> dict[str, str]:
    """A call that is allowed, made of registers entered over HTTP."""
    admin = client_for("admin")
    admin.patch("/v1/insurer", json={**INSURER, "effective_from": "2020-01-01"})
    since = {"effective_from": "2026-01-01"}
    centre_id = added(admin, "centres", CENTRE)["centre_id"]
    added(admin, "products", {**PRODUCT, **since})
    added(admin, "scripts", {**SCRIPT, **since})
    added(admin, "caller-numbers", {**NUMBER, **since})
    return {
        "callee": "13800138000",
        "caller_number": "95519",
        "centre_id": centre_id,
        "agent_id": added(admin, "agents", {**AGENT, "centre_id": centre_id, **since})["agent_id"],
        "campaign_id": added(admin, "campaigns", {**CAMPAIGN, "centre_id": centre_id, **since})["campaign_id"],
        "product_code": "p1",
    }


def codes(client: httpx2.Client, call: dict[str, str]) -> list[str]:
    answer = client.post("/v1/call-checks", json=call)
    assert answer.status_code == 200, answer.text
    return [reason["code"] for reason in answer.json()["reasons"]]


@pytest.mark.parametrize(
    ("path", "change", "code"),
    [
        pytest.param("centres/{centre_id}", {"state": "closed"}, "centre_not_open", id="centre closed"),
        pytest.param("centres/{centre_id}", {"sales_regions": ["540000"]}, "outside_sales_region", id="other regions"),
        pytest.param("agents/{agent_id}", {"certified_through": "2026-11-22"}, "agent_not_qualified", id="agent"),
        pytest.param("products/{product_code}", {"type": "universal"}, "product_not_permitted", id="product"),
        pytest.param("campaigns/{campaign_id}", {"legal_basis": None}, "no_lead_provenance", id="campaign"),
        pytest.param("insurer", {"operating_regions": ["540000"]}, "outside_sales_region", id="insurer"),
    ],
)
def test_the_next_decision_sees_a_change(
    client_for: ClientFor, call: dict[str, str], path: str, change: dict[str, Any], code: str
) -> None:
    dialer = client_for("dialer")
    before = codes(dialer, call)

    changed = client_for("admin").patch(f"/v1/{path.format(**call)}", json=change)

    assert (before, changed.status_code) == ([], 200)
    assert codes(dialer, call) == [code]


def test_a_change_from_tomorrow_on_leaves_today_as_it_is(
    client_for: ClientFor, call: dict[str, str], clock: SettableClock
) -> None:
    change = {"state": "closed", "effective_from": "2026-11-24"}
    client_for("admin").patch(f"/v1/centres/{call['centre_id']}", json=change)
    dialer = client_for("dialer")

    today = codes(dialer, call)
    clock.advance(timedelta(days=1))

    assert (today, codes(dialer, call)) == ([], ["centre_not_open"])


def test_who_wrote_a_version_is_kept(client_for: ClientFor, engine: Engine) -> None:
    added(client_for("admin", owner="zhang"), "centres", CENTRE)

    with engine.connect() as connection:
        assert list(connection.scalars(text("SELECT actor FROM register_versions"))) == ["zhang"]
