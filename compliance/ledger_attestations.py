"""Attestations: what others say of our checkpoints, and when they say that they saw them. Kept beside the ledger.

They were verified before they were stored; whoever reads them verifies again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, bindparam, select, text
from sqlalchemy.dialects.postgresql import insert

from compliance.ledger_tables import ledger_attestations


class AttestationKind(StrEnum):
    """What is attested: a witness, that it saw one history; a time stamp, that the checkpoint existed."""

    WITNESS = "witness"
    TIMESTAMP = "timestamp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attestation:
    """What `name` says of the checkpoint over `size` entries, whose `note` it is.

    `content` is the cosignature, a line of a note with its line break, or the DER of a time stamp response over the
    bytes of the note. `attested_at` is the instant stated there, `recorded_at` that of our own clock.
    """

    kind: AttestationKind
    name: str
    size: int
    note: str
    content: bytes
    attested_at: datetime
    recorded_at: datetime


_RECORD = insert(ledger_attestations).on_conflict_do_nothing()

# Each name is found by its first row in the index, and its newest rows by their end: years of rows lie between.
_NEWEST = text("""
    WITH RECURSIVE names AS (
      (SELECT kind, name FROM ledger_attestations ORDER BY kind, name LIMIT 1)
      UNION ALL
      SELECT following.kind, following.name FROM names, LATERAL
        (SELECT kind, name FROM ledger_attestations a WHERE (a.kind, a.name) > (names.kind, names.name)
          ORDER BY a.kind, a.name LIMIT 1) following)
    SELECT newest.kind, newest.name, newest.size, c.note, newest.content, newest.attested_at, newest.recorded_at
      FROM names, LATERAL
        (SELECT * FROM ledger_attestations a WHERE a.kind = names.kind AND a.name = names.name
          ORDER BY a.size DESC LIMIT :limit) newest
      JOIN ledger_checkpoints c ON c.size = newest.size
     ORDER BY newest.kind, newest.name, newest.size DESC""")

_columns = ledger_attestations.c
_LAST = (
    select(_columns.size, _columns.recorded_at)
    .where(_columns.kind == bindparam("of_kind"), _columns.name == bindparam("of_name"))
    .order_by(_columns.size.desc())
    .limit(1)
)


def record_attestation(connection: Connection, found: Attestation) -> None:
    """Store an attestation, in the caller's transaction; one that is there already stays."""
    kept = {column.name: getattr(found, column.name) for column in ledger_attestations.columns}
    connection.execute(_RECORD, kept)


def read_attestations(connection: Connection, *, limit: int = 1) -> list[Attestation]:
    """Return the newest `limit` attestations of each kind and name, of these the newest checkpoint first."""
    return [
        Attestation(**{**row._mapping, "kind": AttestationKind(row.kind)})  # noqa: SLF001 - the row as a mapping
        for row in connection.execute(_NEWEST, {"limit": limit})
    ]


def last_attested(connection: Connection, kind: AttestationKind, name: str) -> tuple[int, datetime] | None:
    """Return the size of the largest checkpoint that was attested, and when we recorded that; None if none was."""
    row = connection.execute(_LAST, {"of_kind": kind.value, "of_name": name}).one_or_none()
    return None if row is None else (row.size, row.recorded_at)


def attested_times(connection: Connection, names: Mapping[AttestationKind, str]) -> dict[AttestationKind, datetime]:
    """Return when we recorded the last attestation of each kind, by the name that is to give it; none if none did.

    By our own clock: nobody else can make the ledger look better attested than it is.
    """
    found = {kind: last_attested(connection, kind, name) for kind, name in names.items()}
    return {kind: last[1] for kind, last in found.items() if last is not None}
