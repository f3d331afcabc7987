"""Two directory stores with copies of recordings in them, as the intake and the second copy leave them."""

import hashlib
import os
import signal
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from sqlalchemy import Engine, insert

from infra.clock import Clock
from infra.database import make_engine
from infra.directory_store import DirectoryStore
from infra.object_store import Content, ObjectStoreError, StoredObject
from recordings.copy_rows import Keeping
from recordings.locks import apply_locks
from recordings.recording_rows import deflated
from recordings.retention import refresh
from recordings.tables import recording_copies, recording_media
from tests.recordings.archive_rows import CALLED_AT, POLICY, add_recording


class AwayStore(DirectoryStore):
    """A store that can be taken away, and later be there again."""

    is_away = False

    def versions(self, key: str):  # type: ignore[no-untyped-def]  # noqa: ANN201 - the base says it
        self._be_there()
        return super().versions(key)

    def head(self, key: str, version_id: str) -> StoredObject:
        self._be_there()
        return super().head(key, version_id)

    def _be_there(self) -> None:
        if self.is_away:
            raise ObjectStoreError("the store is away")


class DyingStore(DirectoryStore):
    """A store whose client is killed when it wants to change a hold."""

    def set_hold(self, key: str, version_id: str, *, is_held: bool) -> StoredObject:  # noqa: ARG002
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


@dataclass(frozen=True, slots=True)
class Archive:
    engine: Engine
    clock: Clock
    first: AwayStore
    second: AwayStore
    keeping: Keeping
    root: Path

    def store(self, text: str = "hello", **facts: object) -> UUID:
        """Store `text` in both stores, under hold, and register it; what browsers play lies beside it."""
        data = text.encode()
        sha256 = hashlib.sha256(data).digest()
        path = self.root / sha256.hex()
        path.write_bytes(data)
        content = Content(path, len(data), sha256)
        key = f"audio/{sha256.hex()}"
        playable = self.first.put(f"{key}.playable", content, is_held=False)
        puts = {
            "first": self.first.put(key, content, is_held=True),
            "second": self.second.put(key, content, is_held=True),
        }
        with self.engine.begin() as connection:
            recording_id = add_recording(connection, sha256=sha256, size_bytes=len(data), **facts)  # type: ignore[arg-type]
            for name, stored in puts.items():
                connection.execute(insert(recording_copies).values(recording_id=recording_id, **_row(name, stored)))
            media = {
                "peaks": deflated(b"peaks"),
                "playable_key": playable.key,
                "playable_version_id": playable.version_id,
            }
            connection.execute(insert(recording_media).values(recording_id=recording_id, **media))
            refresh(connection, [recording_id], policy=POLICY, now=self.clock())
        return recording_id

    def apply(self) -> int:
        return apply_locks(self.keeping, most_seconds=30)


def _row(name: str, stored: StoredObject) -> dict[str, object]:
    at = CALLED_AT
    values = {"copy": name, "store": name, "state": "stored", "version_id": stored.version_id, "is_held": True}
    return {**values, "stored_at": at, "verified_at": at, "verify_after": at}


def make_archive(engine: Engine, clock: Clock, root: Path) -> Archive:
    first = AwayStore(root / "first", clock=clock)
    second = AwayStore(root / "second", clock=clock)
    stores = {"first": first, "second": second}
    keeping = Keeping(engine, clock, stores, root / "staging", timedelta(days=30))
    return Archive(engine, clock, first, second, keeping, root)


def die_at_the_hold(url: str, root: Path, now: datetime) -> None:
    """Apply locks in a process that is killed before it takes the first hold off."""
    engine = make_engine(url, application_name="tests")
    archive = make_archive(engine, lambda: now, root)
    stores = {"first": DyingStore(root / "first", clock=archive.clock), "second": archive.second}
    apply_locks(Keeping(engine, archive.clock, stores, root / "staging", timedelta(days=30)), most_seconds=30)
