"""Reads quotas: the sales that a trigger counts by stratum and closing day, and the inspections of these days.

The rate of a day that was drawn is that under which it was drawn, the highest where several draws hold it; of others
that of the policy in force now. So a policy that comes later neither loosens a cohort nor finds a met one wanting.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, text

from compliance.policy import SamplingRates
from compliance.policy_store import policy_in_force
from compliance.sale_terms import InspectionClass
from qa_sampling.quota import Progress, Quota, Share, quota, rates_by_class
from qa_sampling.strata import Stratum, stratum_of

DUE_SOON = timedelta(days=2)
"""From when on a drawn sale without a result is called urgent: the warning of two days before the end (art. 34)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaFilter:
    """Of which sales quotas are asked: closing days in Shanghai, both included; `by_day`: one quota per closing day."""

    from_on: date
    to_on: date
    by_day: bool = False
    sales_mode: str | None = None
    centre_id: str | None = None
    inspection_class: InspectionClass | None = None

    def values(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


class _Place(NamedTuple):
    """One quota: of a stratum, and of one closing day where days are asked for."""

    stratum: Stratum
    day: date | None


_ASKED = """
    t.closed_on BETWEEN :from_on AND :to_on
    AND (CAST(:sales_mode AS text) IS NULL OR t.sales_mode = :sales_mode)
    AND (CAST(:centre_id AS text) IS NULL OR t.centre_id = :centre_id)
    AND (CAST(:inspection_class AS text) IS NULL OR t.inspection_class = :inspection_class)"""
_DAY = "CASE WHEN :by_day THEN t.closed_on END"

# Days with as many sales at the same rate are one row: a year has a few dozen of them, and the ceilings stay in one
# place. Only where some draw had another rate than that of now are draws joined at all.
_SHARES = text(f"""
    WITH now (inspection_class, rate_bp) AS MATERIALIZED (
        VALUES ('over_1y', CAST(:over_1y AS integer)), ('within_1y', :within_1y), ('gift', :gift)),
    changed AS MATERIALIZED (
        SELECT n.inspection_class FROM now n
         WHERE EXISTS (SELECT FROM draws d WHERE d.inspection_class = n.inspection_class AND d.rate_bp <> n.rate_bp
                                             AND d.to_on >= :from_on AND d.from_on <= :to_on)),
    drawn AS MATERIALIZED (
        SELECT d.sales_mode, d.centre_id, d.inspection_class, day::date AS closed_on, max(d.rate_bp) AS rate_bp
          FROM draws d JOIN changed c ON c.inspection_class = d.inspection_class,
               generate_series(greatest(d.from_on, :from_on), least(d.to_on, :to_on), interval '1 day') AS day
         WHERE d.to_on >= :from_on AND d.from_on <= :to_on GROUP BY 1, 2, 3, 4)
    SELECT t.sales_mode, t.centre_id, t.inspection_class, {_DAY} AS day, t.sales,
           coalesce(d.rate_bp, n.rate_bp) AS rate_bp, count(*) AS days
      FROM stratum_days t JOIN now n USING (inspection_class)
      LEFT JOIN drawn d USING (closed_on, sales_mode, centre_id, inspection_class)
     WHERE {_ASKED} GROUP BY 1, 2, 3, 4, 5, 6""")  # noqa: S608 - constants only

_PROGRESS = text(f"""
    SELECT t.sales_mode, t.centre_id, t.inspection_class, {_DAY} AS day,
           count(*) FILTER (WHERE t.is_random) AS drawn,
           count(*) FILTER (WHERE t.is_random AND t.is_in_time) AS done_in_time,
           count(*) FILTER (WHERE t.is_random AND NOT t.is_in_time) AS done_late,
           count(*) FILTER (WHERE t.is_random AND t.is_in_time IS NULL) AS open,
           count(*) FILTER (WHERE t.is_random AND t.is_in_time IS NULL AND t.due_before > :now) AS still_possible,
           count(*) FILTER (WHERE t.is_random AND t.is_in_time IS NULL AND t.due_before > :now
                                  AND t.due_before <= :soon) AS due_soon,
           count(*) FILTER (WHERE NOT t.is_random AND t.is_in_time) AS extra_done_in_time
      FROM inspections t WHERE {_ASKED} GROUP BY 1, 2, 3, 4""")  # noqa: S608 - constants only


def read_quotas(connection: Connection, wanted: QuotaFilter, *, now: datetime) -> list[Quota]:
    """Return the quotas of all strata that had sales, in the order of mode, centre, class and day."""
    sampling = policy_in_force(connection, now=now).sampling
    shares = _shares(connection, wanted, sampling)
    progress = _progress(connection, wanted, now=now)
    return [
        quota(
            place.stratum,
            place.day or wanted.from_on,
            place.day or wanted.to_on,
            shares=shares[place],
            progress=progress.get(place, Progress()),
        )
        for place in sorted(shares)
    ]


def _shares(connection: Connection, wanted: QuotaFilter, sampling: SamplingRates) -> Mapping[_Place, list[Share]]:
    found: dict[_Place, list[Share]] = defaultdict(list)
    rates = {kind.value: rate for kind, rate in rates_by_class(sampling).items()}
    for row in connection.execute(_SHARES, {**wanted.values(), **rates}):
        found[_place(row)].append(Share(row.sales, row.rate_bp, row.days))
    return found


def _progress(connection: Connection, wanted: QuotaFilter, *, now: datetime) -> Mapping[_Place, Progress]:
    when = {"now": now, "soon": now + DUE_SOON}
    rows = connection.execute(_PROGRESS, {**wanted.values(), **when})
    return {_place(row): Progress(*row[4:]) for row in rows}


def _place(row: Row[*tuple[Any, ...]]) -> _Place:
    return _Place(stratum_of(row.sales_mode, row.centre_id, row.inspection_class), row.day)


class Waiting(NamedTuple):
    """Inspections of a class without a result, whatever asked for them; `due_soon` end within two days."""

    open: int = 0
    overdue: int = 0
    due_soon: int = 0


_WAITING = text("""
    SELECT inspection_class, count(*) AS open, count(*) FILTER (WHERE due_before <= :now) AS overdue,
           count(*) FILTER (WHERE due_before > :now AND due_before <= :soon) AS due_soon
      FROM inspections WHERE submitted_at IS NULL GROUP BY 1""")


def read_waiting(connection: Connection, *, now: datetime) -> dict[InspectionClass, Waiting]:
    """Return what waits for inspectors, of every class."""
    rows = connection.execute(_WAITING, {"now": now, "soon": now + DUE_SOON})
    found = {InspectionClass(row.inspection_class): Waiting(*row[1:]) for row in rows}
    return {kind: found.get(kind, Waiting()) for kind in InspectionClass}
