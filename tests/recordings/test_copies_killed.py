"""Keeping copies, killed at every step: no bytes are lost, nothing untrue is recorded, the next run ends the work."""

import signal
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest

from infra.advisory_locks import hold
from recordings.copies import restore_waiting
from recordings.copy_rows import hand_of
from recordings.fixity import verify_recording
from tests.recordings.kept_copies import TwoCopies

PROJECT = Path(__file__).parents[2]
STEPS = 12
"""More than either work takes: the last ones end by themselves."""


def run_and_kill(archive: TwoCopies, database: str, what: str, last: int, recording_id: UUID) -> int:
    """Return how the process ended, once its server process is gone, too: that one holds its lock a moment longer."""
    given = [database, str(archive.directory), what, str(last), str(recording_id)]
    ended = subprocess.run(
        [sys.executable, "-m", "tests.recordings.keep_until_killed", *given], cwd=PROJECT, check=False
    ).returncode
    with archive.engine.begin() as connection:
        hold(connection, hand_of(recording_id))
    return ended


@pytest.mark.slow
@pytest.mark.parametrize("last", range(STEPS))
def test_copying_killed_at_any_step_is_ended_by_the_next_run(archive: TwoCopies, database: str, last: int) -> None:
    recording_id = archive.add(b"voice")

    ended = run_and_kill(archive, database, "restore", last, recording_id)
    state = archive.copy(recording_id, "second").state
    made = restore_waiting(archive.keeping, most_seconds=60)

    assert ended in {0, -signal.SIGKILL}
    assert (state, made) in {("wanted", 1), ("stored", 0)}
    assert archive.read(recording_id, "second") == b"voice"
    assert archive.events(recording_id) == ["copied"]
    assert archive.incidents() == []


@pytest.mark.slow
@pytest.mark.parametrize("last", range(2 * STEPS + 1))
def test_verifying_and_repairing_killed_at_any_step_is_ended_by_the_next_run(
    archive: TwoCopies, database: str, last: int
) -> None:
    recording_id = archive.add(b"voice")
    restore_waiting(archive.keeping, most_seconds=60)
    archive.flip(recording_id, "first")

    ended = run_and_kill(archive, database, "verify", last, recording_id)
    restore_waiting(archive.keeping, most_seconds=60)
    verify_recording(archive.keeping, recording_id)

    assert ended in {0, -signal.SIGKILL}
    assert [archive.read(recording_id, name) for name in ("first", "second")] == [b"voice", b"voice"]
    assert len(archive.incidents()) <= 1
    assert verify_recording(archive.keeping, recording_id).is_good
