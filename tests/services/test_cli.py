"""The command line: what it prints, what it stores, and how it ends."""

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import typer.main
from sqlalchemy import Engine, text
from typer.testing import CliRunner, Result

from infra.clock import utc_now
from infra.database import make_engine
from infra.embedded_postgres import EmbeddedPostgres
from infra.ids import new_id
from infra.migrate import head_revision
from infra.settings import Settings
from services.cli.main import commands
from services.tokens import find_token, hash_token
from tests.conftest import NOON
from tests.gate_facts import CALL, write_registers
from tests.services.processes import finished
from tests.services.shared_app import fresh_database, published_document

FACTS = [
    "--caller-number",
    CALL["caller_number"],
    "--agent",
    CALL["agent_id"],
    "--centre",
    CALL["centre_id"],
    "--campaign",
    CALL["campaign_id"],
    "--product",
    CALL["product_code"],
]
DAY, NIGHT = "2026-11-23T12:00:00+08:00", "2026-11-23T21:00:00+08:00"


@pytest.fixture(scope="module")
def url(server: EmbeddedPostgres, template: str) -> Iterator[str]:
    with fresh_database(server, template) as found:
        engine = make_engine(found, application_name="tests")
        with engine.begin() as connection:
            write_registers(connection)
        engine.dispose()
        yield found


@pytest.fixture
def engine_of_url(url: str) -> Iterator[Engine]:
    made = make_engine(url, application_name="tests")
    yield made
    made.dispose()


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("COLUMNS", "200")


def invoke(*arguments: str, **environment: object) -> Result:
    return CliRunner().invoke(commands, list(arguments), env={name: str(one) for name, one in environment.items()})


def answer(result: Result) -> Any:
    """Return what a command printed for programs: one JSON object on one line."""
    (line,) = result.stdout.splitlines()
    return json.loads(line)


@pytest.mark.parametrize(("at", "verdict", "status"), [(DAY, "allow", 0), (NIGHT, "deny", 1)])
def test_check_ends_with_0_for_allow_and_1_for_deny(url: str, at: str, verdict: str, status: int) -> None:
    result = invoke("check", "138 0013 8000", *FACTS, "--at", at, "--json", DATABASE_URL=url)

    found = answer(result)
    assert result.exit_code == status
    assert (found["decision"], found["callee"], found["simulated"]) == (verdict, "+8613800138000", True)
    assert found["checked_at"] == at


def test_check_says_the_reasons_with_their_articles_to_people(url: str) -> None:
    result = invoke("check", "13800138000", *FACTS, "--at", NIGHT, DATABASE_URL=url)

    assert result.stdout.startswith("DENY at 2026-11-23 21:00:00 (Shanghai)")
    assert re.search(r"art\. 25\(1\) +quiet_hours: ", result.stdout)
    assert "callable from 2026-11-24 09:00" in result.stdout


def test_check_without_an_instant_decides_by_the_clock_and_is_recorded(url: str, engine_of_url: Engine) -> None:
    offset = round((NOON - utc_now()) / timedelta(milliseconds=1))

    result = invoke("check", "13800138000", *FACTS, "--json", DATABASE_URL=url, CLOCK_OFFSET_MS=offset)

    found = answer(result)
    with engine_of_url.connect() as connection:
        stored = connection.execute(
            text("SELECT verdict, actor FROM call_checks WHERE check_id = :id"), {"id": UUID(found["check_id"])}
        ).one()
    assert result.exit_code == 0
    assert tuple(stored) == ("allow", "command line")
    assert timedelta() <= datetime.fromisoformat(found["checked_at"]) - NOON < timedelta(minutes=5)


def test_a_simulated_check_is_not_recorded(url: str, engine_of_url: Engine) -> None:
    count = text("SELECT count(*) FROM call_checks")
    with engine_of_url.connect() as connection:
        before = connection.execute(count).scalar_one()
        connection.rollback()
        invoke("check", "13800138000", *FACTS, "--at", DAY, DATABASE_URL=url)

        assert connection.execute(count).scalar_one() == before


