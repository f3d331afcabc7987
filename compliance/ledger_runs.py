"""One sealing from beginning to end: compare with the outside, seal until nothing waits, tell the outside.

What the outside says never holds up sealing: entries that wait are worse than a log that must explain itself. But a
checkpoint outside that contradicts the tree stays where it is, so that the alarm lasts.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, Engine

from compliance.checkpoint_stores import CheckpointStore, OutsideStoreError
from compliance.ledger_alarms import open_once
from compliance.ledger_keys import (
    DIRECTORY,
    LIST_NAME,
    LedgerKeyLostError,
    LedgerSigner,
    has_keys,
    list_text,
    open_keys,
    read_public_keys,
)
from compliance.ledger_outside import Contradiction, compare_outside
from compliance.ledger_reading import StoredCheckpoint, latest_checkpoint, read_origin
from compliance.ledger_sealer import Sealed, seal
from compliance.signed_notes import NoteError, read_checkpoint
from infra.logs import logger

log = logger(__name__)


@dataclass(frozen=True, slots=True)
class Ledger:
    """What a process needs to seal, and to compare the ledger with the outside."""

    engine: Engine
    clock: Callable[[], datetime]
    data_dir: Path
    store: CheckpointStore


@dataclass(frozen=True, slots=True)
class SealRun:
    """What one sealing did: how many entries, the newest checkpoint, and what is wrong, in words."""

    entries: int
    checkpoint: StoredCheckpoint | None
    contradiction: Contradiction | None
    trouble: str | None = None


def seal_waiting(ledger: Ledger) -> SealRun:
    """Seal everything that waits, a transaction at a time, each committed before the next.

    Raises:
        LedgerKeyError: there is no usable key; everything waits until there is.
    """
    signer = open_signer(ledger)
    contradiction, trouble = check_and_tell(ledger)
    entries, rest = 0, None
    while True:
        with ledger.engine.begin() as connection:
            sealed = seal(connection, signer=signer, now=ledger.clock(), position=rest)
        entries += 0 if sealed is None else sealed.entries
        _note(sealed)
        if sealed is None or sealed.rest is None:
            break
        rest = sealed.rest
    with ledger.engine.connect() as connection:
        newest = latest_checkpoint(connection)
    if contradiction is None and trouble is None:
        trouble = _put(ledger, newest)
    return SealRun(entries, newest, contradiction, trouble)


def check_outside(ledger: Ledger) -> tuple[Contradiction | None, str | None]:
    """Compare the newest outside checkpoint with the tree; return what contradicts it, and why it cannot be read.

    While it cannot be read, the last that this process has seen is compared: a contradiction does not end because
    nobody can ask.
    """
    trouble = None
    try:
        note = ledger.store.newest()
    except OutsideStoreError as error:
        log.warning("ledger_outside_unreadable", error=str(error))
        note, trouble = error.last_note, str(error)
    keys = read_public_keys(ledger.data_dir)
    with ledger.engine.connect() as connection:
        return compare_outside(connection, note, keys), trouble


def check_and_tell(ledger: Ledger) -> tuple[Contradiction | None, str | None]:
    """Do what `check_outside` does; say loudly what contradicts the tree, and open an incident unless one is open."""
    contradiction, trouble = check_outside(ledger)
    if contradiction is not None:
        _tell(ledger, contradiction)
    return contradiction, trouble


def open_signer(ledger: Ledger) -> LedgerSigner:
    """Return what signs for the ledger now; the first key is made only for a ledger that has signed nothing yet.

    Raises:
        LedgerKeyError: there is no usable key.
    """
    with ledger.engine.connect() as connection:
        origin = read_origin(connection)
        check_keys_are_kept(connection, ledger.data_dir)
    return open_keys(ledger.data_dir, origin, now=ledger.clock())


def check_keys_are_kept(connection: Connection, data_dir: Path) -> None:
    """Check that the keys of a ledger that has signed are there: another machine must not begin with one of its own.

    Raises:
        LedgerKeyError: they are not, or cannot be read.
    """
    last = latest_checkpoint(connection)
    if last is not None and not has_keys(data_dir):
        raise LedgerKeyLostError(
            f"checkpoints of this ledger are signed with key {last.key_id}, and {data_dir / DIRECTORY} holds no keys:"
            f" use or share the DATA_DIR that belongs to the database, or restore {LIST_NAME} from its copy beside the"
            " outside checkpoints and go on with a new key (telesales ledger rotate-key --lost); see 'Keys' in"
            " docs/ledger.md"
        )


def _note(sealed: Sealed | None) -> None:
    if sealed is not None:
        log.info("ledger_sealed", entries=sealed.entries, size=sealed.checkpoint.size)


def _put(ledger: Ledger, newest: StoredCheckpoint | None) -> str | None:
    """Have the newest checkpoint and the public keys outside too; return why that cannot be done."""
    try:
        ledger.store.put_keys(list_text(read_public_keys(ledger.data_dir)))
        if newest is not None and _is_behind(ledger.store.newest(), newest):
            ledger.store.put(newest.note, sealed_at=newest.sealed_at)
    except OutsideStoreError as error:
        log.warning("ledger_outside_unwritable", error=str(error))
        return str(error)
    return None


def _is_behind(outside: str | None, newest: StoredCheckpoint) -> bool:
    """Say whether what lies outside is to be replaced: not if another process put a later one there meanwhile.

    Nor if it cannot be read: the next comparison says so.
    """
    if outside is None:
        return True
    try:
        size = read_checkpoint(outside.rpartition("\n\n")[0] + "\n").size
    except NoteError:
        return False
    return size <= newest.size and outside != newest.note


def _tell(ledger: Ledger, found: Contradiction) -> None:
    log.error("ledger_contradicted", finding=found.finding.value, detail=found.detail)
    details = {"detail": found.detail, "size": found.size}
    with ledger.engine.begin() as connection:
        open_once(connection, found.finding.value, details, same="size", now=ledger.clock())
