"""Storage of the edge: access tokens and answers kept for repeated requests."""

from sqlalchemy import (
    CheckConstraint,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import UUID

from infra.database import metadata

access_tokens = Table(
    "access_tokens",
    metadata,
    Column("token_id", UUID(as_uuid=True), primary_key=True),
    Column(
        "token_hash",
        LargeBinary,
        nullable=False,
        unique=True,
        comment="SHA-256; the token itself is not stored",
    ),
    Column("role", Text, nullable=False),
    Column("owner", Text, nullable=False, comment="the person or system; two-person actions compare it"),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("revoked_at", DateTime(timezone=True)),
    Column("last_used_at", DateTime(timezone=True)),
    CheckConstraint("role IN ('dialer', 'inspector', 'officer', 'admin', 'auditor')", name="role"),
    info={"updates": ["revoked_at", "last_used_at"]},
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("token_id", UUID(as_uuid=True), nullable=False),
    Column("path", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("body_digest", LargeBinary, nullable=False),
    Column("status", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    PrimaryKeyConstraint("token_id", "path", "key"),
    Index("ix_idempotency_keys_created_at", "created_at"),
    info={"deletes": True},
)
