"""What the worker does for inspections by itself: ends claims whose time is over, and follows sales that moved on.

Both find their work in rows; a run that is lost, or a database that is away, loses nothing.
"""

from sqlalchemy import Engine

from infra.clock import Clock
from qa_sampling.inspection_tasks import follow_sales
from qa_sampling.sittings import end_expired
from services.due_work import do_due

END_CLAIMS = "telesales.end_claims"
END_CLAIMS_EVERY_SECONDS = 60.0
FOLLOW_SALES = "telesales.follow_sales"
FOLLOW_SALES_EVERY_SECONDS = 600.0


def end_claims(engine: Engine, clock: Clock) -> None:
    """Put inspections whose claim is over back into the queue."""
    do_due("end_claims", end_expired, engine, clock)


def bring_deadlines(engine: Engine, clock: Clock) -> None:
    """Bring along deadlines of inspections that were opened while their sale changed."""
    do_due("follow_sales", follow_sales, engine, clock)
