"""Foundation."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

COUNTED_REGISTERS = (
    "insurer",
    "centres",
    "agents",
    "caller-numbers",
    "products",
    "scripts",
    "campaigns",
    "overlays",
    "policies",
    "tokens",
)

GUARDS = """
-- A block may only grow: whatever writes, by whatever path, cannot shorten or delete it (art. 25(2)).
CREATE FUNCTION do_not_call_never_shorter() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.blocked_through < OLD.blocked_through OR NEW.blocked_from > OLD.blocked_from
     OR NEW.customer_id IS DISTINCT FROM coalesce(OLD.customer_id, NEW.customer_id) THEN
    RAISE EXCEPTION 'a do-not-call block may not be shortened (art. 25(2)); entry %', OLD.entry_id
      USING ERRCODE = 'check_violation';
  END IF;
  NEW.changed_in := pg_current_xact_id()::text::bigint;
  RETURN NEW;
END $$;
CREATE TRIGGER never_shorter BEFORE UPDATE ON do_not_call_entries
  FOR EACH ROW EXECUTE FUNCTION do_not_call_never_shorter();

-- Readers of changes find an entry by the transaction that wrote it. The column's default says it cheaply; only a row
-- that says something else is corrected, by the trigger above. An AFTER trigger: with a BEFORE one, COPY goes row by row.
CREATE FUNCTION do_not_call_mark_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE do_not_call_entries SET changed_in = changed_in WHERE entry_id = NEW.entry_id;
  RETURN NULL;
END $$;
CREATE TRIGGER mark_change AFTER INSERT ON do_not_call_entries
  FOR EACH ROW WHEN (NEW.changed_in IS DISTINCT FROM pg_current_xact_id()::text::bigint)
  EXECUTE FUNCTION do_not_call_mark_change();

-- Early release takes two people (art. 25(2)): no path releases an entry but with an approval of that very instant,
-- so that an old one does not release a person who has refused again. Asked at the commit, whatever came first.
CREATE FUNCTION do_not_call_release_approved() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (
    SELECT FROM approvals
     WHERE kind = 'do_not_call_release' AND state = 'approved' AND payload ->> 'entry_id' = NEW.entry_id::text
       AND decided_at = NEW.released_at AND decided_by <> requested_by) THEN
    RAISE EXCEPTION 'a do-not-call entry is released only with the approval of a second person (art. 25(2)); entry %',
      NEW.entry_id USING ERRCODE = 'check_violation';
  END IF;
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER release_approved AFTER INSERT OR UPDATE ON do_not_call_entries
  DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW WHEN (NEW.released_at IS NOT NULL) EXECUTE FUNCTION do_not_call_release_approved();

CREATE FUNCTION kept_for_ever() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'rows of % are kept: history is added to, never deleted', TG_TABLE_NAME
    USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER kept_for_ever BEFORE DELETE OR TRUNCATE ON do_not_call_entries
  FOR EACH STATEMENT EXECUTE FUNCTION kept_for_ever();
CREATE TRIGGER kept_for_ever BEFORE DELETE OR UPDATE OR TRUNCATE ON do_not_call_phones
  FOR EACH STATEMENT EXECUTE FUNCTION kept_for_ever();
CREATE TRIGGER kept_for_ever BEFORE DELETE OR UPDATE OR TRUNCATE ON do_not_call_events
  FOR EACH STATEMENT EXECUTE FUNCTION kept_for_ever();

-- Processes keep the registers in memory; the counters tell them when their copy has aged.
CREATE FUNCTION count_register_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.register <> 'customers' THEN
    UPDATE register_counters SET changes = changes + 1 WHERE register = NEW.register;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER count_change AFTER INSERT ON register_versions
  FOR EACH ROW EXECUTE FUNCTION count_register_change();

CREATE FUNCTION count_table_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE register_counters SET changes = changes + 1 WHERE register = TG_ARGV[0];
  RETURN NULL;
