"""Migrations: bring a database to this version's schema, and tell whether it is there.

The caller imports the modules that define tables; this module knows only the shared MetaData.
"""

from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from infra.advisory_locks import AdvisoryLock
from infra.application_role import grant_application, make_application_role
from infra.celery_app import BROKER_TABLES, create_broker_tables
from infra.database import metadata


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def head_revision() -> str:
    """Return the revision this version of the product needs."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    if revision is None:
        msg = "the package holds no migrations; the installation is broken"
        raise RuntimeError(msg)
    return revision


def current_revision(connection: Connection) -> str | None:
    """Return the revision of the database, None for an empty one."""
    return MigrationContext.configure(connection).get_current_revision()


def migrate(engine: Engine) -> tuple[str | None, str]:
    """Run all outstanding migrations and make the queue's tables; return the revisions before and after."""
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": AdvisoryLock.MIGRATIONS})
        connection.commit()
        try:
            before = current_revision(connection)
            connection.commit()
            command.upgrade(_config(connection), "head")
            create_broker_tables(connection)
            if make_application_role(connection):
                grant_application(connection, metadata)
            connection.commit()
        finally:
            connection.rollback()
            connection.execute(text("RESET lock_timeout; RESET statement_timeout"))
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": AdvisoryLock.MIGRATIONS})
            connection.commit()
        return before, head_revision()


def drift(connection: Connection) -> list[object]:
    """Return what the code's tables and the migrated database differ in; empty when they agree."""
    context = MigrationContext.configure(
        connection,
        opts={
            "include_object": lambda _object, name, kind, _reflected, _compared: (
                not (kind == "table" and name in BROKER_TABLES)
            )
        },
    )
    return list(compare_metadata(context, metadata))
