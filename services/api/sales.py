"""Sales: what was sold to whom by which calls, and the facts that start and end the clocks of a contract."""

from collections.abc import Sequence
from datetime import date, datetime
from http import HTTPStatus
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import AfterValidator, BaseModel, Field, StrictBool, StringConstraints

from compliance.approvals import request_approval
from compliance.call_facts import CentreKind
from compliance.retention_terms import RetentionClass
from compliance.sale_endings import TERMINATION_EARLIER
from compliance.sale_rows import (
    Confirmation,
    NewSale,
    SaleEvent,
    SaleFilter,
    StoredSale,
    list_sales,
    read_call_ids,
    read_sale,
    read_sale_events,
)
from compliance.sale_terms import InspectionClass, WindowBasis, cooling_off_end, cooling_off_start
from compliance.sales import Amendment, delivery_of
from compliance.shanghai import SHANGHAI, shanghai_day
from compliance.working_days import Calendar
from infra.ids import new_id
from services import sales_service
from services.dependencies import Now, State, Transaction, requires
from services.fields import NO_NUL, Body, Day, Identifier, Instant, Pending, Reason
from services.idempotency import CreatingRoute
from services.json_answers import json_response
from services.paging import Cursor, Limit, check_span, page, position_of, read_cursor
from services.problems import input_error
from services.shown_numbers import shown_words
from services.tokens import Actor, Role

router = APIRouter(prefix="/v1/sales", tags=["Sales"], route_class=CreatingRoute)

Writer = Annotated[Actor, Depends(requires(Role.OFFICER, Role.ADMIN))]
Reader = Annotated[Actor, Depends(requires(Role.INSPECTOR, Role.OFFICER, Role.ADMIN, Role.AUDITOR))]

_SEES_BIRTH_DATES = frozenset({Role.OFFICER, Role.ADMIN})
_MOST_CALLS = 1000
_MOST_MONTHS = 1200
_MOST_COOLING_OFF_DAYS = 365


def _printable(policy_no: str) -> str:
    if not policy_no.isprintable() or any(sign.isspace() for sign in policy_no):
        msg = "must be 1 to 64 printable characters without white space"
        raise ValueError(msg)
    return policy_no


PolicyNo = Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(_printable)]
PolicyNoOfPath = Annotated[str, Path(min_length=1, max_length=100, pattern=NO_NUL)]


class SaleBody(Body):
    """A closed sale. What is not known yet is left out or null; receipt and effect follow with PATCH."""

    policy_no: PolicyNo
    product_code: Identifier
    sales_mode: CentreKind
    centre_id: Identifier
    agent_id: Identifier
    call_ids: list[Identifier] = Field(default=[], max_length=_MOST_CALLS, description="All calls of the sale.")
    consented_at: Instant = Field(description="When the applicant agreed; its day in Shanghai is the closing day.")
    cover_start: Day
    cover_end_exclusive: Day | None = Field(default=None, description="First day without cover; null: whole life.")
    declared_term_months: int | None = Field(default=None, ge=1, le=_MOST_MONTHS)
    cooling_off_days: int = Field(ge=0, le=_MOST_COOLING_OFF_DAYS)
    effective_on: Day | None = None
    receipt_confirmed_on: Day | None = None
    confirmation: Confirmation
    applicant_birth_date: Day | None = None
    applicant_is_insured: StrictBool | None = None
    medical_exam: StrictBool | None = None
    gift: StrictBool = False

    def sale(self) -> NewSale:
        return NewSale(**{**dict(self), "call_ids": tuple(self.call_ids)})


class DeliveryNotice(Body):
    """When and why the applicant was told that the papers come late (art. 38)."""

    notified_on: Day
    reason: Reason


class SaleChange(Body):
    """Facts that became known or were corrected. The customer's right moves only later, the inspection only earlier."""

    receipt_confirmed_on: Day | None = None
    effective_on: Day | None = None
    delivered_on: Day | None = None
    delivery_notice: DeliveryNotice | None = None

    def amendment(self) -> Amendment:
        notice = None if self.delivery_notice is None else self.delivery_notice.model_dump(mode="json")
        return Amendment(
            receipt_confirmed_on=self.receipt_confirmed_on,
            effective_on=self.effective_on,
            delivered_on=self.delivered_on,
            delivery_notice=notice,
        )


class TerminationBody(Body):
    """The contract's last day, whatever ended it."""

    ended_on: Day
    reason: Reason


class ReinstatementBody(Body):
    reinstated_on: Day
    reason: Reason


class FindingAnswer(BaseModel):
    code: str
    article: str
    message: str
    message_zh: str


class CoolingOffAnswer(BaseModel):
    """By the count of days, and the customer's right after rest days; nulls until receipt and effect are known."""

    start_on: date | None
    ends_on: date | None
    right_through: date | None


