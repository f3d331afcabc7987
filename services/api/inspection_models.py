"""What inspections look like to people: the answers, and what inspectors send."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field, StrictInt

from qa_sampling.listening import MOST_SPANS, Span
from services.fields import Body, Identifier, LongText, Milliseconds

_FARTHEST_MS = 10**12
_MOST_ANSWERS = 500

Offset = Annotated[StrictInt, Field(ge=-_FARTHEST_MS, le=_FARTHEST_MS)]
Interval = Annotated[list[Offset], Field(min_length=2, max_length=2)]
State = Literal["open", "claimed", "submitted", "appealed", "closed"]


class ListenedBody(Body):
    """What a player played, as half-open intervals in milliseconds of the recording."""

    recording_id: UUID
    intervals_ms: Annotated[list[Interval], Field(min_length=1, max_length=MOST_SPANS, examples=[[[0, 5000]]])]

    def spans(self) -> list[Span]:
        return [(start, end) for start, end in self.intervals_ms]


class DraftAnswer(Body):
    """An answer that is not given yet: all but the item may be missing."""

    item_id: Identifier
    answer: Literal["pass", "fail", "na"] | None = None
    at_ms: Milliseconds | None = None
    recording_id: UUID | None = None
    note: LongText | None = None


class DraftBody(Body):
    """The form as far as it is filled in."""

    answers: Annotated[list[DraftAnswer], Field(max_length=_MOST_ANSWERS, default_factory=list)]
    comment: LongText | None = None


class ListenedAnswer(BaseModel):
    """All that is covered of the recording now; `covered_ms` was heard."""

    recording_id: str
    covered_ms: list[list[int]]
    coverage_bp: int
    missing_ms: list[list[int]]


class ExcusedAnswer(BaseModel):
    """A span that need not be heard, and the rule that says so."""

    rule: Literal["ringing", "hold"]
    start_ms: int
    end_ms: int


class HeardRecording(BaseModel):
    """A recording of the sale, and how much of it the inspector has heard: whoever asks, or who holds it."""

    recording_id: str
    call_id: str | None
    started_at: datetime
    duration_ms: int
    channels: list[str]
    coverage_bp: int
    covered_ms: list[list[int]]
    excused_ms: list[ExcusedAnswer]
    missing_ms: list[list[int]]


class ReplacedAnswer(BaseModel):
    """The sale that is inspected instead, and why this one could not be in time."""

    policy_no: str
    reason: str
    at: datetime


class ListedInspection(BaseModel):
    """An inspection; `due_before` is exclusive. `early`: finished before its window began, which counts."""

    inspection_id: str
    policy_no: str
    state: State
    due_before: datetime
    due_basis: Literal["cooling_off", "policy_term", "closing_day"]
    overdue: bool
    sales_mode: Literal["own_centre", "agency"]
    centre_id: str
    inspection_class: Literal["over_1y", "within_1y", "gift"] = Field(alias="class")
    closed_on: date
    origin: Literal["draw", "risk", "replacement"]
    is_random: bool
    risk_reasons: list[str]
    claimed_by: str | None
    claim_expires_at: datetime | None
    submitted_at: datetime | None
    in_time: bool | None
    early: bool | None
    keep_through: date | None
    replaced_by: ReplacedAnswer | None
    recordings: list[HeardRecording]


class InspectionList(BaseModel):
    items: list[ListedInspection]
    next_cursor: str | None


class ScorecardItem(BaseModel):
    """What is judged; `suggestion` is what a machine found, null: nothing."""

    item_id: str
    text: str
    article: str
    fatal: bool
    weight: int
    suggestion: dict[str, Any] | None


class UsedScorecardAnswer(BaseModel):
    version: int
    name: str
    pass_bp: int
    items: list[ScorecardItem]


class DraftShown(BaseModel):
    answers: list[dict[str, Any]]
    comment: str | None


class InspectionAnswer(ListedInspection):
    """An inspection with what is to be judged; `draft` only to whoever holds it."""

    scorecard: UsedScorecardAnswer | None
    draft: DraftShown | None


class DraftKept(BaseModel):
    draft: DraftShown
    claim_expires_at: datetime
