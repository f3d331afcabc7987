"""`telesales ledger`: sealing and changing the key from a terminal."""

import json
import shutil
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from typer.testing import CliRunner

from compliance.ledger_keys import DIRECTORY, read_public_keys
from services.cli.main import commands
from tests.compliance.ledger_rows import write_entries

RUNNER = CliRunner()


@pytest.fixture(autouse=True)
def environment(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setenv("CHECKPOINTS_URL", f"file://{tmp_path}/outside")


def ledger(*arguments: str) -> tuple[int, dict[str, object], str]:
    done = RUNNER.invoke(commands, ["ledger", *arguments, "--json"])
    return done.exit_code, json.loads(done.stdout or "{}"), done.stderr


def wait(engine: Engine, count: int) -> None:
    with engine.begin() as connection:
        write_entries(connection, count)


def test_sealing_says_how_much(engine: Engine, tmp_path: Path) -> None:
    wait(engine, 4)

    status, found, _ = ledger("seal")

    assert (status, found["problem"]) == (0, None)
    assert found["sealed"] == found["size"]
    assert (tmp_path / "outside" / "checkpoint.txt").read_text().split("\n")[1] == str(found["size"])


def test_a_ledger_that_is_contradicted_fails_and_is_sealed(engine: Engine, tmp_path: Path) -> None:
    wait(engine, 4)
    ledger("seal")
    with engine.begin() as owner:
        owner.execute(text("SET LOCAL session_replication_role = replica"))
        owner.execute(text("DELETE FROM ledger_checkpoints"))
        owner.execute(text("DELETE FROM ledger_leaves"))
        owner.execute(text("DELETE FROM ledger_entries"))
    wait(engine, 1)

    status, found, said = ledger("seal")

    assert status == 1
    assert isinstance(found["sealed"], int)
    assert found["sealed"] >= 1
    assert "rolled back" in said


def test_a_new_key_signs_beside_the_old_one(engine: Engine, tmp_path: Path) -> None:
    wait(engine, 1)
    ledger("seal")

    status, found, _ = ledger("rotate-key", "--overlap-days", "3")
    wait(engine, 1)
    ledger("seal")

    assert status == 0
    assert [one.key_id for one in read_public_keys(tmp_path)][1] == found["key_id"]
    assert (tmp_path / "outside" / "checkpoint.txt").read_text().count("\n— ") == 2
    with engine.connect() as connection:
        noted = connection.execute(text("SELECT subject, details FROM audit_events WHERE kind = 'ledger_key'")).one()
    assert noted.subject == found["key_id"]
    assert noted.details == {"verifier_key": found["verifier_key"], "lost": False, "overlap_days": 3}


def test_a_lost_key_is_named_and_replaced(engine: Engine, tmp_path: Path) -> None:
    wait(engine, 1)
    ledger("seal")
    next((tmp_path / DIRECTORY).glob("*.key")).unlink()
    wait(engine, 1)

    failed = ledger("seal")
    rotated = ledger("rotate-key", "--lost")
    sealed = ledger("seal")

    assert failed[0] == 1
    assert "rotate-key --lost" in failed[2].replace("\n", " ")
    assert (rotated[0], sealed[0]) == (0, 0)
    assert (tmp_path / "outside" / "checkpoint.txt").read_text().count("\n— ") == 1


def test_a_machine_without_the_keys_makes_no_other_unless_they_are_lost(engine: Engine, tmp_path: Path) -> None:
    wait(engine, 1)
    ledger("seal")
    shutil.rmtree(tmp_path / DIRECTORY)

    rotated = ledger("rotate-key")
    lost = ledger("rotate-key", "--lost")

    assert rotated[0] == 1
    assert "restore" in rotated[2]
    assert lost[0] == 0
    assert len(list((tmp_path / DIRECTORY).glob("*.key"))) == 1


@pytest.mark.parametrize("arguments", [["rotate-key", "--overlap-days", "-1"], ["rotate-key", "--overlap-days", "367"]])
def test_bad_usage_is_2(arguments: list[str]) -> None:
    assert ledger(*arguments)[0] == 2


def test_another_kind_of_place_is_bad_usage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHECKPOINTS_URL", "gs://bucket")

    status, _, said = ledger("seal")

    assert status == 2
    assert "CHECKPOINTS_URL" in said
