"""One sealing from beginning to end: compare with the outside, seal until nothing waits, tell the outside.

What the outside says never holds up sealing: entries that wait are worse than a log that must explain itself. But a
checkpoint outside that contradicts the tree stays where it is, so that the alarm lasts.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, Engine, select

from compliance.incidents import NewIncident, open_incidents
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
from compliance.ledger_outside import CheckpointStore, Contradiction, OutsideStoreError, compare_outside
from compliance.ledger_reading import StoredCheckpoint, latest_checkpoint, read_origin
from compliance.ledger_sealer import Sealed, seal
from compliance.tables import incidents
from infra.logs import logger

ARTICLE = "35"
PERSON = "ledger"

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
    contradiction, trouble = check_outside(ledger)
    if contradiction is not None:
        _tell(ledger, contradiction)
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
    """Compare the newest outside checkpoint with the tree; return what contradicts it, and why it cannot be read."""
    try:
        note = ledger.store.newest()
    except OutsideStoreError as error:
        log.warning("ledger_outside_unreadable", error=str(error))
        return None, str(error)
    keys = read_public_keys(ledger.data_dir)
    with ledger.engine.connect() as connection:
        return compare_outside(connection, note, keys), None


def open_signer(ledger: Ledger) -> LedgerSigner:
    """Return what signs now; the first key is made if nothing was ever signed.

    Raises:
        LedgerKeyError: there is no usable key.
    """
    with ledger.engine.connect() as connection:
        origin, last = read_origin(connection), latest_checkpoint(connection)
    if last is not None and not has_keys(ledger.data_dir):
        # A new first key would sign what nobody can check against the old checkpoints any more.
        raise LedgerKeyLostError(
            f"checkpoints of this ledger are signed with key {last.key_id}, and {ledger.data_dir / DIRECTORY} holds no"
            f" keys: use the DATA_DIR that belongs to the database, or restore {LIST_NAME} from its copy beside the"
            " outside checkpoints and go on with a new key (telesales ledger rotate-key --lost); see 'Keys' in"
            " docs/ledger.md"
        )
    return open_keys(ledger.data_dir, origin, now=ledger.clock())


def _note(sealed: Sealed | None) -> None:
    if sealed is not None:
        log.info("ledger_sealed", entries=sealed.entries, size=sealed.checkpoint.size)


def _put(ledger: Ledger, newest: StoredCheckpoint | None) -> str | None:
    """Have the newest checkpoint and the public keys outside too; return why that cannot be done."""
    try:
        ledger.store.put_keys(list_text(read_public_keys(ledger.data_dir)))
        if newest is not None and ledger.store.newest() != newest.note:
            ledger.store.put(newest.note, sealed_at=newest.sealed_at)
    except OutsideStoreError as error:
        log.warning("ledger_outside_unwritable", error=str(error))
        return str(error)
    return None


def _tell(ledger: Ledger, found: Contradiction) -> None:
    """Say loudly that the ledger is contradicted, and open an incident unless one like it is open."""
    log.error("ledger_contradicted", finding=found.finding.value, detail=found.detail)
    with ledger.engine.begin() as connection:
        if not _is_told(connection, found):
            details = {"detail": found.detail, "size": found.size}
            incident = NewIncident(kind=found.finding.value, article=ARTICLE, details=details)
            open_incidents(connection, [incident], person=PERSON, now=ledger.clock())


def _is_told(connection: Connection, found: Contradiction) -> bool:
    columns = incidents.c
    same = (columns.kind == found.finding.value) & (columns.state == "open")
    told = connection.execute(select(columns.details["size"].as_integer()).where(same)).scalars()
    return found.size in list(told)
