"""What of a recording nobody needs to hear: excused by rule, never by hand.

Two things are no part of the conversation: the ringing before the customer answered, and times on hold that the
recorder declared with the recording. Both are bounded, so that no clock and no sender can excuse a conversation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from qa_sampling.listening import Span, length, union

LONGEST_RINGING = timedelta(seconds=60)
"""So much before the answer is excused at most, and never more than half of a recording; the company's figure.

The record of a call comes from elsewhere, and may come after its recording: alone, it must not excuse a conversation.
"""

LONGEST_HOLD = timedelta(minutes=10)
"""A longer hold excuses nothing, and neither do the others of its recording; the company's figure."""

_MS = timedelta(milliseconds=1)


class ExcuseRule(StrEnum):
    RINGING = "ringing"
    HOLD = "hold"


class Excuse(NamedTuple):
    """A span that need not be heard, and the rule that says so."""

    rule: ExcuseRule
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedCall:
    """What the rules need of a recording. `answered_at` None: not answered, or not known; `holds` as declared."""

    started_at: datetime
    duration_ms: int
    answered_at: datetime | None = None
    holds: tuple[Span, ...] = ()


def excuses(call: RecordedCall) -> list[Excuse]:
    """Return everything of a recording that is excused, in order."""
    ringing = _ringing(call)
    holds = _holds(call, talked_ms=call.duration_ms - sum(one.end_ms for one in ringing))
    return sorted([*ringing, *holds], key=lambda one: (one.start_ms, one.end_ms, one.rule))


def _ringing(call: RecordedCall) -> Sequence[Excuse]:
    """Excuse from the start to the answer, if that lies in the recording: the longest ringing, half of it, at most."""
    if call.answered_at is None or call.answered_at <= call.started_at:
        return ()
    rang = call.answered_at - call.started_at
    if rang // _MS >= call.duration_ms:
        # The recording would be over before anybody answered: then one of the two clocks is wrong.
        return ()
    excused_ms = min(min(rang, LONGEST_RINGING) // _MS, call.duration_ms // 2)
    return (Excuse(ExcuseRule.RINGING, 0, excused_ms),) if excused_ms else ()


def _holds(call: RecordedCall, *, talked_ms: int) -> Sequence[Excuse]:
    """Excuse holds, as long as none is too long and all together are at most half of what follows the ringing."""
    holds = union(call.holds)
    is_too_long = any((end - start) * _MS > LONGEST_HOLD for start, end in holds)
    if is_too_long or 2 * length(holds) > talked_ms:
        return ()
    return [Excuse(ExcuseRule.HOLD, start, end) for start, end in holds]
