"""Log lines: JSON in UTC, and nothing in them by which a person could be called, named or impersonated."""

import io
import json
import logging
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from infra.embedded_postgres import EmbeddedPostgres
from infra.ids import new_id_text
from infra.logs import configure_logs, logger, without_personal_data
from tests.services.role_table import roles_by_contract
from tests.services.shared_app import SharedApp, published_document, shared_app

PHONE = "13987654321"
PERSON = "欧阳测试"
TOKEN = "tsl_Zm9yZ2VyeS1vZi1hLXRva2VuLWZvci10ZXN0cw"

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines() -> Iterator[Lines]:
    """Send all logs to a stream, from DEBUG on, and give a function that returns what came, parsed."""
    root = logging.getLogger()
    handlers, level, before = root.handlers[:], root.level, structlog.get_config()
    stream = io.StringIO()
    configure_logs("DEBUG", stream=stream)
    logging.getLogger("httpx2").setLevel("WARNING")  # the test's own client says which addresses it asks for
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**before)


def test_a_line_is_one_json_object_with_time_level_and_logger(lines: Lines) -> None:
    logger("tests.one").info("something", count=3, words="two\nlines")

    (line,) = lines()
    assert line["timestamp"].endswith("Z")
    assert {**line, "timestamp": ""} == {
        "event": "something",
        "count": 3,
        "words": "two\nlines",
        "level": "info",
        "logger": "tests.one",
        "timestamp": "",
    }


def test_a_task_that_beat_cannot_send_is_a_line_without_its_stack(lines: Lines) -> None:
    logging.getLogger("celery.beat").error("Message Error: %s\n%s", "no connection", ["  File a", "  File b"])

    (line,) = lines()
    assert line["event"] == "Message Error: no connection"


def test_lines_of_the_standard_library_look_the_same(lines: Lines) -> None:
    logging.getLogger("some.library").warning("%s of %s", 1, 2)

    (line,) = lines()
    assert (line["event"], line["level"], line["logger"]) == ("1 of 2", "warning", "some.library")


def test_the_request_id_of_the_context_is_on_every_line(lines: Lines) -> None:
    request_id = new_id_text()
    with structlog.contextvars.bound_contextvars(request_id=request_id):
        logger("tests.two").info("x")
        logging.getLogger("tests.three").info("y")

    assert [line["request_id"] for line in lines()] == [request_id] * 2


@pytest.mark.parametrize(
    "written",
    [
        "13987654321",
        "+8613987654321",
        "139-8765-4321",
        "139 8765 4321",
        "+86 139 8765 4321",
        "139.8765.4321",
        "(010)87654321",
        "010-8765-4321",
        "139_8765_4321",
        "１３９８７６５４３２１",
        "139\u00a08765\u00a04321",
        "139–8765–4321",
        "E13987654321",
        "phone-13987654321",
        "x13987654321f",
        "'13987654321'",
        "callee=13987654321&x=1",
        "Key (phone_digits)=(8613987654321) already exists.",
    ],
)
def test_what_looks_like_a_number_is_hidden_wherever_it_stands(written: str) -> None:
    found = without_personal_data(None, "", {"event": f"before {written} after", "detail": written})

    digits = re.sub(r"\D", "", str(found))
    assert len(digits) < 7
    assert str(found["event"]).startswith("before ")


@pytest.mark.parametrize(
    "value",
    [
        pytest.param([PHONE], id="in a list"),
        pytest.param((f"+86{PHONE}",), id="in a tuple"),
        pytest.param({"callee": "x", "other": PHONE}, id="in a mapping"),
        pytest.param(ValueError(f"bad number {PHONE}"), id="in an error"),
        pytest.param(PHONE.encode(), id="in bytes"),
    ],
)
def test_what_looks_like_a_number_is_hidden_inside_any_value(lines: Lines, value: object) -> None:
    logger("tests.four").info("x", found=value)

    assert PHONE not in json.dumps(lines())


@pytest.mark.parametrize("field", ["phone", "callee", "caller", "name", "token", "authorization", "body", "text"])
def test_fields_that_carry_people_are_dropped_by_name(field: str) -> None:
    assert without_personal_data(None, "", {"event": "x", field: PERSON}) == {"event": "x"}


def test_a_token_is_hidden_in_any_text(lines: Lines) -> None:
    logging.getLogger("tests.five").warning("refused %s, twice", TOKEN)

    assert TOKEN not in json.dumps(lines())
    assert lines()[0]["event"] == "refused [hidden], twice"


