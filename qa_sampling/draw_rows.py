"""Draws as stored: their rows and tickets, read; and where each stands in the ledger.

Rows of draws are never changed. Of a ticket it changes once, at most, that its sale becomes drawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, select, text
from sqlalchemy.dialects.postgresql import ARRAY, TEXT

from compliance.sale_tables import sales
from qa_sampling.draw import Chance
from qa_sampling.strata import Stratum
from qa_sampling.tables import draw_tickets, draws, seed_commitments


class UnknownDrawError(LookupError):
    """No draw has this id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDraw:
    """A row of draws without its frame; days are closing days in Shanghai, both included."""

    draw_id: UUID
    sales_mode: str
    centre_id: str
    inspection_class: str
    from_on: date
    to_on: date
    frame_digest: bytes
    frame_size: int
    rate_bp: int
    sample_size: int
    seed: bytes
    seed_commitment: bytes
    committed_before: bool
    public_number: str
    algorithm: str
    policy_digest: str
    actor: str
    drawn_at: datetime

    @property
    def chance(self) -> Chance:
        return Chance(self.seed, self.public_number)


class StoredTicket(NamedTuple):
    """A sale of a draw that is in its sample, came late, was promoted, or replaces another."""

    policy_no: str
    ticket: bytes
    kind: str
    is_drawn: bool
    inspection_id: UUID | None
    replaces: str | None
    reason: str | None
    recorded_at: datetime
    closed_on: date


_draws, _tickets = draws.c, draw_tickets.c
_COLUMNS = [_draws[name] for name in StoredDraw.__dataclass_fields__]
_ENTRY = """
    SELECT t.{key}::text, l.entry
      FROM {table} t
      JOIN ledger_entries e ON e.tx = t.written_in AND e.kind = '{table}.insert' AND t.{key}::text = ANY (e.keys)
      JOIN ledger_leaves l ON l.source = e.source
     WHERE t.{key} = ANY (CAST(:keys AS {type}[]))"""
_keys = bindparam("keys", type_=ARRAY(TEXT))
_DRAW_ENTRIES = text(_ENTRY.format(table=draws.name, key="draw_id", type="uuid")).bindparams(_keys)
_COMMITMENT_ENTRIES = text(_ENTRY.format(table=seed_commitments.name, key="day", type="date")).bindparams(_keys)


def read_draw(connection: Connection, draw_id: UUID) -> StoredDraw:
    """Return one draw.

    Raises:
        UnknownDrawError: there is none with this id.
    """
    row = connection.execute(select(*_COLUMNS).where(_draws.draw_id == draw_id)).mappings().one_or_none()
    if row is None:
        raise UnknownDrawError(f"there is no draw {draw_id}; GET /v1/draws lists all")
    return StoredDraw(**row)


def read_frame_bytes(connection: Connection, draw_id: UUID) -> bytes:
    """Return the frame of a draw as it was frozen."""
    return bytes(connection.execute(select(_draws.frame).where(_draws.draw_id == draw_id)).scalar_one())


def find_draw(connection: Connection, stratum: Stratum, from_on: date, to_on: date) -> UUID | None:
    """Return the draw of a stratum and period, None if there is none yet."""
    its = and_(_is_of(stratum), _draws.from_on == from_on, _draws.to_on == to_on)
    return connection.execute(select(_draws.draw_id).where(its)).scalar_one_or_none()


def draws_over(connection: Connection, stratum: Stratum, day: date) -> list[StoredDraw]:
    """Return the draws of a stratum whose period holds `day`, in the order of their ids."""
    its = and_(_is_of(stratum), _draws.from_on <= day, _draws.to_on >= day)
    rows = connection.execute(select(*_COLUMNS).where(its).order_by(_draws.draw_id)).mappings()
    return [StoredDraw(**row) for row in rows]


def has_draw_of_day(connection: Connection, day: date) -> bool:
    """Return whether any stratum of this one day has been drawn."""
    its = and_(_draws.from_on == day, _draws.to_on == day)
    return connection.execute(select(_draws.draw_id).where(its).limit(1)).first() is not None


def list_draws(connection: Connection, *, before: UUID | None, limit: int) -> list[StoredDraw]:
    """Return draws, newest first; `before` is the last of the page before."""
    statement = select(*_COLUMNS).order_by(_draws.draw_id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(_draws.draw_id < before)
    return [StoredDraw(**row) for row in connection.execute(statement).mappings()]


def read_tickets(connection: Connection, draw_id: UUID) -> list[StoredTicket]:
    """Return the tickets that are kept of a draw, smallest first."""
    columns = [sales.c.closed_on if name == "closed_on" else _tickets[name] for name in StoredTicket._fields]
    joined = draw_tickets.join(sales, sales.c.policy_no == _tickets.policy_no)
    chosen = select(*columns).select_from(joined).where(_tickets.draw_id == draw_id).order_by(_tickets.ticket)
    return [StoredTicket(*row) for row in connection.execute(chosen)]


def sample_of(found: Sequence[StoredTicket]) -> list[StoredTicket]:
    """Return the sample of a draw out of its tickets, smallest first."""
    return [one for one in found if one.kind == "sample"]


def additions_of(found: Sequence[StoredTicket]) -> list[StoredTicket]:
    """Return late sales in the order in which they came, after each the sales that its coming had drawn."""
    # A sale that comes late has an instant of its own, later than all before it.
    added = [one for one in found if one.kind in {"late", "promoted"}]
    return sorted(added, key=lambda one: (one.recorded_at, one.kind == "promoted", one.ticket))


def replacements_of(found: Sequence[StoredTicket]) -> list[StoredTicket]:
    """Return the sales that replace others, in the order in which they came."""
    return sorted((one for one in found if one.kind == "replacement"), key=lambda one: (one.recorded_at, one.ticket))


def draw_entries(connection: Connection, draw_ids: Sequence[UUID]) -> dict[str, int]:
    """Return the numbers of the sealed ledger entries of these draws by id; what is not sealed yet is left out."""
    return _entries(connection.execute(_DRAW_ENTRIES, {"keys": [str(one) for one in draw_ids]}).all())


def commitment_entries(connection: Connection, days: Sequence[date]) -> dict[str, int]:
    """Return the numbers of the sealed ledger entries of these days' commitments by `YYYY-MM-DD`."""
    return _entries(connection.execute(_COMMITMENT_ENTRIES, {"keys": [one.isoformat() for one in days]}).all())


def _entries(rows: "Sequence[Row[str, int]]") -> dict[str, int]:
    return {str(key): int(entry) for key, entry in rows}


def _is_of(stratum: Stratum) -> ColumnElement[bool]:
    return and_(
        _draws.sales_mode == stratum.sales_mode,
        _draws.centre_id == stratum.centre_id,
        _draws.inspection_class == stratum.inspection_class,
    )
