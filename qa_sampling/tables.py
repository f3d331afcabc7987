"""Storage of samples and inspections: what was committed, frozen and drawn, who heard what, and how it was judged.

A sale has at most one inspection, however often it is drawn; its row is the queue from which inspectors are given work.
What a person did for it is a sitting: the inspection itself, a blind second scoring, the hearing of an appeal, a
correction. Reports of listening and results are only ever added.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID

from infra.database import metadata

_MODE = "sales_mode IN ('own_centre', 'agency')"
_CLASS = "inspection_class IN ('over_1y', 'within_1y', 'gift')"
_PURPOSE = "purpose IN ('inspection', 'second_scoring', 'appeal', 'correction')"
_NO_JSON = text("'[]'::jsonb")
_CURRENT = text("pg_current_xact_id()::text::bigint")
_WRITTEN_IN = "the transaction that wrote the row, by which its entry in the ledger is found"

seed_commitments = Table(
    "seed_commitments",
    metadata,
    Column("day", Date, primary_key=True, comment="the closing day in Shanghai whose draws use the seed"),
    Column("seed_commitment", LargeBinary, nullable=False, comment="SHA-256 of the seed"),
    Column("published_at", DateTime(timezone=True), nullable=False),
    Column("seed", LargeBinary, comment="null until every frame of the day is frozen"),
    Column("public_number", Text, comment="mixed into every draw of the day; null until the seed is revealed"),
    Column("revealed_at", DateTime(timezone=True)),
    Column("written_in", BigInteger, nullable=False, server_default=_CURRENT, comment=_WRITTEN_IN),
    CheckConstraint("octet_length(seed_commitment) = 32", name="seed_commitment"),
    CheckConstraint("octet_length(seed) = 32", name="seed"),
    CheckConstraint(
        "(seed IS NULL) = (revealed_at IS NULL) AND (seed IS NULL) = (public_number IS NULL)", name="revealed"
    ),
    info={"updates": ["seed", "public_number", "revealed_at"]},
)

draw_seeds = Table(
    "draw_seeds",
    metadata,
    Column("day", Date, ForeignKey("seed_commitments.day"), primary_key=True),
    Column("sealed_seed", LargeBinary, nullable=False, comment="encrypted under a key that is not in the database"),
)

draws = Table(
    "draws",
    metadata,
    Column("draw_id", UUID(as_uuid=True), primary_key=True),
    Column("sales_mode", Text, nullable=False),
    Column("centre_id", Text, nullable=False),
    Column("inspection_class", Text, nullable=False),
    Column("from_on", Date, nullable=False, comment="first closing day, in Shanghai"),
    Column("to_on", Date, nullable=False, comment="last closing day, included"),
    Column("frame", LargeBinary, nullable=False, comment="the canonical bytes"),
    Column("frame_digest", LargeBinary, nullable=False, comment="SHA-256 of the canonical bytes"),
    Column("frame_size", Integer, nullable=False),
    Column("rate_bp", Integer, nullable=False),
    Column("sample_size", Integer, nullable=False),
    Column("seed", LargeBinary, nullable=False),
    Column("seed_commitment", LargeBinary, nullable=False),
    Column("committed_before", Boolean, nullable=False, comment="the commitment was published before the day began"),
    Column("public_number", Text, nullable=False),
    Column("algorithm", Text, nullable=False),
    Column("policy_digest", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("drawn_at", DateTime(timezone=True), nullable=False),
    Column("written_in", BigInteger, nullable=False, server_default=_CURRENT, comment=_WRITTEN_IN),
    UniqueConstraint("sales_mode", "centre_id", "inspection_class", "from_on", "to_on", name="uq_draws_stratum"),
    CheckConstraint(_MODE, name="sales_mode"),
    CheckConstraint(_CLASS, name="inspection_class"),
    CheckConstraint("from_on <= to_on", name="period"),
    CheckConstraint("octet_length(seed) = 32", name="seed"),
    Index("ix_draws_days", "to_on", "from_on"),
    Index("ix_draws_drawn_at", "drawn_at", "draw_id"),
)

inspections = Table(
    "inspections",
    metadata,
    Column("inspection_id", UUID(as_uuid=True), primary_key=True),
    Column("policy_no", Text, ForeignKey("sales.policy_no"), nullable=False, unique=True),
    Column("sales_mode", Text, nullable=False),
    Column("centre_id", Text, nullable=False),
    Column("inspection_class", Text, nullable=False),
    Column("closed_on", Date, nullable=False),
    Column("origin", Text, nullable=False, comment="what asked for it first"),
    Column("is_random", Boolean, nullable=False, comment="drawn by ticket; only these fill the minimum"),
    Column("risk_reasons", JSONB, nullable=False, server_default=_NO_JSON, comment="codes; empty: none"),
    Column("state", Text, nullable=False),
    Column("due_before", DateTime(timezone=True), nullable=False, comment="exclusive; follows the sale while open"),
    Column("claimed_by", Text, comment="who inspects it now, or did"),
    Column("claim_expires_at", DateTime(timezone=True)),
    Column("submitted_at", DateTime(timezone=True), comment="of the first result"),
    Column("is_in_time", Boolean, comment="of the first result: finished before due_before"),
    Column("outcome", Text, comment="of the newest result"),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False),
    CheckConstraint(_MODE, name="sales_mode"),
    CheckConstraint(_CLASS, name="inspection_class"),
    CheckConstraint("origin IN ('draw', 'risk', 'replacement')", name="origin"),
    CheckConstraint("state IN ('open', 'claimed', 'submitted', 'appealed', 'closed')", name="state"),
    CheckConstraint("outcome IN ('passed', 'failed')", name="outcome"),
    CheckConstraint("(submitted_at IS NULL) = (is_in_time IS NULL)", name="submitted"),
    Index("ix_inspections_due", "state", "due_before", "inspection_id"),
    Index("ix_inspections_listed", "due_before", "inspection_id"),
    Index("ix_inspections_waiting", "due_before", "inspection_id", postgresql_where=text("submitted_at IS NULL")),
    Index(
        "ix_inspections_days",
        "closed_on",
        "sales_mode",
        "centre_id",
        "inspection_class",
        postgresql_include=["is_random", "is_in_time", "due_before", "outcome"],
    ),
    Index("ix_inspections_claimed_by", "claimed_by", postgresql_where=text("state = 'claimed'")),
    info={
        "updates": [
            "is_random",
            "risk_reasons",
            "state",
            "due_before",
            "claimed_by",
            "claim_expires_at",
            "submitted_at",
            "is_in_time",
            "outcome",
            "changed_at",
        ]
    },
)

draw_tickets = Table(
    "draw_tickets",
    metadata,
    Column("draw_id", UUID(as_uuid=True), ForeignKey("draws.draw_id"), primary_key=True),
    Column("policy_no", Text, ForeignKey("sales.policy_no"), primary_key=True),
    Column("ticket", LargeBinary, nullable=False),
    Column(
        "kind",
        Text,
        primary_key=True,
        comment="sample; late: not in the frame; promoted: of the frame, drawn when it grew; replacement",
    ),
    Column("is_drawn", Boolean, nullable=False),
    Column("inspection_id", UUID(as_uuid=True), ForeignKey("inspections.inspection_id")),
    Column("replaces", Text, comment="of a replacement: the policy number that cannot be inspected in time"),
    Column("reason", Text, comment="of a replacement: why"),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
    CheckConstraint("kind IN ('sample', 'late', 'promoted', 'replacement')", name="kind"),
    CheckConstraint("octet_length(ticket) = 32", name="ticket"),
    CheckConstraint("is_drawn = (inspection_id IS NOT NULL)", name="drawn"),
    CheckConstraint("(kind = 'replacement') = (replaces IS NOT NULL AND reason IS NOT NULL)", name="replacement"),
    Index("ix_draw_tickets_policy_no", "policy_no"),
    Index("ix_draw_tickets_replaces", "draw_id", "replaces"),
    info={"updates": ["is_drawn", "inspection_id"]},
)

scorecards = Table(
    "scorecards",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("items", JSONB, nullable=False, comment="item_id, text, article, fatal, weight"),
    Column("pass_bp", Integer, nullable=False, comment="share of the weight that must pass, in basis points"),
    Column("effective_from", Date, nullable=False),
    Column("reason", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
    CheckConstraint("pass_bp BETWEEN 0 AND 10000", name="pass_bp"),
)

inspection_sittings = Table(
    "inspection_sittings",
    metadata,
    Column("sitting_id", UUID(as_uuid=True), primary_key=True),
    Column("inspection_id", UUID(as_uuid=True), ForeignKey("inspections.inspection_id"), nullable=False),
    Column("purpose", Text, nullable=False),
    Column("inspector", Text, nullable=False, comment="owner of the token, one person"),
    Column("scorecard_version", Integer, ForeignKey("scorecards.version"), nullable=False),
    Column("reason", Text, comment="of a correction: why"),
    Column("claimed_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("ended_at", DateTime(timezone=True)),
    Column("ending", Text),
    Column("draft", JSONB, comment="answers not submitted yet; kept when the claim expires"),
    CheckConstraint(_PURPOSE, name="purpose"),
    CheckConstraint("ending IN ('submitted', 'expired')", name="ending"),
    CheckConstraint("(ended_at IS NULL) = (ending IS NULL)", name="ended"),
    Index(
        "ix_inspection_sittings_one",
        "inspection_id",
        unique=True,
        postgresql_where=text("ended_at IS NULL"),
    ),
    Index("ix_inspection_sittings_inspection_id", "inspection_id", "claimed_at"),
    Index("ix_inspection_sittings_expiry", "expires_at", postgresql_where=text("ended_at IS NULL")),
    Index("ix_inspection_sittings_inspector", "inspector", "claimed_at"),
    info={"updates": ["expires_at", "ended_at", "ending", "draft"]},
)

listening_reports = Table(
    "listening_reports",
    metadata,
    Column("report_id", UUID(as_uuid=True), primary_key=True),
    Column("sitting_id", UUID(as_uuid=True), ForeignKey("inspection_sittings.sitting_id"), nullable=False),
    Column("inspection_id", UUID(as_uuid=True), nullable=False),
    Column("recording_id", UUID(as_uuid=True), ForeignKey("recordings.recording_id"), nullable=False),
    Column("inspector", Text, nullable=False),
    Column("intervals", JSONB, nullable=False, comment="[[start_ms, end_ms], …] as the player sent them"),
    Column("added_ms", BigInteger, nullable=False, comment="milliseconds not heard before by this inspector"),
    Column("reported_at", DateTime(timezone=True), nullable=False),
    Index("ix_listening_reports_heard", "inspection_id", "inspector", "recording_id"),
    Index("ix_listening_reports_pace", "inspector", "reported_at"),
)

inspection_results = Table(
    "inspection_results",
    metadata,
    Column("result_id", UUID(as_uuid=True), primary_key=True),
    Column("inspection_id", UUID(as_uuid=True), ForeignKey("inspections.inspection_id"), nullable=False),
    Column("version", Integer, comment="1, 2, …; null: a blind second scoring, which changes nothing"),
    Column("sitting_id", UUID(as_uuid=True), ForeignKey("inspection_sittings.sitting_id"), nullable=False, unique=True),
    Column("purpose", Text, nullable=False),
    Column("scorecard_version", Integer, ForeignKey("scorecards.version"), nullable=False),
    Column("answers", JSONB, nullable=False),
    Column("comment", Text),
    Column("score_bp", Integer, nullable=False),
    Column("failed_fatal", JSONB, nullable=False, comment="item_ids"),
    Column("outcome", Text, nullable=False),
    Column("coverage", JSONB, nullable=False, comment="per recording: duration_ms, covered_ms, excused_ms"),
    Column("inspector", Text, nullable=False),
    Column("submitted_at", DateTime(timezone=True), nullable=False),
    UniqueConstraint("inspection_id", "version", name="uq_inspection_results_version"),
    CheckConstraint(_PURPOSE, name="purpose"),
    CheckConstraint("(purpose = 'second_scoring') = (version IS NULL)", name="version"),
    CheckConstraint("outcome IN ('passed', 'failed')", name="outcome"),
    CheckConstraint("score_bp BETWEEN 0 AND 10000", name="score_bp"),
    Index("ix_inspection_results_submitted_at", "submitted_at"),
)

inspection_appeals = Table(
    "inspection_appeals",
    metadata,
    Column("appeal_id", UUID(as_uuid=True), primary_key=True),
    Column("inspection_id", UUID(as_uuid=True), ForeignKey("inspections.inspection_id"), nullable=False, unique=True),
    Column("result_id", UUID(as_uuid=True), ForeignKey("inspection_results.result_id"), nullable=False),
    Column("reason", Text, nullable=False),
    Column("items", JSONB, nullable=False, server_default=_NO_JSON, comment="item_ids contested; empty: all of it"),
    Column("filed_by", Text, nullable=False),
    Column("filed_at", DateTime(timezone=True), nullable=False),
    Column("decide_before", DateTime(timezone=True), nullable=False, comment="exclusive"),
    Column("decision", Text),
    Column("decided_by", Text),
    Column("decided_at", DateTime(timezone=True)),
    Column("decided_result_id", UUID(as_uuid=True), ForeignKey("inspection_results.result_id")),
    Column("overdue_incident_id", UUID(as_uuid=True), ForeignKey("incidents.incident_id")),
    CheckConstraint("decision IN ('confirmed', 'changed')", name="decision"),
    CheckConstraint("(decision IS NULL) = (decided_at IS NULL)", name="decided"),
    Index("ix_inspection_appeals_waiting", "decide_before", postgresql_where=text("decided_at IS NULL")),
    info={"updates": ["decision", "decided_by", "decided_at", "decided_result_id", "overdue_incident_id"]},
)

second_scorings = Table(
    "second_scorings",
    metadata,
    Column("inspection_id", UUID(as_uuid=True), ForeignKey("inspections.inspection_id"), primary_key=True),
    Column("first_result_id", UUID(as_uuid=True), ForeignKey("inspection_results.result_id"), nullable=False),
    Column("chosen_at", DateTime(timezone=True), nullable=False),
    Column("score_before", DateTime(timezone=True), nullable=False, comment="exclusive"),
    Column("second_result_id", UUID(as_uuid=True), ForeignKey("inspection_results.result_id")),
    Index("ix_second_scorings_waiting", "score_before", postgresql_where=text("second_result_id IS NULL")),
    info={"updates": ["second_result_id"]},
)

sampling_alerts = Table(
    "sampling_alerts",
    metadata,
    Column("incident_id", UUID(as_uuid=True), ForeignKey("incidents.incident_id"), primary_key=True),
    Column("sales_mode", Text, nullable=False),
    Column("centre_id", Text, nullable=False),
    Column("inspection_class", Text, nullable=False),
    Column("closed_on", Date, nullable=False),
    Column("kind", Text, nullable=False, comment="ahead: it will not be met at this pace; missed: it was not"),
    Column("raised_at", DateTime(timezone=True), nullable=False),
    CheckConstraint("kind IN ('ahead', 'missed')", name="kind"),
)

stratum_days = Table(
    "stratum_days",
    metadata,
    Column("closed_on", Date, primary_key=True),
    Column("sales_mode", Text, primary_key=True),
    Column("centre_id", Text, primary_key=True),
    Column("inspection_class", Text, primary_key=True),
    Column("sales", BigInteger, nullable=False, comment="counted by a trigger on sales"),
    info={"updates": ["sales"]},
)
