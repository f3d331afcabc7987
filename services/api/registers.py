"""The registers: the insurer, centres and agencies, agents, caller numbers, products, scripts, campaigns.

Every register answers to the same five requests, so they are written once and made for each: POST adds a
row, PATCH a version, GET lists the rows, shows one on a day, and shows its whole history.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BaseModel, create_model

from compliance.register_book import INSURER_ROW
from compliance.registers import (
    Change,
    Register,
    StoredVersion,
    add_row,
    amend_insurer,
    amend_row,
    list_rows,
    read_version,
    read_versions,
)
from compliance.shanghai import SHANGHAI, shanghai_day
from infra.ids import new_id_text
from services.api.register_models import (
    AgentBody,
    CallerNumberBody,
    CampaignBody,
    CentreBody,
    InsurerBody,
    ProductBody,
    RegisterBody,
    RegisterWarning,
    ScriptBody,
    answer_model,
    centre_extras,
    patch_model,
    script_extras,
)
from services.dependencies import READERS, Now, Transaction, requires
from services.fields import NO_NUL, Body, Day
from services.idempotency import CreatingRoute
from services.json_answers import json_response
from services.paging import Cursor, Limit, page, position_of, read_cursor
from services.tokens import Actor, Role

Reader = Annotated[Actor, Depends(requires(*READERS))]
Writer = Annotated[Actor, Depends(requires(Role.ADMIN))]
On = Annotated[Day | None, Query(description="The day to show; default: the last version begun by today.")]
_DATES = frozenset({"effective_from", "effective_through"})


def _no_extras(_body: Mapping[str, Any]) -> dict[str, object]:
    return {}


@dataclass(frozen=True, slots=True)
class Resource:
    """One register as the API shows it.

    `is_callers` says that the caller, not the server, gives the id. `extras` are what answers have beside the
    stored fields, and `extra_fields` their types.
    """

    register: Register
    noun: str
    id_field: str
    body: type[RegisterBody]
    is_callers: bool = False
    extras: Callable[[Mapping[str, Any]], dict[str, object]] = _no_extras
    extra_fields: Mapping[str, object] = field(default_factory=dict)

    @property
    def model_name(self) -> str:
        return self.noun.title().replace(" ", "")

    def answer(self, version: StoredVersion) -> dict[str, object]:
        """Return a version as the API shows it."""
        return {**version_answer(version, self.body), **self.extras(version.body)}


@cache
def _defaults(body: type[RegisterBody]) -> Mapping[str, object]:
    """Return the fields that may be left out of a row, as stored when they are."""
    fields = {name: info for name, info in body.model_fields.items() if not info.is_required() and name not in _DATES}
    return {name: info.get_default(call_default_factory=True) for name, info in fields.items()}


def version_answer(version: StoredVersion, body: type[RegisterBody]) -> dict[str, object]:
    """Return the fields of a version and when it holds and was recorded.

    A field that the register did not have when the version was stored has the value of one left out.
    """
    return {
        **_defaults(body),
        **version.body,
        "effective_from": version.effective_from,
        "effective_through": version.effective_through,
        "recorded_at": version.recorded_at.astimezone(SHANGHAI),
    }


def whole(body: RegisterBody) -> Change:
    """Return the change that says everything: what was left out gets its default."""
    fields = body.model_dump(mode="json", exclude=set(_DATES))
    return Change(fields, body.effective_from, body.effective_through, sets_end=True)


def partial(body: Body) -> Change:
    """Return the change that says only what was sent."""
    sent = body.model_dump(mode="json", exclude_unset=True, exclude=set(_DATES))
    dates: dict[str, date | None] = body.model_dump(include=set(_DATES))
    sets_end = "effective_through" in body.model_fields_set
    return Change(sent, dates["effective_from"], dates["effective_through"], sets_end=sets_end)


RESOURCES = (
    Resource(
        Register.CENTRES,
        "centre",
        "centre_id",
        CentreBody,
        extras=centre_extras,
        extra_fields={"warnings": list[RegisterWarning]},
    ),
    Resource(Register.AGENTS, "agent", "agent_id", AgentBody),
    Resource(Register.CALLER_NUMBERS, "caller number", "caller_number_id", CallerNumberBody),
    Resource(Register.PRODUCTS, "product", "product_code", ProductBody, is_callers=True),
    Resource(
        Register.SCRIPTS,
        "script",
        "script_id",
        ScriptBody,
        extras=script_extras,
        extra_fields={"text_sha256": str},
    ),
    Resource(Register.CAMPAIGNS, "campaign", "campaign_id", CampaignBody),
)


Endpoint = Callable[..., Response]


def _with_body(endpoint: Endpoint, body: type[BaseModel]) -> Endpoint:
    """Give an endpoint its body's model, by which FastAPI validates and publishes it."""
    endpoint.__annotations__["body"] = body
    return endpoint


def _with_id(endpoint: Endpoint, resource: Resource) -> Endpoint:
    """Give an endpoint the name of the id in its path."""
    path = Path(alias=resource.id_field, max_length=100, pattern=NO_NUL)
    endpoint.__annotations__["row_id"] = Annotated[str, path]
    return endpoint


def _create(resource: Resource) -> Endpoint:
    def create(body: RegisterBody, connection: Transaction, now: Now, actor: Writer) -> Response:
        change = whole(body)
        row_id = str(change.fields[resource.id_field]) if resource.is_callers else new_id_text()
        version = add_row(connection, resource.register, row_id, change, person=actor.owner, now=now)
        return json_response(resource.answer(version), HTTPStatus.CREATED)

    return _with_body(create, resource.body)


