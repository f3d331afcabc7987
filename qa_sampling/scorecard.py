"""What an inspector judges a sale by, and what follows from the answers: one standard for every centre (art. 34).

A scorecard never changes; another version takes its place. An answer that says that the seller failed stands on a
moment of a recording and on words, so that whoever hears it again knows where to listen.
"""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate
from typing import NamedTuple
from uuid import UUID

WHOLE_BP = 10_000
SHORTEST_SENTENCE = 10
"""Signs, without blanks at the ends, that say why a person judges otherwise than the machine proposed."""

_ARTICLE = re.compile(r"(?:[1-9]|[1-3]\d|4[0-8])(?:\([1-9]\))?|company:[a-z0-9][a-z0-9_-]{0,62}", re.ASCII)
_ITEM_ID = re.compile(r"[a-z][a-z0-9_]{0,62}", re.ASCII)
_MOST_WEIGHT = 1000


class Verdict(StrEnum):
    """How an item was answered."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    NOT_APPLICABLE = "na"


class Outcome(StrEnum):
    """How a sale stands after an inspection."""

    PASSED = "passed"
    FAILED = "failed"


class Fault(NamedTuple):
    """What cannot be used of a body, by its path in it."""

    loc: str
    msg: str


class ScorecardError(ValueError):
    """A scorecard by which nobody could judge."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(f"{one.loc}: {one.msg}" for one in faults))


class AnswersError(ValueError):
    """Answers that do not say what they must."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(f"{one.loc}: {one.msg}" for one in faults))


class OpenItemsError(ValueError):
    """Items of the scorecard have no answer."""

    def __init__(self, item_ids: Sequence[str]) -> None:
        self.item_ids = tuple(item_ids)
        super().__init__(f"these items of the scorecard are open: {', '.join(item_ids)}; answer each of them")


@dataclass(frozen=True, slots=True)
class Item:
    """One question. `article` cites the Measures ("29(4)") or a rule of the company ("company:product-named").

    `fatal`: the customer was misled or wronged if it failed, and no other item makes up for it. `weight` counts
    against the other items.
    """

    item_id: str
    text: str
    article: str
    fatal: bool
    weight: int


@dataclass(frozen=True, slots=True)
class Scorecard:
    """A version; `pass_bp` is the share of the weight, in basis points, that must pass."""

    version: int
    items: tuple[Item, ...]
    pass_bp: int


@dataclass(frozen=True, slots=True)
class Answer:
    """An item's answer. `at_ms` is a moment of `recording_id`; both None when no moment is named."""

    item_id: str
    answer: Verdict
    at_ms: int | None = None
    recording_id: UUID | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What a machine proposes for an item, from what it found in the words spoken."""

    answer: Verdict


@dataclass(frozen=True, slots=True)
class Score:
    """What follows from the answers. `score_bp` is rounded down; `failed_fatal` stands in the scorecard's order."""

    score_bp: int
    failed_fatal: tuple[str, ...]
    outcome: Outcome


def check_scorecard(items: Sequence[Item], pass_bp: int) -> None:
    """Check that people can be judged by these items.

    Raises:
        ScorecardError: naming everything that is wrong.
    """
    faults = [fault for place, item in enumerate(items) for fault in _item_faults(place, item)]
    counts = Counter(item.item_id for item in items)
    faults += [Fault("items", f"{item_id} stands {n} times") for item_id, n in counts.items() if n > 1]
    if not items:
        faults.append(Fault("items", "must hold at least one item"))
    if not 1 <= pass_bp <= WHOLE_BP:
        faults.append(Fault("pass_bp", f"must lie between 1 and {WHOLE_BP} basis points, got {pass_bp}"))
    if faults:
        raise ScorecardError(faults)


def _item_faults(place: int, item: Item) -> Iterator[Fault]:
    if not _ITEM_ID.fullmatch(item.item_id):
        yield Fault(f"items.{place}.item_id", "must be lower-case letters, digits and _, beginning with a letter")
    if not item.text.strip():
        yield Fault(f"items.{place}.text", "must say what is judged")
    if not _ARTICLE.fullmatch(item.article):
        message = 'must cite an article of the Measures ("29(4)") or a rule of the company ("company:name")'
        yield Fault(f"items.{place}.article", message)
    if not 1 <= item.weight <= _MOST_WEIGHT:
        yield Fault(f"items.{place}.weight", f"must lie between 1 and {_MOST_WEIGHT}, got {item.weight}")


