"""What the ledger says of a recording: its sealed entries, each with the proof that it is under the latest checkpoint.

Entries cannot be found by key at little cost, but by time: those about a record were written when it was.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, TEXT, TIMESTAMP

from compliance.ledger_reading import StoredCheckpoint, latest_checkpoint, read_line
from compliance.ledger_tree import inclusion_path
from compliance.shanghai import SHANGHAI

_BEFORE, _AFTER = timedelta(minutes=1), timedelta(minutes=10)
"""A row has the instant at which its request began; its entry was written at most so much later."""

_MOST_SPANS = 200
_INSTANT = ARRAY(TIMESTAMP(timezone=True))
_ENTRIES = text("""
    SELECT DISTINCT l.entry, e.recorded_at, e.kind
      FROM unnest(:begins, :ends) AS w (begins, ends)
      JOIN LATERAL (SELECT * FROM ledger_entries e
                     WHERE e.recorded_at >= w.begins AND e.recorded_at < w.ends AND e.keys && :keys) e ON true
      JOIN ledger_leaves l ON l.source = e.source
     WHERE l.entry < :size ORDER BY l.entry""").bindparams(
    bindparam("begins", type_=_INSTANT), bindparam("ends", type_=_INSTANT), bindparam("keys", type_=ARRAY(TEXT))
)


def ledger_of(
    connection: Connection, keys: Sequence[str], instants: Iterable[datetime]
) -> tuple[StoredCheckpoint | None, dict[str, Any]]:
    """Return the latest checkpoint, and what is proven under it of the records with these keys, written then.

    What is not sealed yet is not among the entries. Before the first checkpoint there are none.

    Raises:
        MissingHashError: rows of the ledger's own tables are gone.
    """
    newest = latest_checkpoint(connection)
    if newest is None:
        return None, {"checkpoint_size": 0, "entries": []}
    spans = _spans(instants)
    asked = {"begins": [one for one, _ in spans], "ends": [one for _, one in spans], "keys": list(keys)}
    rows = connection.execute(_ENTRIES, {**asked, "size": newest.size}).all()
    entries = [_proven(connection, entry, at, kind, size=newest.size) for entry, at, kind in rows]
    return newest, {"checkpoint_size": newest.size, "root": newest.root.hex(), "entries": entries}


def _spans(instants: Iterable[datetime]) -> list[tuple[datetime, datetime]]:
    """Return the spans of time around the instants, those that touch as one, the earliest first."""
    found: list[tuple[datetime, datetime]] = []
    for at in sorted(instants):
        begins, ends = at - _BEFORE, at + _AFTER
        if found and begins <= found[-1][1]:
            found[-1] = (found[-1][0], ends)
        else:
            found.append((begins, ends))
    return found[:_MOST_SPANS]


def _proven(connection: Connection, entry: int, at: datetime, kind: str, *, size: int) -> dict[str, Any]:
    line, leaf = read_line(connection, entry)
    return {
        "entry": entry,
        "at": at.astimezone(SHANGHAI).isoformat(),
        "kind": kind,
        "line": line.decode(),
        "leaf": leaf.hex(),
        "path": [one.hex() for one in inclusion_path(connection, entry, size)],
    }
