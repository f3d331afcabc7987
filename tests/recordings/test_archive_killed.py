"""An intake that is killed at any step: who tries again ends with one recording, and the store has its bytes."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from infra.application_role import application_url
from recordings.object_keys import object_key
from recordings.recording_rows import read_copies
from recordings.staging import remove_left_behind
from recordings.tables import recordings
from tests.conftest import NOON
from tests.recordings.desk import Desk, places_below, sha256_of
from tests.recordings.take_in_until_killed import call_of, fields_of
from tests.services.processes import PROJECT

Steps = list[dict[str, Any]]


@pytest.fixture
def steps(database: str, tmp_path: Path) -> Steps:
    """Return what became of an intake that was killed before its first step, its second, and so on to its end."""
    program = [sys.executable, "-m", "tests.recordings.take_in_until_killed", application_url(database), str(tmp_path)]
    done = subprocess.run(program, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare the disk, as the killed processes do."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)


def recordings_of(engine: Engine, number: int) -> int:
    with engine.connect() as connection:
        is_its = recordings.c.call_id == f"call-{number}"
        return connection.execute(select(func.count()).where(is_its)).scalar_one()


@pytest.mark.slow
def test_killed_at_any_step_and_tried_again_it_is_one_recording(
    steps: Steps, engine: Engine, tmp_path: Path, unsynced: None
) -> None:
    desk = Desk(engine, places_below(tmp_path / "data"), lambda: NOON)
    before = [recordings_of(engine, one["step"]) for one in steps]

    again = [desk.take_in(call_of(tmp_path, one["step"]), fields_of(one["step"])) for one in steps]

    traces = {one["before"] for one in steps if one["killed"]}
    assert {"open", "fsync", "os.rename", "os.remove", "statement", "commit"} <= traces
    assert [one["killed"] for one in steps] == [True] * (len(steps) - 1) + [False]
    assert before[-1] == 1
    assert [one.is_new for one in again] == [found == 0 for found in before]
    assert [recordings_of(engine, one["step"]) for one in steps] == [1] * len(steps)
    for one, registered in zip(steps, again, strict=True):
        path = call_of(tmp_path, one["step"])
        key = object_key(sha256_of(path), f"call-{one['step']}")
        with engine.connect() as connection:
            first, _ = read_copies(connection, registered.recording_id)
        assert len(desk.places.first.versions(key)) == 1
        assert b"".join(desk.places.first.read(key, first.version_id or "")) == path.read_bytes()
        assert desk.places.first.head(key, first.version_id or "").is_held
    remove_left_behind(desk.places.staging, changed_before=NOON.replace(year=2100))
    assert list(desk.places.staging.iterdir()) == []
