"""An intake for tests: real audio, a real database, directories as stores."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, Row, insert, select

from compliance.tables import call_records
from infra.clock import Clock
from infra.directory_store import DirectoryStore
from recordings.archive import take_in
from recordings.metadata import read_metadata
from recordings.places import Places
from recordings.registration import Arrival, Registered
from recordings.registration_queue import RegistrationQueue, registered_alone
from recordings.staging import stage_file
from recordings.tables import recording_events
from tests.conftest import NOON
from tests.recordings.audio_files import tone, write

STARTED_AT = NOON - timedelta(hours=1)
METADATA: Mapping[str, object] = {
    "call_id": "call-1",
    "agent_id": "agent-1",
    "phone": "138 0013 8000",
    "started_at": STARTED_AT.isoformat(),
    "direction": "outbound",
    "channels": ["agent", "customer"],
}


def places_below(directory: Path, *, clock: Clock = lambda: NOON) -> Places:
    return Places(
        DirectoryStore(directory / "recordings", clock=clock),
        DirectoryStore(directory / "recordings-copy", clock=clock),
        directory / "staging",
    )


def stereo(path: Path, *, seconds: float = 2.0, name: str = "wav-alaw") -> Path:
    """Write a call with a tone in both channels, and return its path."""
    return write(path, tone(seconds, channels=2), name)


def sha256_of(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()


def without(*names: str, **changes: object) -> dict[str, object]:
    """Return METADATA without these fields and with those changed."""
    return {**{name: value for name, value in METADATA.items() if name not in names}, **changes}


def queue_in(engine: Engine, places: Places, clock: Clock) -> RegistrationQueue[Registered]:
    return RegistrationQueue(engine, places, clock=clock, answers=registered_alone)


@dataclass(frozen=True, slots=True)
class Desk:
    """Takes files in as the command line does."""

    engine: Engine
    places: Places
    clock: Clock = lambda: NOON

    def arrival(self, path: Path, fields: Mapping[str, object] = METADATA) -> Arrival:
        staged = stage_file(path, self.places.staging)
        return Arrival(staged, read_metadata(fields, now=self.clock()), "import", "tests")

    def take_in(self, path: Path, fields: Mapping[str, object] = METADATA) -> Registered:
        arrival = self.arrival(path, fields)
        try:
            return take_in(queue_in(self.engine, self.places, self.clock), arrival)
        finally:
            arrival.staged.discard()


def read_events(connection: Connection, recording_id: UUID) -> Sequence[Row[Any]]:
    """Return everything that happened to a recording, oldest first."""
    columns = recording_events.c
    wanted = select(recording_events).where(columns.recording_id == recording_id)
    return connection.execute(wanted.order_by(columns.recorded_at, columns.event_id)).all()


def add_call(
    engine: Engine,
    call_id: str = "call-1",
    *,
    seconds: float = 2.0,
    direction: str = "outbound",
    answered_at: datetime = STARTED_AT,
) -> None:
    """Record an answered call of this length with a customer at +8613800138000 and agent-1."""
    with engine.begin() as connection:
        connection.execute(
            insert(call_records).values(
                call_id=call_id,
                direction=direction,
                caller_digits=8613800138000 if direction == "inbound" else 8695500,
                callee_digits=8613800138000 if direction == "outbound" else 8695500,
                agent_id="agent-1",
                started_at=answered_at,
                answered_at=answered_at,
                ended_at=answered_at + timedelta(seconds=seconds),
                outcome="other",
                content={},
                content_digest=b"\0" * 32,
                actor="dialer",
                recorded_at=NOON,
            )
        )
