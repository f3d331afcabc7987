"""Cohen's kappa: against tables worked out by hand, at its ends, and where there is none."""

import doctest
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa_sampling import agreement as module
from qa_sampling.agreement import Agreement, Undefined, agreement

Pairs = list[tuple[str, str]]


def table(*rows: tuple[int, ...]) -> Pairs:
    """Return pairs as a table counts them: a row per first answer, a column per second."""
    return [
        (str(first), str(second))
        for first, row in enumerate(rows)
        for second, count in enumerate(row)
        for _ in range(count)
    ]


TABLES = {
    # Equal 85/100. Expected 20·25 + 80·75 = 6500 of 10,000. Kappa (8500 - 6500) / (10,000 - 6500).
    "much alike": (table((15, 5), (10, 70)), Fraction(85, 100), Fraction(2000, 3500)),
    # Equal 33/39. Expected 24·26 + 15·13 = 819 of 1521. Kappa (33·39 - 819) / (1521 - 819).
    "an odd number of pairs": (table((22, 2), (4, 11)), Fraction(33, 39), Fraction(468, 702)),
    # Equal 35/50. Expected 25·30 + 25·20 = 1250 of 2500. Kappa (1750 - 1250) / (2500 - 1250).
    "half by chance": (table((20, 5), (10, 15)), Fraction(35, 50), Fraction(500, 1250)),
    # Equal 60/100. Expected 60·70 + 40·30 = 5400 of 10,000. Kappa (6000 - 5400) / (10,000 - 5400).
    "both pass most": (table((45, 15), (25, 15)), Fraction(60, 100), Fraction(600, 4600)),
    # Equal 60/100. Expected 60·30 + 40·70 = 4600 of 10,000. Kappa (6000 - 4600) / (10,000 - 4600).
    "the same share, one passes most": (table((25, 35), (5, 35)), Fraction(60, 100), Fraction(1400, 5400)),
    # Equal 10/50. Expected 25·25 + 25·25 = 1250 of 2500. Kappa (500 - 1250) / (2500 - 1250).
    "less than by chance": (table((5, 20), (20, 5)), Fraction(10, 50), Fraction(-750, 1250)),
}


@pytest.mark.parametrize(("pairs", "share", "kappa"), TABLES.values(), ids=TABLES.keys())
def test_kappa_is_what_a_table_gives_by_hand(pairs: Pairs, share: Fraction, kappa: Fraction) -> None:
    found = agreement(pairs)

    assert (found.share, found.kappa) == (share, kappa)


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
def test_neither_the_order_of_pairs_nor_who_was_first_matters(pairs: Pairs, random: Random) -> None:
    mirrored = [(second, first) for first, second in pairs]
    random.shuffle(mirrored)

    assert agreement(mirrored) == agreement(pairs)


@given(_pairs)
def test_kappa_lies_between_minus_one_and_one_and_is_one_only_for_equal_answers(pairs: Pairs) -> None:
    found = agreement(pairs)

    assert found.kappa is None or -1 <= found.kappa <= 1
    assert (found.kappa == 1) == (found.share == 1 and found.undefined is None)


def test_the_examples_of_the_module_hold() -> None:
    assert doctest.testmod(module).failed == 0
