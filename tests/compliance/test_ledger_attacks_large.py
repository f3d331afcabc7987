"""A week without a sealer, and full disks: nothing half, bounded memory, and the next sealing does it all."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]  # it ships no types
import pytest
from sqlalchemy import Connection, Engine, text

from compliance.checkpoint_stores import CheckpointDirectory
from compliance.ledger_reading import latest_checkpoint, read_line
from compliance.ledger_runs import Ledger, check_outside, seal_waiting
from compliance.ledger_sealer import MOST_ENTRIES
from compliance.ledger_tree import consistency_path, inclusion_path, root_at
from compliance.merkle import check_consistency, check_inclusion, leaf_hash
from infra.clock import utc_now
from infra.database import make_engine
from infra.embedded_postgres import EmbeddedPostgres
from infra.logs import configure_logs
from services.sealing import seal_if_possible
from tests.services.processes import PROJECT
from tests.services.shared_app import fresh_database

WAITING = 2_000_000
MOST_MEMORY_KIB = 300 * 1024
CHUNK_BYTES = 16 * 1024 * 1024
"""A file of PostgreSQL's log of changes: who may not write as much cannot commit at all."""

_ENTRIES = text("""
INSERT INTO ledger_entries (recorded_at, kind, keys, digests, salts)
SELECT now(), 'incidents.insert', ARRAY[n::text], sha256(int8send(n)), substr(sha256(int8send(-n)), 1, 16)
  FROM generate_series(1, :count) n""")


def sealed_alone(url: str, directory: Path, *, most_bytes: int = 0) -> dict[str, Any]:
    """Seal in a process of its own and return what it said."""
    program = [sys.executable, "-m", "tests.compliance.seal_alone", url, str(directory), str(most_bytes)]
    done = subprocess.run(program, cwd=PROJECT, capture_output=True, text=True, check=True, timeout=300)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


class Large:
    """A ledger of two million entries, sealed by a process of its own."""

    def __init__(self, url: str, directory: Path) -> None:
        self.url, self.directory = url, directory
        self.engine = make_engine(url, application_name="tests", pool_size=1, max_overflow=0)
        self.write(WAITING)
        self.said = sealed_alone(url, directory)
        began = utc_now()
        store = CheckpointDirectory(directory / "outside")
        self.ledger = Ledger(self.engine, lambda: began, directory / "data", store)

    def write(self, count: int) -> None:
        with self.engine.begin() as connection:
            connection.execute(_ENTRIES, {"count": count})

    def size(self) -> int:
        with self.engine.connect() as connection:
            last = latest_checkpoint(connection)
        return 0 if last is None else last.size


@pytest.fixture(scope="module")
def large(server: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Large]:
    with fresh_database(server, template) as url:
        made = Large(url, tmp_path_factory.mktemp("large"))
        yield made
        made.engine.dispose()


@pytest.mark.slow
def test_two_million_entries_are_sealed_in_bounded_steps_and_memory(large: Large) -> None:
    with large.engine.connect() as connection:
        sizes = connection.execute(text("SELECT size FROM ledger_checkpoints ORDER BY size")).scalars().all()

    steps = {later - earlier for earlier, later in zip([0, *sizes], sizes, strict=False)}
    assert large.said["entries"] >= WAITING
    assert max(steps) <= MOST_ENTRIES
    assert large.said["trouble"] is None
    assert large.said["peak_kib"] < MOST_MEMORY_KIB


def assert_included(connection: Connection, entry: int, size: int) -> None:
    line, leaf = read_line(connection, entry)
    assert leaf_hash(line) == leaf
    check_inclusion(leaf, entry, size, inclusion_path(connection, entry, size), root_at(connection, size))


@pytest.mark.slow
@pytest.mark.parametrize("entry", [0, 255, 256, 65_535, 65_536, 1_000_000, 1_048_576, WAITING - 1])
def test_proofs_in_a_large_tree_lead_to_its_signed_root(large: Large, entry: int) -> None:
    with large.engine.connect() as connection:
        last = latest_checkpoint(connection)
        assert last is not None
        assert root_at(connection, last.size) == last.root
        assert_included(connection, entry, last.size)
        old = connection.execute(text("SELECT size, root FROM ledger_checkpoints ORDER BY size LIMIT 1")).one()
        path = consistency_path(connection, old.size, last.size)
        check_consistency(old.size, last.size, path, old.root, last.root)


def leaves_file_bytes(engine: Engine) -> int:
    with engine.connect() as connection:
        found: int = connection.execute(text("SELECT pg_relation_size('ledger_leaves')")).scalar_one()
    return found


def limit_backend(engine: Engine, most_bytes: int | str) -> None:
    """Let the one backend of an engine write no file beyond `most_bytes`, as on a full disk."""
    with engine.connect() as connection:
        process = psutil.Process(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())
    # As the account that the server runs as: even root may not limit the processes of others everywhere.
    subprocess.run(
        ["prlimit", f"--pid={process.pid}", f"--fsize={most_bytes}:"],
        check=True,
        user=process.uids().real,
        group=process.gids().real,
        extra_groups=[] if os.geteuid() == 0 else None,
    )


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("prlimit") is None, reason="the program prlimit of util-linux is not here")
def test_a_full_disk_of_the_database_leaves_nothing_half_and_the_next_sealing_does_it_all(large: Large) -> None:
    logged = StringIO()
    configure_logs("INFO", stream=logged)
    size = large.size()
    large.write(MOST_ENTRIES)
    full = leaves_file_bytes(large.engine)
    assert full > CHUNK_BYTES

    limit_backend(large.engine, full)
    seal_if_possible(large.ledger)
    during = large.size()
    limit_backend(large.engine, "unlimited")
    seal_if_possible(large.ledger)

    assert "ledger_not_sealed" in logged.getvalue()
    assert (during, large.size()) == (size, size + MOST_ENTRIES)
    assert leaves_file_bytes(large.engine) > full
    with large.engine.connect() as connection:
        assert_included(connection, size + MOST_ENTRIES - 1, size + MOST_ENTRIES)


def test_a_full_disk_outside_leaves_the_last_checkpoint_whole_and_is_told(
    engine: Engine, database: str, tmp_path: Path
) -> None:
    began = utc_now() - timedelta(days=1)
    ledger = Ledger(engine, lambda: began, tmp_path / "data", CheckpointDirectory(tmp_path / "outside"))
    seal_waiting(ledger)
    files = {path: path.read_bytes() for path in (tmp_path / "outside").rglob("*.*")}
    with engine.begin() as connection:
        connection.execute(_ENTRIES, {"count": 5})

    said = sealed_alone(database, tmp_path, most_bytes=100)
    during = {path: path.read_bytes() for path in (tmp_path / "outside").rglob("*.*")}
    done = seal_waiting(ledger)

    assert said["entries"] == 5
    assert "cannot be written" in said["trouble"]
    assert during == files
    assert (done.entries, done.trouble) == (0, None)
    assert done.checkpoint is not None
    assert ledger.store.newest() == done.checkpoint.note
    assert check_outside(ledger) == (None, None)
