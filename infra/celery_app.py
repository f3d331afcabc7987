"""The task queue: one Celery application per process, by default on a queue inside the database.

A message is only a wake-up. What is to be done stands in rows; a task claims them, and a periodic sweep finds what
a lost or doubled message left. So a message that dies with its worker costs a delay, never work.

The database queue is kombu's SQLAlchemy transport with three corrections, each of which can go when kombu has it:
it connects when it says so (else a worker spins five times a second while the database is away), it takes a lost
session for a lost connection (else the worker ends), and it polls twice a second.

Run beat as a process of its own, not inside the worker (`-B`): a restarted worker then never doubles or stops the
clock, and the supervisor restarts each alone.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from celery import Celery
from celery.signals import worker_process_init
from kombu.transport import TRANSPORT_ALIASES
from kombu.transport.sqlalchemy import Channel, Transport
from kombu.transport.sqlalchemy.models import metadata
from sqlalchemy import Connection, make_url, text
from sqlalchemy.exc import DBAPIError, PendingRollbackError

from infra.advisory_locks import AdvisoryLock, hold

QUEUE = "telesales"
BROKER_TABLES = frozenset({"kombu_message", "kombu_queue"})
"""Tables that kombu owns: no migration makes or compares them."""

_SCHEME = "telesales"
_CREATE_QUEUE = text(
    "INSERT INTO kombu_queue (id, name) VALUES (nextval('queue_id_sequence'), :name) ON CONFLICT DO NOTHING"
)
_PURGE = text("DELETE FROM kombu_message WHERE visible = false AND timestamp < :older_than")


class DatabaseTransport(Transport):
    """kombu's SQLAlchemy transport, corrected as the module says."""

    polling_interval = 0.5
    connection_errors = (DBAPIError, PendingRollbackError)  # type: ignore[assignment]  # wider than kombu's

    def establish_connection(self) -> Any:  # noqa: ANN401 - what kombu returns has no type
        """Ask the database before calling the connection established; Celery then waits between attempts."""
        connection = super().establish_connection()  # type: ignore[no-untyped-call]  # kombu's
        channel = self._avail_channels[-1]
        channel.session.execute(text("SELECT 1"))
        channel.session.commit()
        return connection


def make_celery(
    broker_url: str,
    *,
    include: Sequence[str] = (),
    schedule: Mapping[str, Mapping[str, object]] | None = None,
    schedule_dir: Path | None = None,
) -> Celery:
    """Return the application; `include` names the modules whose tasks it registers.

    `broker_url` is the URL of the database, for its own queue, or of a broker (amqp://, redis://). `schedule` is
    Celery's beat schedule, and beat keeps its state in `schedule_dir`.
    """
    TRANSPORT_ALIASES[_SCHEME] = f"{__name__}:{DatabaseTransport.__name__}"
    application = Celery("telesales", broker=celery_broker_url(broker_url), include=list(include))
    application.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_default_queue=QUEUE,
        task_acks_late=True,
        task_ignore_result=True,
        worker_prefetch_multiplier=1,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_pool_limit=4,
        timezone="UTC",
        enable_utc=True,
        beat_schedule=dict(schedule or {}),
        beat_max_loop_interval=1,  # beat looks for a request to stop only between its naps
    )
    if schedule_dir is not None:
        application.conf.beat_schedule_filename = str(schedule_dir / "celerybeat-schedule")
    if uses_database(broker_url):
        # The transport has no fan-out, so remote control would only leave queues behind that nobody reads.
        application.conf.update(worker_enable_remote_control=False, broker_transport_options=_engine_options())
        worker_process_init.connect(_forget_engines, weak=False, dispatch_uid="telesales-engines")
    return application


def uses_database(broker_url: str) -> bool:
    """Tell whether `broker_url` is a PostgreSQL database, whose own queue then serves as the broker."""
    return broker_url.startswith(("postgresql://", "postgresql+psycopg://", "postgres://"))


def celery_broker_url(broker_url: str) -> str:
    """Return `broker_url` as Celery takes it: a database gets our transport and the psycopg 3 driver."""
    if not uses_database(broker_url):
        return broker_url
    url = make_url(broker_url.replace("postgres://", "postgresql://", 1))
    return f"{_SCHEME}+{url.set(drivername='postgresql+psycopg').render_as_string(hide_password=False)}"


def create_broker_tables(connection: Connection) -> None:
    """Create kombu's tables and our queue where they are missing, in the caller's transaction.

    kombu does both at first use with check-then-create, which fails in one of two processes that start at the
    same time. Call this after the migrations and before the first worker, beat or server starts.
    """
    hold(connection, AdvisoryLock.BROKER_TABLES)
    # kombu declares its tables when a channel is configured, which needs no connection.
    channel = Channel.__new__(Channel)
    channel._configure_entity_tablenames({})  # type: ignore[no-untyped-call]  # noqa: SLF001 - no public way
    metadata.create_all(connection)
    connection.execute(_CREATE_QUEUE, {"name": QUEUE})


def purge_delivered(connection: Connection, *, older_than: datetime) -> int:
    """Delete messages that were delivered before `older_than`, which kombu keeps for ever; return how many.

    kombu stamps deliveries with the local time of the worker's host and no zone, so the limit is up to 14 hours
    off. That is harmless: nothing reads a delivered message again.
    """
    limit = older_than.astimezone(UTC).replace(tzinfo=None)
    return connection.execute(_PURGE, {"older_than": limit}).rowcount


def _engine_options() -> dict[str, object]:
    """Return arguments of create_engine: give up on a dead database soon, and hold few connections."""
    connect_args = {
        "application_name": "telesales broker",
        "connect_timeout": 2,
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "tcp_user_timeout": 5000,
    }
    return {"pool_pre_ping": True, "pool_size": 2, "pool_timeout": 5, "connect_args": connect_args}


def _forget_engines(**_signal: object) -> None:
    """Drop, in a forked worker process, the engines whose sockets belong to its parent.

    kombu keeps them in a dictionary of the class, which a fork copies; two processes on one socket mix answers.
    """
    for engine, _ in Channel._engines.values():  # noqa: SLF001 - kombu has no public way
        engine.dispose(close=False)
    Channel._engines.clear()  # noqa: SLF001 - kombu has no public way
