"""Answers and scores: what an inspector must say, and what follows from it."""

import doctest
from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa_sampling import first_scorecard
from qa_sampling import scorecard as module
from qa_sampling.scorecard import (
    Answer,
    AnswersError,
    Fault,
    Item,
    OpenItemsError,
    Outcome,
    Scorecard,
    ScorecardError,
    Suggestion,
    Verdict,
    check_scorecard,
    score,
    settled_answers,
)

FIRST, SECOND = UUID(int=1), UUID(int=2)
DURATIONS = {FIRST: 1000, SECOND: 500}
TOLD = Item("told", "告知犹豫期", "29(4)", fatal=True, weight=3)
NAMED = Item("named", "告知工号", "29(1)", fatal=False, weight=2)
SERVED = Item("served", "告知客服电话", "company:service", fatal=False, weight=1)
CARD = Scorecard(1, (TOLD, NAMED, SERVED), 8_000)

PASS, FAIL, NA = Verdict.PASS, Verdict.FAIL, Verdict.NOT_APPLICABLE
FAILED = Answer("named", FAIL, 700, FIRST, "没有告知")


def answers(told: Answer | Verdict = PASS, named: Answer | Verdict = PASS, served: Verdict = PASS) -> list[Answer]:
    return [
        told if isinstance(told, Answer) else Answer("told", told),
        named if isinstance(named, Answer) else Answer("named", named),
        Answer("served", served),
    ]


def settled(given_: list[Answer], **suggested: Verdict) -> tuple[Answer, ...]:
    suggestions = {item_id: Suggestion(verdict) for item_id, verdict in suggested.items()}
    return settled_answers(CARD, given_, durations=DURATIONS, suggestions=suggestions)


SCORES = {
    "all pass": ((PASS, PASS, PASS), (10_000, (), Outcome.PASSED)),
    "a light one fails": ((PASS, PASS, FAIL), (8_333, (), Outcome.PASSED)),
    "too much weight fails": ((PASS, FAIL, PASS), (6_666, (), Outcome.FAILED)),
    "a fatal one fails": ((FAIL, PASS, PASS), (5_000, ("told",), Outcome.FAILED)),
    "what does not apply does not count": ((PASS, NA, NA), (10_000, (), Outcome.PASSED)),
    "nor against": ((NA, PASS, FAIL), (6_666, (), Outcome.FAILED)),
}


@pytest.mark.parametrize(("verdicts", "expected"), SCORES.values(), ids=SCORES.keys())
def test_the_score_is_the_share_of_the_weight_judged(
    verdicts: tuple[Verdict, Verdict, Verdict], expected: tuple[int, tuple[str, ...], Outcome]
) -> None:
    found = score(CARD, answers(*verdicts))

    assert (found.score_bp, found.failed_fatal, found.outcome) == expected


def test_a_fatal_failure_decides_whatever_the_share() -> None:
    light = Scorecard(1, (replace(TOLD, weight=1), replace(NAMED, weight=1000)), 1)

    found = score(light, [Answer("told", FAIL), Answer("named", PASS)])

    assert (found.score_bp, found.outcome) == (9_990, Outcome.FAILED)


@pytest.mark.parametrize(("pass_bp", "outcome"), [(8_333, Outcome.PASSED), (8_334, Outcome.FAILED)])
def test_the_threshold_itself_passes(pass_bp: int, outcome: Outcome) -> None:
    assert score(replace(CARD, pass_bp=pass_bp), answers(served=FAIL)).outcome is outcome


BAD_ANSWERS = {
    "unknown item": ([*answers(), Answer("sung", PASS)], "answers.3.item_id"),
    "answered twice": ([*answers(), Answer("told", PASS)], "answers"),
    "fail without a moment": (answers(named=replace(FAILED, at_ms=None, recording_id=None)), "answers.1.at_ms"),
    "fail without words": (answers(named=replace(FAILED, note=None)), "answers.1.note"),
    "fail with blanks for words": (answers(named=replace(FAILED, note=" \t")), "answers.1.note"),
    "beyond the recording": (answers(named=replace(FAILED, at_ms=1001)), "answers.1.at_ms"),
    "beyond all recordings": (answers(named=replace(FAILED, at_ms=1501, recording_id=None)), "answers.1.at_ms"),
    "before the recording": (answers(named=replace(FAILED, at_ms=-1)), "answers.1.at_ms"),
    "another sale's recording": (answers(named=replace(FAILED, recording_id=UUID(int=9))), "answers.1.recording_id"),
    "a recording without a moment": (answers(told=Answer("told", PASS, None, FIRST)), "answers.0.at_ms"),
    "a moment of a pass beyond": (answers(told=Answer("told", PASS, 501, SECOND)), "answers.0.at_ms"),
    "a fatal one does not apply, without words": (answers(told=NA), "answers.0.note"),
    "nothing judged": (answers(Answer("told", NA, note="赠险"), NA, NA), "answers"),
}


