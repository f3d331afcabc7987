"""How long a recording is kept, and whether it may go, as a function of facts (art. 35 of the Measures).

Owns the reading of the law: every contract linked to a recording counts, the clock runs from the day on which the
last of them ended, a contract that runs or is unknown holds, and a date once given is never moved earlier. Knows no
store and no table; `retention_words` says the same in sentences. All dates are days in Asia/Shanghai, the last day of
a period belongs to it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from compliance.do_not_call import PERMANENT
from compliance.periods import add_years
from compliance.policy import RetentionYears


class RetentionState(StrEnum):
    """`expired` only says that two officers may dispose of it; nothing goes by itself."""

    HELD = "held"
    DATED = "dated"
    EXPIRED = "expired"
    DISPOSED = "disposed"


class RetentionBasis(StrEnum):
    """What decides how long: known sales, a policy that nobody registered yet, or the company's own term."""

    SALE = "sale"
    UNKNOWN_SALE = "unknown_sale"
    COMPANY = "company"


@dataclass(frozen=True, slots=True)
class LinkedSale:
    """A sale to which a recording belongs, by its policy number or by its call. `ended_on` None: it runs."""

    policy_no: str
    retention_class: str
    ended_on: date | None

    def has_ended(self, today: date) -> bool:
        """Say whether the contract's last day has come; one that is to end later still runs."""
        return self.ended_on is not None and self.ended_on <= today


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierEnd:
    """The end of a contract that two officers moved earlier, from `replaced` to `ended_on`."""

    replaced: date
    ended_on: date

    def moved(self, given_through: date) -> date:
        """Return the date of a recording once the end has moved: by the same years from the new end.

        They may be more than those of the policy in force, which a looser one takes from nobody. A date that is no
        number of years from the replaced end came from elsewhere and stays.
        """
        years = given_through.year - self.replaced.year
        return add_years(self.ended_on, years) if add_years(self.replaced, years) == given_through else given_through


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionFacts:
    """All that decides on one recording.

    `held_since` are the days on which its open holds were placed. `blocked_through` is the last day on which the
    do-not-call list keeps its number, `PERMANENT` for ever, None if nothing runs. `given_through` is the date that the
    recording has already. `dispute_ended_on` is the day on which the last hold for a case was released.
    """

    call_day: date
    sales: tuple[LinkedSale, ...] = ()
    names_unknown_policy: bool = False
    held_since: tuple[date, ...] = ()
    dispute_ended_on: date | None = None
    blocked_through: date | None = None
    given_through: date | None = None
    disposed_on: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """The statutory or company period. `through` None: it has not begun to run. `by_class` None: without a sale."""

    basis: RetentionBasis
    by_class: str | None
    through: date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How a recording stands. `is_held` and `locked_through` are what its row keeps and the stores are brought to.

    `keep_through` is what people are shown: None while no date applies, and later than `locked_through` where a
    do-not-call block runs longer, which may end early and so locks no store. A permanent block makes the state `held`
    with `is_held` False.
    """

    state: RetentionState
    basis: RetentionBasis
    retention_class: str | None
    keep_through: date | None
    earliest_disposal_on: date | None
    is_held: bool
    locked_through: date | None


def term_of(facts: RetentionFacts, years: RetentionYears, *, today: date) -> Term:
    """Return the period that the contracts give, or without any the company's from the day of the call.

    Exactly the years of the class from the actual end of the contract, and of several contracts the latest end
    (art. 35). A dispute that is over adds `dispute_years` from its end.
    """
    by_class = class_of(facts.sales)
    if facts.names_unknown_policy:
        return Term(basis=RetentionBasis.UNKNOWN_SALE, by_class=by_class, through=None)
    if not facts.sales:
        through = add_years(facts.call_day, years.years_without_sale)
        return Term(basis=RetentionBasis.COMPANY, by_class=None, through=_with_dispute(through, facts, years))
    ends = [
        add_years(sale.ended_on, years_of(sale.retention_class, years))
        for sale in facts.sales
        if sale.ended_on is not None and sale.has_ended(today)
    ]
    if len(ends) < len(facts.sales):
        return Term(basis=RetentionBasis.SALE, by_class=by_class, through=None)
    return Term(basis=RetentionBasis.SALE, by_class=by_class, through=_with_dispute(max(ends), facts, years))


def decide(facts: RetentionFacts, years: RetentionYears, *, today: date) -> Retention:
    """Return how a recording stands on the day `today`.

    The date of its row only ever moves later. While a contract runs again after its end, that date still locks the
    stores, but no date applies.
    """
    term = term_of(facts, years, today=today)
    locked_through = _later(facts.given_through, term.through)
    is_held = term.through is None or bool(facts.held_since)
    applies: date | None = None if term.through is None else locked_through
    if applies is not None and facts.blocked_through is not None and facts.blocked_through != PERMANENT:
        applies = max(applies, facts.blocked_through)
    state = _state(facts, is_held=is_held, applies=applies, today=today)
    may_end = state in {RetentionState.DATED, RetentionState.EXPIRED}
    return Retention(
        state=state,
        basis=term.basis,
        retention_class=term.by_class,
        keep_through=applies,
        earliest_disposal_on=applies + timedelta(days=1) if may_end and applies is not None else None,
        is_held=is_held,
        locked_through=locked_through,
    )


def class_of(sales: Sequence[LinkedSale]) -> str | None:
    """Return the longest class among `sales`, None without any."""
    classes = {sale.retention_class for sale in sales}
    return next((one for one in ("10y", "5y") if one in classes), None)


def years_of(retention_class: str, years: RetentionYears) -> int:
    """Return for how many calendar years after its end a contract of this class is kept."""
    return years.years_5y if retention_class == "5y" else years.years_10y


def _state(facts: RetentionFacts, *, is_held: bool, applies: date | None, today: date) -> RetentionState:
    if facts.disposed_on is not None:
        return RetentionState.DISPOSED
    if is_held or applies is None or facts.blocked_through == PERMANENT:
        return RetentionState.HELD
    return RetentionState.DATED if applies >= today else RetentionState.EXPIRED


def _with_dispute(through: date, facts: RetentionFacts, years: RetentionYears) -> date:
    if facts.dispute_ended_on is None or not years.dispute_years:
        return through
    return max(through, add_years(facts.dispute_ended_on, years.dispute_years))


def _later(one: date | None, other: date | None) -> date | None:
    if one is None or other is None:
        return one or other
    return max(one, other)
