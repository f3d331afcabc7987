"""Ledger: entries, their numbering, the tree over them, and checkpoints."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from infra.migrations.ledger_coverage import COVERAGE
from infra.migrations.ledger_writing import WRITING

revision: str = "0002"
down_revision: str | Sequence[str] | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

LEDGER_TABLES = (
    "ledger_identity",
    "ledger_coverage",
    "ledger_entries",
    "ledger_leaves",
    "ledger_tiles",
    "ledger_checkpoints",
)


# A foreign key asks for each row in a statement of its own and locks the entry: a fifth of what an imported row costs the
# server. Entries are kept for ever and keep their ids, so that looking once, for all rows of a statement, says as much.
NUMBERS_HAVE_ENTRIES = """
ALTER TABLE do_not_call_phones DROP CONSTRAINT fk_do_not_call_phones_entry_id;
CREATE FUNCTION do_not_call_phones_have_entries() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE missing uuid;
BEGIN
  -- A subselect and no join: one look into the index for each row, however long the list is that the plan was made for.
  SELECT n.entry_id INTO missing FROM new_rows n
   WHERE (SELECT e.entry_id FROM do_not_call_entries e WHERE e.entry_id = n.entry_id) IS NULL LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'a number on the do-not-call list needs its entry; there is no entry %', missing
      USING ERRCODE = 'foreign_key_violation';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER have_entries AFTER INSERT ON do_not_call_phones REFERENCING NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION do_not_call_phones_have_entries();
"""


def upgrade() -> None:
    op.create_table(
        "ledger_identity",
        sa.Column("ledger_id", sa.UUID(), nullable=False, comment="names the log in its checkpoints"),
        sa.Column(
            "key_secret", sa.LargeBinary(), nullable=False, comment="key of the hashes that stand for personal keys"
        ),
        sa.PrimaryKeyConstraint("ledger_id", name=op.f("pk_ledger_identity")),
    )
    op.create_table(
        "ledger_coverage",
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("key_columns", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column(
            "columns", postgresql.ARRAY(sa.Text()), nullable=False, comment="in the order in which rows are written out"
        ),
        sa.Column("hides_key", sa.Boolean(), nullable=False),
        sa.Column(
            "mode", sa.Text(), nullable=False, comment="entries: with each change; ranges: rows sealed together later"
        ),
        sa.CheckConstraint("mode IN ('entries', 'ranges')", name=op.f("ck_ledger_coverage_mode")),
        sa.PrimaryKeyConstraint("table_name", "version", name=op.f("pk_ledger_coverage")),
    )
    op.create_table(
        "ledger_entries",
        sa.Column("source", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("tx", sa.BigInteger(), server_default=sa.text("pg_current_xact_id()::text::bigint"), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False, comment="table.insert, .update, .delete or .range"),
        sa.Column("keys", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("digests", sa.LargeBinary(), nullable=False, comment="32 bytes per key, in the order of keys"),
        sa.Column("salts", sa.LargeBinary(), nullable=False, comment="16 bytes per key; not part of the line"),
        sa.PrimaryKeyConstraint("source", name=op.f("pk_ledger_entries")),
    )
    op.create_index("ix_ledger_entries_tx", "ledger_entries", ["tx"], unique=False)
    op.create_index(
        "ix_ledger_entries_recorded_at", "ledger_entries", ["recorded_at"], unique=False, postgresql_using="brin"
    )
    op.create_table(
        "ledger_leaves",
        sa.Column("entry", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("source", sa.BigInteger(), nullable=False),
        sa.Column("leaf", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("entry", name=op.f("pk_ledger_leaves")),
        sa.UniqueConstraint("source", name=op.f("uq_ledger_leaves_source")),
    )
    op.create_table(
        "ledger_tiles",
        sa.Column("level", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "hashes", sa.LargeBinary(), nullable=False, comment="256 hashes of perfect subtrees of 256^level leaves"
        ),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("level", "index", name=op.f("pk_ledger_tiles")),
    )
    op.create_table(
        "ledger_checkpoints",
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False, comment="the signed note"),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("sealed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("horizon", sa.BigInteger(), nullable=False, comment="every transaction below it is sealed"),
        sa.Column(
            "cluster", sa.Text(), nullable=False, comment="the PostgreSQL cluster whose transactions horizon counts"
        ),
        sa.Column("checks_through", sa.BigInteger(), nullable=False),
        sa.Column("checks_after", sa.UUID(), nullable=False),
        sa.PrimaryKeyConstraint("size", name=op.f("pk_ledger_checkpoints")),
    )
    op.create_index("ix_ledger_checkpoints_sealed_at", "ledger_checkpoints", ["sealed_at"], unique=False)
    for table in LEDGER_TABLES:
        op.execute(
            f"CREATE TRIGGER kept_for_ever BEFORE DELETE OR UPDATE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION kept_for_ever()"
        )
    op.execute(
        "INSERT INTO ledger_identity (ledger_id, key_secret) SELECT gen_random_uuid(),"
        " uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())"
    )
    _number_checks()
    op.execute(NUMBERS_HAVE_ENTRIES)
    op.execute(WRITING)
    cover = sa.text("SELECT ledger_cover(:table, :key, :columns, :changing, :hides_key, :mode)").bindparams(
        *(sa.bindparam(name, type_=postgresql.ARRAY(sa.Text())) for name in ("key", "columns", "changing"))
    )
    for one in COVERAGE:
        op.get_bind().execute(
            cover,
            {
                **one._asdict(),
                "key": list(one.key),
                "columns": one.columns.split(),
                "changing": one.changing.split(),
            },
        )


def _number_checks() -> None:
    """Let the sealer find the checks of transactions that have ended since it last looked."""
    # Summarized while it grows: else each look reads all that came since the last vacuum.
    op.execute(
        "ALTER TABLE call_checks ADD COLUMN written_in bigint NOT NULL DEFAULT pg_current_xact_id()::text::bigint;"
        "CREATE INDEX ix_call_checks_written_in ON call_checks USING brin (written_in) WITH (autosummarize = true)"
    )


def downgrade() -> None:
    message = "the ledger is kept for ever"
    raise NotImplementedError(message)
