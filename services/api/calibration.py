"""How far inspectors who heard the same sale judge alike, from blind second scorings (art. 34: one standard)."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, Field

from qa_sampling.agreement import Agreement
from qa_sampling.second_scorings import calibration
from services.dependencies import Transaction, requires
from services.fields import Day
from services.idempotency import CreatingRoute
from services.json_answers import json_response
from services.paging import check_span
from services.tokens import Actor, Role

router = APIRouter(prefix="/v1/calibration", tags=["Inspections"], route_class=CreatingRoute)

Reader = Annotated[Actor, Depends(requires(Role.OFFICER, Role.AUDITOR))]
FromDay = Annotated[Day, Query(alias="from", description="First day of second scorings, in Shanghai.")]
ToDay = Annotated[Day, Query(alias="to", description="Last day of second scorings, included.")]

_DIGITS = 4


class AgreementAnswer(BaseModel):
    """`agreement` is the share of equal pairs, `kappa` Cohen's, from -1 to 1, both rounded to four digits."""

    pairs: int
    agreement: float | None = Field(description="Null without pairs.")
    kappa: float | None = Field(description="Null when undefined; `kappa_undefined` says why.")
    kappa_undefined: Literal["no_pairs", "one_answer_only"] | None


class ItemAgreementAnswer(AgreementAnswer):
    scorecard_version: int
    item_id: str


class CalibrationAnswer(BaseModel):
    """`overall` is over the answers to all items; `left_out` pairs were judged by different scorecards."""

    overall: AgreementAnswer
    outcomes: AgreementAnswer
    items: list[ItemAgreementAnswer]
    left_out: int


@router.get("", response_model=None, responses={200: {"model": CalibrationAnswer}})
def show(connection: Transaction, _actor: Reader, from_day: FromDay, to_day: ToDay) -> Response:
    """Show how far first and second scorings agree, over all and item by item."""
    check_span(from_day, to_day)
    found = calibration(connection, from_day=from_day, to_day=to_day)
    return json_response(
        {
            "overall": _agreement(found.answers),
            "outcomes": _agreement(found.outcomes),
            "items": [
                {"scorecard_version": one.scorecard_version, "item_id": one.item_id, **_agreement(one.agreement)}
                for one in found.items
            ],
            "left_out": found.left_out,
        }
    )


def _agreement(one: Agreement) -> dict[str, object]:
    return {
        "pairs": one.pairs,
        "agreement": None if one.share is None else round(float(one.share), _DIGITS),
        "kappa": None if one.kappa is None else round(float(one.kappa), _DIGITS),
        "kappa_undefined": one.undefined,
    }
