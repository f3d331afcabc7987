"""How long the record of an inspection is kept, and whether it was finished before its window began (arts. 33, 34)."""

from datetime import date, datetime, timedelta

from compliance.policy import RetentionYears
from compliance.retention_terms import RetentionClass, keep_through
from compliance.sale_terms import InspectionClass, SaleTerms, cooling_off_start
from compliance.shanghai import midnight


def record_kept_through(terms: SaleTerms, retention_class: RetentionClass, years: RetentionYears) -> date | None:
    """Return the last day through which the record of an inspection is kept; None while no end is known.

    Art. 33 demands the insured period; the record is kept as long as the recordings that it judges, by the years of
    their class after the end of the contract (art. 35).
    """
    end = terms.term.end_exclusive
    last_day = None if end is None else end - timedelta(days=1)
    ended_on = last_day if terms.ended_on is None else terms.ended_on
    if ended_on is None:
        return None
    kept = keep_through(ended_on, retention_class, years.years_5y, years.years_10y)
    return kept if last_day is None else max(kept, last_day)


def is_early(terms: SaleTerms, group: InspectionClass, finished_at: datetime) -> bool:
    """Say whether an inspection was finished before its window had begun: it counts, and is told apart.

    The window of art. 34 begins with the cooling-off, or with the cover of a contract within one year; art. 37 names
    none. While receipt or effect is unknown, no cooling-off has begun.
    """
    if group is InspectionClass.GIFT:
        return False
    begins_on = terms.term.start if group is InspectionClass.WITHIN_1Y else cooling_off_start(terms)
    return begins_on is None or finished_at < midnight(begins_on)
