"""Decisions as rows: how a judged call is written, in bulk, and read again.

Who calls is stored once per distinct calling side, under the SHA-256 of its canonical JSON (keys sorted, no
spaces, as `msgspec` writes it); each decision names it by that digest.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import islice
from operator import attrgetter
from typing import Any
from uuid import UUID

import msgspec
import psycopg
from sqlalchemy import Connection, select, text

from compliance.call_facts import Callee, CallingSide, Facts, ProposedCall, Purpose
from compliance.call_rules import decide
from compliance.decision import Decision, Reason, Verdict
from compliance.policy import Policy
from compliance.policy_store import policy_by_digest
from compliance.register_book import RecordedSide
from compliance.shanghai import SHANGHAI, in_shanghai, shanghai_day
from compliance.tables import call_checks, calling_sides
from infra.binary_rows import (
    UUID_LENGTH,
    bigint_field,
    bytes_field,
    copy_parts,
    instant_field,
    jsonb_field,
    row_start,
    text_field,
)

_COPY = """COPY call_checks (check_id, actor, purpose, side_digest, phone_digits, call, callee_facts, region,
    policy_digest, verdict, reasons, checked_at, valid_until, next_callable_at) FROM STDIN (FORMAT binary)"""
_ROWS_SENT_AT_ONCE = 500
_WRITE_SIDE = text(
    "INSERT INTO calling_sides (side_digest, facts, recorded_at) VALUES (:digest, :facts, :now)"
    " ON CONFLICT (side_digest) DO NOTHING"
)


_LONGEST_FILING = timedelta(hours=1)


class UnknownCheckError(LookupError):
    """No check has this id."""


class BrokenCheckError(RuntimeError):
    """The stored facts of a check do not have the digest under which they were stored."""


class JudgedCall(msgspec.Struct, frozen=True):
    """A proposed call with the facts used and the decision made of them."""

    call: ProposedCall
    side: RecordedSide
    callee: Callee
    decision: Decision
    policy: Policy
    at: datetime
    check_id: str = ""
    """Empty for a simulation, which is not recorded."""


@dataclass(frozen=True, slots=True)
class StoredCheck:
    """A judged call as read back, with who asked and when a refusal overtook it."""

    judged: JudgedCall
    actor: str
    superseded_at: datetime | None


def write_sides(
    connection: Connection, sides: Iterable[RecordedSide], *, known_sides: Collection[bytes], now: datetime
) -> None:
    """Store the calling sides that are not stored yet; `known_sides` are digests that surely are."""
    new = {side.digest: side for side in sides if side.digest not in known_sides}
    # In one order: two transactions that add the same sides wait for one another and do not deadlock.
    for _, side in sorted(new.items()):
        connection.execute(_WRITE_SIDE, {"digest": side.digest, "facts": side.facts.decode(), "now": now})


def write_checks(connection: Connection, judged: Iterable[JudgedCall], *, actors: Sequence[str]) -> list[JudgedCall]:
    """Record decisions as they are made and return them, `actors[i]` being who asked for the i-th.

    By COPY, for few rows as for many: arrays of JSON cost psycopg more to quote than all else in a decision. Rows
    leave in parts, so that the server stores some while the next are decided.
    """
    kept: list[JudgedCall] = []
    rows = _rows(judged, actors, kept)
    parts = iter(lambda: b"".join(islice(rows, _ROWS_SENT_AT_ONCE)), b"")
    try:
        copy_parts(connection, _COPY, parts)
    except psycopg.OperationalError:
        connection.invalidate()  # SQLAlchemy did not see the error, and would use the dead connection again
        raise
    return kept


def _rows(judged: Iterable[JudgedCall], actors: Sequence[str], kept: list[JudgedCall]) -> Iterator[bytes]:
    # Calls that differ in nothing but their number share their side and one Decision: these are written once.
    heads: dict[tuple[str, Purpose, int], bytes] = {}
    tails: dict[int, bytes] = {}
    for one, actor in zip(judged, actors, strict=True):
        kept.append(one)
        asked = (actor, one.call.purpose, id(one.side))
        head = heads.get(asked)
        if head is None:
            digest = bytes_field(one.side.digest)
            head = heads[asked] = text_field(actor) + text_field(one.call.purpose.value) + digest
        tail = tails.get(id(one.decision))
        if tail is None:
            tail = tails[id(one.decision)] = _decision_fields(one)
        yield _row(one, head, tail)


def _row(one: JudgedCall, head: bytes, tail: bytes) -> bytes:
    callee = one.callee
    phone = callee.phone_e164
    return b"".join(
        (
            _ROW_START,
            bytes.fromhex(one.check_id.replace("-", "")),
            head,
            bigint_field(None if phone is None else int(phone)),
            bytes_field(_call_json(one.call)),
            bytes_field(_callee_json(callee)),
            _region_field(callee.region),
            tail,
        )
    )


_ROW_START = row_start(14) + UUID_LENGTH
_region_field = lru_cache(1 << 10)(text_field)
_encode = msgspec.json.Encoder().encode


def _call_json(call: ProposedCall) -> bytes:
    """Return what a call says beside its purpose, a column of its own, and the ids that its side has."""
    if call.customer_id is None and call.callback_request_id is None:
        return _encode({"callee": call.callee})
    own = {
        "callee": call.callee,
        "customer_id": call.customer_id,
        "callback_request_id": call.callback_request_id,
    }
    return _encode(own)


def stored_call(side: CallingSide, *, purpose: str, own: Mapping[str, Any]) -> ProposedCall:
    """Return a call as it was proposed, from the parts in which it is stored."""
    return replace(side.asked or ProposedCall(callee=""), purpose=Purpose(purpose), **own)


_OF_THE_NUMBER = frozenset({"phone_e164", "mainland", "region", "region_source"})
_more_of = attrgetter(*(one.name for one in fields(Callee) if one.name not in _OF_THE_NUMBER))
_NOTHING_MORE = _more_of(Callee(phone_e164=None))


def _callee_json(callee: Callee) -> bytes:
    """Return the facts about a callee; for a number of which nothing more is known, without all that is absent."""
    if callee.phone_e164 is None or _more_of(callee) != _NOTHING_MORE:
        return _encode(callee)
    region = f'"{callee.region}","region_source":"{callee.region_source}"' if callee.region else "null"
    mainland = "true" if callee.mainland else "false"
    return f'{{"phone_e164":"{callee.phone_e164}","mainland":{mainland},"region":{region}}}'.encode()


def _decision_fields(one: JudgedCall) -> bytes:
    decision = one.decision
    return b"".join(
        (
            text_field(one.policy.digest),
            text_field(decision.verdict.value),
            jsonb_field(_encode(decision.reasons)),
            instant_field(one.at),
            instant_field(decision.valid_until),
            instant_field(decision.next_callable_at),
        )
    )


# A refusal recorded before the check, and in force at it, would have denied it: it was still being filed then, its
# clock read but its transaction not committed. Such filing may take as long as the import of a whole list. A raise by
# a tighter policy ends an allow too, but only if the person is blocked by it: it may have left a block in the past.
_SUPERSEDED = text("""
    SELECT min(greatest(h.recorded_at, :checked_at)) FROM do_not_call_events h
     WHERE (h.kind = 'refusal' OR (h.kind = 'raised' AND NOT :is_service AND h.blocked_through >= :checked_on))
       AND h.recorded_at > :earliest AND h.recorded_at < :valid_until
       AND (h.recorded_at > :checked_at OR (h.blocked_through >= :checked_on AND NOT EXISTS (
         SELECT FROM do_not_call_events r WHERE r.entry_id = h.entry_id AND r.kind = 'release'
            AND r.recorded_at BETWEEN h.recorded_at AND :checked_at)))
       AND h.entry_id IN (
         SELECT entry_id FROM do_not_call_phones WHERE phone_digits = :phone
         UNION
         SELECT p.entry_id FROM customer_phones mine JOIN customer_phones theirs USING (customer_id)
           JOIN do_not_call_phones p ON p.phone_digits = theirs.phone_digits WHERE mine.phone_digits = :phone
         UNION
         SELECT p.entry_id FROM customer_phones named JOIN do_not_call_phones p USING (phone_digits)
          WHERE named.customer_id = :customer
         UNION
         SELECT e.entry_id FROM customer_phones mine JOIN do_not_call_entries e USING (customer_id)
          WHERE mine.phone_digits = :phone
         UNION
         SELECT entry_id FROM do_not_call_entries WHERE customer_id = :customer)""")


def superseded_at(connection: Connection, judged: JudgedCall) -> datetime | None:
    """Return when a refusal, filed while the allow was valid, or the raise of a block ended it; None if none did."""
    if judged.decision.valid_until is None or judged.callee.phone_e164 is None:
        return None
    # Service of a policy holder was allowed whatever refusals were known.
    is_service = judged.call.purpose is Purpose.SERVICE
    filing = timedelta() if is_service else _LONGEST_FILING
    found: datetime | None = connection.execute(
        _SUPERSEDED,
        {
            "earliest": judged.at - filing,
            "is_service": is_service,
            "checked_at": judged.at,
            "checked_on": shanghai_day(judged.at),
            "valid_until": judged.decision.valid_until,
            "phone": int(judged.callee.phone_e164),
            "customer": judged.call.customer_id,
        },
    ).scalar_one()
    return in_shanghai(found)


def read_check(connection: Connection, check_id: UUID) -> StoredCheck:
    """Return a check with the facts it was decided on.

    Raises:
        UnknownCheckError: no check has this id.
        BrokenCheckError: its facts were changed after it was written.
    """
    row = connection.execute(
        select(call_checks, calling_sides.c.facts)
        .join(calling_sides, calling_sides.c.side_digest == call_checks.c.side_digest)
        .where(call_checks.c.check_id == check_id)
    ).one_or_none()
    if row is None:
        msg = f"there is no check {check_id}"
        raise UnknownCheckError(msg)
    facts = row.facts.encode()
    if hashlib.sha256(facts).digest() != row.side_digest:
        msg = f"the facts stored for check {check_id} were changed after it was made"
        raise BrokenCheckError(msg)
    reasons = msgspec.convert(row.reasons, tuple[Reason, ...])
    side = msgspec.json.decode(facts, type=CallingSide)
    judged = JudgedCall(
        call=stored_call(side, purpose=row.purpose, own=row.call),
        side=RecordedSide(side, facts, row.side_digest),
        callee=msgspec.convert(row.callee_facts, Callee),
        decision=Decision(
            verdict=Verdict(row.verdict),
            reasons=tuple(replace(one, until=in_shanghai(one.until)) for one in reasons),
            valid_until=in_shanghai(row.valid_until),
            next_callable_at=in_shanghai(row.next_callable_at),
        ),
        policy=policy_by_digest(connection, row.policy_digest, used_at=row.checked_at),
        at=row.checked_at.astimezone(SHANGHAI),
        check_id=str(check_id),
    )
    return StoredCheck(judged, row.actor, superseded_at(connection, judged))


def replay(judged: JudgedCall) -> tuple[bool, Decision]:
    """Decide again from the stored facts and policy; return whether the answer is the same, and the answer."""
    again = decide(judged.call, Facts(side=judged.side.side, callee=judged.callee), judged.policy, at=judged.at)
    stored = judged.decision
    same = (again.verdict, again.reasons, again.valid_until, again.next_callable_at) == (
        stored.verdict,
        stored.reasons,
        stored.valid_until,
        stored.next_callable_at,
    )
    return same, again
