"""A ledger that is sealed and attested in tests, and what became of it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from io import StringIO

from sqlalchemy import Engine, text

from compliance.incidents import Incident, IncidentFilter, list_incidents
from compliance.ledger_attestations import Attestation, read_attestations
from compliance.ledger_reading import StoredCheckpoint, present_checkpoint
from infra.logs import configure_logs
from tests.compliance.ledger_rows import OneKey, one_key, seal_all, write_entries


def owner_of(engine: Engine) -> OneKey:
    with engine.connect() as connection:
        return one_key(connection)


@dataclass
class AttestedLedger:
    """Seals with a key of its own. What is logged from its making on is in `logged`."""

    engine: Engine
    clock: Callable[[], datetime]
    key: OneKey
    logged: StringIO

    @classmethod
    def make(cls, engine: Engine, clock: Callable[[], datetime]) -> "AttestedLedger":
        logged = StringIO()
        configure_logs("INFO", stream=logged)
        return cls(engine, clock, owner_of(engine), logged)

    def seal(self, entries: int = 3) -> StoredCheckpoint:
        with self.engine.begin() as connection:
            write_entries(connection, entries)
        seal_all(self.engine, self.key, clock=self.clock)
        with self.engine.connect() as connection:
            return present_checkpoint(connection)

    def cut(self, size: int) -> None:
        """Make the database an older copy of itself, as a restored backup is."""
        asked = {"size": size}
        with self.engine.begin() as owner:
            owner.execute(text("SET LOCAL session_replication_role = replica"))
            owner.execute(text("DELETE FROM ledger_checkpoints WHERE size > :size"), asked)
            owner.execute(text("DELETE FROM ledger_attestations WHERE size > :size"), asked)
            owner.execute(
                text(
                    "DELETE FROM ledger_entries WHERE source IN (SELECT source FROM ledger_leaves WHERE entry >= :size)"
                ),
                asked,
            )
            owner.execute(text("DELETE FROM ledger_leaves WHERE entry >= :size"), asked)

    def attestations(self, limit: int = 10) -> list[Attestation]:
        with self.engine.connect() as connection:
            return read_attestations(connection, limit=limit)

    def incidents(self) -> list[Incident]:
        with self.engine.connect() as connection:
            return list_incidents(connection, IncidentFilter(), before=None, limit=50)

    def close_incidents(self) -> None:
        with self.engine.begin() as connection:
            connection.execute(text("UPDATE incidents SET state = 'closed'"))
