"""Reads failure rates from the random part of inspections: drawn by ticket, by the newest version of the result.

Inspections that only a risk asked for are left out: they were chosen because they are worse.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection, text

from qa_sampling.failure_rate import FailureRate, failure_rate
from qa_sampling.strata import Stratum, stratum_of


@dataclass(frozen=True, slots=True)
class ItemRate:
    """How often an item of the scorecard failed where it was judged; `na` is no judgement."""

    item_id: str
    found: FailureRate


@dataclass(frozen=True, slots=True)
class FailureRates:
    """By stratum, and all together."""

    strata: Mapping[Stratum, FailureRate]
    total: FailureRate


_STRATA = text("""
    SELECT sales_mode, centre_id, inspection_class, count(outcome) AS inspected,
           count(*) FILTER (WHERE outcome = 'failed') AS failed
      FROM inspections WHERE closed_on BETWEEN :from_on AND :to_on AND is_random
     GROUP BY 1, 2, 3 ORDER BY 1, 2, 3""")
_ITEMS = text("""
    SELECT a ->> 'item_id' AS item_id, count(*) AS inspected, count(*) FILTER (WHERE a ->> 'answer' = 'fail') AS failed
      FROM inspections i
      JOIN LATERAL (SELECT r.answers FROM inspection_results r
                     WHERE r.inspection_id = i.inspection_id AND r.version IS NOT NULL
                     ORDER BY r.version DESC LIMIT 1) n ON true,
           jsonb_array_elements(n.answers) AS a
     WHERE i.closed_on BETWEEN :from_on AND :to_on AND i.is_random AND a ->> 'answer' IN ('pass', 'fail')
     GROUP BY 1 ORDER BY 1""")


def read_failure_rates(connection: Connection, from_on: date, to_on: date, *, confidence: float) -> FailureRates:
    """Return the failure rates of sales closed from `from_on` to `to_on` in Shanghai, both included.

    Strata of which nothing was drawn are left out; one that was drawn and not inspected yet has no rate.
    """
    asked = {"from_on": from_on, "to_on": to_on}
    strata = connection.execute(_STRATA, asked).all()
    failed, inspected = sum(row.failed for row in strata), sum(row.inspected for row in strata)
    return FailureRates(
        {
            stratum_of(row.sales_mode, row.centre_id, row.inspection_class): failure_rate(
                row.failed, row.inspected, confidence=confidence
            )
            for row in strata
        },
        failure_rate(failed, inspected, confidence=confidence),
    )


def read_item_rates(connection: Connection, from_on: date, to_on: date, *, confidence: float) -> list[ItemRate]:
    """Return how often each item of the scorecard failed in the inspections of these sales, by the ids of items.

    Every answer of every result is read: a year of many sales takes seconds.
    """
    rows = connection.execute(_ITEMS, {"from_on": from_on, "to_on": to_on})
    return [ItemRate(row.item_id, failure_rate(row.failed, row.inspected, confidence=confidence)) for row in rows]
