"""Registering recordings: the one transaction in which a stored object becomes a recording, once and for ever.

The same bytes of the same call are one recording. Who brings them again may add facts that were missing; what is
stored is never changed by it, and what contradicts it is told.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Engine, bindparam, func, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY, BIGINT, BYTEA, TEXT
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.engine import RowMapping

from compliance.policy_store import policy_for_blocks
from compliance.row_sets import add_missing_rows, add_rows, bytea_text
from infra.ids import new_id
from infra.object_store import StoredObject
from recordings.audio import Audio
from recordings.completeness import MAY_LACK
from recordings.copy_rows import LACKING, CopyName, CopyState, add_event, first_verification, want_lock
from recordings.declared_holds import has_other_holds, keep_holds
from recordings.links import CallFacts, calls_facts, known_policies, unknown_names
from recordings.metadata import Metadata
from recordings.object_keys import object_key
from recordings.places import Places
from recordings.recording_rows import deflated
from recordings.retention import bring, link_names, lock_links, refresh, try_lock_links
from recordings.staging import StagedFile
from recordings.tables import recording_copies, recording_events, recordings

_FACTS = ("policy_no", "agent_id", "phone_digits", "direction")
"""What a repeat, or the call's record, may add to a recording that lacks it."""

_columns = recordings.c

_IS_KNOWN = text("SELECT recording_id FROM recordings WHERE sha256 = :sha256 AND coalesce(call_id, '') = :call")
_LENGTHS = text("""
    SELECT call_id, sum(duration_ms) AS total_ms FROM recordings
     WHERE call_id = ANY(:call_ids) GROUP BY call_id""").bindparams(bindparam("call_ids", type_=ARRAY(TEXT)))
_ADD_MEDIA = text("""
    INSERT INTO recording_media (recording_id, peaks, playable_key, playable_version_id, playable_size_bytes)
    SELECT * FROM unnest(:ids, :peaks, :keys, :versions, :sizes)""").bindparams(
    bindparam("ids", type_=ARRAY(PG_UUID(as_uuid=True))),
    bindparam("peaks", type_=ARRAY(BYTEA)),
    bindparam("keys", type_=ARRAY(TEXT)),
    bindparam("versions", type_=ARRAY(TEXT)),
    bindparam("sizes", type_=ARRAY(BIGINT)),
)


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


def may_be_known(engine: Engine, arrival: Arrival) -> bool:
    """Return whether there may be something for `register_known`: most arrivals are new, which is seen without a lock.

    Asked without a transaction. What is registered at the same time is missed here, and found by `register`.
    """
    content = {"sha256": arrival.staged.sha256, "call": arrival.metadata.call_id or ""}
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        return connection.execute(_IS_KNOWN, content).one_or_none() is not None


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
    _lock_links(connection, prepared.arrival)
    (registered,) = register_many(connection, places, [prepared], now=now)
    return registered or _register_again(connection, places, prepared, now=now)


def register_many(
    connection: Connection, places: Places, prepared: Sequence[Prepared], *, now: datetime
) -> list[Registered | None]:
    """Register stored recordings that are new, with a few statements for all, and return them in the order given.

    None, to be registered by itself: it is here already, twice among these, or what it names is being changed by
    somebody else, for whom the others need not wait.
    """
    free = _free_links(connection, prepared)
    calls = calls_facts(connection, [one.arrival.metadata.call_id for one in prepared])
    policies = known_policies(connection, [one.arrival.metadata.policy_no for one in prepared])
    rows = {
        row["recording_id"]: (row, one)
        for one in prepared
        if free.issuperset(_links(one.arrival))
        for row in [_row(one, calls, policies, now=now)]
    }
    # Everybody comes in the order of the unique key: writers at the same time wait for one another, but in no circle.
    in_order = sorted((row for row, _ in rows.values()), key=lambda row: (str(row["sha256"]), row["call_id"] or ""))
    added = [UUID(str(one)) for one in add_missing_rows(connection, recordings, in_order)]
    new = {one: rows[one][1] for one in sorted(added)}
    _add_copies(connection, places, new, now=now)
    holds = {recording_id: one.arrival.metadata.holds_ms or () for recording_id, one in new.items()}
    keep_holds(connection, holds, now=now)
    if new:
        bring(connection, list(new), policy=policy_for_blocks(connection, now=now), now=now)
    warnings = _call_warnings(connection, [one.arrival.metadata for one in new.values()], calls)
    registered = {
        id(one): Registered(recording_id, is_new=True, warnings=warned)
        for (recording_id, one), warned in zip(new.items(), warnings, strict=True)
    }
    add_rows(
        connection,
        recording_events,
        [_stored_event(one, registered[id(one)], now=now) for one in new.values()],
    )
    return [registered.get(id(one)) for one in prepared]


def _row(
    prepared: Prepared, calls: Mapping[str, CallFacts], policies: Collection[str], *, now: datetime
) -> dict[str, Any]:
    arrival, audio = prepared.arrival, prepared.audio
    metadata = arrival.metadata
    call = calls.get(metadata.call_id or "")
    facts = {name: getattr(metadata, name) for name in _FACTS}
    if call is not None:
        facts = {name: getattr(call, name, None) if value is None else value for name, value in facts.items()}
    is_unknown_call = metadata.call_id is not None and call is None
    is_unknown_policy = metadata.policy_no is not None and metadata.policy_no not in policies
    return {
        "recording_id": new_id(),
        "sha256": bytea_text(arrival.staged.sha256),
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
        "is_unlinked": is_unknown_call or is_unknown_policy,
        "actor": arrival.person,
        "recorded_at": now,
    }


