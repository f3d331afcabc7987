"""Errors as answers: every exception of ours has one or never reaches HTTP, and none says more than it should."""

import importlib
import json
import pkgutil
from collections.abc import Iterator
from errno import EDQUOT, EFBIG, EIO, ENOSPC, EROFS
from http import HTTPStatus
from types import ModuleType

import psycopg
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

import compliance
import infra
import qa_sampling
import recordings
import services
from compliance.policy import Offence, PolicyError
from infra.jobs import UnknownJobError
from services.problem_table import fill_problem_table
from services.problems import (
    ConflictError,
    ForbiddenError,
    InputError,
    NotFoundError,
    Problem,
    RefusedError,
    database_away,
    input_error,
    install_problem_handlers,
    is_database_away,
    problem_of,
    register_problem,
    registered_errors,
    slug_of,
    title_of,
    unauthorized,
)
from services.tokens import UnknownTokenError

NEVER_REACHES_HTTP = {
    "compliance.block_list._LostClaimError": "caught and tried again where it is raised",
    "compliance.import_chunks.ImportContendedError": "a job fails with it; its error is in the job's answer",
    "compliance.scrub_pair.SecondProcessError": "the scrub goes on in one process, or its job fails with it",
    "compliance.import_rows._BadCellError": "becomes a row of rejected.csv",
    "compliance.legal.LawError": "the law's data are broken: the start fails",
    "compliance.legal.UnknownArticleError": "a rule cites what the law's data lack: tests of the law fail",
    "compliance.ledger_bundle.LedgerRangeError": "what is asked for is cut to what is sealed",
    "compliance.ledger_keys.UntimelySignatureError": "the outside checkpoint is said to contradict the ledger",
    "compliance.checkpoint_stores.OutsideStoreError": "the log and readiness say it; sealing goes on",
    "compliance.ledger_timestamps.AuthorityAwayError": "the log says it; the authority is asked again",
    "compliance.ledger_timestamps.TimestampError": "the log and an incident say it",
    "compliance.ledger_verifier.BundleError": "verification turns it into a problem of its report",
    "compliance.ledger_witness.WitnessAwayError": "the log says it; the witness is asked again",
    "compliance.ledger_witness.WitnessFaultError": "the log and an incident say it",
    "compliance.listed_phones.BrokenListError": "the cached copy of the list is made anew",
    "compliance.merkle.ProofError": "verification turns it into a problem of its report",
    "compliance.mobile_prefixes.UnusableTablesError": "the kept tables are made anew",
    "compliance.policy_text.PolicyTextError": "collected into PolicyError",
    "compliance.signed_notes.NoteError": "verification turns it into a problem of its report",
    "compliance.working_days.CalendarRangeError": "the gate asks only within the calendar it was given",
    "infra.binary_copy.UnexpectedRowError": "a query of ours and its reader disagree: a fault",
    "infra.jobs.LostJobError": "ends a worker's claim",
    "infra.object_stores.NotWormError": "the command line says it",
    "infra.postgres_account.EmbeddedPostgresError": "the command line says it",
    "infra.s3_client.KeyTakenError": "what is there is read instead",
    "infra.s3_client.NoSuchObjectError": "an object that is not there is none",
    "infra.s3_client.S3AwayError": "each store of ours raises its own error from it",
    "infra.s3_client.S3Error": "each store of ours raises its own error from it",
    "infra.s3_place.S3PlaceError": "becomes a line of SettingsError",
    "infra.settings.SettingsError": "the command line says it",
    "infra.version_journal.BrokenJournalError": "the directory store raises its own error from it",
    "infra.web_request.WebRequestError": "becomes the absence of whoever was asked",
    "qa_sampling.seed_vault.SealedSeedError": "the day is drawn with a fresh seed, and an incident says so",
    "qa_sampling.seed_vault.SeedKeyError": "the log says it; the day is drawn with a fresh seed",
    "services.json_body._NotJsonError": "becomes a json.JSONDecodeError where it is raised",
    "qa_sampling.seeds.DayNotOverError": "a draw refuses such a period before it asks for the seed",
    "qa_sampling.seeds.LostSeedError": "the day is drawn with a fresh seed, and an incident says so",
    "qa_sampling.verify.BundleError": "verification turns it into a problem of its report",
    "recordings.staging.UnreadableSourceError": "the intake of files refuses the file in its place",
    "recordings.file_intake.FileRefusedError": "becomes a row of refused.csv or a reason in the quarantine",
    "recordings.file_lists.UnreadableFileListError": "the command line says it",
    "recordings.spool_moves.MoveError": "the log says it; the pair stays in the spool",
    "recordings.staging.NoRegularFileError": "the command line and the spool say it",
    "services.attesting.AttesterSettingsError": "the command line says it",
    "services.ledger_spans.LedgerEdgeError": "becomes an InputError; the command line says it",
    "services.policy_file.PolicyFileError": "the command line says it",
}


