"""JSON bodies read strictly: whoever reads the same bytes elsewhere must find the same request in them.

Owns how bytes become JSON. What the JSON must hold is the models' business.
"""

import json
import re
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

from fastapi import Request, Response
from fastapi.routing import APIRoute

Handler = Callable[[Request], Coroutine[Any, Any, Response]]

MOST_NAMES = 100
"""So many names an object may have, several times what any has that is asked for. Without a bound a body of some
megabytes full of unknown names takes gigabytes of errors, and for many seconds nobody else is answered."""

MOST_NAMES_IN_ALL = 300_000
"""So many names all objects of a body may have together: 10,000 checks or call records have fewer."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


class _NotJsonError(ValueError):
    """The JSON of the standard, but more than it says is allowed."""


def read_json(body: bytes) -> Any:  # noqa: ANN401 - whatever came in JSON
    """Return what `body` holds.

    A name that an object has twice is refused: one reader takes the first value and another the last, and a call to
    one number would be placed on the answer for another.

    Raises:
        json.JSONDecodeError: it is no JSON, is no UTF-8, is not JSON in one sense only, or has too many names.
    """
    try:
        # Of bytes, `json` would read UTF-16 and UTF-32 too, which others do not take for JSON.
        return json.loads(body.decode("utf-8-sig"), object_pairs_hook=_Names().read, parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise json.JSONDecodeError("the text is not UTF-8", "", error.start) from error
    except RecursionError as error:
        raise json.JSONDecodeError("the values are nested too deeply", "", 0) from error
    except json.JSONDecodeError:
        raise
    except _NotJsonError as error:
        raise json.JSONDecodeError(str(error), "", 0) from error
    except ValueError as error:  # Python refuses to read integers of thousands of digits
        raise json.JSONDecodeError("a number has too many digits", "", 0) from error


def may_repeat_a_name(body: bytes, names: int) -> bool:
    """Say whether an object of `names` different names, read from `body`, can have had one of them twice.

    Each name is followed by a colon of its own, so that this costs nothing where no value has a colon.
    """
    return body.count(b":") > names


class _Names:
    """Reads the objects of one body, and counts their names."""

    def __init__(self) -> None:
        self._left = MOST_NAMES_IN_ALL

    def read(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(pairs) > MOST_NAMES:
            raise _NotJsonError(f"an object has more than {MOST_NAMES} names, and none here needs as many")
        self._left -= len(pairs)
        if self._left < 0:
            raise _NotJsonError(f"the objects have more than {MOST_NAMES_IN_ALL} names together; send fewer at a time")
        found = dict(pairs)
        if len(found) != len(pairs):
            raise _NotJsonError(f"{_repeated(pairs)} stands more than once in one object")
        return found


def _repeated(pairs: list[tuple[str, Any]]) -> str:
    names = [name for name, _ in pairs]
    repeated = next(name for name in names if names.count(name) > 1)
    # What cannot be a name of a field is not sent back: it may be a number or a name of a person.
    return repeated if _NAME.fullmatch(repeated) else "a name"


def _refuse_constant(constant: str) -> NoReturn:
    raise _NotJsonError(f"{constant} is no JSON number")


def json_fault(error: json.JSONDecodeError) -> dict[str, object]:
    """Return what is wrong with a body in the form in which validation tells of its values."""
    return {"type": "json_invalid", "loc": ("body", error.pos), "msg": error.msg, "ctx": {"error": error.msg}}


class JsonRequest(Request):
    """A request whose JSON is read strictly."""

    @classmethod
    def of(cls, request: Request) -> Request:
        """Return `request`, of which nothing has been read yet, as one of these."""
        return request if isinstance(request, cls) else cls(request.scope, request.receive)

    async def json(self) -> Any:  # noqa: ANN401 - whatever came in JSON
        if not hasattr(self, "_json"):
            self._json = read_json(await self.body())
        return self._json


class JsonRoute(APIRoute):
    """A route that reads its JSON strictly."""

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()

        async def handle_strictly(request: Request) -> Response:
            return await handle(JsonRequest.of(request))

        return handle_strictly
