"""Customers over HTTP: put whole, masked for all but officers, one person to the gate."""

from collections.abc import Callable
from typing import Any

import httpx2
import pytest

ClientFor = Callable[..., httpx2.Client]

CUSTOMER = {
    "phones": ["138 0013 8000", "+86 139-0013-9000", "13800138000"],
    "region": "310115",
    "region_verified_on": "2026-01-01",
    "birth_date": "1980-01-01",
    "segments": ["age_60_plus"],
    "policy_nos": ["P1"],
}


def test_a_customer_is_put_whole(client_for: ClientFor) -> None:
    admin = client_for("admin")

    first = admin.put("/v1/customers/k1", json=CUSTOMER)
    again = admin.put("/v1/customers/k1", json=CUSTOMER)
    emptied = admin.put("/v1/customers/k1", json={"phones": ["13800138000"]})

    assert (first.status_code, again.status_code, emptied.status_code) == (201, 200, 200)
    assert first.json() == {
        **CUSTOMER,
        "phones": ["138****8000", "139****9000"],
        "customer_id": "k1",
        "effective_from": "2026-11-23",
        "effective_through": None,
        "recorded_at": "2026-11-23T12:00:00+08:00",
    }
    assert again.json() == first.json()
    assert (emptied.json()["region"], emptied.json()["policy_nos"]) == (None, [])
    assert len(admin.get("/v1/customers/k1/versions").json()["items"]) == 2


@pytest.mark.parametrize(
    ("role", "phone"),
    [
        ("officer", "+8613800138000"),
        ("admin", "138****8000"),
        ("dialer", "138****8000"),
        ("inspector", "138****8000"),
        ("auditor", "138****8000"),
    ],
)
def test_only_officers_see_numbers(client_for: ClientFor, role: str, phone: str) -> None:
    client_for("admin").put("/v1/customers/k1", json={"phones": ["13800138000"]})
    client = client_for(role)

    shown = client.get("/v1/customers/k1").json()
    listed = client.get("/v1/customers", params={"phone": "138-0013-8000"}).json()["items"]
    versions = client.get("/v1/customers/k1/versions").json()["items"]

    assert shown["phones"] == [phone]
    assert listed == versions == [shown]


@pytest.mark.parametrize("role", ["dialer", "inspector", "officer", "auditor"])
def test_only_the_admin_writes(client_for: ClientFor, role: str) -> None:
    assert client_for(role).put("/v1/customers/k1", json=CUSTOMER).status_code == 403


@pytest.mark.parametrize(
    ("body", "loc"),
    [
        pytest.param({"phones": ["13800138000", "110"]}, "phones.1", id="no number of a person"),
        pytest.param({"phones": ["13800138000"] * 101}, "phones", id="too many numbers"),
        pytest.param({"region": "999999"}, "region", id="no place"),
        pytest.param({"name": "x"}, "name", id="unknown field"),
        pytest.param({"birth_date": "1980-13-01"}, "birth_date", id="no date"),
        pytest.param({"phones": None}, "phones", id="no list"),
        pytest.param({"effective_through": "2026-11-22"}, "effective_through", id="ends before it begins"),
    ],
)
def test_what_cannot_be_used_is_named_and_never_repeated(client_for: ClientFor, body: dict[str, Any], loc: str) -> None:
    answer = client_for("admin").put("/v1/customers/k1", json=body)

    assert answer.status_code == 422
    assert [error["loc"] for error in answer.json()["errors"]] == [loc]
    assert "13800138000" not in answer.text


@pytest.mark.parametrize("customer_id", ["a%00b", "x" * 101])
def test_an_id_that_cannot_be_stored_is_refused(client_for: ClientFor, customer_id: str) -> None:
    assert client_for("admin").put(f"/v1/customers/{customer_id}", json={}).status_code == 422


def test_a_customer_of_a_day(client_for: ClientFor) -> None:
    admin = client_for("admin")
    admin.put("/v1/customers/k1", json={"policy_nos": ["P1"], "effective_from": "2026-01-01"})
    admin.put("/v1/customers/k1", json={"policy_nos": ["P2"], "effective_from": "2026-06-01"})

    days = ["2026-05-31", "2026-06-01"]
    shown = [admin.get("/v1/customers/k1", params={"on": day}).json()["policy_nos"] for day in days]

    assert shown == [["P1"], ["P2"]]
    assert admin.get("/v1/customers/k1", params={"on": "2025-12-31"}).status_code == 404
    assert admin.get("/v1/customers/k2").status_code == 404


def test_lists_come_in_pages_newest_first(client_for: ClientFor) -> None:
    admin = client_for("admin")
    put = [admin.put(f"/v1/customers/{name}", json={}).json()["customer_id"] for name in "abc"]

    first = admin.get("/v1/customers", params={"limit": 2}).json()
    second = admin.get("/v1/customers", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    of_another_query = admin.get("/v1/customers", params={"phone": "13800138000", "cursor": first["next_cursor"]})

    assert [row["customer_id"] for row in first["items"] + second["items"]] == put[::-1]
    assert of_another_query.status_code == 422


def test_the_gate_knows_all_numbers_of_a_customer(client_for: ClientFor) -> None:
    client_for("admin").put("/v1/customers/k1", json={"phones": ["13800138000"], "region": "650000"})
    dialer = client_for("dialer")

    named = dialer.post("/v1/call-checks", json={"callee": "13800138000", "customer_id": "k1"}).json()
    by_number = dialer.post("/v1/call-checks", json={"callee": "13800138000"}).json()

    assert (named["region"], by_number["region"]) == ("650000", "650000")
