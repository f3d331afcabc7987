"""What the facts of a sale start: the class and the last moment of its inspection, and the customer's cooling-off.

Owns arts. 34, 37 and 39 of the Measures as far as one sale depends on them. Two periods run from the same day and
differ in what doubt does to them: the company must have inspected before the cooling-off ends by the count of days,
and this moment only ever moves earlier; the customer may withdraw until its last day is over, which moves past rest
days (Civil Code art. 203) and only ever later.

The class of art. 34 is not that of art. 35: exactly one year stands in both limbs of art. 34 (1年以上 and 1年期以内
include the number, Civil Code art. 1259), and the stricter one is taken.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from compliance.periods import add_months
from compliance.retention_terms import MONTHS_OF_A_YEAR, CoverTerm
from compliance.shanghai import midnight
from compliance.working_days import Calendar, RolledDay, rolled_over_rest


class InspectionClass(StrEnum):
    """The share of art. 34 or 37 by which a sale is drawn."""

    OVER_1Y = "over_1y"
    WITHIN_1Y = "within_1y"
    GIFT = "gift"


class WindowBasis(StrEnum):
    """From what the last moment of an inspection follows."""

    COOLING_OFF = "cooling_off"
    POLICY_TERM = "policy_term"
    CLOSING_DAY = "closing_day"
    """Receipt or effect is not known yet, so that no cooling-off has begun; or art. 37, which names no window."""


@dataclass(frozen=True, slots=True)
class InspectionWindow:
    """An inspection counts when it is finished before `before`, an instant in Shanghai, exclusive."""

    before: datetime
    basis: WindowBasis


@dataclass(frozen=True, slots=True, kw_only=True)
class SaleTerms:
    """The facts on which the clocks of a sale depend; all days are civil dates in Asia/Shanghai.

    `receipt_confirmed_on` and `effective_on` are None while unknown; `ended_on` is the contract's last day, None while
    it runs.
    """

    closed_on: date
    term: CoverTerm
    is_gift: bool
    cooling_off_days: int
    receipt_confirmed_on: date | None = None
    effective_on: date | None = None
    ended_on: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SaleTermsRow:
    """The columns of the register of sales that are a sale's terms, for what is read from it."""

    closed_on: date
    cover_start: date
    cover_end_exclusive: date | None
    declared_term_months: int | None
    is_gift: bool
    cooling_off_days: int
    receipt_confirmed_on: date | None
    effective_on: date | None
    ended_on: date | None

    def terms(self) -> SaleTerms:
        return SaleTerms(
            closed_on=self.closed_on,
            term=CoverTerm(self.cover_start, self.cover_end_exclusive, self.declared_term_months),
            is_gift=self.is_gift,
            cooling_off_days=self.cooling_off_days,
            receipt_confirmed_on=self.receipt_confirmed_on,
            effective_on=self.effective_on,
            ended_on=self.ended_on,
        )


def inspection_class(term: CoverTerm, *, is_gift: bool) -> InspectionClass:
    """Return the class by which a sale is inspected (arts. 34, 37); exactly one year is the stricter class.

    Where months and dates contradict each other, the longer of the two counts.

    >>> inspection_class(CoverTerm(date(2023, 3, 1), date(2024, 3, 1)), is_gift=False).value
    'over_1y'
    """
    if is_gift:
        return InspectionClass.GIFT
    return InspectionClass.OVER_1Y if _reaches_a_year(term) else InspectionClass.WITHIN_1Y


def _reaches_a_year(term: CoverTerm) -> bool:
    if term.end_exclusive is None:
        return True
    reaches_by_dates = term.end_exclusive >= add_months(term.start, MONTHS_OF_A_YEAR)
    if term.declared_months is None:
        return reaches_by_dates
    return term.declared_months >= MONTHS_OF_A_YEAR or (term.is_contradictory() and reaches_by_dates)


def _is_exactly_a_year(term: CoverTerm) -> bool:
    if term.end_exclusive is None or term.is_contradictory():
        return False
    if term.declared_months is not None:
        return term.declared_months == MONTHS_OF_A_YEAR
    return term.end_exclusive == add_months(term.start, MONTHS_OF_A_YEAR)


