"""Corrections: a result that proves wrong is judged anew by another person, who hears everything himself."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from qa_sampling.appeals import OwnResultError, read_appeal
from qa_sampling.inspection_rows import InspectionState, lock_inspection, read_inspection
from qa_sampling.inspector_roles import check_may_inspect
from qa_sampling.result_rows import authors, read_results
from qa_sampling.sittings import Ending, Sitting, SittingPurpose, end_sitting, held_sitting, start_sitting

_CORRECTABLE = frozenset({InspectionState.SUBMITTED, InspectionState.CLOSED})


class NotCorrectableError(ValueError):
    """The inspection has no result to be corrected, is under appeal, or somebody is at work on it."""


def open_correction(
    connection: Connection, inspection_id: UUID, inspector: str, *, reason: str, now: datetime
) -> Sitting:
    """Let `inspector` judge an inspection anew; who corrects it already goes on.

    Raises:
        UnknownInspectionError: there is no such inspection.
        OwnResultError: he judged a version of it, or filed its appeal.
        MayNotInspectError: he sells, or had to do with the sale.
        NotCorrectableError: there is no result, an appeal waits, or somebody is at work on it.
    """
    inspection = lock_inspection(connection, inspection_id)
    if inspector in authors(read_results(connection, inspection_id)):
        msg = f"you judged inspection {inspection_id} yourself; another inspector must correct it"
        raise OwnResultError(msg)
    appeal = read_appeal(connection, inspection_id)
    if appeal is not None and appeal.filed_by == inspector:
        msg = f"you filed the appeal of inspection {inspection_id}; another inspector must correct it"
        raise OwnResultError(msg)
    check_may_inspect(connection, inspection.policy_no, inspector, now=now)
    held = held_sitting(connection, inspection_id, lock=True)
    if held is not None and held.expires_at <= now:
        end_sitting(connection, held, Ending.EXPIRED, now=now)
    elif held is not None and (held.inspector, held.purpose) == (inspector, SittingPurpose.CORRECTION):
        return held
    # As he sees it: who scores a second time is not told here that there was a first.
    state = read_inspection(connection, inspection_id, viewer=inspector).state
    if state not in _CORRECTABLE:
        msg = f"inspection {inspection_id} is {state}; only one that is submitted or closed can be corrected"
        raise NotCorrectableError(msg)
    if held is not None and held.expires_at > now:
        msg = f"somebody is at work on inspection {inspection_id}; ask again when that is done"
        raise NotCorrectableError(msg)
    return start_sitting(
        connection, inspection_id, inspector, purpose=SittingPurpose.CORRECTION, now=now, reason=reason
    )
