"""The outermost layer: who is let in, what a request is called, what is measured, and how everything is refused."""

import re
from collections.abc import MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Engine, select, text, update
from starlette.testclient import TestClient

from compliance.tables import call_checks
from services.edge import UPLOAD_PATHS
from services.tables import access_tokens
from tests.conftest import ClientFor
from tests.gate_facts import CALL
from tests.services.shared_app import SharedApp, published_document
from tests.unguarded import unguarded

PROBLEM = "application/problem+json"
UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


@pytest.fixture
def dialer(shared: SharedApp) -> TestClient:
    return shared.client("dialer")


@pytest.mark.parametrize(
    "header",
    [
        pytest.param("", id="empty"),
        pytest.param("Bearer", id="no token"),
        pytest.param("Bearer ", id="blank token"),
        pytest.param("Bearer tsl_wrong", id="unknown token"),
        pytest.param("Basic {token}", id="another scheme"),
        pytest.param("{token}", id="no scheme"),
        pytest.param("Bearer {token}x", id="one letter more"),
        pytest.param("Bearer x{token}", id="one letter before"),
        pytest.param("Bearer {token} {token}", id="twice"),
        pytest.param("Bearer \xff\xfe", id="no ASCII"),
    ],
)
def test_all_but_a_live_bearer_token_are_401(shared: SharedApp, header: str) -> None:
    value = header.format(token=shared.tokens["dialer"]).encode("latin-1")

    response = shared.client().get("/v1/centres", headers={b"Authorization": value})

    assert response.status_code == 401
    assert response.headers["content-type"] == PROBLEM
    assert response.headers["www-authenticate"] == "Bearer"
    assert response.json()["type"] == "urn:telesales:problem:unauthorized"


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_is_read_in_any_case(shared: SharedApp, scheme: str) -> None:
    header = {"Authorization": f"{scheme} {shared.tokens['dialer']}"}

    assert shared.client().get("/v1/centres", headers=header).status_code == 200


def test_a_token_in_the_address_is_no_token(shared: SharedApp) -> None:
    token = shared.tokens["dialer"]

    assert shared.client().get(f"/v1/centres?token={token}&access_token={token}").status_code == 401


@pytest.mark.parametrize("content", [b"{", b"\xff", b" " * 1_000_000, b'{"callee": 1}'])
def test_who_has_no_token_learns_nothing_about_the_body(shared: SharedApp, content: bytes) -> None:
    response = shared.client().post("/v1/call-checks", content=content)

    assert response.status_code == 401
    assert "errors" not in response.json()


def test_the_body_of_a_stranger_is_not_read(shared: SharedApp) -> None:
    response = shared.client().post("/v1/call-checks/batch", content=b" " * 30 * 1024 * 1024)

    assert response.status_code == 401  # not 413: what it holds is nobody's business yet


def test_an_unknown_path_is_404_and_a_wrong_method_405_as_problems(dialer: TestClient) -> None:
    unknown, wrong = dialer.get("/v1/nothing"), dialer.delete("/v1/call-checks")

    assert (unknown.status_code, wrong.status_code) == (404, 405)
    for response in (unknown, wrong):
        assert response.headers["content-type"] == PROBLEM
        assert set(response.json()) == {"type", "title", "status", "detail"}
        assert response.json()["status"] == response.status_code


def test_an_unknown_path_and_a_wrong_method_say_what_to_do(dialer: TestClient) -> None:
    unknown, wrong = dialer.get("/v1/nothing"), dialer.delete("/v1/call-checks")

    assert unknown.json()["detail"] == "There is no such path. /docs lists all operations; no path ends in a slash."
    assert wrong.json()["detail"] == "This path does not take DELETE, but POST."


def test_what_is_no_json_and_a_misspelt_field_are_told_in_words(dialer: TestClient) -> None:
    broken = dialer.post("/v1/call-checks", content=b"{callee}", headers={"Content-Type": "application/json"})
    misspelt = dialer.post("/v1/call-checks", json={"callee": "13800138000", "agent": "x"})

    assert broken.json()["errors"][0]["loc"] == "body"
    assert misspelt.json()["errors"] == [{"loc": "agent", "msg": "is no field here; correct its name or leave it out"}]


