"""The published OpenAPI document: generated from the routes, with roles and error answers on every operation."""

import re
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.routing import APIRoute

from services.dependencies import RequiresRole
from services.edge import OPEN_PATHS
from services.fields import ProblemBody
from services.problems import MEDIA_TYPE
from services.routes import ROUTERS

_ERRORS = {
    "400": "The request is not what its headers say.",
    "401": "No live token.",
    "403": "The token's role or person may not do this.",
    "404": "Nothing has this id.",
    "409": "The request collides with what is recorded.",
    "413": "More was sent than is accepted.",
    "422": "A value cannot be used; `errors` says which and why.",
    "503": "The database is away, slow or full. Nothing was decided: do not place the call.",
}
_SCHEMA = "#/components/schemas/ProblemBody"


def roles_of(route: APIRoute) -> list[str]:
    """Return the roles that may use a route, as its dependency states them."""
    found = [one.call.roles for one in route.dependant.dependencies if isinstance(one.call, RequiresRole)]
    return sorted({str(role) for roles in found for role in roles})


def publish_openapi(app: FastAPI) -> None:
    """Serve the document at `/openapi.json` and a page to read it at `/docs`, both without a token."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's documented way to extend the document

    @app.get("/openapi.json", include_in_schema=False)
    async def openapi_document() -> JSONResponse:
        return JSONResponse(document())

    @app.get("/docs", include_in_schema=False)
    async def openapi_page() -> HTMLResponse:
        return HTMLResponse(_page(document()))


def _document(app: FastAPI) -> dict[str, Any]:
    found = get_openapi(title=app.title, version=app.version, routes=app.routes, summary=_SUMMARY)
    schemas = found.setdefault("components", {}).setdefault("schemas", {})
    schema = ProblemBody.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(schema.pop("$defs", {}))
    schemas["ProblemBody"] = schema
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    roles = {
        (route.path_format, method.lower()): roles_of(route)
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }
    for path, operations in found["paths"].items():
        for method, operation in operations.items():
            operation["operationId"] = _operation_id(method, path)
            operation["summary"] = _first_sentence(operation["description"])
            _complete(operation, path, roles.get((path, method), []))
    return found


def _operation_id(method: str, path: str) -> str:
    """Return what a generated client calls an operation: of its address, which stays, not of our functions' names."""
    words = re.findall(r"[A-Za-z0-9]+", path.removeprefix("/v1"))
    return "_".join([method, *words])


def _first_sentence(description: str) -> str:
    return re.split(r"[.;:]\s(?!\d)", description, maxsplit=1)[0].rstrip(".;:")


def _complete(operation: dict[str, Any], path: str, roles: list[str]) -> None:
    answers = operation.setdefault("responses", {})
    if path in OPEN_PATHS:
        operation["security"] = []
        answers.pop("422", None)
        return
    operation["x-roles"] = roles
    for status, meaning in _ERRORS.items():
        answers[status] = {
            "description": meaning,
            "content": {MEDIA_TYPE: {"schema": {"$ref": _SCHEMA}}},
        }


_SUMMARY = "May this call be placed now? Every answer cites its article."
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "code{background:#f2f2f2;padding:0 .3em}td,th{text-align:left;padding:.2em .8em .2em 0;vertical-align:top}"
)


def _page(found: dict[str, Any]) -> str:
    """Return a plain page that needs nothing from any other server."""
    rows = "".join(
        f"<tr><td><code>{method.upper()} {path}</code></td><td>{operation.get('description', '')}</td>"
        f"<td>{', '.join(operation.get('x-roles', [])) or 'open'}</td></tr>"
        for path, operations in found["paths"].items()
        for method, operation in operations.items()
    )
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{found['info']['title']}</title>"
        f"<style>{_STYLE}</style><h1>{found['info']['title']} {found['info']['version']}</h1>"
        f"<p>{_SUMMARY} The whole document: <a href=/openapi.json>openapi.json</a>.</p>"
        f"<table><tr><th>Operation<th>What it does<th>Roles</tr>{rows}</table></html>"
    )
