"""Writes the demo's two-person requests: asked for by `officer`, decided by `officer2`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from compliance.tables import approvals
from services.demo.chance import Chance
from services.demo.rows import copy_rows, json_text

_COLUMNS = ("request_id", "kind", "payload", "requested_by", "requested_at", "state", "decided_by", "decided_at")


@dataclass(frozen=True, slots=True)
class PlannedRequest:
    """A request; `decided_at` None while it waits for the other officer."""

    key: str
    kind: str
    payload: Mapping[str, object]
    requested_at: datetime
    decided_at: datetime | None


def write_requests(connection: Connection, chance: Chance, planned: Iterable[PlannedRequest]) -> None:
    copy_rows(connection, approvals, _COLUMNS, (_row(chance, one) for one in planned))


def _row(chance: Chance, one: PlannedRequest) -> tuple[object, ...]:
    request_id = chance.uuid7(one.requested_at, "request", one.key)
    is_open = one.decided_at is None
    state, decided_by = ("open", None) if is_open else ("approved", "officer2")
    return request_id, one.kind, json_text(one.payload), "officer", one.requested_at, state, decided_by, one.decided_at
