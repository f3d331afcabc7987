"""Draws samples and lets late sales join them: frames first, then the seed, then tickets and inspections, at once.

The draws of one closing day whose seed is committed happen together: under a lock that keeps every registration of a
sale of that day out, all strata are frozen, only then is the seed opened, and all are drawn. So nobody who knows the
seed can still change a frame or choose a public number. Whatever else is drawn uses a fresh seed, made after the frame.

Everything happens in the caller's transaction, which must not end between a lock and what is done under it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, bindparam, insert, text
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA, TEXT
from sqlalchemy.dialects.postgresql import UUID as PG_UUID

from compliance.incidents import NewIncident, open_incidents
from compliance.policy import Policy
from compliance.policy_store import policy_in_force
from compliance.sale_terms import InspectionClass
from compliance.shanghai import shanghai_day
from infra.advisory_locks import PartLock, hold_part, share_part
from infra.ids import new_id
from infra.logs import logger
from qa_sampling.draw import ALGORITHM, SEED_BYTES, Chance, Ticket, sample_size, smallest_tickets
from qa_sampling.draw_rows import find_draw, has_draw_of_day
from qa_sampling.frame import frame_digest, policy_numbers
from qa_sampling.inspection_tasks import open_drawn
from qa_sampling.quota import rates_by_class
from qa_sampling.seed_vault import SeedVault
from qa_sampling.seeds import LostSeedError, commitment_of, read_commitment, reveal_seed
from qa_sampling.strata import Stratum, stratum_of
from qa_sampling.tables import draws

SEED_LOST = "draw_seed_lost"
"""Kind of the incident of a day whose committed seed cannot be had."""

_ARTICLES = {InspectionClass.OVER_1Y: "34", InspectionClass.WITHIN_1Y: "34", InspectionClass.GIFT: "37"}
_ANY_PERIOD = 0
"""In the place of a day, names the lock of all periods of more than one day."""

log = logger(__name__)


class PeriodError(ValueError):
    """A period that ends before it begins."""


class PeriodNotOverError(ValueError):
    """The period's last day has not ended in Shanghai, so that its sales are not all there yet."""


