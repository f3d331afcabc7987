"""Answers batches of checks: the transactions around the gate, and what may be said only after their commit."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from compliance.call_checks import Gate, check_calls, check_known, depend_on_others, number_calls
from compliance.callee_facts import KnownPeople, NumberedCall, read_known_people
from compliance.check_rows import JudgedCall
from infra.clock import Clock
from services.check_answers import answers
from services.check_queue import RevokedTokenError, WaitingCheck
from services.token_cache import TokenCache


@dataclass(frozen=True, slots=True)
class GateService:
    """Decides batches for the queue.

    Checks that depend on nothing but their own facts need no transaction around reading and writing: under
    READ COMMITTED each statement sees its own snapshot anyway, and the one INSERT commits by itself. That is
    two round trips to the server instead of four. Checks under a contact limit or with a callback request
    hold locks, and get a transaction.
    """

    engine: Engine
    gate: Gate
    tokens: TokenCache
    clock: Clock

    def decide(self, batch: Sequence[WaitingCheck]) -> list[bytes | Exception]:
        """Return an answer per check, all rows being durable; the clock is read once for all of them."""
        judged = self._judged(batch)
        self.gate.shelf.stored_sides.update(one.side.digest for one in judged.values())
        given = dict(zip(judged, answers(list(judged.values())), strict=True))
        return [given.get(place) or RevokedTokenError("the token is no longer live") for place in range(len(batch))]

    def _judged(self, batch: Sequence[WaitingCheck]) -> dict[int, JudgedCall]:
        """Return the judged calls by their place in the batch; those whose token has ended are left out."""
        now = self.clock()
        calls = number_calls([one.call for one in batch])
        with self._reading(calls) as (connection, known):
            self.tokens.confirm(connection, changes=known.counters["tokens"], now=now)
            live = [place for place, one in enumerate(batch) if self.tokens.find(one.token_hash, now=now)]
            actors = [batch[place].actor.owner for place in live]
            book = self.gate.shelf.book(connection, counters=known.counters, now=now)
            if not depend_on_others(book.policy, calls):
                chosen = [calls[place] for place in live]
                judged = check_known(connection, chosen, known, book, gate=self.gate, actors=actors, now=now)
                return dict(zip(live, judged, strict=True))
        with self.engine.begin() as connection:
            proposed = [batch[place].call for place in live]
            judged = check_calls(connection, proposed, gate=self.gate, actors=actors, now=now)
        return dict(zip(live, judged, strict=True))

    @contextmanager
    def _reading(self, calls: Sequence[NumberedCall]) -> Iterator[tuple[Connection, KnownPeople]]:
        """Give what is known of the callees, and the connection it was read through.

        The pool's connection may have died with the server since the last check. Nothing is written yet, so the
        first reading may be tried again on a new connection, and a restart of the server costs no check.
        """
        connection = self._connect()
        try:
            try:
                known = read_known_people(connection, calls)
            except DBAPIError as error:
                if not error.connection_invalidated:
                    raise
                connection.close()
                connection = self._connect()
                known = read_known_people(connection, calls)
            yield connection, known
        finally:
            connection.close()

    def _connect(self) -> Connection:
        return self.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
