"""Sampling: how many sales must be inspected and how many are, what is to be expected, and how many fail."""

from datetime import date, datetime
from http import HTTPStatus
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, Field

from compliance.call_facts import CentreKind
from compliance.sale_terms import InspectionClass
from compliance.shanghai import SHANGHAI
from qa_sampling.failure_rate import FailureRate
from qa_sampling.failure_rates import read_failure_rates, read_item_rates
from qa_sampling.forecast import DayDue, Expected, last_day
from qa_sampling.quota import Quota
from qa_sampling.quotas import QuotaFilter, read_quotas
from qa_sampling.shortfalls import InspectorPace, Outlook, look_ahead
from services.dependencies import Now, State, Transaction, requires
from services.draw_service import take_time
from services.fields import NO_NUL, Day
from services.json_answers import json_response
from services.paging import check_span
from services.problems import input_error
from services.tokens import Actor, Role

router = APIRouter(prefix="/v1/sampling", tags=["Sampling"])

Reader = Annotated[Actor, Depends(requires(Role.INSPECTOR, Role.OFFICER, Role.AUDITOR))]
# Not inspectors: of a stratum with one sale it would tell how somebody else judged it, before they do so themselves.
ReaderOfResults = Annotated[Actor, Depends(requires(Role.OFFICER, Role.AUDITOR))]

_MOST_DAYS = 366
"""Closing days that one answer by day may hold: a year."""

FromDay = Annotated[Day, Query(alias="from", description="First closing day, in Shanghai.")]
ToDay = Annotated[Day, Query(alias="to", description="Last closing day, included.")]
OfCentre = Annotated[str | None, Query(min_length=1, max_length=100, pattern=NO_NUL)]
OfClass = Annotated[InspectionClass | None, Query(alias="class")]
Granularity = Annotated[
    Literal["period", "day"], Query(description="One item per stratum, or one per closing day too.")
]
Days = Annotated[int, Query(ge=1, le=92, description="How many days ahead, today the first.")]
Confidence = Annotated[float, Query(ge=0.5, le=0.999, description="Of the interval, such as 0.95.")]
ByItem = Annotated[bool, Query(description="Also per item of the scorecard, which takes longer.")]


class StratumAnswer(BaseModel):
    sales_mode: CentreKind
    centre_id: str
    inspection_class: InspectionClass = Field(alias="class")


class QuotaAnswer(StratumAnswer):
    """Only inspections that a ticket drew and that were finished in time count as `done_in_time`."""

    from_day: date = Field(alias="from")
    to_day: date = Field(alias="to")
    rate_bp: int
    sales: int
    required: int = Field(description="One ceiling over the asked period.")
    required_by_day: int = Field(description="The sum of the ceilings of the closing days; what draws aim at.")
    drawn: int
    done_in_time: int
    done_late: int
    shortfall: int
    due_soon: int = Field(description="Drawn, without a result, due within two days.")
    open: int = Field(description="Drawn, without a result.")
    still_possible: int = Field(description="Drawn, without a result, and still in their window.")
    extra_done_in_time: int = Field(description="Done in time because of a risk alone; on top of the minimum.")


class QuotaList(BaseModel):
    items: list[QuotaAnswer]


class InspectorPaceAnswer(BaseModel):
    inspector: str
    results: int
    heard_ms: int
    results_per_working_day: float | None
    heard_ms_per_working_day: int | None


class PaceAnswer(BaseModel):
    """What inspectors did in the last 14 days, today included. Nulls where these hold no working day."""

    from_day: date = Field(alias="from")
    to_day: date = Field(alias="to")
    working_days: int
    results: int
    heard_ms: int
    results_per_working_day: float | None
    heard_ms_per_working_day: int | None
    inspectors: list[InspectorPaceAnswer]


class DayDueAnswer(BaseModel):
    day: date
    is_working_day: bool
    due: int = Field(description="Drawn inspections that must be finished by the end of the day.")
    expected_in_time: int
    will_be_met: bool


class ExpectedAnswer(StratumAnswer):
    closed_on: date
    required: int
    done_in_time: int
    open: int
    last_due_before: datetime
    expected_in_time: int
    expected_shortfall: int


class ForecastAnswer(BaseModel):
    """`strata` are the closing days of strata with a deadline in the days asked for, the earliest deadline first."""

    pace: PaceAnswer
    days: list[DayDueAnswer]
    strata: list[ExpectedAnswer]
    expected_shortfall: int
    will_be_met: bool
    note: str | None


class RateAnswer(BaseModel):
    inspected: int
    failed: int
    rate: float | None
    interval: list[float] | None = Field(description="Clopper–Pearson, both ends; null without an inspection.")


class StratumRateAnswer(StratumAnswer, RateAnswer):
    pass


class ItemRateAnswer(RateAnswer):
    item_id: str


class FailureRateList(BaseModel):
    from_day: date = Field(alias="from")
    to_day: date = Field(alias="to")
    confidence: float
    items: list[StratumRateAnswer]
    total: RateAnswer
    scorecard_items: list[ItemRateAnswer] | None = Field(description="Null unless asked for with `by_item=true`.")


