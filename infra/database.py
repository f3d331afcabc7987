"""The database: its engines and URLs, the one MetaData, and the keys of locks that have a name."""

from datetime import timedelta
from typing import TypedDict, Unpack

from sqlalchemy import Engine, MetaData, create_engine
from sqlalchemy.engine import URL, make_url

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

APPLICATION_ROLE = "telesales_application"
"""The role as which everything but migrations works."""

ANSWER_WITHIN_MS = 2000
"""How long a statement of a request may take before the dialer is told to hold (deny)."""


def psycopg_url(url: str) -> URL:
    """Return `url` with the psycopg 3 driver, whatever spelling of postgresql:// it came in."""
    parsed = make_url(url.replace("postgres://", "postgresql://", 1) if url.startswith("postgres://") else url)
    return parsed.set(drivername="postgresql+psycopg")


def libpq_url(url: str) -> str:
    """Return `url` as psql and libpq take it, password included."""
    return psycopg_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


class PoolOptions(TypedDict, total=False):
    """How many connections an engine keeps (5), how many more it opens (10), and whether it asks before each use.

    `pre_ping` (True) asks a pooled connection whether it lives, at the price of a round trip.
    """

    pool_size: int
    max_overflow: int
    pre_ping: bool


def make_engine(
    url: str,
    *,
    application_name: str,
    clock_offset: timedelta = timedelta(),
    statement_timeout_ms: int | None = None,
    **pool: Unpack[PoolOptions],
) -> Engine:
    """Return an engine whose connections give up on a dead server instead of waiting for ever.

    What its connections change, the ledger shows, at the instant of a clock that is `clock_offset` ahead of the
    machine's. Options that the URL has, such as a role, are kept.

    `statement_timeout_ms` None means no limit, for long work that nobody waits for.
    """
    parsed = psycopg_url(url)
    given = parsed.query.get("options", ())
    options = [given] if isinstance(given, str) else [*given]
    options += [
        "-c timezone=UTC",
        "-c idle_in_transaction_session_timeout=600000",
        "-c telesales.writer=application",
        f"-c telesales.clock_offset_ms={round(clock_offset / timedelta(milliseconds=1))}",
    ]
    if statement_timeout_ms is not None:
        options.append(f"-c statement_timeout={statement_timeout_ms}")
        options.append(f"-c lock_timeout={statement_timeout_ms}")
    return create_engine(
        parsed,
        pool_size=pool.get("pool_size", 5),
        max_overflow=pool.get("max_overflow", 10),
        pool_timeout=2,
        pool_pre_ping=pool.get("pre_ping", True),
        hide_parameters=True,  # errors are logged, and parameters may be personal
        connect_args={
            "application_name": application_name,
            "connect_timeout": 2,
            "options": " ".join(options),
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "tcp_user_timeout": 5000,
        },
    )
