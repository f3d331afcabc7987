"""Checkpoints outside the database: where they go, and what they say about the database.

A database cannot show by itself that it is not an old copy of itself. The newest checkpoint therefore also lies
somewhere else, and is compared with the tree at each start and each sealing. One that contradicts the tree is never
replaced: it stays, and the alarm with it, until somebody has looked and moved it away.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from pathlib import Path

from sqlalchemy import Connection

from compliance.bounded_store import BoundedStore
from compliance.checkpoint_stores import CheckpointDirectory, CheckpointStore, OutsideStoreError
from compliance.ledger_keys import PublicKey, verify_as_of_its_time
from compliance.ledger_reading import StoredCheckpoint, latest_checkpoint, read_origin
from compliance.ledger_tree import MissingHashError, root_at
from compliance.signed_notes import Checkpoint, NoteError, read_checkpoint
from infra.s3_place import SCHEME, read_s3_place

_DOCUMENT = "see 'A restored backup' in docs/ledger.md"


def open_store(place: str | None, data_dir: Path) -> CheckpointStore:
    """Return the place of outside checkpoints; keep it, since it remembers what it saw and what failed.

    `place` is an s3:// URL, or a directory as path or file:// URL; None: one below `data_dir`.
    """
    if place is not None and place.startswith(SCHEME):
        # boto3 takes a third of a second and 40 MB, which a process without a bucket need not spend.
        from compliance.checkpoint_bucket import CheckpointBucket  # noqa: PLC0415

        return BoundedStore(CheckpointBucket(read_s3_place(place)))
    path = data_dir / "checkpoints" if place is None else Path(place.removeprefix("file://"))
    return BoundedStore(CheckpointDirectory(path))


def outside_notes(store: CheckpointStore, *, since: date, until: date) -> tuple[list[str], str | None]:
    """Return the newest note and the last of each day in Shanghai, both ends included; and why not all can be read."""
    found: dict[str, None] = {}
    try:
        if (newest := store.newest()) is not None:
            found[newest] = None
        for days in range((until - since).days + 1):
            if (note := store.of_day(since + timedelta(days=days))) is not None:
                found[note] = None
    except OutsideStoreError as error:
        return list(found), f"checkpoints outside the database: {error}"
    return list(found), None


class Finding(StrEnum):
    """How the newest outside checkpoint contradicts the tree; also the kind of the incident."""

    FORK = "ledger_fork"
    ROLLED_BACK = "ledger_rolled_back"
    UNREADABLE = "ledger_checkpoint_unreadable"


@dataclass(frozen=True, slots=True)
class Contradiction:
    """What is wrong, in words for an operator; `size` is that of the outside checkpoint, if it has any."""

    finding: Finding
    detail: str
    size: int | None = None


def compare_outside(connection: Connection, note: str | None, keys: Sequence[PublicKey]) -> Contradiction | None:
    """Return how an outside checkpoint contradicts the database's tree, None if it does not or there is none."""
    if note is None:
        return None
    try:
        outside = read_checkpoint(note.rpartition("\n\n")[0] + "\n")
        verify_as_of_its_time(note, keys, at=outside.sealed_at)
    except NoteError as error:
        detail = f"the newest outside checkpoint cannot be trusted: {error}; {_DOCUMENT}"
        return Contradiction(Finding.UNREADABLE, detail)
    origin = read_origin(connection)
    if outside.origin != origin:
        detail = (
            f"the newest outside checkpoint is of {outside.origin}, this database's ledger is {origin}; {_DOCUMENT}"
        )
        return Contradiction(Finding.FORK, detail, outside.size)
    return _compare_trees(connection, outside, latest_checkpoint(connection))


def _compare_trees(connection: Connection, outside: Checkpoint, last: StoredCheckpoint | None) -> Contradiction | None:
    size = 0 if last is None else last.size
    if outside.size > size:
        detail = (
            f"the ledger was rolled back: it has {size} sealed entries, and {outside.size} were signed at"
            f" {outside.sealed_at.isoformat()}. The database is an older copy, or entries were deleted; {_DOCUMENT}"
        )
        return Contradiction(Finding.ROLLED_BACK, detail, outside.size)
    try:
        found = last.root if last is not None and last.size == outside.size else root_at(connection, outside.size)
    except MissingHashError as error:
        return Contradiction(Finding.FORK, f"the tree cannot be compared: {error}", outside.size)
    if found == outside.root:
        return None
    detail = (
        f"the ledger was forked: its first {outside.size} entries are not those signed at"
        f" {outside.sealed_at.isoformat()}. Entries were rewritten, or the database went on from an older copy;"
        f" {_DOCUMENT}"
    )
    return Contradiction(Finding.FORK, detail, outside.size)
