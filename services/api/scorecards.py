"""Scorecards: what inspectors judge sales by, one standard for all centres; a version is added, never changed."""

from datetime import date, datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response
from pydantic import BaseModel, Field, StrictBool, StrictInt

from compliance.shanghai import SHANGHAI
from qa_sampling.scorecard import Item
from qa_sampling.scorecards import (
    NewScorecard,
    StoredScorecard,
    add_scorecard,
    list_scorecards,
    read_scorecard,
)
from services.dependencies import Now, Transaction, requires
from services.fields import Body, Day, Identifier, LongText, Name, Reason
from services.idempotency import CreatingRoute
from services.json_answers import json_response
from services.paging import Cursor, Limit, page, position_of, read_cursor
from services.tokens import Actor, Role

router = APIRouter(prefix="/v1/scorecards", tags=["Inspections"], route_class=CreatingRoute)

Officer = Annotated[Actor, Depends(requires(Role.OFFICER))]
Reader = Annotated[Actor, Depends(requires(Role.INSPECTOR, Role.OFFICER, Role.AUDITOR))]

_MOST_ITEMS = 200
_MOST_VERSIONS = 2**31 - 1


class ItemBody(Body):
    """One question; `article` is of the Measures ("29(4)") or a rule of the company ("company:product-named")."""

    item_id: Identifier
    text: LongText
    article: Identifier
    fatal: StrictBool = Field(description="A sale fails by this item alone.")
    weight: StrictInt

    def item(self) -> Item:
        return Item(**dict(self))


class ScorecardBody(Body):
    """A version to count from a day on, today or later."""

    name: Name
    items: list[ItemBody] = Field(max_length=_MOST_ITEMS)
    pass_bp: StrictInt = Field(description="Share of the weight that must pass, in basis points.")
    effective_from: Day
    reason: Reason

    def new(self) -> NewScorecard:
        items = tuple(one.item() for one in self.items)
        return NewScorecard(**{**dict(self), "items": items})


class ItemAnswer(BaseModel):
    item_id: str
    text: str
    article: str
    fatal: bool
    weight: int


class ScorecardAnswer(BaseModel):
    version: int
    name: str
    items: list[ItemAnswer]
    pass_bp: int
    effective_from: date
    reason: str
    actor: str
    recorded_at: datetime


class ScorecardList(BaseModel):
    items: list[ScorecardAnswer]
    next_cursor: str | None


@router.post("", response_model=None, status_code=HTTPStatus.CREATED, responses={201: {"model": ScorecardAnswer}})
def add(body: ScorecardBody, connection: Transaction, now: Now, actor: Officer) -> Response:
    """Add the next version; inspections that are claimed already keep theirs."""
    added = add_scorecard(connection, body.new(), person=actor.owner, now=now)
    return json_response(_answer(added), HTTPStatus.CREATED)


@router.get("", response_model=None, responses={200: {"model": ScorecardList}})
def list_all(connection: Transaction, _actor: Reader, limit: Limit = 100, cursor: Cursor = None) -> Response:
    """List all versions, the newest first."""
    query = {"list": "scorecards"}
    before = position_of(read_cursor(query, cursor))
    found = list_scorecards(connection, before=before, limit=limit + 1)
    names = [str(one.card.version) for one in found]
    return json_response(page([_answer(one) for one in found], limit=limit, query=query, names=names))


@router.get("/{version}", response_model=None, responses={200: {"model": ScorecardAnswer}})
def show(version: Annotated[int, Path(ge=0, le=_MOST_VERSIONS)], connection: Transaction, _actor: Reader) -> Response:
    """Show one version."""
    return json_response(_answer(read_scorecard(connection, version)))


def _answer(one: StoredScorecard) -> dict[str, object]:
    return {
        "version": one.card.version,
        "name": one.name,
        "items": list(one.card.items),
        "pass_bp": one.card.pass_bp,
        "effective_from": one.effective_from,
        "reason": one.reason,
        "actor": one.actor,
        "recorded_at": one.recorded_at.astimezone(SHANGHAI),
    }
