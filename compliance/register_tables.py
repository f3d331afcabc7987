"""Storage of the registers: who may call whom, with what, from when; and the policy.

Rows are versions: added, never changed, never deleted. `register_counters` counts the changes of each
register, in the transaction that makes them, so that a process can keep the registers in memory and know
from one number, read in the same statement as a call's other facts, whether its copy is still true.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKeyConstraint,
    Identity,
    Index,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID

from infra.database import metadata


def spelling(user_id: str) -> str:
    r"""Return the SQL of a user id as it is compared: width, case and blanks do not tell people apart.

    A seller whose id was typed otherwise than that of his token is a seller all the same (art. 33).

    >>> spelling("body ->> 'user_id'")
    "lower(regexp_replace(normalize(body ->> 'user_id', NFKC), '\\s', '', 'g'))"
    """
    return rf"lower(regexp_replace(normalize({user_id}, NFKC), '\s', '', 'g'))"


register_rows = Table(
    "register_rows",
    metadata,
    Column("register", Text, nullable=False),
    Column("row_id", Text, nullable=False),
    Column("position", BigInteger, Identity(always=True), nullable=False, comment="order of entry, for paging"),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
    PrimaryKeyConstraint("register", "row_id"),
    Index("ix_register_rows_position", "register", "position"),
)

register_versions = Table(
    "register_versions",
    metadata,
    Column("version_id", UUID(as_uuid=True), primary_key=True),
    Column("register", Text, nullable=False),
    Column("row_id", Text, nullable=False),
    Column("effective_from", Date, nullable=False),
    Column("effective_through", Date),
    Column("body", JSONB, nullable=False),
    Column("actor", Text, nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
    ForeignKeyConstraint(["register", "row_id"], ["register_rows.register", "register_rows.row_id"]),
    Index("ix_register_versions_row", "register", "row_id", "effective_from", "version_id"),
    Index(
        "ix_register_versions_user", text(spelling("body ->> 'user_id'")), postgresql_where=text("register = 'agents'")
    ),
    Index(
        "ix_register_versions_supervisor",
        text(spelling("body ->> 'supervisor_user_id'")),
        postgresql_where=text("register = 'agents'"),
    ),
)

register_counters = Table(
    "register_counters",
    metadata,
    Column("register", Text, primary_key=True),
    Column("changes", BigInteger, nullable=False, server_default=text("0")),
    info={"updates": ["changes"]},
)

customer_phones = Table(
    "customer_phones",
    metadata,
    Column("phone_digits", BigInteger, nullable=False),
    Column("customer_id", Text, nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
    PrimaryKeyConstraint("phone_digits", "customer_id"),
    Index("ix_customer_phones_customer_id", "customer_id"),
    comment="every number that a customer ever had",
)

overlays = Table(
    "overlays",
    metadata,
    Column("overlay_id", UUID(as_uuid=True), primary_key=True),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("regions", JSONB, comment="null: everywhere"),
    Column("from_at", DateTime(timezone=True), nullable=False),
    Column("to_at", DateTime(timezone=True), nullable=False),
    Column("reason", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("ended_at", DateTime(timezone=True)),
    CheckConstraint("kind IN ('emergency', 'holiday')", name="kind"),
    info={"updates": ["ended_at"]},
)

policies = Table(
    "policies",
    metadata,
    Column("policy_id", UUID(as_uuid=True), primary_key=True),
    Column("digest", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("reason", Text),
    Column("requested_by", Text),
    Column("approved_by", Text),
    Column("effective_from", DateTime(timezone=True), nullable=False),
    CheckConstraint("source IN ('floor', 'file', 'api')", name="source"),
    Index("ix_policies_effective_from", "effective_from"),
    Index("ix_policies_digest", "digest"),
)
