"""Samples and inspections, and what of them stands under the ledger."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from infra.migrations.ledger_coverage import Coverage

revision: str = "0005"
down_revision: str | Sequence[str] | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

COVERAGE = (
    Coverage(
        "seed_commitments",
        ("day",),
        "day seed_commitment published_at seed public_number revealed_at",
        changing="seed public_number revealed_at",
    ),
    Coverage(
        "draws",
        ("draw_id",),
        "draw_id sales_mode centre_id inspection_class from_on to_on frame_digest frame_size rate_bp sample_size seed"
        " seed_commitment committed_before public_number algorithm policy_digest actor drawn_at",
    ),
    Coverage(
        "draw_tickets",
        ("draw_id", "policy_no", "kind"),
        "draw_id policy_no kind ticket is_drawn inspection_id replaces reason recorded_at",
        changing="is_drawn inspection_id",
    ),
    Coverage(
        "inspections",
        ("inspection_id",),
        "inspection_id policy_no sales_mode centre_id inspection_class closed_on origin is_random risk_reasons state"
        " due_before claimed_by claim_expires_at submitted_at is_in_time outcome created_at changed_at",
        changing="is_random risk_reasons state due_before claimed_by claim_expires_at submitted_at is_in_time outcome"
        " changed_at",
    ),
    Coverage("scorecards", ("version",), "version name items pass_bp effective_from reason actor recorded_at"),
    Coverage(
        "inspection_sittings",
        ("sitting_id",),
        "sitting_id inspection_id purpose inspector scorecard_version reason claimed_at expires_at ended_at ending",
        changing="expires_at ended_at ending draft",
    ),
    Coverage(
        "listening_reports",
        ("report_id",),
        "report_id sitting_id inspection_id recording_id inspector intervals added_ms reported_at",
    ),
    Coverage(
        "inspection_results",
        ("result_id",),
        "result_id inspection_id version sitting_id purpose scorecard_version answers comment score_bp failed_fatal"
        " outcome coverage inspector submitted_at",
    ),
    Coverage(
        "inspection_appeals",
        ("appeal_id",),
        "appeal_id inspection_id result_id reason items filed_by filed_at decide_before decision decided_by decided_at"
        " decided_result_id overdue_incident_id",
        changing="decision decided_by decided_at decided_result_id overdue_incident_id",
    ),
    Coverage(
        "second_scorings",
        ("inspection_id",),
        "inspection_id first_result_id chosen_at score_before second_result_id",
        changing="second_result_id",
    ),
    Coverage("recording_segments", ("recording_id", "start_ms"), "recording_id start_ms end_ms kind recorded_at"),
    Coverage(
        "sampling_alerts",
        ("incident_id",),
        "incident_id sales_mode centre_id inspection_class closed_on kind raised_at",
    ),
)


def upgrade() -> None:
    op.create_table(
        "draws",
        sa.Column("draw_id", sa.UUID(), nullable=False),
        sa.Column("sales_mode", sa.Text(), nullable=False),
        sa.Column("centre_id", sa.Text(), nullable=False),
        sa.Column("inspection_class", sa.Text(), nullable=False),
        sa.Column("from_on", sa.Date(), nullable=False, comment="first closing day, in Shanghai"),
        sa.Column("to_on", sa.Date(), nullable=False, comment="last closing day, included"),
        sa.Column("frame", sa.LargeBinary(), nullable=False, comment="the canonical bytes"),
        sa.Column("frame_digest", sa.LargeBinary(), nullable=False, comment="SHA-256 of the canonical bytes"),
        sa.Column("frame_size", sa.Integer(), nullable=False),
        sa.Column("rate_bp", sa.Integer(), nullable=False),
        sa.Column("sample_size", sa.Integer(), nullable=False),
        sa.Column("seed", sa.LargeBinary(), nullable=False),
        sa.Column("seed_commitment", sa.LargeBinary(), nullable=False),
        sa.Column(
            "committed_before",
            sa.Boolean(),
            nullable=False,
            comment="the commitment was published before the day began",
        ),
        sa.Column("public_number", sa.Text(), nullable=False),
        sa.Column("algorithm", sa.Text(), nullable=False),
        sa.Column("policy_digest", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("drawn_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "written_in",
            sa.BigInteger(),
            server_default=sa.text("pg_current_xact_id()::text::bigint"),
            nullable=False,
            comment="the transaction that wrote the row, by which its entry in the ledger is found",
        ),
        sa.CheckConstraint(
            "inspection_class IN ('over_1y', 'within_1y', 'gift')", name=op.f("ck_draws_inspection_class")
        ),
        sa.CheckConstraint("sales_mode IN ('own_centre', 'agency')", name=op.f("ck_draws_sales_mode")),
        sa.CheckConstraint("from_on <= to_on", name=op.f("ck_draws_period")),
        sa.CheckConstraint("octet_length(seed) = 32", name=op.f("ck_draws_seed")),
        sa.PrimaryKeyConstraint("draw_id", name=op.f("pk_draws")),
        sa.UniqueConstraint("sales_mode", "centre_id", "inspection_class", "from_on", "to_on", name="uq_draws_stratum"),
    )
    op.create_index("ix_draws_days", "draws", ["to_on", "from_on"], unique=False)
    op.create_index("ix_draws_drawn_at", "draws", ["drawn_at", "draw_id"], unique=False)
    op.create_table(
        "scorecards",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("items", postgresql.JSONB(), nullable=False, comment="item_id, text, article, fatal, weight"),
        sa.Column(
            "pass_bp", sa.Integer(), nullable=False, comment="share of the weight that must pass, in basis points"
        ),
        sa.Column("effective_from", sa.Date(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("pass_bp BETWEEN 0 AND 10000", name=op.f("ck_scorecards_pass_bp")),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_scorecards")),
    )
    op.create_table(
        "seed_commitments",
        sa.Column("day", sa.Date(), nullable=False, comment="the closing day in Shanghai whose draws use the seed"),
        sa.Column("seed_commitment", sa.LargeBinary(), nullable=False, comment="SHA-256 of the seed"),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seed", sa.LargeBinary(), nullable=True, comment="null until every frame of the day is frozen"),
        sa.Column(
            "public_number",
            sa.Text(),
            nullable=True,
            comment="mixed into every draw of the day; null until the seed is revealed",
        ),
        sa.Column("revealed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "written_in",
            sa.BigInteger(),
            server_default=sa.text("pg_current_xact_id()::text::bigint"),
            nullable=False,
            comment="the transaction that wrote the row, by which its entry in the ledger is found",
        ),
        sa.CheckConstraint(
            "(seed IS NULL) = (revealed_at IS NULL) AND (seed IS NULL) = (public_number IS NULL)",
            name=op.f("ck_seed_commitments_revealed"),
        ),
        sa.CheckConstraint("octet_length(seed) = 32", name=op.f("ck_seed_commitments_seed")),
        sa.CheckConstraint("octet_length(seed_commitment) = 32", name=op.f("ck_seed_commitments_seed_commitment")),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_seed_commitments")),
    )
    op.create_table(
        "stratum_days",
        sa.Column("closed_on", sa.Date(), nullable=False),
        sa.Column("sales_mode", sa.Text(), nullable=False),
        sa.Column("centre_id", sa.Text(), nullable=False),
        sa.Column("inspection_class", sa.Text(), nullable=False),
        sa.Column("sales", sa.BigInteger(), nullable=False, comment="counted by a trigger on sales"),
        sa.PrimaryKeyConstraint(
            "closed_on", "sales_mode", "centre_id", "inspection_class", name=op.f("pk_stratum_days")
        ),
    )
    op.create_table(
        "draw_seeds",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column(
            "sealed_seed", sa.LargeBinary(), nullable=False, comment="encrypted under a key that is not in the database"
        ),
        sa.ForeignKeyConstraint(["day"], ["seed_commitments.day"], name=op.f("fk_draw_seeds_day")),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_draw_seeds")),
    )
    op.create_table(
        "inspections",
        sa.Column("inspection_id", sa.UUID(), nullable=False),
        sa.Column("policy_no", sa.Text(), nullable=False),
        sa.Column("sales_mode", sa.Text(), nullable=False),
        sa.Column("centre_id", sa.Text(), nullable=False),
        sa.Column("inspection_class", sa.Text(), nullable=False),
        sa.Column("closed_on", sa.Date(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False, comment="what asked for it first"),
        sa.Column("is_random", sa.Boolean(), nullable=False, comment="drawn by ticket; only these fill the minimum"),
        sa.Column(
            "risk_reasons",
            postgresql.JSONB(),
            server_default=sa.text("'[]'::jsonb"),
            nullable=False,
            comment="codes; empty: none",
        ),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column(
            "due_before", sa.DateTime(timezone=True), nullable=False, comment="exclusive; follows the sale while open"
        ),
        sa.Column("claimed_by", sa.Text(), nullable=True, comment="who inspects it now, or did"),
        sa.Column("claim_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=True, comment="of the first result"),
        sa.Column("is_in_time", sa.Boolean(), nullable=True, comment="of the first result: finished before due_before"),
        sa.Column("outcome", sa.Text(), nullable=True, comment="of the newest result"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "inspection_class IN ('over_1y', 'within_1y', 'gift')", name=op.f("ck_inspections_inspection_class")
        ),
        sa.CheckConstraint("origin IN ('draw', 'risk', 'replacement')", name=op.f("ck_inspections_origin")),
        sa.CheckConstraint("outcome IN ('passed', 'failed')", name=op.f("ck_inspections_outcome")),
        sa.CheckConstraint("sales_mode IN ('own_centre', 'agency')", name=op.f("ck_inspections_sales_mode")),
        sa.CheckConstraint(
            "state IN ('open', 'claimed', 'submitted', 'appealed', 'closed')", name=op.f("ck_inspections_state")
        ),
        sa.CheckConstraint("(submitted_at IS NULL) = (is_in_time IS NULL)", name=op.f("ck_inspections_submitted")),
        sa.ForeignKeyConstraint(["policy_no"], ["sales.policy_no"], name=op.f("fk_inspections_policy_no")),
        sa.PrimaryKeyConstraint("inspection_id", name=op.f("pk_inspections")),
        sa.UniqueConstraint("policy_no", name=op.f("uq_inspections_policy_no")),
    )
    op.create_index(
        "ix_inspections_claimed_by",
        "inspections",
        ["claimed_by"],
        unique=False,
        postgresql_where=sa.text("state = 'claimed'"),
    )
    op.create_index(
        "ix_inspections_days",
        "inspections",
        ["closed_on", "sales_mode", "centre_id", "inspection_class"],
        unique=False,
        postgresql_include=["is_random", "is_in_time", "due_before", "outcome"],
    )
    op.create_index("ix_inspections_due", "inspections", ["state", "due_before", "inspection_id"], unique=False)
    op.create_index("ix_inspections_listed", "inspections", ["due_before", "inspection_id"], unique=False)
    op.create_index(
        "ix_inspections_waiting",
        "inspections",
        ["due_before", "inspection_id"],
        unique=False,
        postgresql_where=sa.text("submitted_at IS NULL"),
    )
    op.create_table(
        "recording_segments",
        sa.Column("recording_id", sa.UUID(), nullable=False),
        sa.Column("start_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("end_ms", sa.BigInteger(), nullable=False, comment="exclusive"),
        sa.Column("kind", sa.Text(), nullable=False, comment="as declared when the recording came in; never changed"),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind IN ('hold')", name=op.f("ck_recording_segments_kind")),
        sa.CheckConstraint("0 <= start_ms AND start_ms < end_ms", name=op.f("ck_recording_segments_order")),
        sa.ForeignKeyConstraint(
            ["recording_id"], ["recordings.recording_id"], name=op.f("fk_recording_segments_recording_id")
        ),
        sa.PrimaryKeyConstraint("recording_id", "start_ms", name=op.f("pk_recording_segments")),
    )
    op.create_table(
        "sampling_alerts",
        sa.Column("incident_id", sa.UUID(), nullable=False),
        sa.Column("sales_mode", sa.Text(), nullable=False),
        sa.Column("centre_id", sa.Text(), nullable=False),
        sa.Column("inspection_class", sa.Text(), nullable=False),
        sa.Column("closed_on", sa.Date(), nullable=False),
        sa.Column(
            "kind", sa.Text(), nullable=False, comment="ahead: it will not be met at this pace; missed: it was not"
        ),
        sa.Column("raised_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind IN ('ahead', 'missed')", name=op.f("ck_sampling_alerts_kind")),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incidents.incident_id"], name=op.f("fk_sampling_alerts_incident_id")
        ),
        sa.PrimaryKeyConstraint("incident_id", name=op.f("pk_sampling_alerts")),
    )
    op.create_table(
        "draw_tickets",
        sa.Column("draw_id", sa.UUID(), nullable=False),
        sa.Column("policy_no", sa.Text(), nullable=False),
        sa.Column("ticket", sa.LargeBinary(), nullable=False),
        sa.Column(
            "kind",
            sa.Text(),
            nullable=False,
            comment="sample; late: not in the frame; promoted: of the frame, drawn when it grew; replacement",
        ),
        sa.Column("is_drawn", sa.Boolean(), nullable=False),
        sa.Column("inspection_id", sa.UUID(), nullable=True),
        sa.Column(
            "replaces",
            sa.Text(),
            nullable=True,
            comment="of a replacement: the policy number that cannot be inspected in time",
        ),
        sa.Column("reason", sa.Text(), nullable=True, comment="of a replacement: why"),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(kind = 'replacement') = (replaces IS NOT NULL AND reason IS NOT NULL)",
            name=op.f("ck_draw_tickets_replacement"),
        ),
        sa.CheckConstraint("kind IN ('sample', 'late', 'promoted', 'replacement')", name=op.f("ck_draw_tickets_kind")),
        sa.CheckConstraint("is_drawn = (inspection_id IS NOT NULL)", name=op.f("ck_draw_tickets_drawn")),
        sa.CheckConstraint("octet_length(ticket) = 32", name=op.f("ck_draw_tickets_ticket")),
        sa.ForeignKeyConstraint(["draw_id"], ["draws.draw_id"], name=op.f("fk_draw_tickets_draw_id")),
        sa.ForeignKeyConstraint(
            ["inspection_id"], ["inspections.inspection_id"], name=op.f("fk_draw_tickets_inspection_id")
        ),
        sa.ForeignKeyConstraint(["policy_no"], ["sales.policy_no"], name=op.f("fk_draw_tickets_policy_no")),
        sa.PrimaryKeyConstraint("draw_id", "policy_no", "kind", name=op.f("pk_draw_tickets")),
    )
    op.create_index("ix_draw_tickets_policy_no", "draw_tickets", ["policy_no"], unique=False)
    op.create_index("ix_draw_tickets_replaces", "draw_tickets", ["draw_id", "replaces"], unique=False)
    op.create_table(
        "inspection_sittings",
        sa.Column("sitting_id", sa.UUID(), nullable=False),
        sa.Column("inspection_id", sa.UUID(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("inspector", sa.Text(), nullable=False, comment="owner of the token, one person"),
        sa.Column("scorecard_version", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True, comment="of a correction: why"),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ending", sa.Text(), nullable=True),
        sa.Column(
            "draft", postgresql.JSONB(), nullable=True, comment="answers not submitted yet; kept when the claim expires"
        ),
        sa.CheckConstraint("ending IN ('submitted', 'expired')", name=op.f("ck_inspection_sittings_ending")),
        sa.CheckConstraint(
            "purpose IN ('inspection', 'second_scoring', 'appeal', 'correction')",
            name=op.f("ck_inspection_sittings_purpose"),
        ),
        sa.CheckConstraint("(ended_at IS NULL) = (ending IS NULL)", name=op.f("ck_inspection_sittings_ended")),
        sa.ForeignKeyConstraint(
            ["inspection_id"], ["inspections.inspection_id"], name=op.f("fk_inspection_sittings_inspection_id")
        ),
        sa.ForeignKeyConstraint(
            ["scorecard_version"], ["scorecards.version"], name=op.f("fk_inspection_sittings_scorecard_version")
        ),
        sa.PrimaryKeyConstraint("sitting_id", name=op.f("pk_inspection_sittings")),
    )
    op.create_index(
        "ix_inspection_sittings_expiry",
        "inspection_sittings",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_index(
        "ix_inspection_sittings_inspection_id", "inspection_sittings", ["inspection_id", "claimed_at"], unique=False
    )
    op.create_index(
        "ix_inspection_sittings_inspector", "inspection_sittings", ["inspector", "claimed_at"], unique=False
    )
    op.create_index(
        "ix_inspection_sittings_one",
        "inspection_sittings",
        ["inspection_id"],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_table(
        "inspection_results",
        sa.Column("result_id", sa.UUID(), nullable=False),
        sa.Column("inspection_id", sa.UUID(), nullable=False),
        sa.Column(
            "version",
            sa.Integer(),
            nullable=True,
            comment="1, 2, …; null: a blind second scoring, which changes nothing",
        ),
        sa.Column("sitting_id", sa.UUID(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("scorecard_version", sa.Integer(), nullable=False),
        sa.Column("answers", postgresql.JSONB(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("score_bp", sa.Integer(), nullable=False),
        sa.Column("failed_fatal", postgresql.JSONB(), nullable=False, comment="item_ids"),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column(
            "coverage", postgresql.JSONB(), nullable=False, comment="per recording: duration_ms, covered_ms, excused_ms"
        ),
        sa.Column("inspector", sa.Text(), nullable=False),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(purpose = 'second_scoring') = (version IS NULL)", name=op.f("ck_inspection_results_version")
        ),
        sa.CheckConstraint("outcome IN ('passed', 'failed')", name=op.f("ck_inspection_results_outcome")),
        sa.CheckConstraint(
            "purpose IN ('inspection', 'second_scoring', 'appeal', 'correction')",
            name=op.f("ck_inspection_results_purpose"),
        ),
        sa.CheckConstraint("score_bp BETWEEN 0 AND 10000", name=op.f("ck_inspection_results_score_bp")),
        sa.ForeignKeyConstraint(
            ["inspection_id"], ["inspections.inspection_id"], name=op.f("fk_inspection_results_inspection_id")
        ),
        sa.ForeignKeyConstraint(
            ["scorecard_version"], ["scorecards.version"], name=op.f("fk_inspection_results_scorecard_version")
        ),
        sa.ForeignKeyConstraint(
            ["sitting_id"], ["inspection_sittings.sitting_id"], name=op.f("fk_inspection_results_sitting_id")
        ),
        sa.PrimaryKeyConstraint("result_id", name=op.f("pk_inspection_results")),
        sa.UniqueConstraint("inspection_id", "version", name="uq_inspection_results_version"),
        sa.UniqueConstraint("sitting_id", name=op.f("uq_inspection_results_sitting_id")),
    )
    op.create_index("ix_inspection_results_submitted_at", "inspection_results", ["submitted_at"], unique=False)
    op.create_table(
        "listening_reports",
        sa.Column("report_id", sa.UUID(), nullable=False),
        sa.Column("sitting_id", sa.UUID(), nullable=False),
        sa.Column("inspection_id", sa.UUID(), nullable=False),
        sa.Column("recording_id", sa.UUID(), nullable=False),
        sa.Column("inspector", sa.Text(), nullable=False),
        sa.Column(
            "intervals", postgresql.JSONB(), nullable=False, comment="[[start_ms, end_ms], …] as the player sent them"
        ),
        sa.Column(
            "added_ms", sa.BigInteger(), nullable=False, comment="milliseconds not heard before by this inspector"
        ),
        sa.Column("reported_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["recording_id"], ["recordings.recording_id"], name=op.f("fk_listening_reports_recording_id")
        ),
        sa.ForeignKeyConstraint(
            ["sitting_id"], ["inspection_sittings.sitting_id"], name=op.f("fk_listening_reports_sitting_id")
        ),
        sa.PrimaryKeyConstraint("report_id", name=op.f("pk_listening_reports")),
    )
    op.create_index(
        "ix_listening_reports_heard", "listening_reports", ["inspection_id", "inspector", "recording_id"], unique=False
    )
    op.create_index("ix_listening_reports_pace", "listening_reports", ["inspector", "reported_at"], unique=False)
    op.create_table(
        "inspection_appeals",
        sa.Column("appeal_id", sa.UUID(), nullable=False),
        sa.Column("inspection_id", sa.UUID(), nullable=False),
        sa.Column("result_id", sa.UUID(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column(
            "items",
            postgresql.JSONB(),
            server_default=sa.text("'[]'::jsonb"),
            nullable=False,
            comment="item_ids contested; empty: all of it",
        ),
        sa.Column("filed_by", sa.Text(), nullable=False),
        sa.Column("filed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decide_before", sa.DateTime(timezone=True), nullable=False, comment="exclusive"),
        sa.Column("decision", sa.Text(), nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_result_id", sa.UUID(), nullable=True),
        sa.Column("overdue_incident_id", sa.UUID(), nullable=True),
        sa.CheckConstraint("decision IN ('confirmed', 'changed')", name=op.f("ck_inspection_appeals_decision")),
        sa.CheckConstraint("(decision IS NULL) = (decided_at IS NULL)", name=op.f("ck_inspection_appeals_decided")),
        sa.ForeignKeyConstraint(
            ["decided_result_id"],
            ["inspection_results.result_id"],
            name=op.f("fk_inspection_appeals_decided_result_id"),
        ),
        sa.ForeignKeyConstraint(
            ["inspection_id"], ["inspections.inspection_id"], name=op.f("fk_inspection_appeals_inspection_id")
        ),
        sa.ForeignKeyConstraint(
            ["overdue_incident_id"], ["incidents.incident_id"], name=op.f("fk_inspection_appeals_overdue_incident_id")
        ),
        sa.ForeignKeyConstraint(
            ["result_id"], ["inspection_results.result_id"], name=op.f("fk_inspection_appeals_result_id")
        ),
        sa.PrimaryKeyConstraint("appeal_id", name=op.f("pk_inspection_appeals")),
        sa.UniqueConstraint("inspection_id", name=op.f("uq_inspection_appeals_inspection_id")),
    )
    op.create_index(
        "ix_inspection_appeals_waiting",
        "inspection_appeals",
        ["decide_before"],
        unique=False,
        postgresql_where=sa.text("decided_at IS NULL"),
    )
    op.create_table(
        "second_scorings",
        sa.Column("inspection_id", sa.UUID(), nullable=False),
        sa.Column("first_result_id", sa.UUID(), nullable=False),
        sa.Column("chosen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("score_before", sa.DateTime(timezone=True), nullable=False, comment="exclusive"),
        sa.Column("second_result_id", sa.UUID(), nullable=True),
        sa.ForeignKeyConstraint(
            ["first_result_id"], ["inspection_results.result_id"], name=op.f("fk_second_scorings_first_result_id")
        ),
        sa.ForeignKeyConstraint(
            ["inspection_id"], ["inspections.inspection_id"], name=op.f("fk_second_scorings_inspection_id")
        ),
        sa.ForeignKeyConstraint(
            ["second_result_id"], ["inspection_results.result_id"], name=op.f("fk_second_scorings_second_result_id")
        ),
        sa.PrimaryKeyConstraint("inspection_id", name=op.f("pk_second_scorings")),
    )
    op.create_index(
        "ix_second_scorings_waiting",
        "second_scorings",
        ["score_before"],
        unique=False,
        postgresql_where=sa.text("second_result_id IS NULL"),
    )
    _index_users()
    op.create_index(
        "ix_callback_requests_used_by",
        "callback_requests",
        ["used_by"],
        unique=False,
        postgresql_where=sa.text("used_by IS NOT NULL"),
    )
    _count_sales()
    _cover()


def _index_users() -> None:
    """Find at once which agents a person was or supervised: every claim of an inspection asks it."""
    for name, field in (("user", "user_id"), ("supervisor", "supervisor_user_id")):
        op.create_index(
            f"ix_register_versions_{name}",
            "register_versions",
            [sa.literal_column(rf"lower(regexp_replace(normalize(body ->> '{field}', NFKC), '\s', '', 'g'))")],
            unique=False,
            postgresql_where=sa.text("register = 'agents'"),
        )


def _count_sales() -> None:
    """Count sales where quotas ask for them; per statement, so that a list of sales costs one row per day."""
    op.execute("""
        CREATE FUNCTION count_sales() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO stratum_days AS d (closed_on, sales_mode, centre_id, inspection_class, sales)
            SELECT closed_on, sales_mode, centre_id, inspection_class, count(*) FROM added
             GROUP BY closed_on, sales_mode, centre_id, inspection_class ORDER BY 1, 2, 3, 4
                ON CONFLICT (closed_on, sales_mode, centre_id, inspection_class)
                DO UPDATE SET sales = d.sales + excluded.sales;
            RETURN NULL;
        END $$;
        INSERT INTO stratum_days (closed_on, sales_mode, centre_id, inspection_class, sales)
        SELECT closed_on, sales_mode, centre_id, inspection_class, count(*) FROM sales GROUP BY 1, 2, 3, 4;
        CREATE TRIGGER count_sales AFTER INSERT ON sales REFERENCING NEW TABLE AS added
            FOR EACH STATEMENT EXECUTE FUNCTION count_sales()""")


def _cover() -> None:
    cover = sa.text("SELECT ledger_cover(:table, :key, :columns, :changing, :hides_key, :mode)").bindparams(
        *(sa.bindparam(name, type_=postgresql.ARRAY(sa.Text())) for name in ("key", "columns", "changing"))
    )
    for one in COVERAGE:
        values = {"key": list(one.key), "columns": one.columns.split(), "changing": one.changing.split()}
        op.get_bind().execute(cover, {**one._asdict(), **values})


def downgrade() -> None:
    message = "draws and inspections are kept for ever"
    raise NotImplementedError(message)
