"""How answers show a recording's retention: its state, its dates, what holds it, and why in words."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Literal

from pydantic import BaseModel, Field

from compliance.shanghai import SHANGHAI
from recordings.holds import Hold
from recordings.retention import Standing
from recordings.retention_rules import RetentionBasis, RetentionState
from services.shown_numbers import shown_words
from services.tokens import Actor

_ARTICLE = "35"


class StandingHold(BaseModel):
    hold_id: str
    reason: str
    case: str | None
    placed_at: datetime


class RetentionAnswer(BaseModel):
    """`keep_through` is inclusive; null while no date applies. `expired` may be disposed of, and never goes by itself.

    `basis` says what decides: known sales, a policy that nobody registered yet, or the company's own term. `why` says
    it all in words.
    """

    state: RetentionState
    retention_class: Literal["5y", "10y"] | None = Field(alias="class")
    keep_through: date | None
    earliest_disposal_on: date | None
    basis: RetentionBasis
    article: str
    holds: list[StandingHold]
    why: str
    why_zh: str


def retention_answer(standing: Standing, holds: Sequence[Hold], *, actor: Actor | None) -> dict[str, object]:
    """Return what a RetentionAnswer says to `actor`, or may say to everybody; `holds` are those that stand."""
    retention = standing.retention
    return {
        "state": retention.state,
        "class": retention.retention_class,
        "keep_through": retention.keep_through,
        "earliest_disposal_on": retention.earliest_disposal_on,
        "basis": retention.basis,
        "article": _ARTICLE,
        "holds": [
            {
                "hold_id": str(one.hold_id),
                "reason": shown_words(one.reason, actor=actor),
                "case": None if one.case is None else shown_words(one.case, actor=actor),
                "placed_at": one.placed_at.astimezone(SHANGHAI),
            }
            for one in holds
        ],
        "why": " ".join(sentence.english for sentence in standing.why),
        "why_zh": "".join(sentence.chinese for sentence in standing.why),
    }