def test_a_405_lists_every_method_of_the_resource(shared: SharedApp) -> None:
    response = shared.client("officer").delete("/v1/do-not-call")

    assert set(response.headers["allow"].replace(" ", "").split(",")) >= {"GET", "POST"}


@pytest.mark.parametrize("given", ["abc", "A.b_c-9", "x" * 64])
def test_a_request_keeps_the_id_it_came_with(dialer: TestClient, given: str) -> None:
    response = dialer.get("/v1/centres", headers={"X-Request-Id": given})

    assert response.headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "a\tb", "<script>", "a,b"])
def test_an_id_of_another_form_is_replaced(dialer: TestClient, given: str) -> None:
    response = dialer.get("/v1/centres", headers={"X-Request-Id": given})

    assert UUID7.fullmatch(response.headers["x-request-id"])


@pytest.mark.parametrize(
    ("path", "status"), [("/healthz", 200), ("/v1/nothing", 404), ("/v1/call-checks", 405), ("/v1/call-checks/x", 422)]
)
def test_every_answer_has_one_request_id(dialer: TestClient, path: str, status: int) -> None:
    response = dialer.get(path)

    assert len(response.headers.get_list("x-request-id")) == 1
    assert response.status_code == status


def test_a_refusal_before_the_application_has_a_request_id_too(shared: SharedApp) -> None:
    assert UUID7.fullmatch(shared.client().get("/v1/centres").headers["x-request-id"])


@pytest.mark.parametrize("length", ["20971521", "99999999999999999999"])
def test_a_body_announced_as_too_large_is_413_unread(dialer: TestClient, length: str) -> None:
    response = dialer.post("/v1/call-checks", content=b"{}", headers={"Content-Length": length})

    assert response.status_code == 413
    assert response.headers["content-type"] == PROBLEM


def test_twenty_megabytes_exactly_are_read(dialer: TestClient) -> None:
    limit = 20 * 1024 * 1024

    assert dialer.post("/v1/call-checks/batch", content=b" " * limit).status_code == 422


@pytest.mark.parametrize(
    "content_type", ["multipart/form-data; boundary=x", "Multipart/Form-Data; boundary=x", "text/plain"]
)
def test_the_limit_of_json_cannot_be_dodged_by_calling_it_a_file(shared: SharedApp, content_type: str) -> None:
    big = b'{"checks":[' + b" " * (20 * 1024 * 1024) + b"]}"

    response = shared.client("dialer").post(
        "/v1/call-checks/batch", content=big, headers={"Content-Type": content_type}
    )

    assert response.status_code == 413
    assert response.headers["content-type"] == PROBLEM


def test_the_paths_without_that_limit_are_those_that_take_files() -> None:
    takes_file = {
        path
        for path, operations in published_document()["paths"].items()
        for operation in operations.values()
        if "multipart/form-data" in operation.get("requestBody", {}).get("content", {})
    }

    assert takes_file == UPLOAD_PATHS


def test_an_address_with_a_slash_too_many_is_404_and_never_a_redirect(dialer: TestClient) -> None:
    response = dialer.get("/v1/centres/", follow_redirects=False)

    assert response.status_code == 404
    assert response.headers["content-type"] == PROBLEM


def metrics(client: TestClient) -> dict[str, float]:
    lines = [line for line in client.get("/metrics").text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_requests_are_counted_by_method_route_and_status(dialer: TestClient) -> None:
    name = 'telesales_http_requests_total{method="GET",route="/v1/centres/{centre_id}",status="404"}'
    before = metrics(dialer).get(name, 0)

    dialer.get("/v1/centres/no-such-centre-13800138000")

    found = metrics(dialer)
    assert found[name] == before + 1
    assert 'telesales_http_request_seconds_count{route="/v1/centres/{centre_id}"}' in found


def test_metrics_name_nobody_and_no_path_that_was_asked_for(shared: SharedApp, dialer: TestClient) -> None:
    dialer.get("/v1/made-up-13800138000")
    dialer.get("/v1/customers/13800138000?phone=13800138000")
    shared.client().get("/v1/made-up-13900139000")

    labels = set(re.findall(r'"([^"]*)"', dialer.get("/metrics").text))

    assert [label for label in labels if "made-up" in label or re.search(r"\d{11}", label)] == []
    assert {"unmatched", "/v1/customers/{customer_id}"} <= labels


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "TRACE"])
def test_every_method_on_every_open_path_has_an_answer(shared: SharedApp, method: str) -> None:
    for path in ("/healthz", "/readyz", "/openapi.json", "/docs"):
        assert shared.client().request(method, path).status_code in {200, 405}