@pytest.mark.parametrize("library", ["botocore.auth", "botocore.endpoint", "boto3.resources", "urllib3.connectionpool"])
def test_libraries_that_tell_of_credentials_tell_of_trouble_alone(lines: Lines, library: str) -> None:
    logging.getLogger(library).debug("x-amz-security-token: hidden")
    logging.getLogger(library).info("hidden")
    logging.getLogger(library).warning("seen")

    assert [line["event"] for line in lines()] == ["seen"]


def test_a_traceback_keeps_its_place_and_loses_its_number(lines: Lines) -> None:
    try:
        int(f"+86 {PHONE[:3]} {PHONE[3:]} x")
    except ValueError:
        logging.getLogger("tests.six").exception("failed")

    (line,) = lines()
    assert "ValueError" in line["exception"]
    assert "test_a_traceback_keeps_its_place" in line["exception"]
    assert PHONE[3:] not in json.dumps(line)


def test_a_traceback_does_not_say_what_the_error_says(lines: Lines) -> None:
    # A message of a library may quote what was sent: pydantic, SQLAlchemy and psycopg all do.
    try:
        try:
            raise LookupError(PERSON)  # noqa: TRY301 - a chain of errors is what is wanted
        except LookupError as error:
            raise ValueError(f"no agent named {PERSON}") from error
    except ValueError:
        logger("tests.seven").exception("failed")

    (line,) = lines()
    assert PERSON not in json.dumps(line, ensure_ascii=False)
    assert ("LookupError" in line["exception"], "ValueError" in line["exception"]) == (True, True)


@pytest.mark.parametrize(
    "kept",
    [
        pytest.param(new_id_text(), id="an id of ours"),
        "sha256:1234567890abcdef1234567890abcdef",
        "route=/v1/calls status=200",
        "0001",
        "ends on 2026-12-31.",
    ],
)
def test_what_is_no_number_stays(kept: str) -> None:
    assert without_personal_data(None, "", {"event": kept}) == {"event": kept}


@pytest.fixture(scope="module")
def shared(server: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedApp]:
    with shared_app(server, template, tmp_path_factory.mktemp("data")) as running:
        yield running


_PATHS = published_document()["paths"]
OPERATIONS = [
    pytest.param(method.upper(), path, id=f"{method.upper()} {path}")
    for path, operations in _PATHS.items()
    for method in operations
    if path.startswith("/v1")
]
_SCHEMAS = published_document()["components"]["schemas"]


def properties(schema: dict[str, Any]) -> set[str]:
    """Return the names of all fields a body may have, however the schema is put together."""
    if "$ref" in schema:
        return properties(_SCHEMAS[schema["$ref"].rpartition("/")[2]])
    found = set(schema.get("properties", {}))
    for part in [*schema.get("anyOf", []), *schema.get("allOf", []), *schema.get("oneOf", [])]:
        found |= properties(part)
    return found


def bodies(operation: dict[str, Any]) -> list[object]:
    contents = operation.get("requestBody", {}).get("content", {})
    names = sorted({name for one in contents.values() for name in properties(one["schema"])})
    values: list[Any] = [PHONE, int(PHONE), [PHONE], {PHONE: PERSON}, f"{PERSON} {PHONE} {TOKEN}", None]
    return [*(dict.fromkeys(names, value) for value in values), {PHONE: PERSON}, PHONE, [PERSON]]


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_no_request_leaves_a_number_a_name_or_a_token_in_the_log(
    shared: SharedApp, lines: Lines, method: str, path: str
) -> None:
    operation = _PATHS[path][method.lower()]
    client = shared.client(min(roles_by_contract(method, path)))
    client.headers["X-Request-Id"] = PHONE
    for value in (PHONE, f"+86 {PHONE}", PERSON, TOKEN):
        url = re.sub(r"\{[^}]*\}", value, path)
        query = {one["name"]: value for one in operation.get("parameters", []) if one["in"] == "query"}
        client.request(method, url, params=query, headers={"Idempotency-Key": PHONE})
    for body in bodies(operation) if method != "GET" else []:
        client.request(method, re.sub(r"\{[^}]*\}", "x", path), json=body, headers={b"User-Agent": PERSON.encode()})
    client.request(method, path, headers={"Authorization": f"Bearer {TOKEN}"})

    written = json.dumps(lines(), ensure_ascii=False)
    assert "status" in written
    assert PHONE not in written
    assert PERSON not in written
    assert TOKEN not in written
    assert shared.tokens["officer"] not in written
