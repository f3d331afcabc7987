"""How the ledger is: how long something has waited to be sealed, when it was last sealed and last verified."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

ALARM_AFTER = timedelta(minutes=15)
"""What waits longer than this is an alarm: the worker is away, or a transaction was left open."""

VERIFIED_KIND = "ledger_verified"
"""Kind of the audit event that a verification of the whole ledger leaves, with the number of `problems` it found."""

UNVERIFIED_INCIDENT = "ledger_verification"
"""Kind of the incident that a verification with problems opens; while one is open the ledger is not well."""

# In the order of transactions, of which the index has only those behind the horizon to look at.
_FIGURES = text("""
    SELECT coalesce(c.size, 0) AS size, c.sealed_at,
           (SELECT e.recorded_at FROM ledger_entries e
             WHERE e.tx >= coalesce(c.horizon, 0)
               AND NOT EXISTS (SELECT FROM ledger_leaves l WHERE l.source = e.source)
             ORDER BY e.tx LIMIT 1) AS waiting_since,
           (SELECT recorded_at FROM audit_events WHERE kind = :verified
             ORDER BY recorded_at DESC LIMIT 1) AS verified_at,
           EXISTS (SELECT FROM incidents WHERE kind = :unverified AND state = 'open') AS is_in_doubt,
           EXISTS (SELECT FROM ledger_coverage WHERE table_name = 'call_checks') AS covers_checks
      FROM (SELECT) AS always
      LEFT JOIN (SELECT * FROM ledger_checkpoints ORDER BY size DESC LIMIT 1) c ON true""")
_CHECKS = text("""
    SELECT min(k.checked_at) FROM call_checks k,
           (SELECT coalesce(max(checks_through), 0) AS through FROM
             (SELECT checks_through FROM ledger_checkpoints ORDER BY size DESC LIMIT 1) one) c
     WHERE k.written_in > c.through""")


@dataclass(frozen=True, slots=True)
class LedgerHealth:
    """`waiting_since`: when the oldest that waits was recorded; None: nothing waits.

    `is_in_doubt`: a verification found problems that nobody has explained yet.
    """

    size: int
    sealed_at: datetime | None
    waiting_since: datetime | None
    verified_at: datetime | None
    is_in_doubt: bool

    def waiting_for(self, now: datetime) -> timedelta:
        """Return for how long the oldest has waited; nothing if nothing waits."""
        return timedelta() if self.waiting_since is None else max(now - self.waiting_since, timedelta())


def read_health(connection: Connection) -> LedgerHealth:
    """Return the figures, with one statement, and another if call checks are covered."""
    row = connection.execute(_FIGURES, {"verified": VERIFIED_KIND, "unverified": UNVERIFIED_INCIDENT}).one()
    found = LedgerHealth(row.size, row.sealed_at, row.waiting_since, row.verified_at, row.is_in_doubt)
    if not row.covers_checks:
        return found
    checks: datetime | None = connection.execute(_CHECKS).scalar_one()
    waiting = min((one for one in (found.waiting_since, checks) if one is not None), default=None)
    return replace(found, waiting_since=waiting)
