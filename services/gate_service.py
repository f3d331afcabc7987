"""Answers batches of checks: the transaction around the gate, and what may be said only after its commit."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Engine

from compliance.call_checks import Gate, check_calls
from infra.clock import Clock
from services.check_answers import answers
from services.check_queue import RevokedTokenError, WaitingCheck
from services.token_cache import TokenCache


@dataclass(frozen=True, slots=True)
class GateService:
    """Decides batches for the queue, each in one transaction that is committed before it is answered."""

    engine: Engine
    gate: Gate
    tokens: TokenCache
    clock: Clock

    def decide(self, batch: Sequence[WaitingCheck]) -> list[bytes | Exception]:
        """Return an answer per check; the clock is read once for all of them."""
        now = self.clock()
        with self.engine.begin() as connection:
            self.tokens.confirm(connection, now=now)
            live = [one for one in batch if self.tokens.find(one.token_hash, now=now) is not None]
            judged = check_calls(
                connection,
                [one.call for one in live],
                gate=self.gate,
                actors=[one.actor.owner for one in live],
                now=now,
            )
        self.gate.shelf.stored_sides.update(one.side.digest for one in judged)
        given = dict(zip(map(id, live), answers(judged), strict=True))
        return [given.get(id(one)) or RevokedTokenError("the token is no longer live") for one in batch]
