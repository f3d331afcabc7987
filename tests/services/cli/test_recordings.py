"""`telesales recordings import`: listed files into the archive, the refused ones named with their reasons."""

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select
from typer.testing import CliRunner, Result

from recordings.tables import recordings
from services.cli.main import commands
from tests.recordings.desk import METADATA, stereo

HEADER = "file,call_id,agent_id,phone,started_at,direction,channels"
STARTED = METADATA["started_at"]


def row(file: str, call_id: str, *, channels: str = "agent;customer") -> str:
    return f"{file},{call_id},agent-1,138 0013 8000,{STARTED},outbound,{channels}"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    found = tmp_path / "录音"
    (found / "day 1").mkdir(parents=True)
    stereo(found / "a.wav")
    stereo(found / "day 1" / "b.wav", seconds=1)
    (found / "broken.wav").write_bytes((found / "a.wav").read_bytes()[:-10])
    return found


def listed(directory: Path, *rows: str, encoding: str = "utf-8", header: str = HEADER) -> Path:
    path = directory.parent / "list.csv"
    path.write_text("\r\n".join([header, *rows]) + "\r\n", encoding, newline="")
    return path


def run(source: Path, metadata: Path, database: str, *more: str) -> Result:
    environment = {"DATABASE_URL": database, "DATA_DIR": str(metadata.parent / "data")}
    arguments = ["recordings", "import", str(source), "--metadata", str(metadata), "--workers", "3", *more]
    return CliRunner(env=environment).invoke(commands, arguments)


def answer(result: Result) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(result.stdout)
    return {name: found[name] for name in ("rows", "stored", "known", "refused")}


def refused_rows(directory: Path) -> list[dict[str, str]]:
    with (directory.parent / "refused.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def calls(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.execute(select(recordings.c.call_id).order_by(recordings.c.call_id)).scalars())


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_all_files_are_taken_in(directory: Path, database: str, engine: Engine, encoding: str) -> None:
    metadata = listed(directory, row("a.wav", "通话-1"), row("day 1/b.wav", "call-2"), encoding=encoding)

    done = run(directory, metadata, database, "--json")

    assert done.exit_code == 0, done.output
    assert answer(done) == {"rows": 2, "stored": 2, "known": 0, "refused": 0}
    assert json.loads(done.stdout)["seconds"] > 0
    assert calls(engine) == ["call-2", "通话-1"]


def test_the_refused_are_named_and_the_others_stored(directory: Path, database: str, engine: Engine) -> None:
    metadata = listed(
        directory,
        row("a.wav", "call-1"),
        row("broken.wav", "call-2"),
        row("missing.wav", "call-3"),
        row("day 1/b.wav", "call-4", channels="mixed"),
        row("../list.csv", "call-5"),
        row("", "call-6"),
        row("day 1", "call-7"),
        "",
    )

    done = run(directory, metadata, database, "--json")

    assert done.exit_code == 1
    assert answer(done) == {"rows": 7, "stored": 1, "known": 0, "refused": 6}
    assert calls(engine) == ["call-1"]
    assert {(one["line"], one["reason"]) for one in refused_rows(directory)} == {
        ("3", "truncated"),
        ("4", "unreadable_file"),
        ("5", "metadata"),
        ("6", "outside"),
        ("7", "row"),
        ("8", "no_regular_file"),
    }


def test_names_that_no_file_can_have_are_refused_and_end_nothing(
    directory: Path, database: str, engine: Engine
) -> None:
    (directory / "loop").symlink_to("loop")
    names = ["loop", "loop/a.wav", "a\0.wav", "x" * 300, "a.wav/a.wav"]
    metadata = listed(directory, *(row(name, "call-1") for name in names), row("a.wav", "call-2"))

    done = run(directory, metadata, database, "--json")
    alone = run(directory / "a.wav", metadata, database, "--json")

    assert (done.exit_code, answer(done)) == (1, {"rows": 6, "stored": 1, "known": 0, "refused": 5}), done.output
    assert (alone.exit_code, answer(alone)) == (0, {"rows": 1, "stored": 0, "known": 1, "refused": 0}), alone.output
    assert calls(engine) == ["call-2"]


def test_a_repeat_stores_nothing_twice(directory: Path, database: str, engine: Engine) -> None:
    metadata = listed(directory, row("a.wav", "call-1"), row("a.wav", "call-1"))
    run(directory, metadata, database)

    again = run(directory, metadata, database, "--json")

    assert (again.exit_code, answer(again)) == (0, {"rows": 2, "stored": 0, "known": 2, "refused": 0})
    assert calls(engine) == ["call-1"]


def test_one_file_is_taken_in_by_its_row(directory: Path, database: str, engine: Engine) -> None:
    metadata = listed(directory, row("a.wav", "call-1"), row("broken.wav", "call-2"))

    done = run(directory / "a.wav", metadata, database, "--json")

    assert (done.exit_code, answer(done)["rows"], calls(engine)) == (0, 1, ["call-1"])


@pytest.mark.parametrize(
    ("header", "named"),
    [
        pytest.param("path,call_id", "no column 'file'", id="no file"),
        pytest.param("file,call_id,chanels", "chanels", id="misspelt"),
        pytest.param("file,call_id,call_id", "twice", id="twice"),
    ],
)
def test_a_list_that_cannot_be_read_is_told(directory: Path, database: str, header: str, named: str) -> None:
    done = run(directory, listed(directory, header=header), database)

    assert done.exit_code == 1
    assert named in done.output


def test_the_list_is_never_overwritten(directory: Path, database: str) -> None:
    metadata = listed(directory, row("a.wav", "call-1"))

    done = run(directory, metadata, database, "--refused", str(metadata))

    assert done.exit_code == 2
    assert metadata.read_text().startswith("file,")
