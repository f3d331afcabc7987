"""What an inspector of the demo does with one inspection, by the functions that the API calls, step by step."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import msgspec
from sqlalchemy import Connection, select

from compliance.sale_tables import sales
from qa_sampling.claims import claim_next
from qa_sampling.inspection_rows import Inspection, read_inspection
from qa_sampling.listening import length
from qa_sampling.listening_reports import report
from qa_sampling.results import Submission, Submitted, submit
from qa_sampling.sale_recordings import RecordingCoverage, coverage_of
from qa_sampling.scorecard import Answer
from qa_sampling.scorecards import read_scorecard
from qa_sampling.sittings import Sitting, SittingPurpose, keep_draft
from services.demo.answer_plan import COMMENTS, planned_answers, planned_failures
from services.demo.month_clock import MonthClock

FATAL = ("no_misstatement",)
_LISTENED_AT = 1.25
"""Times as fast as it was spoken."""

_SCORED_TWICE_PER_MILLE = 90
_CHOSEN, _NOT_CHOSEN = 0, 9_999
"""Lots of a first result."""

_DRAFT_ANSWERS = 5


@dataclass(frozen=True, slots=True)
class Desk:
    """Where inspectors sit: the load's transaction and the month's clock."""

    connection: Connection
    clock: MonthClock


def inspect_next(desk: Desk, inspector: str, *, failures: tuple[str, ...] | None = None) -> Submitted | Sitting | None:
    """Have `inspector` claim, hear and judge what comes next; None if nothing waits.

    What has no recording stays claimed, and its sitting is returned. `failures` are what is wrong with the sale, if
    not what is planned for it.
    """
    sitting = claim_next(desk.connection, inspector, now=desk.clock.at)
    if sitting is None:
        return None
    if not coverage_of(desk.connection, sitting.inspection_id, inspector):
        return sitting
    return judge(desk, sitting, failures=failures)


def judge(desk: Desk, sitting: Sitting, *, failures: tuple[str, ...] | None = None) -> Submitted:
    """Hear all that is not heard yet, answer, and submit."""
    connection, clock = desk.connection, desk.clock
    heard = coverage_of(connection, sitting.inspection_id, sitting.inspector)
    for one in heard:
        _hear(desk, sitting, one)
    found = read_inspection(connection, sitting.inspection_id)
    answers = _answers(desk, sitting, found, heard, failures)
    dice = clock.chance.dice("submits", found.policy_no, sitting.inspector, sitting.purpose)
    clock.go_to(clock.at + timedelta(seconds=45 + dice.below(150)))
    submission = Submission(answers, dice.pick(COMMENTS))
    is_chosen = sitting.purpose is SittingPurpose.INSPECTION and dice.hits(_SCORED_TWICE_PER_MILLE)
    lot = _CHOSEN if is_chosen else _NOT_CHOSEN
    return submit(connection, sitting.inspection_id, submission, inspector=sitting.inspector, lot=lot, now=clock.at)


def begin(desk: Desk, inspector: str) -> None:
    """Have `inspector` claim what comes next, hear half of it and keep a draft."""
    connection, clock = desk.connection, desk.clock
    sitting = claim_next(connection, inspector, now=clock.at)
    heard = [] if sitting is None else coverage_of(connection, sitting.inspection_id, inspector)
    if sitting is None or not heard:
        return
    clock.go_to(clock.at + timedelta(minutes=2))
    half = (0, heard[0].duration_ms // 2)
    report(connection, sitting.inspection_id, heard[0].recording_id, [half], inspector=inspector, now=clock.at)
    found = read_inspection(connection, sitting.inspection_id)
    answers = msgspec.to_builtins(_answers(desk, sitting, found, heard, ())[:_DRAFT_ANSWERS])
    clock.go_to(clock.at + timedelta(minutes=1))
    keep_draft(connection, sitting, {"answers": answers, "comment": "后半段待听"}, now=clock.at)


def _hear(desk: Desk, sitting: Sitting, one: RecordingCoverage) -> None:
    """Report what is not heard of a recording yet; what is excused is passed over."""
    if one.missing:
        took = timedelta(milliseconds=round(length(one.missing) / _LISTENED_AT) + 400)
        now = desk.clock.go_to(desk.clock.at + took)
        report(
            desk.connection,
            sitting.inspection_id,
            one.recording_id,
            one.missing,
            inspector=sitting.inspector,
            now=now,
        )


def _answers(
    desk: Desk,
    sitting: Sitting,
    found: Inspection,
    heard: list[RecordingCoverage],
    failures: tuple[str, ...] | None,
) -> list[Answer]:
    chance = desk.clock.chance
    card = read_scorecard(desk.connection, sitting.scorecard_version).card
    durations: dict[UUID, int] = {one.recording_id: one.duration_ms for one in heard}
    return planned_answers(
        card.items,
        planned_failures(chance, found.policy_no) if failures is None else failures,
        durations,
        chance.dice("judges", found.policy_no, sitting.inspector),
        is_signed=_is_signed(desk.connection, found.policy_no),
        is_agency=found.sales_mode == "agency",
    )


def _is_signed(connection: Connection, policy_no: str) -> bool:
    content = connection.execute(select(sales.c.content).where(sales.c.policy_no == policy_no)).scalar_one()
    return bool(content["confirmation"] == "signature")
