"""Pages and cursors: every item once, in order; a cursor of another query, or of nobody, is refused."""

import base64
import json
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from infra.embedded_postgres import EmbeddedPostgres
from services.paging import make_cursor, page, read_cursor
from services.problems import InputError
from tests.recordings.audio_files import tone_file
from tests.sale_bodies import SALE
from tests.services.shared_app import SharedApp, published_document, shared_app

QUERY = {"register": "centres", "state": None}


@given(st.dictionaries(st.text(), st.none() | st.integers() | st.text()), st.text())
def test_a_cursor_leads_back_to_its_item(query: dict[str, object], last: str) -> None:
    assert read_cursor(query, make_cursor(query, last)) == last


def test_the_first_page_has_no_cursor() -> None:
    assert read_cursor(QUERY, None) is None


def test_the_order_in_which_a_query_is_written_does_not_matter() -> None:
    assert read_cursor(dict(reversed(QUERY.items())), make_cursor(QUERY, "x")) == "x"


@given(
    st.dictionaries(st.text(), st.none() | st.text(), max_size=3),
    st.dictionaries(st.text(), st.none() | st.text(), max_size=3),
)
def test_a_cursor_of_another_query_is_refused(one: dict[str, object], other: dict[str, object]) -> None:
    cursor = make_cursor(one, "x")

    if one == other:
        assert read_cursor(other, cursor) == "x"
    else:
        with pytest.raises(InputError, match="another query"):
            read_cursor(other, cursor)


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


@pytest.mark.parametrize(
    "cursor",
    [
        pytest.param("", id="empty"),
        pytest.param("=", id="padding only"),
        pytest.param("abc", id="cut"),
        pytest.param("____", id="no JSON"),
        pytest.param(base64.urlsafe_b64encode(b"\xff\xfe").decode(), id="not UTF-8"),
        pytest.param(encoded("x"), id="a string"),
        pytest.param(encoded(["x"]), id="too few"),
        pytest.param(encoded(["x", "y", "z"]), id="too many"),
        pytest.param(encoded(["x", 1]), id="a number"),
        pytest.param(encoded([None, None]), id="nothing"),
        pytest.param(base64.urlsafe_b64encode(b'["\\ud800","x"]').decode(), id="half a pair"),
    ],
)
def test_a_broken_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(InputError, match=r"^cursor: "):
        read_cursor(QUERY, cursor)


@pytest.mark.parametrize(
    ("read", "limit", "shown", "more"), [(0, 1, 0, False), (1, 1, 1, False), (2, 1, 1, True), (3, 3, 3, False)]
)
def test_a_page_has_a_next_one_only_when_one_more_was_read(read: int, limit: int, shown: int, more: bool) -> None:
    items = list(range(read))

    found = page(items, limit=limit, query=QUERY, names=[str(one) for one in items])

    assert found["items"] == items[:shown]
    assert (found["next_cursor"] is not None) == more


def test_the_next_page_begins_after_the_last_item_shown() -> None:
    cursor = page(["a", "b", "c"], limit=2, query=QUERY, names=["1", "2", "3"])["next_cursor"]

    assert isinstance(cursor, str)
    assert read_cursor(QUERY, cursor) == "2"


def _agent(client: TestClient, number: int) -> None:
    body = {"name": f"示例{number}", "staff_no": f"S{number}", "centre_id": "centre-1"}
    client.post("/v1/agents", json=body).raise_for_status()


def _customer(client: TestClient, number: int) -> None:
    client.put(f"/v1/customers/page-{number}", json={"phones": []}).raise_for_status()


def _entry(client: TestClient, number: int) -> None:
    client.post("/v1/do-not-call", json={"phone": f"1380013{number:04}", "source": "counter"}).raise_for_status()


def _overlay(client: TestClient, number: int) -> None:
    body = {
        "name": f"closure {number}",
        "kind": "emergency",
        "regions": ["110000"],
        "from": "2027-01-01T00:00:00+08:00",
        "to": "2027-01-02T00:00:00+08:00",
        "reason": "flood",
    }
    client.post("/v1/overlays", json=body).raise_for_status()


def _request(client: TestClient, number: int) -> None:
    policy = f"[do_not_call]\nblock_months = {number + 7}\n"
    client.post("/v1/policy", json={"policy": policy, "reason": "tighter"}).raise_for_status()


def _call(client: TestClient, number: int) -> None:
    body = {
        "call_id": f"call-{number}",
        "direction": "outbound",
        "caller": "4008123123",
        "callee": f"1380014{number:04}",
        "started_at": f"2026-11-23T10:00:0{number}+08:00",
        "ended_at": "2026-11-23T10:01:00+08:00",
        "outcome": "other",
    }
    client.post("/v1/calls", json=body).raise_for_status()


def _sale(client: TestClient, number: int) -> None:
    client.post("/v1/sales", json={**SALE, "policy_no": f"P-{number}"}).raise_for_status()


def _recording(client: TestClient, number: int) -> None:
    said = {
        "call_id": f"recorded-{number}",
        "started_at": f"2026-11-20T10:00:0{number}+08:00",
        "channels": ["mixed"],
    }
    files = {"file": tone_file(seconds=0.5 + number / 10)}
    client.post("/v1/recordings", data={"metadata": json.dumps(said)}, files=files).raise_for_status()


