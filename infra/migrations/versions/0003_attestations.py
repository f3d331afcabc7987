"""Attestations of checkpoints of the ledger by others: cosignatures of a witness, time stamps."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0003"
down_revision: str | Sequence[str] | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "ledger_attestations",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False, comment="of the witness's key, or host of the authority"),
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False, comment="of the checkpoint"),
        sa.Column(
            "content", sa.LargeBinary(), nullable=False, comment="line of the cosignature, or DER of the response"
        ),
        sa.Column("attested_at", sa.DateTime(timezone=True), nullable=False, comment="the instant that it states"),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind IN ('witness', 'timestamp')", name=op.f("ck_ledger_attestations_kind")),
        sa.PrimaryKeyConstraint("kind", "name", "size", name=op.f("pk_ledger_attestations")),
    )
    op.execute(
        "CREATE TRIGGER kept_for_ever BEFORE DELETE OR UPDATE OR TRUNCATE ON ledger_attestations "
        "FOR EACH STATEMENT EXECUTE FUNCTION kept_for_ever()"
    )


def downgrade() -> None:
    message = "the ledger is kept for ever"
    raise NotImplementedError(message)