def test_a_revoked_token_ends_for_every_endpoint_at_once(client_for: ClientFor, engine: Engine) -> None:
    client = client_for("officer")
    before = [client.get(path).status_code for path in ("/v1/centres", "/metrics")]
    with engine.begin() as connection:
        connection.execute(update(access_tokens).values(revoked_at=access_tokens.c.created_at))

    after = [client.get(path).status_code for path in ("/v1/centres", "/metrics")]

    assert (before, after) == ([200, 200], [401, 401])


def test_a_revoked_token_ends_for_checks_with_and_without_a_key(client_for: ClientFor, engine: Engine) -> None:
    dialer = client_for("dialer")
    before = dialer.post("/v1/call-checks", json=CALL).status_code
    with engine.begin() as connection:
        connection.execute(update(access_tokens).values(revoked_at=access_tokens.c.created_at))

    keyed = dialer.post("/v1/call-checks", json=CALL, headers={"Idempotency-Key": "after"})
    alone = dialer.post("/v1/call-checks", json=CALL)

    assert (before, keyed.status_code, alone.status_code) == (200, 401, 401)


QUERIES = [
    pytest.param("GET", "/v1/calls?form=2026-11-23", ["form"], "from, to, agent_id, limit, cursor", id="misspelt"),
    pytest.param("GET", "/v1/do-not-call?Phone=13800138000", ["Phone"], "phone", id="another case"),
    pytest.param("GET", "/v1/calls?limit=1&limit=2", ["limit"], "more than once", id="twice"),
    pytest.param("GET", "/v1/calls?x=1&limit=1&y=2&x=3", ["x", "y"], "limit", id="several"),
    pytest.param("GET", "/v1/calls?13800138000", ["query"], "limit", id="no name"),
    pytest.param("GET", "/v1/centres?state=open", ["state"], "limit, cursor", id="register"),
    pytest.param("POST", "/v1/call-checks?at=x", ["at"], "there are none", id="check"),
    pytest.param("POST", "/v1/call-checks/simulate?at=x", ["at"], "there are none", id="simulation"),
    pytest.param("POST", "/v1/scrubs?purpose=sales", ["purpose"], "there are none", id="upload"),
]


@pytest.mark.parametrize(("method", "url", "names", "known"), QUERIES)
def test_query_parameters_that_are_not_known_are_named_with_those_that_are(
    shared: SharedApp, method: str, url: str, names: list[str], known: str
) -> None:
    response = shared.client("dialer").request(method, url, json=CALL if method == "POST" else None)

    assert response.status_code == 422
    assert response.headers["content-type"] == PROBLEM
    assert [one["loc"] for one in response.json()["errors"]] == names
    assert known in response.json()["errors"][0]["msg"]
    assert "13800138000" not in response.text


def test_a_keyed_check_takes_no_query_either(dialer: TestClient) -> None:
    response = dialer.post("/v1/call-checks?at=x", json=CALL, headers={"Idempotency-Key": "query"})

    assert (response.status_code, response.json()["errors"][0]["loc"]) == (422, "at")


