"""Idempotency keys: the same key and body give the first answer again, in and after the same transaction.

The answer is stored in the transaction that does the work and sent after its commit, so work and answer
are kept together or not at all. A transaction-level advisory lock per key tells a repeat that comes while
the first still runs: 409 with `Retry-After`.
"""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from anyio import to_thread
from fastapi import Request, Response
from sqlalchemy import Connection, delete, insert, select
from starlette.responses import StreamingResponse

from infra.advisory_locks import hold_if_free, lock_key
from services.dependencies import actor_of, state_of
from services.edge import UPLOAD_PATHS
from services.json_body import Handler, JsonRequest, JsonRoute
from services.problems import ConflictError, Problem, input_error
from services.tables import idempotency_keys
from services.tokens import Actor

HEADER = "Idempotency-Key"
KEPT_FOR = timedelta(hours=48)
_LONGEST_KEY = 255


class StillRunningError(ConflictError):
    """The first request with this key has not ended."""

    slug = "idempotency-key-in-use"

    def problem(self) -> Problem:
        return Problem(409, "Conflict", self.detail, self.slug, headers={"Retry-After": "1"})


class ReusedKeyError(ConflictError):
    """The key came with another body before."""

    slug = "idempotency-key-reused"


@dataclass(frozen=True, slots=True)
class Exchange:
    """One keyed request: where its answer is kept."""

    actor: Actor
    path: str
    key: str

    def lock(self) -> int:
        name = f"{self.actor.token_id}\0{self.path}\0{self.key}"
        return lock_key(name.encode())

    def first_answer(self, connection: Connection, digest: bytes) -> Response | None:
        """Return the first answer to this key, None when this request is the first.

        Raises:
            StillRunningError: the first request has not ended.
            ReusedKeyError: the key came with another body.
        """
        if not hold_if_free(connection, self.lock()):
            msg = "The first request with this Idempotency-Key is still running; ask again in a second."
            raise StillRunningError(msg)
        columns = idempotency_keys.c
        row = connection.execute(
            select(columns.body_digest, columns.status, columns.body).where(
                columns.token_id == self.actor.token_id, columns.path == self.path, columns.key == self.key
            )
        ).one_or_none()
        if row is None:
            return None
        if row.body_digest != digest:
            msg = "This Idempotency-Key came with another body before. Use a new key for a new request."
            raise ReusedKeyError(msg)
        headers = {"Idempotency-Replayed": "true"}
        return Response(row.body, row.status, media_type="application/json", headers=headers)

    def keep(self, connection: Connection, digest: bytes, response: Response, *, now: datetime) -> None:
        """Store the answer with the work it answers for."""
        connection.execute(
            insert(idempotency_keys).values(
                token_id=self.actor.token_id,
                path=self.path,
                key=self.key,
                body_digest=digest,
                status=response.status_code,
                body=bytes(response.body),
                created_at=now,
            )
        )


def exchange_of(request: Request) -> Exchange | None:
    """Return the keyed exchange of this request, None without a key.

    Raises:
        InputError: the key is empty, too long or not printable ASCII.
    """
    key = request.headers.get(HEADER)
    if key is None:
        return None
    if not 1 <= len(key) <= _LONGEST_KEY or not key.isascii() or not key.isprintable():
        raise input_error(HEADER, f"must be 1 to {_LONGEST_KEY} printable ASCII characters")
    return Exchange(actor_of(request), request.url.path, key)


class CreatingRoute(JsonRoute):
    """A route whose POST honours `Idempotency-Key`. Uploads do so themselves, by the digest of the file."""

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()

        async def handle_once(plain_request: Request) -> Response:
            request = JsonRequest.of(plain_request)
            takes_file = request.url.path in UPLOAD_PATHS
            exchange = exchange_of(request) if request.method == "POST" and not takes_file else None
            if exchange is None:
                return await handle(request)
            return await _exchanged(exchange, request, handle)

        return handle_once


async def _exchanged(
    exchange: Exchange, request: Request, handle: Callable[[Request], Awaitable[Response]]
) -> Response:
    digest = hashlib.sha256(await request.body()).digest()
    state = state_of(request)
    connection = await to_thread.run_sync(state.engine.connect)
    try:
        first = await to_thread.run_sync(exchange.first_answer, connection, digest)
        if first is not None:
            return first
        request.state.connection = connection
        response = await handle(request)
        if response.status_code < 300 and not isinstance(response, StreamingResponse):  # noqa: PLR2004 - 2xx
            await to_thread.run_sync(_keep_and_commit, exchange, connection, digest, response, state.clock())
        return response
    finally:
        request.state.connection = None
        await to_thread.run_sync(connection.close)


def _keep_and_commit(
    exchange: Exchange, connection: Connection, digest: bytes, response: Response, now: datetime
) -> None:
    exchange.keep(connection, digest, response, now=now)
    connection.commit()


def forget_old_answers(connection: Connection, *, now: datetime) -> int:
    """Delete answers older than promised; return how many."""
    done = connection.execute(delete(idempotency_keys).where(idempotency_keys.c.created_at < now - KEPT_FOR))
    return done.rowcount
