"""Appeals of the agent's side against a result: filed once, judged by somebody else, closed in time.

Whoever judges an appeal hears the whole sale himself; the appeal is decided by comparing the two judgements.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, bindparam, insert, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as PG_UUID

from compliance.incidents import NewIncident, open_incidents
from compliance.shanghai import SHANGHAI
from infra.ids import new_id
from qa_sampling.inspection_deadlines import appeal_before, appealable_from, decide_before
from qa_sampling.inspection_rows import Inspection, InspectionState, lock_inspection
from qa_sampling.result_rows import StoredResult, newest_version, read_result, read_results
from qa_sampling.sittings import held_sitting
from qa_sampling.tables import inspection_appeals, inspections

OVERDUE_KIND = "appeal_overdue"
PERSON = "appeals"
ARTICLE = "33"

_MOST_AT_ONCE = 1000


class Decision(StrEnum):
    CONFIRMED = "confirmed"
    CHANGED = "changed"


class AppealRefusedError(ValueError):
    """There is nothing to appeal against, somebody has appealed already, or the time is over."""


class AppealItemsError(ValueError):
    """An appeal names items on which nobody was judged."""


class OwnResultError(PermissionError):
    """Who judged may not contest or correct it, and who contested may not correct it."""


@dataclass(frozen=True, slots=True)
class NewAppeal:
    """What is contested and why; no items: all of it."""

    reason: str
    item_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAppeal:
    """An appeal against the result `result_id`, to be decided before `decide_before`, exclusive.

    `decided_result_id` is the judgement that decided it.
    """

    appeal_id: UUID
    inspection_id: UUID
    result_id: UUID
    reason: str
    items: list[str]
    filed_by: str
    filed_at: datetime
    decide_before: datetime
    decision: str | None
    decided_by: str | None
    decided_at: datetime | None
    decided_result_id: UUID | None
    overdue_incident_id: UUID | None


_columns = inspection_appeals.c
_ALL = select(*(_columns[name] for name in StoredAppeal.__dataclass_fields__))


def read_appeal(connection: Connection, inspection_id: UUID) -> StoredAppeal | None:
    """Return the appeal of an inspection; None if nobody appealed."""
    row = connection.execute(_ALL.where(_columns.inspection_id == inspection_id)).mappings().one_or_none()
    return None if row is None else StoredAppeal(**row)


def file_appeal(
    connection: Connection, inspection_id: UUID, appeal: NewAppeal, *, person: str, now: datetime
) -> StoredAppeal:
    """Contest the newest result of an inspection; it waits for another inspector from then on.

    Raises:
        UnknownInspectionError: there is no such inspection.
        AppealRefusedError: it has no result, its appeal was filed already, it is too late, or `person` works on it.
        AppealItemsError: items are named that the scorecard does not have.
        OwnResultError: `person` judged it.
    """
    inspection = lock_inspection(connection, inspection_id)
    held = held_sitting(connection, inspection_id)
    if held is not None and held.inspector == person:
        # Before anything is said of results: who scores a second time does not learn that there was a first.
        msg = f"you are at work on inspection {inspection_id}; somebody who does not judge it must file the appeal"
        raise AppealRefusedError(msg)
    results = read_results(connection, inspection_id)
    contested = _contestable(inspection, newest_version(results), read_appeal(connection, inspection_id), now=now)
    if any(one.inspector == person for one in results):
        msg = f"you judged inspection {inspection_id} yourself; somebody else must file the appeal"
        raise OwnResultError(msg)
    _check_items(contested, appeal)
    values = {
        "appeal_id": new_id(),
        "inspection_id": inspection_id,
        "result_id": contested.result_id,
        "reason": appeal.reason,
        "items": list(appeal.item_ids),
        "filed_by": person,
        "filed_at": now,
        "decide_before": decide_before(now),
    }
    connection.execute(insert(inspection_appeals).values(values))
    appealed = update(inspections).where(inspections.c.inspection_id == inspection_id)
    connection.execute(appealed.values(state=InspectionState.APPEALED, changed_at=now))
    nothing: dict[str, Any] = dict.fromkeys(
        ("decision", "decided_by", "decided_at", "decided_result_id", "overdue_incident_id")
    )
    return StoredAppeal(**{**nothing, **values})


def _contestable(
    inspection: Inspection, newest: StoredResult | None, earlier: StoredAppeal | None, *, now: datetime
) -> StoredResult:
    about = f"inspection {inspection.inspection_id}"
    if newest is None:
        msg = f"{about} has no result yet, and only a result can be appealed against"
        raise AppealRefusedError(msg)
    if earlier is not None:
        filed_at = earlier.filed_at.astimezone(SHANGHAI).isoformat()
        msg = f"an appeal of {about} was filed at {filed_at}; there is one for each inspection"
        raise AppealRefusedError(msg)
    ended_at = appeal_before(newest.submitted_at)
    if now >= ended_at or inspection.state != InspectionState.SUBMITTED:
        msg = f"the time to appeal against the result of {about} ended at {ended_at.isoformat()}"
        raise AppealRefusedError(msg)
    return newest


def _check_items(contested: StoredResult, appeal: NewAppeal) -> None:
    judged = contested.verdicts()
    unknown = set(appeal.item_ids) - set(judged)
    if unknown:
        msg = f"{len(unknown)} of the items that are named are none of the result; it has {', '.join(judged)}"
        raise AppealItemsError(msg)


def decide_appeal(connection: Connection, inspection: Inspection, judged: StoredResult) -> None:
    """Decide the appeal of an inspection whose row the caller holds by what somebody else has judged now.

    A late decision is an incident, unless it was one already.
    """
    filed = _ALL.where(_columns.inspection_id == inspection.inspection_id)
    appeal = StoredAppeal(**connection.execute(filed).mappings().one())
    contested = read_result(connection, appeal.result_id)
    now = judged.submitted_at
    values: dict[str, object] = {
        "decision": _decision(contested, judged, appeal.items),
        "decided_by": judged.inspector,
        "decided_at": now,
        "decided_result_id": judged.result_id,
    }
    if now >= appeal.decide_before and appeal.overdue_incident_id is None:
        policy_nos = {appeal.inspection_id: inspection.policy_no}
        [values["overdue_incident_id"]] = _open_incidents(connection, [appeal], policy_nos, now=now)
    connection.execute(update(inspection_appeals).where(_columns.appeal_id == appeal.appeal_id).values(values))


def _decision(contested: StoredResult, judged: StoredResult, item_ids: list[str]) -> Decision:
    """Say whether a judgement differs from the one contested: in its outcome, or in an item that was contested."""
    before, after = contested.verdicts(), judged.verdicts()
    is_other = any(before.get(item_id) != after.get(item_id) for item_id in item_ids or before)
    return Decision.CHANGED if is_other or contested.outcome != judged.outcome else Decision.CONFIRMED


_ids = bindparam("ids", type_=ARRAY(PG_UUID(as_uuid=True)))
_WITHOUT_LATER_RESULT = """NOT EXISTS (
    SELECT FROM inspection_results r
     WHERE r.inspection_id = i.inspection_id AND r.version IS NOT NULL AND r.submitted_at >= :appealable_from)"""
_CLOSABLE = text(f"""
    SELECT i.inspection_id FROM inspections i WHERE i.state = 'submitted' AND {_WITHOUT_LATER_RESULT}
     ORDER BY i.inspection_id LIMIT :most FOR UPDATE SKIP LOCKED""")  # noqa: S608 - only text of ours
# A statement of its own: it sees a correction that came before the row was locked.
_CLOSE = text(f"""
    UPDATE inspections i SET state = 'closed', changed_at = :now
     WHERE i.inspection_id = ANY(:ids) AND i.state = 'submitted' AND {_WITHOUT_LATER_RESULT}""").bindparams(_ids)  # noqa: S608 - only text of ours


def close_inspections(connection: Connection, *, now: datetime) -> int:
    """Close the inspections whose result nobody appealed against in time, at most a thousand; return how many."""
    asked = {"appealable_from": appealable_from(now), "most": _MOST_AT_ONCE}
    found = list(connection.execute(_CLOSABLE, asked).scalars())
    if not found:
        return 0
    return connection.execute(_CLOSE, {**asked, "ids": found, "now": now}).rowcount


_OVERDUE = (
    _ALL.add_columns(inspections.c.policy_no)
    .join(inspections, inspections.c.inspection_id == _columns.inspection_id)
    .where(
        _columns.decided_at.is_(None),
        _columns.overdue_incident_id.is_(None),
        _columns.decide_before <= bindparam("now"),
    )
    .order_by(_columns.decide_before)
    .limit(_MOST_AT_ONCE)
    .with_for_update(of=inspection_appeals, skip_locked=True)
)


def note_overdue_appeals(connection: Connection, *, now: datetime) -> int:
    """Open an incident for each appeal that is not decided in time, once; return how many."""
    rows = [dict(row) for row in connection.execute(_OVERDUE, {"now": now}).mappings()]
    policy_nos = {row["inspection_id"]: row.pop("policy_no") for row in rows}
    overdue = [StoredAppeal(**row) for row in rows]
    incident_ids = _open_incidents(connection, overdue, policy_nos, now=now)
    for appeal, incident_id in zip(overdue, incident_ids, strict=True):
        noted = update(inspection_appeals).where(_columns.appeal_id == appeal.appeal_id)
        connection.execute(noted.values(overdue_incident_id=incident_id))
    return len(overdue)


def _open_incidents(
    connection: Connection, overdue: list[StoredAppeal], policy_nos: dict[UUID, str], *, now: datetime
) -> list[UUID]:
    incidents = [
        NewIncident(
            OVERDUE_KIND,
            ARTICLE,
            details={
                "policy_no": policy_nos[one.inspection_id],
                "inspection_id": str(one.inspection_id),
                "appeal_id": str(one.appeal_id),
                "filed_at": one.filed_at.astimezone(SHANGHAI).isoformat(),
                "decide_before": one.decide_before.astimezone(SHANGHAI).isoformat(),
            },
        )
        for one in overdue
    ]
    return open_incidents(connection, incidents, person=PERSON, now=now)