def test_check_of_what_is_no_number_is_a_denial(url: str) -> None:
    result = invoke("check", "not a number", *FACTS, "--at", DAY, "--json", DATABASE_URL=url)

    assert result.exit_code == 1
    assert [one["code"] for one in answer(result)["reasons"]] == ["invalid_number"]


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param((), id="nothing"),
        pytest.param(("chek", "1"), id="unknown command"),
        pytest.param(("check",), id="no number"),
        pytest.param(("check", "1", "2"), id="two numbers"),
        pytest.param(("check", "1", "--force"), id="unknown option"),
        pytest.param(("check", "1", "--purpose", "fun"), id="unknown purpose"),
        pytest.param(("check", "1", "--at", "noon"), id="no instant"),
        pytest.param(("check", "1", "--at", "2026-11-23T12:00:00"), id="no offset"),
        pytest.param(("check", "1", "--at", "2026-11-23"), id="a day"),
        pytest.param(("check", "1", "--at", "2014-12-31T23:59:59+08:00"), id="before 2015"),
        pytest.param(("check", "1", "--at", "0001-01-01T00:00:00+14:00"), id="before all calendars"),
        pytest.param(("check", "1", "--at", "9999-12-31T23:59:59-23:59"), id="beyond all calendars"),
        pytest.param(("token",), id="no subcommand"),
        pytest.param(("token", "create", "--owner", "x"), id="no role"),
        pytest.param(("token", "create", "--role", "dialer"), id="no owner"),
        pytest.param(("token", "create", "--role", "root", "--owner", "x"), id="unknown role"),
        pytest.param(("token", "create", "--role", "dialer", "--owner", ""), id="empty owner"),
        pytest.param(("token", "create", "--role", "dialer", "--owner", "x" * 201), id="owner too long"),
        pytest.param(("token", "create", "--role", "dialer", "--owner", "x", "--days", "0"), id="no days"),
        pytest.param(("token", "create", "--role", "dialer", "--owner", "x", "--days", "3661"), id="too many days"),
        pytest.param(("token", "revoke"), id="no id"),
        pytest.param(("token", "revoke", "x"), id="a bad id"),
        pytest.param(("scrub", "no-such-file.csv", "out.csv"), id="no file"),
        pytest.param(("migrate", "now"), id="an argument too many"),
    ],
)
def test_bad_usage_ends_with_2(url: str, arguments: tuple[str, ...]) -> None:
    result = invoke(*arguments, DATABASE_URL=url)

    assert (result.exit_code, result.stdout if arguments and arguments != ("token",) else "") == (2, "")
    assert "Traceback" not in result.output


def commands_and_options() -> Iterator[Any]:
    group: Any = typer.main.get_command(commands)
    for name, command in group.commands.items():
        inner = getattr(command, "commands", {"": command})
        for last, one in inner.items():
            yield pytest.param([*name.split(), *last.split()], {two.name for two in one.params}, id=f"{name} {last}")


@pytest.mark.parametrize(("command", "options"), list(commands_and_options()))
def test_every_command_explains_itself_and_those_with_a_result_take_json(command: list[str], options: set[str]) -> None:
    result = invoke(*command, "--help")

    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) > 4
    assert "as_json" in options or command[0] in {"run", "serve", "worker", "openapi"}


