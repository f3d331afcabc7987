"""What ties calls to one another: the contact limit of a person, and callback requests that serve once.

Under a contact limit, the attempts of each person are counted under a lock; a callback request is locked
when it is named. Locks and counts are statements of their own, in this order: one statement takes its
snapshot before it waits, and would not see the calls of whoever held the lock before.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, BIGINT
from sqlalchemy.dialects.postgresql import UUID as PG_UUID

from compliance.call_facts import CallbackRequest, Callee, Purpose
from compliance.callee_facts import KnownPeople, NumberedCall
from compliance.decision import Decision, Verdict
from compliance.policy import ContactLimit, Policy

_PERSON_LOCKS = 256
"""Persons share this many locks: a batch of 10,000 must fit into the server's lock table."""

_LOCK_PERSONS = text(
    "SELECT pg_advisory_xact_lock(7346202, bucket::integer) FROM unnest(:buckets) AS bucket"
).bindparams(bindparam("buckets", type_=ARRAY(BIGINT)))

_ATTEMPTS = text("""
    SELECT phone_digits, checked_at AS at FROM call_checks
     WHERE phone_digits = ANY(:phones) AND checked_at > :since AND verdict = 'allow' AND purpose <> 'service'
    UNION ALL
    SELECT r.callee_digits, r.started_at FROM call_records r LEFT JOIN call_checks c USING (check_id)
     WHERE r.callee_digits = ANY(:phones) AND r.started_at > :since AND r.direction = 'outbound'
       AND (c.check_id IS NULL OR c.phone_digits IS DISTINCT FROM r.callee_digits
            OR (c.verdict = 'deny' AND c.purpose <> 'service'))""").bindparams(bindparam("phones", type_=ARRAY(BIGINT)))

_CALLBACKS_SQL = """
    SELECT callback_request_id, phone_digits, from_at, to_at, created_at, used_at
      FROM callback_requests WHERE callback_request_id = ANY(:ids) ORDER BY callback_request_id"""
_ids = bindparam("ids", type_=ARRAY(PG_UUID(as_uuid=True)))
_CALLBACKS = text(_CALLBACKS_SQL).bindparams(_ids)
_CALLBACKS_LOCKED = text(_CALLBACKS_SQL + " FOR UPDATE").bindparams(_ids)


@dataclass(frozen=True, slots=True)
class _StoredCallback:
    phone_digits: int
    from_at: datetime
    to_at: datetime
    created_at: datetime
    used_at: datetime | None


class Dependencies:
    """The attempts and callback requests of a set of calls, kept up as the calls are decided in order."""

    def __init__(
        self,
        connection: Connection,
        calls: Sequence[NumberedCall],
        known: KnownPeople,
        *,
        policy: Policy,
        at: datetime,
        lock: bool,
    ) -> None:
        self._calls = calls
        self._at = at
        self._limit = policy.contact_limit
        self._persons = [known.person_of(one) if self._is_limited(one) else None for one in calls]
        self._callbacks = _read_callbacks(connection, calls, lock=lock)
        self._attempts: dict[str, list[datetime]] = {}
        if self._limit is not None:
            if lock:
                _lock_persons(connection, {person for person in self._persons if person is not None})
            self._attempts = self._read_attempts(connection, known, self._limit)
        self._uses = Counter(key for index in range(len(calls)) for key in self._keys(index))

    def _is_limited(self, numbered: NumberedCall) -> bool:
        return self._limit is not None and numbered.number is not None and numbered.call.purpose is not Purpose.SERVICE

    def _keys(self, index: int) -> list[tuple[str, str]]:
        person, callback = self._persons[index], self._calls[index].call.callback_request_id
        keys = [("person", person)] if person is not None else []
        return [*keys, ("callback", callback)] if callback is not None else keys

    def is_shared(self, index: int) -> bool:
        """Return whether the answer to this call depends on another of these calls."""
        return any(self._uses[key] > 1 for key in self._keys(index))

    def complete(self, index: int, callee: Callee) -> Callee:
        """Return `callee` with its attempts and its callback request as they now stand."""
        person = self._persons[index]
        if person is not None and self._attempts.get(person):
            callee = replace(callee, attempts_at=tuple(sorted(self._attempts[person])))
        callback = uuid_or_none(self._calls[index].call.callback_request_id)
        if callback is not None and callback in self._callbacks:
            callee = replace(callee, callback=self._callback_fact(callback, self._calls[index]))
        return callee

    def _callback_fact(self, callback_request_id: UUID, numbered: NumberedCall) -> CallbackRequest:
        stored = self._callbacks[callback_request_id]
        return CallbackRequest(
            callback_request_id=str(callback_request_id),
            for_this_callee=stored.phone_digits == numbered.phone_digits,
            created_at=stored.created_at,
            from_at=stored.from_at,
            to_at=stored.to_at,
            used=stored.used_at is not None and stored.used_at <= self._at,
        )

    def remember(self, index: int, decision: Decision) -> None:
        """Let the calls that follow see what this decision uses up."""
        if decision.verdict is not Verdict.ALLOW:
            return
        person = self._persons[index]
        if person is not None:
            self._attempts.setdefault(person, []).append(self._at)
        callback = uuid_or_none(self._calls[index].call.callback_request_id)
        if decision.uses_callback and callback is not None:
            self._callbacks[callback] = replace(self._callbacks[callback], used_at=self._at)

    def _read_attempts(
        self, connection: Connection, known: KnownPeople, limit: ContactLimit
    ) -> dict[str, list[datetime]]:
        persons_of: dict[int, set[str]] = defaultdict(set)
        for numbered, person in zip(self._calls, self._persons, strict=True):
            if person is not None:
                for phone in known.phones_of(numbered):
                    persons_of[phone].add(person)
        since = self._at - timedelta(hours=limit.per_hours)
        found: dict[str, list[datetime]] = defaultdict(list)
        for row in connection.execute(_ATTEMPTS, {"phones": sorted(persons_of), "since": since}):
            for person in persons_of[row.phone_digits]:
                found[person].append(row.at)
        return found


def _read_callbacks(
    connection: Connection, calls: Sequence[NumberedCall], *, lock: bool
) -> dict[UUID, _StoredCallback]:
    ids = {parsed for one in calls if (parsed := uuid_or_none(one.call.callback_request_id))}
    if not ids:
        return {}
    rows = connection.execute(_CALLBACKS_LOCKED if lock else _CALLBACKS, {"ids": sorted(ids)})
    return {
        row.callback_request_id: _StoredCallback(row.phone_digits, row.from_at, row.to_at, row.created_at, row.used_at)
        for row in rows
    }


def _lock_persons(connection: Connection, persons: Collection[str]) -> None:
    """Hold the locks of these persons until the transaction ends, in an order that cannot deadlock."""
    digests = (hashlib.blake2b(person.encode(), digest_size=4).digest() for person in persons)
    buckets = {int.from_bytes(digest) % _PERSON_LOCKS for digest in digests}
    connection.execute(_LOCK_PERSONS, {"buckets": sorted(buckets)})


def uuid_or_none(value: str | None) -> UUID | None:
    """Return the UUID written in `value`, None when there is none: an unknown id is a reason, not an error."""
    if value is None:
        return None
    try:
        return UUID(value)
    except ValueError:
        return None
