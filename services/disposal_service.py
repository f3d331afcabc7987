"""Disposal of recordings that no inspection needs any more.

The archive knows nothing of inspections: so here, and only here, those are asked before a recording may go.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from qa_sampling.awaited_recordings import awaited_recordings
from recordings import disposals
from recordings.disposals import Due, NotExpiredError, Refused
from recordings.retention_rules import RetentionState
from recordings.retention_words import Sentence


def disposable(connection: Connection, due: Sequence[Due]) -> list[Due]:
    """Return those recordings whose time is over that no inspection needs."""
    awaited = awaited_recordings(connection, [one.described.recording_id for one in due])
    return [one for one in due if one.described.recording_id not in awaited]


def disposal_payload(
    connection: Connection, recording_ids: Iterable[UUID], *, reason: str, person: str, now: datetime
) -> dict[str, Any]:
    """Return what a request for disposal holds.

    Raises:
        UnknownRecordingError: naming the first that does not exist.
        NotExpiredError: naming each that may not go.
    """
    payload = disposals.disposal_payload(connection, recording_ids, reason=reason, person=person, now=now)
    _refuse_awaited(connection, [UUID(one) for one in payload["recording_ids"]])
    return payload


def dispose(connection: Connection, payload: dict[str, Any], *, person: str, now: datetime) -> dict[str, Any]:
    """Dispose of the recordings of an approved request, all of them or none; `person` is who approved.

    Raises:
        UnknownRecordingError: naming the first that does not exist.
        NotExpiredError: naming each that may not go any more.
    """
    done = disposals.dispose(connection, payload, person=person, now=now)
    # Afterwards: what came while their rows were waited for is seen, and the caller's transaction undoes the whole.
    _refuse_awaited(connection, [UUID(one) for one in payload["recording_ids"]])
    return done


def _refuse_awaited(connection: Connection, recording_ids: Collection[UUID]) -> None:
    awaited = awaited_recordings(connection, recording_ids)
    if awaited:
        raise NotExpiredError([_refused(recording_id, awaited[recording_id]) for recording_id in sorted(awaited)])


def _refused(recording_id: UUID, policy_no: str) -> Refused:
    sentence = Sentence(
        f"The inspection of sale {policy_no} has not come to its end, and needs this recording (art. 34).",
        f"保单 {policy_no} 的质检尚未完成,须保留本录音(第三十四条)。",
    )
    return Refused(recording_id, RetentionState.HELD, (sentence,))
