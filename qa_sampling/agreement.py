"""How far two people who heard the same agree, beyond what chance would bring about: Cohen's kappa."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction


class Undefined(StrEnum):
    """Why there is no kappa."""

    NO_PAIRS = "no_pairs"
    ONE_ANSWER_ONLY = "one_answer_only"
    """Both always gave the same one answer, so that chance alone would make them agree."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of `pairs` answers, the `share` that is equal, None without any, and `kappa` from -1 to 1.

    `undefined` says why kappa is None.
    """

    pairs: int
    share: Fraction | None
    kappa: Fraction | None
    undefined: Undefined | None


def agreement(pairs: Sequence[tuple[str, str]]) -> Agreement:
    """Return how far the first and the second answers agree; kappa = (observed - expected) / (1 - expected).

    `expected` is the share that would be equal if both gave their answers as often as they did, but by chance.

    >>> agreement([("pass", "pass")] * 20 + [("pass", "fail")] * 5 + [("fail", "pass")] * 10 + [("fail", "fail")] * 15)
    Agreement(pairs=50, share=Fraction(7, 10), kappa=Fraction(2, 5), undefined=None)
    """
    total = len(pairs)
    if not total:
        return Agreement(0, None, None, Undefined.NO_PAIRS)
    observed = Fraction(sum(one == other for one, other in pairs), total)
    first, second = Counter(one for one, _ in pairs), Counter(other for _, other in pairs)
    expected = Fraction(sum(first[answer] * second[answer] for answer in first), total * total)
    if expected == 1:
        return Agreement(total, observed, None, Undefined.ONE_ANSWER_ONLY)
    return Agreement(total, observed, (observed - expected) / (1 - expected), None)
