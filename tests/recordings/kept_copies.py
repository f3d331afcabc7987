"""An archive of two directories, with recordings whose rows and bytes are as the intake leaves them."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, insert, select, update

from compliance.tables import incident_events, incidents
from infra.directory_store import DirectoryStore
from infra.ids import new_id
from infra.object_store import Content, ObjectStore
from recordings.copy_rows import CopyRow, Keeping, read_kept
from recordings.tables import fixity_days, recording_copies, recording_events, recordings
from tests.conftest import SettableClock
from tests.recordings.archive_rows import add_recording

PERIOD = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class TwoCopies:
    """What a test works with; `first` and `second` are the stores of `keeping`."""

    keeping: Keeping
    clock: SettableClock
    directory: Path

    @property
    def engine(self) -> Engine:
        return self.keeping.engine

    def add(self, data: bytes = b"voice", *, call_id: str | None = None, policy_no: str | None = None) -> UUID:
        """Take in a recording: in the first store, wanted in the second."""
        digest = hashlib.sha256(data).digest()
        with self.engine.begin() as connection:
            recording_id = add_recording(
                connection, sha256=digest, size_bytes=len(data), call_id=call_id, policy_no=policy_no
            )
        path = self.directory / f"given-{new_id().hex}"
        path.write_bytes(data)
        key = f"audio/{digest.hex()}"
        stored = self.keeping.stores["first"].put(key, Content(path, len(data), digest), is_held=True)
        now = self.clock()
        has = {"state": "stored", "version_id": stored.version_id, "is_held": True, "stored_at": now}
        with self.engine.begin() as connection:
            for name, values in (("first", has), ("second", {"state": "wanted"})):
                store = self.keeping.stores[name].name
                row = {"recording_id": recording_id, "copy": name, "store": store, "verify_after": now}
                connection.execute(insert(recording_copies).values(**row | values))
        return recording_id

    def copy(self, recording_id: UUID, name: str) -> CopyRow:
        with self.engine.connect() as connection:
            found = read_kept(connection, recording_id).copy(name)
        assert found is not None
        return found

    def bytes_path(self, recording_id: UUID, name: str) -> Path:
        """Return the file in which a directory store keeps the bytes of a copy."""
        with self.engine.connect() as connection:
            kept = read_kept(connection, recording_id)
        return Path(self.keeping.stores[name].name) / "objects" / f"{kept.object_key}+{kept.sha256.hex()}"

    def read(self, recording_id: UUID, name: str) -> bytes:
        with self.engine.connect() as connection:
            kept = read_kept(connection, recording_id)
        version_id = self.copy(recording_id, name).version_id
        assert version_id is not None
        return b"".join(self.keeping.stores[name].read(kept.object_key, version_id))

    def flip(self, recording_id: UUID, name: str) -> bytes:
        """Flip a bit of a copy where it lies; return the bytes as they are then."""
        path = self.bytes_path(recording_id, name)
        data = bytearray(path.read_bytes())
        data[0] ^= 1
        path.chmod(0o600)
        path.write_bytes(data)
        return bytes(data)

    def events(self, recording_id: UUID) -> list[str]:
        columns = recording_events.c
        wanted = select(columns.kind).where(columns.recording_id == recording_id)
        with self.engine.connect() as connection:
            return list(connection.execute(wanted.order_by(columns.recorded_at, columns.event_id)).scalars())

    def incidents(self) -> list[dict[str, Any]]:
        with self.engine.connect() as connection:
            rows = connection.execute(select(incidents).order_by(incidents.c.incident_id)).mappings()
            return [dict(row) for row in rows]

    def told(self, incident_id: UUID) -> list[str]:
        """Return what the history of an incident tells beyond its opening."""
        columns = incident_events.c
        wanted = select(columns.details["what"].as_string()).where(columns.incident_id == incident_id)
        with self.engine.connect() as connection:
            found = connection.execute(wanted.order_by(columns.recorded_at, columns.event_id)).scalars()
            return [one for one in found if one is not None]

    def counts(self) -> dict[str, int]:
        """Return what was counted on the latest day."""
        latest = select(fixity_days).order_by(fixity_days.c.day.desc()).limit(1)
        with self.engine.connect() as connection:
            row = connection.execute(latest).mappings().one()
            return {name: row[name] for name in ("copies", "damaged", "weakened", "repaired")}

    def change(self, recording_id: UUID, **values: object) -> None:
        """Change columns of a recording's own row."""
        with self.engine.begin() as connection:
            mine = recordings.c.recording_id == recording_id
            connection.execute(update(recordings).where(mine).values(**values))

    def due_at(self, recording_id: UUID, name: str, at: datetime | None) -> None:
        with self.engine.begin() as connection:
            columns = recording_copies.c
            mine = (columns.recording_id == recording_id) & (columns.copy == name)
            connection.execute(update(recording_copies).where(mine).values(verify_after=at))


def two_copies(engine: Engine, clock: SettableClock, directory: Path) -> TwoCopies:
    """Return an archive in the directories that the product uses when no setting names others."""
    stores: dict[str, ObjectStore] = {
        "first": DirectoryStore(directory / "recordings", clock=clock),
        "second": DirectoryStore(directory / "recordings-copy", clock=clock),
    }
    keeping = Keeping(engine, clock, stores, directory / "staging", PERIOD)
    return TwoCopies(keeping, clock, directory)
