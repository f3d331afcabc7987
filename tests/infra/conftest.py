"""Fixtures that several files of tests share."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra import embedded_postgres
from infra.clock import utc_now
from infra.object_store import Content
from infra.s3_object_store import S3ObjectStore
from infra.s3_place import read_s3_place
from tests.infra.embedded_server import socket_dir_of
from tests.infra.stored_contents import content
from tests.s3_simulator import Simulator, s3_simulator

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A directory that only its owner may enter, as mkdtemp makes it; its server is stopped at the end."""
    top = Path(tempfile.mkdtemp(prefix="telesales-test-"))
    yield top / "var"
    for home in [*top.rglob("postgres/server.conf")]:
        if (server := embedded_postgres.find_running(home.parents[1])) is not None:
            server.stop(within_s=5)
        shutil.rmtree(socket_dir_of(home.parents[1]), ignore_errors=True)
    shutil.rmtree(top, ignore_errors=True)


@pytest.fixture
def holder(data_dir: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that started the server and holds it."""
    command = [sys.executable, "-m", "tests.infra.hold_postgres", str(data_dir)]
    with subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started_here=True\n"
        yield process
        process.kill()


@pytest.fixture
def simulator(credentials: None) -> Iterator[Simulator]:
    with s3_simulator() as running:
        yield running


@pytest.fixture
def store(simulator: Simulator) -> S3ObjectStore:
    return S3ObjectStore(read_s3_place(simulator.place()), clock=utc_now, timeout_s=2)


@pytest.fixture
def voice(tmp_path: Path) -> Content:
    return content(tmp_path, b"voice")