class DeliveryAnswer(BaseModel):
    """`late` without a notice to the applicant by `due_on` is a `breach`. `provisional`: may prove too early."""

    due_on: date
    delivered_on: date | None
    late: bool
    breach: bool
    provisional: bool


class EndingAnswer(BaseModel):
    kind: Literal["terminated", "reinstated"]
    on: date
    reason: str
    actor: str
    approved_by: str | None
    recorded_at: datetime


class TerminationAnswer(BaseModel):
    """`ended_on` null: the contract runs, as far as known. The history is oldest first."""

    ended_on: date | None
    history: list[EndingAnswer]


class SaleAnswer(BaseModel):
    policy_no: str
    product_code: str
    sales_mode: CentreKind
    centre_id: str
    agent_id: str
    call_ids: list[str]
    consented_at: datetime
    closed_on: date
    cover_start: date
    cover_end_exclusive: date | None
    declared_term_months: int | None
    cooling_off_days: int
    effective_on: date | None
    receipt_confirmed_on: date | None
    confirmation: Confirmation
    applicant_birth_date: date | None = Field(description="Null for roles that may not see it.")
    applicant_is_insured: bool | None
    medical_exam: bool | None
    gift: bool
    inspection_class: InspectionClass
    inspect_before: datetime
    inspect_before_basis: WindowBasis
    cooling_off: CoolingOffAnswer
    retention_class: RetentionClass
    deliver_by: date
    delivery: DeliveryAnswer
    delivery_notice: DeliveryNotice | None
    voice_confirmation_allowed: bool
    termination: TerminationAnswer
    findings: list[FindingAnswer]
    recorded_at: datetime
    changed_at: datetime


class SaleList(BaseModel):
    items: list[SaleAnswer]
    next_cursor: str | None


@router.post(
    "",
    response_model=None,
    status_code=HTTPStatus.CREATED,
    responses={201: {"model": SaleAnswer}, 200: {"model": SaleAnswer, "description": "The same sale came before."}},
)
def register(body: SaleBody, connection: Transaction, now: Now, state: State, actor: Writer) -> Response:
    """Register a sale, also one that breaks the rules: what was found stands in `findings` and opens an incident."""
    calendar = state.gate.calendar
    book = state.gate.shelf.book(connection, counters=None, now=now)
    registered = sales_service.register(
        connection, body.sale(), book=book, calendar=calendar, person=actor.owner, now=now
    )
    status = HTTPStatus.CREATED if registered.is_new else HTTPStatus.OK
    return json_response(_answers(connection, [registered.sale], calendar, actor, now)[0], status)


OfCentre = Annotated[str | None, Query(min_length=1, max_length=100, pattern=NO_NUL)]
FromDay = Annotated[Day | None, Query(alias="from", description="First closing day, in Shanghai.")]
ToDay = Annotated[Day | None, Query(alias="to", description="Last closing day, included.")]


