"""What the worker does for samples: publishes commitments ahead of their days, and draws what nobody has drawn.

Both find their work in rows; a run that is lost, or a database that is away, loses nothing.
"""

from sqlalchemy.exc import SQLAlchemyError

from compliance.ledger_runs import Ledger
from infra.logs import logger
from qa_sampling.due_draws import due_draws
from qa_sampling.samples import DrawOrder, EmptyFrameError, PeriodNotOverError
from qa_sampling.seed_vault import SeedKeyError
from qa_sampling.seeds import publish_commitments
from services.draw_service import make_draw, open_vault

PUBLISH_COMMITMENTS = "telesales.publish_commitments"
PUBLISH_EVERY_SECONDS = 3600.0
DRAW_DAYS = "telesales.draw_days"
DRAW_DAYS_EVERY_SECONDS = 600.0

PERSON = "schedule"
"""Who made a draw that was due by itself."""

log = logger(__name__)


def publish_if_possible(ledger: Ledger) -> None:
    """Publish the commitments that are missing. Without a usable key nothing is published, and the log says why."""
    try:
        with ledger.engine.begin() as connection:
            days = publish_commitments(connection, open_vault(ledger.data_dir), now=ledger.clock())
    except SeedKeyError as error:
        log.error("commitments_not_published", detail=str(error))  # noqa: TRY400 - says all
    except SQLAlchemyError as error:
        log.warning("commitments_not_published", error=type(error).__name__)
    else:
        if days:
            log.info("commitments_published", days=[day.isoformat() for day in days])


def draw_due_days(ledger: Ledger) -> None:
    """Draw what is due, each day in a transaction of its own: one that cannot be drawn keeps no other from it."""
    try:
        with ledger.engine.connect() as connection:
            orders = due_draws(connection, person=PERSON, now=ledger.clock())
    except SQLAlchemyError as error:
        log.warning("draws_not_made", error=type(error).__name__)
        return
    for order in orders:
        _draw(ledger, order)


def _draw(ledger: Ledger, order: DrawOrder) -> None:
    about = {**order.stratum._asdict(), "day": order.from_on.isoformat()}
    try:
        drawn = make_draw(ledger, order, now=ledger.clock())
    except (SQLAlchemyError, EmptyFrameError, PeriodNotOverError) as error:
        log.warning("draw_not_made", **about, error=type(error).__name__)
    except Exception:
        # Whatever it is, the other days have no part in it.
        log.exception("draw_not_made", **about)
    else:
        if drawn.is_new:
            log.info("draw_made", **about, draw_id=str(drawn.draw_id))