def _draw(client: TestClient, number: int) -> None:
    sale = {**SALE, "policy_no": f"D-{number}", "consented_at": f"2026-10-0{number + 1}T10:00:00+08:00"}
    client.post("/v1/sales", json=sale).raise_for_status()
    stratum = {"sales_mode": "own_centre", "centre_id": "centre-1", "class": "over_1y"}
    day = f"2026-10-0{number + 1}"
    client.post("/v1/draws", json={"stratum": stratum, "from": day, "to": day}).raise_for_status()


Write = Callable[[TestClient, int], None]
LISTS: dict[str, tuple[str, str, Write]] = {
    "/v1/agents": ("admin", "staff_no", _agent),
    "/v1/customers": ("admin", "customer_id", _customer),
    "/v1/do-not-call": ("officer", "phone", _entry),
    "/v1/overlays": ("officer", "name", _overlay),
    "/v1/approvals": ("officer", "request_id", _request),
    "/v1/calls": ("dialer", "call_id", _call),
    "/v1/draws": ("officer", "draw_id", _draw),
    "/v1/sales": ("officer", "policy_no", _sale),
    "/v1/recordings": ("dialer", "call_id", _recording),
    "/v1/incidents": ("officer", "incident_id", lambda _client, _number: None),
}
"""Per list: who writes its items, a field that tells them apart, and how one is written. Calls make incidents."""


@pytest.fixture(scope="module")
def shared(server: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedApp]:
    with shared_app(server, template, tmp_path_factory.mktemp("data")) as running:
        for role, _field, write in LISTS.values():
            client = running.client(role)
            for number in range(5):
                write(client, number)
        yield running


def pages(client: TestClient, path: str, limit: int) -> Iterator[list[dict[str, object]]]:
    cursor: str | None = None
    for _ in range(100):
        query = {"limit": str(limit)} | ({"cursor": cursor} if cursor else {})
        answer = client.get(path, params=query).raise_for_status().json()
        assert set(answer) == {"items", "next_cursor"}
        yield answer["items"]
        cursor = answer["next_cursor"]
        if cursor is None:
            return


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("limit", [1, 2, 4, 5, 6])
def test_walking_by_pages_shows_every_item_once_in_the_same_order(shared: SharedApp, path: str, limit: int) -> None:
    client = shared.client("officer")
    whole = client.get(path, params={"limit": 1000}).json()["items"]

    found = [item for items in pages(client, path, limit) for item in items]

    assert len(whole) >= 5
    assert found == whole


@pytest.mark.parametrize("path", [path for path in LISTS if path != "/v1/incidents"])
def test_items_come_newest_first(shared: SharedApp, path: str) -> None:
    field = LISTS[path][1]
    items = shared.client("officer").get(path).json()["items"]

    written = [item[field] for item in items if field != "staff_no" or item.get("staff_no")]
    assert written == sorted(written, reverse=True)


def test_every_list_of_the_document_is_walked_here() -> None:
    with_cursor = {
        path
        for path, operations in published_document()["paths"].items()
        if any(one["name"] == "cursor" for one in operations.get("get", {}).get("parameters", []))
    }
    registers = {f"/v1/{name}" for name in ("centres", "caller-numbers", "products", "scripts", "campaigns")}

    in_another_order = {"/v1/ledger/entries", "/v1/disposals/due"}
    of_one_recording = {"/v1/recordings/{recording_id}/accesses"}
    assert with_cursor - registers - in_another_order - of_one_recording == set(LISTS)


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(
    "name",
    ["", "x", "-1", "0x10", "１", "9" * 15, "9" * 19, "9" * 30, "01a20951-105f-70d7-b2ae", "\x00", "2026-11-23"],
)
def test_a_forged_place_in_a_real_cursor_is_no_server_error(shared: SharedApp, path: str, name: str) -> None:
    client = shared.client("officer")
    real = client.get(path, params={"limit": 1}).json()["next_cursor"]
    digest, _last = json.loads(base64.urlsafe_b64decode(real))

    response = client.get(path, params={"limit": 1, "cursor": encoded([digest, name])})

    assert response.status_code in {200, 422}


@pytest.mark.parametrize("path", LISTS)
def test_a_cursor_of_another_list_is_422(shared: SharedApp, path: str) -> None:
    client = shared.client("officer")
    other = "/v1/overlays" if path != "/v1/overlays" else "/v1/agents"
    cursor = client.get(other, params={"limit": 1}).json()["next_cursor"]

    response = client.get(path, params={"cursor": cursor})

    assert response.status_code == 422
    assert [one["loc"] for one in response.json()["errors"]] == ["cursor"]


def test_a_cursor_of_another_filter_is_422(shared: SharedApp) -> None:
    client = shared.client("officer")
    cursor = client.get("/v1/approvals", params={"limit": 1, "state": "open"}).json()["next_cursor"]

    assert client.get("/v1/approvals", params={"cursor": cursor, "state": "open"}).status_code == 200
    assert client.get("/v1/approvals", params={"cursor": cursor, "state": "approved"}).status_code == 422
    assert client.get("/v1/approvals", params={"cursor": cursor}).status_code == 422


@pytest.mark.parametrize("limit", ["0", "-1", "1001", "x", "1.5", "", "1" * 30])
@pytest.mark.parametrize("path", LISTS)
def test_a_limit_below_1_or_above_1000_is_422(shared: SharedApp, path: str, limit: str) -> None:
    assert shared.client("officer").get(path, params={"limit": limit}).status_code == 422