def cooling_off_start(sale: SaleTerms) -> date | None:
    """Return the later of confirmed receipt and effect (art. 39); None while one of them is unknown."""
    if sale.receipt_confirmed_on is None or sale.effective_on is None:
        return None
    return max(sale.receipt_confirmed_on, sale.effective_on)


def cooling_off_end(sale: SaleTerms) -> date | None:
    """Return the last day of the cooling-off by the count of days alone; None while it has not begun.

    The day of its start is not counted (Civil Code art. 201).
    """
    start = cooling_off_start(sale)
    return None if start is None else start + timedelta(days=sale.cooling_off_days)


def customer_right(sale: SaleTerms, calendar: Calendar, *, existing: date | None = None) -> RolledDay | None:
    """Return the last day, inclusive, on which the customer may withdraw; None while that day is not known.

    A last day at rest moves to the day after the rest (Civil Code art. 203), and a day without a calendar counts as
    rest. `existing` is the last day found before: no correction of the facts ever takes a day from the customer.

    >>> sale = SaleTerms(closed_on=date(2026, 9, 14), term=CoverTerm(date(2026, 9, 15), None), is_gift=False,
    ...                  cooling_off_days=15, receipt_confirmed_on=date(2026, 9, 20), effective_on=date(2026, 9, 15))
    >>> from compliance.working_days import package_calendar
    >>> customer_right(sale, package_calendar()).on
    datetime.date(2026, 10, 8)
    """
    end = cooling_off_end(sale)
    if end is None:
        return None if existing is None else RolledDay(existing, provisional=False)
    rolled = rolled_over_rest(end, calendar)
    return rolled if existing is None or rolled.on >= existing else RolledDay(existing, provisional=False)


def inspection_window(sale: SaleTerms) -> InspectionWindow:
    """Return the last moment for inspecting a sale by its facts as they stand (arts. 34, 37, 39).

    Of a cover of a year or more: the end of the cooling-off, not moved by rest days; counted from the closing day
    while receipt or effect is unknown. Of a shorter one, and of one of exactly a year without any cooling-off: the end
    of the policy term, or of the contract if that comes first. For gifts art. 37 names no window: the end of the month
    after the closing, or of the term if that comes first.
    """
    kind = inspection_class(sale.term, is_gift=sale.is_gift)
    if kind is InspectionClass.GIFT:
        return _gift_window(sale)
    has_no_cooling_off = sale.cooling_off_days == 0 and _is_exactly_a_year(sale.term)
    end_of_cover = _end_of_cover(sale)
    if end_of_cover is not None and (kind is InspectionClass.WITHIN_1Y or has_no_cooling_off):
        return InspectionWindow(midnight(end_of_cover), WindowBasis.POLICY_TERM)
    end = cooling_off_end(sale)
    if end is None:
        return _through(sale.closed_on + timedelta(days=sale.cooling_off_days), WindowBasis.CLOSING_DAY)
    return _through(end, WindowBasis.COOLING_OFF)


def _gift_window(sale: SaleTerms) -> InspectionWindow:
    next_month_ends = add_months(sale.closed_on.replace(day=1), 2)
    end = _end_of_cover(sale)
    if end is not None and end < next_month_ends:
        return InspectionWindow(midnight(end), WindowBasis.POLICY_TERM)
    return InspectionWindow(midnight(next_month_ends), WindowBasis.CLOSING_DAY)


def _end_of_cover(sale: SaleTerms) -> date | None:
    """Return the first day without cover: that of the term, or the day after the contract's end if that is earlier."""
    ends = [sale.term.end_exclusive, None if sale.ended_on is None else sale.ended_on + timedelta(days=1)]
    return min((end for end in ends if end is not None), default=None)


def _through(day: date, basis: WindowBasis) -> InspectionWindow:
    return InspectionWindow(midnight(day + timedelta(days=1)), basis)


def replaced_window(old: InspectionWindow, new: InspectionWindow) -> InspectionWindow:
    """Return the window that stands when facts are corrected: a duty only ever moves earlier.

    The one exception: a window counted from the closing day stands in for one that could not be known, and gives way
    to the first one that is, even if that ends later.
    """
    if (old.basis is WindowBasis.CLOSING_DAY) != (new.basis is WindowBasis.CLOSING_DAY):
        return new if old.basis is WindowBasis.CLOSING_DAY else old
    return new if new.before < old.before else old
