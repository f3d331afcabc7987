"""Registering recordings: the one transaction in which a stored object becomes a recording, once and for ever.

The same bytes of the same call are one recording. Who brings them again may add facts that were missing; what is
stored is never changed by it, and what contradicts it is told.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as insert_or_pass
from sqlalchemy.engine import RowMapping

from compliance.policy_store import policy_for_blocks
from infra.ids import new_id
from infra.object_store import StoredObject
from recordings.audio import Audio
from recordings.completeness import MAY_LACK
from recordings.copy_rows import LACKING, CopyName, CopyState, add_event, first_verification, want_lock
from recordings.links import CallFacts, call_facts, unknown_names
from recordings.metadata import Metadata
from recordings.object_keys import object_key
from recordings.places import Places
from recordings.retention import lock_links, refresh
from recordings.staging import StagedFile
from recordings.tables import recording_copies, recording_media, recordings

_FACTS = ("policy_no", "agent_id", "phone_digits", "direction")
"""What a repeat, or the call's record, may add to a recording that lacks it."""

_columns = recordings.c


class DisposedRecordingError(ValueError):
    """The same bytes of the same call were a recording that has been disposed of; they are not taken in again."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A staged file with what is said of it; `source` is the way in, `person` who or what brought it."""

    staged: StagedFile
    metadata: Metadata
    source: str
    person: str


class Prepared(NamedTuple):
    """An arrival that lies in the first store, read back, and waits to be registered."""

    arrival: Arrival
    audio: Audio
    stored: StoredObject
    playable: StoredObject | None


class Warned(NamedTuple):
    """Something the sender should know; `field` is what it is about."""

    code: str
    field: str
    message: str


class Registered(NamedTuple):
    recording_id: UUID
    is_new: bool
    warnings: tuple[Warned, ...]


def register_known(connection: Connection, arrival: Arrival, *, now: datetime) -> Registered | None:
    """Return the recording that an arrival is already, with facts added that it lacked; None if it must be stored.

    A recording of which no copy is in order must be stored, too.

    Raises:
        DisposedRecordingError: it was here, and was disposed of.
    """
    _lock_links(connection, arrival)
    row = _same(connection, arrival)
    if row is None or not _has_copy(connection, row["recording_id"]):
        return None
    return _add_facts(connection, row, arrival, now=now)


def register(connection: Connection, places: Places, prepared: Prepared, *, now: datetime) -> Registered:
    """Register a stored recording, or return the one that it is already: of two senders at once both get its id.

    Raises:
        DisposedRecordingError: it was here, and was disposed of.
    """
    arrival = prepared.arrival
    metadata = arrival.metadata
    _lock_links(connection, arrival)
    call = None if metadata.call_id is None else call_facts(connection, metadata.call_id)
    unknown = unknown_names(connection, call_id=metadata.call_id, policy_no=metadata.policy_no)
    row = {**_row(prepared, call, now=now), "is_unlinked": bool(unknown)}
    inserted = connection.execute(
        insert_or_pass(recordings).values(row).on_conflict_do_nothing().returning(_columns.recording_id)
    ).scalar_one_or_none()
    if inserted is None:
        return _register_again(connection, places, prepared, now=now)
    recording_id: UUID = inserted
    _add_copies(connection, places, recording_id, prepared, now=now)
    refresh(connection, [recording_id], policy=policy_for_blocks(connection, now=now), now=now)
    warnings = _call_warnings(connection, metadata, call)
    details = {"source": arrival.source, "sha256": arrival.staged.sha256.hex(), "warnings": _codes(warnings)}
    add_event(connection, recording_id, "stored", details, person=arrival.person, now=now)
    return Registered(recording_id, is_new=True, warnings=warnings)


def _row(prepared: Prepared, call: CallFacts | None, *, now: datetime) -> dict[str, object]:
    arrival, audio = prepared.arrival, prepared.audio
    metadata = arrival.metadata
    facts = {name: getattr(metadata, name) for name in _FACTS}
    if call is not None:
        facts = {name: getattr(call, name, None) if value is None else value for name, value in facts.items()}
    return {
        "recording_id": new_id(),
        "sha256": arrival.staged.sha256,
        "size_bytes": arrival.staged.size_bytes,
        "object_key": prepared.stored.key,
        "call_id": metadata.call_id,
        **facts,
        "started_at": metadata.started_at,
        "channels": list(metadata.channels),
        "codec": audio.codec,
        "container": audio.container,
        "sample_rate": audio.sample_rate,
        "duration_ms": audio.duration_ms,
        "silence_bp": audio.silence_bp,
        "source": arrival.source,
        **_FIRST_RETENTION,
        "actor": arrival.person,
        "recorded_at": now,
    }


_FIRST_RETENTION: Mapping[str, object] = {"is_held": True, "retention_basis": "unknown_sale", "is_lock_due": False}
"""How it lies in the store. What is known of its contract is brought to it in the same transaction."""


def _lock_links(connection: Connection, arrival: Arrival) -> None:
    lock_links(connection, call_id=arrival.metadata.call_id, policy_no=arrival.metadata.policy_no)


def _add_copies(
    connection: Connection, places: Places, recording_id: UUID, prepared: Prepared, *, now: datetime
) -> None:
    """Write what the first store has, what the second is to get, and what players need."""
    key = {"recording_id": recording_id}
    first = {**key, "copy": CopyName.FIRST, **_as_stored(places, recording_id, prepared.stored, now=now)}
    second = {**key, "copy": CopyName.SECOND, "store": places.second.name, "state": CopyState.WANTED}
    connection.execute(insert(recording_copies).values(first))
    connection.execute(insert(recording_copies).values(second))
    connection.execute(
        insert(recording_media).values(
            recording_id=recording_id, peaks=prepared.audio.peaks, **_media(prepared.playable)
        )
    )


