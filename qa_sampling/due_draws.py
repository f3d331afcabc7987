"""Which draws are due by themselves: of each stratum and day that has sales and nobody has drawn.

An officer may draw a day as soon as it is over, with a public number of the next morning. What nobody has drawn by ten
o'clock is drawn without one, once sales of that day have ceased to come in.
"""

from datetime import date, datetime, time, timedelta

from sqlalchemy import Connection, text

from compliance.shanghai import SHANGHAI, shanghai_day
from qa_sampling.samples import DrawOrder
from qa_sampling.strata import stratum_of

DAYS_BACK = 31
"""A day that was over longer ago is drawn by itself only while some sale of it can still be inspected in time.

So it is with sales of `within_1y` when nothing was drawn for weeks, and with sales that are dated back so far: nobody
gets out of the draw by coming late.
"""

LONGEST_BACK = timedelta(days=800)
"""No window is open for longer after the closing day: the longest are terms of a year, begun some time later."""

DRAW_FROM = time(10)
"""In Shanghai, on the day after. Until then an officer may bring a public number."""

QUIET_FOR = timedelta(hours=1)
"""For so long no sale of the day must have come in: those that come before the draw need not join it late."""

WAIT_AT_MOST = timedelta(hours=24)
"""From the end of the day; then it is drawn, however many sales are still coming in."""

# What is undrawn is known first: of days drawn long ago, which are nearly all, no sale is looked at.
_UNDRAWN = text("""
    WITH undrawn AS MATERIALIZED (
        SELECT d.closed_on, d.sales_mode, d.centre_id, d.inspection_class FROM stratum_days d
         WHERE d.closed_on BETWEEN :longest AND :last
           AND NOT EXISTS (SELECT FROM draws w
                            WHERE w.sales_mode = d.sales_mode AND w.centre_id = d.centre_id
                              AND w.inspection_class = d.inspection_class AND w.from_on = d.closed_on
                              AND w.to_on = d.closed_on)),
    seen AS MATERIALIZED (
        SELECT u.*, n.stratum_newest_at
          FROM undrawn u,
               LATERAL (SELECT max(s.recorded_at) AS stratum_newest_at, max(s.inspect_before) AS ends_at FROM sales s
                         WHERE s.closed_on = u.closed_on AND s.sales_mode = u.sales_mode
                           AND s.centre_id = u.centre_id AND s.inspection_class = u.inspection_class) n
         WHERE u.closed_on >= :first OR n.ends_at > :now)
    SELECT s.*, max(s.stratum_newest_at) OVER (PARTITION BY s.closed_on) AS newest_at
      FROM seen s ORDER BY s.closed_on, s.sales_mode, s.centre_id, s.inspection_class""")


def due_draws(connection: Connection, *, person: str, now: datetime) -> list[DrawOrder]:
    """Return what is to be drawn at `now`, the earliest day first, without a public number.

    Of a day whose seed is secret the first draw makes all; the others then find theirs.
    """
    today = shanghai_day(now)
    days = {
        "longest": today - LONGEST_BACK,
        "first": today - timedelta(days=DAYS_BACK),
        "last": today - timedelta(days=1),
        "now": now,
    }
    return [
        DrawOrder(
            stratum=stratum_of(row.sales_mode, row.centre_id, row.inspection_class),
            from_on=row.closed_on,
            to_on=row.closed_on,
            public_number="",
            person=person,
        )
        for row in connection.execute(_UNDRAWN, days)
        if is_due(row.closed_on, row.newest_at, now=now)
    ]


def is_due(day: date, newest_at: datetime, *, now: datetime) -> bool:
    """Return whether a day whose newest sale was recorded at `newest_at` is drawn at `now` if nobody has done so."""
    next_day = day + timedelta(days=1)
    if now < datetime.combine(next_day, DRAW_FROM, SHANGHAI):
        return False
    over_at = datetime.combine(next_day, time(), SHANGHAI)
    return now - newest_at >= QUIET_FOR or now >= over_at + WAIT_AT_MOST
