"""Recordings that are named as evidence of a customer's words: whether they can be heard here.

An id of a recording is given by this archive when the recording comes in, so that nobody can know it earlier: one that
is unknown now will not become known. What opens something on the customer's word needs words that can be heard; what
protects the customer needs none, and is told.
"""

from uuid import UUID

from sqlalchemy import Connection

from recordings.copy_rows import UnknownRecordingError
from recordings.recording_rows import read_recording
from services.fields import Evidence
from services.problems import input_error

_LOC = "evidence.recording_id"


def fault_of_recording(connection: Connection, evidence: Evidence | None) -> str | None:
    """Return why the recording that `evidence` names cannot be heard; None if it can, or if none is named."""
    if evidence is None or evidence.recording_id is None:
        return None
    try:
        recording = read_recording(connection, UUID(evidence.recording_id))
    except (ValueError, UnknownRecordingError):
        return (
            "this archive has no such recording; give its id as GET /v1/recordings shows it, or inbound_call_id or"
            " document for what lies elsewhere"
        )
    if recording.disposed_at is not None:
        return "this recording was disposed of, and nobody can hear it any more; name other evidence"
    return None


def require_heard(connection: Connection, evidence: Evidence) -> None:
    """See that the customer's own words are named, and can be heard if they lie in this archive.

    Raises:
        InputError: they are not, or cannot.
    """
    if not evidence.is_given():
        raise input_error("evidence", "give recording_id, inbound_call_id or document: the customer's own request")
    fault = fault_of_recording(connection, evidence)
    if fault is not None:
        raise input_error(_LOC, fault)
