"""Stores a chunk of rows in a transaction of its own, again and again while other writers are in the way.

One chunk after the other: to prepare one while the database writes another would be a little faster, and would take the
second processor of a small machine from the call checks.
"""

from collections.abc import Callable
from typing import TypeVar

import psycopg
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from compliance.import_writing import is_passing

Answer = TypeVar("Answer")

_MOST_TRIES = 20


class ImportContendedError(RuntimeError):
    """Other writers were in the way too often; what was stored before stays, try again."""


def until_stored(engine: Engine, store: Callable[[Connection], Answer]) -> Answer:
    """Run `store` in a transaction, and again as long as other writers are in the way.

    Raises:
        ImportContendedError: they were in the way too often.
    """
    for _ in range(_MOST_TRIES):
        try:
            with engine.begin() as connection:
                return store(connection)
        except (DBAPIError, psycopg.Error) as error:
            if not is_passing(error):
                raise
    raise ImportContendedError("other writers keep changing the entries of this list; import it again later")