@pytest.fixture(autouse=True, scope="module")
def filled() -> None:
    fill_problem_table()


def modules(package: ModuleType) -> Iterator[ModuleType]:
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if ".migrations" not in found.name:
            yield importlib.import_module(found.name)


def our_exceptions() -> dict[str, type[Exception]]:
    return {
        f"{value.__module__}.{value.__name__}": value
        for package in (compliance, infra, qa_sampling, recordings, services)
        for module in modules(package)
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Exception) and value.__module__ == module.__name__
    }


def test_every_exception_of_ours_has_an_answer_or_a_reason_to_need_none() -> None:
    answered = registered_errors()
    open_questions = [
        name
        for name, kind in our_exceptions().items()
        if not issubclass(kind, RefusedError) and not answered & set(kind.__mro__)
    ]

    assert set(open_questions) - set(NEVER_REACHES_HTTP) == set()


def test_the_list_of_those_that_need_none_is_true() -> None:
    found = our_exceptions()

    assert set(NEVER_REACHES_HTTP) - set(found) == set()
    assert [name for name in NEVER_REACHES_HTTP if registered_errors() & set(found[name].__mro__)] == []


def test_every_exception_ends_in_error_and_stands_under_a_builtin() -> None:
    builtins = {Exception, ValueError, LookupError, RuntimeError, PermissionError}
    bases = {base for kind in our_exceptions().values() for base in kind.__bases__ if base.__module__ == "builtins"}

    assert [name for name in our_exceptions() if not name.endswith("Error")] == []
    assert bases <= builtins


