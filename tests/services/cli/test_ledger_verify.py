"""`telesales ledger verify`: a bundle, or the database itself."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from typer.testing import CliRunner

from services.cli.main import commands
from tests import ledger_database
from tests.evidence.bundles.make import BROKEN, GOOD

RUNNER = CliRunner()
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, database: str) -> Run:
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setenv("CHECKPOINTS_URL", f"file://{tmp_path}/outside")

    def run(*arguments: str) -> tuple[int, str]:
        done = RUNNER.invoke(commands, ["ledger", *arguments])
        return done.exit_code, done.stdout

    return run


@pytest.fixture
def sealed(run: Run, engine: Engine) -> Run:
    with engine.begin() as connection:
        ledger_database.make_tables(connection)
        ledger_database.put(connection, "a", [1, 2, 3], "一")
    assert run("seal")[0] == 0
    return run


def edit(engine: Engine, statement: str) -> None:
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text(statement))


def test_a_good_bundle_passes(run: Run) -> None:
    status, said = run("verify", str(GOOD / "format-1-whole.zip"))

    assert status == 0
    assert said.endswith("OK: nothing was changed\n")


def test_a_broken_bundle_fails_with_every_problem(run: Run) -> None:
    status, said = run("verify", str(BROKEN / "changed-row.zip"), "--json")

    found = json.loads(said)
    assert (status, found["ok"]) == (1, False)
    assert [(one["entry"], one["table"], one["key"], one["what"]) for one in found["problems"]] == [
        (5, "registers", "agents/3", "row_changed")
    ]


def test_the_database_is_verified_and_a_changed_digit_is_named(sealed: Run, engine: Engine) -> None:
    before = sealed("verify", "--live", "--json")
    edit(engine, "UPDATE letters SET body = '1' WHERE number = 2")
    after = sealed("verify", "--live", "--json")

    assert (before[0], json.loads(before[1])["problems"]) == (0, [])
    assert after[0] == 1
    assert [(one["table"], one["key"], one["what"]) for one in json.loads(after[1])["problems"]] == [
        ("letters", "a/2", "row_changed")
    ]


def test_a_part_of_the_database_is_verified(sealed: Run) -> None:
    status, said = sealed("verify", "--live", "--from", "0", "--to", "0", "--json")

    assert (status, json.loads(said)["entries"]) == (0, 1)


def test_an_outside_checkpoint_that_the_database_lacks_is_a_problem(sealed: Run, engine: Engine) -> None:
    edit(engine, "DELETE FROM ledger_checkpoints")

    status, said = sealed("verify", "--live")

    assert status == 1
    assert "an old state of the database was restored" in said


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--live", str(GOOD / "format-1-whole.zip")],
        [str(GOOD / "format-1-whole.zip"), "--from", "1"],
        ["no-such-file.zip"],
        ["--live", "--from", "yesterday"],
        ["--live", "--key", "x"],
        ["--live", "--witness", "x"],
        [str(GOOD / "format-1-whole.zip"), "--witness", "x"],
    ],
)
def test_wrong_usage_exits_with_2(run: Run, arguments: list[str]) -> None:
    assert run("verify", *arguments)[0] == 2
