"""Draws: samples that nobody can choose, and what a stranger needs to draw them again (arts. 34, 37)."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, Field, StringConstraints

from compliance.call_facts import CentreKind
from compliance.sale_terms import InspectionClass
from compliance.shanghai import SHANGHAI, in_shanghai, shanghai_day
from qa_sampling.draw_rows import (
    StoredDraw,
    StoredTicket,
    additions_of,
    commitment_entries,
    draw_entries,
    list_draws,
    read_draw,
    read_frame_bytes,
    read_tickets,
    replacements_of,
    sample_of,
)
from qa_sampling.samples import DrawOrder
from qa_sampling.seeds import DAYS_AHEAD, Commitment, read_commitments
from qa_sampling.strata import Stratum
from services.api.sampling import StratumAnswer, stratum_answer
from services.dependencies import Now, State, Transaction, requires
from services.draw_service import make_draw, take_time
from services.fields import NO_NUL, Body, Day, Identifier
from services.idempotency import CreatingRoute
from services.json_answers import json_response
from services.paging import Cursor, Limit, check_span, id_of, page, read_cursor
from services.problems import input_error
from services.tokens import Actor, Role

router = APIRouter(prefix="/v1/draws", tags=["Draws"], route_class=CreatingRoute)

Officer = Annotated[Actor, Depends(requires(Role.OFFICER))]
Reader = Annotated[Actor, Depends(requires(Role.OFFICER, Role.AUDITOR))]
Watcher = Annotated[Actor, Depends(requires(Role.OFFICER, Role.INSPECTOR, Role.ADMIN, Role.AUDITOR))]

DAYS_SHOWN = 31
"""Commitments of so many days before today are shown unless others are asked for."""
MOST_DAYS = 400

PublicNumber = Annotated[str, StringConstraints(max_length=200, pattern=NO_NUL)]


class StratumBody(Body):
    """Sales that are sampled together."""

    sales_mode: CentreKind
    centre_id: Identifier
    inspection_class: InspectionClass = Field(alias="class")

    def stratum(self) -> Stratum:
        return Stratum(self.sales_mode, self.centre_id, self.inspection_class)


class DrawBody(Body):
    """What to draw. The seed never comes from here."""

    stratum: StratumBody
    from_day: Day = Field(alias="from", description="First closing day, in Shanghai.")
    to_day: Day = Field(alias="to", description="Last closing day, included; before today.")
    public_number: PublicNumber | None = Field(
        default=None, description="A number that nobody could foresee, such as a lottery's; mixed into every ticket."
    )

    def order(self, person: str) -> DrawOrder:
        return DrawOrder(
            stratum=self.stratum.stratum(),
            from_on=self.from_day,
            to_on=self.to_day,
            public_number=self.public_number or "",
            person=person,
        )


class SampleItem(BaseModel):
    policy_no: str
    ticket: str
    inspection_id: str


class AdditionItem(BaseModel):
    """A sale that came late, or (`in_frame`) one of the first frame that is drawn because the frame grew."""

    policy_no: str
    closed_on: date
    ticket: str
    drawn: bool
    in_frame: bool
    inspection_id: str | None
    recorded_at: datetime


class ReplacementItem(BaseModel):
    """A sale drawn in the place of one that cannot be inspected in time."""

    policy_no: str
    ticket: str
    replaces: str
    reason: str
    inspection_id: str
    recorded_at: datetime


class ListedDraw(BaseModel):
    draw_id: str
    stratum: StratumAnswer
    from_day: date = Field(alias="from")
    to_day: date = Field(alias="to")
    frame_digest: str
    frame_size: int
    rate_bp: int
    sample_size: int
    seed_commitment: str
    committed_before: bool = Field(description="The commitment to the seed was published before the day began.")
    seed: str
    public_number: str
    algorithm: str
    policy_digest: str
    actor: str
    drawn_at: datetime
    ledger_entry: int | None = Field(description="Number of the sealed entry; null: not sealed yet.")


class DrawAnswer(ListedDraw):
    """A draw: the sample, smallest ticket first; late sales in the order in which they came."""

    sample: list[SampleItem]
    additions: list[AdditionItem]
    replacements: list[ReplacementItem]


class BundleAnswer(DrawAnswer):
    """All that is needed to draw again. `frame`: the canonical bytes."""

    frame: str


class DrawList(BaseModel):
    items: list[ListedDraw]
    next_cursor: str | None


class CommitmentAnswer(BaseModel):
    """`seed` is null until every frame of the day is frozen."""

    day: date
    seed_commitment: str
    published_at: datetime
    ledger_entry: int | None
    seed: str | None
    public_number: str | None
    revealed_at: datetime | None


class CommitmentList(BaseModel):
    items: list[CommitmentAnswer]
    next_cursor: None


@router.post(
    "",
    response_model=None,
    status_code=HTTPStatus.CREATED,
    responses={201: {"model": DrawAnswer}, 200: {"model": DrawAnswer, "description": "It was drawn before."}},
)
def draw(body: DrawBody, state: State, now: Now, actor: Officer) -> Response:
    """Draw the sample of a stratum and period. What was drawn before stays: the same again answers the first draw.

    A day whose seed is committed is drawn with all its strata, and its seed revealed.
    """
    drawn = make_draw(state.ledger, body.order(actor.owner), now=now)
    with state.engine.begin() as connection:
        take_time(connection)
        answer = _answer(connection, read_draw(connection, drawn.draw_id))
    return json_response(answer, HTTPStatus.CREATED if drawn.is_new else HTTPStatus.OK)


@router.get("", response_model=None, responses={200: {"model": DrawList}})
def list_all(*, connection: Transaction, _actor: Reader, limit: Limit = 100, cursor: Cursor = None) -> Response:
    """List draws, newest first, without their samples."""
    query: dict[str, object] = {"list": "draws"}
    found = list_draws(connection, before=id_of(read_cursor(query, cursor)), limit=limit + 1)
    entries = draw_entries(connection, [one.draw_id for one in found])
    items = [_listed(one, entries.get(str(one.draw_id))) for one in found]
    return json_response(page(items, limit=limit, query=query, names=[str(one.draw_id) for one in found]))


FromDay = Annotated[Day | None, Query(alias="from", description="First closing day; default: 31 days ago.")]
ToDay = Annotated[Day | None, Query(alias="to", description="Last closing day, included; default: a week ahead.")]


@router.get("/commitments", response_model=None, responses={200: {"model": CommitmentList}})
def commitments(
    *, connection: Transaction, now: Now, _actor: Watcher, from_day: FromDay = None, to_day: ToDay = None
) -> Response:
    """List what was committed to for each closing day, the latest first."""
    today = shanghai_day(now)
    last = to_day or max(today + timedelta(days=DAYS_AHEAD), from_day or today)
    first = from_day or min(today, last) - timedelta(days=DAYS_SHOWN)
    check_span(first, last)
    if last - first >= timedelta(days=MOST_DAYS):
        raise input_error("to", f"at most {MOST_DAYS} days can be asked for at once")
    found = read_commitments(connection, from_day=first, to_day=last)
    entries = commitment_entries(connection, [one.day for one in found])
    items = [_committed(one, entries.get(one.day.isoformat())) for one in found]
    return json_response({"items": items, "next_cursor": None})


@router.get("/{draw_id}", response_model=None, responses={200: {"model": DrawAnswer}})
def show(draw_id: UUID, connection: Transaction, _actor: Reader) -> Response:
    """Show a draw with its sample and all that joined it since."""
    take_time(connection)
    return json_response(_answer(connection, read_draw(connection, draw_id)))


@router.get("/{draw_id}/bundle", response_model=None, responses={200: {"model": BundleAnswer}})
def bundle(draw_id: UUID, connection: Transaction, _actor: Reader) -> Response:
    """Give one file with which anybody can draw again: for `telesales draw verify`, or a program of their own."""
    take_time(connection)
    answer = _answer(connection, read_draw(connection, draw_id))
    return json_response({**answer, "frame": read_frame_bytes(connection, draw_id).decode()})


def _answer(connection: Transaction, one: StoredDraw) -> dict[str, object]:
    tickets = read_tickets(connection, one.draw_id)
    entry = draw_entries(connection, [one.draw_id]).get(str(one.draw_id))
    return {
        **_listed(one, entry),
        "sample": [_inspected(ticket) for ticket in sample_of(tickets)],
        "additions": _additions(tickets),
        "replacements": [
            {
                **_inspected(ticket),
                "replaces": ticket.replaces,
                "reason": ticket.reason,
                "recorded_at": ticket.recorded_at.astimezone(SHANGHAI),
            }
            for ticket in replacements_of(tickets)
        ],
    }


def _listed(one: StoredDraw, entry: int | None) -> dict[str, object]:
    return {
        "draw_id": str(one.draw_id),
        "stratum": stratum_answer(one.sales_mode, one.centre_id, one.inspection_class),
        "from": one.from_on,
        "to": one.to_on,
        "frame_digest": f"sha256:{one.frame_digest.hex()}",
        "frame_size": one.frame_size,
        "rate_bp": one.rate_bp,
        "sample_size": one.sample_size,
        "seed_commitment": f"sha256:{one.seed_commitment.hex()}",
        "committed_before": one.committed_before,
        "seed": one.seed.hex(),
        "public_number": one.public_number,
        "algorithm": one.algorithm,
        "policy_digest": one.policy_digest,
        "actor": one.actor,
        "drawn_at": one.drawn_at.astimezone(SHANGHAI),
        "ledger_entry": entry,
    }


def _inspected(one: StoredTicket) -> dict[str, object]:
    inspection_id = None if one.inspection_id is None else str(one.inspection_id)
    return {"policy_no": one.policy_no, "ticket": one.ticket.hex(), "inspection_id": inspection_id}


def _additions(tickets: Sequence[StoredTicket]) -> list[dict[str, object]]:
    return [
        {
            **_inspected(one),
            "closed_on": one.closed_on,
            "drawn": one.is_drawn,
            "in_frame": one.kind == "promoted",
            "recorded_at": one.recorded_at.astimezone(SHANGHAI),
        }
        for one in additions_of(tickets)
    ]


def _committed(one: Commitment, entry: int | None) -> dict[str, object]:
    return {
        "day": one.day,
        "seed_commitment": f"sha256:{one.seed_commitment.hex()}",
        "published_at": one.published_at.astimezone(SHANGHAI),
        "ledger_entry": entry,
        "seed": None if one.seed is None else one.seed.hex(),
        "public_number": one.public_number,
        "revealed_at": in_shanghai(one.revealed_at),
    }
