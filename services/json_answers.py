"""Answers as JSON whose instants keep their +08:00."""

from http import HTTPStatus

import msgspec
from fastapi import Response


def json_response(content: object, status: int = HTTPStatus.OK) -> Response:
    """Return an answer as JSON; instants are shown in the zone that they have."""
    return Response(msgspec.json.encode(content), status, media_type="application/json")
