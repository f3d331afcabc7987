"""What a route asks for: the transaction, the clock, the actor. The edge owns all three.

The transaction commits before the answer is sent (`scope="function"`); FastAPI's default commits after, and
would acknowledge what a failing commit then loses.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, cast
from urllib.parse import unquote_to_bytes

from fastapi import Depends, Request
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from sqlalchemy import Connection

from services.problems import ForbiddenError, InputError, input_error
from services.state import AppState
from services.tokens import Actor, Role

_bearer = HTTPBearer(auto_error=False, description="A token made with `telesales token create`.")


def state_of(request: Request) -> AppState:
    """Return what the application holds for all requests."""
    return cast("AppState", request.app.state.telesales)


async def _state(request: Request) -> AppState:
    # Asynchronous, like every dependency that does not block: others would cost a hop to a thread each.
    return state_of(request)


State = Annotated[AppState, Depends(_state)]


def transaction(request: Request) -> Iterator[Connection]:
    """Give the route a transaction: the one of an idempotent exchange if there is one, else its own."""
    shared = getattr(request.state, "connection", None)
    if shared is not None:
        yield shared
        return
    with state_of(request).engine.begin() as connection:
        yield connection


Transaction = Annotated[Connection, Depends(transaction, scope="function")]


async def _now(state: State) -> datetime:
    return state.clock()


Now = Annotated[datetime, Depends(_now, scope="function")]


def actor_of(request: Request) -> Actor:
    """Return who asks; the edge has authenticated the request before it came here."""
    return cast("Actor", request.state.actor)


class RequiresRole:
    """A dependency that lets only these roles pass; the OpenAPI document lists them."""

    def __init__(self, *roles: Role) -> None:
        self.roles = frozenset(roles)

    async def __call__(self, request: Request, _token: Annotated[object, Depends(_bearer)] = None) -> Actor:
        return self.admit(actor_of(request))

    def admit(self, actor: Actor) -> Actor:
        """Return `actor` if its role may pass.

        Raises:
            ForbiddenError: it may not.
        """
        if actor.role not in self.roles:
            allowed = ", ".join(sorted(self.roles))
            msg = f"The role {actor.role} may not do this. Roles that may: {allowed}."
            raise ForbiddenError(msg)
        return actor


def requires(*roles: Role) -> RequiresRole:
    """Return a dependency for `Annotated[Actor, Depends(requires(...))]`."""
    return RequiresRole(*roles)


async def refuse_unreadable_address(request: Request) -> None:
    """Let pass an address whose percent-encoding is UTF-8.

    What is not UTF-8 would be read as U+FFFD: two ids in GB18030 would become one, and one person be taken for another.

    Raises:
        InputError: the path or the query is in another encoding.
    """
    for loc, address in (("path", request.scope["raw_path"]), ("query", request.scope["query_string"])):
        if b"%" not in address:
            continue
        try:
            unquote_to_bytes(address).decode()
        except UnicodeDecodeError:
            raise input_error(loc, "must be percent-encoded UTF-8; encode the characters as UTF-8 first") from None


_MOST_NAMED = 100
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")


async def refuse_unknown_query(request: Request) -> None:
    """Let pass what the operation's query parameters are: ignoring a misspelt filter would answer another question.

    Raises:
        InputError: naming each parameter that the operation does not have, or that is given twice.
    """
    if not request.scope["query_string"]:
        return
    route = cast("APIRoute", request.scope["route"])
    known = [parameter.alias for parameter in route.dependant.query_params]
    given = [name for name, _ in request.query_params.multi_items()]
    bad = [name for name in dict.fromkeys(given) if name not in known or given.count(name) > 1]
    if not bad:
        return
    allowed = f"known are {', '.join(known)}" if known else "there are none"
    message = f"is no query parameter of this operation ({allowed}), or is given more than once"
    # What cannot be a name is not sent back: it may be a number or a name of a person.
    errors = [{"loc": name if _NAME.fullmatch(name) else "query", "msg": message} for name in bad[:_MOST_NAMED]]
    detail = f"{errors[0]['loc']}: {message}."
    raise InputError(detail, errors=errors)


EVERYONE = tuple(Role)
READERS = EVERYONE
