"""Inspections: the queue by deadline, claiming, what was heard, unfinished answers (arts. 33, 34, 37)."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response
from sqlalchemy import Connection

from compliance.policy import RetentionYears
from compliance.policy_store import policy_in_force
from compliance.retention_terms import RetentionClass
from compliance.sale_terms import InspectionClass
from compliance.shanghai import SHANGHAI, in_shanghai
from qa_sampling.claims import claim_next, claim_one
from qa_sampling.inspection_rows import (
    Inspection,
    InspectionFilter,
    InspectionState,
    Place,
    list_inspections,
    read_inspection,
)
from qa_sampling.inspection_terms import is_early, record_kept_through
from qa_sampling.listening import Span
from qa_sampling.listening_reports import report
from qa_sampling.replacements import Replacement, replacements_of_sales
from qa_sampling.sale_recordings import SaleRecording, covered_by, recordings_of_sales, spans_heard
from qa_sampling.scorecards import scorecard_of
from qa_sampling.sittings import held_sitting, keep_draft, open_sitting
from services.api.inspection_models import (
    DraftBody,
    DraftKept,
    InspectionAnswer,
    InspectionList,
    ListenedAnswer,
    ListenedBody,
)
from services.dependencies import Now, Transaction, requires
from services.fields import NO_NUL
from services.idempotency import CreatingRoute
from services.json_answers import json_response
from services.paging import Cursor, Limit, name_of, page, place_of, read_cursor
from services.tokens import Actor, Role

router = APIRouter(prefix="/v1/inspections", tags=["Inspections"], route_class=CreatingRoute)

Inspector = Annotated[Actor, Depends(requires(Role.INSPECTOR))]
Reader = Annotated[Actor, Depends(requires(Role.INSPECTOR, Role.OFFICER, Role.AUDITOR))]

OfPolicy = Annotated[str | None, Query(min_length=1, max_length=100, pattern=NO_NUL)]
OfCentre = Annotated[str | None, Query(min_length=1, max_length=100, pattern=NO_NUL)]

_AS_STORED = (
    "policy_no",
    "state",
    "due_basis",
    "sales_mode",
    "centre_id",
    "closed_on",
    "origin",
    "is_random",
    "risk_reasons",
    "claimed_by",
)
"""Rows keep them in another order."""


@router.get("", response_model=None, responses={200: {"model": InspectionList}})
def list_all(  # noqa: PLR0913 - one argument per query parameter
    *,
    connection: Transaction,
    now: Now,
    actor: Reader,
    state: InspectionState | None = None,
    policy_no: OfPolicy = None,
    centre_id: OfCentre = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """List inspections in the order in which they are due."""
    wanted = InspectionFilter(state=state, policy_no=policy_no, centre_id=centre_id, viewer=_viewer(actor))
    query = {"list": "inspections", "state": state, "policy_no": policy_no, "centre_id": centre_id}
    last = place_of(read_cursor(query, cursor))
    found = list_inspections(connection, wanted, after=None if last is None else Place(*last), limit=limit + 1)
    names = [name_of(one.due_before, one.inspection_id) for one in found]
    items = _listed(connection, found[:limit], actor=actor, now=now)
    return json_response(page([*items, *found[limit:]], limit=limit, query=query, names=names))


@router.post(
    "/claim",
    response_model=None,
    responses={200: {"model": InspectionAnswer}, 204: {"description": "Nothing waits that this inspector may have."}},
)
def claim_the_next(connection: Transaction, now: Now, actor: Inspector) -> Response:
    """Claim the next inspection that this inspector may have; nobody chooses."""
    sitting = claim_next(connection, actor.owner, now=now)
    if sitting is None:
        return Response(status_code=HTTPStatus.NO_CONTENT)
    return json_response(inspection_answer(connection, sitting.inspection_id, actor=actor, now=now))


@router.get("/{inspection_id}", response_model=None, responses={200: {"model": InspectionAnswer}})
def show(inspection_id: UUID, connection: Transaction, now: Now, actor: Reader) -> Response:
    """Show an inspection with its recordings and scorecard; to who holds it, also what he heard and his draft."""
    return json_response(inspection_answer(connection, inspection_id, actor=actor, now=now))


@router.post("/{inspection_id}/claim", response_model=None, responses={200: {"model": InspectionAnswer}})
def claim(inspection_id: UUID, connection: Transaction, now: Now, actor: Inspector) -> Response:
    """Claim this inspection, if it is the next one that this inspector may have."""
    claim_one(connection, inspection_id, actor.owner, now=now)
    return json_response(inspection_answer(connection, inspection_id, actor=actor, now=now))


@router.post("/{inspection_id}/listened", response_model=None, responses={200: {"model": ListenedAnswer}})
def listened(inspection_id: UUID, body: ListenedBody, connection: Transaction, now: Now, actor: Inspector) -> Response:
    """Report what was played of a recording; the intervals are merged here, and count as a whole or not at all."""
    found = report(connection, inspection_id, body.recording_id, body.spans(), inspector=actor.owner, now=now)
    return json_response(
        {
            "recording_id": str(found.recording_id),
            "covered_ms": found.covered,
            "coverage_bp": found.coverage_bp,
            "missing_ms": found.missing,
        }
    )


@router.put("/{inspection_id}/draft", response_model=None, responses={200: {"model": DraftKept}})
def keep(inspection_id: UUID, body: DraftBody, connection: Transaction, now: Now, actor: Inspector) -> Response:
    """Keep unfinished answers, in place of those before; only whoever holds the inspection sees them."""
    sitting = open_sitting(connection, inspection_id, actor.owner, now=now)
    draft = body.model_dump(mode="json")
    expires_at = keep_draft(connection, sitting, draft, now=now)
    return json_response({"draft": draft, "claim_expires_at": expires_at.astimezone(SHANGHAI)})


def _viewer(actor: Actor) -> str | None:
    return actor.owner if actor.role is Role.INSPECTOR else None


def inspection_answer(connection: Connection, inspection_id: UUID, *, actor: Actor, now: datetime) -> dict[str, object]:
    """Return an inspection as `actor` may see it."""
    found = read_inspection(connection, inspection_id, viewer=_viewer(actor))
    held = held_sitting(connection, inspection_id)
    is_holder = held is not None and held.inspector == actor.owner and actor.role is Role.INSPECTOR
    return {
        **_listed(connection, [found], actor=actor, now=now)[0],
        "scorecard": _scorecard(connection, inspection_id, now=now),
        "draft": held.draft if held is not None and is_holder else None,
    }


def _scorecard(connection: Connection, inspection_id: UUID, *, now: datetime) -> dict[str, object] | None:
    found = scorecard_of(connection, inspection_id, now=now)
    if found is None:
        return None
    items = [{**asdict(item), "suggestion": None} for item in found.card.items]
    return {"version": found.card.version, "name": found.name, "pass_bp": found.card.pass_bp, "items": items}


def _listed(
    connection: Connection, found: Sequence[Inspection], *, actor: Actor, now: datetime
) -> list[dict[str, object]]:
    """Return answers without scorecards, with the same few statements for all of them."""
    viewer = _viewer(actor)
    hearers = {one.inspection_id: who for one in found if (who := viewer or one.claimed_by) is not None}
    policy_nos = [one.policy_no for one in found]
    recordings = recordings_of_sales(connection, policy_nos)
    replaced = replacements_of_sales(connection, policy_nos)
    heard = spans_heard(connection, hearers)
    years = policy_in_force(connection, now=now).retention
    return [
        {
            **_terms(one, years, now=now),
            "replaced_by": _replaced_by(replaced.get(one.policy_no)),
            "recordings": [
                _heard(recording, heard.get((one.inspection_id, recording.recording_id), ()))
                for recording in recordings.get(one.policy_no, ())
            ],
        }
        for one in found
    ]


def _terms(one: Inspection, years: RetentionYears, *, now: datetime) -> Mapping[str, Any]:
    terms, done_at = one.terms(), one.submitted_at
    early = None if done_at is None else is_early(terms, InspectionClass(one.inspection_class), done_at)
    return {
        "inspection_id": str(one.inspection_id),
        **{name: getattr(one, name) for name in _AS_STORED},
        "class": one.inspection_class,
        "due_before": one.due_before.astimezone(SHANGHAI),
        "overdue": done_at is None and one.due_before <= now,
        "claim_expires_at": in_shanghai(one.claim_expires_at),
        "submitted_at": in_shanghai(done_at),
        "in_time": one.is_in_time,
        "early": early,
        "keep_through": record_kept_through(terms, RetentionClass(one.retention_class), years),
    }


def _replaced_by(one: Replacement | None) -> dict[str, object] | None:
    if one is None:
        return None
    return {"policy_no": one.policy_no, "reason": one.reason, "at": one.recorded_at.astimezone(SHANGHAI)}


def _heard(recording: SaleRecording, heard: Sequence[Span]) -> dict[str, object]:
    coverage = covered_by(recording, heard)
    return {
        "recording_id": str(recording.recording_id),
        "call_id": recording.call_id,
        "started_at": recording.started_at.astimezone(SHANGHAI),
        "duration_ms": recording.duration_ms,
        "channels": recording.channels,
        "coverage_bp": coverage.coverage_bp,
        "covered_ms": coverage.covered,
        "excused_ms": [one._asdict() for one in recording.excused],
        "missing_ms": coverage.missing,
    }
