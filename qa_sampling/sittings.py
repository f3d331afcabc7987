"""Sittings: who holds an inspection, for what, and until when.

A sitting is one person's work on one inspection; an inspection has one open sitting at most. Whoever touches it locks
the inspection's row first and the sitting's then. A sitting that is not ended in time is over, whether or not anybody
has written so yet; what was heard and answered in it stays, and comes back when the same person claims again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, insert, select, text, update

from compliance.shanghai import SHANGHAI
from infra.ids import new_id
from qa_sampling.inspection_rows import InspectionState, lock_inspection
from qa_sampling.scorecards import scorecard_in_force
from qa_sampling.tables import inspection_results, inspection_sittings, inspections

CLAIM_LASTS = timedelta(hours=8)
"""A working day; the company's figure. Each report of listening and each draft lets it last so long again."""

_EXTENDED_BY_AT_LEAST = timedelta(minutes=5)
"""A player reports every few seconds, and each change of a row is an entry of the ledger."""

_MOST_EXPIRED_AT_ONCE = 500


class SittingPurpose(StrEnum):
    INSPECTION = "inspection"
    SECOND_SCORING = "second_scoring"
    APPEAL = "appeal"
    CORRECTION = "correction"


class Ending(StrEnum):
    SUBMITTED = "submitted"
    EXPIRED = "expired"


