"""The outermost layer, plain ASGI: request ids, authentication, body limits, metrics, the access log.

Authentication comes before the body is read or parsed: who has no token learns nothing but 401.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any, Self

import structlog
from anyio import to_thread
from prometheus_client import CollectorRegistry, Counter, Histogram
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from infra.clock import seconds_running
from infra.ids import new_id_text
from infra.logs import logger
from services.problems import Problem, database_away, fault_of_ours, slug_of, title_of, unauthorized
from services.state import AppState
from services.tokens import Actor, find_token, hash_token, note_use

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

OPEN_PATHS = frozenset({"/healthz", "/readyz", "/openapi.json", "/docs"})
"""The only paths that answer without a token."""

HOT_PATH = "/v1/call-checks"
UPLOAD_PATHS = frozenset({"/v1/scrubs", "/v1/do-not-call/imports", "/v1/recordings"})
"""The only paths whose POST takes files; all other bodies are held in memory, whatever they call themselves."""

JSON_LIMIT_BYTES = 20 * 1024 * 1024
_TOO_LARGE = f"JSON bodies may hold at most {JSON_LIMIT_BYTES // 1024**2} MB; send a file for more."
_IDEMPOTENCY_KEY = b"idempotency-key"
_CLIENT_WENT_AWAY = 499
"""The status under which requests are counted whose sender went away before the body was whole; nobody receives it."""

MOST_AT_ONCE = 32
"""So many requests work at a time, the others wait for a place: one that holds a connection must find a thread, and
the other way round, so there may be fewer than threads, and twice as many connections."""
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")

log = logger(__name__)


class Meters:
    """What `/metrics` shows of requests; labels are routes, methods and statuses, never people."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "telesales_http_requests", "Requests answered.", ["method", "route", "status"], registry=registry
        )
        self.seconds = Histogram(
            "telesales_http_request_seconds",
            "Time to answer.",
            ["route"],
            registry=registry,
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5),
        )
        self._children: dict[tuple[str, str, int], tuple[Any, Any]] = {}

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        key = (method, route, status)
        children = self._children.get(key)
        if children is None:
            children = (self.requests.labels(method, route, str(status)), self.seconds.labels(route))
            self._children[key] = children
        children[0].inc()
        children[1].observe(seconds)


