"""Early release: by two people, of the entry as it stood when the first one asked."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection

from compliance.block_entries import BlockSource, UnknownEntryError, read_entry, read_history
from compliance.block_list import Refusal, block_person
from compliance.block_release import EntryReleasedError, RefusedAgainError, release_entry, release_payload
from infra.ids import new_id

NOW = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
EVIDENCE = {"recording_id": "r-1"}


def block(connection: Connection, *, now: datetime = NOW) -> UUID:
    refusal = Refusal(phone_e164="+8613800138000", source=BlockSource.CALL, refused_at=now)
    return block_person(connection, refusal, block_months=6, person="dialer", now=now).entry.entry_id


def ask(connection: Connection, entry_id: UUID) -> dict[str, Any]:
    return release_payload(connection, entry_id, reason="asked to be called", evidence=EVIDENCE, now=NOW)


def release(connection: Connection, payload: dict[str, Any]) -> dict[str, Any]:
    return release_entry(connection, payload, person="officer2", now=LATER)


def test_a_released_entry_keeps_its_dates_and_history(connection: Connection) -> None:
    entry_id = block(connection)
    before = read_entry(connection, entry_id).entry

    answer = release(connection, ask(connection, entry_id))

    after = read_entry(connection, entry_id).entry
    assert answer == {"entry_id": str(entry_id), "released_at": "2026-11-23T13:00:00+08:00"}
    assert (after.released_at, after.blocked_through) == (LATER, before.blocked_through)
    last = read_history(connection, entry_id)[-1]
    assert (last.kind, last.actor, last.recorded_at) == ("release", "officer2", LATER)
    asked = {"reason": "asked to be called", "evidence": EVIDENCE, "asked_at": "2026-11-23T12:00:00+08:00"}
    assert last.details == asked


def test_a_refusal_after_the_request_stops_the_release(connection: Connection) -> None:
    entry_id = block(connection)
    payload = ask(connection, entry_id)
    block(connection)

    with pytest.raises(RefusedAgainError, match=str(entry_id)):
        release(connection, payload)
    assert read_entry(connection, entry_id).entry.released_at is None


def test_nobody_is_released_twice(connection: Connection) -> None:
    entry_id = block(connection)
    first, second = ask(connection, entry_id), ask(connection, entry_id)
    release(connection, first)

    with pytest.raises(EntryReleasedError, match="already"):
        release(connection, second)
    with pytest.raises(EntryReleasedError, match="already"):
        ask(connection, entry_id)


def test_an_unknown_entry_cannot_be_released(connection: Connection) -> None:
    with pytest.raises(UnknownEntryError, match="no do-not-call entry"):
        ask(connection, new_id())
