"""What ties calls to one another: the contact limit of a person, and callback requests that serve once.

Under a contact limit, the attempts on all numbers of a person are counted under the locks of these numbers; a
callback request is locked when it is named. Locks and counts are statements of their own, in this order: one
statement takes its snapshot before it waits, and would not see the calls of whoever held the lock before. These
calls may bear a later instant than those decided here, whose clock was read before the wait: they count all the same.
"""

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
from compliance.shanghai import SHANGHAI
from infra.advisory_locks import PartLock

_NUMBER_LOCKS = 256
"""Numbers share this many locks: a batch of 10,000 must fit into the server's lock table."""

_LOCK_NUMBERS = text("SELECT pg_advisory_xact_lock(:lock, bucket::integer) FROM unnest(:buckets) AS bucket").bindparams(
    bindparam("buckets", type_=ARRAY(BIGINT))
)

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
        """Read what the calls depend on; with `lock` they are about to be recorded, without it they use up nothing."""
        self._calls = calls
        self._at = at
        self._lock = lock
        self._limit = policy.contact_limit
        self._named = [uuid_or_none(one.call.callback_request_id) for one in calls]
        self._phones = [known.phones_of(one) if self._is_limited(one) else set() for one in calls]
        self._callbacks = _read_callbacks(connection, {one for one in self._named if one is not None}, lock=lock)
        self._attempts: dict[int, list[datetime]] = {}
        if self._limit is not None:
            phones = {phone for theirs in self._phones for phone in theirs}
            if lock:
                _lock_numbers(connection, phones)
            self._attempts = self._read_attempts(connection, phones, self._limit)
        self._naming = Counter(self._named)
        self._concerned = Counter(phone for phones in self._phones for phone in phones)
        self._called = Counter(one.phone_digits for one, phones in zip(calls, self._phones, strict=True) if phones)

    def _is_limited(self, numbered: NumberedCall) -> bool:
        return self._limit is not None and numbered.number is not None and numbered.call.purpose is not Purpose.SERVICE

    def is_shared(self, index: int) -> bool:
        """Return whether this call bears on another of these calls, or another on it.

        One bears on the other when its number is one of the other's person, which need not hold the other way
        round: of two people who share a number, one may have a second number that the other has not.
        """
        if self._named[index] is not None and self._naming[self._named[index]] > 1:
            return True
        is_concerned = self._concerned[self._calls[index].phone_digits or 0] > 1
        return bool(self._phones[index]) and (is_concerned or sum(self._called[one] for one in self._phones[index]) > 1)

    def complete(self, index: int, callee: Callee) -> Callee:
        """Return `callee` with its attempts and its callback request as they now stand."""
        attempts = sorted(at for phone in self._phones[index] for at in self._attempts.get(phone, ()))
        if attempts:
            callee = replace(callee, attempts_at=tuple(attempts))
        callback = self._named[index]
        if callback is not None and callback in self._callbacks:
            callee = replace(callee, callback=self._callback_fact(callback, self._calls[index]))
        return callee

    def _callback_fact(self, callback_request_id: UUID, numbered: NumberedCall) -> CallbackRequest:
        stored = self._callbacks[callback_request_id]
        return CallbackRequest(
            callback_request_id=str(callback_request_id),
            for_this_callee=stored.phone_digits == numbered.phone_digits,
            created_at=stored.created_at.astimezone(SHANGHAI),
            from_at=stored.from_at.astimezone(SHANGHAI),
            to_at=stored.to_at.astimezone(SHANGHAI),
            used=stored.used_at is not None and (self._lock or stored.used_at <= self._at),
        )

    def remember(self, index: int, decision: Decision) -> None:
        """Let the calls that follow see what this decision uses up."""
        if decision.verdict is not Verdict.ALLOW or not self._lock:
            return
        phone = self._calls[index].phone_digits
        if self._phones[index] and phone is not None:
            self._attempts.setdefault(phone, []).append(self._at)
        callback = self._named[index]
        if decision.uses_callback and callback is not None:
            self._callbacks[callback] = replace(self._callbacks[callback], used_at=self._at)

    def _read_attempts(
        self, connection: Connection, phones: Collection[int], limit: ContactLimit
    ) -> dict[int, list[datetime]]:
        since = self._at - timedelta(hours=limit.per_hours)
        found: dict[int, list[datetime]] = defaultdict(list)
        for row in connection.execute(_ATTEMPTS, {"phones": sorted(phones), "since": since}):
            if row.at <= self._at:
                found[row.phone_digits].append(row.at.astimezone(SHANGHAI))
            elif self._lock:
                # Whoever held the lock before us read the clock after us. A simulation knows nothing of later calls.
                found[row.phone_digits].append(self._at)
        return found


def _read_callbacks(connection: Connection, ids: Collection[UUID], *, lock: bool) -> dict[UUID, _StoredCallback]:
    if not ids:
        return {}
    rows = connection.execute(_CALLBACKS_LOCKED if lock else _CALLBACKS, {"ids": sorted(ids)})
    return {
        row.callback_request_id: _StoredCallback(row.phone_digits, row.from_at, row.to_at, row.created_at, row.used_at)
        for row in rows
    }


def _lock_numbers(connection: Connection, phones: Collection[int]) -> None:
    """Hold the locks of these numbers until the transaction ends, in an order that cannot deadlock."""
    buckets = {phone % _NUMBER_LOCKS for phone in phones}
    connection.execute(_LOCK_NUMBERS, {"lock": PartLock.CALLEES, "buckets": sorted(buckets)})


def uuid_or_none(value: str | None) -> UUID | None:
    """Return the UUID written in `value`, None when there is none: an unknown id is a reason, not an error."""
    if value is None:
        return None
    try:
        return UUID(value)
    except ValueError:
        return None
