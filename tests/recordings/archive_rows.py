"""Rows of recordings and sales as their intakes write them, every value with a default."""

from datetime import UTC, date, datetime
from uuid import UUID

from sqlalchemy import Connection, insert, update

from compliance.policy import floor_policy
from compliance.sale_tables import sale_calls, sales
from compliance.shanghai import midnight
from infra.ids import new_id
from recordings.tables import recordings

POLICY = floor_policy(on=date(2026, 11, 23))
CALLED_AT = datetime(2020, 3, 1, 2, 0, tzinfo=UTC)


def add_sale(
    connection: Connection,
    policy_no: str,
    *,
    call_ids: tuple[str, ...] = (),
    ended_on: date | None = None,
    retention_class: str = "5y",
) -> None:
    now = CALLED_AT
    connection.execute(
        insert(sales).values(
            policy_no=policy_no,
            product_code="TERM-20",
            sales_mode="own_centre",
            centre_id="centre",
            agent_id="agent",
            consented_at=now,
            closed_on=now.date(),
            cover_start=now.date(),
            cooling_off_days=15,
            is_gift=False,
            content={},
            content_digest=b"\0" * 32,
            inspection_class="over_1y",
            inspect_before=midnight(now.date()),
            inspect_before_basis="closing_day",
            deliver_by=now.date(),
            retention_class=retention_class,
            ended_on=ended_on,
            actor="dialer",
            recorded_at=now,
            changed_at=now,
        )
    )
    for call_id in call_ids:
        connection.execute(insert(sale_calls).values(policy_no=policy_no, call_id=call_id, recorded_at=now))


def end_sale(connection: Connection, policy_no: str, ended_on: date | None) -> None:
    connection.execute(update(sales).where(sales.c.policy_no == policy_no).values(ended_on=ended_on))


def add_recording(
    connection: Connection,
    *,
    sha256: bytes | None = None,
    size_bytes: int = 4,
    call_id: str | None = None,
    policy_no: str | None = None,
    phone_digits: int | None = None,
    started_at: datetime = CALLED_AT,
) -> UUID:
    """Add a recording as the intake does: held until the clock has looked at it."""
    recording_id = new_id()
    digest = sha256 or recording_id.bytes * 2
    connection.execute(
        insert(recordings).values(
            recording_id=recording_id,
            sha256=digest,
            size_bytes=size_bytes,
            object_key=f"audio/{digest.hex()}",
            call_id=call_id,
            policy_no=policy_no,
            phone_digits=phone_digits,
            started_at=started_at,
            channels=["mixed"],
            codec="pcm_s16le",
            container="wav",
            sample_rate=8000,
            duration_ms=1000,
            silence_bp=0,
            source="api",
            is_held=True,
            retention_basis="unknown_sale",
            is_lock_due=False,
            actor="dialer",
            recorded_at=CALLED_AT,
        )
    )
    return recording_id