@router.get("", response_model=None, responses={200: {"model": SaleList}})
def list_all(  # noqa: PLR0913 - one argument per query parameter
    *,
    connection: Transaction,
    now: Now,
    state: State,
    actor: Reader,
    centre_id: OfCentre = None,
    from_day: FromDay = None,
    to_day: ToDay = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """List sales, the last registered first."""
    check_span(from_day, to_day)
    query = {"list": "sales", "centre_id": centre_id, "from": from_day, "to": to_day}
    before = position_of(read_cursor(query, cursor))
    wanted = SaleFilter(centre_id=centre_id, from_day=from_day, to_day=to_day)
    found = list_sales(connection, wanted, before=before, limit=limit + 1)
    items = _answers(connection, found, state.gate.calendar, actor, now)
    return json_response(page(items, limit=limit, query=query, names=[str(one.position) for one in found]))


@router.post(
    "/{policy_no:path}/termination",
    response_model=None,
    responses={
        200: {"model": SaleAnswer},
        202: {"model": Pending, "description": "An earlier end waits for another officer."},
    },
)
def terminate(
    policy_no: PolicyNoOfPath, body: TerminationBody, connection: Transaction, now: Now, state: State, actor: Writer
) -> Response:
    """Record the contract's last day. A later one counts at once; an earlier one waits for another officer."""
    ending = sales_service.terminate(
        connection, policy_no, ended_on=body.ended_on, reason=body.reason, person=actor.owner, now=now
    )
    if ending.request is None:
        return json_response(_answers(connection, [ending.sale], state.gate.calendar, actor, now)[0])
    request_id = new_id()
    request_approval(
        connection,
        request_id=request_id,
        kind=TERMINATION_EARLIER,
        payload=ending.request,
        person=actor.owner,
        now=now,
    )
    return json_response({"request_id": str(request_id)}, HTTPStatus.ACCEPTED)


@router.post("/{policy_no:path}/reinstatement", response_model=None, responses={200: {"model": SaleAnswer}})
def reinstate(
    policy_no: PolicyNoOfPath, body: ReinstatementBody, connection: Transaction, now: Now, state: State, actor: Writer
) -> Response:
    """Record that a contract which had ended runs again; its recordings are held as before."""
    sale = sales_service.reinstate(
        connection, policy_no, reinstated_on=body.reinstated_on, reason=body.reason, person=actor.owner, now=now
    )
    return json_response(_answers(connection, [sale], state.gate.calendar, actor, now)[0])


# A policy number may hold a slash.
@router.get("/{policy_no:path}", response_model=None, responses={200: {"model": SaleAnswer}})
def show(policy_no: PolicyNoOfPath, connection: Transaction, now: Now, state: State, actor: Reader) -> Response:
    """Show a sale as it stands."""
    return json_response(_answers(connection, [read_sale(connection, policy_no)], state.gate.calendar, actor, now)[0])


@router.patch("/{policy_no:path}", response_model=None, responses={200: {"model": SaleAnswer}})
def amend(
    policy_no: PolicyNoOfPath, body: SaleChange, connection: Transaction, now: Now, state: State, actor: Writer
) -> Response:
    """Record receipt, effect or delivery; a field left out or null stays as it is."""
    if all(value is None for _, value in body):
        raise input_error("body", "give receipt_confirmed_on, effective_on, delivered_on or delivery_notice")
    calendar = state.gate.calendar
    sale = sales_service.amend(connection, policy_no, body.amendment(), calendar=calendar, person=actor.owner, now=now)
    return json_response(_answers(connection, [sale], calendar, actor, now)[0])


def _answers(
    connection: Transaction, found: Sequence[StoredSale], calendar: Calendar, actor: Actor, now: datetime
) -> list[dict[str, object]]:
    policy_nos = [sale.policy_no for sale in found]
    calls, events = read_call_ids(connection, policy_nos), read_sale_events(connection, policy_nos)
    return [
        {
            **_answer(sale, calendar=calendar, actor=actor, today=shanghai_day(now)),
            "call_ids": calls.get(sale.policy_no, []),
            "termination": _termination(sale, events.get(sale.policy_no, ()), actor),
        }
        for sale in found
    ]


_AS_STORED = (
    "policy_no",
    "product_code",
    "sales_mode",
    "centre_id",
    "agent_id",
    "closed_on",
    "cover_start",
    "cover_end_exclusive",
    "declared_term_months",
    "cooling_off_days",
    "effective_on",
    "receipt_confirmed_on",
    "inspection_class",
    "inspect_before_basis",
    "retention_class",
    "deliver_by",
    "findings",
)
_AS_SENT = ("confirmation", "applicant_is_insured", "medical_exam")


def _answer(sale: StoredSale, *, calendar: Calendar, actor: Actor, today: date) -> dict[str, object]:
    terms = sale.terms()
    notice = sale.delivery_notice
    birth_date = sale.content["applicant_birth_date"] if actor.role in _SEES_BIRTH_DATES else None
    return {
        **{name: getattr(sale, name) for name in _AS_STORED},
        **{name: sale.content[name] for name in _AS_SENT},
        "applicant_birth_date": birth_date,
        "gift": sale.is_gift,
        "consented_at": sale.consented_at.astimezone(SHANGHAI),
        "inspect_before": sale.inspect_before.astimezone(SHANGHAI),
        "cooling_off": {
            "start_on": cooling_off_start(terms),
            "ends_on": cooling_off_end(terms),
            "right_through": sale.right_through,
        },
        "delivery_notice": notice and {**notice, "reason": shown_words(notice["reason"], actor=actor)},
        "delivery": delivery_of(sale, calendar=calendar, today=today)._asdict(),
        "voice_confirmation_allowed": sale.is_voice_confirmable,
        "recorded_at": sale.recorded_at.astimezone(SHANGHAI),
        "changed_at": sale.changed_at.astimezone(SHANGHAI),
    }


def _termination(sale: StoredSale, events: Sequence[SaleEvent], actor: Actor) -> dict[str, object]:
    days = {"terminated": "ended_on", "reinstated": "reinstated_on"}
    return {
        "ended_on": sale.ended_on,
        "history": [
            {
                "kind": event.kind,
                "on": event.details[days[event.kind]],
                "reason": shown_words(event.details["reason"], actor=actor),
                "actor": event.details.get("requested_by", event.actor),
                "approved_by": event.details.get("approved_by"),
                "recorded_at": event.recorded_at.astimezone(SHANGHAI),
            }
            for event in events
            if event.kind in days
        ],
    }
