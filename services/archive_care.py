"""The care of the archive as the processes do it: copies restored and verified, calls judged, figures for metrics.

Each is a task that beat wakes; the rows are the queue, so that a run that is lost or cut short loses nothing. What
stands in the way is logged, and the next run comes.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Gauge
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from infra.clock import Clock
from infra.logs import logger
from infra.priority import give_way
from recordings.completeness import judge_due, note_later_recordings
from recordings.copies import restore_waiting
from recordings.copy_rows import Keeping
from recordings.fixity import Limits, verify_due
from recordings.fixity_figures import note_day, read_figures

RESTORE_COPIES = "telesales.restore_copies"
VERIFY_COPIES = "telesales.verify_copies"
JUDGE_CALLS = "telesales.judge_calls"
NOTE_FIXITY = "telesales.note_fixity"

RESTORE_EVERY_SECONDS = 15.0
VERIFY_EVERY_SECONDS = 60.0
JUDGE_EVERY_SECONDS = 60.0

_RESTORE_SECONDS = 5.0
_VERIFY_SECONDS = 10.0
"""How long a run may take, so that seals and jobs, which the same worker does, come in between."""

_MOST_TURNS = 100

log = logger(__name__)


@contextmanager
def _faults_logged(what: str) -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        log.warning(what, error=type(error).__name__)
    except Exception:
        # Whatever it is, the worker's other tasks have no part in it.
        log.exception(what)


def restore_copies(keeping: Keeping) -> None:
    """Give the stores what they lack."""
    with _faults_logged("copies_not_restored"):
        if made := restore_waiting(keeping, most_seconds=_RESTORE_SECONDS):
            log.info("copies_restored", copies=made)


def verify_copies(keeping: Keeping, *, bytes_per_second: int) -> None:
    """Hash the copies that are due, after everything else that this machine has to do.

    A run has the bytes of the time until the next, so that in the long run no more are read per second.
    """
    limits = Limits(int(bytes_per_second * VERIFY_EVERY_SECONDS), _VERIFY_SECONDS)
    # In a thread of its own: one that gave way does not get its place back, and this one seals and runs jobs, too.
    with _faults_logged("copies_not_verified"), ThreadPoolExecutor(1, initializer=give_way) as aside:
        if read := aside.submit(verify_due, keeping, limits).result():
            log.info("copies_verified", bytes=read)


def judge_calls(engine: Engine, clock: Clock) -> None:
    """Judge every call whose time has come, and note the recordings that came after their time."""
    with _faults_logged("calls_not_judged"):
        _in_turns(engine, lambda connection: judge_due(connection, now=clock()))
        _in_turns(engine, lambda connection: note_later_recordings(connection, now=clock()))


def _in_turns(engine: Engine, work: Callable[[Connection], int]) -> None:
    """Work in transactions of their own until there is nothing left to do."""
    for _ in range(_MOST_TURNS):
        with engine.begin() as connection:
            if not work(connection):
                return


def note_fixity(engine: Engine, clock: Clock) -> None:
    """Note in the ledger what was verified yesterday."""
    with _faults_logged("fixity_not_noted"), engine.begin() as connection:
        note_day(connection, now=clock())


class ArchiveMeters:
    """What `/metrics` shows of the copies of recordings."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._lacking = Gauge(
            "telesales_recording_copies_lacking", "Copies that a store lacks.", ["state"], registry=registry
        )
        self._overdue = Gauge(
            "telesales_fixity_overdue_seconds", "For how long the oldest copy due has waited.", registry=registry
        )
        self._done = Gauge(
            "telesales_fixity_total", "What verification did since the beginning.", ["what"], registry=registry
        )

    def read(self, engine: Engine, clock: Clock) -> None:
        """Read the figures anew; while the database is away they stay as they were."""
        try:
            with engine.connect() as connection:
                figures = read_figures(connection, now=clock())
        except SQLAlchemyError:
            return
        for state, number in figures.lacking.items():
            self._lacking.labels(state).set(number)
        self._overdue.set(figures.overdue.total_seconds())
        for what, number in figures.done.items():
            self._done.labels(what).set(number)
