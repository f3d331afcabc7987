"""Filling tables with millions of rows: their indexes are built afterwards, in a tenth of the time."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Engine, text

_SECONDARY = text("""
    SELECT indexname, indexdef FROM pg_indexes i
     WHERE tablename = ANY(:tables)
       AND NOT EXISTS (SELECT 1 FROM pg_constraint c WHERE c.conname = i.indexname)""")


@contextmanager
def without_indexes(engine: Engine, tables: Sequence[str], *, say: Callable[[str], None]) -> Iterator[None]:
    """Drop all indexes of `tables` but those of constraints, and build them anew at the end."""
    with engine.begin() as connection:
        secondary = connection.execute(_SECONDARY, {"tables": list(tables)}).all()
        for index in secondary:
            connection.execute(text(f"DROP INDEX {index.indexname}"))
    yield
    say("building their indexes")
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL maintenance_work_mem = '1GB'"))
        for index in secondary:
            connection.execute(text(index.indexdef))
