"""How many inspections the law demands of closed sales, and how far they have come (arts. 34, 37).

Owns the arithmetic of quotas: whole numbers and basis points, rounded up. Only inspections that a ticket drew and that
were finished in time fill a minimum; those asked for because of a risk come on top. What is counted, and under which
rate, the shell reads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from compliance.policy import SamplingRates
from compliance.sale_terms import InspectionClass
from qa_sampling.strata import Stratum

WHOLE_BP = 10_000


class Share(NamedTuple):
    """`days` closing days that had `sales` sales each, of which `rate_bp` basis points must be inspected."""

    sales: int
    rate_bp: int
    days: int = 1


class Progress(NamedTuple):
    """Inspections of some sales. All but `extra_done_in_time` were drawn by ticket.

    `open` have no result yet; of these, `still_possible` are within their window, and `due_soon` are so but not for
    long. `extra_done_in_time` are finished ones that only a risk asked for.
    """

    drawn: int = 0
    done_in_time: int = 0
    done_late: int = 0
    open: int = 0
    still_possible: int = 0
    due_soon: int = 0
    extra_done_in_time: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """What is demanded of a stratum's sales closed from `from_on` to `to_on`, both included, and what is done.

    `required` is one ceiling over the whole period, `required_by_day` the sum of the ceilings of the closing days,
    which is what draws aim at and never less. `rate_bp` is the highest rate of those days.
    """

    stratum: Stratum
    from_on: date
    to_on: date
    rate_bp: int
    sales: int
    required: int
    required_by_day: int
    progress: Progress

    @property
    def shortfall(self) -> int:
        """How many inspections that count are missing so far."""
        return max(0, self.required - self.progress.done_in_time)


def least_number(shares: Sequence[Share]) -> int:
    """Return how many inspections these days demand together, rounded up once.

    >>> least_number([Share(1, 3000), Share(2, 3000)]), least_number([Share(55, 10_000)]), least_number([])
    (1, 55, 0)
    """
    return -(-sum(one.sales * one.rate_bp * one.days for one in shares) // WHOLE_BP)


def least_number_by_day(shares: Sequence[Share]) -> int:
    """Return how many inspections these days demand when each is rounded up by itself.

    >>> least_number_by_day([Share(1, 3000), Share(2, 3000, days=3)])
    4
    """
    return sum(least_number([Share(one.sales, one.rate_bp)]) * one.days for one in shares)


def quota(stratum: Stratum, from_on: date, to_on: date, *, shares: Sequence[Share], progress: Progress) -> Quota:
    """Return the quota of a stratum that had sales; there is at least one share."""
    return Quota(
        stratum=stratum,
        from_on=from_on,
        to_on=to_on,
        rate_bp=max(one.rate_bp for one in shares),
        sales=sum(one.sales * one.days for one in shares),
        required=least_number(shares),
        required_by_day=least_number_by_day(shares),
        progress=progress,
    )


def rates_by_class(sampling: SamplingRates) -> dict[InspectionClass, int]:
    """Return the share of each class that is to be inspected, in basis points (arts. 34, 37)."""
    return {
        InspectionClass.OVER_1Y: sampling.over_1y_bp,
        InspectionClass.WITHIN_1Y: sampling.within_1y_bp,
        InspectionClass.GIFT: sampling.gift_bp,
    }
