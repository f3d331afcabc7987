"""Storage of jobs: long work, whose row state is the queue."""

from sqlalchemy import BigInteger, CheckConstraint, Column, DateTime, Index, Integer, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB, UUID

from infra.database import metadata

jobs = Table(
    "jobs",
    metadata,
    Column("job_id", UUID(as_uuid=True), primary_key=True),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False, server_default=text("'queued'")),
    Column("role", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("parameters", JSONB, nullable=False),
    Column("total", BigInteger),
    Column("done", BigInteger, nullable=False, server_default=text("0")),
    Column("progress", JSONB, comment="what a resumed run needs to go on where the last one stopped"),
    Column("result", JSONB),
    Column("error", JSONB),
    Column("files", JSONB, nullable=False, server_default=text("'[]'::jsonb")),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("started_at", DateTime(timezone=True)),
    Column("heartbeat_at", DateTime(timezone=True)),
    Column("finished_at", DateTime(timezone=True)),
    CheckConstraint("state IN ('queued', 'running', 'done', 'failed')", name="state"),
    Index("ix_jobs_unfinished", "created_at", postgresql_where=text("state IN ('queued', 'running')")),
    info={
        "updates": [
            "state",
            "done",
            "total",
            "progress",
            "result",
            "error",
            "files",
            "attempts",
            "started_at",
            "heartbeat_at",
            "finished_at",
        ]
    },
)
