"""The nightly verification: the database against its ledger, its result an event in that ledger, problems an incident.

An incident speaks of one set of problems. Whoever closes it has explained them: found again on the next night they open
no other, while any problem more does.
"""

import hashlib
import json

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from compliance.audit import note
from compliance.ledger_alarms import PERSON, open_once
from compliance.ledger_health import UNVERIFIED_INCIDENT, VERIFIED_KIND
from compliance.ledger_keys import LedgerKeyError
from compliance.ledger_runs import Ledger
from compliance.ledger_verifier import Report
from infra.logs import logger
from infra.priority import giving_way
from services.ledger_checks import verify_database

VERIFY = "telesales.verify_ledger"
_SHOWN = 20
"""So many problems an incident names; `telesales ledger verify --live` lists all."""

log = logger(__name__)


def verify_if_possible(ledger: Ledger) -> None:
    """Verify everything. What stands in the way is logged: the next night comes."""
    try:
        with giving_way():
            verify_and_record(ledger)
    except (LedgerKeyError, SQLAlchemyError) as error:
        log.exception("ledger_not_verified", error=type(error).__name__)


def verify_and_record(ledger: Ledger) -> Report:
    """Verify the whole ledger and every covered row, also against the outside, and record what was found.

    Raises:
        LedgerKeyError: the public keys cannot be read.
    """
    report = verify_database(ledger)
    with ledger.engine.begin() as connection:
        _record(connection, ledger, report)
    return report


def _record(connection: Connection, ledger: Ledger, report: Report) -> None:
    now = ledger.clock()
    details = {
        "entries": report.entries,
        "rows": report.rows,
        "unsealed": report.unsealed,
        "not_checked": report.not_checked,
        "problems": len(report.problems),
    }
    note(connection, kind=VERIFIED_KIND, subject=None, details=details, person=PERSON, now=now)
    if report.ok:
        log.info("ledger_verified", entries=report.entries, rows=report.rows)
        return
    log.error("ledger_verification_failed", problems=len(report.problems))
    found = [{"entry": one.entry, "table": one.table, "key": one.key, "what": one.what} for one in report.problems]
    digest = hashlib.sha256(json.dumps(found).encode()).hexdigest()
    about = {"problems": len(found), "digest": digest, "first": found[:_SHOWN]}
    open_once(connection, UNVERIFIED_INCIDENT, about, same="digest", now=now, told=("open", "closed"))