_FIRST_RETENTION: Mapping[str, object] = {"is_held": True, "retention_basis": "unknown_sale", "is_lock_due": False}
"""How it lies in the store. What is known of its contract is brought to it in the same transaction."""


def _lock_links(connection: Connection, arrival: Arrival) -> None:
    lock_links(connection, call_id=arrival.metadata.call_id, policy_no=arrival.metadata.policy_no)


def _links(arrival: Arrival) -> list[str]:
    return link_names(call_id=arrival.metadata.call_id, policy_no=arrival.metadata.policy_no)


def _free_links(connection: Connection, prepared: Sequence[Prepared]) -> frozenset[str]:
    """Take the locks of what these name, of which nobody is waited for; return those that could be had."""
    return try_lock_links(connection, {link for one in prepared for link in _links(one.arrival)})


def _add_copies(connection: Connection, places: Places, new: Mapping[UUID, Prepared], *, now: datetime) -> None:
    """Write what the first store has, what the second is to get, and what players need."""
    wanted = {**dict.fromkeys(_STORED_COPY), "is_held": False, "store": places.second.name, "state": CopyState.WANTED}
    rows = [
        {"recording_id": recording_id, "copy": copy, **values}
        for recording_id, one in new.items()
        for copy, values in (
            (CopyName.FIRST, _as_stored(places, recording_id, one.stored, now=now)),
            (CopyName.SECOND, wanted),
        )
    ]
    add_rows(connection, recording_copies, rows)
    if new:
        playable = [one.playable for one in new.values()]
        columns = {
            "ids": list(new),
            "peaks": [deflated(one.audio.peaks) for one in new.values()],
            "keys": [None if one is None else one.key for one in playable],
            "versions": [None if one is None else one.version_id for one in playable],
            "sizes": [None if one is None else one.size_bytes for one in playable],
        }
        connection.execute(_ADD_MEDIA, columns)


_STORED_COPY = ("store", "state", "version_id", "is_held", "retain_until", "stored_at", "verified_at", "verify_after")


def _as_stored(places: Places, recording_id: UUID, stored: StoredObject, *, now: datetime) -> dict[str, object]:
    found = (
        places.first.name,
        CopyState.STORED,
        stored.version_id,
        stored.is_held,
        stored.retain_until,
        now,
        now,
        first_verification(recording_id, CopyName.FIRST, now, places.period),
    )
    return dict(zip(_STORED_COPY, found, strict=True))


def _stored_event(prepared: Prepared, registered: Registered, *, now: datetime) -> dict[str, object]:
    arrival = prepared.arrival
    codes = [one.code for one in registered.warnings]
    return {
        "event_id": new_id(),
        "recording_id": registered.recording_id,
        "kind": "stored",
        "details": {"source": arrival.source, "sha256": arrival.staged.sha256.hex(), "warnings": codes},
        "actor": arrival.person,
        "recorded_at": now,
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
    if has_other_holds(connection, recording_id, arrival.metadata.holds_ms):
        other.append("holds_ms")
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


def _call_warnings(
    connection: Connection, new: Sequence[Metadata], calls: Mapping[str, CallFacts]
) -> list[tuple[Warned, ...]]:
    """Compare new recordings with the record of their calls, where there is one yet."""
    lengths = _lengths_of_calls(connection, calls)
    found: list[tuple[Warned, ...]] = []
    for metadata in new:
        call = calls.get(metadata.call_id or "")
        length = lengths.get(metadata.call_id or "", timedelta())
        found.append(() if call is None else tuple(_warnings_of(metadata, call, length)))
    return found


def _lengths_of_calls(connection: Connection, calls: Mapping[str, CallFacts]) -> dict[str, timedelta]:
    """Return how long the recordings of answered calls last together."""
    answered = [call_id for call_id, call in calls.items() if call.talked is not None]
    if not answered:
        return {}
    rows = connection.execute(_LENGTHS, {"call_ids": answered})
    return {row.call_id: timedelta(milliseconds=int(row.total_ms)) for row in rows}


def _warnings_of(metadata: Metadata, call: CallFacts, length: timedelta) -> Iterator[Warned]:
    for name in ("agent_id", "phone_digits", "direction"):
        if getattr(metadata, name) is not None and getattr(call, name) not in (None, getattr(metadata, name)):
            yield Warned("contradicts_call", _shown(name), f"the record of the call has another {_shown(name)}")
    if call.talked is not None and length < call.talked - MAY_LACK:
        # Another part may still come: whether it is an incident is judged later, when the call's time has passed.
        message = (
            f"the recordings of this call last {_seconds(length)} s, it lasted {_seconds(call.talked)} s (art. 35)"
        )
        yield Warned("short_recording", "file", message)


def _seconds(length: timedelta) -> str:
    return f"{length / timedelta(seconds=1):.1f}"