class NotHeldError(ValueError):
    """The inspection is not held by who asks: nobody has claimed it, somebody else has, or the claim is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sitting:
    """An open sitting; `expires_at` is exclusive, `reason` is that of a correction, `draft` what the form holds."""

    sitting_id: UUID
    inspection_id: UUID
    purpose: SittingPurpose
    inspector: str
    scorecard_version: int
    reason: str | None
    claimed_at: datetime
    expires_at: datetime
    draft: dict[str, Any] | None


_columns = inspection_sittings.c
_SHOWN = [_columns[name] for name in Sitting.__dataclass_fields__]

# Locks the inspections, then their sittings; who holds one of them is at work on it and is passed over.
_EXPIRED = text("""
    SELECT s.sitting_id, s.inspection_id, s.purpose
      FROM inspection_sittings s JOIN inspections i ON i.inspection_id = s.inspection_id
     WHERE s.ended_at IS NULL AND s.expires_at <= :now
     ORDER BY s.expires_at LIMIT :most FOR UPDATE OF i, s SKIP LOCKED""")


def open_sitting(connection: Connection, inspection_id: UUID, inspector: str, *, now: datetime) -> Sitting:
    """Return the sitting in which `inspector` holds the inspection, both rows locked: the inspection's first.

    Raises:
        UnknownInspectionError: there is no such inspection.
        NotHeldError: nobody holds it, somebody else does, or the claim is over.
    """
    lock_inspection(connection, inspection_id)
    found = held_sitting(connection, inspection_id, lock=True)
    if found is None or (found.expires_at <= now and found.inspector != inspector):
        msg = f"nobody holds inspection {inspection_id}; claim it with POST /v1/inspections/claim"
        raise NotHeldError(msg)
    if found.inspector != inspector:
        msg = f"another inspector holds inspection {inspection_id}; POST /v1/inspections/claim gives you the next one"
        raise NotHeldError(msg)
    if found.expires_at <= now:
        ended = found.expires_at.astimezone(SHANGHAI).isoformat()
        msg = (
            f"your claim of inspection {inspection_id} ended at {ended}; claim it again, what you heard and your "
            f"draft are kept"
        )
        raise NotHeldError(msg)
    return found


def held_sitting(connection: Connection, inspection_id: UUID, *, lock: bool = False) -> Sitting | None:
    """Return the sitting of an inspection that is not ended, though its time may be over; None if there is none."""
    statement = select(*_SHOWN).where(_columns.inspection_id == inspection_id, _columns.ended_at.is_(None))
    row = connection.execute(statement.with_for_update() if lock else statement).mappings().one_or_none()
    return None if row is None else _sitting(row)


def start_sitting(
    connection: Connection,
    inspection_id: UUID,
    inspector: str,
    *,
    purpose: SittingPurpose,
    now: datetime,
    reason: str | None = None,
) -> Sitting:
    """Let `inspector` hold an inspection whose row the caller has locked and that nobody holds.

    The scorecard of this day is the one by which it will be judged; what was judged before is judged again by the same.
    The draft of his last sitting for the same purpose comes back.

    Raises:
        NoScorecardError: no scorecard is in force.
    """
    version = _judged_by(connection, inspection_id) or scorecard_in_force(connection, now=now).card.version
    sitting = Sitting(
        sitting_id=new_id(),
        inspection_id=inspection_id,
        purpose=purpose,
        inspector=inspector,
        scorecard_version=version,
        reason=reason,
        claimed_at=now,
        expires_at=now + CLAIM_LASTS,
        draft=_last_draft(connection, inspection_id, inspector, purpose),
    )
    values = {name: getattr(sitting, name) for name in Sitting.__dataclass_fields__}
    connection.execute(insert(inspection_sittings).values(values))
    if purpose is SittingPurpose.INSPECTION:
        _write_claim(connection, inspection_id, inspector, sitting.expires_at, now=now)
    return sitting


def end_sitting(connection: Connection, sitting: Sitting, ending: Ending, *, now: datetime) -> None:
    """End a sitting whose rows the caller holds. What becomes of the inspection with a result is the caller's to say.

    An inspection whose claim is over goes back into the queue.
    """
    ended = update(inspection_sittings).where(_columns.sitting_id == sitting.sitting_id)
    connection.execute(ended.values(ended_at=now, ending=ending))
    if ending is Ending.EXPIRED and sitting.purpose is SittingPurpose.INSPECTION:
        _write_claim(connection, sitting.inspection_id, None, None, now=now)


def extend_sitting(connection: Connection, sitting: Sitting, *, now: datetime) -> datetime:
    """Let a claim last on from `now`, once that makes some minutes; return until when it lasts."""
    expires_at = now + CLAIM_LASTS
    if expires_at - sitting.expires_at < _EXTENDED_BY_AT_LEAST:
        return sitting.expires_at
    changed = update(inspection_sittings).where(_columns.sitting_id == sitting.sitting_id)
    connection.execute(changed.values(expires_at=expires_at))
    if sitting.purpose is SittingPurpose.INSPECTION:
        _write_claim(connection, sitting.inspection_id, sitting.inspector, expires_at, now=now)
    return expires_at


def keep_draft(connection: Connection, sitting: Sitting, draft: Mapping[str, object], *, now: datetime) -> datetime:
    """Keep unfinished answers with the sitting, in place of those before; return until when the claim lasts."""
    changed = update(inspection_sittings).where(_columns.sitting_id == sitting.sitting_id)
    connection.execute(changed.values(draft=dict(draft)))
    return extend_sitting(connection, sitting, now=now)


def end_expired(connection: Connection, *, now: datetime) -> int:
    """End the sittings whose time is over, and return how many; their inspections go back into the queue."""
    found = connection.execute(_EXPIRED, {"now": now, "most": _MOST_EXPIRED_AT_ONCE}).all()
    if not found:
        return 0
    ended = update(inspection_sittings).where(_columns.sitting_id.in_([row.sitting_id for row in found]))
    connection.execute(ended.values(ended_at=now, ending=Ending.EXPIRED))
    back = [row.inspection_id for row in found if row.purpose == SittingPurpose.INSPECTION]
    if back:
        opened = update(inspections).where(inspections.c.inspection_id.in_(back))
        connection.execute(
            opened.values(state=InspectionState.OPEN, claimed_by=None, claim_expires_at=None, changed_at=now)
        )
    return len(found)


def _write_claim(
    connection: Connection, inspection_id: UUID, inspector: str | None, expires_at: datetime | None, *, now: datetime
) -> None:
    state = InspectionState.OPEN if inspector is None else InspectionState.CLAIMED
    changed = update(inspections).where(inspections.c.inspection_id == inspection_id)
    connection.execute(changed.values(state=state, claimed_by=inspector, claim_expires_at=expires_at, changed_at=now))


def _judged_by(connection: Connection, inspection_id: UUID) -> int | None:
    """Return the scorecard of the newest result, None before the first."""
    columns = inspection_results.c
    judged = select(columns.scorecard_version).where(
        columns.inspection_id == inspection_id, columns.version.is_not(None)
    )
    found: int | None = connection.execute(judged.order_by(columns.version.desc()).limit(1)).scalar_one_or_none()
    return found


def _last_draft(
    connection: Connection, inspection_id: UUID, inspector: str, purpose: SittingPurpose
) -> dict[str, Any] | None:
    statement = (
        select(_columns.draft)
        .where(
            _columns.inspection_id == inspection_id,
            _columns.inspector == inspector,
            _columns.purpose == purpose,
            _columns.ending == Ending.EXPIRED,
        )
        .order_by(_columns.claimed_at.desc())
        .limit(1)
    )
    return connection.execute(statement).scalar_one_or_none()


def _sitting(row: RowMapping) -> Sitting:
    return Sitting(**{**row, "purpose": SittingPurpose(row["purpose"])})
