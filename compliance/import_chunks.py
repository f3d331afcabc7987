"""Stores chunks one after the other, a transaction each, and prepares each one while the one before is being written.

Preparing is work of this process, writing is the database's: together they take little longer than the slower one.
A chunk that names people of the chunk before it is prepared again when that one is written, since it looked too early.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self, TypeVar

import psycopg
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from compliance.import_plan import Demand, Tally
from compliance.import_writing import PreparedChunk, is_passing, write_chunk

Prepare = Callable[[Connection, Sequence[Demand]], PreparedChunk]
Note = Callable[[Connection, Tally], None]
"""Records, in the transaction that writes a chunk, what the chunk did."""

Answer = TypeVar("Answer")

_MOST_TRIES = 20

# While a chunk waits for another writer, the one prepared after it holds locks of its own, for which that writer may
# wait. The database cannot see that these two belong together, so the chunk gives up first.
_GIVE_UP_SOON = text("SET LOCAL lock_timeout = '1s'")


class ImportContendedError(RuntimeError):
    """Other writers were in the way too often; what was stored before stays, try again."""


def until_stored(engine: Engine, store: Callable[[Connection], Answer]) -> Answer:
    """Run `store` in a transaction, and again as long as other writers are in the way.

    Raises:
        ImportContendedError: they were in the way too often.
    """

    def store_all() -> Answer:
        with engine.begin() as connection:
            return store(connection)

    return _patiently(store_all)


def _patiently(work: Callable[[], Answer]) -> Answer:
    for _ in range(_MOST_TRIES):
        try:
            return work()
        except (DBAPIError, psycopg.Error) as error:
            if not is_passing(error):
                raise
    raise ImportContendedError("other writers keep changing the entries of this list; import it again later")


class _Ahead:
    """A chunk that is prepared in a transaction of its own, and not written yet."""

    def __init__(self, engine: Engine, prepare: Prepare, demands: Sequence[Demand], note: Note) -> None:
        self.demands = demands
        self.note = note
        self._connection = engine.connect()
        try:
            self.prepared = prepare(self._connection, demands)
        except BaseException:
            self.abandon()
            raise

    def write(self) -> None:
        with self._connection:
            self._connection.execute(_GIVE_UP_SOON)
            write_chunk(self._connection, self.prepared)
            self.note(self._connection, self.prepared.tally)
            self._connection.commit()

    def abandon(self) -> None:
        """Give its locks back."""
        self._connection.close()


class ChunkStore:
    """Stores chunks in the order in which they come. To be used as a context, at whose end all are stored."""

    def __init__(self, engine: Engine, prepare: Prepare) -> None:
        self._engine = engine
        self._prepare = prepare
        self._writer = ThreadPoolExecutor(max_workers=1)
        self._writing: tuple[_Ahead, Future[None]] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._settle()
        finally:
            self._writer.shutdown()

    def store(self, demands: Sequence[Demand], note: Note) -> None:
        """Store a chunk, and `note` what it did when the chunks before it are stored; it may still be written then.

        Raises:
            ImportContendedError: other writers were in the way of the chunk before too often.
        """
        ahead = self._look_ahead(demands, note)
        if ahead is None:
            self._settle()
            ahead = _patiently(lambda: _Ahead(self._engine, self._prepare, demands, note))
        self._writing = ahead, self._writer.submit(ahead.write)

    def _look_ahead(self, demands: Sequence[Demand], note: Note) -> _Ahead | None:
        """Prepare a chunk while the one before is written; None if that told nothing, and must be done again."""
        try:
            ahead = _Ahead(self._engine, self._prepare, demands, note)
        except (DBAPIError, psycopg.Error) as error:
            if not is_passing(error):
                raise
            return None
        if self._writing is None:
            return ahead
        before, written = self._writing
        if written.exception() is None and before.prepared.people.isdisjoint(ahead.prepared.people):
            return ahead
        ahead.abandon()
        return None

    def _settle(self) -> None:
        """Wait for the chunk that is being written; if others were in its way, write it alone."""
        if self._writing is None:
            return
        (before, written), self._writing = self._writing, None
        error = written.exception()
        if error is not None:
            if not is_passing(error):
                raise error
            until_stored(self._engine, lambda connection: self._store_alone(connection, before))

    def _store_alone(self, connection: Connection, chunk: _Ahead) -> None:
        prepared = self._prepare(connection, chunk.demands)
        write_chunk(connection, prepared)
        chunk.note(connection, prepared.tally)
