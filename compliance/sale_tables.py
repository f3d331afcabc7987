"""Storage of sales: one row per policy with what was agreed, and its history as events that stay.

A sale's row holds the facts as they stand now and what follows from them; each change of a fact is an event beside it.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID

from infra.database import metadata

sales = Table(
    "sales",
    metadata,
    Column("policy_no", Text, primary_key=True),
    Column(
        "position", BigInteger, Identity(always=True), nullable=False, unique=True, comment="order of entry, for paging"
    ),
    Column("product_code", Text, nullable=False),
    Column("sales_mode", Text, nullable=False),
    Column("centre_id", Text, nullable=False),
    Column("agent_id", Text, nullable=False),
    Column("consented_at", DateTime(timezone=True), nullable=False),
    Column("closed_on", Date, nullable=False, comment="the Shanghai day of the consent"),
    Column("cover_start", Date, nullable=False),
    Column("cover_end_exclusive", Date, comment="null: whole life"),
    Column("declared_term_months", Integer),
    Column("cooling_off_days", Integer, nullable=False),
    Column("is_gift", Boolean, nullable=False),
    Column("content", JSONB, nullable=False, comment="the sale as sent"),
    Column("content_digest", LargeBinary, nullable=False),
    Column("effective_on", Date),
    Column("receipt_confirmed_on", Date),
    Column("delivered_on", Date),
    Column("delivery_notice", JSONB, comment="why it comes late, and when the applicant was told"),
    Column("inspection_class", Text, nullable=False),
    Column("inspect_before", DateTime(timezone=True), nullable=False, comment="exclusive"),
    Column("inspect_before_basis", Text, nullable=False),
    Column("right_through", Date, comment="last day of the customer's cooling-off; never moves earlier"),
    Column("deliver_by", Date, nullable=False, comment="inclusive"),
    Column("retention_class", Text, nullable=False),
    Column("ended_on", Date, comment="the contract's last day; null: it runs, or nobody said that it ended"),
    Column("findings", JSONB, nullable=False, server_default=text("'[]'::jsonb")),
    Column(
        "is_voice_confirmable",
        Boolean,
        nullable=False,
        server_default=text("false"),
        comment="a recording may confirm it, art. 30",
    ),
    Column("actor", Text, nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False),
    CheckConstraint("sales_mode IN ('own_centre', 'agency')", name="sales_mode"),
    CheckConstraint("inspection_class IN ('over_1y', 'within_1y', 'gift')", name="inspection_class"),
    CheckConstraint("retention_class IN ('5y', '10y')", name="retention_class"),
    CheckConstraint("inspect_before_basis IN ('cooling_off', 'policy_term', 'closing_day')", name="basis"),
    Index("ix_sales_centre", "centre_id", "closed_on", "position"),
    Index("ix_sales_closed_on", "closed_on", "position"),
    Index("ix_sales_centre_position", "centre_id", "position"),
    Index("ix_sales_agent", "agent_id", "closed_on"),
    info={
        "updates": [
            "effective_on",
            "receipt_confirmed_on",
            "delivered_on",
            "delivery_notice",
            "inspect_before",
            "inspect_before_basis",
            "right_through",
            "deliver_by",
            "ended_on",
            "changed_at",
        ]
    },
)

sale_calls = Table(
    "sale_calls",
    metadata,
    Column("policy_no", Text, ForeignKey("sales.policy_no"), primary_key=True),
    Column("call_id", Text, primary_key=True),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
    Index("ix_sale_calls_call_id", "call_id"),
)

sale_events = Table(
    "sale_events",
    metadata,
    Column("event_id", UUID(as_uuid=True), primary_key=True),
    Column("policy_no", Text, ForeignKey("sales.policy_no"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("details", JSONB, nullable=False),
    Column("actor", Text, nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
    CheckConstraint("kind IN ('registered', 'amended', 'terminated', 'reinstated')", name="kind"),
    Index("ix_sale_events_policy_no", "policy_no", "recorded_at"),
)
