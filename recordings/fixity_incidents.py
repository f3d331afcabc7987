"""Incidents about copies that are damaged or less locked than they were: one that is open at a time (art. 35)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, select

from compliance.incidents import NewIncident, note_on_incident, open_incidents
from compliance.tables import incidents
from recordings.copy_rows import PERSON, Kept, sales_of

KIND = "fixity"
ARTICLE = "35"


def open_incident_of(connection: Connection, recording_id: UUID) -> UUID | None:
    """Return the open incident about the copies of a recording."""
    columns = incidents.c
    about = columns.details["recording_id"].as_string() == str(recording_id)
    wanted = select(columns.incident_id).where(columns.kind == KIND, about, columns.state == "open")
    found: UUID | None = connection.execute(wanted.order_by(columns.incident_id).limit(1)).scalar_one_or_none()
    return found


def tell(connection: Connection, kept: Kept, story: Mapping[str, object], *, now: datetime) -> UUID:
    """Open an incident that tells `story`, or add it to the one that is open; return its id.

    The recording's row is locked by the caller, so that two who find the same open one.
    """
    known = open_incident_of(connection, kept.recording_id)
    if known is not None:
        note_on_incident(connection, known, story, person=PERSON, now=now)
        return known
    sales = sales_of(connection, kept)
    details = {"recording_id": str(kept.recording_id), "sha256": kept.sha256.hex(), "sales": sales, **story}
    opened = NewIncident(KIND, ARTICLE, kept.call_id, details)
    incident_id = open_incidents(connection, [opened], person=PERSON, now=now)[0]
    tell_complaints(connection, sales, incident_id=incident_id, now=now)
    return incident_id


def tell_complaints(connection: Connection, sales: Sequence[str], *, incident_id: UUID, now: datetime) -> None:
    """Tell every open complaint about these sales that evidence on them was damaged (art. 42).

    The one place to do so, in the transaction that opens the incident. There is no register of complaints yet: until
    then the incident's `sales` say whom it concerns. Whoever handles a complaint must know before its result is given,
    since a recording that cannot be provided decides it in favour of the customer.
    """
