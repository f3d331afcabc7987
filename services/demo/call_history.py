"""What came of the demo's checks: each decided by the real rules at its own instant, and the calls that followed.

Goes day by day, because a refusal on one day blocks the number on the next. Facts are read as of the 00:00 of
the day; nobody on the list or in a register changes later that day before being asked for again, so they are
the facts that the gate would have read at each instant.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection

from compliance.call_facts import Facts
from compliance.call_rules import decide_all
from compliance.callee_facts import NumberedCall, callee_of, read_known_people
from compliance.check_rows import JudgedCall, write_checks
from compliance.decision import Verdict
from compliance.phone_numbers import normalise
from compliance.register_book import Book
from compliance.shanghai import midnight, shanghai_day
from compliance.working_days import Calendar
from services.demo.block_plan import PlannedBlock, call_refusal
from services.demo.block_rows import write_blocks
from services.demo.call_plan import Dialling, PlannedCheck, planned_day
from services.demo.call_rows import PlacedCall, write_calls
from services.demo.chance import Chance

DIALER = "dialer"
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


def write_day(connection: Connection, history: History, instants: Sequence[datetime]) -> None:
    """Decide and record the checks of one day, the calls made on them, and the refusals heard."""
    if not instants:
        return
    planned = planned_day(history.plan, history.counts.checks, instants)
    judged = _judge(connection, history, planned)
    morning = midnight(shanghai_day(instants[0]))
    write_checks(connection, judged, actors=[DIALER] * len(judged), known_sides=history.sides, now=morning)
    history.sides.update(one.side.digest for one in judged)
    calls = [
        call
        for check, one in zip(planned, judged, strict=True)
        if (call := _placed(history, check, one)) is not None and call.recorded_at <= history.now
    ]
    write_calls(connection, history.chance, calls, now=history.now)
    refused = [call for call in calls if call.outcome == "refused"]
    write_blocks(connection, history.chance, [_block(history, call) for call in refused])
    history.counts.checks += len(judged)
    history.counts.calls += len(calls)
    history.counts.refusals += len(refused)


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


_ANSWERED = ("other",) * 41 + ("callback",) * 8 + ("refused",) * 6 + ("sold",) * 4
_OUTCOMES = ("no_answer",) * 41 + _ANSWERED


def _placed(history: History, check: PlannedCheck, judged: JudgedCall) -> PlacedCall | None:
    """Return the call placed on a check, None if there was none: about half of the allowed ones lead to a call."""
    chance, index = history.chance, check.index
    valid_until = judged.decision.valid_until
    if judged.decision.verdict is not Verdict.ALLOW or valid_until is None:
        return None
    if not chance.hits(_FOLLOWED_BY_A_CALL, "call", index):
        return None
    started_at = min(
        check.at + timedelta(milliseconds=900 + chance.below(25_000, "dial", index)), valid_until - _MOMENT
    )
    is_late = check.is_lead and chance.below(900, "late", index) == 0
    if is_late:
        started_at = valid_until + timedelta(seconds=15 + chance.below(200, "late by", index))
    is_unchecked = check.is_lead and not is_late and chance.below(1300, "unchecked", index) == 0
    outcome = chance.pick(_OUTCOMES if check.is_lead else ("no_answer", "other"), "outcome", index)
    if is_late or is_unchecked:
        outcome = "other"
    answered_at = (
        None if outcome == "no_answer" else started_at + timedelta(seconds=4 + chance.below(20, "ring", index))
    )
    talk = _talk_seconds(chance, outcome, index)
    ended_at = (answered_at or started_at) + timedelta(seconds=talk)
    return PlacedCall(
        call_id=f"DEMO-{shanghai_day(check.at):%Y%m%d}-{index:05d}",
        check_id=None if is_unchecked else judged.check_id,
        call=check.call,
        callee_e164=judged.callee.phone_e164 or "",
        started_at=started_at,
        answered_at=answered_at,
        ended_at=ended_at,
        outcome=outcome,
        recorded_at=ended_at + _RECORDED_AFTER,
        incident_kind="check_expired" if is_late else "call_without_check" if is_unchecked else None,
    )


_MOMENT = timedelta(milliseconds=50)
_SHORTEST_TALK_S = {"no_answer": 25, "refused": 12, "sold": 420}
_SPREAD_OF_TALK_S = {"no_answer": 20, "refused": 60, "sold": 900}


def _talk_seconds(chance: Chance, outcome: str, index: int) -> int:
    shortest, spread = _SHORTEST_TALK_S.get(outcome, 30), _SPREAD_OF_TALK_S.get(outcome, 300)
    return shortest + chance.below(spread, "talk", index)


def _block(history: History, call: PlacedCall) -> PlannedBlock:
    phone = int(call.callee_e164)
    months = history.book.policy.block_months
    event = call_refusal(phone, call.ended_at, call.recorded_at, call.call_id, months)
    return PlannedBlock(call.entry_key, None, (phone,), (event,))
