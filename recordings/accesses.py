"""Who listened to what, why and from where (art. 35: the contents of recordings are confidential).

A listening is noted before its first byte is sent. Players ask for a recording in many pieces: what one person asks of
one recording for one purpose from one address within half an hour of the first piece is one listening, and a new one
begins with the next request after that. So a long listening may be noted several times, and never not at all.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, insert, select, tuple_

from infra.advisory_locks import hold, lock_key
from infra.ids import new_id
from recordings.tables import recording_accesses

LISTENING_LASTS = timedelta(minutes=30)


class ListeningPurpose(StrEnum):
    """What a recording may be listened to for; nothing else is a purpose (art. 35)."""

    INSPECTION = "inspection"
    COMPLAINT = "complaint"
    REGULATOR = "regulator"
    CLAIM = "claim"
    TRAINING = "training"


class Listener(NamedTuple):
    """Who listens: the person, in which role, from which network address."""

    person: str
    role: str
    address: str | None


class Access(NamedTuple):
    access_id: UUID
    actor: str
    role: str
    purpose: str
    address: str | None
    accessed_at: datetime


_columns = recording_accesses.c


def note_access(
    connection: Connection, recording_id: UUID, purpose: ListeningPurpose, listener: Listener, *, now: datetime
) -> None:
    """Note that `listener` begins to listen, or goes on."""
    # Two pieces asked for at the same time are one listening: the second waits, and then sees the first.
    hold(connection, _lock(recording_id, listener))
    is_same = [
        _columns.recording_id == recording_id,
        _columns.accessed_at > now - LISTENING_LASTS,
        _columns.actor == listener.person,
        _columns.role == listener.role,
        _columns.purpose == purpose,
        _columns.address.is_not_distinct_from(listener.address),
    ]
    if connection.execute(select(_columns.access_id).where(*is_same).limit(1)).scalar_one_or_none() is not None:
        return
    connection.execute(
        insert(recording_accesses).values(
            access_id=new_id(),
            recording_id=recording_id,
            actor=listener.person,
            role=listener.role,
            purpose=purpose,
            address=listener.address,
            accessed_at=now,
        )
    )


def _lock(recording_id: UUID, listener: Listener) -> int:
    return lock_key(b"listening" + recording_id.bytes + listener.person.encode())


def list_accesses(
    connection: Connection, recording_id: UUID, *, before: tuple[datetime, UUID] | None, limit: int
) -> list[Access]:
    """Return who listened, latest first; `before` is instant and id of the last of the page before."""
    statement = select(*(_columns[name] for name in Access._fields)).where(_columns.recording_id == recording_id)
    if before is not None:
        statement = statement.where(tuple_(_columns.accessed_at, _columns.access_id) < before)
    statement = statement.order_by(_columns.accessed_at.desc(), _columns.access_id.desc()).limit(limit)
    return [Access(*row) for row in connection.execute(statement)]
