"""Storage of the gate: decisions, the do-not-call list, call records and what follows from them.

Telephone numbers are stored as `bigint`, the digits of E.164 without the plus sign: half the size of text
in the largest index, and what bulk work reads straight into arrays. `phone_digits` columns hold them.
History is appended; rows that are evidence are never deleted.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Index,
    LargeBinary,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSON, JSONB, UUID

from infra.database import metadata

calling_sides = Table(
    "calling_sides",
    metadata,
    Column("side_digest", LargeBinary, primary_key=True, comment="SHA-256 of `facts`"),
    Column("facts", Text, nullable=False, comment="a CallingSide as JSON; one row serves all calls that share it"),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
)

call_checks = Table(
    "call_checks",
    metadata,
    Column("check_id", UUID(as_uuid=True), primary_key=True),
    Column("actor", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("phone_digits", BigInteger, comment="null: the callee is no telephone number"),
    Column(
        "call", JSON, nullable=False, comment="what the call says of the callee; the rest stands in its calling side"
    ),
    Column("side_digest", LargeBinary, nullable=False),
    Column("callee_facts", JSON, nullable=False),
    Column("policy_digest", Text, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("region", Text),
    Column("reasons", JSONB, nullable=False),
    Column("checked_at", DateTime(timezone=True), nullable=False),
    Column("valid_until", DateTime(timezone=True)),
    Column("next_callable_at", DateTime(timezone=True)),
    Column("written_in", BigInteger, nullable=False, server_default=text("pg_current_xact_id()::text::bigint")),
    CheckConstraint("verdict IN ('allow', 'deny')", name="verdict"),
    Index(
        "ix_call_checks_attempts",
        "phone_digits",
        "checked_at",
        postgresql_where=text("verdict = 'allow' AND purpose <> 'service'"),
    ),
    Index(
        "ix_call_checks_written_in", "written_in", postgresql_using="brin", postgresql_with={"autosummarize": "true"}
    ),
)

do_not_call_entries = Table(
    "do_not_call_entries",
    metadata,
    Column("entry_id", UUID(as_uuid=True), primary_key=True),
    Column("customer_id", Text, comment="one entry per person"),
    Column("blocked_from", DateTime(timezone=True), nullable=False, comment="the instant the block bites"),
    Column("refused_at", DateTime(timezone=True), nullable=False, comment="the latest refusal"),
    Column("blocked_through", Date, nullable=False, comment="by month count, inclusive; 9999-12-31: permanent"),
    Column("source", Text, nullable=False),
    Column("reason", Text),
    Column("released_at", DateTime(timezone=True)),
    Column("raised_at", DateTime(timezone=True), comment="when a tighter policy last moved the end; null: never"),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("changed_in", BigInteger, nullable=False, server_default=text("pg_current_xact_id()::text::bigint")),
    Index("ix_do_not_call_entries_changed_in", "changed_in"),
    # Most entries name a number only: in a plain unique index each of them would cost a place.
    Index(
        "ix_do_not_call_entries_customer_id",
        "customer_id",
        unique=True,
        postgresql_where=text("customer_id IS NOT NULL"),
    ),
    info={
        "updates": [
            "customer_id",
            "blocked_from",
            "refused_at",
            "blocked_through",
            "source",
            "reason",
            "released_at",
            "raised_at",
            "changed_in",
        ]
    },
)

do_not_call_phones = Table(
    "do_not_call_phones",
    metadata,
    Column("phone_digits", BigInteger, primary_key=True, autoincrement=False),
    # No foreign key: a trigger asks once for all rows of a statement, at a third of the cost; entries stay for ever.
    Column("entry_id", UUID(as_uuid=True), nullable=False),
    Index("ix_do_not_call_phones_entry_id", "entry_id"),
)

do_not_call_events = Table(
    "do_not_call_events",
    metadata,
    Column("event_id", UUID(as_uuid=True), primary_key=True),
    # No foreign key: entries are kept for ever by a trigger and written in the same transaction as their events,
    # and asking for each of a million imported rows took a third of the import.
    Column("entry_id", UUID(as_uuid=True), nullable=False),
    Column("kind", Text, nullable=False),
    Column("refused_at", DateTime(timezone=True)),
    Column("blocked_through", Date, comment="the end that stands after this event; 9999-12-31: permanent"),
    Column("details", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("actor", Text, nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
    CheckConstraint("kind IN ('refusal', 'phone_added', 'release', 'raised')", name="kind"),
    Index("ix_do_not_call_events_entry_id", "entry_id", "recorded_at"),
)

callback_requests = Table(
    "callback_requests",
    metadata,
    Column("callback_request_id", UUID(as_uuid=True), primary_key=True),
    Column("phone_digits", BigInteger, nullable=False),
    Column("customer_id", Text),
    Column("from_at", DateTime(timezone=True), nullable=False),
    Column("to_at", DateTime(timezone=True), nullable=False),
    Column("evidence", JSONB, nullable=False),
    Column("actor", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("used_by", UUID(as_uuid=True)),
    Column("used_at", DateTime(timezone=True)),
    Index("ix_callback_requests_used_by", "used_by", postgresql_where=text("used_by IS NOT NULL")),
    info={"updates": ["used_by", "used_at"]},
)

call_records = Table(
    "call_records",
    metadata,
    Column("call_id", Text, primary_key=True),
    Column("check_id", UUID(as_uuid=True)),
    Column("direction", Text, nullable=False),
    Column("caller_digits", BigInteger),
    Column("callee_digits", BigInteger),
    Column("agent_id", Text),
    Column("started_at", DateTime(timezone=True), nullable=False),
    Column("answered_at", DateTime(timezone=True)),
    Column("ended_at", DateTime(timezone=True)),
    Column("outcome", Text, nullable=False),
    Column("content", JSONB, nullable=False, comment="the record as sent"),
    Column("content_digest", LargeBinary, nullable=False),
    Column("do_not_call_entry_id", UUID(as_uuid=True)),
    Column("actor", Text, nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
    CheckConstraint("direction IN ('outbound', 'inbound')", name="direction"),
    Index("ix_call_records_callee", "callee_digits", "started_at"),
    Index("ix_call_records_check_id", "check_id"),
    Index("ix_call_records_started_at", "started_at", "call_id"),
    Index("ix_call_records_answered", "recorded_at", "call_id", postgresql_where=text("answered_at IS NOT NULL")),
    info={"updates": ["do_not_call_entry_id"]},
)

incidents = Table(
    "incidents",
    metadata,
    Column("incident_id", UUID(as_uuid=True), primary_key=True),
    Column("kind", Text, nullable=False),
    Column("article", Text, nullable=False),
    Column("call_id", Text),
    Column("details", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("detected_at", DateTime(timezone=True), nullable=False),
    Column("state", Text, nullable=False, server_default=text("'open'")),
    Column("cause", Text),
    Column("responsible", Text),
    Column("measures", Text),
    Column("closed_at", DateTime(timezone=True)),
    CheckConstraint("state IN ('open', 'closed')", name="state"),
    Index("ix_incidents_detected_at", "detected_at"),
    Index("ix_incidents_call_id", "call_id"),
    Index("ix_incidents_fixity", text("(details ->> 'recording_id')"), postgresql_where=text("kind = 'fixity'")),
    info={"updates": ["state", "cause", "responsible", "measures", "closed_at"]},
)

incident_events = Table(
    "incident_events",
    metadata,
    Column("event_id", UUID(as_uuid=True), primary_key=True),
    Column("incident_id", UUID(as_uuid=True), ForeignKey("incidents.incident_id"), nullable=False),
    Column("details", JSONB, nullable=False),
    Column("actor", Text, nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
    Index("ix_incident_events_incident_id", "incident_id"),
)

approvals = Table(
    "approvals",
    metadata,
    Column("request_id", UUID(as_uuid=True), primary_key=True),
    Column("kind", Text, nullable=False),
    Column("payload", JSONB, nullable=False),
    Column("requested_by", Text, nullable=False, comment="the person, not the token"),
    Column("requested_at", DateTime(timezone=True), nullable=False),
    Column("state", Text, nullable=False, server_default=text("'open'")),
    Column("decided_by", Text),
    Column("decided_at", DateTime(timezone=True)),
    Column("reason", Text),
    CheckConstraint("state IN ('open', 'approved', 'rejected')", name="state"),
    Index("ix_approvals_state", "state", "request_id"),
    info={"updates": ["state", "decided_by", "decided_at", "reason"]},
)

audit_events = Table(
    "audit_events",
    metadata,
    Column("event_id", UUID(as_uuid=True), primary_key=True),
    Column("kind", Text, nullable=False),
    Column("subject", Text),
    Column("details", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("actor", Text, nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
    Index("ix_audit_events_recorded_at", "recorded_at"),
)
