"""Recordings as the API answers them; numbers masked for roles that may not see them."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, Field
from sqlalchemy import Connection

from compliance.policy_store import policy_in_force
from compliance.shanghai import SHANGHAI, in_shanghai
from recordings.holds import standing_holds
from recordings.recording_rows import Copy, Recording
from recordings.retention import read_retention
from services.retention_answers import RetentionAnswer, retention_answer
from services.shown_numbers import shown
from services.tokens import Actor


class FoundAudio(BaseModel):
    """What is in a file, found by decoding it."""

    sha256: str
    size_bytes: int
    duration_ms: int
    codec: str
    channels: list[str]


class RecordingWarning(BaseModel):
    """Something to look into; the recording is stored all the same."""

    code: str
    field: str
    message: str


class StoredAnswer(FoundAudio):
    recording_id: str
    retention: RetentionAnswer
    warnings: list[RecordingWarning]


class RecordingAnswer(FoundAudio):
    recording_id: str
    call_id: str | None
    policy_no: str | None
    agent_id: str | None
    phone: str | None
    started_at: datetime
    direction: str | None
    container: str
    sample_rate: int
    silence_bp: int
    linked: bool = Field(description="Whether everything that it names, a call or a policy, is known here.")
    source: str
    recorded_at: datetime
    retention: RetentionAnswer


class CopyAnswer(BaseModel):
    """What a store was last read back to have."""

    copy_name: str = Field(alias="copy")
    store: str
    state: str
    held: bool
    retain_until: datetime | None
    stored_at: datetime | None
    verified_at: datetime | None


class RecordingWithCopies(RecordingAnswer):
    copies: list[CopyAnswer]


class RecordingList(BaseModel):
    items: list[RecordingAnswer]
    next_cursor: str | None


class AccessAnswer(BaseModel):
    """One listening, of half an hour at most."""

    at: datetime
    user: str
    role: str
    purpose: str
    address: str | None


class AccessList(BaseModel):
    items: list[AccessAnswer]
    next_cursor: str | None


def found_audio(one: Recording) -> dict[str, object]:
    return {
        "recording_id": str(one.recording_id),
        "sha256": one.sha256.hex(),
        "size_bytes": one.size_bytes,
        "duration_ms": one.duration_ms,
        "codec": one.codec,
        "channels": list(one.channels),
    }


def retention_answers(
    connection: Connection, recording_ids: Collection[UUID], *, actor: Actor | None, now: datetime
) -> dict[UUID, dict[str, object]]:
    """Return how each recording stands, with its holds."""
    standing = read_retention(connection, recording_ids, policy=policy_in_force(connection, now=now), now=now)
    holds = standing_holds(connection, recording_ids)
    return {one: retention_answer(found, holds.get(one, ()), actor=actor) for one, found in standing.items()}


def recording_answer(one: Recording, retention: dict[str, object], *, actor: Actor) -> dict[str, object]:
    return {
        **found_audio(one),
        "call_id": one.call_id,
        "policy_no": one.policy_no,
        "agent_id": one.agent_id,
        "phone": None if one.phone_e164 is None else shown(one.phone_e164, actor=actor),
        "started_at": one.started_at.astimezone(SHANGHAI),
        "direction": one.direction,
        "container": one.container,
        "sample_rate": one.sample_rate,
        "silence_bp": one.silence_bp,
        "linked": not one.is_unlinked,
        "source": one.source,
        "recorded_at": one.recorded_at.astimezone(SHANGHAI),
        "retention": retention,
    }


def copy_answer(one: Copy) -> dict[str, object]:
    return {
        "copy": one.copy,
        "store": one.store,
        "state": one.state,
        "held": one.is_held,
        "retain_until": in_shanghai(one.retain_until),
        "stored_at": in_shanghai(one.stored_at),
        "verified_at": in_shanghai(one.verified_at),
    }
