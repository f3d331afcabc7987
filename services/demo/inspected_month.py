"""The demo's month of samples: draws of each morning, recordings, and two inspectors at work, day after day.

Everything is done by the functions of the product, at the instants at which its worker and its inspectors would have
done it. Two sales are not done as they should be: of one the recording comes when its window is over, of the other
never.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import cycle
from pathlib import Path

from sqlalchemy import Connection, text

from compliance.register_book import Book
from compliance.shanghai import midnight, shanghai_day
from compliance.working_days import Calendar
from qa_sampling.appeals import close_inspections
from qa_sampling.due_draws import due_draws
from qa_sampling.late_sales import join_late
from qa_sampling.replacements import replace_failing
from qa_sampling.results import Submitted
from qa_sampling.risk_sweep import flag_sales
from qa_sampling.samples import draw_sample
from qa_sampling.scorecards import adopt_first_scorecard
from qa_sampling.seed_vault import SeedVault
from qa_sampling.shortfalls import raise_shortfalls
from qa_sampling.sittings import end_expired
from recordings.places import Places
from services.demo.chance import Chance
from services.demo.inspector_work import FATAL, Desk, begin, inspect_next
from services.demo.judged_again import appeal_failed, correct_passed
from services.demo.month_clock import MonthClock
from services.demo.recording_rows import bring_recordings
from services.demo.sale_plan import PlannedSale
from services.demo.sale_rows import write_sales

_DAYS = 30
_MOMENT = timedelta(milliseconds=1)
_TOO_LATE = timedelta(hours=9)
_WAITING = 20
"""About so many drawn sales wait at the end: inspectors have kept up until then, and have done two since."""

_INSPECTORS = ("inspector", "inspector2")
_DRAWN_BY = "schedule"
_MIDNIGHT_TASKS = timedelta(minutes=10)
_MORNING = timedelta(hours=10, minutes=4)
_SWEPT = timedelta(hours=10, minutes=20)
_AT_WORK = timedelta(hours=10, minutes=30)
_HOME = timedelta(hours=18)
_DELIVERED = timedelta(hours=21, minutes=30)
"""When the recordings of a day come in."""

_SWEPT_AFTER = timedelta(minutes=70)
_BETWEEN_TWO = timedelta(minutes=2)
_APPEALED_ON, _CORRECTED_ON = slice(-4, -3), slice(-2, -1)
"""Of the days on which inspectors keep up."""

_APPEALED_AGO = timedelta(hours=3)
_BEGAN_BEFORE = timedelta(minutes=25)
_BEGINNING_TAKES = timedelta(minutes=4)


@dataclass(frozen=True, slots=True)
class Month:
    """What the month is made of and with; `late` are the sales that come late, in their order."""

    connection: Connection
    chance: Chance
    places: Places
    data_dir: Path
    book: Book
    calendar: Calendar
    late: list[PlannedSale]
    now: datetime
    clock: MonthClock
    withheld: dict[str, datetime | None] = field(default_factory=dict)
    """Sales of which recordings do not come at once: when they do, None for never."""

    @property
    def desk(self) -> Desk:
        return Desk(self.connection, self.clock)

    def vault(self) -> SeedVault:
        return SeedVault(self.data_dir, random_bytes=self.clock.seed)


_CLOSED_ON = text("""
    SELECT policy_no, recorded_at FROM sales WHERE closed_on = :day ORDER BY recorded_at, policy_no""")
_DRAWN_A_DAY = text("""
    SELECT closed_on, sum(ceil(sales * CASE inspection_class WHEN 'over_1y' THEN 0.3 ELSE 0.2 END))
      FROM stratum_days WHERE closed_on >= :first GROUP BY 1 ORDER BY 1 DESC""")
_HAS_DRAWS = text("SELECT EXISTS (SELECT FROM draws)")
_WITHOUT_RECORDING = text("""
    SELECT i.policy_no, i.closed_on FROM inspections i
     WHERE NOT EXISTS (SELECT FROM sale_calls c JOIN recordings r ON r.call_id = c.call_id
                        WHERE c.policy_no = i.policy_no)
     ORDER BY i.policy_no""")
# One that nothing can replace, as it is alone, and one of a cohort that has another sale with as late a window.
_TO_BE_LATE = text("""
    SELECT s.policy_no, s.inspect_before
      FROM stratum_days d JOIN sales s USING (closed_on, sales_mode, centre_id, inspection_class)
     WHERE d.sales = 1 AND d.closed_on >= :first AND d.inspection_class = 'over_1y' AND s.inspect_before < :before
     ORDER BY 2, 1 LIMIT 1""")
_NEVER_TO_COME = text("""
    SELECT t.policy_no FROM draws d JOIN draw_tickets t ON t.draw_id = d.draw_id
      JOIN sales s ON s.policy_no = t.policy_no
     WHERE d.to_on = :day AND d.sales_mode = 'agency' AND d.sample_size = 1 AND s.inspect_before < :before
       AND EXISTS (SELECT FROM sales o WHERE o.closed_on = s.closed_on AND o.centre_id = s.centre_id
                      AND o.inspection_class = s.inspection_class AND o.inspect_before >= s.inspect_before
                      AND o.policy_no <> s.policy_no)
     ORDER BY 1 LIMIT 1""")
# Only what can be heard takes the place of what cannot.
_COHORT = text("""
    SELECT o.policy_no FROM sales s JOIN sales o USING (closed_on, sales_mode, centre_id, inspection_class)
     WHERE s.policy_no = :policy_no AND o.policy_no <> s.policy_no
       AND NOT EXISTS (SELECT FROM sale_calls c JOIN recordings r USING (call_id) WHERE c.policy_no = o.policy_no)
     ORDER BY 1""")


def write_month(month: Month) -> None:
    """Add draws, recordings and inspections of the last 30 days, up to the end of the demo."""
    today = shanghai_day(month.now)
    days = [today - timedelta(days=age) for age in range(_DAYS, -1, -1)]
    working = [day for day in days if not month.calendar.is_rest(day) and day < today]
    kept_up_to = _kept_up_to(month.connection, days)
    adopt_first_scorecard(month.connection, now=month.clock.at)
    values = {"first": days[0], "before": midnight(kept_up_to) + _MOMENT}
    for policy_no, before in month.connection.execute(_TO_BE_LATE, values):
        month.withheld[policy_no] = before + _TOO_LATE
    with month.clock.makes_ids():
        for day in days:
            _night(month, day)
            _arrive(month, until=midnight(day) + _MORNING)
            _draw(month, at=midnight(day) + _MORNING)
            _withhold(month, kept_up_to)
            _deliver(month)
            _sweep(month, at=midnight(day) + _SWEPT)
            if day in working:
                least = 1 if day in working[-2:] else 0
                _work(month, day, most=None if day <= kept_up_to else least, is_failing=day == working[-1])
            _arrive(month, until=min(midnight(day + timedelta(days=1)), month.now))
            _judge_again(month, day, [one for one in working if one <= kept_up_to])
        _last_hours(month)


def _kept_up_to(connection: Connection, days: Sequence[date]) -> date:
    """Return the last day on whose evening nothing waited."""
    waiting, closed_on = 0, days[0]
    for closed_on, drawn in connection.execute(_DRAWN_A_DAY, {"first": days[0]}):
        waiting += int(drawn) if closed_on < days[-1] else 0
        if waiting >= _WAITING:
            break
    return closed_on


def _night(month: Month, day: date) -> None:
    """Do what the worker does after midnight, and flag the sales of the day before, as they were registered."""
    if month.clock.go_to(midnight(day) + _MIDNIGHT_TASKS) > month.now:
        return
    end_expired(month.connection, now=month.clock.at)
    close_inspections(month.connection, now=month.clock.at)
    _flag(month, day - timedelta(days=1))


def _flag(month: Month, day: date) -> None:
    found = month.connection.execute(_CLOSED_ON, {"day": day}).all()
    if found:
        flag_sales(month.connection, [row.policy_no for row in found], now=found[-1].recorded_at)


def _arrive(month: Month, *, until: datetime) -> None:
    """Register the late sales that come until then; they join draws, or are drawn by themselves soon after."""
    came = [one for one in month.late if one.recorded_at <= until]
    for one in came:
        month.late.remove(one)
        month.clock.go_to(one.recorded_at)
        write_sales(month.connection, month.chance, [one], book=month.book, calendar=month.calendar)
        join_late(month.connection, one.sale.policy_no, now=month.clock.at)
        flag_sales(month.connection, [one.sale.policy_no], now=month.clock.at)
    if came:
        _draw(month, at=month.clock.at + _SWEPT_AFTER)
        _deliver(month)


def _draw(month: Month, *, at: datetime) -> None:
    """Make the draws that are due at `at`, if that has come."""
    if at > month.now:
        return
    now = month.clock.go_to(at)
    for order in due_draws(month.connection, person=_DRAWN_BY, now=now):
        draw_sample(month.connection, order, vault=month.vault(), now=now)


def _withhold(month: Month, kept_up_to: date) -> None:
    """Choose the sale of a day that was drawn whose recording never comes, once; inspectors cannot say so in time."""
    if None not in month.withheld.values():
        values = {"day": shanghai_day(month.clock.at) - timedelta(days=1), "before": midnight(kept_up_to)}
        found = set(month.connection.execute(_NEVER_TO_COME, values).scalars()) - set(month.withheld)
        month.withheld.update(dict.fromkeys(found))
        for policy_no in found:
            others = month.connection.execute(_COHORT, {"policy_no": policy_no}).scalars().all()
            bring_recordings(month.connection, month.chance, month.places, others, now=month.clock.at)


def _deliver(month: Month) -> None:
    """Have the recordings come of sales that are to be inspected, in the evening of their day if not withheld."""
    coming: dict[datetime, list[str]] = defaultdict(list)
    for policy_no, closed_on in month.connection.execute(_WITHOUT_RECORDING):
        at = month.withheld.get(policy_no, min(midnight(closed_on) + _DELIVERED, month.clock.at))
        if at is not None and at <= month.clock.at:
            coming[at].append(policy_no)
    for at, policy_nos in sorted(coming.items()):
        bring_recordings(month.connection, month.chance, month.places, policy_nos, now=at)


def _sweep(month: Month, *, at: datetime) -> None:
    """Replace what cannot be inspected in time and tell of shortfalls, from the first draw on."""
    if at > month.now or not month.connection.execute(_HAS_DRAWS).scalar_one():
        return
    now = month.clock.go_to(at)
    replace_failing(month.connection, now=now)
    raise_shortfalls(month.connection, calendar=month.calendar, now=now)
    _deliver(month)


def _work(month: Month, day: date, *, most: int | None, is_failing: bool) -> None:
    """Have both inspectors take turns until nothing waits that they may have, or so many are done."""
    month.clock.go_to(midnight(day) + _AT_WORK)
    turns, idle, done = cycle(_INSPECTORS), set[str](), 0
    while len(idle) < len(_INSPECTORS) and month.clock.at < midnight(day) + _HOME and done != most:
        inspector = next(turns)
        if inspector in idle:
            continue
        month.clock.go_to(month.clock.at + _BETWEEN_TWO)
        found = inspect_next(month.desk, inspector, failures=FATAL if is_failing and not done else None)
        if found is None:
            idle.add(inspector)
        done += isinstance(found, Submitted)


def _judge_again(month: Month, day: date, kept_up: Sequence[date]) -> None:
    """Have a result contested and one corrected, on working days before the inspectors fall behind."""
    if day in kept_up[_APPEALED_ON]:
        appeal_failed(month.desk)
    elif day in kept_up[_CORRECTED_ON]:
        correct_passed(month.desk, _INSPECTORS)


def _last_hours(month: Month) -> None:
    """Have an appeal filed that waits, the sales of today flagged, and one inspection claimed that is not done yet."""
    month.clock.go_to(month.now - _APPEALED_AGO)
    appeal_failed(month.desk)
    _flag(month, shanghai_day(month.now))
    month.clock.go_to(month.now - _BEGAN_BEFORE)
    _deliver(month)
    if month.clock.at <= month.now - _BEGINNING_TAKES:
        begin(month.desk, _INSPECTORS[1])