@pytest.mark.parametrize(("given_", "loc"), BAD_ANSWERS.values(), ids=BAD_ANSWERS.keys())
def test_answers_that_do_not_say_what_they_must_are_refused(given_: list[Answer], loc: str) -> None:
    with pytest.raises(AnswersError) as refused:
        settled(given_)

    assert [fault.loc for fault in refused.value.faults] == [loc]


def test_all_faults_are_named_at_once() -> None:
    with pytest.raises(AnswersError) as refused:
        settled([Answer("told", FAIL), Answer("sung", PASS)])

    assert [fault.loc for fault in refused.value.faults] == ["answers.0.at_ms", "answers.0.note", "answers.1.item_id"]


def test_open_items_are_named() -> None:
    with pytest.raises(OpenItemsError, match="told, served") as refused:
        settled([Answer("named", PASS)])

    assert refused.value.item_ids == ("told", "served")


def test_answers_stand_in_the_order_of_the_scorecard() -> None:
    given_ = answers(Answer("told", NA, note="赠险,无犹豫期"), FAILED)

    assert settled(given_[::-1]) == tuple(given_)


@pytest.mark.parametrize(
    ("at_ms", "expected"),
    [(0, (FIRST, 0)), (1000, (FIRST, 1000)), (1001, (SECOND, 1)), (1500, (SECOND, 500))],
)
def test_a_moment_without_a_recording_counts_through_them_in_order(at_ms: int, expected: tuple[UUID, int]) -> None:
    found = settled(answers(named=replace(FAILED, at_ms=at_ms, recording_id=None)))[1]

    assert (found.recording_id, found.at_ms) == expected


@pytest.mark.parametrize("note", [None, "", "不对", "         不对         "])
def test_to_judge_otherwise_than_the_machine_proposed_needs_a_sentence(note: str | None) -> None:
    with pytest.raises(AnswersError) as refused:
        settled(answers(told=Answer("told", PASS, note=note)), told=FAIL)

    assert refused.value.faults == (
        Fault("answers.0.note", "to judge otherwise than proposed needs a sentence of at least 10 signs"),
    )


def test_a_sentence_or_the_same_judgement_needs_no_more() -> None:
    overridden = answers(told=Answer("told", PASS, note="第12秒已明确告知犹豫期十五天"))

    assert settled(overridden, told=FAIL) == tuple(overridden)
    assert settled(answers(), told=PASS) == tuple(answers())


BAD_CARDS = {
    "no items": ((), 8_000, "items"),
    "an item twice": ((TOLD, TOLD), 8_000, "items"),
    "no threshold": ((TOLD,), 0, "pass_bp"),
    "more than all": ((TOLD,), 10_001, "pass_bp"),
    "an id in capitals": ((replace(TOLD, item_id="Told"),), 8_000, "items.0.item_id"),
    "no text": ((replace(TOLD, text=" "),), 8_000, "items.0.text"),
    "an article that is none": ((replace(TOLD, article="49"),), 8_000, "items.0.article"),
    "an article in words": ((replace(TOLD, article="art. 29"),), 8_000, "items.0.article"),
    "a company without a rule": ((replace(TOLD, article="company:"),), 8_000, "items.0.article"),
    "no weight": ((replace(TOLD, weight=0),), 8_000, "items.0.weight"),
    "too much weight": ((replace(TOLD, weight=1001),), 8_000, "items.0.weight"),
}


@pytest.mark.parametrize(("items", "pass_bp", "loc"), BAD_CARDS.values(), ids=BAD_CARDS.keys())
def test_a_scorecard_by_which_nobody_can_judge_is_refused(items: tuple[Item, ...], pass_bp: int, loc: str) -> None:
    with pytest.raises(ScorecardError) as refused:
        check_scorecard(items, pass_bp)

    assert [fault.loc for fault in refused.value.faults] == [loc]


def test_the_scorecard_that_comes_with_the_product_can_be_judged_by() -> None:
    items = first_scorecard.ITEMS

    check_scorecard(items, first_scorecard.PASS_BP)
    assert {item.item_id for item in items if item.fatal} == {
        "product_named",
        "cooling_off_told",
        "consent_given",
        "payment_authorised",
        "no_misstatement",
        "refusal_respected",
    }


_verdicts = st.sampled_from([PASS, FAIL, NA])


@given(st.lists(st.tuples(_verdicts, st.booleans(), st.integers(1, 1000)), min_size=1, max_size=20))
def test_one_more_pass_never_lowers_a_score(drawn: list[tuple[Verdict, bool, int]]) -> None:
    items = tuple(Item(f"item_{n}", "…", "28", fatal, weight) for n, (_, fatal, weight) in enumerate(drawn))
    given_ = [Answer(f"item_{n}", verdict) for n, (verdict, _, _) in enumerate(drawn)]
    first = Item("first", "…", "28", fatal=True, weight=7)
    card = Scorecard(1, (first, *items), 8_000)

    better = score(card, [Answer("first", PASS), *given_])
    worse = score(card, [Answer("first", FAIL), *given_])

    assert 0 <= worse.score_bp <= better.score_bp <= 10_000
    assert worse.outcome is Outcome.FAILED


def test_the_examples_of_the_module_hold() -> None:
    assert doctest.testmod(module).failed == 0