def test_bad_settings_end_with_2_and_are_all_named_without_their_values() -> None:
    result = invoke("migrate", PORT="no-port", DATABASE_URL="mysql://user:secret@host", DEMO_CLOCK="soon")

    assert result.exit_code == 2
    assert [name for name in ("PORT", "DATABASE_URL", "DEMO_CLOCK") if f"{name}: " not in result.stderr] == []
    assert [value for value in ("no-port", "secret", "soon") if value in result.stderr] == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "13800138000"),
        ("check", "13800138000", "--at", DAY),
        ("token", "list"),
        ("token", "create", "--role", "dialer", "--owner", "x"),
        ("token", "revoke", "01a20951-105f-70d7-b2ae-2a5916dca676"),
        ("migrate",),
    ],
    ids=" ".join,
)
def test_without_a_database_a_command_says_so_in_a_sentence(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    result = invoke(*arguments, DATABASE_URL=f"postgresql://postgres@/none?host={tmp_path}")

    assert (result.exit_code, result.stdout) == (1, "")
    assert "the database could not do it" in result.stderr
    assert "Traceback" not in result.output


def test_a_database_that_the_server_does_not_have_is_named(server: EmbeddedPostgres) -> None:
    result = invoke("migrate", DATABASE_URL=server.url().replace("/telesales?", "/nowhere?"))

    assert (result.exit_code, result.stdout) == (1, "")
    assert 'no connection (database "nowhere" does not exist)' in result.stderr
    assert "DATABASE_URL" in result.stderr


def test_a_server_that_does_not_run_is_told_without_the_password() -> None:
    result = invoke("migrate", DATABASE_URL="postgresql://u:hunter2@127.0.0.1:1/telesales")

    assert "no connection (Connection refused)" in result.stderr
    assert "hunter2" not in result.output


def test_an_empty_database_is_not_mistaken_for_a_full_one(server: EmbeddedPostgres) -> None:
    with fresh_database(server, "template0") as empty:
        result = invoke("check", "13800138000", DATABASE_URL=empty)

    assert result.exit_code == 1
    assert "telesales migrate" in result.stderr


def test_a_new_token_stands_alone_on_standard_output(url: str) -> None:
    result = invoke("token", "create", "--role", "dialer", "--owner", "dialer-1", DATABASE_URL=url)

    assert re.fullmatch(r"tsl_[\w-]+\n", result.stdout)
    assert "for dialer-1, role dialer, until" in result.stderr


def test_a_token_is_made_listed_and_revoked(url: str, engine_of_url: Engine) -> None:
    made = answer(
        invoke("token", "create", "--role", "officer", "--owner", "甲", "--days", "2", "--json", DATABASE_URL=url)
    )
    listed = answer(invoke("token", "list", "--json", DATABASE_URL=url))["items"][0]
    revoked = answer(invoke("token", "revoke", made["token_id"], "--json", DATABASE_URL=url))

    with engine_of_url.connect() as connection:
        found = find_token(connection, hash_token(made["token"]))
        kinds = connection.execute(
            text("SELECT kind, details::text FROM audit_events WHERE subject = :id ORDER BY event_id"),
            {"id": made["token_id"]},
        ).all()
    assert set(made) == {"token_id", "token", "role", "owner", "expires_at"}
    assert (listed["token_id"], listed["role"], listed["owner"]) == (made["token_id"], "officer", "甲")
    assert listed["expires_at"] == made["expires_at"]
    assert "token_hash" not in listed
    assert made["token"] not in json.dumps(listed)
    assert revoked == {"token_id": made["token_id"], "revoked": True}
    assert found is not None
    assert found.revoked_at is not None
    assert timedelta(days=1, hours=23) < found.expires_at - utc_now() <= timedelta(days=2)
    assert [kind for kind, _ in kinds] == ["token_created", "token_revoked"]
    assert made["token"] not in str(kinds)


def test_the_token_stands_alone_on_the_first_line_for_people(url: str) -> None:
    result = invoke("token", "create", "--role", "dialer", "--owner", "dialer-7", DATABASE_URL=url)

    assert re.fullmatch(r"tsl_[\w-]{43}", result.stdout.splitlines()[0])


def test_revoking_what_does_not_exist_ends_with_1(url: str) -> None:
    token_id = str(new_id())

    result = invoke("token", "revoke", token_id, DATABASE_URL=url)

    assert result.exit_code == 1
    assert token_id in result.stderr


def test_migrate_says_from_where_to_where(server: EmbeddedPostgres) -> None:
    with fresh_database(server, "template0") as empty:
        first = answer(invoke("migrate", "--json", DATABASE_URL=empty))
        again = answer(invoke("migrate", "--json", DATABASE_URL=empty))
        listed = invoke("token", "list", DATABASE_URL=empty)

    assert first == {"before": None, "after": head_revision()}
    assert again == {"before": head_revision(), "after": head_revision()}
    assert (listed.exit_code, listed.stdout.strip()) == (0, "no tokens")


def test_database_url_is_printed_as_psql_takes_it(tmp_path: Path) -> None:
    given = invoke("database-url", DATABASE_URL="postgresql+psycopg://u:p@h/d")
    absent = invoke("database-url", DATA_DIR=tmp_path)

    assert (given.exit_code, given.stdout.strip()) == (0, "postgresql://u:p@h/d")
    assert (absent.exit_code, absent.stdout) == (1, "")
    assert "make run" in absent.stderr


def test_openapi_prints_the_published_document(tmp_path: Path) -> None:
    result = invoke("openapi", DATA_DIR=tmp_path / "none")

    assert json.loads(result.stdout) == json.loads(json.dumps(published_document()))
    assert not (tmp_path / "none").exists()


def test_a_policy_looser_than_the_law_stops_the_start_with_its_articles(url: str, tmp_path: Path) -> None:
    loose = tmp_path / "policy.toml"
    loose.write_text("[do_not_call]\nblock_months = 5\n[retention]\nyears_5y = 4\n")

    result = invoke("serve", DATABASE_URL=url, POLICY_FILE=loose, PORT=1, DATA_DIR=tmp_path)

    assert result.exit_code == 1
    assert "do_not_call.block_months" in result.stderr
    assert "art. 25(2)" in result.stderr
    assert "art. 35" in result.stderr


def test_a_policy_file_that_cannot_be_read_stops_the_start(url: str, tmp_path: Path) -> None:
    result = invoke("serve", DATABASE_URL=url, POLICY_FILE=tmp_path / "none.toml", PORT=1, DATA_DIR=tmp_path)

    assert result.exit_code == 1
    assert "none.toml cannot be read: No such file" in result.stderr


def test_a_demo_clock_needs_the_embedded_database(url: str, tmp_path: Path) -> None:
    found = finished("run", DATABASE_URL=url, DEMO_CLOCK=DAY, DATA_DIR=tmp_path / "none")

    assert found.returncode == 2
    assert "DEMO_CLOCK works only with the embedded demo database" in found.stderr
    assert not (tmp_path / "none").exists()
