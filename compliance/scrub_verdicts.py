"""Verdicts of a scrub: which rows have the same answer, and each answer as the cells that are written.

Pure. Rows differ to the rules only in the place of their number and in the end of their block. Places that no
rule tells apart (covered by the same regions of policy, registers and closures) count as one.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from compliance.call_facts import Block, Callee, CallingSide, Facts, ProposedCall, RegionSource
from compliance.call_rules import decide_all
from compliance.decision import Decision, ReasonCode, Verdict
from compliance.do_not_call import PERMANENT, first_callable
from compliance.listed_phones import NOT_LISTED, Days, day_of
from compliance.mobile_prefixes import REGION_CODES
from compliance.policy import Policy
from compliance.regions import covers
from compliance.scrub_numbers import FOREIGN, NO_NUMBER, PLACE_COUNT, Places
from compliance.working_days import Calendar

VerdictIds = NDArray[np.int64]


class Answer(NamedTuple):
    """What is written for a row: decision, reasons joined by `;`, and the instant of `next_callable_at` or nothing."""

    decision: str
    reasons: str
    next_callable_at: str


@dataclass(frozen=True, slots=True)
class Tally:
    """How many rows got which answer."""

    rows_by_answer: Mapping[Answer, int]

    @property
    def rows(self) -> int:
        return sum(self.rows_by_answer.values())

    def plus(self, other: "Tally") -> "Tally":
        return Tally(Counter(self.rows_by_answer) + Counter(other.rows_by_answer))

    def figures(self) -> dict[str, object]:
        """Return rows, allow, deny, invalid and by_reason, each reason counted once for each row that has it."""
        by_reason = dict.fromkeys(ReasonCode, 0)
        decisions = dict.fromkeys(Verdict, 0)
        for answer, count in self.rows_by_answer.items():
            decisions[Verdict(answer.decision)] += count
            for code in filter(None, answer.reasons.split(";")):
                by_reason[ReasonCode(code)] += count
        return {
            "rows": self.rows,
            "allow": decisions[Verdict.ALLOW],
            "deny": decisions[Verdict.DENY],
            "invalid": by_reason[ReasonCode.INVALID_NUMBER],
            "by_reason": {code.value: count for code, count in by_reason.items() if count},
        }


@dataclass(frozen=True, slots=True)
class Sitting:
    """What all rows of a scrub have in common."""

    call: ProposedCall
    side: CallingSide
    policy: Policy
    calendar: Calendar
    at: datetime


class _Case(NamedTuple):
    """What rows have in common that get the same answer; `first_callable_on` says when their block ends."""

    place: int
    is_blocked: bool
    first_callable_on: date | None


@dataclass(slots=True)
class Verdicts:
    """The answers given so far, each with a number, and how many rows have it."""

    sitting: Sitting
    answers: list[Answer] = field(default_factory=list)
    _numbers: dict[Answer, int] = field(default_factory=dict)
    _cases: dict[_Case, int] = field(default_factory=dict)
    _listed: dict[int, int] = field(default_factory=dict)
    _first_callable: dict[int, date | None] = field(default_factory=dict)
    _counts: list[int] = field(default_factory=list)
    _alike: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        self._alike = places_alike(self.sitting)

    def number_of(self, decision: Decision) -> int:
        """Return the number of the answer that `decision` is."""
        until = decision.next_callable_at
        answer = Answer(
            decision=decision.verdict.value,
            reasons=";".join(reason.code for reason in decision.reasons),
            next_callable_at="" if until is None else until.isoformat(),
        )
        if answer not in self._numbers:
            self._numbers[answer] = len(self.answers)
            self.answers.append(answer)
            self._counts.append(0)
        return self._numbers[answer]

    def judge(self, places: Places, through: Days) -> VerdictIds:
        """Return the number of each row's answer; `through` is the last day of its block or NOT_LISTED."""
        keys = (self._alike[places] << 32) + (through.astype(np.int64) - NOT_LISTED)
        is_listed = through != NOT_LISTED
        ids = np.empty(len(keys), np.int64)
        unlisted = self._alike[places]
        present = np.flatnonzero(np.bincount(unlisted[~is_listed], minlength=PLACE_COUNT))
        table = np.zeros(PLACE_COUNT, np.int64)
        table[present] = self._decided(
            [_Case(place, is_blocked=False, first_callable_on=None) for place in present.tolist()]
        )
        ids[~is_listed] = table[unlisted[~is_listed]]
        distinct, inverse = np.unique(keys[is_listed], return_inverse=True)
        ids[is_listed] = self._listed_ids(distinct)[inverse]
        return ids

    def count(self, ids: VerdictIds) -> None:
        """Count rows with these answers."""
        for number, count in enumerate(np.bincount(ids, minlength=len(self.answers)).tolist()):
            self._counts[number] += count

    def tally(self) -> "Tally":
        """Return how many rows got which answer, of the rows counted."""
        return Tally(dict(zip(self.answers, self._counts, strict=True)))

    def _listed_ids(self, keys: NDArray[np.int64]) -> VerdictIds:
        """Return the numbers of the answers to places and last days, as `judge` puts them together."""
        new = [key for key in keys.tolist() if key not in self._listed]
        cases = [
            _Case(
                key >> 32, is_blocked=True, first_callable_on=self._first_callable_on((key & 0xFFFFFFFF) + NOT_LISTED)
            )
            for key in new
        ]
        self._listed.update(zip(new, self._decided(cases), strict=True))
        return np.array([self._listed[key] for key in keys.tolist()], np.int64)

    def _first_callable_on(self, through: int) -> date | None:
        if through not in self._first_callable:
            day = day_of(through)
            on = None if day == PERMANENT else first_callable(day, self.sitting.calendar).on
            self._first_callable[through] = on
        return self._first_callable[through]

    def _decided(self, cases: Sequence[_Case]) -> list[int]:
        sitting = self.sitting
        new = [case for case in dict.fromkeys(cases) if case not in self._cases]
        pairs = [(sitting.call, Facts(side=sitting.side, callee=self._callee(case))) for case in new]
        for case, decision in zip(new, decide_all(pairs, sitting.policy, at=sitting.at), strict=True):
            self._cases[case] = self.number_of(decision)
        return [self._cases[case] for case in cases]

    def _callee(self, case: _Case) -> Callee:
        """Return a callee as good as any of the case: rules ask of the number only whether there is one."""
        if case.place == NO_NUMBER:
            return Callee(phone_e164=None)
        region = None if case.place == FOREIGN else REGION_CODES[case.place]
        block = Block(entry_ids=(), blocked_from=self.sitting.at, first_callable_on=case.first_callable_on)
        return Callee(
            phone_e164="+86",
            mainland=case.place != FOREIGN,
            region=region,
            region_source=None if region is None else RegionSource.NUMBER,
            block=block if case.is_blocked else None,
        )


def places_alike(sitting: Sitting) -> NDArray[np.int64]:
    """Return for each place the first one that no rule can tell from it.

    Rules ask of a region only which collections of codes cover it.
    """
    collections = list(_code_collections(sitting))
    found = np.arange(PLACE_COUNT)
    first: dict[tuple[bool, ...], int] = {}
    for place, region in enumerate(REGION_CODES):
        if region is not None:
            found[place] = first.setdefault(tuple(covers(codes, region) for codes in collections), place)
    return found


def _code_collections(sitting: Sitting) -> Iterable[Collection[str]]:
    side = sitting.side
    yield from ((window.code,) for window in sitting.policy.quiet_hours.regions)
    yield from (version.operating_regions for version in side.insurer)
    yield from (version.sales_regions for version in side.centre)
    yield from (overlay.regions for overlay in side.overlays if overlay.regions is not None)
