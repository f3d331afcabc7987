"""Sealing as the processes do it: by the worker's clock, beside its jobs, and what readiness and metrics say of it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Event, Thread

from prometheus_client import CollectorRegistry, Gauge
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from compliance.ledger_attestations import AttestationKind, attested_times
from compliance.ledger_health import ALARM_AFTER, UNVERIFIED_INCIDENT, LedgerHealth, read_health
from compliance.ledger_keys import LedgerKeyError, has_keys
from compliance.ledger_outside import Contradiction, open_store
from compliance.ledger_reading import latest_checkpoint
from compliance.ledger_runs import Ledger, check_and_tell, check_outside, open_signer, seal_waiting
from infra.clock import Clock
from infra.logs import logger
from infra.settings import Settings

SEAL = "telesales.seal"
SEAL_EVERY_SECONDS = 3.0
COMPARE_AGAIN_SECONDS = 5.0
_LONGEST_WAIT_SECONDS = 1.0

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


class StartComparison:
    """Compares the ledger with the outside at the start of a process, and goes on until that could be done once.

    Checks depend on none of it, so the start waits a moment and no longer.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._tried = Event()
        self._ended = Event()
        self._thread = Thread(target=self._compare, name="start-comparison", daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._tried.wait(_LONGEST_WAIT_SECONDS)

    def stop(self) -> None:
        self._ended.set()
        self._thread.join(_LONGEST_WAIT_SECONDS)

    def _compare(self) -> None:
        done = False
        while not done:
            done = _compare_if_possible(self._ledger)
            self._tried.set()
            done = done or self._ended.wait(COMPARE_AGAIN_SECONDS)


def _compare_if_possible(ledger: Ledger) -> bool:
    """Compare the ledger with the outside and say what contradicts it, or what stands in the way; return if it was."""
    try:
        contradiction, reason = check_and_tell(ledger)
    except (LedgerKeyError, SQLAlchemyError) as error:
        contradiction, reason = None, type(error).__name__
    except Exception:
        # Whatever it is, the checks beside which this runs have no part in it.
        log.exception("ledger_not_compared")
        return False
    if reason is not None:
        log.error("ledger_not_compared", reason=reason)
    elif contradiction is None:
        log.info("ledger_compared")
    return reason is None


def ledger_problems(ledger: Ledger, health: LedgerHealth) -> list[str]:
    """Return what is wrong with the ledger, without paths: whoever asks for readiness has no token."""
    found = []
    contradiction, trouble = _outside_problem(ledger)
    if contradiction is not None:
        found.append(f"{contradiction.finding}: {contradiction.detail}")
    if trouble is not None:
        found.append("the outside checkpoints of the ledger cannot be read; see the log")
    if health.is_in_doubt:
        found.append(
            f"a verification of the ledger found problems: an incident of kind {UNVERIFIED_INCIDENT} names the first,"
            " and telesales ledger verify --live lists all"
        )
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
    """What `/metrics` shows of the ledger; `attesters` are those who are to attest it, by kind."""

    def __init__(self, registry: CollectorRegistry, *, attesters: Mapping[AttestationKind, str]) -> None:
        self._attesters = attesters
        self._entries = Gauge("telesales_ledger_entries", "Sealed entries.", registry=registry)
        self._waiting = Gauge(
            "telesales_ledger_oldest_unsealed_seconds", "For how long the oldest has waited.", registry=registry
        )
        self._sealed = Gauge("telesales_ledger_last_seal_timestamp_seconds", "When last sealed.", registry=registry)
        self._verified = Gauge(
            "telesales_ledger_last_verified_timestamp_seconds", "When last verified.", registry=registry
        )
        self._doubted = Gauge(
            "telesales_ledger_in_doubt", "1 while an incident about a verification is open.", registry=registry
        )
        self._attested = {
            AttestationKind.WITNESS: Gauge(
                "telesales_ledger_last_witnessed_timestamp_seconds", "When last cosigned.", registry=registry
            ),
            AttestationKind.TIMESTAMP: Gauge(
                "telesales_ledger_last_timestamped_timestamp_seconds", "When last time-stamped.", registry=registry
            ),
        }
        self._contradicted = Gauge(
            "telesales_ledger_contradicted", "1 while an outside checkpoint contradicts the tree.", registry=registry
        )

    def read(self, ledger: Ledger) -> None:
        """Read the figures anew; while the database is away they stay as they were."""
        try:
            with ledger.engine.connect() as connection:
                health = read_health(connection)
                attested = attested_times(connection, self._attesters)
            contradiction, _trouble = check_outside(ledger)
        except (SQLAlchemyError, LedgerKeyError):
            return
        self._entries.set(health.size)
        self._waiting.set(health.waiting_for(ledger.clock()).total_seconds())
        self._sealed.set(0 if health.sealed_at is None else health.sealed_at.timestamp())
        self._verified.set(0 if health.verified_at is None else health.verified_at.timestamp())
        self._doubted.set(health.is_in_doubt)
        for kind, gauge in self._attested.items():
            gauge.set(attested[kind].timestamp() if kind in attested else 0)
        self._contradicted.set(contradiction is not None)
