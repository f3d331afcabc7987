"""A directory store while processes die at every step, several write at once, and the disk is full."""

import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

import pytest

from infra.clock import utc_now
from infra.directory_store import DirectoryStore
from infra.object_store import ObjectStoreError
from tests.infra.conftest import PROJECT
from tests.infra.stored_contents import content

KEY = "ab/abcd"


@pytest.fixture(scope="module")
def deaths(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, object]]:
    command = [sys.executable, "-m", "tests.infra.kill_directory_store", str(tmp_path_factory.mktemp("killed"))]
    said = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    return [json.loads(line) for line in said.splitlines()]


def test_every_change_was_killed_at_several_steps(deaths: list[dict[str, object]]) -> None:
    died = [str(one["change"]) for one in deaths if one["died"]]

    assert {name: died.count(name) >= 2 for name in dict.fromkeys(died)} == {
        "put": True,
        "put under a new key": True,
        "put again": True,
        "lock": True,
        "extend": True,
        "hold": True,
        "release": True,
        "delete": True,
    }


def test_a_change_that_was_killed_is_made_or_not_made(deaths: list[dict[str, object]]) -> None:
    assert [one for one in deaths if not one["is_whole"]] == []


def test_a_change_that_was_killed_can_be_made_again(deaths: list[dict[str, object]]) -> None:
    assert [one for one in deaths if not one["is_done_again"]] == []


def test_of_a_change_that_was_killed_and_made_again_nothing_is_left(deaths: list[dict[str, object]]) -> None:
    puts = [one for one in deaths if str(one["change"]).startswith(("put", "delete"))]

    assert [one for one in puts if one["left"]] == []


def put_numbers(root: Path, worker: int) -> list[str]:
    """Put ten contents, of which other workers put the same, under one key; return their versions."""
    store = DirectoryStore(root / "store", clock=utc_now)
    given = [content(root, f"voice {number * worker % 4}".encode()) for number in range(10)]
    return [store.put(KEY, one, is_held=True).version_id for one in given]


def test_processes_that_put_at_once_lose_nothing(tmp_path: Path) -> None:
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        made = [one for part in pool.map(put_numbers, [tmp_path] * 3, [1, 2, 3]) for one in part]

    store = DirectoryStore(tmp_path / "store", clock=utc_now)
    assert {one.version_id for one in store.versions(KEY)} == set(made)
    assert {b"".join(store.read(KEY, one)) for one in made} == {b"voice 0", b"voice 1", b"voice 2", b"voice 3"}


@contextmanager
def files_of_at_most(size_bytes: int) -> Iterator[None]:
    """Have the system refuse to this process what a full disk refuses."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_bytes_for_which_there_is_no_room_are_not_kept(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "store", clock=utc_now)
    voice = content(tmp_path, b"voice" * 1000)

    with files_of_at_most(1000), pytest.raises(ObjectStoreError, match="full: make room"):
        store.put(KEY, voice, is_held=True)

    assert store.versions(KEY) == []
    assert not list((tmp_path / "store" / "incoming").iterdir())
    assert b"".join(store.read(KEY, store.put(KEY, voice, is_held=True).version_id)) == b"voice" * 1000


def test_a_line_for_which_there_is_no_room_is_not_written(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "store", clock=utc_now)
    kept = store.put(KEY, content(tmp_path, b"voice"), is_held=True)
    journal = tmp_path / "store" / "objects" / f"{KEY}+versions.jsonl"
    before = journal.read_bytes()

    with files_of_at_most(len(before) + 20), pytest.raises(ObjectStoreError, match="full: make room"):
        store.set_hold(KEY, kept.version_id, is_held=False)

    assert journal.read_bytes() == before
    assert store.head(KEY, kept.version_id) == kept
    assert not store.set_hold(KEY, kept.version_id, is_held=False).is_held