@router.get("/quotas", response_model=None, responses={HTTPStatus.OK: {"model": QuotaList}})
def quotas(  # noqa: PLR0913 - one argument per query parameter
    *,
    connection: Transaction,
    now: Now,
    _actor: Reader,
    from_day: FromDay,
    to_day: ToDay,
    granularity: Granularity = "period",
    sales_mode: CentreKind | None = None,
    centre_id: OfCentre = None,
    inspection_class: OfClass = None,
) -> Response:
    """Say how many sales of each stratum must be inspected, and how many are (arts. 34, 37)."""
    check_span(from_day, to_day)
    if granularity == "day" and (to_day - from_day).days >= _MOST_DAYS:
        raise input_error("to", f"at most {_MOST_DAYS} closing days by day; ask for fewer, or for granularity=period")
    wanted = QuotaFilter(
        from_on=from_day,
        to_on=to_day,
        by_day=granularity == "day",
        sales_mode=sales_mode,
        centre_id=centre_id,
        inspection_class=inspection_class,
    )
    return json_response({"items": [_quota(one) for one in read_quotas(connection, wanted, now=now)]})


@router.get("/forecast", response_model=None, responses={HTTPStatus.OK: {"model": ForecastAnswer}})
def forecast(*, connection: Transaction, now: Now, state: State, _actor: Reader, days: Days = 14) -> Response:
    """Say whether what is due will be inspected in time at the pace of the last 14 days."""
    return json_response(_outlook(look_ahead(connection, calendar=state.gate.calendar, now=now, days=days)))


@router.get("/failure-rates", response_model=None, responses={HTTPStatus.OK: {"model": FailureRateList}})
def failure_rates(
    *,
    connection: Transaction,
    _actor: ReaderOfResults,
    from_day: FromDay,
    to_day: ToDay,
    confidence: Confidence = 0.95,
    by_item: ByItem = False,
) -> Response:
    """Say which share of the drawn and inspected sales failed, and how sure that is; risky ones are left out."""
    check_span(from_day, to_day)
    found = read_failure_rates(connection, from_day, to_day, confidence=confidence)
    answer: dict[str, object] = {
        "from": from_day,
        "to": to_day,
        "confidence": confidence,
        "items": [{**stratum_answer(*stratum), **_rate(rate)} for stratum, rate in found.strata.items()],
        "total": _rate(found.total),
        "scorecard_items": None,
    }
    if by_item:
        take_time(connection)
        items = read_item_rates(connection, from_day, to_day, confidence=confidence)
        answer["scorecard_items"] = [{"item_id": one.item_id, **_rate(one.found)} for one in items]
    return json_response(answer)


def stratum_answer(sales_mode: str, centre_id: str, inspection_class: str) -> dict[str, object]:
    """Return a stratum as answers name it."""
    return {"sales_mode": sales_mode, "centre_id": centre_id, "class": inspection_class}


def _quota(one: Quota) -> dict[str, object]:
    return {
        **stratum_answer(*one.stratum),
        "from": one.from_on,
        "to": one.to_on,
        "rate_bp": one.rate_bp,
        "sales": one.sales,
        "required": one.required,
        "required_by_day": one.required_by_day,
        "shortfall": one.shortfall,
        **one.progress._asdict(),
    }


def _rate(found: FailureRate) -> dict[str, object]:
    return {**found._asdict(), "interval": None if found.interval is None else list(found.interval)}


def _outlook(found: Outlook) -> dict[str, object]:
    days = found.expected.days
    last = days[-1].day
    strata = sorted(
        (one for one in found.expected.cohorts if last_day(one.cohort.due[0]) <= last),
        key=lambda one: (one.cohort.due[0], one.cohort.stratum, one.cohort.closed_on),
    )
    missing = sum(one.shortfall for one in strata)
    return {
        "pace": _pace(found),
        "days": [_day(one) for one in days],
        "strata": [_expected(one) for one in strata],
        "expected_shortfall": missing,
        "will_be_met": not missing,
        "note": None if found.pace.results else _NO_PACE,
    }


_NO_PACE = (
    "No inspection was finished in the days of the pace: nothing is expected to be done, all that is due is at risk."
)


def _pace(found: Outlook) -> dict[str, object]:
    pace = found.pace
    return {
        "from": found.from_on,
        "to": found.to_on,
        "working_days": pace.working_days,
        **_per_day(pace.results, pace.heard_ms, pace.working_days),
        "inspectors": [_inspector(one, pace.working_days) for one in found.inspectors],
    }


def _inspector(one: InspectorPace, working_days: int) -> dict[str, object]:
    return {"inspector": one.inspector, **_per_day(one.results, one.heard_ms, working_days)}


def _per_day(results: int, heard_ms: int, working_days: int) -> dict[str, object]:
    return {
        "results": results,
        "heard_ms": heard_ms,
        "results_per_working_day": round(results / working_days, 2) if working_days else None,
        "heard_ms_per_working_day": heard_ms // working_days if working_days else None,
    }


def _day(one: DayDue) -> dict[str, object]:
    return {
        "day": one.day,
        "is_working_day": one.is_working,
        "due": one.due,
        "expected_in_time": one.in_time,
        "will_be_met": one.in_time == one.due,
    }


def _expected(one: Expected) -> dict[str, object]:
    cohort = one.cohort
    return {
        **stratum_answer(*cohort.stratum),
        "closed_on": cohort.closed_on,
        "required": cohort.required,
        "done_in_time": cohort.done_in_time,
        "open": len(cohort.due),
        "last_due_before": cohort.due[-1].astimezone(SHANGHAI),
        "expected_in_time": one.in_time,
        "expected_shortfall": one.shortfall,
    }
