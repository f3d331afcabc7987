"""Errors as answers: the one table from our exceptions to HTTP, and problem+json (RFC 9457) for all of them."""

import errno
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, TypeVar

import psycopg
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException

from infra.logs import logger
from services.rejected_values import rejected_value

MEDIA_TYPE = "application/problem+json"
_TYPE_BASE = "urn:telesales:problem:"
_MOST_ERRORS = 1000
_AWAY_STATES = ("08", "53", "57", "58", "25006", "40", "55P03", "XX001", "XX002")
"""SQLSTATE classes that mean: away, shutting down, full, slow, in recovery, or in conflict; all worth a new try."""

log = logger(__name__)


@dataclass(frozen=True, slots=True)
class Problem:
    """The body of an error answer; `extra` holds members beside those of the RFC."""

    status: int
    title: str
    detail: str
    slug: str
    errors: Sequence[Mapping[str, object]] | None = None
    extra: Mapping[str, object] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self) -> dict[str, object]:
        found: dict[str, object] = {
            "type": _TYPE_BASE + self.slug,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors is not None:
            found["errors"] = list(self.errors)
        return {**found, **self.extra}

    def response(self) -> Response:
        content = json.dumps(self.body(), ensure_ascii=False, default=str)
        return Response(content, self.status, media_type=MEDIA_TYPE, headers=dict(self.headers))


_TITLES = {413: "Content Too Large", 416: "Range Not Satisfiable", 422: "Unprocessable Content"}
"""What RFC 9110 named anew; Python's library follows it from 3.13 on."""

_SLUGS = {413: "request-entity-too-large"}
"""Where the last part of the type is not made of the title: clients know it by its older name."""


def title_of(status: int) -> str:
    """Return the name of a status as RFC 9110 has it, whatever this Python's library calls it."""
    return _TITLES.get(status) or HTTPStatus(status).phrase


def slug_of(status: int) -> str:
    """Return the last part of the type of a problem that says no more than its status."""
    return _SLUGS.get(status) or title_of(status).lower().replace(" ", "-")


def fault_of_ours() -> Problem:
    """Return the answer when the program itself is at fault; a dialer reads it as a denial."""
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    detail = "The server made a mistake; it is in its log under the request's id. Do not place the call."
    return Problem(status, title_of(status), detail, "internal", extra={"decision": "deny"})


class RefusedError(Exception):
    """A request that cannot be carried out as it stands; says what, why and what to do.

    The base of the edge's own refusals. Errors of the packages below are mapped in `register_problem`.
    """

    status = HTTPStatus.CONFLICT
    slug = "conflict"

    def __init__(self, detail: str, *, errors: Sequence[Mapping[str, object]] | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = errors

    def problem(self) -> Problem:
        return Problem(self.status, title_of(self.status), self.detail, self.slug, self.errors)


class ForbiddenError(RefusedError):
    """The token's role or person may not do this."""

    status = HTTPStatus.FORBIDDEN
    slug = "forbidden"


class NotFoundError(RefusedError):
    """Nothing has this id."""

    status = HTTPStatus.NOT_FOUND
    slug = "not-found"


class InputError(RefusedError):
    """Well-formed JSON that asks for something the law, the contract or the data does not allow."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    slug = "invalid-input"


def input_error(loc: str, message: str, **more: object) -> InputError:
    """Return the error for one bad field, named by its path in the body."""
    return InputError(f"{loc}: {message}", errors=[{"loc": loc, "msg": message, **more}])


class ConflictError(RefusedError):
    """The request collides with what is recorded already."""


def database_away(detail: str = "The database cannot be reached in time.") -> Problem:
    """Return the answer while nothing can be decided: a dialer reads it as a denial."""
    return Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "Service Unavailable",
        f"{detail} Nothing was decided or stored; do not place the call. Try again.",
        "unavailable",
        extra={"decision": "deny"},
        headers={"Retry-After": "1"},
    )


def unauthorized() -> Problem:
    return Problem(
        HTTPStatus.UNAUTHORIZED,
        "Unauthorized",
        "Send a live token as 'Authorization: Bearer TOKEN'. Tokens are made with 'telesales token create'.",
        "unauthorized",
        headers={"WWW-Authenticate": "Bearer"},
    )


def is_database_away(error: BaseException) -> bool:
    """Return whether a database error means "away, slow or full" and not a fault of ours."""
    if isinstance(error, OperationalError | InterfaceError | PoolTimeoutError | psycopg.OperationalError):
        return True
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    return (_sqlstate(error) or "").startswith(_AWAY_STATES)


_FULL = "The server's disk is full."
_DISKS = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: _FULL,
    errno.EROFS: "The server's disk cannot be written to: systems turn a failing disk read-only.",
}
_DATABASES = {
    "25006": "The database takes no changes now, as a standby does.",
    "53100": "The disk of the database is full.",
    "53300": "The database has no connection free.",
}
"""What SQLSTATEs mean beyond "away": words that send an operator to the right place."""

_E = TypeVar("_E", bound=Exception)
_domain: dict[type[Exception], Callable[[Any], Problem]] = {}


def register_answer(error: type[_E], answer: Callable[[_E], Problem]) -> None:
    """Say what answer an error of a package below becomes."""
    _domain[error] = answer


def register_problem(error: type[Exception], status: HTTPStatus, slug: str) -> None:
    """Say which status an error of a package below becomes; its message is the detail."""
    register_answer(error, lambda raised: Problem(status, title_of(status), str(raised), slug))


def problem_of(error: Exception) -> Problem | None:
    """Return the answer for an error of ours, None for one that is nobody's."""
    if isinstance(error, RefusedError):
        return error.problem()
    for kind in type(error).__mro__:
        if kind in _domain:
            return _domain[kind](error)
    return None


def registered_errors() -> frozenset[type[Exception]]:
    """Return every domain error that has an answer."""
    return frozenset(_domain)


def _validation_problem(error: RequestValidationError) -> Problem:
    found = error.errors()
    errors = [rejected_value(one) for one in found[:_MOST_ERRORS]]
    named = ", ".join(dict.fromkeys(str(one["loc"]) for one in errors[:5]))
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "Unprocessable Content",
        f"{len(found)} of the values sent cannot be used ({named}). See 'errors' for each.",
        "invalid-input",
        errors,
    )


def install_problem_handlers(app: FastAPI, *, methods_at: Callable[[str], Collection[str]]) -> None:
    """Make every error of the application answer with problem+json.

    `methods_at` tells which methods a path has, over all its routes.
    """

    @app.exception_handler(RequestValidationError)
    def on_validation(_request: Request, error: RequestValidationError) -> Response:
        return _validation_problem(error).response()

    @app.exception_handler(HTTPException)
    def on_http(request: Request, error: HTTPException) -> Response:
        title = title_of(error.status_code)
        headers, detail = dict(error.headers or {}), str(error.detail)
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = allowed = ", ".join(sorted(methods_at(request.url.path)))
            detail = f"This path does not take {request.method}, but {allowed}."
        elif error.status_code == HTTPStatus.NOT_FOUND and detail == title:
            # Starlette's own words: no route has this path. It is not said again, as it may hold a number.
            detail = "There is no such path. /docs lists all operations; no path ends in a slash."
        return Problem(error.status_code, title, detail, slug_of(error.status_code), headers=headers).response()

    @app.exception_handler(RefusedError)
    def on_refused(_request: Request, error: RefusedError) -> Response:
        return error.problem().response()

    @app.exception_handler(psycopg.Error)
    @app.exception_handler(SQLAlchemyError)
    def on_database(_request: Request, error: Exception) -> Response:
        return _database_problem(error).response()

    app.add_exception_handler(OSError, _on_disk)
    for kind in _domain:
        app.add_exception_handler(kind, _on_domain)


def _on_disk(_request: Request, error: Exception) -> Response:
    told = _DISKS.get(error.errno or 0) if isinstance(error, OSError) else None
    if told is None:
        raise error
    log.error("disk_unusable", reason=told)
    return database_away(told).response()


def _on_domain(_request: Request, error: Exception) -> Response:
    problem = problem_of(error)
    if problem is None:
        raise error
    return problem.response()


def _database_problem(error: Exception) -> Problem:
    state = _sqlstate(error)
    if is_database_away(error):
        log.warning("database_away", error=type(error).__name__, sqlstate=state)
        told = _DATABASES.get(state or "")
        return database_away() if told is None else database_away(told)
    log.error("database_error", error=type(error).__name__, sqlstate=state)
    return database_away("The database refused the work.")


def _sqlstate(error: BaseException) -> str | None:
    original: Any = getattr(error, "orig", error)
    state: str | None = getattr(original, "sqlstate", None)
    return state
