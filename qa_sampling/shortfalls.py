"""Foresees what will not be inspected in time, and tells of it while it can be helped; then tells what was missed.

Two days before the last window of a stratum's closing day ends, an incident says what will be missing at the pace of
late; once all windows have ended, another says what is, and one more if it grew since. `sampling_alerts` keeps which
(arts. 34, 37).
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, DATE, TEXT

from compliance.incidents import NewIncident, open_incidents
from compliance.legal import in_force
from compliance.row_sets import add_rows
from compliance.sale_terms import InspectionClass
from compliance.shanghai import SHANGHAI, midnight, shanghai_day
from compliance.working_days import Calendar
from infra.advisory_locks import AdvisoryLock, hold_if_free
from qa_sampling.forecast import Cohort, Expected, Forecast, Pace, forecast, working_days_through
from qa_sampling.quota import Quota
from qa_sampling.quotas import QuotaFilter, read_quotas
from qa_sampling.replacements import LOOK_BACK
from qa_sampling.strata import Stratum, stratum_of
from qa_sampling.tables import sampling_alerts

PERSON = "sampling"
AHEAD, MISSED = "sampling_shortfall_ahead", "sampling_shortfall"
"""Kinds of the incidents: what will be missing at this pace, and what is."""

PACE_DAYS = 14
"""Over how many days the pace is taken, today included."""

WARNED_AHEAD = timedelta(days=2)
"""How long before the last window of a cohort ends its shortfall is foreseen in an incident (art. 34)."""

_A_YEAR = timedelta(days=365)


class InspectorPace(NamedTuple):
    """What one inspector did in the days of the pace."""

    inspector: str
    results: int
    heard_ms: int


@dataclass(frozen=True, slots=True)
class Outlook:
    """What inspectors did in the last days, both ends included, and what is to be expected of it."""

    from_on: date
    to_on: date
    pace: Pace
    inspectors: tuple[InspectorPace, ...]
    expected: Forecast


class _Alert(NamedTuple):
    stratum: Stratum
    closed_on: date
    kind: str


_PACE = text("""
    SELECT coalesce(d.inspector, h.inspector) AS inspector, coalesce(d.results, 0) AS results,
           coalesce(h.heard_ms, 0)::bigint AS heard_ms
      FROM (SELECT inspector, count(*) AS results FROM inspection_results
             WHERE submitted_at >= :since AND submitted_at < :now AND purpose = 'inspection' GROUP BY inspector) d
      FULL JOIN (SELECT inspector, sum(added_ms) AS heard_ms FROM listening_reports
                  WHERE reported_at >= :since AND reported_at < :now GROUP BY inspector) h USING (inspector)
     ORDER BY 1""")
_OPEN = text("""
    SELECT sales_mode, centre_id, inspection_class, closed_on, due_before
      FROM inspections WHERE submitted_at IS NULL AND is_random AND due_before > :now""")
_LAST_ENDS = text("""
    SELECT n.place, (SELECT max(s.inspect_before) FROM sales s
                      WHERE s.centre_id = n.centre_id AND s.closed_on = n.closed_on AND s.sales_mode = n.sales_mode
                        AND s.inspection_class = n.inspection_class) AS last_end
      FROM unnest(:modes, :centres, :classes, :days) WITH ORDINALITY
           AS n (sales_mode, centre_id, inspection_class, closed_on, place)""").bindparams(
    *(bindparam(name, type_=ARRAY(TEXT)) for name in ("modes", "centres", "classes")),
    bindparam("days", type_=ARRAY(DATE)),
)
_MISSED_NUMBERS = text("""
    SELECT inspection_class, sum(missing)::bigint AS missing
      FROM (SELECT a.inspection_class, max(CAST(i.details ->> 'shortfall' AS integer)) AS missing
              FROM sampling_alerts a JOIN incidents i USING (incident_id)
             WHERE a.kind = 'missed' AND a.closed_on >= :since
             GROUP BY a.sales_mode, a.centre_id, a.inspection_class, a.closed_on) t
     GROUP BY 1""")
_BEGAN_AT = text("""
    SELECT least((SELECT min(drawn_at) FROM draws), (SELECT min(published_at) FROM seed_commitments))""")
_ALERTED = text("""
    SELECT a.sales_mode, a.centre_id, a.inspection_class, a.closed_on, a.kind,
           coalesce(max(CAST(i.details ->> 'shortfall' AS integer)), 0) AS missing
      FROM sampling_alerts a JOIN incidents i USING (incident_id) GROUP BY 1, 2, 3, 4, 5""")


def look_ahead(connection: Connection, *, calendar: Calendar, now: datetime, days: int) -> Outlook:
    """Return what is to be expected of the open inspections at the pace of the last 14 days."""
    today = shanghai_day(now)
    from_on = today - timedelta(days=PACE_DAYS - 1)
    rows = connection.execute(_PACE, {"since": midnight(from_on), "now": now})
    inspectors = tuple(InspectorPace(*row) for row in rows)
    pace = Pace(
        sum(one.results for one in inspectors),
        sum(one.heard_ms for one in inspectors),
        working_days_through(calendar, today, days=PACE_DAYS),
    )
    expected = forecast(_read_cohorts(connection, now=now), pace, calendar=calendar, now=now, days=days)
    return Outlook(from_on, today, pace, inspectors, expected)


def _read_cohorts(connection: Connection, *, now: datetime) -> list[Cohort]:
    due: dict[tuple[Stratum, date], list[datetime]] = defaultdict(list)
    for row in connection.execute(_OPEN, {"now": now}):
        due[(stratum_of(*row[:3]), row.closed_on)].append(row.due_before)
    if not due:
        return []
    closed = [closed_on for _, closed_on in due]
    wanted = QuotaFilter(from_on=min(closed), to_on=max(closed), by_day=True)
    return [
        Cohort(
            stratum=one.stratum,
            closed_on=one.from_on,
            required=one.required,
            done_in_time=one.progress.done_in_time,
            due=tuple(sorted(due[(one.stratum, one.from_on)])),
        )
        for one in read_quotas(connection, wanted, now=now)
        if (one.stratum, one.from_on) in due
    ]


def raise_shortfalls(connection: Connection, *, calendar: Calendar, now: datetime) -> int:
    """Open the incidents of shortfalls to be expected within two days, and of those that stand.

    Return how many. Nothing is done while another transaction does so.
    """
    if not hold_if_free(connection, AdvisoryLock.SHORTFALLS):
        return 0
    told = {_Alert(stratum_of(*row[:3]), row.closed_on, row.kind): row.missing for row in connection.execute(_ALERTED)}
    ahead = _ahead(connection, told, calendar=calendar, now=now)
    missed = _missed(connection, told, now=now)
    found = [*ahead, *missed]
    incidents = [incident for _, incident in found]
    ids = open_incidents(connection, incidents, person=PERSON, now=now)
    rows = [
        {
            **alert.stratum._asdict(),
            "closed_on": alert.closed_on,
            "kind": alert.kind,
            "incident_id": incident_id,
            "raised_at": now,
        }
        for (alert, _), incident_id in zip(found, ids, strict=True)
    ]
    add_rows(connection, sampling_alerts, rows)
    return len(found)


def _ahead(
    connection: Connection, told: Mapping[_Alert, int], *, calendar: Calendar, now: datetime
) -> list[tuple[_Alert, NewIncident]]:
    outlook = look_ahead(connection, calendar=calendar, now=now, days=1)
    found = []
    for one in outlook.expected.cohorts:
        alert = _Alert(one.cohort.stratum, one.cohort.closed_on, "ahead")
        if one.shortfall and one.cohort.due[-1] - now <= WARNED_AHEAD and alert not in told:
            found.append((alert, _incident(AHEAD, alert, _foreseen(one, outlook.pace))))
    return found


def _foreseen(one: Expected, pace: Pace) -> dict[str, object]:
    return {
        "required": one.cohort.required,
        "done_in_time": one.cohort.done_in_time,
        "open": len(one.cohort.due),
        "expected_in_time": one.in_time,
        "expected_shortfall": one.shortfall,
        "last_due_before": one.cohort.due[-1].astimezone(SHANGHAI).isoformat(),
        "results": pace.results,
        "working_days": pace.working_days,
    }


def _missed(connection: Connection, told: Mapping[_Alert, int], *, now: datetime) -> list[tuple[_Alert, NewIncident]]:
    """Return what was missed since sampling began here, with the first commitment or draw."""
    began_at = connection.execute(_BEGAN_AT).scalar_one()
    if began_at is None:
        return []
    # Sales dated back into a day of which a shortfall was told may make it a much greater one.
    today = shanghai_day(now)
    short = [
        one
        for one in read_quotas(connection, QuotaFilter(from_on=today - LOOK_BACK, to_on=today, by_day=True), now=now)
        if one.shortfall > told.get(_Alert(one.stratum, one.from_on, "missed"), 0)
    ]
    found = []
    for one, last_end in zip(short, _last_ends(connection, short), strict=True):
        if began_at < last_end <= now:
            alert = _Alert(one.stratum, one.from_on, "missed")
            found.append((alert, _incident(MISSED, alert, _numbers(one))))
    return found


def _last_ends(connection: Connection, short: Sequence[Quota]) -> list[datetime]:
    """Return of each of these until when some of its sales could be inspected in time, drawn or not; exclusive."""
    asked = {
        "modes": [one.stratum.sales_mode.value for one in short],
        "centres": [one.stratum.centre_id for one in short],
        "classes": [one.stratum.inspection_class.value for one in short],
        "days": [one.from_on for one in short],
    }
    ends = {row.place: row.last_end for row in connection.execute(_LAST_ENDS, asked)}
    return [ends[place + 1] for place in range(len(short))]


def _numbers(one: Quota) -> dict[str, object]:
    return {
        "sales": one.sales,
        "rate_bp": one.rate_bp,
        "required": one.required,
        "drawn": one.progress.drawn,
        "done_in_time": one.progress.done_in_time,
        "done_late": one.progress.done_late,
        "shortfall": one.shortfall,
    }


def _incident(kind: str, alert: _Alert, numbers: dict[str, object]) -> NewIncident:
    mode, centre_id, inspection_class = alert.stratum
    article = in_force(f"sampling.{inspection_class}_bp", alert.closed_on).citation.article
    about = {
        "sales_mode": mode,
        "centre_id": centre_id,
        "class": str(inspection_class),
        "closed_on": alert.closed_on.isoformat(),
    }
    return NewIncident(kind, article, details={**about, **numbers})


def read_missed(connection: Connection, *, now: datetime) -> dict[InspectionClass, int]:
    """Return how many inspections were missing when their windows had ended, of closing days of the last year."""
    rows = connection.execute(_MISSED_NUMBERS, {"since": shanghai_day(now) - _A_YEAR})
    return {InspectionClass(row.inspection_class): row.missing for row in rows}
