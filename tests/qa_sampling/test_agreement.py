"""Cohen's kappa: against published figures, at its ends, and where there is none."""

import doctest
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa_sampling import agreement as module
from qa_sampling.agreement import Agreement, Undefined, agreement

Pairs = list[tuple[str, str]]


def table(*rows: tuple[int, ...]) -> Pairs:
    """Return pairs as a published table counts them: a row per first answer, a column per second."""
    return [
        (str(first), str(second))
        for first, row in enumerate(rows)
        for second, count in enumerate(row)
        for _ in range(count)
    ]


PUBLISHED = {
    # Viera and Garrett, Understanding interobserver agreement, Family Medicine 37 (2005).
    "usefulness of noon lectures": (table((15, 5), (10, 70)), 0.85, 0.57),
    # Sim and Wright, The kappa statistic in reliability studies, Physical Therapy 85 (2005).
    "lateral shift of the spine": (table((22, 2), (4, 11)), 0.846, 0.67),
    # The examples of the article "Cohen's kappa" in the English Wikipedia.
    "fifty proposals": (table((20, 5), (10, 15)), 0.7, 0.4),
    "same share, marginals alike": (table((45, 15), (25, 15)), 0.6, 0.1304),
    "same share, marginals apart": (table((25, 35), (5, 35)), 0.6, 0.2593),
}


@pytest.mark.parametrize(("pairs", "share", "kappa"), PUBLISHED.values(), ids=PUBLISHED.keys())
def test_published_tables_give_their_published_kappa(pairs: Pairs, share: float, kappa: float) -> None:
    found = agreement(pairs)

    assert found.share is not None
    assert found.kappa is not None
    assert float(found.share) == pytest.approx(share, abs=0.0005)
    assert float(found.kappa) == pytest.approx(kappa, abs=0.005)


def test_three_answers_count_as_three() -> None:
    # Observed 6/10; expected (4·4 + 3·3 + 3·3)/100 = 34/100; kappa (60 − 34)/66.
    found = agreement(table((2, 1, 1), (1, 2, 0), (1, 0, 2)))

    assert (found.share, found.kappa) == (Fraction(6, 10), Fraction(26, 66))


def test_without_pairs_there_is_neither_share_nor_kappa() -> None:
    assert agreement([]) == Agreement(0, None, None, Undefined.NO_PAIRS)


def test_when_both_always_gave_the_same_answer_kappa_is_undefined_though_they_agree() -> None:
    assert agreement([("pass", "pass")] * 9) == Agreement(9, Fraction(1), None, Undefined.ONE_ANSWER_ONLY)


def test_one_who_always_passes_what_the_other_always_fails_agrees_as_chance_does() -> None:
    assert agreement([("pass", "fail")] * 9) == Agreement(9, Fraction(0), Fraction(0), None)


_pairs = st.lists(st.tuples(st.sampled_from("pfn"), st.sampled_from("pfn")), min_size=1, max_size=60)


@given(_pairs, st.randoms(use_true_random=False))
def test_neither_the_order_of_pairs_nor_who_was_first_matters(pairs: Pairs, random: object) -> None:
    mirrored = [(second, first) for first, second in pairs]
    random.shuffle(mirrored)  # type: ignore[attr-defined] - Hypothesis gives a Random

    assert agreement(mirrored) == agreement(pairs)


@given(_pairs)
def test_kappa_lies_between_minus_one_and_one_and_is_one_only_for_equal_answers(pairs: Pairs) -> None:
    found = agreement(pairs)

    assert found.kappa is None or -1 <= found.kappa <= 1
    assert (found.kappa == 1) == (found.share == 1 and found.undefined is None)


def test_the_examples_of_the_module_hold() -> None:
    assert doctest.testmod(module).failed == 0
