"""JSON bodies over HTTP: what two readers could read differently is refused, and each refusal says what is wrong."""

import json
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from infra.embedded_postgres import EmbeddedPostgres
from services.json_body import MOST_NAMES, MOST_NAMES_IN_ALL, may_repeat_a_name, read_json
from tests.gate_facts import CALL
from tests.services.shared_app import SharedApp, published_document, shared_app

JSON = {"Content-Type": "application/json"}
CHECK = json.dumps(CALL).encode()
OTHER_CALLEE = CHECK[:-1] + b', "callee": "13900139000"}'
SAME_CALLEE_IN_OTHER_SIGNS = CHECK[:-1] + b', "c\\u0061llee" : "13900139000"}'


@pytest.fixture(scope="module")
def shared(server: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedApp]:
    with shared_app(server, template, tmp_path_factory.mktemp("data")) as running:
        yield running


@pytest.fixture
def dialer(shared: SharedApp) -> TestClient:
    return shared.client("dialer")


@pytest.mark.parametrize(
    ("path", "content"),
    [
        pytest.param("/v1/call-checks", OTHER_CALLEE, id="check"),
        pytest.param("/v1/call-checks", SAME_CALLEE_IN_OTHER_SIGNS, id="check, escaped"),
        pytest.param("/v1/call-checks/batch", b'{"checks": [' + OTHER_CALLEE + b"]}", id="in a batch"),
        pytest.param("/v1/call-checks/batch", b'{"checks": [], "checks": []}', id="batches"),
        pytest.param(
            "/v1/call-checks/simulate", OTHER_CALLEE[:-1] + b', "at": "2026-11-23T16:00:00+08:00"}', id="simulation"
        ),
        pytest.param("/v1/do-not-call", b'{"phone": "13800138000", "phone": "13900139000"}', id="refusal"),
    ],
)
def test_a_name_that_stands_twice_is_refused_and_named(dialer: TestClient, path: str, content: bytes) -> None:
    response = dialer.post(path, content=content, headers=JSON)

    (error,) = response.json()["errors"]
    assert (response.status_code, error["loc"]) == (422, "body")
    assert "stands more than once in one object" in error["msg"]
    assert "138" not in response.text


@pytest.mark.parametrize("path", ["/v1/call-checks", "/v1/call-checks/batch", "/v1/do-not-call"])
@pytest.mark.parametrize("more", [b"", b',"n0":2'], ids=["each once", "one twice"])
def test_an_object_of_very_many_names_is_refused_without_looking_at_each(
    dialer: TestClient, path: str, more: bytes
) -> None:
    content = b"{" + b",".join(b'"n%d":1' % number for number in range(101 * 101)) + more + b"}"

    response = dialer.post(path, content=content, headers=JSON)

    (error,) = response.json()["errors"]
    assert (response.status_code, error["loc"]) == (422, "body")
    assert "an object has more than 100 names" in error["msg"]


def test_objects_of_very_many_names_together_are_refused_without_looking_at_each(dialer: TestClient) -> None:
    one = b"{" + b",".join(b'"n%d":1' % number for number in range(100)) + b"}"
    content = b'{"checks":[' + b",".join([one] * (MOST_NAMES_IN_ALL // 100)) + b"]}"

    response = dialer.post("/v1/call-checks/batch", content=content, headers=JSON)

    (error,) = response.json()["errors"]
    assert (response.status_code, error["loc"]) == (422, "body")
    assert "the objects have more than 300000 names together" in error["msg"]


@pytest.mark.parametrize("names", [("CallCheckBody",), ("CallRecordBody", "RefusalBody", "Evidence")])
def test_the_longest_lists_of_the_largest_objects_have_fewer_names_than_are_refused(names: tuple[str, ...]) -> None:
    schemas = published_document()["components"]["schemas"]

    assert 10_000 * sum(len(schemas[name]["properties"]) for name in names) < MOST_NAMES_IN_ALL


def test_no_request_needs_as_many_names_as_are_refused() -> None:
    objects = [one.get("properties", {}) for one in published_document()["components"]["schemas"].values()]

    assert max(len(names) for names in objects) < MOST_NAMES / 2


def test_a_keyed_check_with_a_name_twice_is_refused_too(dialer: TestClient) -> None:
    response = dialer.post("/v1/call-checks", content=OTHER_CALLEE, headers={**JSON, "Idempotency-Key": "twice"})

    assert response.status_code == 422
    assert "callee stands more than once" in response.json()["errors"][0]["msg"]


def test_a_check_whose_values_have_colons_is_answered(dialer: TestClient) -> None:
    response = dialer.post("/v1/call-checks", json={**CALL, "callee": "tel:13800138000", "customer_id": 'a:":b'})

    assert (response.status_code, response.json()["callee"]) == (200, "+8613800138000")


@pytest.mark.parametrize("path", ["/v1/call-checks", "/v1/call-checks/batch", "/v1/call-checks/simulate"])
@pytest.mark.parametrize(
    "content",
    [
        pytest.param('{"callee": "张三"}'.encode("gb18030"), id="GB18030"),
        pytest.param(b"\x1f\x8b\x08\x00", id="gzip"),
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param(b'{"callee": ' + b"9" * 5_000 + b"}", id="endless number"),
        pytest.param(b'{"callee": "1"} {"callee": "2"}', id="two values"),
    ],
)
def test_what_is_no_json_is_said_to_be_none_at_every_path(dialer: TestClient, path: str, content: bytes) -> None:
    response = dialer.post(path, content=content, headers=JSON)

    (error,) = response.json()["errors"]
    assert (response.status_code, error["loc"]) == (422, "body")
    assert "is not JSON that can be read" in error["msg"]


def test_a_body_of_another_content_type_is_told_the_right_one(dialer: TestClient) -> None:
    response = dialer.post(
        "/v1/do-not-call", content=b'{"phone": "13800138000"}', headers={"Content-Type": "text/plain"}
    )

    assert response.json()["errors"] == [
        {"loc": "body", "msg": "expected a JSON object, sent with 'Content-Type: application/json'"}
    ]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"])
def test_json_in_another_encoding_than_utf_8_is_refused(dialer: TestClient, encoding: str) -> None:
    content = '{"phone": "13800138000", "source": "call"}'.encode(encoding)

    response = dialer.post("/v1/do-not-call", content=content, headers=JSON)

    assert (response.status_code, response.json()["errors"][0]["loc"]) == (422, "body")


def test_a_mark_of_utf_8_before_a_refusal_keeps_nobody_from_being_heard(dialer: TestClient) -> None:
    content = b'\xef\xbb\xbf{"phone": "13800138000", "source": "call"}'

    assert dialer.post("/v1/do-not-call", content=content, headers=JSON).status_code in {200, 201}


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_constants_of_other_languages_are_no_numbers(constant: str) -> None:
    with pytest.raises(json.JSONDecodeError, match=f"{constant} is no JSON number"):
        read_json(f'{{"months": {constant}}}'.encode())


def test_a_name_that_may_be_personal_is_not_sent_back() -> None:
    with pytest.raises(json.JSONDecodeError, match=r"^a name stands more than once"):
        read_json(b'{"13800138000": 1, "13800138000": 2}')


def test_an_object_with_a_colon_for_each_name_repeats_none() -> None:
    assert not may_repeat_a_name(b'{"a": 1, "b": 2}', 2)
    assert may_repeat_a_name(b'{"a": 1, "b": 2, "a": 3}', 2)
