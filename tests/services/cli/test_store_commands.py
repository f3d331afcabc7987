"""`telesales store`, and a start that demands WORM."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.cli.main import commands
from tests.s3_simulator import Fault, s3_simulator

RUNNER = CliRunner()


@pytest.fixture(autouse=True)
def environment(credentials: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")


def test_both_stores_are_tried_and_directories_are_well_and_not_worm(tmp_path: Path) -> None:
    done = RUNNER.invoke(commands, ["store", "probe", "--json"])

    found = json.loads(done.stdout)["stores"]
    assert done.exit_code == 0
    assert [(one["store"], one["worm"]) for one in found] == [
        (str(tmp_path / "recordings"), False),
        (str(tmp_path / "recordings-copy"), False),
    ]
    assert [row["name"] for row in found[0]["rows"] if not row["ok"]] == ["refuse the owner of the files"]


def test_a_bucket_that_refuses_all_it_must_is_worm() -> None:
    with s3_simulator() as simulator:
        done = RUNNER.invoke(commands, ["store", "probe", "--url", simulator.place(), "--json"])

    assert done.exit_code == 0
    assert json.loads(done.stdout)["stores"][0]["worm"] is True


def test_a_bucket_that_shortens_fails_in_words() -> None:
    with s3_simulator() as simulator:
        simulator.fails(Fault.ANY_DATE, "lock")
        done = RUNNER.invoke(commands, ["store", "probe", "--url", simulator.place()], env={"COLUMNS": "140"})

    assert done.exit_code == 1
    assert "s3://evidence/of-us (not WORM)" in done.stdout
    assert "shorten the lock" in done.stdout
    assert "FAILS" in done.stdout


def test_a_store_that_does_not_answer_is_one_sentence() -> None:
    done = RUNNER.invoke(
        commands, ["store", "probe", "--url", "s3://none?endpoint=http://127.0.0.1:1&region=us-east-1"]
    )

    assert done.exit_code == 1
    assert "cannot be probed: it does not answer" in done.stderr


@pytest.mark.parametrize("url", ["gs://recordings", "s3://key:secret@recordings", "s3://a"])
def test_what_names_no_store_is_bad_usage_without_its_text(url: str) -> None:
    done = RUNNER.invoke(commands, ["store", "probe", "--url", url])

    assert done.exit_code == 2
    assert "--url: write it as for RECORDINGS_URL" in done.stderr
    assert "secret" not in done.stderr


@pytest.mark.parametrize("process", ["serve", "worker"])
def test_a_start_that_demands_worm_is_refused_on_directories(process: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECORDINGS_WORM", "required")

    done = RUNNER.invoke(commands, [process])

    assert done.exit_code == 1
    assert "RECORDINGS_WORM=required" in done.stderr
    assert done.stderr.count("a directory cannot") == 2


def test_a_start_that_demands_worm_names_what_a_store_let_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    with s3_simulator() as simulator:
        simulator.fails(Fault.ANY_DATE, "lock")
        monkeypatch.setenv("RECORDINGS_URL", simulator.place())
        monkeypatch.setenv("RECORDINGS_WORM", "required")
        done = RUNNER.invoke(commands, ["serve"])

    assert done.exit_code == 1
    assert "s3://evidence/of-us: shorten the lock: accepted" in done.stderr
