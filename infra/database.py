"""The database: engines, the one MetaData, and the errors that mean "away, slow or full"."""

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

ANSWER_WITHIN_MS = 2000
"""How long a statement of a request may take before the dialer is told to hold (deny)."""


def psycopg_url(url: str) -> URL:
    """Return `url` with the psycopg 3 driver, whatever spelling of postgresql:// it came in."""
    parsed = make_url(url.replace("postgres://", "postgresql://", 1) if url.startswith("postgres://") else url)
    return parsed.set(drivername="postgresql+psycopg")


def libpq_url(url: str) -> str:
    """Return `url` as psql and libpq take it, password included."""
    return psycopg_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def make_engine(
    url: str,
    *,
    application_name: str,
    statement_timeout_ms: int | None = None,
    pool_size: int = 5,
    max_overflow: int = 10,
    pre_ping: bool = True,
) -> Engine:
    """Return an engine whose connections give up on a dead server instead of waiting for ever.

    `statement_timeout_ms` None means no limit, for long work that nobody waits for. `pre_ping` asks a pooled
    connection whether it lives before each use, at the price of a round trip.
    """
    options = ["-c timezone=UTC", "-c idle_in_transaction_session_timeout=600000"]
    if statement_timeout_ms is not None:
        options.append(f"-c statement_timeout={statement_timeout_ms}")
        options.append(f"-c lock_timeout={statement_timeout_ms}")
    return create_engine(
        psycopg_url(url),
        pool_size=pool_size,
        max_overflow=max_overflow,
        pool_timeout=2,
        pool_pre_ping=pre_ping,
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
