"""Incidents that the ledger opens about itself, and about those who attest it (art. 35)."""

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import Connection, select

from compliance.incidents import NewIncident, open_incidents
from compliance.tables import incidents
from infra.advisory_locks import AdvisoryLock, hold

ARTICLE = "35"
PERSON = "ledger"


def open_once(
    connection: Connection,
    kind: str,
    details: Mapping[str, object],
    *,
    same: str,
    now: datetime,
    told: Collection[str] = ("open",),
) -> None:
    """Open an incident of this kind, in the caller's transaction, unless one has the same `details[same]`.

    Only incidents in a state of `told` count: with those that are closed, nothing that was explained is told again.
    """
    # In a statement of its own: what another process opens meanwhile must be seen by the next.
    hold(connection, AdvisoryLock.LEDGER_ALARMS)
    found = incidents.c.details[same].as_string()
    is_like = found.is_(None) if details[same] is None else found == str(details[same])
    is_told = (incidents.c.kind == kind) & incidents.c.state.in_(told)
    if connection.execute(select(incidents.c.incident_id).where(is_told, is_like).limit(1)).first() is None:
        open_incidents(connection, [NewIncident(kind, ARTICLE, details=details)], person=PERSON, now=now)
