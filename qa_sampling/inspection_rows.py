"""Inspections as stored: the values of a row with what its sale says, reading one and many, holding one."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Select, and_, case, func, literal, or_, select, true, tuple_

from compliance.sale_tables import sales
from compliance.sale_terms import SaleTermsRow
from qa_sampling.tables import inspection_sittings, inspections


class InspectionState(StrEnum):
    OPEN = "open"
    CLAIMED = "claimed"
    SUBMITTED = "submitted"
    APPEALED = "appealed"
    CLOSED = "closed"


class UnknownInspectionError(LookupError):
    """No inspection has this id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection(SaleTermsRow):
    """An inspection as somebody may see it, with the facts of its sale; `due_before` is exclusive.

    To the inspector who holds a sitting of it, it is claimed by himself, whatever was before; of a result, an inspector
    sees only his own: who scores a second time does not learn who was the first.
    """

    inspection_id: UUID
    policy_no: str
    sales_mode: str
    centre_id: str
    inspection_class: str
    origin: str
    is_random: bool
    risk_reasons: list[str]
    state: str
    due_before: datetime
    due_basis: str
    claimed_by: str | None
    claim_expires_at: datetime | None
    submitted_at: datetime | None
    is_in_time: bool | None
    created_at: datetime
    changed_at: datetime
    agent_id: str
    retention_class: str
    right_through: date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectionFilter:
    """Which inspections are asked for. `viewer` is the inspector who asks; None: somebody who sees rows as they are."""

    state: InspectionState | None = None
    policy_no: str | None = None
    centre_id: str | None = None
    viewer: str | None = None


class Place(NamedTuple):
    """Where a page of the list begins: after the inspection `inspection_id`, due before `due_before`."""

    due_before: datetime
    inspection_id: UUID


_columns, _sitting = inspections.c, inspection_sittings.c
_OF_SALE = (
    "agent_id",
    "cover_start",
    "cover_end_exclusive",
    "declared_term_months",
    "retention_class",
    "cooling_off_days",
    "is_gift",
    "effective_on",
    "receipt_confirmed_on",
    "right_through",
    "ended_on",
)
_OF_RESULT = ("submitted_at", "is_in_time")
_IS_MINE = _sitting.sitting_id.is_not(None)


def _seen_by(viewer: str | None) -> Select[Any]:
    mine = and_(
        _sitting.inspection_id == _columns.inspection_id, _sitting.ended_at.is_(None), _sitting.inspector == viewer
    )
    return select(*_shown_to(viewer)).select_from(
        inspections.join(sales, sales.c.policy_no == _columns.policy_no).outerjoin(inspection_sittings, mine)
    )


def _shown_to(viewer: str | None) -> list[ColumnElement[Any]]:
    """Return the columns as `viewer` sees them: of a first result, an inspector knows only his own."""
    is_known = true() if viewer is None else and_(~_IS_MINE, _columns.claimed_by == viewer)
    is_held = _columns.state == InspectionState.CLAIMED.value
    otherwise: dict[str, ColumnElement[Any]] = {
        "state": case((_IS_MINE, literal(InspectionState.CLAIMED.value)), else_=_columns.state),
        "claimed_by": case((_IS_MINE, _sitting.inspector), (or_(is_known, is_held), _columns.claimed_by)),
        "claim_expires_at": case((_IS_MINE, _sitting.expires_at), else_=_columns.claim_expires_at),
        **{name: case((is_known, _columns[name])) for name in _OF_RESULT},
        "due_basis": sales.c.inspect_before_basis,
        **{name: sales.c[name] for name in _OF_SALE},
    }
    return [
        (otherwise[name] if name in otherwise else _columns[name]).label(name)
        for name in Inspection.__dataclass_fields__
    ]


def read_inspection(connection: Connection, inspection_id: UUID, *, viewer: str | None = None) -> Inspection:
    """Return one inspection as `viewer` may see it; None: as it is.

    Raises:
        UnknownInspectionError: there is none with this id.
    """
    statement = _seen_by(viewer).where(_columns.inspection_id == inspection_id)
    row = connection.execute(statement).mappings().one_or_none()
    if row is None:
        raise _unknown(inspection_id)
    return Inspection(**row)


def list_inspections(
    connection: Connection, wanted: InspectionFilter, *, after: Place | None, limit: int
) -> list[Inspection]:
    """Return inspections, the earliest deadline first, then by id; `after` is the last one of the page before."""
    statement = _seen_by(wanted.viewer)
    if wanted.state is not None:
        statement = statement.where(_has_state(wanted.state, wanted.viewer))
    if wanted.policy_no is not None:
        statement = statement.where(_columns.policy_no == wanted.policy_no)
    if wanted.centre_id is not None:
        statement = statement.where(_columns.centre_id == wanted.centre_id)
    if after is not None:
        statement = statement.where(tuple_(_columns.due_before, _columns.inspection_id) > tuple_(*after))
    statement = statement.order_by(_columns.due_before, _columns.inspection_id).limit(limit)
    return [Inspection(**row) for row in connection.execute(statement).mappings()]


def _has_state(state: InspectionState, viewer: str | None) -> ColumnElement[bool]:
    """Ask for the state that is shown: what the viewer is at work on is claimed."""
    has_state = _columns.state == state.value
    if viewer is None:
        return has_state
    # An array, which is known before the rows are looked at: with a join the planner reads them all.
    own = inspection_sittings.alias().c
    mine = func.array(
        select(own.inspection_id).where(own.ended_at.is_(None), own.inspector == viewer).scalar_subquery()
    )
    if state is InspectionState.CLAIMED:
        return or_(has_state, _columns.inspection_id == func.any(mine))
    return and_(has_state, _columns.inspection_id != func.all(mine))


def lock_inspection(connection: Connection, inspection_id: UUID) -> Inspection:
    """Return one inspection as it is, its row locked until the transaction ends.

    Raises:
        UnknownInspectionError: there is none with this id.
    """
    locked = select(_columns.inspection_id).where(_columns.inspection_id == inspection_id).with_for_update()
    if connection.execute(locked).one_or_none() is None:
        raise _unknown(inspection_id)
    # A statement of its own: it sees what was waited for.
    return read_inspection(connection, inspection_id)


def _unknown(inspection_id: UUID) -> UnknownInspectionError:
    return UnknownInspectionError(f"there is no inspection {inspection_id}")
