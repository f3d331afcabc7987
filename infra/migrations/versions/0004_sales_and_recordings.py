"""Sales and the archive of recordings, and what of them stands under the ledger."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from infra.migrations.ledger_coverage import Coverage

revision: str = "0004"
down_revision: str | Sequence[str] | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

COVERAGE = (
    Coverage(
        "sales",
        ("policy_no",),
        "policy_no product_code sales_mode centre_id agent_id consented_at closed_on cover_start cover_end_exclusive"
        " declared_term_months cooling_off_days is_gift content content_digest effective_on receipt_confirmed_on"
        " delivered_on delivery_notice inspection_class inspect_before inspect_before_basis right_through deliver_by"
        " retention_class ended_on findings is_voice_confirmable actor recorded_at changed_at",
        changing="effective_on receipt_confirmed_on delivered_on delivery_notice inspect_before inspect_before_basis"
        " right_through deliver_by ended_on changed_at",
    ),
    Coverage("sale_calls", ("policy_no", "call_id"), "policy_no call_id recorded_at"),
    Coverage("sale_events", ("event_id",), "event_id policy_no kind details actor recorded_at"),
    Coverage(
        "recordings",
        ("recording_id",),
        "recording_id sha256 size_bytes object_key call_id policy_no agent_id phone_digits started_at direction channels"
        " codec container sample_rate duration_ms silence_bp source is_held retention_class keep_through"
        " retention_basis disposal_id disposed_at actor recorded_at",
        changing="call_id policy_no agent_id phone_digits direction is_held retention_class keep_through"
        " retention_basis is_lock_due is_unlinked disposal_id disposed_at",
    ),
    Coverage(
        "recording_copies",
        ("recording_id", "copy"),
        "recording_id copy store state version_id is_held retain_until stored_at",
        changing="store state version_id is_held retain_until stored_at verified_at verify_after",
    ),
    Coverage(
        "recording_holds",
        ("hold_id",),
        "hold_id recording_id reason case placed_by placed_at released_at released_by release_reason",
        changing="released_at released_by release_reason",
    ),
    Coverage("recording_events", ("event_id",), "event_id recording_id kind details actor recorded_at"),
    Coverage("recording_accesses", ("access_id",), "access_id recording_id actor role purpose address accessed_at"),
    Coverage("disposals", ("disposal_id",), "disposal_id reason requested_by approved_by certificate approved_at"),
    Coverage("archive_begun", ("begun_at",), "begun_at"),
    Coverage(
        "call_completeness",
        ("call_id",),
        "call_id verdict talk_ms recorded_ms incident_id call_recorded_at judged_at",
        changing="recorded_ms",
    ),
)


def upgrade() -> None:
    op.create_table(
        "archive_begun",
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("begun_at", name=op.f("pk_archive_begun")),
        comment="answered calls recorded from then on need a recording",
    )
    op.create_table(
        "disposals",
        sa.Column("disposal_id", sa.UUID(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("approved_by", sa.Text(), nullable=False),
        sa.Column("certificate", postgresql.JSONB(), nullable=False),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("disposal_id", name=op.f("pk_disposals")),
    )
    op.create_table(
        "recordings",
        sa.Column("recording_id", sa.UUID(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False, comment="of the original bytes"),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("object_key", sa.Text(), nullable=False, comment="the same in every store"),
        sa.Column("call_id", sa.Text(), nullable=True),
        sa.Column(
            "policy_no",
            sa.Text(),
            nullable=True,
            comment="as sent; sales also name calls, and a call may belong to several",
        ),
        sa.Column("agent_id", sa.Text(), nullable=True),
        sa.Column("phone_digits", sa.BigInteger(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("direction", sa.Text(), nullable=True),
        sa.Column("channels", postgresql.ARRAY(sa.Text()), nullable=False, comment="whose voice is in each, in order"),
        sa.Column("codec", sa.Text(), nullable=False),
        sa.Column("container", sa.Text(), nullable=False),
        sa.Column("sample_rate", sa.Integer(), nullable=False),
        sa.Column("duration_ms", sa.BigInteger(), nullable=False),
        sa.Column("silence_bp", sa.Integer(), nullable=False, comment="share of silence in basis points"),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("is_held", sa.Boolean(), nullable=False, comment="contract running or unknown, or somebody holds it"),
        sa.Column("retention_class", sa.Text(), nullable=True),
        sa.Column(
            "keep_through",
            sa.Date(),
            nullable=True,
            comment="the statutory or company day, inclusive; null: not known yet",
        ),
        sa.Column("retention_basis", sa.Text(), nullable=False),
        sa.Column(
            "is_lock_due", sa.Boolean(), nullable=False, comment="the stores have not been brought to the above yet"
        ),
        sa.Column(
            "is_unlinked",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="names a call or policy not known",
        ),
        sa.Column("disposal_id", sa.UUID(), nullable=True),
        sa.Column("disposed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("direction IN ('outbound', 'inbound')", name=op.f("ck_recordings_direction")),
        sa.CheckConstraint("retention_basis IN ('sale', 'unknown_sale', 'company')", name=op.f("ck_recordings_basis")),
        sa.CheckConstraint("retention_class IN ('5y', '10y')", name=op.f("ck_recordings_retention_class")),
        sa.CheckConstraint("source IN ('api', 'import', 'spool', 'demo')", name=op.f("ck_recordings_source")),
        sa.CheckConstraint("octet_length(sha256) = 32", name=op.f("ck_recordings_sha256")),
        sa.PrimaryKeyConstraint("recording_id", name=op.f("pk_recordings")),
    )
    op.create_index("ix_recordings_agent_id", "recordings", ["agent_id", "started_at", "recording_id"], unique=False)
    op.create_index("ix_recordings_call_id", "recordings", ["call_id", "started_at", "recording_id"], unique=False)
    op.create_index(
        "ix_recordings_content", "recordings", ["sha256", sa.literal_column("coalesce(call_id, '')")], unique=True
    )
    op.create_index(
        "ix_recordings_keep_through",
        "recordings",
        ["keep_through"],
        unique=False,
        postgresql_where=sa.text("disposed_at IS NULL AND NOT is_held"),
    )
    op.create_index(
        "ix_recordings_lock_due", "recordings", ["recording_id"], unique=False, postgresql_where=sa.text("is_lock_due")
    )
    op.create_index(
        "ix_recordings_phone_digits", "recordings", ["phone_digits", "started_at", "recording_id"], unique=False
    )
    op.create_index("ix_recordings_policy_no", "recordings", ["policy_no", "started_at", "recording_id"], unique=False)
    op.create_index("ix_recordings_started_at", "recordings", ["started_at", "recording_id"], unique=False)
    op.create_index(
        "ix_recordings_unlinked", "recordings", ["recording_id"], unique=False, postgresql_where=sa.text("is_unlinked")
    )
    op.create_table(
        "sales",
        sa.Column("policy_no", sa.Text(), nullable=False),
        sa.Column(
            "position", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="order of entry, for paging"
        ),
        sa.Column("product_code", sa.Text(), nullable=False),
        sa.Column("sales_mode", sa.Text(), nullable=False),
        sa.Column("centre_id", sa.Text(), nullable=False),
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("consented_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_on", sa.Date(), nullable=False, comment="the Shanghai day of the consent"),
        sa.Column("cover_start", sa.Date(), nullable=False),
        sa.Column("cover_end_exclusive", sa.Date(), nullable=True, comment="null: whole life"),
        sa.Column("declared_term_months", sa.Integer(), nullable=True),
        sa.Column("cooling_off_days", sa.Integer(), nullable=False),
        sa.Column("is_gift", sa.Boolean(), nullable=False),
        sa.Column("content", postgresql.JSONB(), nullable=False, comment="the sale as sent"),
        sa.Column("content_digest", sa.LargeBinary(), nullable=False),
        sa.Column("effective_on", sa.Date(), nullable=True),
        sa.Column("receipt_confirmed_on", sa.Date(), nullable=True),
        sa.Column("delivered_on", sa.Date(), nullable=True),
        sa.Column(
            "delivery_notice",
            postgresql.JSONB(),
            nullable=True,
            comment="why it comes late, and when the applicant was told",
        ),
        sa.Column("inspection_class", sa.Text(), nullable=False),
        sa.Column("inspect_before", sa.DateTime(timezone=True), nullable=False, comment="exclusive"),
        sa.Column("inspect_before_basis", sa.Text(), nullable=False),
        sa.Column(
            "right_through",
            sa.Date(),
            nullable=True,
            comment="last day of the customer's cooling-off; never moves earlier",
        ),
        sa.Column("deliver_by", sa.Date(), nullable=False, comment="inclusive"),
        sa.Column("retention_class", sa.Text(), nullable=False),
        sa.Column(
            "ended_on",
            sa.Date(),
            nullable=True,
            comment="the contract's last day; null: it runs, or nobody said that it ended",
        ),
        sa.Column("findings", postgresql.JSONB(), server_default=sa.text("'[]'::jsonb"), nullable=False),
        sa.Column(
            "is_voice_confirmable",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="a recording may confirm it, art. 30",
        ),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "inspect_before_basis IN ('cooling_off', 'policy_term', 'closing_day')", name=op.f("ck_sales_basis")
        ),
        sa.CheckConstraint(
            "inspection_class IN ('over_1y', 'within_1y', 'gift')", name=op.f("ck_sales_inspection_class")
        ),
        sa.CheckConstraint("retention_class IN ('5y', '10y')", name=op.f("ck_sales_retention_class")),
        sa.CheckConstraint("sales_mode IN ('own_centre', 'agency')", name=op.f("ck_sales_sales_mode")),
        sa.PrimaryKeyConstraint("policy_no", name=op.f("pk_sales")),
        sa.UniqueConstraint("position", name=op.f("uq_sales_position")),
    )
    op.create_index("ix_sales_agent", "sales", ["agent_id", "closed_on"], unique=False)
    op.create_index("ix_sales_centre", "sales", ["centre_id", "closed_on", "position"], unique=False)
    op.create_index("ix_sales_centre_position", "sales", ["centre_id", "position"], unique=False)
    op.create_index("ix_sales_closed_on", "sales", ["closed_on", "position"], unique=False)
    op.create_table(
        "recording_accesses",
        sa.Column("access_id", sa.UUID(), nullable=False),
        sa.Column("recording_id", sa.UUID(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("accessed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["recording_id"], ["recordings.recording_id"], name=op.f("fk_recording_accesses_recording_id")
        ),
        sa.PrimaryKeyConstraint("access_id", name=op.f("pk_recording_accesses")),
    )
    op.create_index(
        "ix_recording_accesses_recording_id", "recording_accesses", ["recording_id", "accessed_at"], unique=False
    )
    op.create_table(
        "recording_copies",
        sa.Column("recording_id", sa.UUID(), nullable=False),
        sa.Column("copy", sa.Text(), nullable=False, comment="first or second"),
        sa.Column("store", sa.Text(), nullable=False, comment="where, without credentials"),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("version_id", sa.Text(), nullable=True),
        sa.Column(
            "is_held", sa.Boolean(), server_default=sa.text("false"), nullable=False, comment="as last read back"
        ),
        sa.Column("retain_until", sa.DateTime(timezone=True), nullable=True, comment="exclusive, as last read back"),
        sa.Column("stored_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "verified_at", sa.DateTime(timezone=True), nullable=True, comment="when its bytes last had the right hash"
        ),
        sa.Column(
            "verify_after", sa.DateTime(timezone=True), nullable=True, comment="when they are to be hashed again"
        ),
        sa.CheckConstraint("copy IN ('first', 'second')", name=op.f("ck_recording_copies_copy")),
        sa.CheckConstraint(
            "state IN ('wanted', 'stored', 'missing', 'changed', 'removed')", name=op.f("ck_recording_copies_state")
        ),
        sa.ForeignKeyConstraint(
            ["recording_id"], ["recordings.recording_id"], name=op.f("fk_recording_copies_recording_id")
        ),
        sa.PrimaryKeyConstraint("recording_id", "copy", name=op.f("pk_recording_copies")),
    )
    op.create_index(
        "ix_recording_copies_state",
        "recording_copies",
        ["recording_id"],
        unique=False,
        postgresql_where=sa.text("state IN ('wanted', 'missing', 'changed')"),
    )
    op.create_index(
        "ix_recording_copies_verify_after",
        "recording_copies",
        ["verify_after"],
        unique=False,
        postgresql_where=sa.text("state = 'stored'"),
    )
    op.create_table(
        "recording_events",
        sa.Column("event_id", sa.UUID(), nullable=False),
        sa.Column("recording_id", sa.UUID(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("details", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["recording_id"], ["recordings.recording_id"], name=op.f("fk_recording_events_recording_id")
        ),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_recording_events")),
    )
    op.create_index(
        "ix_recording_events_recording_id", "recording_events", ["recording_id", "recorded_at"], unique=False
    )
    op.create_table(
        "recording_holds",
        sa.Column("hold_id", sa.UUID(), nullable=False),
        sa.Column("recording_id", sa.UUID(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("case", sa.Text(), nullable=True),
        sa.Column("placed_by", sa.Text(), nullable=False),
        sa.Column("placed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("released_by", sa.Text(), nullable=True, comment="who approved"),
        sa.Column("release_reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["recording_id"], ["recordings.recording_id"], name=op.f("fk_recording_holds_recording_id")
        ),
        sa.PrimaryKeyConstraint("hold_id", name=op.f("pk_recording_holds")),
    )
    op.create_index("ix_recording_holds_recording_id", "recording_holds", ["recording_id"], unique=False)
    op.create_table(
        "recording_media",
        sa.Column("recording_id", sa.UUID(), nullable=False),
        sa.Column("peaks", sa.LargeBinary(), nullable=False, comment="the waveform as answered, deflated (zlib)"),
        sa.Column("playable_key", sa.Text(), nullable=True, comment="null: browsers play the original"),
        sa.Column("playable_version_id", sa.Text(), nullable=True),
        sa.Column("playable_size_bytes", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["recording_id"], ["recordings.recording_id"], name=op.f("fk_recording_media_recording_id")
        ),
        sa.PrimaryKeyConstraint("recording_id", name=op.f("pk_recording_media")),
    )
    op.create_table(
        "sale_calls",
        sa.Column("policy_no", sa.Text(), nullable=False),
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["policy_no"], ["sales.policy_no"], name=op.f("fk_sale_calls_policy_no")),
        sa.PrimaryKeyConstraint("policy_no", "call_id", name=op.f("pk_sale_calls")),
    )
    op.create_index("ix_sale_calls_call_id", "sale_calls", ["call_id"], unique=False)
    op.create_table(
        "sale_events",
        sa.Column("event_id", sa.UUID(), nullable=False),
        sa.Column("policy_no", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("details", postgresql.JSONB(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "kind IN ('registered', 'amended', 'terminated', 'reinstated')", name=op.f("ck_sale_events_kind")
        ),
        sa.ForeignKeyConstraint(["policy_no"], ["sales.policy_no"], name=op.f("fk_sale_events_policy_no")),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_sale_events")),
    )
    op.create_index("ix_sale_events_policy_no", "sale_events", ["policy_no", "recorded_at"], unique=False)
    _create_fixity()
    _cover()
    # Answered calls of before the archive have no recordings here, and are no incidents. Without calls there is no
    # before: from the first call on, each needs its recording.
    op.execute("INSERT INTO archive_begun (begun_at) SELECT ledger_now() WHERE EXISTS (SELECT FROM call_records)")


def _create_fixity() -> None:
    op.create_table(
        "fixity_days",
        sa.Column("day", sa.Date(), nullable=False, comment="in Shanghai"),
        sa.Column("copies", sa.BigInteger(), nullable=False, comment="hashed, found good or not"),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("damaged", sa.BigInteger(), nullable=False, comment="found missing or changed"),
        sa.Column("weakened", sa.BigInteger(), nullable=False, comment="found less locked than it was, or hidden"),
        sa.Column("repaired", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_fixity_days")),
    )
    op.create_table(
        "call_completeness",
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("talk_ms", sa.BigInteger(), nullable=True, comment="null: nobody said when the call ended"),
        sa.Column(
            "recorded_ms", sa.BigInteger(), nullable=False, comment="what there was when it was judged, or came later"
        ),
        sa.Column("incident_id", sa.UUID(), nullable=True),
        sa.Column("call_recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("judged_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("verdict IN ('complete', 'missing', 'short')", name=op.f("ck_call_completeness_verdict")),
        sa.CheckConstraint(
            "(verdict = 'complete') = (incident_id IS NULL)", name=op.f("ck_call_completeness_incident")
        ),
        sa.ForeignKeyConstraint(["call_id"], ["call_records.call_id"], name=op.f("fk_call_completeness_call_id")),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incidents.incident_id"], name=op.f("fk_call_completeness_incident_id")
        ),
        sa.PrimaryKeyConstraint("call_id", name=op.f("pk_call_completeness")),
    )
    op.create_index("ix_call_completeness_call_recorded_at", "call_completeness", ["call_recorded_at"], unique=False)
    op.create_index(
        "ix_call_completeness_judged_at",
        "call_completeness",
        ["judged_at"],
        unique=False,
        postgresql_where=sa.text("incident_id IS NOT NULL"),
    )
    op.create_index(
        "ix_call_records_answered",
        "call_records",
        ["recorded_at", "call_id"],
        unique=False,
        postgresql_where=sa.text("answered_at IS NOT NULL"),
    )
    op.create_index(
        "ix_incidents_fixity",
        "incidents",
        [sa.literal_column("(details ->> 'recording_id')")],
        unique=False,
        postgresql_where=sa.text("kind = 'fixity'"),
    )


def _cover() -> None:
    cover = sa.text("SELECT ledger_cover(:table, :key, :columns, :changing, :hides_key, :mode)").bindparams(
        *(sa.bindparam(name, type_=postgresql.ARRAY(sa.Text())) for name in ("key", "columns", "changing"))
    )
    for one in COVERAGE:
        values = {"key": list(one.key), "columns": one.columns.split(), "changing": one.changing.split()}
        op.get_bind().execute(cover, {**one._asdict(), **values})


def downgrade() -> None:
    message = "sales and recordings are kept for ever"
    raise NotImplementedError(message)