def _as_stored(places: Places, recording_id: UUID, stored: StoredObject, *, now: datetime) -> dict[str, object]:
    return {
        "store": places.first.name,
        "state": CopyState.STORED,
        "version_id": stored.version_id,
        "is_held": stored.is_held,
        "retain_until": stored.retain_until,
        "stored_at": now,
        "verified_at": now,
        "verify_after": first_verification(recording_id, CopyName.FIRST, now, places.period),
    }


def _media(playable: StoredObject | None) -> dict[str, object]:
    return {
        "playable_key": None if playable is None else playable.key,
        "playable_version_id": None if playable is None else playable.version_id,
        "playable_size_bytes": None if playable is None else playable.size_bytes,
    }


def _register_again(connection: Connection, places: Places, prepared: Prepared, *, now: datetime) -> Registered:
    """Return the recording that was registered before or at the same time; heal its first copy if it has none."""
    row = _same(connection, prepared.arrival)
    if row is None:
        msg = f"the key {object_key(prepared.arrival.staged.sha256, None)[:8]}… is taken by a row that cannot be read"
        raise RuntimeError(msg)
    recording_id = row["recording_id"]
    copies = recording_copies.c
    healed = connection.execute(
        update(recording_copies)
        .where(copies.recording_id == recording_id, copies.copy == CopyName.FIRST, copies.state.in_(LACKING))
        .values(_as_stored(places, recording_id, prepared.stored, now=now))
    )
    if healed.rowcount:
        if not row["is_held"]:
            want_lock(connection, recording_id)
        details = {"copy": CopyName.FIRST}
        add_event(connection, recording_id, "repaired", details, person=prepared.arrival.person, now=now)
    return _add_facts(connection, row, prepared.arrival, now=now)


def _is_same(arrival: Arrival) -> list[ColumnElement[bool]]:
    return [
        _columns.sha256 == arrival.staged.sha256,
        func.coalesce(_columns.call_id, "") == (arrival.metadata.call_id or ""),
    ]


def _same(connection: Connection, arrival: Arrival) -> RowMapping | None:
    """Return the recording with these bytes and this call, locked until the transaction ends."""
    found = select(recordings).where(*_is_same(arrival)).with_for_update()
    row = connection.execute(found).mappings().one_or_none()
    if row is not None and row["disposed_at"] is not None:
        msg = f"this is recording {row['recording_id']}, which was disposed of; it is not taken in again"
        raise DisposedRecordingError(msg)
    return row


def _has_copy(connection: Connection, recording_id: UUID) -> bool:
    copies = recording_copies.c
    found = select(copies.copy).where(copies.recording_id == recording_id, copies.state == CopyState.STORED).limit(1)
    return connection.execute(found).scalar_one_or_none() is not None


def _add_facts(connection: Connection, row: RowMapping, arrival: Arrival, *, now: datetime) -> Registered:
    """Fill what was not known of a recording; report what differs from what is."""
    sent = {name: getattr(arrival.metadata, name) for name in (*_FACTS, "started_at", "channels")}
    stored = {name: tuple(row[name]) if name == "channels" else row[name] for name in sent}
    added = {name: value for name, value in sent.items() if value is not None and stored[name] is None}
    other = [name for name, value in sent.items() if value is not None and stored[name] not in (None, value)]
    recording_id: UUID = row["recording_id"]
    if added:
        unknown = unknown_names(
            connection, call_id=row["call_id"], policy_no=added.get("policy_no") or row["policy_no"]
        )
        changed = update(recordings).where(_columns.recording_id == recording_id)
        connection.execute(changed.values(**added, is_unlinked=bool(unknown)))
    if "policy_no" in added:
        refresh(connection, [recording_id], policy=policy_for_blocks(connection, now=now), now=now)
    if added or other:
        details = {"added": sorted(added), "contradicted": sorted(other)}
        add_event(connection, recording_id, "repeated", details, person=arrival.person, now=now)
    warnings = tuple(_contradiction(_shown(name)) for name in other)
    return Registered(recording_id, is_new=False, warnings=warnings)


def _shown(name: str) -> str:
    return "phone" if name == "phone_digits" else name


def _contradiction(field: str) -> Warned:
    return Warned("contradicts_stored", field, f"{field} is stored with another value, which stays")


def _call_warnings(connection: Connection, metadata: Metadata, call: CallFacts | None) -> tuple[Warned, ...]:
    """Compare a new recording with the record of its call, if there is one yet."""
    if call is None:
        return ()
    found = [
        Warned("contradicts_call", _shown(name), f"the record of the call has another {_shown(name)}")
        for name in ("agent_id", "phone_digits", "direction")
        if getattr(metadata, name) is not None and getattr(call, name) not in (None, getattr(metadata, name))
    ]
    recorded = select(func.sum(_columns.duration_ms)).where(_columns.call_id == metadata.call_id)
    total = timedelta(milliseconds=int(connection.execute(recorded).scalar_one() or 0))
    if call.talked is not None and total < call.talked - MAY_LACK:
        # Another part may still come: whether it is an incident is judged later, when the call's time has passed.
        message = f"the recordings of this call last {_seconds(total)} s, it lasted {_seconds(call.talked)} s (art. 35)"
        found.append(Warned("short_recording", "file", message))
    return tuple(found)


def _seconds(length: timedelta) -> str:
    return f"{length / timedelta(seconds=1):.1f}"


def _codes(warnings: tuple[Warned, ...]) -> list[str]:
    return [one.code for one in warnings]
