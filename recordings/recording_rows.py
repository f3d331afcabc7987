"""Finding recordings and reading what is stored of them. Changes nothing."""

import zlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Select, bindparam, func, or_, select, tuple_
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as PG_UUID

from compliance.sale_tables import sale_calls
from compliance.shanghai import midnight
from recordings.copy_rows import UnknownRecordingError
from recordings.tables import recording_copies, recording_media, recordings


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A recording as its row has it; `keep_through` is inclusive, None while no day is known."""

    recording_id: UUID
    sha256: bytes
    size_bytes: int
    object_key: str
    call_id: str | None
    policy_no: str | None
    agent_id: str | None
    phone_digits: int | None
    started_at: datetime
    direction: str | None
    channels: tuple[str, ...]
    codec: str
    container: str
    sample_rate: int
    duration_ms: int
    silence_bp: int
    source: str
    is_held: bool
    retention_class: str | None
    keep_through: date | None
    retention_basis: str
    is_unlinked: bool
    disposed_at: datetime | None
    recorded_at: datetime

    @property
    def phone_e164(self) -> str | None:
        return None if self.phone_digits is None else f"+{self.phone_digits}"


class Copy(NamedTuple):
    """What one store was last read back to have; `retain_until` is exclusive."""

    copy: str
    store: str
    state: str
    version_id: str | None
    is_held: bool
    retain_until: datetime | None
    stored_at: datetime | None
    verified_at: datetime | None


class Media(NamedTuple):
    """The waveform, and where the copy that browsers play lies; `playable_key` None: they play the original."""

    peaks: bytes
    playable_key: str | None
    playable_version_id: str | None
    playable_size_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingFilter:
    """Which recordings are asked for; the days are those of the start in Shanghai, both included.

    A policy has the recordings that name it, and those of its calls.
    """

    policy_no: str | None = None
    phone_e164: str | None = None
    agent_id: str | None = None
    call_id: str | None = None
    from_day: date | None = None
    to_day: date | None = None


_columns = recordings.c
_STORED = tuple(_columns[name] for name in Recording.__dataclass_fields__)
_BY_IDS = select(*_STORED).where(
    _columns.recording_id == func.any(bindparam("ids", type_=ARRAY(PG_UUID(as_uuid=True))))
)


def list_recordings(
    connection: Connection, wanted: RecordingFilter, *, before: tuple[datetime, UUID] | None, limit: int
) -> list[Recording]:
    """Return recordings, latest start first; `before` is start and id of the last of the page before."""
    statement = select(*_STORED).where(*_conditions(wanted))
    if before is not None:
        statement = statement.where(tuple_(_columns.started_at, _columns.recording_id) < before)
    statement = statement.order_by(_columns.started_at.desc(), _columns.recording_id.desc()).limit(limit)
    return _read(connection, statement)


def _conditions(wanted: RecordingFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.policy_no is not None:
        # An array, which is known before the rows are looked at: with a subquery the planner reads them all.
        calls = func.array(
            select(sale_calls.c.call_id).where(sale_calls.c.policy_no == wanted.policy_no).scalar_subquery()
        )
        found.append(or_(_columns.policy_no == wanted.policy_no, _columns.call_id == func.any(calls)))
    if wanted.phone_e164 is not None:
        found.append(_columns.phone_digits == int(wanted.phone_e164))
    if wanted.agent_id is not None:
        found.append(_columns.agent_id == wanted.agent_id)
    if wanted.call_id is not None:
        found.append(_columns.call_id == wanted.call_id)
    if wanted.from_day is not None:
        found.append(_columns.started_at >= midnight(wanted.from_day))
    if wanted.to_day is not None:
        found.append(_columns.started_at < midnight(wanted.to_day + timedelta(days=1)))
    return found


def _read(connection: Connection, statement: Select[Any]) -> list[Recording]:
    rows = connection.execute(statement).mappings()
    return [Recording(**{**row, "channels": tuple(row["channels"])}) for row in rows]


def read_recording(connection: Connection, recording_id: UUID) -> Recording:
    """Return one recording.

    Raises:
        UnknownRecordingError: there is none with this id.
    """
    found = _read(connection, select(*_STORED).where(_columns.recording_id == recording_id))
    if not found:
        msg = f"there is no recording {recording_id}"
        raise UnknownRecordingError(msg)
    return found[0]


def read_recordings(connection: Connection, recording_ids: Collection[UUID]) -> dict[UUID, Recording]:
    """Return these recordings by id, those that there are."""
    found = connection.execute(_BY_IDS, {"ids": list(recording_ids)}).mappings()
    return {row["recording_id"]: Recording(**{**row, "channels": tuple(row["channels"])}) for row in found}


def read_copies(connection: Connection, recording_id: UUID) -> list[Copy]:
    """Return both copies of a recording, the first one first."""
    columns = recording_copies.c
    statement = (
        select(*(columns[name] for name in Copy._fields))
        .where(columns.recording_id == recording_id)
        .order_by(columns.copy)
    )
    return [Copy(*row) for row in connection.execute(statement)]


def read_media(connection: Connection, recording_id: UUID) -> Media | None:
    """Return the waveform and the derived copy; None once the recording was disposed of."""
    columns = recording_media.c
    statement = select(*(columns[name] for name in Media._fields)).where(columns.recording_id == recording_id)
    row = connection.execute(statement).one_or_none()
    return None if row is None else Media(*row)._replace(peaks=zlib.decompress(row.peaks))


def deflated(peaks: bytes) -> bytes:
    """Return a waveform as its row has it: a third, where the server's own compression takes ten times as long."""
    return zlib.compress(peaks, level=1)
