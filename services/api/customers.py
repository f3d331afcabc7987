"""Customers: put whole by the core system, read by the gate. Numbers are masked for all but officers."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from compliance.customer_rows import list_customers, put_customer
from compliance.phone_numbers import masked
from compliance.registers import Register, StoredVersion, read_version, read_versions
from compliance.shanghai import shanghai_day
from services.api.register_models import CallableNumber, CustomerBody, answer_model
from services.api.registers import (
    On,
    Reader,
    Writer,
    history_model,
    list_model,
    version_answer,
    whole,
)
from services.dependencies import Now, Transaction
from services.fields import Identifier
from services.idempotency import CreatingRoute
from services.json_answers import json_response
from services.paging import Cursor, Limit, page, position_of, read_cursor
from services.tokens import Actor, Role

router = APIRouter(prefix="/v1/customers", tags=["Registers"], route_class=CreatingRoute)

CustomerId = Annotated[Identifier, Path()]
HavingPhone = Annotated[CallableNumber | None, Query(description="Only customers who have, or ever had, this number.")]

CustomerAnswer = answer_model("CustomerAnswer", CustomerBody, customer_id=str)
CustomerList = list_model("CustomerList", CustomerAnswer)
CustomerHistory = history_model("CustomerHistory", CustomerAnswer)


def _answer(version: StoredVersion, actor: Actor) -> dict[str, object]:
    answer = version_answer(version, CustomerBody)
    if actor.role is Role.OFFICER:
        return answer
    return {**answer, "phones": [masked(phone) for phone in version.body.get("phones", ())]}


@router.put(
    "/{customer_id}",
    response_model=None,
    responses={200: {"model": CustomerAnswer}, 201: {"model": CustomerAnswer, "description": "The customer is new."}},
)
def put(customer_id: CustomerId, body: CustomerBody, connection: Transaction, now: Now, actor: Writer) -> Response:
    """Say all that is known of a customer from a day on; a version is added only when something changed.

    The answer shows the numbers in normal form, masked as in every answer to this role.
    """
    body.phones = list(dict.fromkeys(body.phones))
    version, is_new = put_customer(connection, customer_id, whole(body), person=actor.owner, now=now)
    return json_response(_answer(version, actor), HTTPStatus.CREATED if is_new else HTTPStatus.OK)


@router.get("", response_model=None, responses={200: {"model": CustomerList}})
def list_all(
    connection: Transaction,
    now: Now,
    actor: Reader,
    phone: HavingPhone = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """List the customers, newest first, as they are today."""
    query = {"register": Register.CUSTOMERS, "phone": phone}
    before = position_of(read_cursor(query, cursor))
    day = shanghai_day(now)
    rows = list_customers(connection, phone_e164=phone, day=day, before=before, limit=limit + 1)
    items = [_answer(row.version, actor) for row in rows]
    return json_response(page(items, limit=limit, query=query, names=[str(row.position) for row in rows]))


@router.get("/{customer_id}", response_model=None, responses={200: {"model": CustomerAnswer}})
def show(customer_id: CustomerId, connection: Transaction, now: Now, actor: Reader, on: On = None) -> Response:
    """Show a customer as it is, or as it is on a day."""
    version = read_version(connection, Register.CUSTOMERS, customer_id, on=on, today=shanghai_day(now))
    return json_response(_answer(version, actor))


@router.get("/{customer_id}/versions", response_model=None, responses={200: {"model": CustomerHistory}})
def history(customer_id: CustomerId, connection: Transaction, actor: Reader) -> Response:
    """Show all versions of a customer, newest first."""
    versions = read_versions(connection, Register.CUSTOMERS, customer_id)
    return json_response({"items": [_answer(version, actor) for version in reversed(versions)]})