class Edge:
    """Wraps the application."""

    def __init__(self, app: App, *, state: AppState, meters: Meters) -> None:
        self._app = app
        self._state = state
        self._meters = meters
        self._places = asyncio.Semaphore(MOST_AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = seconds_running()
        headers = dict(scope["headers"])
        request_id = headers.get(b"x-request-id", b"")
        if not _REQUEST_ID.fullmatch(request_id):
            request_id = new_id_text().encode()
        status = HTTPStatus.INTERNAL_SERVER_ERROR.value
        is_answered = False

        async def send_with_id(message: Message) -> None:
            nonlocal status, is_answered
            if message["type"] == "http.response.start":
                is_answered = True
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id)]
            await send(message)

        structlog.contextvars.bind_contextvars(request_id=request_id.decode())
        try:
            await self._answer(scope, headers, receive, send_with_id)
        except ClientDisconnect:
            status = _CLIENT_WENT_AWAY  # nobody is left to be answered, and nothing is wrong here
        except Exception as error:
            log.exception("fault", error=type(error).__name__)
            if is_answered:
                raise
            await fault_of_ours().response()(scope, receive, send_with_id)
        finally:
            self._note(scope, status, seconds_running() - started)

    async def _answer(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive, send: Send) -> None:
        if _is_for_the_queue(scope, headers):
            # The queue takes as many as come, and its tokens are known without asking the database.
            refusal = await self._refusal(scope, headers)
            await (
                self._app(scope, _limited(receive), send) if refusal is None else _send(refusal, scope, receive, send)
            )
            return
        async with self._places:
            refusal = await self._refusal(scope, headers)
        if refusal is not None:
            await _send(refusal, scope, receive, send)
        elif _takes_file(scope):
            await self._app(scope, receive, send)  # an upload takes as long as its sender likes
        elif (whole := await _received(_limited(receive))) is None:
            await _send(_too_large(), scope, receive, send)
        else:
            # Only now does the request take a place: a body that comes slowly keeps nobody else waiting.
            async with _Place(self._places) as place:
                await self._app(scope, whole, place.left_with(send))

    async def _refusal(self, scope: Scope, headers: dict[bytes, bytes]) -> Problem | None:
        """Return why the request goes no further; otherwise leave the actor on the scope."""
        if scope["path"] in OPEN_PATHS:
            return None
        scheme, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return unauthorized()
        token_hash = hash_token(token.strip())
        try:
            actor = await self._actor(scope, headers, token_hash)
        except SQLAlchemyError:
            return database_away()
        if actor is None:
            return unauthorized()
        if not _takes_file(scope) and int(headers.get(b"content-length", b"0") or 0) > JSON_LIMIT_BYTES:
            return _too_large()
        scope.setdefault("state", {}).update(actor=actor, token_hash=token_hash)
        return None

    async def _actor(self, scope: Scope, headers: dict[bytes, bytes], token_hash: bytes) -> Actor | None:
        if _is_for_the_queue(scope, headers):
            # The batch that answers confirms that the token still lives; nothing else does.
            known = self._state.tokens.find(token_hash, now=self._state.clock())
            if known is not None:
                return known
        return await to_thread.run_sync(self._look_up, token_hash)

    def _look_up(self, token_hash: bytes) -> Actor | None:
        now = self._state.clock()
        with self._state.engine.begin() as connection:
            token = find_token(connection, token_hash)
            if token is None or not token.is_live(now):
                return None
            if token.is_use_due(now):  # a statement that finds nothing to change still fires the ledger's triggers
                note_use(connection, token.actor.token_id, now=now)
            return token.actor

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "unmatched")
        self._meters.count(scope["method"], route, status, seconds)
        if scope["path"] != HOT_PATH or status >= HTTPStatus.BAD_REQUEST:
            log.info("request", method=scope["method"], route=route, status=status, ms=round(seconds * 1000, 1))
        structlog.contextvars.clear_contextvars()


class _Place:
    """One of the places at work. It is given up when an answer of several pieces begins to flow.

    By then its transaction is over, and whoever receives slowly keeps nobody else waiting.
    """

    def __init__(self, places: asyncio.Semaphore) -> None:
        self._places = places
        self._is_held = False

    async def __aenter__(self) -> Self:
        await self._places.acquire()
        self._is_held = True
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._leave()

    def _leave(self) -> None:
        if self._is_held:
            self._is_held = False
            self._places.release()

    def left_with(self, send: Send) -> Send:
        """Return a `send` that gives the place up with the first of several pieces of a body."""

        async def send_and_leave(message: Message) -> None:
            if message.get("more_body", False):
                self._leave()
            await send(message)

        return send_and_leave


def _takes_file(scope: Scope) -> bool:
    return bool(scope["path"] in UPLOAD_PATHS and scope["method"] == "POST")


def _is_for_the_queue(scope: Scope, headers: dict[bytes, bytes]) -> bool:
    """Return whether the check queue answers; a keyed check has a transaction of its own instead."""
    return bool(scope["path"] == HOT_PATH and scope["method"] == "POST" and _IDEMPOTENCY_KEY not in headers)


async def _send(problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
    await problem.response()(scope, receive, send)


async def _received(receive: Receive) -> Receive | None:
    """Take in the whole body, and return what gives it again; None if it is too large."""
    messages = []
    try:
        while True:
            messages.append(await receive())
            if not messages[-1].get("more_body", False):
                break
    except HTTPException:
        return None
    messages.reverse()

    async def receive_again() -> Message:
        return messages.pop() if messages else await receive()

    return receive_again


def _limited(receive: Receive) -> Receive:
    received = 0

    async def receive_limited() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > JSON_LIMIT_BYTES:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _TOO_LARGE)
        return message

    return receive_limited


def _too_large() -> Problem:
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    return Problem(status, title_of(status), _TOO_LARGE, slug_of(status))
