"""Words for values that cannot be used: what is expected, never the library's own patterns and never what was sent."""

import json
from collections.abc import Iterator

import pytest

from infra.embedded_postgres import EmbeddedPostgres
from services.rejected_values import rejected_value
from tests.gate_facts import CALL
from tests.services.shared_app import SharedApp, shared_app


@pytest.fixture(scope="module")
def shared(server: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedApp]:
    with shared_app(server, template, tmp_path_factory.mktemp("data")) as running:
        yield running


JSON = {"Content-Type": "application/json"}
SIMULATION = {**CALL, "at": "2026-11-23T16:00:00+08:00"}


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        pytest.param("customer_id", "a\0b", "must not have a NUL character", id="NUL"),
        pytest.param("customer_id", "\ud800", "half of a surrogate pair", id="half a character"),
        pytest.param("at", "2026-11-23T24:00:00+08:00", "from 00:00:00 to 23:59:59", id="hour 24"),
        pytest.param("at", "2016-12-31T23:59:60Z", "from 00:00:00 to 23:59:59", id="leap second"),
        pytest.param("at", "2026-02-29T10:00:00+08:00", "on a day of the calendar", id="29 February"),
        pytest.param("at", "2026-11-23T16:00:00", "expected an RFC 3339 instant with an offset", id="no offset"),
        pytest.param("colour", "red", "is no field here", id="unknown field"),
        pytest.param("callee", {}, "should be a valid string", id="another type"),
    ],
)
def test_a_value_that_cannot_be_used_is_told_what_is_expected(
    shared: SharedApp, field: str, value: object, said: str
) -> None:
    response = shared.client("dialer").post(
        "/v1/call-checks/simulate", content=json.dumps({**SIMULATION, field: value}), headers=JSON
    )

    (error,) = response.json()["errors"]
    assert (response.status_code, error["loc"]) == (422, field)
    assert said in error["msg"]
    assert "Value error" not in error["msg"]


def test_a_day_that_no_calendar_has_is_said_to_be_none(shared: SharedApp) -> None:
    response = shared.client("officer").get("/v1/incidents?from=2026-02-29")

    assert response.json()["errors"] == [
        {"loc": "from", "msg": "is no day of the calendar; expected a civil date YYYY-MM-DD"}
    ]


def test_a_reason_of_blanks_is_told_to_have_words(shared: SharedApp) -> None:
    response = shared.client("officer").post("/v1/policy", json={"policy": "", "reason": "  "})

    assert "must have words" in response.json()["errors"][0]["msg"]


def test_a_pattern_without_words_of_its_own_keeps_those_of_the_library() -> None:
    error = {"type": "string_pattern_mismatch", "loc": ("body", "x"), "msg": "as it is", "ctx": {"pattern": "^a$"}}

    assert rejected_value(error) == {"loc": "x", "msg": "as it is"}
