"""When the customer was on hold, as the recorder declared it with the recording: kept once and for ever.

Later nobody may say what of a conversation an inspector need not hear.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, select

from compliance.row_sets import add_rows
from recordings.tables import recording_segments

_HOLD = "hold"

Span = tuple[int, int]


def keep_holds(connection: Connection, holds: Mapping[UUID, Sequence[Span]], *, now: datetime) -> None:
    """Keep the holds of new recordings, half-open, in milliseconds of the recording."""
    rows = [
        {"recording_id": recording_id, "start_ms": start, "end_ms": end, "kind": _HOLD, "recorded_at": now}
        for recording_id, spans in holds.items()
        for start, end in spans
    ]
    add_rows(connection, recording_segments, rows)


def has_other_holds(connection: Connection, recording_id: UUID, sent: Sequence[Span] | None) -> bool:
    """Say whether a recording was stored with other holds than those sent again; None says nothing of them."""
    if sent is None:
        return False
    columns = recording_segments.c
    stored = select(columns.start_ms, columns.end_ms).where(columns.recording_id == recording_id, columns.kind == _HOLD)
    rows = connection.execute(stored.order_by(columns.start_ms))
    return [(row.start_ms, row.end_ms) for row in rows] != list(sent)
