"""Changing rows as only the owner of the database can who switches its guards off."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, text


@contextmanager
def unguarded(connection: Connection) -> Iterator[None]:
    """Let no trigger refuse what is done inside, nor write it into the ledger."""
    connection.execute(text("SET LOCAL session_replication_role = replica"))
    yield
    connection.execute(text("SET LOCAL session_replication_role = origin"))
