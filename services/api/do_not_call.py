"""The do-not-call list: refusals in, entries out, early release with another officer. Nothing is ever deleted."""

from datetime import date, datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, Field

from compliance.approvals import request_approval
from compliance.block_entries import (
    BlockSource,
    EntryEvent,
    ListedEntry,
    PersonKey,
    find_entries,
    read_entry,
    read_history,
    with_phones,
)
from compliance.block_list import BlockChange, BlockResult, FutureRefusalError, Refusal, block_person
from compliance.block_release import RELEASE, release_payload
from compliance.do_not_call import PERMANENT, first_callable
from compliance.policy_store import policy_for_blocks
from compliance.shanghai import SHANGHAI, in_shanghai
from compliance.working_days import Calendar
from infra.ids import new_id
from services.api.register_models import CallableNumber
from services.cited_recordings import fault_of_recording, require_heard
from services.dependencies import Now, State, Transaction, requires
from services.fields import Body, Evidence, Identifier, Instant, LongText, Pending, Reason
from services.idempotency import CreatingRoute
from services.json_answers import json_response
from services.paging import Cursor, Limit, id_of, page, read_cursor
from services.problems import input_error
from services.shown_numbers import shown
from services.tokens import Actor, Role

router = APIRouter(prefix="/v1/do-not-call", tags=["Do-not-call list"], route_class=CreatingRoute)

Writer = Annotated[Actor, Depends(requires(Role.DIALER, Role.INSPECTOR, Role.OFFICER))]
Reader = Annotated[Actor, Depends(requires(Role.DIALER, Role.INSPECTOR, Role.OFFICER, Role.AUDITOR))]
Officer = Annotated[Actor, Depends(requires(Role.OFFICER))]

_MOST_MONTHS = 1200


class RefusalBody(Body):
    """A person wants no more sales calls. `phone` or `customer_id` must be given."""

    phone: CallableNumber | None = None
    customer_id: Identifier | None = None
    source: BlockSource = BlockSource.OTHER
    refused_at: Instant | None = Field(default=None, description="Default: now.")
    months: int | None = Field(default=None, ge=0, le=_MOST_MONTHS, description="Default: the policy's figure.")
    permanent: bool = False
    reason: LongText | None = None
    evidence: Evidence | None = None

    def refusal(self, *, now: datetime) -> Refusal:
        return Refusal(
            phone_e164=self.phone,
            customer_id=self.customer_id,
            source=self.source,
            refused_at=self.refused_at or now,
            months=self.months,
            permanent=self.permanent,
            reason=self.reason,
            evidence=None if self.evidence is None else self.evidence.model_dump(exclude_none=True),
        )


class ReleaseBody(Body):
    """The customer's own request to be called again, with where it can be heard or read."""

    reason: Reason
    evidence: Evidence


class DoNotCallWarning(BaseModel):
    code: Literal["raised_to_floor", "evidence_not_found"]
    article: str
    message: str
    message_zh: str


class DoNotCallEntryAnswer(BaseModel):
    """An entry. `blocked_through` is the last blocked day by month count, `first_callable_on` when the gate opens."""

    entry_id: str
    phone: str | None
    phones: list[str]
    customer_id: str | None
    refused_at: datetime
    blocked_from: datetime
    blocked_through: date | None
    first_callable_on: date | None
    provisional: bool
    permanent: bool
    source: BlockSource
    reason: str | None
    released_at: datetime | None
    created_at: datetime


class BlockAnswer(DoNotCallEntryAnswer):
    warnings: list[DoNotCallWarning]


class EventAnswer(BaseModel):
    """What happened to an entry. `raised`: a tighter policy moved its end; `details` name its digest and months."""

    event_id: str
    kind: Literal["refusal", "phone_added", "release", "raised"]
    refused_at: datetime | None
    blocked_through: date | None
    details: dict[str, Any]
    actor: str
    recorded_at: datetime


class DoNotCallEntryWithHistory(DoNotCallEntryAnswer):
    history: list[EventAnswer]


class DoNotCallEntryList(BaseModel):
    items: list[DoNotCallEntryAnswer]
    next_cursor: str | None


def _answer(listed: ListedEntry, *, calendar: Calendar, actor: Actor, sent: str | None = None) -> dict[str, object]:
    entry, phones = listed
    opens = None if entry.is_permanent else first_callable(entry.blocked_through, calendar)
    first = sent if sent is not None else next(iter(phones), None)
    return {
        "entry_id": str(entry.entry_id),
        "phone": None if first is None else shown(first, actor=actor, sent=(sent,)),
        "phones": [shown(phone, actor=actor, sent=(sent,)) for phone in phones],
        "customer_id": entry.customer_id,
        "refused_at": entry.refused_at.astimezone(SHANGHAI),
        "blocked_from": entry.blocked_from.astimezone(SHANGHAI),
        "blocked_through": None if opens is None else entry.blocked_through,
        "first_callable_on": None if opens is None else opens.on,
        # A block found by speech recognition stands until a person has listened.
        "provisional": entry.source is BlockSource.KEY_PHRASE or (opens is not None and opens.provisional),
        "permanent": entry.is_permanent,
        "source": entry.source,
        "reason": entry.reason,
        "released_at": in_shanghai(entry.released_at),
        "created_at": entry.created_at.astimezone(SHANGHAI),
    }


