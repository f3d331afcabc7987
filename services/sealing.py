"""Sealing as the processes do it: by the worker's clock, beside its jobs, and what readiness and metrics say of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from prometheus_client import CollectorRegistry, Gauge
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from compliance.ledger_health import ALARM_AFTER, LedgerHealth, read_health
from compliance.ledger_keys import LedgerKeyError, has_keys
from compliance.ledger_outside import Contradiction, open_store
from compliance.ledger_reading import latest_checkpoint
from compliance.ledger_runs import Ledger, check_outside, open_signer, seal_waiting
from infra.clock import Clock
from infra.logs import logger
from infra.settings import Settings

SEAL = "telesales.seal"
SEAL_EVERY_SECONDS = 3.0

log = logger(__name__)


def open_ledger(settings: Settings, engine: Engine, clock: Clock) -> Ledger:
    """Return the ledger of a process."""
    store = open_store(settings.checkpoints_url, settings.data_dir)
    return Ledger(engine=engine, clock=clock, data_dir=settings.data_dir, store=store)


def seal_if_possible(ledger: Ledger) -> None:
    """Seal what waits. What stands in the way is logged and shown by readiness: the next time comes in seconds."""
    try:
        seal_waiting(ledger)
    except LedgerKeyError as error:
        log.error("ledger_key_unusable", error=type(error).__name__, detail=str(error))  # noqa: TRY400 - says all
    except SQLAlchemyError as error:
        log.warning("ledger_not_sealed", error=type(error).__name__)
    except Exception:
        # Whatever it is, the jobs beside which this runs have no part in it.
        log.exception("ledger_not_sealed")


@contextmanager
def sealing_beside(ledger: Ledger) -> Iterator[None]:
    """Seal from a thread of its own while a job runs, which may take longer than anything may wait to be sealed."""
    ended = Event()

    def seal_until_ended() -> None:
        while not ended.wait(SEAL_EVERY_SECONDS):
            seal_if_possible(ledger)

    thread = Thread(target=seal_until_ended, name="sealer", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def ledger_problems(ledger: Ledger, health: LedgerHealth) -> list[str]:
    """Return what is wrong with the ledger, without paths: whoever asks for readiness has no token."""
    found = []
    contradiction, trouble = _outside_problem(ledger)
    if contradiction is not None:
        found.append(f"{contradiction.finding}: {contradiction.detail}")
    if trouble is not None:
        found.append("the outside checkpoints of the ledger cannot be read; see the log")
    waiting = health.waiting_for(ledger.clock())
    if waiting > ALARM_AFTER:
        minutes = int(waiting.total_seconds() // 60)
        found.append(
            f"an entry of the ledger has waited {minutes} minutes to be sealed: the worker is away, or a transaction of"
            " this PostgreSQL was left open (see pg_stat_activity)"
        )
    if (key := _key_problem(ledger)) is not None:
        found.append(key)
    return found


def _outside_problem(ledger: Ledger) -> tuple[Contradiction | None, str | None]:
    """Return what contradicts the tree, and why the outside cannot be read; nothing if the keys cannot."""
    try:
        return check_outside(ledger)
    except LedgerKeyError:
        return None, None


def _key_problem(ledger: Ledger) -> str | None:
    """Return why nothing can be signed, None if the key is good or none was ever made."""
    try:
        with ledger.engine.connect() as connection:
            is_begun = latest_checkpoint(connection) is not None
        if is_begun or has_keys(ledger.data_dir):
            open_signer(ledger)
    except LedgerKeyError as error:
        return f"the key of the ledger cannot be used ({type(error).__name__}); the log says what to do"
    return None


class LedgerMeters:
    """What `/metrics` shows of the ledger."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._entries = Gauge("telesales_ledger_entries", "Sealed entries.", registry=registry)
        self._waiting = Gauge(
            "telesales_ledger_oldest_unsealed_seconds", "For how long the oldest has waited.", registry=registry
        )
        self._sealed = Gauge("telesales_ledger_last_seal_timestamp_seconds", "When last sealed.", registry=registry)
        self._verified = Gauge(
            "telesales_ledger_last_verified_timestamp_seconds", "When last verified.", registry=registry
        )
        self._contradicted = Gauge(
            "telesales_ledger_contradicted", "1 while an outside checkpoint contradicts the tree.", registry=registry
        )

    def read(self, ledger: Ledger) -> None:
        """Read the figures anew; while the database is away they stay as they were."""
        try:
            with ledger.engine.connect() as connection:
                health = read_health(connection)
            contradiction, _trouble = check_outside(ledger)
        except (SQLAlchemyError, LedgerKeyError):
            return
        self._entries.set(health.size)
        self._waiting.set(health.waiting_for(ledger.clock()).total_seconds())
        self._sealed.set(0 if health.sealed_at is None else health.sealed_at.timestamp())
        self._verified.set(0 if health.verified_at is None else health.verified_at.timestamp())
        self._contradicted.set(contradiction is not None)
