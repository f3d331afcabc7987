"""Writes planned do-not-call entries with their numbers and histories."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection

from compliance.block_release import RELEASE
from compliance.shanghai import SHANGHAI
from compliance.tables import do_not_call_entries, do_not_call_events, do_not_call_phones
from services.demo.block_plan import BlockEvent, PlannedBlock
from services.demo.chance import Chance
from services.demo.request_rows import PlannedRequest, write_requests
from services.demo.rows import copy_rows, json_text

_ENTRY_COLUMNS = (
    "entry_id",
    "customer_id",
    "blocked_from",
    "refused_at",
    "blocked_through",
    "source",
    "reason",
    "released_at",
    "created_at",
)
_EVENT_COLUMNS = (
    "event_id",
    "entry_id",
    "kind",
    "refused_at",
    "blocked_through",
    "details",
    "actor",
    "recorded_at",
)


def entry_id(chance: Chance, key: str, created_at: datetime) -> UUID:
    """Return the id of the entry that is planned under `key`."""
    return chance.uuid7(created_at, "entry", key)


def write_blocks(connection: Connection, chance: Chance, blocks: Sequence[PlannedBlock]) -> None:
    """Add entries; an entry's row follows from its history as `compliance.block_list` would have left it."""
    ids = [entry_id(chance, block.key, block.events[0].recorded_at) for block in blocks]
    pairs = list(zip(ids, blocks, strict=True))
    copy_rows(connection, do_not_call_entries, _ENTRY_COLUMNS, (_entry_row(one, block) for one, block in pairs))
    phones = ((phone, one) for one, block in pairs for phone in block.phones)
    copy_rows(connection, do_not_call_phones, ("phone_digits", "entry_id"), phones)
    copy_rows(connection, do_not_call_events, _EVENT_COLUMNS, _event_rows(chance, pairs))


def write_release_requests(
    connection: Connection,
    chance: Chance,
    blocks: Sequence[PlannedBlock],
    *,
    waiting: Sequence[PlannedBlock],
    now: datetime,
) -> None:
    """Add the approved requests behind the releases of `blocks`, and open ones for the entries in `waiting`."""
    approved = [
        _release_request(chance, block, number, event.details, decided_at=event.recorded_at)
        for block in blocks
        for number, event in enumerate(block.events)
        if event.kind == "release"
    ]
    asked_at = (now - timedelta(hours=20)).astimezone(SHANGHAI).isoformat()
    open_ones = [
        _release_request(chance, block, len(block.events), {**_WAITING, "asked_at": asked_at}, decided_at=None)
        for block in waiting
    ]
    write_requests(connection, chance, [*approved, *open_ones])


_WAITING: Mapping[str, object] = {
    "reason": "客户来函要求恢复联系,等待复核",
    "evidence": {"document": "RELEASE-LETTER"},
}


def _release_request(
    chance: Chance, block: PlannedBlock, refusals: int, details: Mapping[str, object], *, decided_at: datetime | None
) -> PlannedRequest:
    """Return the request, as `compliance.block_release` words it, to release an entry that has `refusals`."""
    entry = entry_id(chance, block.key, block.events[0].recorded_at)
    return PlannedRequest(
        key=f"release-{block.key}",
        kind=RELEASE,
        payload={"entry_id": str(entry), **details, "refusals": refusals},
        requested_at=datetime.fromisoformat(str(details["asked_at"])),
        decided_at=decided_at,
    )


def _entry_row(one: UUID, block: PlannedBlock) -> tuple[object, ...]:
    refusals = [event for event in block.events if event.refused_at is not None]
    latest, last = refusals[-1], block.events[-1]
    return (
        one,
        block.customer_id,
        min(_bites_at(event) for event in refusals),
        latest.refused_at,
        latest.blocked_through,
        latest.details["source"],
        latest.details["reason"],
        last.recorded_at if last.kind == "release" else None,
        block.events[0].recorded_at,
    )


def _bites_at(event: BlockEvent) -> datetime:
    return event.recorded_at if event.refused_at is None else min(event.refused_at, event.recorded_at)


def _event_rows(chance: Chance, pairs: Sequence[tuple[UUID, PlannedBlock]]) -> Iterator[tuple[object, ...]]:
    for one, block in pairs:
        for number, event in enumerate(block.events):
            yield (
                chance.uuid7(event.recorded_at, "event", block.key, number),
                one,
                event.kind,
                event.refused_at,
                event.blocked_through,
                json_text(event.details),
                event.actor,
                event.recorded_at,
            )
