import json
import os
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from typer.testing import CliRunner, Result

from services.cli.lists import commands

LISTED = "phone,refused_at\n13800138000,2026-03-15\n110,\n"


class Terminal:
    """Runs `telesales do-not-call` on a database of its own."""

    def __init__(self, url: str, directory: Path) -> None:
        self.environment = {"DATABASE_URL": url, "DATA_DIR": str(directory)}
        self.source = directory / "list.csv"

    def run(self, content: str, *options: str) -> Result:
        self.source.write_text(content, encoding="utf-8")
        return CliRunner(env=self.environment).invoke(commands, ["import", str(self.source), *options])


@pytest.fixture
def terminal(database: str, tmp_path: Path) -> Terminal:
    return Terminal(database, tmp_path)


def count_entries(engine: Engine) -> int:
    with engine.connect() as connection:
        found: int = connection.execute(text("SELECT count(*) FROM do_not_call_entries")).scalar_one()
    return found


def test_a_tolerant_import_with_rejected_rows_is_done(terminal: Terminal, engine: Engine, tmp_path: Path) -> None:
    done = terminal.run(LISTED, "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout) == {
        "rows": 2,
        "created": 1,
        "extended": 0,
        "unchanged": 0,
        "rejected": 1,
        "raised": 0,
        "rejected_file": str(tmp_path / "rejected.csv"),
    }
    assert (tmp_path / "rejected.csv").read_text("utf-8").splitlines()[1].startswith("3,110,short_number,")
    assert count_entries(engine) == 1


def test_a_strict_import_with_a_bad_row_fails_and_stores_nothing(terminal: Terminal, engine: Engine) -> None:
    failed = terminal.run(LISTED, "--mode", "strict")
    assert (failed.exit_code, "nothing was stored" in failed.stdout) == (1, True)
    assert count_entries(engine) == 0


def test_the_rejected_rows_go_where_they_are_wanted(terminal: Terminal, tmp_path: Path) -> None:
    assert terminal.run(LISTED, "--rejected", str(tmp_path / "bad.csv")).exit_code == 0
    assert (tmp_path / "bad.csv").is_file()


def test_the_list_is_never_overwritten_by_its_rejected_rows(terminal: Terminal) -> None:
    refused = terminal.run(LISTED, "--rejected", str(terminal.source))
    assert (refused.exit_code, terminal.source.read_text("utf-8")) == (2, LISTED)


def test_a_device_is_never_replaced_by_the_rejected_rows(terminal: Terminal, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "device")
    refused = terminal.run(LISTED, "--rejected", str(tmp_path / "device"))
    assert (refused.exit_code, (tmp_path / "device").is_fifo()) == (2, True)


def test_a_directory_that_is_missing_is_named(terminal: Terminal, engine: Engine, tmp_path: Path) -> None:
    failed = terminal.run(LISTED, "--rejected", str(tmp_path / "missing" / "bad.csv"))
    assert (failed.exit_code, "No such file or directory" in failed.output) == (1, True)
    assert count_entries(engine) == 0


def test_a_file_that_is_no_list_fails(terminal: Terminal) -> None:
    failed = terminal.run("name\nWang\n")
    assert (failed.exit_code, "no column of telephone numbers" in failed.output) == (1, True)


@pytest.mark.parametrize("arguments", [["import"], ["import", "missing.csv"], ["import", __file__, "--mode", "x"]])
def test_bad_usage_is_told_apart_from_failure(arguments: list[str]) -> None:
    assert CliRunner().invoke(commands, arguments).exit_code == 2