def _warnings(result: BlockResult) -> list[dict[str, str]]:
    months = result.raised_to_months
    if months is None:
        return []
    return [
        {
            "code": "raised_to_floor",
            "article": "25(2)",
            "message": f"Fewer months were asked for than the law and the policy demand; {months} months count.",
            "message_zh": f"所填月数低于法规及公司规定的最低时限,已按{months}个月计算。",
        }
    ]


def _not_found(fault: str) -> dict[str, str]:
    return {
        "code": "evidence_not_found",
        "article": "25(2)",
        "message": f"The person is blocked. evidence.recording_id: {fault}.",
        "message_zh": "已列入谢绝来电名单。证据所指录音在本系统中不存在或已销毁,请补充其他证据。",
    }


@router.post(
    "",
    response_model=None,
    status_code=HTTPStatus.CREATED,
    responses={
        201: {"model": BlockAnswer},
        200: {"model": BlockAnswer, "description": "The person was on the list already."},
    },
)
def block(body: RefusalBody, connection: Transaction, now: Now, state: State, actor: Writer) -> Response:
    """Block a person. The block binds every check from the moment of this answer on."""
    if body.phone is None and body.customer_id is None:
        raise input_error("phone", "phone or customer_id is required")
    months = policy_for_blocks(connection, now=now).block_months
    try:
        result = block_person(connection, body.refusal(now=now), block_months=months, person=actor.owner, now=now)
    except FutureRefusalError as error:
        raise input_error("refused_at", str(error)) from error
    listed = with_phones(connection, [result.entry])[0]
    answer = _answer(listed, calendar=state.gate.calendar, actor=actor, sent=body.phone)
    status = HTTPStatus.CREATED if result.change is BlockChange.CREATED else HTTPStatus.OK
    # An entry protects, whatever its evidence is worth: it is made, and what cannot be heard is told.
    fault = fault_of_recording(connection, body.evidence)
    warnings = _warnings(result) + ([] if fault is None else [_not_found(fault)])
    return json_response({**answer, "warnings": warnings}, status)


AskedPhone = Annotated[CallableNumber | None, Query(description="Entries that bind who has, or ever had, this number.")]
AskedCustomer = Annotated[Identifier | None, Query()]


@router.get("", response_model=None, responses={200: {"model": DoNotCallEntryList}})
def list_entries(  # noqa: PLR0913 - one argument per query parameter
    *,
    connection: Transaction,
    state: State,
    actor: Reader,
    phone: AskedPhone = None,
    customer_id: AskedCustomer = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """List the entries that bind a person by any number or customer id; without either, all. Newest first."""
    query = {"list": "do-not-call", "phone": phone, "customer_id": customer_id}
    before = id_of(read_cursor(query, cursor))
    key = PersonKey(None if phone is None else int(phone), customer_id)
    found = find_entries(connection, None if key == (None, None) else key, before=before, limit=limit + 1)
    items = [
        _answer(one, calendar=state.gate.calendar, actor=actor, sent=phone if phone in one.phones_e164 else None)
        for one in found
    ]
    return json_response(page(items, limit=limit, query=query, names=[str(one.entry.entry_id) for one in found]))


@router.get("/{entry_id}", response_model=None, responses={200: {"model": DoNotCallEntryWithHistory}})
def show(entry_id: UUID, connection: Transaction, state: State, actor: Reader) -> Response:
    """Show an entry with everything that ever happened to it, oldest first."""
    answer = _answer(read_entry(connection, entry_id), calendar=state.gate.calendar, actor=actor)
    history = [_event(event) for event in read_history(connection, entry_id)]
    return json_response({**answer, "history": history})


def _event(event: EntryEvent) -> dict[str, object]:
    is_permanent = event.blocked_through == PERMANENT
    return {
        "event_id": str(event.event_id),
        "kind": event.kind,
        "refused_at": in_shanghai(event.refused_at),
        "blocked_through": None if is_permanent else event.blocked_through,
        "details": event.details,
        "actor": event.actor,
        "recorded_at": event.recorded_at.astimezone(SHANGHAI),
    }


@router.post(
    "/{entry_id}/release",
    response_model=None,
    status_code=HTTPStatus.ACCEPTED,
    responses={202: {"model": Pending}},
)
def release(entry_id: UUID, body: ReleaseBody, connection: Transaction, now: Now, actor: Officer) -> Response:
    """Ask for early release on the customer's own request; another officer must approve."""
    require_heard(connection, body.evidence)
    evidence = body.evidence.model_dump(exclude_none=True)
    payload = release_payload(connection, entry_id, reason=body.reason, evidence=evidence, now=now)
    request_id = new_id()
    request_approval(connection, request_id=request_id, kind=RELEASE, payload=payload, person=actor.owner, now=now)
    return json_response({"request_id": str(request_id)}, HTTPStatus.ACCEPTED)