@pytest.mark.parametrize(
    ("error", "status", "slug"),
    [
        (ConflictError("x"), 409, "conflict"),
        (ForbiddenError("x"), 403, "forbidden"),
        (NotFoundError("x"), 404, "not-found"),
        (InputError("x"), 422, "invalid-input"),
        (UnknownTokenError("x"), 404, "not-found"),
        (UnknownJobError("x"), 404, "not-found"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_an_error_becomes_its_problem_with_the_message_as_detail(error: Exception, status: int, slug: str) -> None:
    problem = problem_of(error)

    assert problem is not None
    assert problem.body() == {
        "type": f"urn:telesales:problem:{slug}",
        "title": problem.title,
        "status": status,
        "detail": "x",
    }


def test_titles_are_the_same_for_the_same_status() -> None:
    of_fields = InputError("x").problem().title
    of_policy = problem_of(PolicyError([Offence("a", "b", None)]))

    assert of_policy is not None
    assert of_fields == of_policy.title == "Unprocessable Content"


@pytest.mark.parametrize(
    ("status", "title", "slug"),
    [
        (404, "Not Found", "not-found"),
        (413, "Content Too Large", "request-entity-too-large"),
        (416, "Range Not Satisfiable", "range-not-satisfiable"),
        (422, "Unprocessable Content", "unprocessable-content"),
    ],
)
def test_titles_and_types_are_the_same_under_every_python(status: int, title: str, slug: str) -> None:
    assert (title_of(status), slug_of(status)) == (title, slug)


def test_an_error_that_is_nobodys_has_no_answer() -> None:
    assert problem_of(KeyError("x")) is None


def test_a_class_below_a_registered_one_has_its_answer() -> None:
    class OneOfThemError(UnknownTokenError):
        """A special case."""

    problem = problem_of(OneOfThemError("x"))

    assert problem is not None
    assert problem.status == 404


def test_a_new_error_can_be_registered() -> None:
    class TeapotError(ValueError):
        """For this test."""

    register_problem(TeapotError, HTTPStatus.IM_A_TEAPOT, "teapot")

    assert TeapotError in registered_errors()
    assert problem_of(TeapotError("short")) == Problem(418, "I'm a Teapot", "short", "teapot")


def test_one_bad_field_is_named_by_its_path() -> None:
    error = input_error("checks.3.callee", "too long", article="25(2)")

    assert error.problem().body()["errors"] == [{"loc": "checks.3.callee", "msg": "too long", "article": "25(2)"}]
    assert error.problem().detail == "checks.3.callee: too long"


def test_a_policy_lists_all_offences_with_their_articles() -> None:
    offences = (Offence("a.b", "too short", "25(2)"), Offence("c", "unknown", None))

    problem = problem_of(PolicyError(offences))

    assert problem is not None
    assert problem.errors == [
        {"loc": "a.b", "msg": "too short", "article": "25(2)"},
        {"loc": "c", "msg": "unknown"},
    ]


def test_while_the_database_is_away_the_answer_denies() -> None:
    response = database_away().response()

    assert response.status_code == 503
    assert response.media_type == "application/problem+json"
    assert response.headers["retry-after"] == "1"
    assert json.loads(bytes(response.body))["decision"] == "deny"


def test_who_is_not_known_is_told_how_to_be() -> None:
    assert unauthorized().response().headers["www-authenticate"] == "Bearer"


def test_chinese_in_a_problem_stays_readable() -> None:
    assert "禁止" in bytes(Problem(409, "t", "禁止", "s").response().body).decode()


def database_error(state: str, kind: type[DBAPIError] = DBAPIError) -> DBAPIError:
    original = psycopg.errors.lookup(state)("x")
    return kind("SELECT 1", {}, original)


@pytest.mark.parametrize(
    ("error", "away"),
    [
        pytest.param(OperationalError("x", {}, Exception()), True, id="operational"),
        pytest.param(InterfaceError("x", {}, Exception()), True, id="interface"),
        pytest.param(PoolTimeoutError(), True, id="no connection free"),
        pytest.param(psycopg.OperationalError(), True, id="of the driver"),
        pytest.param(database_error("57P01"), True, id="shutting down"),
        pytest.param(database_error("57014"), True, id="statement timeout"),
        pytest.param(database_error("53100"), True, id="disk full"),
        pytest.param(database_error("55P03"), True, id="lock timeout"),
        pytest.param(database_error("40P01"), True, id="deadlock"),
        pytest.param(database_error("25006"), True, id="read only"),
        pytest.param(database_error("23505", DataError), False, id="duplicate"),
        pytest.param(database_error("22003", DataError), False, id="out of range"),
        pytest.param(database_error("42P01"), False, id="no such table"),
        pytest.param(DBAPIError("x", {}, Exception(), connection_invalidated=True), True, id="lost connection"),
        pytest.param(ValueError("x"), False, id="not of the database"),
    ],
)
def test_what_counts_as_away(error: Exception, away: bool) -> None:
    assert is_database_away(error) is away


@pytest.mark.parametrize(("number", "status"), [(ENOSPC, 503), (EDQUOT, 503), (EFBIG, 503), (EROFS, 503), (EIO, 500)])
def test_a_disk_that_is_full_or_read_only_is_no_fault_of_the_product(number: int, status: int) -> None:
    app = FastAPI()
    install_problem_handlers(app, methods_at=lambda _path: ())

    @app.get("/")
    def write() -> None:
        raise OSError(number, "what the system says")

    answer = TestClient(app, raise_server_exceptions=False).get("/")

    assert answer.status_code == status
    assert status == 500 or answer.json()["decision"] == "deny"


@pytest.mark.parametrize(
    ("state", "said"),
    [
        pytest.param("25006", "takes no changes now", id="read only"),
        pytest.param("53100", "disk of the database is full", id="full"),
        pytest.param("53300", "no connection free", id="busy"),
        pytest.param("57014", "cannot be reached in time", id="slow"),
    ],
)
def test_why_the_database_cannot_be_used_is_said(state: str, said: str) -> None:
    app = FastAPI()
    install_problem_handlers(app, methods_at=lambda _path: ())

    @app.get("/")
    def read() -> None:
        raise database_error(state)

    answer = TestClient(app, raise_server_exceptions=False).get("/")

    assert (answer.status_code, answer.json()["decision"]) == (503, "deny")
    assert said in answer.json()["detail"]
