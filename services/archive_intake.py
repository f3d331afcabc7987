"""What the worker does for the intake: takes in what lies in the spool, links what arrived, clears the staging away."""

from datetime import timedelta

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from infra.advisory_locks import AdvisoryLock, held_if_free
from infra.clock import Clock, utc_now
from infra.logs import logger
from infra.object_store import ObjectStoreError
from infra.settings import Settings
from recordings.file_intake import FileIntake
from recordings.links import link_arrived, tell_unlinked
from recordings.places import Places
from recordings.spool import SOURCE, Spool
from recordings.staging import remove_left_behind
from services.archive_places import open_places

LOOK_INTO_SPOOL = "telesales.look_into_spool"
LOOK_EVERY_SECONDS = 10.0
LINK_RECORDINGS = "telesales.link_recordings"
LINK_EVERY_SECONDS = 60.0

_MOST_PAIRS = 50
_MOST_SECONDS = 5.0
"""So much at a look: other tasks have their turn, and the next look comes in seconds."""

_STAGED_KEPT_FOR = timedelta(days=1)
_PERSON = "spool"

log = logger(__name__)


def open_spool(settings: Settings, engine: Engine, clock: Clock) -> Spool | None:
    """Return the spool that the settings name, None without one."""
    if settings.spool_dir is None:
        return None
    intake = FileIntake(engine, open_places(settings, clock=clock), clock, SOURCE, _PERSON)
    return Spool(settings.spool_dir, intake, files_clock=utc_now)


def look_into_spool(spool: Spool) -> None:
    """Take in what is ready. What stands in the way is logged, and what is left waits for the next look."""
    try:
        with held_if_free(spool.intake.engine, AdvisoryLock.SPOOL) as is_alone:
            if not is_alone:
                return
            found = spool.look(most=_MOST_PAIRS, most_seconds=_MOST_SECONDS)
    except (SQLAlchemyError, ObjectStoreError) as error:
        log.warning("spool_waits", error=type(error).__name__)
        return
    except OSError as error:
        log.error("spool_unusable", error=type(error).__name__, reason=error.strerror)  # noqa: TRY400 - says all
        return
    if found.taken or found.refused:
        log.info("spool_taken", **found._asdict())
    if found.refused or found.unpaired or found.stuck or found.failing:
        log.warning("spool_needs_care", **found._asdict())


def link_recordings(engine: Engine, places: Places, clock: Clock) -> None:
    """Link recordings to what arrived after them, open incidents where it did not, and clear the staging away."""
    try:
        with engine.begin() as connection:
            linked = link_arrived(connection, now=clock())
        with engine.begin() as connection:
            told = tell_unlinked(connection, now=clock())
    except SQLAlchemyError as error:
        log.warning("recordings_not_linked", error=type(error).__name__)
        return
    if linked or told:
        log.info("recordings_linked", linked=len(linked), unlinked=told)
    remove_left_behind(places.staging, changed_before=utc_now() - _STAGED_KEPT_FOR)
