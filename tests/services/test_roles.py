"""Every operation of the OpenAPI document, with every role and without one."""

import re

import httpx2
import pytest
from fastapi.testclient import TestClient

from tests.services.role_table import roles_by_contract
from tests.services.shared_app import ROLES, SharedApp, published_document

OPEN = {"/healthz", "/readyz", "/openapi.json", "/docs"}
NOBODYS_ID = "01a20951-105f-70d7-b2ae-2a5916dca676"

_PATHS = published_document()["paths"]
OPERATIONS = [
    pytest.param(method.upper(), path, id=f"{method.upper()} {path}")
    for path, operations in _PATHS.items()
    for method in operations
    if path not in OPEN
]


def status_of(client: TestClient, method: str, path: str) -> int:
    """Ask for an operation with an id that nothing has and an empty body."""
    url = re.sub(r"\{[^}]*\}", NOBODYS_ID, path)
    body: dict[str, str] | None = None if method == "GET" else {}
    response: httpx2.Response = client.request(method, url, json=body)
    return response.status_code


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_the_document_names_the_roles_of_the_contract(method: str, path: str) -> None:
    assert set(_PATHS[path][method.lower()]["x-roles"]) == roles_by_contract(method, path)


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_without_a_token_everything_is_401(shared: SharedApp, method: str, path: str) -> None:
    assert status_of(shared.client(), method, path) == 401


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_exactly_the_other_roles_are_403(shared: SharedApp, method: str, path: str) -> None:
    refused = {role for role in ROLES if status_of(shared.client(role), method, path) == 403}

    assert refused == set(ROLES) - roles_by_contract(method, path)


@pytest.mark.parametrize("path", sorted(OPEN))
def test_what_is_open_answers_without_a_token(shared: SharedApp, path: str) -> None:
    assert shared.client().get(path).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/metrics",
        "/redoc",
        "/docs/oauth2-redirect",
        "/docs/",
        "/healthz/",
        "//healthz",
        "/HEALTHZ",
        "/healthz/../v1/policy",
        "/v1/nothing",
        "/v1/openapi.json",
    ],
)
def test_what_is_not_open_is_401_whether_it_exists_or_not(shared: SharedApp, path: str) -> None:
    assert shared.client().get(path).status_code == 401


def test_the_table_of_roles_has_no_row_for_what_it_does_not_know() -> None:
    with pytest.raises(LookupError, match="no row"):
        roles_by_contract("DELETE", "/v1/do-not-call/1")


def test_nothing_can_be_deleted() -> None:
    assert [path for path, operations in _PATHS.items() if "delete" in operations] == []
