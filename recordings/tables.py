"""Storage of the archive: recordings, where their copies lie, what holds them, who heard them, how they went.

`recordings` says what is wanted (held or not, kept through which day); `recording_copies` what each store was last read
back to have. Where the two differ, and where a copy is wanted or damaged, the row itself is the queue of the tasks that
put it right.
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
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

from infra.database import metadata

recordings = Table(
    "recordings",
    metadata,
    Column("recording_id", UUID(as_uuid=True), primary_key=True),
    Column("sha256", LargeBinary, nullable=False, comment="of the original bytes"),
    Column("size_bytes", BigInteger, nullable=False),
    Column("object_key", Text, nullable=False, comment="the same in every store"),
    Column("call_id", Text),
    Column("policy_no", Text, comment="as sent; sales also name calls, and a call may belong to several"),
    Column("agent_id", Text),
    Column("phone_digits", BigInteger),
    Column("started_at", DateTime(timezone=True), nullable=False),
    Column("direction", Text),
    Column("channels", ARRAY(Text), nullable=False, comment="whose voice is in each, in order"),
    Column("codec", Text, nullable=False),
    Column("container", Text, nullable=False),
    Column("sample_rate", Integer, nullable=False),
    Column("duration_ms", BigInteger, nullable=False),
    Column("silence_bp", Integer, nullable=False, comment="share of silence in basis points"),
    Column("source", Text, nullable=False),
    Column("is_held", Boolean, nullable=False, comment="contract running or unknown, or somebody holds it"),
    Column("retention_class", Text),
    Column("keep_through", Date, comment="the statutory or company day, inclusive; null: not known yet"),
    Column("retention_basis", Text, nullable=False),
    Column("is_lock_due", Boolean, nullable=False, comment="the stores have not been brought to the above yet"),
    Column(
        "is_unlinked", Boolean, nullable=False, server_default=text("false"), comment="names a call or policy not known"
    ),
    Column("disposal_id", UUID(as_uuid=True)),
    Column("disposed_at", DateTime(timezone=True)),
    Column("actor", Text, nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
    CheckConstraint("octet_length(sha256) = 32", name="sha256"),
    CheckConstraint("direction IN ('outbound', 'inbound')", name="direction"),
    CheckConstraint("source IN ('api', 'import', 'spool', 'demo')", name="source"),
    CheckConstraint("retention_class IN ('5y', '10y')", name="retention_class"),
    CheckConstraint("retention_basis IN ('sale', 'unknown_sale', 'company')", name="basis"),
    Index("ix_recordings_started_at", "started_at", "recording_id"),
    Index("ix_recordings_call_id", "call_id", "started_at", "recording_id"),
    Index("ix_recordings_policy_no", "policy_no", "started_at", "recording_id"),
    Index("ix_recordings_agent_id", "agent_id", "started_at", "recording_id"),
    Index("ix_recordings_phone_digits", "phone_digits", "started_at", "recording_id"),
    Index("ix_recordings_keep_through", "keep_through", postgresql_where=text("disposed_at IS NULL AND NOT is_held")),
    Index("ix_recordings_lock_due", "recording_id", postgresql_where=text("is_lock_due")),
    Index("ix_recordings_unlinked", "recording_id", postgresql_where=text("is_unlinked")),
    info={
        "updates": [
            "call_id",
            "policy_no",
            "agent_id",
            "phone_digits",
            "direction",
            "is_held",
            "retention_class",
            "keep_through",
            "retention_basis",
            "is_lock_due",
            "is_unlinked",
            "disposal_id",
            "disposed_at",
        ]
    },
)
# The same bytes of the same call are one recording; without a call, the same bytes are.
Index(
    "ix_recordings_content",
    recordings.c.sha256,
    text("coalesce(call_id, '')"),
    unique=True,
)

recording_copies = Table(
    "recording_copies",
    metadata,
    Column("recording_id", UUID(as_uuid=True), ForeignKey("recordings.recording_id"), primary_key=True),
    Column("copy", Text, primary_key=True, comment="first or second"),
    Column("store", Text, nullable=False, comment="where, without credentials"),
    Column("state", Text, nullable=False),
    Column("version_id", Text),
    Column("is_held", Boolean, nullable=False, server_default=text("false"), comment="as last read back"),
    Column("retain_until", DateTime(timezone=True), comment="exclusive, as last read back"),
    Column("stored_at", DateTime(timezone=True)),
    Column("verified_at", DateTime(timezone=True), comment="when its bytes last had the right hash"),
    Column("verify_after", DateTime(timezone=True), comment="when they are to be hashed again"),
    CheckConstraint("copy IN ('first', 'second')", name="copy"),
    CheckConstraint("state IN ('wanted', 'stored', 'missing', 'changed', 'removed')", name="state"),
    Index("ix_recording_copies_verify_after", "verify_after", postgresql_where=text("state = 'stored'")),
    Index(
        "ix_recording_copies_state", "recording_id", postgresql_where=text("state IN ('wanted', 'missing', 'changed')")
    ),
    info={
        "updates": [
            "store",
            "state",
            "version_id",
            "is_held",
            "retain_until",
            "stored_at",
            "verified_at",
            "verify_after",
        ]
    },
)

recording_media = Table(
    "recording_media",
    metadata,
    Column("recording_id", UUID(as_uuid=True), ForeignKey("recordings.recording_id"), primary_key=True),
    Column("peaks", LargeBinary, nullable=False, comment="the waveform as answered, deflated (zlib)"),
    Column("playable_key", Text, comment="null: browsers play the original"),
    Column("playable_version_id", Text),
    Column("playable_size_bytes", BigInteger),
    info={"updates": ["playable_key", "playable_version_id", "playable_size_bytes"], "deletes": True},
)

recording_segments = Table(
    "recording_segments",
    metadata,
    Column("recording_id", UUID(as_uuid=True), ForeignKey("recordings.recording_id"), primary_key=True),
    Column("start_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("end_ms", BigInteger, nullable=False, comment="exclusive"),
    Column("kind", Text, nullable=False, comment="as declared when the recording came in; never changed"),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
    CheckConstraint("kind IN ('hold')", name="kind"),
    CheckConstraint("0 <= start_ms AND start_ms < end_ms", name="order"),
)

recording_holds = Table(
    "recording_holds",
    metadata,
    Column("hold_id", UUID(as_uuid=True), primary_key=True),
    Column("recording_id", UUID(as_uuid=True), ForeignKey("recordings.recording_id"), nullable=False),
    Column("reason", Text, nullable=False),
    Column("case", Text),
    Column("placed_by", Text, nullable=False),
    Column("placed_at", DateTime(timezone=True), nullable=False),
    Column("released_at", DateTime(timezone=True)),
    Column("released_by", Text, comment="who approved"),
    Column("release_reason", Text),
    Index("ix_recording_holds_recording_id", "recording_id"),
    info={"updates": ["released_at", "released_by", "release_reason"]},
)

recording_events = Table(
    "recording_events",
    metadata,
    Column("event_id", UUID(as_uuid=True), primary_key=True),
    Column("recording_id", UUID(as_uuid=True), ForeignKey("recordings.recording_id"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("details", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("actor", Text, nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
    Index("ix_recording_events_recording_id", "recording_id", "recorded_at"),
)

recording_accesses = Table(
    "recording_accesses",
    metadata,
    Column("access_id", UUID(as_uuid=True), primary_key=True),
    Column("recording_id", UUID(as_uuid=True), ForeignKey("recordings.recording_id"), nullable=False),
    Column("actor", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("address", Text),
    Column("accessed_at", DateTime(timezone=True), nullable=False),
    Index("ix_recording_accesses_recording_id", "recording_id", "accessed_at"),
)

disposals = Table(
    "disposals",
    metadata,
    Column("disposal_id", UUID(as_uuid=True), primary_key=True),
    Column("reason", Text, nullable=False),
    Column("requested_by", Text, nullable=False),
    Column("approved_by", Text, nullable=False),
    Column("certificate", JSONB, nullable=False),
    Column("approved_at", DateTime(timezone=True), nullable=False),
)

fixity_days = Table(
    "fixity_days",
    metadata,
    Column("day", Date, primary_key=True, comment="in Shanghai"),
    Column("copies", BigInteger, nullable=False, comment="hashed, found good or not"),
    Column("bytes", BigInteger, nullable=False),
    Column("damaged", BigInteger, nullable=False, comment="found missing or changed"),
    Column("weakened", BigInteger, nullable=False, comment="found less locked than it was, or hidden"),
    Column("repaired", BigInteger, nullable=False),
    info={"updates": ["copies", "bytes", "damaged", "weakened", "repaired"]},
)

call_completeness = Table(
    "call_completeness",
    metadata,
    Column("call_id", Text, ForeignKey("call_records.call_id"), primary_key=True),
    Column("verdict", Text, nullable=False),
    Column("talk_ms", BigInteger, comment="null: nobody said when the call ended"),
    Column("recorded_ms", BigInteger, nullable=False, comment="what there was when it was judged, or came later"),
    Column("incident_id", UUID(as_uuid=True), ForeignKey("incidents.incident_id")),
    Column("call_recorded_at", DateTime(timezone=True), nullable=False),
    Column("judged_at", DateTime(timezone=True), nullable=False),
    CheckConstraint("verdict IN ('complete', 'missing', 'short')", name="verdict"),
    CheckConstraint("(verdict = 'complete') = (incident_id IS NULL)", name="incident"),
    Index("ix_call_completeness_call_recorded_at", "call_recorded_at"),
    Index("ix_call_completeness_judged_at", "judged_at", postgresql_where=text("incident_id IS NOT NULL")),
    info={"updates": ["recorded_ms"]},
)

archive_begun = Table(
    "archive_begun",
    metadata,
    Column("begun_at", DateTime(timezone=True), primary_key=True),
    comment="answered calls recorded from then on need a recording",
)