def _amend(resource: Resource, patch: type[Body]) -> Endpoint:
    def amend(row_id: str, body: Body, connection: Transaction, now: Now, actor: Writer) -> Response:
        version = amend_row(connection, resource.register, row_id, partial(body), person=actor.owner, now=now)
        return json_response(resource.answer(version))

    return _with_id(_with_body(amend, patch), resource)


def _show(resource: Resource) -> Endpoint:
    def show(row_id: str, connection: Transaction, now: Now, _actor: Reader, on: On = None) -> Response:
        version = read_version(connection, resource.register, row_id, on=on, today=shanghai_day(now))
        return json_response(resource.answer(version))

    return _with_id(show, resource)


def _history(resource: Resource) -> Endpoint:
    def history(row_id: str, connection: Transaction, _actor: Reader) -> Response:
        versions = read_versions(connection, resource.register, row_id)
        return json_response({"items": [resource.answer(version) for version in reversed(versions)]})

    return _with_id(history, resource)


def _list(resource: Resource) -> Endpoint:
    def list_all(
        connection: Transaction, now: Now, _actor: Reader, limit: Limit = 100, cursor: Cursor = None
    ) -> Response:
        query = {"register": resource.register}
        before = position_of(read_cursor(query, cursor))
        day = shanghai_day(now)
        rows = list_rows(connection, resource.register, day=day, before=before, limit=limit + 1)
        items = [resource.answer(row.version) for row in rows]
        return json_response(page(items, limit=limit, query=query, names=[str(row.position) for row in rows]))

    return list_all


def make_router(resource: Resource) -> APIRouter:
    """Return the routes of one register."""
    found = APIRouter(prefix=f"/v1/{resource.register}", tags=["Registers"], route_class=CreatingRoute)
    noun, one, model = resource.noun, f"/{{{resource.id_field}}}", resource.model_name
    a_noun = f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"
    patch = patch_model(f"{model}Patch", resource.body, without=frozenset({resource.id_field}))
    fields = {resource.id_field: str, **resource.extra_fields}
    answer = answer_model(f"{model}Answer", resource.body, **fields)
    listing, history = list_model(f"{model}List", answer), history_model(f"{model}History", answer)
    _add(found, "POST", "", _create(resource), f"Add {a_noun} to the register.", answer)
    _add(found, "GET", "", _list(resource), f"List the {noun}s, newest first, as they are today.", listing)
    _add(found, "GET", one, _show(resource), f"Show {a_noun} as it is, or as it is on a day.", answer)
    _add(found, "PATCH", one, _amend(resource, patch), f"Add a version to {a_noun}; the others stay.", answer)
    _add(found, "GET", f"{one}/versions", _history(resource), f"Show all versions of {a_noun}.", history)
    return found


def _add(
    router: APIRouter, method: str, path: str, endpoint: Endpoint, description: str, model: type[BaseModel]
) -> None:
    status = HTTPStatus.CREATED if method == "POST" else HTTPStatus.OK
    router.add_api_route(
        path,
        endpoint,
        methods=[method],
        name=description.split(",", maxsplit=1)[0].split(";", maxsplit=1)[0].rstrip("."),
        description=description,
        response_model=None,
        status_code=status,
        responses={status.value: {"model": model}},
    )


def list_model(name: str, answer: type[BaseModel]) -> type[BaseModel]:
    """Return the model of a page of answers."""
    fields: dict[str, Any] = {"items": (list[answer], ...), "next_cursor": (str | None, ...)}  # type: ignore[valid-type]  # made at run time
    return create_model(name, **fields)


def history_model(name: str, answer: type[BaseModel]) -> type[BaseModel]:
    """Return the model of all versions of a row, newest first."""
    fields: dict[str, Any] = {"items": (list[answer], ...)}  # type: ignore[valid-type]  # made at run time
    return create_model(name, **fields)


def _show_insurer(connection: Transaction, now: Now, _actor: Reader, on: On = None) -> Response:
    version = read_version(connection, Register.INSURER, INSURER_ROW, on=on, today=shanghai_day(now))
    return json_response(version_answer(version, InsurerBody))


def _amend_insurer(body: Body, connection: Transaction, now: Now, actor: Writer) -> Response:
    defaults = whole(InsurerBody()).fields
    version = amend_insurer(connection, partial(body), defaults=defaults, person=actor.owner, now=now)
    return json_response(version_answer(version, InsurerBody))


def _insurer_history(connection: Transaction, _actor: Reader) -> Response:
    versions = read_versions(connection, Register.INSURER, INSURER_ROW)
    return json_response({"items": [version_answer(version, InsurerBody) for version in reversed(versions)]})


def make_insurer_router() -> APIRouter:
    """Return the routes of the insurer, of whom there is one: the first PATCH makes the row."""
    found = APIRouter(prefix="/v1/insurer", tags=["Registers"], route_class=CreatingRoute)
    answer = answer_model("InsurerAnswer", InsurerBody)
    amend = _with_body(_amend_insurer, patch_model("InsurerPatch", InsurerBody))
    _add(found, "GET", "", _show_insurer, "Show the insurer as it is, or as it is on a day.", answer)
    _add(found, "PATCH", "", amend, "Add a version to the insurer; the others stay.", answer)
    history = history_model("InsurerHistory", answer)
    _add(found, "GET", "/versions", _insurer_history, "Show all versions of the insurer.", history)
    return found


ROUTERS = (make_insurer_router(), *(make_router(resource) for resource in RESOURCES))
