"""The published document: complete, closed against misspelling, and the same as what is served."""

import re
from typing import Any

import pytest

from compliance.decision import ReasonCode
from services.openapi import _page
from tests.services.shared_app import published_document

DOCUMENT = published_document()
OPEN = {"/healthz", "/readyz"}
OPERATIONS: list[Any] = [
    pytest.param(path, method, operation, id=f"{method.upper()} {path}")
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
]
ERRORS = {"400", "401", "403", "404", "409", "413", "422", "503"}
MORE_ERRORS = {
    "/v1/recordings/{recording_id}/audio": {"410", "412", "416"},
    "/v1/recordings/{recording_id}/peaks": {"410"},
}
"""What only some operations can answer beside those."""

SCHEMAS = DOCUMENT["components"]["schemas"]


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS)
def test_every_operation_says_what_it_does_and_who_may(path: str, method: str, operation: dict[str, Any]) -> None:
    assert operation["description"].endswith((".", "]", ":"))
    assert operation["description"].startswith(operation["summary"])
    assert len(operation["summary"].split()) > 1
    assert operation["tags"]
    if path in OPEN:
        assert operation["security"] == []
    else:
        assert operation["x-roles"]
        assert operation["security"]


def test_clients_get_a_name_for_every_operation_that_is_no_other_ones() -> None:
    names = [operation["operationId"] for methods in DOCUMENT["paths"].values() for operation in methods.values()]

    assert len(set(names)) == len(names)
    assert {"post_call_checks", "get_recordings_recording_id_evidence_zip", "get_healthz"} <= set(names)


def test_clients_get_names_for_all_types_that_do_not_show_where_ours_are_written() -> None:
    assert [name for name in SCHEMAS if not re.fullmatch(r"[A-Z][A-Za-z]+", name)] == []


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS)
def test_every_error_is_documented_as_a_problem(path: str, method: str, operation: dict[str, Any]) -> None:
    documented = {status for status in operation["responses"] if status >= "400"}

    if path not in OPEN:
        assert documented == ERRORS | MORE_ERRORS.get(path, set())
        contents = [set(operation["responses"][status]["content"]) for status in documented]
        assert contents == [{"application/problem+json"}] * len(documented)


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS)
def test_every_success_has_a_body_that_is_described(path: str, method: str, operation: dict[str, Any]) -> None:
    successes = [answer for status, answer in operation["responses"].items() if status < "300"]

    assert successes
    for answer in successes:
        for media_type, content in answer.get("content", {}).items():
            assert media_type != "application/json" or content["schema"], path


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS)
def test_no_body_takes_fields_that_it_does_not_name(path: str, method: str, operation: dict[str, Any]) -> None:
    contents = operation.get("requestBody", {}).get("content", {})
    named = [one["schema"].get("$ref", "").rpartition("/")[2] for one in contents.values()]
    objects = [SCHEMAS[name] for name in named if name and SCHEMAS[name].get("type") == "object"]

    assert [one.get("additionalProperties", True) for one in objects] == [False] * len(objects)


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS)
def test_every_string_in_a_query_is_bounded(path: str, method: str, operation: dict[str, Any]) -> None:
    unbounded = [
        one["name"]
        for one in operation.get("parameters", [])
        for schema in one["schema"].get("anyOf", [one["schema"]])
        if schema.get("type") == "string" and not {"maxLength", "format", "enum", "const", "pattern"} & set(schema)
    ]

    assert unbounded == []


def test_operations_have_ids_of_their_own() -> None:
    ids = [one.values[2]["operationId"] for one in OPERATIONS]

    assert len(ids) == len(set(ids))


def test_the_words_have_their_articles() -> None:
    words = " ".join(f"{one.values[2]['summary']} {one.values[2]['description']}" for one in OPERATIONS)

    assert re.findall(r"\b[Aa] [aeio]\w+", words) == []
    assert "Add an agent to the register." in words


def test_every_reference_leads_somewhere() -> None:
    referred = set(re.findall(r"'#/components/schemas/([^']+)'", str(DOCUMENT)))

    assert referred - set(SCHEMAS) == set()
    assert "HTTPValidationError" not in SCHEMAS


def test_the_page_lists_every_operation_and_needs_no_other_server() -> None:
    page = _page(DOCUMENT)

    missing = [one.id for one in OPERATIONS if f"<code>{one.id}</code>" not in page]
    assert missing == []
    assert re.findall(r"(?:src|href)=[\"']?(?:https?:)?//", page) == []


def test_the_page_shows_the_roles_of_what_is_not_open() -> None:
    rows = re.findall(r"<tr><td><code>(\S+ \S+)</code>.*?<td>([^<]*)</td></tr>", _page(DOCUMENT))

    opened = {operation for operation, roles in rows if roles == "open"}
    assert opened == {"GET /healthz", "GET /readyz"}


def test_the_answer_of_a_check_documents_every_field_of_the_contract() -> None:
    fields = {
        "check_id",
        "decision",
        "callee",
        "region",
        "checked_at",
        "valid_until",
        "next_callable_at",
        "reasons",
        "rules_checked",
        "policy_digest",
    }

    assert fields <= set(SCHEMAS["CallCheckAnswer"]["properties"])
    assert {"code", "article", "message", "message_zh", "until"} <= set(SCHEMAS["ReasonAnswer"]["properties"])
    assert len(ReasonCode) == 18