@pytest.mark.parametrize(
    ("method", "url", "loc"),
    [
        pytest.param("PUT", "/v1/customers/%BF%CD%BB%A7%31", "path", id="an id in GB18030"),
        pytest.param("GET", "/v1/sales/%ED%A0%80", "path", id="half a character of UTF-16"),
        pytest.param("GET", "/v1/do-not-call?customer_id=%BF%CD%BB%A7%31", "query", id="a query in GB18030"),
    ],
)
def test_an_address_that_is_not_utf_8_is_refused_and_never_read_as_another(
    shared: SharedApp, method: str, url: str, loc: str
) -> None:
    role = "admin" if method == "PUT" else "officer"
    response = shared.client(role).request(method, url, json={"phones": ["13800138000"]} if method == "PUT" else None)

    assert (response.status_code, response.headers["content-type"]) == (422, PROBLEM)
    assert response.json()["errors"] == [
        {"loc": loc, "msg": "must be percent-encoded UTF-8; encode the characters as UTF-8 first"}
    ]


def test_an_address_in_utf_8_is_read_as_it_was_meant(shared: SharedApp) -> None:
    response = shared.client("admin").put("/v1/customers/%E5%AE%A2%E6%88%B71", json={"phones": ["13800138000"]})

    assert (response.status_code, response.json()["customer_id"]) == (201, "客户1")


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/docs", "/openapi.json"])
def test_who_asks_whether_it_lives_may_add_what_it_likes(shared: SharedApp, path: str) -> None:
    assert shared.client().get(f"{path}?probe=1").status_code == 200


def test_the_use_of_a_token_is_noted(shared: SharedApp, dialer: TestClient) -> None:
    dialer.get("/v1/centres")

    with shared.engine.connect() as connection:
        used = connection.execute(select(access_tokens.c.last_used_at).where(access_tokens.c.role == "dialer"))
        assert used.scalar_one() is not None


def test_a_fault_of_ours_is_a_problem_with_a_request_id(client_for: ClientFor, engine: Engine) -> None:
    dialer = client_for("dialer")
    check_id = dialer.post("/v1/call-checks", json=CALL).json()["check_id"]
    with engine.begin() as connection, unguarded(connection):
        # A row that nothing of ours writes: what reads it cannot know what to do.
        connection.execute(update(call_checks).values(reasons=text("'[17]'::jsonb"), callee_facts=text("'[]'::jsonb")))

    response = dialer.get(f"/v1/call-checks/{check_id}")

    assert response.status_code >= 400
    assert response.headers["content-type"] == PROBLEM
    assert "x-request-id" in response.headers


@pytest.mark.parametrize(
    "key", [pytest.param([], id="queue"), pytest.param([(b"idempotency-key", b"gone")], id="keyed")]
)
def test_who_goes_away_before_the_body_is_whole_is_no_fault(
    shared: SharedApp, dialer: TestClient, key: list[tuple[bytes, bytes]]
) -> None:
    sent: list[object] = []
    coming: list[MutableMapping[str, Any]] = [
        {"type": "http.disconnect"},
        {"type": "http.request", "body": b"{", "more_body": True},
    ]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/call-checks",
        "query_string": b"",
        "headers": [(b"authorization", f"Bearer {shared.tokens['dialer']}".encode()), *key],
    }
    name = 'telesales_http_requests_total{method="POST",route="/v1/call-checks",status="499"}'
    before = metrics(dialer).get(name, 0)

    async def ask() -> None:
        async def receive() -> MutableMapping[str, Any]:
            return coming.pop()

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        await shared.app(scope, receive, send)

    assert shared.running.portal is not None
    shared.running.portal.call(ask)

    assert sent == []
    assert metrics(dialer)[name] == before + 1


def test_many_requests_at_once_are_all_answered(shared: SharedApp) -> None:
    # More than the connections of the pool and the threads together: none may wait for one another for ever.
    client = shared.client("officer")

    with ThreadPoolExecutor(90) as pool:
        found = list(pool.map(lambda _: client.get("/v1/centres").status_code, range(270)))

    assert set(found) == {200}


def test_many_keyed_checks_at_once_are_all_answered(shared: SharedApp) -> None:
    client = shared.client("dialer")

    with ThreadPoolExecutor(90) as pool:
        found = list(
            pool.map(
                lambda place: (
                    client.post("/v1/call-checks", json=CALL, headers={"Idempotency-Key": f"many-{place}"}).status_code
                ),
                range(270),
            )
        )

    assert set(found) == {200}
