"""What came of the demo's checks: each decided by the real rules at its own instant, and the calls that followed.

Goes day by day, because a refusal on one day blocks the number on the next. Facts are read as of the 00:00 of
the day; nobody on the list or in a register changes later that day before being asked for again, so they are
the facts that the gate would have read at each instant.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection

from compliance.call_facts import Facts, ProposedCall
from compliance.call_reconciliation import Breach
from compliance.call_records import CallOutcome, CallRecord, Direction
from compliance.call_rules import decide_all
from compliance.callee_facts import NumberedCall, callee_of, read_known_people
from compliance.check_rows import JudgedCall, write_checks, write_sides
from compliance.phone_numbers import normalise
from compliance.register_book import Book
from compliance.shanghai import midnight, shanghai_day
from compliance.working_days import Calendar
from services.demo.block_plan import PlannedBlock, call_refusal
from services.demo.block_rows import write_blocks
from services.demo.call_plan import Dialling, PlannedCheck, planned_day
from services.demo.call_rows import DIALER, PlacedCall, write_calls
from services.demo.chance import Chance, Dice
from services.demo.sale_plan import SoldCall

_FOLLOWED_BY_A_CALL = 477
_RECORDED_AFTER = timedelta(seconds=4)


@dataclass(slots=True)
class Counts:
    checks: int = 0
    calls: int = 0
    refusals: int = 0


@dataclass(frozen=True, slots=True)
class History:
    """With what the days are decided, and how far they have come."""

    chance: Chance
    book: Book
    calendar: Calendar
    plan: Dialling
    now: datetime
    counts: Counts = field(default_factory=Counts)
    sides: set[bytes] = field(default_factory=set)
    sold: list[SoldCall] = field(default_factory=list)


def write_day(connection: Connection, history: History, instants: Sequence[datetime]) -> None:
    """Decide and record the checks of one day, the calls made on them, and the refusals heard."""
    if not instants:
        return
    planned = planned_day(history.plan, history.counts.checks, instants)
    judged = _judge(connection, history, planned)
    morning = midnight(shanghai_day(instants[0]))
    write_sides(connection, [one.side for one in judged], known_sides=history.sides, now=morning)
    write_checks(connection, judged, actors=[DIALER] * len(judged))
    history.sides.update(one.side.digest for one in judged)
    placed = [
        (check.call, call)
        for check, one in zip(planned, judged, strict=True)
        if (call := _placed(history, check, one)) is not None and call.recorded_at <= history.now
    ]
    calls = [call for _, call in placed]
    history.sold.extend(_sold(proposed, call) for proposed, call in placed if call.record.outcome is CallOutcome.SOLD)
    write_calls(connection, history.chance, calls, now=history.now)
    refused = [call for call in calls if call.record.outcome is CallOutcome.REFUSED]
    write_blocks(connection, history.chance, [_block(history, call) for call in refused])
    history.counts.checks += len(judged)
    history.counts.calls += len(calls)
    history.counts.refusals += len(refused)


def _sold(proposed: ProposedCall, call: PlacedCall) -> SoldCall:
    return SoldCall(proposed, call.record.call_id, call.callee_e164, call.record.ended_at or call.record.started_at)


def _judge(connection: Connection, history: History, planned: Sequence[PlannedCheck]) -> list[JudgedCall]:
    numbered = [NumberedCall(check.call, normalise(check.call.callee)) for check in planned]
    known = read_known_people(connection, numbered, as_of=midnight(shanghai_day(planned[0].at)))
    judged = []
    for check, one in zip(planned, numbered, strict=True):
        side = history.book.calling_side(check.call)
        callee = callee_of(known, one, calendar=history.calendar, at=check.at)
        facts = Facts(side=side.side, callee=callee)
        decision = decide_all([(check.call, facts)], history.book.policy, at=check.at)[0]
        check_id = str(history.chance.uuid7(check.at, "check", check.index))
        judged.append(JudgedCall(check.call, side, callee, decision, history.book.policy, check.at, check_id))
    return judged


_ANSWERED = (
    *[CallOutcome.OTHER] * 41,
    *[CallOutcome.CALLBACK] * 8,
    *[CallOutcome.REFUSED] * 6,
    *[CallOutcome.SOLD] * 4,
)
_OUTCOMES = (*[CallOutcome.NO_ANSWER] * 41, *_ANSWERED)
_OF_CUSTOMERS = (CallOutcome.NO_ANSWER, CallOutcome.OTHER)


def _placed(history: History, check: PlannedCheck, judged: JudgedCall) -> PlacedCall | None:
    """Return the call placed on a check, None if there was none: about half of the allowed ones lead to a call."""
    valid_until = judged.decision.valid_until
    if valid_until is None or not history.chance.hits(_FOLLOWED_BY_A_CALL, "call", check.index):
        return None
    dice = history.chance.dice("call", check.index)
    breach = _breach(dice) if check.is_lead else None
    started_at = min(check.at + timedelta(milliseconds=900 + dice.below(25_000)), valid_until - _MOMENT)
    if breach is Breach.CHECK_EXPIRED:
        started_at = valid_until + timedelta(seconds=15 + dice.below(200))
    outcome = dice.pick(_OUTCOMES if check.is_lead and breach is None else _OF_CUSTOMERS)
    answered_at = None if outcome is CallOutcome.NO_ANSWER else started_at + timedelta(seconds=4 + dice.below(20))
    ended_at = (answered_at or started_at) + _talk(dice, outcome)
    record = CallRecord(
        call_id=f"DEMO-{shanghai_day(check.at):%Y%m%d}-{check.index:05d}",
        check_id=None if breach is Breach.CALL_WITHOUT_CHECK else judged.check_id,
        direction=Direction.OUTBOUND,
        caller=check.call.caller_number,
        callee=judged.callee.phone_e164,
        agent_id=check.call.agent_id,
        started_at=started_at,
        answered_at=answered_at,
        ended_at=ended_at,
        outcome=outcome,
    )
    return PlacedCall(record, judged.callee.phone_e164 or "", ended_at + _RECORDED_AFTER, breach)


def _breach(dice: Dice) -> Breach | None:
    """Say what goes wrong with a call, in about two of a thousand cases."""
    return {0: Breach.CHECK_EXPIRED, 1: Breach.CALL_WITHOUT_CHECK}.get(dice.below(1000))


_MOMENT = timedelta(milliseconds=50)
_SHORTEST_TALK_S = {CallOutcome.NO_ANSWER: 25, CallOutcome.REFUSED: 12, CallOutcome.SOLD: 420}
_SPREAD_OF_TALK_S = {CallOutcome.NO_ANSWER: 20, CallOutcome.REFUSED: 60, CallOutcome.SOLD: 900}


def _talk(dice: Dice, outcome: CallOutcome) -> timedelta:
    shortest, spread = _SHORTEST_TALK_S.get(outcome, 30), _SPREAD_OF_TALK_S.get(outcome, 300)
    return timedelta(seconds=shortest + dice.below(spread))


def _block(history: History, call: PlacedCall) -> PlannedBlock:
    phone, record = int(call.callee_e164), call.record
    months = history.book.policy.block_months
    event = call_refusal(phone, record.ended_at or record.started_at, call.recorded_at, record.call_id, months)
    return PlannedBlock(call.entry_key, None, (phone,), (event,))
