"""Tables of the ledger: what was written, how it is numbered, the tree over it, what was signed, and by whom else."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, UUID

from infra.database import metadata

_CURRENT = text("pg_current_xact_id()::text::bigint")

ledger_identity = Table(
    "ledger_identity",
    metadata,
    Column("ledger_id", UUID(as_uuid=True), primary_key=True, comment="names the log in its checkpoints"),
    Column("key_secret", LargeBinary, nullable=False, comment="key of the hashes that stand for personal keys"),
)

ledger_coverage = Table(
    "ledger_coverage",
    metadata,
    Column("table_name", Text, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("key_columns", ARRAY(Text), nullable=False),
    Column("columns", ARRAY(Text), nullable=False, comment="in the order in which rows are written out"),
    Column("hides_key", Boolean, nullable=False),
    Column("mode", Text, nullable=False, comment="entries: with each change; ranges: rows sealed together later"),
    CheckConstraint("mode IN ('entries', 'ranges')", name="mode"),
)

ledger_entries = Table(
    "ledger_entries",
    metadata,
    Column("source", BigInteger, Identity(always=True), primary_key=True),
    Column("tx", BigInteger, nullable=False, server_default=_CURRENT),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
    Column("kind", Text, nullable=False, comment="table.insert, .update, .delete or .range"),
    Column("keys", ARRAY(Text), nullable=False),
    Column("digests", LargeBinary, nullable=False, comment="32 bytes per key, in the order of keys"),
    Column("salts", LargeBinary, nullable=False, comment="16 bytes per key; not part of the line"),
    Index("ix_ledger_entries_tx", "tx"),
    # Entries come nearly in the order of time: of each block of rows the index notes only the first and last instant.
    Index("ix_ledger_entries_recorded_at", "recorded_at", postgresql_using="brin"),
)

ledger_leaves = Table(
    "ledger_leaves",
    metadata,
    Column("entry", BigInteger, primary_key=True, autoincrement=False),
    Column("source", BigInteger, nullable=False, unique=True),
    Column("leaf", LargeBinary, nullable=False),
)

ledger_tiles = Table(
    "ledger_tiles",
    metadata,
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("index", BigInteger, primary_key=True, autoincrement=False),
    Column("hashes", LargeBinary, nullable=False, comment="256 hashes of perfect subtrees of 256^level leaves"),
    Column("root", LargeBinary, nullable=False),
)

ledger_checkpoints = Table(
    "ledger_checkpoints",
    metadata,
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("root", LargeBinary, nullable=False),
    Column("note", Text, nullable=False, comment="the signed note"),
    Column("key_id", Text, nullable=False),
    Column("sealed_at", DateTime(timezone=True), nullable=False),
    Column("horizon", BigInteger, nullable=False, comment="every transaction below it is sealed"),
    Column("cluster", Text, nullable=False, comment="the PostgreSQL cluster whose transactions horizon counts"),
    # Call checks are sealed up to the check `checks_after` of the transaction `checks_through`.
    Column("checks_through", BigInteger, nullable=False),
    Column("checks_after", UUID(as_uuid=True), nullable=False),
    Index("ix_ledger_checkpoints_sealed_at", "sealed_at"),
)

ledger_attestations = Table(
    "ledger_attestations",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("name", Text, primary_key=True, comment="of the witness's key, or host of the authority"),
    Column("size", BigInteger, primary_key=True, autoincrement=False, comment="of the checkpoint"),
    Column("content", LargeBinary, nullable=False, comment="line of the cosignature, or DER of the response"),
    Column("attested_at", DateTime(timezone=True), nullable=False, comment="the instant that it states"),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
    CheckConstraint("kind IN ('witness', 'timestamp')", name="kind"),
)

NOT_COVERED = {
    "draw_seeds": "seeds that are secret until their day is drawn; what each is bound to is a commitment, and covered",
    "fixity_days": "how many copies were hashed each day; a note says so every night, and what was found is an event",
    "idempotency_keys": "answers kept for two days for requests that are sent again; what they did is covered",
    "jobs": "the queue of long work and how far it is; what a job did to the lists is covered",
    "recording_media": "waveforms and playable copies, made from the recordings and made again when lost",
    "register_counters": "how often a register changed, counted for processes that keep it in memory",
    "stratum_days": "how many sales each stratum has a day, counted from the sales; verification counts again",
    "ledger_identity": "the ledger itself",
    "ledger_coverage": "the ledger itself",
    "ledger_entries": "the ledger itself",
    "ledger_leaves": "the ledger itself",
    "ledger_tiles": "the ledger itself",
    "ledger_checkpoints": "the ledger itself",
    "ledger_attestations": "the ledger itself",
}
"""Every table whose changes leave no entries, and why not; a test keeps this list whole."""

NOT_COVERED_COLUMNS = {
    "access_tokens.last_used_at": "when a token was last seen, to the minute",
    "call_checks.written_in": "which transaction wrote the row, by which the sealer finds it",
    "do_not_call_entries.changed_in": "which transaction wrote the row, by which readers find it",
    "draws.frame": "the canonical bytes; frame_digest stands for them, and verification compares",
    "draws.written_in": "which transaction wrote the row, by which its entry is found",
    "inspection_sittings.draft": "answers that nobody has submitted yet",
    "recording_copies.verified_at": "when a copy was last hashed; what was found wrong is an event and an incident",
    "recording_copies.verify_after": "the queue of copies to be hashed",
    "recordings.is_lock_due": "the queue of recordings whose stores are to follow",
    "recordings.is_unlinked": "the queue of recordings whose call or policy is not known yet",
    "sales.position": "order of entry, for paging",
    "seed_commitments.written_in": "which transaction wrote the row, by which its entry is found",
}
"""Every column of a covered table of which no row text speaks, and why not."""
