"""Alembic's entry: runs migrations on the connection it is handed, with lock and statement time-outs."""

from alembic import context
from sqlalchemy import text

from infra.celery_app import BROKER_TABLES
from infra.database import metadata

LOCK_TIMEOUT_MS = 5_000
STATEMENT_TIMEOUT_MS = 600_000


def _is_ours(_object: object, name: str | None, type_: str, _reflected: bool, _compared: object) -> bool:  # noqa: FBT001 - Alembic's signature
    """Leave the broker's own tables out of every comparison."""
    return not (type_ == "table" and name in BROKER_TABLES)


connection = context.config.attributes["connection"]
connection.execute(text(f"SET lock_timeout = {LOCK_TIMEOUT_MS}"))
connection.execute(text(f"SET statement_timeout = {STATEMENT_TIMEOUT_MS}"))
connection.commit()
context.configure(
    connection=connection,
    target_metadata=metadata,
    include_object=_is_ours,
    compare_server_default=False,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
