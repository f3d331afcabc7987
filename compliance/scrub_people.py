"""People of whom more is known than a number and a block: decided one by one, as the gate itself would.

These are the numbers that customers have or ever had, those called lately where the policy limits contacts, and
those whose block depends on the instant asked about. Each is decided as if it were the only one: a scrub places
no call, so that no row counts against another.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
from psycopg import sql
from sqlalchemy import Connection

from compliance.call_dependencies import Dependencies
from compliance.call_facts import Facts, Purpose
from compliance.call_rules import decide_all
from compliance.callee_facts import NumberedCall, callee_of, read_known_people
from compliance.decision import Decision
from compliance.listed_phones import ListedPhones, listed_phones
from compliance.phone_numbers import normalise
from compliance.policy import ContactLimit
from compliance.scrub_verdicts import Sitting
from infra.binary_copy import BIGINT, copy_out, driver_connection

_AT_ONCE = 5_000

_CUSTOMERS = "SELECT DISTINCT phone_digits FROM customer_phones"
_LATELY_CALLED = """
    SELECT phone_digits FROM call_checks
     WHERE checked_at > {since} AND verdict = 'allow' AND purpose <> 'service' AND phone_digits IS NOT NULL
    UNION
    SELECT callee_digits FROM call_records
     WHERE started_at > {since} AND direction = 'outbound' AND callee_digits IS NOT NULL"""


@dataclass(frozen=True, slots=True)
class People:
    """The people of a scrub, as one transaction sees them, whose connection `connect` gives.

    `as_of` is None to take blocks as they stand, or the instant as of which a simulation asks for them.
    """

    connect: Callable[[], Connection]
    sitting: Sitting
    as_of: datetime | None
    known: ListedPhones

    def decide(self, phones: Sequence[int]) -> Iterator[Decision]:
        """Yield the decision on each number."""
        for some in _batches(phones):
            yield from self._decide(some)

    def _decide(self, phones: Sequence[int]) -> list[Decision]:
        sitting, connection = self.sitting, self.connect()
        calls = [_numbered(sitting, f"+{phone}") for phone in phones]
        known = read_known_people(connection, calls, as_of=self.as_of)
        dependencies = Dependencies(connection, calls, known, policy=sitting.policy, at=sitting.at, lock=False)
        callees = [
            dependencies.complete(index, callee_of(known, one, calendar=sitting.calendar, at=sitting.at))
            for index, one in enumerate(calls)
        ]
        pairs = [
            (one.call, Facts(side=sitting.side, callee=callee)) for one, callee in zip(calls, callees, strict=True)
        ]
        return decide_all(pairs, sitting.policy, at=sitting.at)


def read_people(connection: Connection, sitting: Sitting, *, as_of: datetime | None) -> People:
    """Return the people of a scrub."""
    queries = [_CUSTOMERS]
    limit = sitting.policy.contact_limit
    if limit is not None and sitting.call.purpose is not Purpose.SERVICE:
        queries.append(_lately_called(connection, limit, at=sitting.at))
    pieces = [
        rows["phone"].astype(np.int64) for query in queries for rows in copy_out(connection, query, [("phone", BIGINT)])
    ]
    phones = np.unique(np.concatenate(pieces))
    known = listed_phones(phones, np.zeros(len(phones), np.int32), np.zeros(len(phones), np.uint32))
    return People(lambda: connection, sitting, as_of, known)


def _lately_called(connection: Connection, limit: ContactLimit, *, at: datetime) -> str:
    since = sql.Literal(at - timedelta(hours=limit.per_hours))
    return sql.SQL(_LATELY_CALLED).format(since=since).as_string(driver_connection(connection))


def _numbered(sitting: Sitting, e164: str) -> NumberedCall:
    return NumberedCall(replace(sitting.call, callee=e164), normalise(e164))


def _batches(phones: Sequence[int]) -> Iterator[Sequence[int]]:
    return (phones[begin : begin + _AT_ONCE] for begin in range(0, len(phones), _AT_ONCE))
