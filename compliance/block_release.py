"""Early release from the do-not-call list: only on the customer's own recorded request, by two people (art. 25(2)).

The entry stays, with its dates and its whole history; a later refusal makes it bind again.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, func, insert, select, update

from compliance.block_entries import Entry, UnknownEntryError, lock_entries
from compliance.shanghai import SHANGHAI
from compliance.tables import do_not_call_entries, do_not_call_events
from infra.ids import new_id

RELEASE = "do_not_call_release"
"""Kind of the request that another officer approves."""


class EntryReleasedError(ValueError):
    """The entry has been released already."""


class RefusedAgainError(ValueError):
    """The person refused again after the release was asked for."""


def release_payload(
    connection: Connection, entry_id: UUID, *, reason: str, evidence: Mapping[str, object], now: datetime
) -> dict[str, Any]:
    """Return what a request for early release asks for, of the entry as it stands now.

    Raises:
        UnknownEntryError: there is no such entry.
        EntryReleasedError: it is released already.
    """
    _unreleased(connection, entry_id)
    return {
        "entry_id": str(entry_id),
        "reason": reason,
        "evidence": dict(evidence),
        "asked_at": now.astimezone(SHANGHAI).isoformat(),
        "refusals": _count_refusals(connection, entry_id),
    }


def release_entry(connection: Connection, payload: dict[str, Any], *, person: str, now: datetime) -> dict[str, Any]:
    """Release the entry of an approved request, made by `release_payload`; `person` is who approved.

    Raises:
        UnknownEntryError: there is no such entry.
        EntryReleasedError: it is released already.
        RefusedAgainError: the person refused again after the request was made.
    """
    entry_id = _unreleased(connection, UUID(payload["entry_id"])).entry_id
    if _count_refusals(connection, entry_id) != payload["refusals"]:
        msg = f"the person of do-not-call entry {entry_id} refused again after this release was asked for"
        raise RefusedAgainError(msg)
    columns = do_not_call_entries.c
    connection.execute(update(do_not_call_entries).where(columns.entry_id == entry_id).values(released_at=now))
    connection.execute(
        insert(do_not_call_events).values(
            event_id=new_id(),
            entry_id=entry_id,
            kind="release",
            details={name: payload[name] for name in ("reason", "evidence", "asked_at")},
            actor=person,
            recorded_at=now,
        )
    )
    return {"entry_id": str(entry_id), "released_at": now.astimezone(SHANGHAI).isoformat()}


def _unreleased(connection: Connection, entry_id: UUID) -> Entry:
    entry = lock_entries(connection, [entry_id]).get(entry_id)
    if entry is None:
        msg = f"there is no do-not-call entry {entry_id}"
        raise UnknownEntryError(msg)
    if entry.released_at is not None:
        msg = f"do-not-call entry {entry_id} is released already"
        raise EntryReleasedError(msg)
    return entry


def _count_refusals(connection: Connection, entry_id: UUID) -> int:
    """Count the refusals of an entry whose row is locked, so that none can come in between."""
    columns = do_not_call_events.c
    statement = select(func.count()).where(columns.entry_id == entry_id, columns.kind == "refusal")
    return connection.execute(statement).scalar_one()