END $$;
CREATE TRIGGER count_change AFTER INSERT OR UPDATE ON overlays
  FOR EACH STATEMENT EXECUTE FUNCTION count_table_change('overlays');
CREATE TRIGGER count_change AFTER INSERT ON policies
  FOR EACH STATEMENT EXECUTE FUNCTION count_table_change('policies');
CREATE TRIGGER count_change_on_insert AFTER INSERT OR DELETE ON access_tokens
  FOR EACH STATEMENT EXECUTE FUNCTION count_table_change('tokens');
CREATE TRIGGER count_change_on_revocation AFTER UPDATE OF revoked_at, expires_at, role, owner ON access_tokens
  FOR EACH STATEMENT EXECUTE FUNCTION count_table_change('tokens');
"""

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "access_tokens",
        sa.Column("token_id", sa.UUID(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False, comment="SHA-256; the token itself is not stored"),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False, comment="the person or system; two-person actions compare it"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "role IN ('dialer', 'inspector', 'officer', 'admin', 'auditor')",
            name=op.f("ck_access_tokens_role"),
        ),
        sa.PrimaryKeyConstraint("token_id", name=op.f("pk_access_tokens")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_access_tokens_token_hash")),
    )
    op.create_table(
        "approvals",
        sa.Column("request_id", sa.UUID(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=False, comment="the person, not the token"),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("'open'"), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.CheckConstraint("state IN ('open', 'approved', 'rejected')", name=op.f("ck_approvals_state")),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_approvals")),
    )
    op.create_index("ix_approvals_state", "approvals", ["state", "request_id"], unique=False)
    op.create_table(
        "audit_events",
        sa.Column("event_id", sa.UUID(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column(
            "details",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_audit_events")),
    )
    op.create_index("ix_audit_events_recorded_at", "audit_events", ["recorded_at"], unique=False)
    op.create_table(
        "call_checks",
        sa.Column("check_id", sa.UUID(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("phone_digits", sa.BigInteger(), nullable=True, comment="null: the callee is no telephone number"),
        sa.Column(
            "call",
            postgresql.JSON(astext_type=sa.Text()),
            nullable=False,
            comment="what the call says of the callee; the rest stands in its calling side",
        ),
        sa.Column("side_digest", sa.LargeBinary(), nullable=False),
        sa.Column("callee_facts", postgresql.JSON(astext_type=sa.Text()), nullable=False),
        sa.Column("policy_digest", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("region", sa.Text(), nullable=True),
        sa.Column("reasons", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_callable_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("verdict IN ('allow', 'deny')", name=op.f("ck_call_checks_verdict")),
        sa.PrimaryKeyConstraint("check_id", name=op.f("pk_call_checks")),
    )
    op.create_index(
        "ix_call_checks_attempts",
        "call_checks",
        ["phone_digits", "checked_at"],
        unique=False,
        postgresql_where=sa.text("verdict = 'allow' AND purpose <> 'service'"),
    )
    op.create_table(
        "call_records",
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column("check_id", sa.UUID(), nullable=True),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("caller_digits", sa.BigInteger(), nullable=True),
        sa.Column("callee_digits", sa.BigInteger(), nullable=True),
        sa.Column("agent_id", sa.Text(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("content", postgresql.JSONB(astext_type=sa.Text()), nullable=False, comment="the record as sent"),
        sa.Column("content_digest", sa.LargeBinary(), nullable=False),
        sa.Column("do_not_call_entry_id", sa.UUID(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("direction IN ('outbound', 'inbound')", name=op.f("ck_call_records_direction")),
        sa.PrimaryKeyConstraint("call_id", name=op.f("pk_call_records")),
    )
    op.create_index("ix_call_records_callee", "call_records", ["callee_digits", "started_at"], unique=False)
    op.create_index("ix_call_records_check_id", "call_records", ["check_id"], unique=False)
    op.create_index("ix_call_records_started_at", "call_records", ["started_at", "call_id"], unique=False)
    op.create_table(
        "callback_requests",
        sa.Column("callback_request_id", sa.UUID(), nullable=False),
        sa.Column("phone_digits", sa.BigInteger(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=True),
        sa.Column("from_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("to_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("evidence", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_by", sa.UUID(), nullable=True),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("callback_request_id", name=op.f("pk_callback_requests")),
    )
    op.create_table(
        "calling_sides",
        sa.Column("side_digest", sa.LargeBinary(), nullable=False, comment="SHA-256 of `facts`"),
        sa.Column(
            "facts",
            sa.Text(),
            nullable=False,
            comment="a CallingSide as JSON; one row serves all calls that share it",
        ),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("side_digest", name=op.f("pk_calling_sides")),
    )
    op.create_table(
        "customer_phones",
        sa.Column("phone_digits", sa.BigInteger(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("phone_digits", "customer_id", name=op.f("pk_customer_phones")),
        comment="every number that a customer ever had",
    )
    op.create_index("ix_customer_phones_customer_id", "customer_phones", ["customer_id"], unique=False)
    op.create_table(
        "do_not_call_entries",
        sa.Column("entry_id", sa.UUID(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=True, comment="one entry per person"),
        sa.Column("blocked_from", sa.DateTime(timezone=True), nullable=False, comment="the instant the block bites"),
        sa.Column("refused_at", sa.DateTime(timezone=True), nullable=False, comment="the latest refusal"),
        sa.Column(
            "blocked_through",
            sa.Date(),
            nullable=False,
            comment="by month count, inclusive; 9999-12-31: permanent",
        ),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "raised_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when a tighter policy last moved the end; null: never",
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "changed_in",
            sa.BigInteger(),
            server_default=sa.text("pg_current_xact_id()::text::bigint"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("entry_id", name=op.f("pk_do_not_call_entries")),
    )
    op.create_index("ix_do_not_call_entries_changed_in", "do_not_call_entries", ["changed_in"], unique=False)
    op.create_index(
        "ix_do_not_call_entries_customer_id",
        "do_not_call_entries",
        ["customer_id"],
        unique=True,
        postgresql_where=sa.text("customer_id IS NOT NULL"),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("token_id", sa.UUID(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("body_digest", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("token_id", "path", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"], unique=False)
    op.create_table(
        "incidents",
        sa.Column("incident_id", sa.UUID(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("article", sa.Text(), nullable=False),
        sa.Column("call_id", sa.Text(), nullable=True),
        sa.Column(
            "details",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column("detected_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("'open'"), nullable=False),
        sa.Column("cause", sa.Text(), nullable=True),
        sa.Column("responsible", sa.Text(), nullable=True),
        sa.Column("measures", sa.Text(), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state IN ('open', 'closed')", name=op.f("ck_incidents_state")),
        sa.PrimaryKeyConstraint("incident_id", name=op.f("pk_incidents")),
    )
    op.create_index("ix_incidents_call_id", "incidents", ["call_id"], unique=False)
    op.create_index("ix_incidents_detected_at", "incidents", ["detected_at"], unique=False)
    op.create_table(
        "jobs",
        sa.Column("job_id", sa.UUID(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("'queued'"), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("parameters", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=True),
        sa.Column("done", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "progress",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=True,
            comment="what a resumed run needs to go on where the last one stopped",
        ),
        sa.Column("result", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("error", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column(
            "files",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'::jsonb"),
            nullable=False,
        ),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state IN ('queued', 'running', 'done', 'failed')", name=op.f("ck_jobs_state")),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_jobs")),
    )
    op.create_index(
        "ix_jobs_unfinished",
        "jobs",
        ["created_at"],
        unique=False,
        postgresql_where=sa.text("state IN ('queued', 'running')"),
    )
    op.create_table(
        "overlays",
        sa.Column("overlay_id", sa.UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("regions", postgresql.JSONB(astext_type=sa.Text()), nullable=True, comment="null: everywhere"),
        sa.Column("from_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("to_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind IN ('emergency', 'holiday')", name=op.f("ck_overlays_kind")),
        sa.PrimaryKeyConstraint("overlay_id", name=op.f("pk_overlays")),
    )
    op.create_table(
        "policies",
        sa.Column("policy_id", sa.UUID(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("requested_by", sa.Text(), nullable=True),
        sa.Column("approved_by", sa.Text(), nullable=True),
        sa.Column("effective_from", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("source IN ('floor', 'file', 'api')", name=op.f("ck_policies_source")),
        sa.PrimaryKeyConstraint("policy_id", name=op.f("pk_policies")),
    )
    op.create_index("ix_policies_digest", "policies", ["digest"], unique=False)
    op.create_index("ix_policies_effective_from", "policies", ["effective_from"], unique=False)
    op.create_table(
        "register_counters",
        sa.Column("register", sa.Text(), nullable=False),
        sa.Column("changes", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("register", name=op.f("pk_register_counters")),
    )
    op.create_table(
        "register_rows",
        sa.Column("register", sa.Text(), nullable=False),
        sa.Column("row_id", sa.Text(), nullable=False),
        sa.Column(
            "position",
            sa.BigInteger(),
            sa.Identity(always=True),
            nullable=False,
            comment="order of entry, for paging",
        ),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("register", "row_id", name=op.f("pk_register_rows")),
    )
    op.create_index("ix_register_rows_position", "register_rows", ["register", "position"], unique=False)
    op.create_table(
        "do_not_call_events",
        sa.Column("event_id", sa.UUID(), nullable=False),
        sa.Column("entry_id", sa.UUID(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("refused_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "blocked_through",
            sa.Date(),
            nullable=True,
            comment="the end that stands after this event; 9999-12-31: permanent",
        ),
        sa.Column(
            "details",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "kind IN ('refusal', 'phone_added', 'release', 'raised')", name=op.f("ck_do_not_call_events_kind")
        ),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_do_not_call_events")),
    )
    op.create_index("ix_do_not_call_events_entry_id", "do_not_call_events", ["entry_id", "recorded_at"], unique=False)
    op.create_table(
        "do_not_call_phones",
        sa.Column("phone_digits", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("entry_id", sa.UUID(), nullable=False),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["do_not_call_entries.entry_id"], name=op.f("fk_do_not_call_phones_entry_id")
        ),
        sa.PrimaryKeyConstraint("phone_digits", name=op.f("pk_do_not_call_phones")),
    )
    op.create_index("ix_do_not_call_phones_entry_id", "do_not_call_phones", ["entry_id"], unique=False)
    op.create_table(
        "incident_events",
        sa.Column("event_id", sa.UUID(), nullable=False),
        sa.Column("incident_id", sa.UUID(), nullable=False),
        sa.Column("details", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incidents.incident_id"], name=op.f("fk_incident_events_incident_id")
        ),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_incident_events")),
    )
    op.create_index("ix_incident_events_incident_id", "incident_events", ["incident_id"], unique=False)
    op.create_table(
        "register_versions",
        sa.Column("version_id", sa.UUID(), nullable=False),
        sa.Column("register", sa.Text(), nullable=False),
        sa.Column("row_id", sa.Text(), nullable=False),
        sa.Column("effective_from", sa.Date(), nullable=False),
        sa.Column("effective_through", sa.Date(), nullable=True),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["register", "row_id"],
            ["register_rows.register", "register_rows.row_id"],
            name=op.f("fk_register_versions_register_row_id"),
        ),
        sa.PrimaryKeyConstraint("version_id", name=op.f("pk_register_versions")),
    )
    op.create_index(
        "ix_register_versions_row",
        "register_versions",
        ["register", "row_id", "effective_from", "version_id"],
        unique=False,
    )
    op.execute(GUARDS)
    op.bulk_insert(
        sa.table("register_counters", sa.column("register", sa.Text), sa.column("changes", sa.BigInteger)),
        [{"register": name, "changes": 0} for name in COUNTED_REGISTERS],
    )
