"""Which of the demo's sales the core system sent late: days after their day was drawn, or almost at their end. Pure.

Those that come almost at the end of their window are all sales of their stratum and day, so that a draw of their own is
made when they come; the others join the draw of their day by their tickets.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

from compliance.sale_terms import inspection_window
from compliance.shanghai import midnight, shanghai_day
from services.demo.sale_plan import PlannedSale

_CAME_AT_THE_END = timedelta(hours=20)
"""So long before the end of the demo; their windows end within two days after it."""

_LEAST_TO_GO, _MOST_TO_GO = timedelta(hours=6), timedelta(hours=40)
_MOST_AT_THE_END = 5
_MOST_JOINING = 3
_JOINED_DAYS = range(9, 14)
"""So many days before the end of the demo those were sold that joined a draw, three days after it."""

_JOINED_AFTER = timedelta(days=4, hours=9)

_Place = tuple[str, date]


def with_late_sales(planned: Sequence[PlannedSale], *, now: datetime) -> tuple[list[PlannedSale], list[PlannedSale]]:
    """Return the sales that were sent in time, and those that came late, each in the order in which they came."""
    late = {one.sale.policy_no: one for one in [*_at_the_end(planned, now), *_joining(planned, now)]}
    timely = [one for one in planned if one.sale.policy_no not in late]
    return timely, sorted(late.values(), key=lambda one: (one.recorded_at, one.sale.policy_no))


def _at_the_end(planned: Sequence[PlannedSale], now: datetime) -> list[PlannedSale]:
    places: dict[_Place, list[PlannedSale]] = defaultdict(list)
    for one in planned:
        places[(one.sale.centre_id, shanghai_day(one.sale.consented_at))].append(one)
    found: list[PlannedSale] = []
    for _, those in sorted(places.items(), key=lambda place: (-place[0][1].toordinal(), place[0][0])):
        came = [_sent_at(one, now - _CAME_AT_THE_END) for one in those]
        if all(_ends_soon(one, now) for one in came) and len(found) + len(came) <= _MOST_AT_THE_END:
            found += came
    return found


def _ends_soon(one: PlannedSale, now: datetime) -> bool:
    return _LEAST_TO_GO <= inspection_window(one.sale.terms()).before - now <= _MOST_TO_GO


def _joining(planned: Sequence[PlannedSale], now: datetime) -> list[PlannedSale]:
    """Return sales of centres that sold several that day, at most one of each day."""
    today = shanghai_day(now)
    found: list[PlannedSale] = []
    for age in _JOINED_DAYS:
        day = today - timedelta(days=age)
        those = [one for one in planned if shanghai_day(one.sale.consented_at) == day and not one.sale.gift]
        same = [one for one in those if one.sale.centre_id == those[0].sale.centre_id]
        if len(same) > 1 and len(found) < _MOST_JOINING:
            found.append(_sent_at(same[-1], midnight(day) + _JOINED_AFTER))
    return found


def _sent_at(one: PlannedSale, at: datetime) -> PlannedSale:
    """Return the sale as it came at `at`; nothing of what followed is known yet."""
    return replace(
        one, recorded_at=at, receipt_on=None, delivered_on=None, notified_on=None, ended_on=None, end_reason=""
    )