class EmptyFrameError(ValueError):
    """The stratum has no sale in the period: there is nothing to draw from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawOrder:
    """What is to be drawn: a stratum's sales with a closing day from `from_on` to `to_on`, both included.

    `public_number`: whatever is mixed into the tickets so that nobody here could have foreseen them; empty: nothing.
    """

    stratum: Stratum
    from_on: date
    to_on: date
    public_number: str
    person: str

    @property
    def is_one_day(self) -> bool:
        return self.from_on == self.to_on


class Drawn(NamedTuple):
    """The draw of an order; `is_new` is False when it was made before."""

    draw_id: UUID
    is_new: bool


class Frame(NamedTuple):
    """The frozen frame of a stratum: its canonical bytes."""

    stratum: Stratum
    size: int
    content: bytes


class Basis(NamedTuple):
    """What tickets are made with; `committed_before` says that the seed was committed to before the day began."""

    chance: Chance
    committed_before: bool


_FREEZE = """
    SELECT sales_mode, centre_id, inspection_class, count(*) AS size,
           convert_to(string_agg(policy_no || E'\\t' || to_char(closed_on, 'YYYY-MM-DD') || E'\\t' || inspection_class
                                 || E'\\n', '' ORDER BY policy_no COLLATE "C"), 'UTF8') AS content
      FROM sales WHERE closed_on BETWEEN :from_on AND :to_on {its}
     GROUP BY sales_mode, centre_id, inspection_class ORDER BY sales_mode, centre_id, inspection_class"""
_FREEZE_ALL = text(_FREEZE.format(its=""))
_FREEZE_ONE = text(
    _FREEZE.format(
        its="AND sales_mode = :sales_mode AND centre_id = :centre_id AND inspection_class = :inspection_class"
    )
)
_ADD_TICKETS = text("""
    INSERT INTO draw_tickets (draw_id, policy_no, ticket, kind, is_drawn, inspection_id, recorded_at)
    SELECT :draw_id, n.policy_no, n.ticket, :kind, true, n.inspection_id, :now
      FROM unnest(:policy_nos, :tickets, :inspection_ids) AS n (policy_no, ticket, inspection_id)""").bindparams(
    bindparam("policy_nos", type_=ARRAY(TEXT)),
    bindparam("tickets", type_=ARRAY(BYTEA)),
    bindparam("inspection_ids", type_=ARRAY(PG_UUID(as_uuid=True))),
)


def share_day(connection: Connection, day: date) -> None:
    """Keep frames that could hold a sale of `day` from being frozen until the transaction ends.

    Whoever registers a sale of that day asks for it first: the sale is then in the frame, or the draw can be seen.
    """
    for place in (day.toordinal(), _ANY_PERIOD):
        share_part(connection, PartLock.DRAW_FRAMES, place)


def draw_sample(connection: Connection, order: DrawOrder, *, vault: SeedVault, now: datetime) -> Drawn:
    """Freeze the frame of an order and draw from it, or return the draw that was made of it before.

    One day whose seed is committed is drawn with all its strata. The rate is that of the policy in force at `now`.

    Raises:
        PeriodError: the period ends before it begins.
        PeriodNotOverError: it has not ended.
        EmptyFrameError: there is no sale in it.
    """
    _check_period(order, now=now)
    # Its own statement: what comes after it sees all that was committed before the lock was had.
    hold_part(connection, PartLock.DRAW_FRAMES, order.from_on.toordinal() if order.is_one_day else _ANY_PERIOD)
    known = find_draw(connection, order.stratum, order.from_on, order.to_on)
    if known is not None:
        return Drawn(known, is_new=False)
    frames, basis = _frozen(connection, order, vault=vault, now=now)
    policy = policy_in_force(connection, now=now)
    made = {frame.stratum: _draw(connection, order, frame, basis, policy=policy, now=now) for frame in frames}
    return Drawn(made[order.stratum], is_new=True)


def _check_period(order: DrawOrder, *, now: datetime) -> None:
    if order.from_on > order.to_on:
        raise PeriodError(f"the period ends on {order.to_on}, before it begins on {order.from_on}")
    today = shanghai_day(now)
    if order.to_on >= today:
        raise PeriodNotOverError(
            f"{order.to_on} is not over in Shanghai, where it is {today}: draw when all sales of the period are closed"
        )


def _frozen(connection: Connection, order: DrawOrder, *, vault: SeedVault, now: datetime) -> tuple[list[Frame], Basis]:
    """Freeze what is to be drawn, and only then fix the seed."""
    commitment = read_commitment(connection, order.from_on) if order.is_one_day else None
    is_secret = commitment is not None and commitment.seed is None and commitment.is_before_its_day
    # A day of which anything was drawn with another seed stays so: nobody may choose between two.
    if commitment is None or not is_secret or has_draw_of_day(connection, order.from_on):
        return _freeze(connection, order, only=order.stratum), _fresh(order, vault)
    frames = _freeze(connection, order, only=None)
    try:
        seed = reveal_seed(
            connection,
            vault,
            commitment,
            [one.content for one in frames],
            public_number=order.public_number,
            now=now,
        )
    except LostSeedError as error:
        _tell_lost(connection, order, error, now=now)
        return frames, _fresh(order, vault)
    return frames, Basis(Chance(seed, order.public_number), committed_before=True)


def _freeze(connection: Connection, order: DrawOrder, *, only: Stratum | None) -> list[Frame]:
    period = {"from_on": order.from_on, "to_on": order.to_on}
    if only is None:
        rows = connection.execute(_FREEZE_ALL, period).all()
    else:
        rows = connection.execute(_FREEZE_ONE, {**period, **only._asdict()}).all()
    frames = [
        Frame(stratum_of(row.sales_mode, row.centre_id, row.inspection_class), row.size, bytes(row.content))
        for row in rows
    ]
    if order.stratum not in {one.stratum for one in frames}:
        mode, centre_id, class_ = order.stratum
        raise EmptyFrameError(
            f"no sale of class {class_} by {mode} {centre_id} has a closing day from {order.from_on} to {order.to_on};"
            " there is nothing to draw from (GET /v1/sales lists what is registered)"
        )
    return frames


def _fresh(order: DrawOrder, vault: SeedVault) -> Basis:
    return Basis(Chance(vault.new_seed(SEED_BYTES), order.public_number), committed_before=False)


def _tell_lost(connection: Connection, order: DrawOrder, error: LostSeedError, *, now: datetime) -> None:
    log.error("draw_seed_lost", day=order.from_on.isoformat(), detail=str(error))
    details = {"day": order.from_on.isoformat(), "committed_before": False}
    article = _ARTICLES[order.stratum.inspection_class]
    open_incidents(connection, [NewIncident(SEED_LOST, article, details=details)], person=order.person, now=now)


def _draw(
    connection: Connection, order: DrawOrder, frame: Frame, basis: Basis, *, policy: Policy, now: datetime
) -> UUID:
    draw_id = new_id()
    rate_bp = rates_by_class(policy.sampling)[frame.stratum.inspection_class]
    size = sample_size(frame.size, rate_bp)
    row = {
        **frame.stratum._asdict(),
        "draw_id": draw_id,
        "from_on": order.from_on,
        "to_on": order.to_on,
        "frame": frame.content,
        "frame_digest": frame_digest(frame.content),
        "frame_size": frame.size,
        "rate_bp": rate_bp,
        "sample_size": size,
        "seed": basis.chance.seed,
        "seed_commitment": commitment_of(basis.chance.seed),
        "committed_before": basis.committed_before,
        "public_number": basis.chance.public_number,
        "algorithm": ALGORITHM,
        "policy_digest": policy.digest,
        "actor": order.person,
        "drawn_at": now,
    }
    connection.execute(insert(draws).values(row))
    add_drawn(
        connection, draw_id, smallest_tickets(basis.chance, policy_numbers(frame.content), size), kind="sample", now=now
    )
    return draw_id


def add_drawn(connection: Connection, draw_id: UUID, drawn: Sequence[Ticket], *, kind: str, now: datetime) -> None:
    """Open the inspections of sales that are drawn, and keep their tickets as of this kind."""
    if not drawn:
        return
    opened = open_drawn(connection, [one.policy_no for one in drawn], now=now)
    values = {
        "draw_id": draw_id,
        "kind": kind,
        "now": now,
        "policy_nos": [one.policy_no for one in drawn],
        "tickets": [one.ticket for one in drawn],
        "inspection_ids": [opened[one.policy_no] for one in drawn],
    }
    connection.execute(_ADD_TICKETS, values)
