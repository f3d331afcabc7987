"""What a call that took place broke: each outbound call against the check that should cover it.

Owns arts. 25 and 27 after the fact. A check covers one call to its callee from its caller number, begun
between the check and its end, unless a refusal filed in between ended it. What no check covers is judged by
the hours and the do-not-call list as they stood when the call began. A block that a tighter policy raised is
longer from when the raise was recorded on.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from itertools import accumulate
from typing import NamedTuple
from uuid import UUID

from compliance.call_rules import LONGEST_VALIDITY
from compliance.decision import Outcome, Verdict
from compliance.do_not_call import PERMANENT, first_callable
from compliance.hours_rules import quiet_hours, regional_quiet_hours, segment_quiet_hours
from compliance.rule_answers import Case, moment_of
from compliance.shanghai import midnight, shanghai_day
from compliance.working_days import Calendar


class Breach(StrEnum):
    """What a call may have broken, in the order in which incidents of one call are listed."""

    CALL_WITHOUT_CHECK = "call_without_check"
    CHECK_DENIED = "check_denied"
    CHECK_EXPIRED = "check_expired"
    CHECK_SUPERSEDED = "check_superseded"
    CHECK_REUSED = "check_reused"
    OTHER_NUMBER = "other_number"
    QUIET_HOURS = "quiet_hours"
    BLOCKED_NUMBER = "blocked_number"
    REFUSAL_NOT_BLOCKED = "refusal_not_blocked"
    """The person called refused, and no number or customer is known that could be blocked."""


ARTICLES: dict[Breach, str] = {
    Breach.CALL_WITHOUT_CHECK: "27",
    Breach.CHECK_DENIED: "27",
    Breach.CHECK_EXPIRED: "27",
    Breach.CHECK_SUPERSEDED: "25(2)",
    Breach.CHECK_REUSED: "27",
    Breach.OTHER_NUMBER: "27",
    Breach.QUIET_HOURS: "25(1)",
    Breach.BLOCKED_NUMBER: "25(2)",
    Breach.REFUSAL_NOT_BLOCKED: "25(2)",
}
"""The article that each breach is recorded under."""


class BlockEvent(NamedTuple):
    """A refusal, raise or release in the history of a do-not-call entry; a refusal has both dates, a raise the end."""

    entry_id: UUID
    kind: str
    refused_at: datetime | None
    blocked_through: date | None
    recorded_at: datetime


class BlockHistory:
    """What refusals, raises and releases of one person's entries say of any past instant; built once, asked often.

    A refusal binds from its instant on, even if it was entered later, until a release of its entry that was
    recorded after it. A raise makes the end of what binds later from when it was recorded on.
    """

    def __init__(self, events: Sequence[BlockEvent]) -> None:
        refusals = [event for event in events if event.kind == "refusal"]
        releases = [event for event in events if event.kind == "release"]
        raises = [event for event in events if event.kind == "raised"]
        self._raised = [(event.recorded_at, event.blocked_through or PERMANENT) for event in raises]
        self._filed_at = sorted(event.recorded_at for event in refusals)
        ending: dict[datetime | None, list[tuple[datetime, date]]] = defaultdict(list)
        for event in [*refusals, *raises]:
            since = event.recorded_at if event.refused_at is None else min(event.refused_at, event.recorded_at)
            ending[_released_at(event, releases)].append((since, event.blocked_through or PERMANENT))
        self._runs = [_Run.of(refused, until) for until, refused in ending.items()]

    def was_filed_between(self, after: datetime, before: datetime) -> bool:
        """Say whether a refusal was recorded between the two instants, both exclusive."""
        index = bisect_right(self._filed_at, after)
        return index < len(self._filed_at) and self._filed_at[index] < before

    def was_raised_between(self, after: datetime, before: datetime, *, to: date) -> bool:
        """Say whether a block was raised between the two instants, both exclusive, to the day `to` or beyond."""
        return any(after < raised_at < before and through >= to for raised_at, through in self._raised)

    def blocked_through(self, at: datetime) -> date | None:
        """Return the last blocked day by what came before `at`, None if no refusal binds then."""
        return max((through for run in self._runs if (through := run.through(at)) is not None), default=None)


class _Run(NamedTuple):
    """Refusals that bind until the same release (None: to this day), by their beginning."""

    until: datetime | None
    since: list[datetime]
    through_so_far: list[date]

    @classmethod
    def of(cls, refused: list[tuple[datetime, date]], until: datetime | None) -> "_Run":
        refused = sorted(refused)
        longest = accumulate((through for _, through in refused), max)
        return cls(until, [since for since, _ in refused], list(longest))

    def through(self, at: datetime) -> date | None:
        index = bisect_left(self.since, at)
        return None if index == 0 or (self.until is not None and self.until <= at) else self.through_so_far[index - 1]


def _released_at(refusal: BlockEvent, releases: Sequence[BlockEvent]) -> datetime | None:
    later = (
        one.recorded_at
        for one in releases
        if one.entry_id == refusal.entry_id and one.recorded_at >= refusal.recorded_at
    )
    return min(later, default=None)


NO_HISTORY = BlockHistory(())


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedCheck:
    """The check that a call names. `is_used` says that another call used it before.

    Service of a policy holder was allowed whatever blocks were known, so that no raise of a block ends it.
    """

    verdict: Verdict
    phone_digits: int | None
    caller_e164: str | None
    checked_at: datetime
    valid_until: datetime | None
    is_used: bool
    is_service: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedCall:
    """An outbound call that took place.

    `callee_digits` and `caller_e164` are None when what was recorded is no such number; `caller_is_given` tells
    a caller that was not recorded from one that cannot be read. `history` is that of the person called.
    """

    callee_digits: int | None
    caller_e164: str | None
    caller_is_given: bool
    started_at: datetime
    check: ClaimedCheck | None
    history: BlockHistory = NO_HISTORY


def breaches_of_check(call: PlacedCall, *, now: datetime) -> list[Breach]:
    """Return what the call broke as far as checks go; empty when its check covers it.

    Refusals and raises that are being recorded at `now` were not known to anybody while the call was placed.
    """
    check = call.check
    if check is None:
        is_unreadable = call.callee_digits is None or (call.caller_is_given and call.caller_e164 is None)
        return [Breach.CALL_WITHOUT_CHECK, *([Breach.OTHER_NUMBER] if is_unreadable else [])]
    broken = {
        Breach.CHECK_DENIED: check.verdict is Verdict.DENY,
        Breach.CHECK_EXPIRED: check.valid_until is not None and _is_outside(check, check.valid_until, call.started_at),
        Breach.CHECK_SUPERSEDED: check.verdict is Verdict.ALLOW and _is_superseded(call, check, now=now),
        Breach.CHECK_REUSED: check.verdict is Verdict.ALLOW and check.is_used,
        Breach.OTHER_NUMBER: _is_other_number(call, check),
    }
    return [breach for breach, is_broken in broken.items() if is_broken]


def _is_outside(check: ClaimedCheck, valid_until: datetime, started_at: datetime) -> bool:
    """Say whether the call began outside the time of the check.

    Dialers that record whole seconds cut the fraction, so such a start is compared with the second of the check.
    The last instant counts as inside, unless the check was cut short because the answer changes right then.
    """
    checked_at = check.checked_at if started_at.microsecond else check.checked_at.replace(microsecond=0)
    if not checked_at <= started_at <= valid_until:
        return True
    return started_at == valid_until and valid_until - check.checked_at < LONGEST_VALIDITY


def _is_superseded(call: PlacedCall, check: ClaimedCheck, *, now: datetime) -> bool:
    before = min(call.started_at, now)
    if call.history.was_filed_between(check.checked_at, before):
        return True
    today = shanghai_day(check.checked_at)
    return not check.is_service and call.history.was_raised_between(check.checked_at, before, to=today)


def _is_other_number(call: PlacedCall, check: ClaimedCheck) -> bool:
    if call.callee_digits is None or call.callee_digits != check.phone_digits:
        return True
    return check.caller_e164 is not None and call.caller_e164 != check.caller_e164


def is_prohibited_hour(case: Case, at: datetime) -> bool:
    """Say whether a call that no check covers began at an hour prohibited to its callee (art. 25(1)).

    A callback request does not open the hours here: it does so only by way of a check.
    """
    moment = moment_of(at)
    rules = (quiet_hours, regional_quiet_hours, segment_quiet_hours)
    return any(rule(case, moment).outcome is Outcome.REFUSE for rule in rules)


def was_blocked(history: BlockHistory, at: datetime, *, calendar: Calendar) -> bool:
    """Say whether a person with this history was blocked at `at`, rest days after the term included (art. 25(2)).

    The refusal made in a call comes after the start of the call.
    """
    through = history.blocked_through(at)
    if through is None:
        return False
    return through == PERMANENT or at < midnight(first_callable(through, calendar).on)
