"""Incidents that the ledger opens about itself, and about those who attest it (art. 35)."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, select, text

from compliance.incidents import NewIncident, open_incidents
from compliance.tables import incidents

ARTICLE = "35"
PERSON = "ledger"

_LOCK = text("SELECT pg_advisory_xact_lock(7346211)")


def open_once(connection: Connection, kind: str, details: Mapping[str, object], *, same: str, now: datetime) -> None:
    """Open an incident of this kind, in the caller's transaction, unless one is open with the same `details[same]`."""
    # In a statement of its own: what another process opens meanwhile must be seen by the next.
    connection.execute(_LOCK)
    found = incidents.c.details[same].as_string()
    is_like = found.is_(None) if details[same] is None else found == str(details[same])
    is_open = (incidents.c.kind == kind) & (incidents.c.state == "open")
    if connection.execute(select(incidents.c.incident_id).where(is_open, is_like).limit(1)).first() is None:
        open_incidents(connection, [NewIncident(kind, ARTICLE, details=details)], person=PERSON, now=now)
