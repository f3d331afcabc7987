"""How long a refusal keeps the gate closed (art. 25(2) of the Measures; Civil Code arts. 201-203).

Owns the two dates of a do-not-call entry: the last blocked day and the first callable one. The number of
months is the caller's: the law's floor stands in `law/`, the company's figure in its policy.
All dates are days in Asia/Shanghai; the block itself bites from the instant of the refusal.
"""

from dataclasses import dataclass
from datetime import date, timedelta

from compliance.periods import PeriodOutOfRangeError, add_months
from compliance.working_days import Calendar, rolled_over_rest

PERMANENT = date.max
"""The last blocked day of a permanent block, later than that of any other. It has no first callable day."""


class BlockTermError(ValueError):
    """A block of no months, which would protect nobody."""


@dataclass(frozen=True, slots=True)
class FirstCallable:
    """The first day on which the do-not-call list no longer closes the gate, from its 00:00.

    `provisional` says that a day outside the known calendar was counted as a rest day, so that the real date
    may turn out to be earlier once its calendar is published.
    """

    on: date
    provisional: bool


def blocked_through(refused_on: date, months: int, *, existing: date | None = None) -> date:
    """Return the last blocked day, inclusive through its 24:00, after a refusal on `refused_on`.

    `existing` is the last blocked day that the person already has: no later entry ever shortens it.

    Raises:
        BlockTermError: `months` is less than one.
        PeriodOutOfRangeError: the block would end after the year 9999.

    >>> blocked_through(date(2026, 3, 15), 6)
    datetime.date(2026, 9, 15)
    """
    if months < 1:
        raise BlockTermError(
            f"a do-not-call block of {months} months protects nobody; give at least the floor of 25(2)"
        )
    computed = add_months(refused_on, months)
    return computed if existing is None else max(existing, computed)


def first_callable(blocked_through: date, calendar: Calendar) -> FirstCallable:
    """Return the first callable day after a block that runs through `blocked_through`.

    A period whose last day is a rest day ends with the day after the rest (Civil Code art. 203), which is
    still blocked in full. So the gate opens on the day after the first working day on or after
    `blocked_through`. A day of which the calendar knows nothing counts as a rest day, but only so long as no known
    rest lasted longer: the answer is then at most 11 days after `blocked_through`.

    Raises:
        PeriodOutOfRangeError: there is no such day before the end of the year 9999.
    """
    try:
        last_day = rolled_over_rest(blocked_through, calendar)
        return FirstCallable(last_day.on + timedelta(days=1), last_day.provisional)
    except OverflowError:
        raise PeriodOutOfRangeError(
            f"a block through {blocked_through.isoformat()} leaves no callable day before the end of the year 9999; "
            f"enter it as permanent"
        ) from None
