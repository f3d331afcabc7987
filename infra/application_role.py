"""The database role as which the product works: it reads and appends, and changes only what each table declares.

The owner of the tables migrates and does nothing else. A table's `info` says what the role may do beyond SELECT and
INSERT: `updates` names the columns it may change, `deletes` is for rows that are no evidence. Where the role cannot be
made, as in some managed databases, the product works as the owner and says so.
"""

from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import Connection, MetaData, text
from sqlalchemy.exc import DBAPIError

from infra.celery_app import BROKER_TABLES
from infra.database import APPLICATION_ROLE, libpq_url, psycopg_url
from infra.logs import logger

log = logger(__name__)

BROKER_SEQUENCES = ("message_id_sequence", "queue_id_sequence")
_READ_ONLY = ("alembic_version", "ledger_identity", "ledger_coverage")

_EXISTS = text("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = :role)")
_MAY_ACT = "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = %s AND pg_has_role(current_user, oid, 'MEMBER'))"


def make_application_role(connection: Connection) -> bool:
    """Make the role where it is missing, in the caller's transaction, and say whether it is there."""
    try:
        with connection.begin_nested():
            if not connection.execute(_EXISTS, {"role": APPLICATION_ROLE}).scalar_one():
                connection.execute(text(f"CREATE ROLE {APPLICATION_ROLE} NOLOGIN"))
                connection.execute(text(f"GRANT {APPLICATION_ROLE} TO CURRENT_USER"))
    except DBAPIError as error:
        log.warning("application_role_not_made", role=APPLICATION_ROLE, error=type(error.orig).__name__)
        return False
    return True


def grant_application(connection: Connection, metadata: MetaData) -> None:
    """Give the role exactly what the tables declare, and nothing that an earlier version gave, in the transaction."""
    # By name: in a managed database the schema may hold what is another's.
    ours = ", ".join(sorted({*metadata.tables, *BROKER_TABLES, *_READ_ONLY}))
    schema = connection.execute(text("SELECT quote_ident(current_schema())")).scalar_one()
    statements = [
        f"REVOKE ALL ON {ours} FROM {APPLICATION_ROLE}",
        f"GRANT USAGE ON SCHEMA {schema} TO {APPLICATION_ROLE}",
        f"GRANT SELECT ON {', '.join(_READ_ONLY)} TO {APPLICATION_ROLE}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON {', '.join(sorted(BROKER_TABLES))} TO {APPLICATION_ROLE}",
        f"GRANT USAGE ON SEQUENCE {', '.join(BROKER_SEQUENCES)} TO {APPLICATION_ROLE}",
    ]
    for table in metadata.sorted_tables:
        if table.name in _READ_ONLY:
            continue
        rights = ["SELECT", "INSERT"]
        if table.info.get("updates"):
            rights.append(f"UPDATE ({', '.join(table.info['updates'])})")
        if table.info.get("deletes"):
            rights.append("DELETE")
        statements.append(f"GRANT {', '.join(rights)} ON {table.name} TO {APPLICATION_ROLE}")
    connection.execute(text("; ".join(statements)))


def application_url(url: str) -> str:
    """Return `url` so that its connections act as the role; as it is when the login cannot, with a warning in the log.

    A database that does not answer now is taken to have the role: nothing works as the owner by mistake.
    """
    try:
        with psycopg.connect(libpq_url(url), connect_timeout=2) as connection:
            found = connection.execute(_MAY_ACT, (APPLICATION_ROLE,)).fetchone()
    except psycopg.OperationalError:
        found = (True,)
    if found is None or not found[0]:
        log.warning("working_as_owner", advice=f"make the role {APPLICATION_ROLE}; see docs/operation.md")
        return url
    acting = psycopg_url(url)
    given = acting.query.get("options", ())
    options = " ".join([*([given] if isinstance(given, str) else given), f"-c role={APPLICATION_ROLE}"])
    return acting.update_query_dict({"options": options}).render_as_string(hide_password=False)


def let_log_in(connection: psycopg.Connection[Any]) -> None:
    """Make the role one to connect as, in the embedded database, where nobody else reaches the socket."""
    known = connection.execute("SELECT rolcanlogin FROM pg_roles WHERE rolname = %s", (APPLICATION_ROLE,)).fetchone()
    if known != (True,):
        action = "CREATE" if known is None else "ALTER"
        connection.execute(sql.SQL("{} ROLE {} LOGIN").format(sql.SQL(action), sql.Identifier(APPLICATION_ROLE)))
