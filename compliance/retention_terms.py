"""For how long the recordings and documents of a sale are kept (art. 35; Civil Code arts. 201, 202, 1259).

Owns the retention class of a cover, and the last day through which what belongs to it must be kept. The class goes
by the period agreed, the clock by the day on which the contract really ended. What holds a recording longer (a
contract that runs, a legal hold, a dispute) is not decided here.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from compliance.periods import add_months, add_years

MONTHS_OF_A_YEAR = 12
_ROUNDING = timedelta(days=3)
"""How far the dates of a cover may be from its months: where the last day falls on a day that its month lacks."""


class RetentionClass(StrEnum):
    """The two classes of art. 35, a clean partition: exactly one year is 一年以下."""

    ONE_YEAR_OR_LESS = "5y"
    OVER_ONE_YEAR = "10y"


@dataclass(frozen=True, slots=True)
class CoverTerm:
    """The insurance period agreed: [start, end_exclusive), None for whole life; `declared_months` as the contract says.

    The contract's own words go before the dates, unless the two cannot mean the same period.
    """

    start: date
    end_exclusive: date | None
    declared_months: int | None = None

    def is_contradictory(self) -> bool:
        """Say whether the months declared and the dates cannot mean the same period."""
        if self.declared_months is None:
            return False
        if self.end_exclusive is None:
            return True
        return abs(add_months(self.start, self.declared_months) - self.end_exclusive) > _ROUNDING


def retention_class(term: CoverTerm) -> RetentionClass:
    """Return the class of a cover by the period agreed (art. 35); exactly one year is the shorter class.

    Where months and dates contradict each other, the longer of the two counts: a floor errs on the side of keeping.

    >>> retention_class(CoverTerm(date(2023, 3, 1), date(2024, 3, 1))).value
    '5y'
    """
    if term.end_exclusive is None:
        return RetentionClass.OVER_ONE_YEAR
    is_over_by_dates = term.end_exclusive > add_months(term.start, MONTHS_OF_A_YEAR)
    if term.declared_months is None:
        is_over = is_over_by_dates
    else:
        is_over = term.declared_months > MONTHS_OF_A_YEAR or (term.is_contradictory() and is_over_by_dates)
    return RetentionClass.OVER_ONE_YEAR if is_over else RetentionClass.ONE_YEAR_OR_LESS


def keep_through(ended_on: date, retention_class: RetentionClass, years_5y: int, years_10y: int) -> date:
    """Return the last day, inclusive, through which what belongs to a contract that ended on `ended_on` is kept.

    The years are those of the policy in force, which is never below the law. The day of the end is not counted
    (Civil Code art. 201); 29 February has no corresponding day in a common year and gives 28 February (art. 202).

    Raises:
        PeriodOutOfRangeError: that day lies after the year 9999.

    >>> keep_through(date(2024, 2, 29), RetentionClass.ONE_YEAR_OR_LESS, 5, 10)
    datetime.date(2029, 2, 28)
    """
    return add_years(ended_on, years_5y if retention_class is RetentionClass.ONE_YEAR_OR_LESS else years_10y)