def settled_answers(
    card: Scorecard,
    answers: Sequence[Answer],
    *,
    durations: Mapping[UUID, int],
    suggestions: Mapping[str, Suggestion],
) -> tuple[Answer, ...]:
    """Return the answers in the order of the scorecard, each moment with its recording.

    `durations` are the milliseconds of the sale's recordings in the order in which they are listed. A moment without a
    recording counts through them one after the other. `suggestions` are by item; an item may have none.

    Raises:
        AnswersError: naming every answer that cannot be used.
        OpenItemsError: items have no answer.
    """
    named = {item.item_id: item for item in card.items}
    counts = Counter(one.item_id for one in answers)
    faults = [
        Fault(f"answers.{place}.{field}", msg)
        for place, one in enumerate(answers)
        for field, msg in _answer_faults(one, named.get(one.item_id), durations, suggestions.get(one.item_id))
    ]
    faults += [
        Fault("answers", f"{item_id} is answered {n} times")
        for item_id, n in counts.items()
        if n > 1 and item_id in named
    ]
    if faults:
        raise AnswersError(faults)
    missing = [item_id for item_id in named if item_id not in counts]
    if missing:
        raise OpenItemsError(missing)
    if all(one.answer is Verdict.NOT_APPLICABLE for one in answers):
        raise AnswersError(
            [Fault("answers", "at least one item must be judged; nothing can pass without being judged")]
        )
    given = {one.item_id: one for one in answers}
    return tuple(_placed(given[item_id], durations) for item_id in named)


def _answer_faults(
    one: Answer, item: Item | None, durations: Mapping[UUID, int], suggestion: Suggestion | None
) -> Iterator[tuple[str, str]]:
    if item is None:
        yield "item_id", "stands in no item of this scorecard"
        return
    yield from _moment_faults(one, durations)
    note = (one.note or "").strip()
    if one.answer is Verdict.FAIL and one.at_ms is None:
        yield "at_ms", "a failed item needs the moment at which it can be heard"
    if one.answer is Verdict.FAIL and not note:
        yield "note", "a failed item needs words that say what is wrong"
    if one.answer is Verdict.NOT_APPLICABLE and item.fatal and not note:
        yield "note", "an item that decides alone needs words that say why it does not apply"
    if suggestion is not None and suggestion.answer is not one.answer and len(note) < SHORTEST_SENTENCE:
        yield "note", f"to judge otherwise than proposed needs a sentence of at least {SHORTEST_SENTENCE} signs"


def _moment_faults(one: Answer, durations: Mapping[UUID, int]) -> Iterator[tuple[str, str]]:
    if one.recording_id is not None and one.recording_id not in durations:
        yield "recording_id", "is no recording of this sale"
    elif one.at_ms is None:
        if one.recording_id is not None:
            yield "at_ms", "a recording is named without the moment"
    else:
        length = sum(durations.values()) if one.recording_id is None else durations[one.recording_id]
        if not 0 <= one.at_ms <= length:
            yield "at_ms", f"must lie between 0 and {length}, the end of what was recorded, got {one.at_ms}"


def _placed(one: Answer, durations: Mapping[UUID, int]) -> Answer:
    """Return the answer with its moment counted from the beginning of the recording in which it lies."""
    if one.at_ms is None or one.recording_id is not None:
        return one
    ends = list(accumulate(durations.values()))
    place = bisect_left(ends, one.at_ms)
    recording_id = list(durations)[place]
    begin = ends[place] - durations[recording_id]
    return Answer(one.item_id, one.answer, one.at_ms - begin, recording_id, one.note)


def score(card: Scorecard, answers: Sequence[Answer]) -> Score:
    """Return what follows from settled answers: items that do not apply count neither for nor against.

    >>> card = Scorecard(1, (Item("told", "…", "29(4)", False, 3), Item("named", "…", "29(1)", False, 1)), 8_000)
    >>> score(card, [Answer("told", Verdict.PASS), Answer("named", Verdict.FAIL)])
    Score(score_bp=7500, failed_fatal=(), outcome=<Outcome.FAILED: 'failed'>)
    """
    given = {one.item_id: one.answer for one in answers}
    judged = sum(item.weight for item in card.items if given[item.item_id] is not Verdict.NOT_APPLICABLE)
    passed = sum(item.weight for item in card.items if given[item.item_id] is Verdict.PASS)
    score_bp = passed * WHOLE_BP // judged
    fatal = tuple(item.item_id for item in card.items if item.fatal and given[item.item_id] is Verdict.FAIL)
    outcome = Outcome.FAILED if fatal or score_bp < card.pass_bp else Outcome.PASSED
    return Score(score_bp, fatal, outcome)
