"""Reads what calls that took place are judged by, for all of them together: checks, blocks, hours, policies."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import Connection, Row, bindparam, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as PG_UUID

from compliance.block_entries import PersonKey, read_entry_ids, read_persons
from compliance.call_facts import CallingSide, Facts, ProposedCall, Purpose
from compliance.call_reconciliation import (
    NO_HISTORY,
    BlockEvent,
    BlockHistory,
    Breach,
    ClaimedCheck,
    PlacedCall,
    breaches_of_check,
    is_prohibited_hour,
    was_blocked,
)
from compliance.callee_facts import KnownPeople, NumberedCall, callee_of, read_known_people
from compliance.check_rows import stored_call
from compliance.decision import Verdict
from compliance.hours_rules import is_policy_service
from compliance.phone_numbers import PhoneNumber, normalise_caller
from compliance.policy import Policy, floor_policy
from compliance.policy_store import policy_by_digest
from compliance.register_tables import policies
from compliance.rule_answers import Case
from compliance.shanghai import shanghai_day
from compliance.working_days import Calendar

_NOBODY = CallingSide(insurer=())
"""Who called plays no part in the hours."""


class KnownCheck(NamedTuple):
    """A check as far as calls are reconciled with it."""

    call: ProposedCall
    verdict: Verdict
    phone_digits: int | None
    checked_at: datetime
    valid_until: datetime | None


class OutboundCall(NamedTuple):
    """An outbound call to be reconciled; `check_id` None when it names none that is an id."""

    call_id: str
    check_id: UUID | None
    callee: PhoneNumber | None
    caller_e164: str | None
    caller_is_given: bool
    started_at: datetime

    @property
    def callee_digits(self) -> int | None:
        return None if self.callee is None else int(self.callee.e164)


_ids = bindparam("ids", type_=ARRAY(PG_UUID(as_uuid=True)))
_LOCK_CHECKS = text("""
    SELECT c.check_id, c.purpose, c.call, s.facts, c.verdict, c.phone_digits, c.checked_at, c.valid_until
      FROM lock_call_checks(:ids) c JOIN calling_sides s USING (side_digest)""").bindparams(_ids)
_USES = text("""
    SELECT check_id, call_id, started_at FROM call_records
     WHERE check_id = ANY(:ids) AND direction = 'outbound'""").bindparams(_ids)
_EVENTS = text("""
    SELECT entry_id, kind, refused_at, blocked_through, recorded_at FROM do_not_call_events
     WHERE entry_id = ANY(:ids) AND kind IN ('refusal', 'release', 'raised')
     ORDER BY recorded_at, event_id""").bindparams(_ids)


def lock_checks(connection: Connection, check_ids: Collection[UUID]) -> dict[UUID, KnownCheck]:
    """Return these checks, locked until the transaction ends: one check serves one call, whoever is first."""
    rows = connection.execute(_LOCK_CHECKS, {"ids": sorted(check_ids)}) if check_ids else ()
    sides: dict[str, CallingSide] = {}
    return {
        row.check_id: KnownCheck(
            call=stored_call(_side(row.facts, sides), purpose=row.purpose, own=row.call),
            verdict=Verdict(row.verdict),
            phone_digits=row.phone_digits,
            checked_at=row.checked_at,
            valid_until=row.valid_until,
        )
        for row in rows
    }


def _side(facts: str, decoded: dict[str, CallingSide]) -> CallingSide:
    """Decode a calling side, once for all the checks that share it."""
    if facts not in decoded:
        decoded[facts] = msgspec.json.decode(facts, type=CallingSide)
    return decoded[facts]


def reconcile(
    connection: Connection,
    calls: Sequence[OutboundCall],
    checks: Mapping[UUID, KnownCheck],
    *,
    calendar: Calendar,
    now: datetime,
) -> list[list[Breach]]:
    """Return what each of these calls broke; their records are written already, `checks` are locked."""
    if not calls:
        return []
    first_uses = _first_uses(connection, calls, checks)
    histories = _histories(connection, calls, checks)
    placed = [
        _placed(call, checks, is_first=call.call_id in first_uses, history=history)
        for call, history in zip(calls, histories, strict=True)
    ]
    found = [breaches_of_check(one, now=now) for one in placed]
    uncovered = [index for index, breaches in enumerate(found) if breaches]
    cases = dict(
        zip(uncovered, _cases(connection, [calls[index] for index in uncovered], checks, calendar, now), strict=True)
    )
    for index, call in enumerate(calls):
        case = cases.get(index)
        if case is not None and is_prohibited_hour(case, call.started_at):
            found[index].append(Breach.QUIET_HOURS)
        is_service = _is_checked_service(call, checks) if case is None else is_policy_service(case)
        if not is_service and was_blocked(placed[index].history, call.started_at, calendar=calendar):
            found[index].append(Breach.BLOCKED_NUMBER)
    return found


def _placed(
    call: OutboundCall, checks: Mapping[UUID, KnownCheck], *, is_first: bool, history: BlockHistory
) -> PlacedCall:
    check = checks.get(call.check_id) if call.check_id is not None else None
    claimed = None
    if check is not None:
        shown = check.call.caller_number
        claimed = ClaimedCheck(
            verdict=check.verdict,
            phone_digits=check.phone_digits,
            caller_e164=None if shown is None else normalise_caller(shown),
            checked_at=check.checked_at,
            valid_until=check.valid_until,
            is_used=not is_first,
            is_service=check.call.purpose is Purpose.SERVICE,
        )
    return PlacedCall(
        callee_digits=call.callee_digits,
        caller_e164=call.caller_e164,
        caller_is_given=call.caller_is_given,
        started_at=call.started_at,
        check=claimed,
        history=history,
    )


def _first_uses(connection: Connection, calls: Sequence[OutboundCall], checks: Mapping[UUID, KnownCheck]) -> set[str]:
    """Return the ids of the calls that are the first to use their check.

    A call recorded earlier goes before all that are recorded now; among these, the one that began first.
    """
    new = {call.call_id for call in calls}
    uses: dict[UUID, list[tuple[bool, datetime, str]]] = defaultdict(list)
    for row in connection.execute(_USES, {"ids": sorted(checks)}) if checks else ():
        uses[row.check_id].append((row.call_id in new, row.started_at, row.call_id))
    return {min(of_check)[2] for of_check in uses.values()}


def _histories(
    connection: Connection, calls: Sequence[OutboundCall], checks: Mapping[UUID, KnownCheck]
) -> list[BlockHistory]:
    """Return, for each call, the history of the person called, one for all calls to the same person."""
    persons = read_persons(connection, [PersonKey(call.callee_digits, customer_of(call, checks)) for call in calls])
    ids = read_entry_ids(connection, persons)
    entry_ids = {*ids.by_phone.values(), *ids.by_customer.values()}
    by_entry: dict[UUID, list[BlockEvent]] = defaultdict(list)
    for row in connection.execute(_EVENTS, {"ids": sorted(entry_ids)}) if entry_ids else ():
        by_entry[row.entry_id].append(BlockEvent(*row))
    histories: dict[frozenset[UUID], BlockHistory] = {frozenset(): NO_HISTORY}
    found = []
    for person in persons:
        theirs = frozenset(ids.of(person))
        if theirs not in histories:
            histories[theirs] = BlockHistory([event for entry_id in theirs for event in by_entry[entry_id]])
        found.append(histories[theirs])
    return found


def customer_of(call: OutboundCall, checks: Mapping[UUID, KnownCheck]) -> str | None:
    """Return the customer that the check names, if the call went to the number of the check."""
    check = checks.get(call.check_id) if call.check_id is not None else None
    if check is None or call.callee_digits not in (None, check.phone_digits):
        return None
    return check.call.customer_id


def _is_checked_service(call: OutboundCall, checks: Mapping[UUID, KnownCheck]) -> bool:
    """Say whether a check that covers the call allowed it as service: it had the proof then."""
    return call.check_id is not None and checks[call.check_id].call.purpose is Purpose.SERVICE


def _cases(
    connection: Connection,
    calls: Sequence[OutboundCall],
    checks: Mapping[UUID, KnownCheck],
    calendar: Calendar,
    now: datetime,
) -> list[Case]:
    """Return what the hours of calls that no check covers are judged by, each by the policy of its instant."""
    if not calls:
        return []
    numbered = [NumberedCall(_proposed(call, checks), call.callee) for call in calls]
    known = read_known_people(connection, numbered)
    in_force = _policies(connection, [call.started_at for call in calls], now=now)
    return [
        Case(one.call, _facts(known, one, calendar=calendar, at=call.started_at), policy)
        for call, one, policy in zip(calls, numbered, in_force, strict=True)
    ]


def _facts(known: KnownPeople, numbered: NumberedCall, *, calendar: Calendar, at: datetime) -> Facts:
    return Facts(side=_NOBODY, callee=callee_of(known, numbered, calendar=calendar, at=at))


def _proposed(call: OutboundCall, checks: Mapping[UUID, KnownCheck]) -> ProposedCall:
    callee = "" if call.callee is None else call.callee.e164
    check = checks.get(call.check_id) if call.check_id is not None else None
    if check is None:
        return ProposedCall(callee=callee)
    return replace(check.call, callee=callee, customer_id=customer_of(call, checks))


def _policies(connection: Connection, instants: Iterable[datetime], *, now: datetime) -> list[Policy]:
    """Return the policy in force at each instant; the legal floor before the first one was stored."""
    columns = policies.c
    order = (columns.effective_from, columns.policy_id)
    stored = connection.execute(select(columns.effective_from, columns.digest).order_by(*order)).all()
    begins = [row.effective_from for row in stored]
    found: dict[int, Policy] = {}
    answers = []
    for at in instants:
        index = bisect_right(begins, at)
        if index not in found:
            found[index] = _policy(connection, stored[index - 1]) if index else floor_policy(on=shanghai_day(now))
        answers.append(found[index])
    return answers


def _policy(connection: Connection, stored: Row[datetime, str]) -> Policy:
    effective_from, digest = stored
    return policy_by_digest(connection, digest, used_at=effective_from)
