"""Imports into a bucket that are killed, or run at the same time: each call is one recording and one version."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select

from recordings.tables import recordings
from tests.recordings.desk import METADATA, stereo
from tests.s3_simulator import Fault, Simulator, s3_simulator
from tests.services.processes import PROJECT, environment

CALLS = ("a", "b", "c")


@pytest.fixture
def simulator(credentials: None) -> Iterator[Simulator]:
    with s3_simulator() as running:
        yield running


@pytest.fixture(params=[True, False], ids=["puts only what is new if asked", "knows no conditions"])
def conditions(simulator: Simulator, request: pytest.FixtureRequest) -> None:
    simulator.knows_conditions = request.param


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    rows = [f"{name}.wav,call-{name},{METADATA['started_at']},agent;customer" for name in CALLS]
    for length, name in enumerate(CALLS, start=1):
        stereo(tmp_path / f"{name}.wav", seconds=length)
    path = tmp_path / "list.csv"
    path.write_text("\n".join(["file,call_id,started_at,channels", *rows]) + "\n")
    return path


def begun(listed: Path, simulator: Simulator, database: str, nth: int = 1) -> "subprocess.Popen[bytes]":
    """Start an import of the list."""
    directory = listed.parent
    variables = environment(
        DATABASE_URL=database,
        DATA_DIR=directory / "data",
        RECORDINGS_URL=simulator.place(),
        RECORDINGS_COPY_URL=directory / "second",
    )
    arguments = ["recordings", "import", str(directory), "--metadata", str(listed), "--workers", "3"]
    refused = ["--refused", str(directory / f"refused-{nth}.csv")]
    command = [sys.executable, "-m", "services.cli.main", *arguments, *refused]
    return subprocess.Popen(command, cwd=PROJECT, env=variables)


def recorded(engine: Engine) -> int:
    with engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(recordings)).scalar_one()


def versions(simulator: Simulator) -> list[int]:
    """Return how many versions each recording has in the bucket."""
    return [len(found) for key, found in simulator.bucket.keys.items() if "/probe/" not in key]


@pytest.mark.slow
@pytest.mark.usefixtures("conditions")
@pytest.mark.parametrize(
    ("fault", "operation"),
    [
        pytest.param(Fault.HANGS, "put", id="before it is put"),
        pytest.param(Fault.HANGS_AFTERWARDS, "put", id="before it is known to be put"),
        pytest.param(Fault.HANGS, "head", id="before it is read back"),
    ],
)
def test_killed_and_begun_again_it_is_one_recording_of_one_version(
    simulator: Simulator,
    listed: Path,
    database: str,
    engine: Engine,
    fault: Fault,
    operation: str,
) -> None:
    simulator.fails(fault, operation)
    simulator.spared = "/probe/"
    with begun(listed, simulator, database) as process:
        assert simulator.stalled.wait(60)
        process.kill()
    simulator.fails(Fault.NONE)

    with begun(listed, simulator, database) as again:
        assert again.wait(60) == 0

    assert recorded(engine) == len(CALLS)
    assert versions(simulator) == [1] * len(CALLS)


@pytest.mark.slow
def test_two_imports_of_one_list_at_once_make_one_recording_of_each_call(
    simulator: Simulator, listed: Path, database: str, engine: Engine
) -> None:
    with begun(listed, simulator, database) as one, begun(listed, simulator, database, 2) as other:
        assert (one.wait(60), other.wait(60)) == (0, 0)

    assert recorded(engine) == len(CALLS)
    assert versions(simulator) == [1] * len(CALLS)
