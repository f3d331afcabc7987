"""Lets sales that come after a draw join it by their tickets: the frame grows, and with it, by its rate, the sample.

Nobody drawn is ever dropped. A sale of the first frame that is drawn only because the frame grew is promoted.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, insert, update

from compliance.sale_rows import StoredSale, read_sale
from infra.advisory_locks import PartLock, hold_part
from qa_sampling.draw import Ticket, newly_drawn, ticket
from qa_sampling.draw_rows import StoredDraw, StoredTicket, draws_over, read_frame_bytes, read_tickets
from qa_sampling.frame import policy_numbers
from qa_sampling.inspection_tasks import open_drawn
from qa_sampling.samples import add_drawn
from qa_sampling.strata import stratum_of
from qa_sampling.tables import draw_tickets

_MICROSECOND = timedelta(microseconds=1)


def hold_draw(connection: Connection, draw_id: UUID) -> None:
    """Let nobody else add tickets to a draw until the transaction ends: who is drawn next depends on all before."""
    hold_part(connection, PartLock.LATE_SALES, str(draw_id))


def join_late(connection: Connection, policy_no: str, *, now: datetime) -> None:
    """Let a sale that was registered just now join every draw whose period holds its closing day.

    The caller has shared the day (`samples.share_day`) before it inserted the sale.
    """
    sale = read_sale(connection, policy_no)
    stratum = stratum_of(sale.sales_mode, sale.centre_id, sale.inspection_class)
    for draw in draws_over(connection, stratum, sale.closed_on):
        hold_draw(connection, draw.draw_id)
        _join(connection, draw, sale, now=now)


def _join(connection: Connection, draw: StoredDraw, sale: StoredSale, *, now: datetime) -> None:
    kept = read_tickets(connection, draw.draw_id)
    # Each late sale has an instant of its own, so that their order, on which it depends who is drawn, can be told.
    at = max([now, *(one.recorded_at + _MICROSECOND for one in kept)])
    waiting = {one.policy_no: one for one in kept if not one.is_drawn}
    drawn = newly_drawn(
        draw.chance,
        _enlarged(connection, draw, kept, sale.policy_no),
        rate_bp=draw.rate_bp,
        # Who only stands for another is drawn once more, for itself: else the frame would grow and the sample not.
        drawn={one.policy_no for one in kept if one.is_drawn and one.kind != "replacement"},
    )
    chosen = {one.policy_no for one in drawn}
    _add_late(connection, draw, sale.policy_no, is_drawn=sale.policy_no in chosen, at=at)
    _draw_waiting(connection, draw.draw_id, sorted(chosen & set(waiting)), at=at)
    promoted = [one for one in drawn if one.policy_no != sale.policy_no and one.policy_no not in waiting]
    add_drawn(connection, draw.draw_id, promoted, kind="promoted", now=at)


def _enlarged(connection: Connection, draw: StoredDraw, kept: Sequence[StoredTicket], policy_no: str) -> list[bytes]:
    late = [one.policy_no.encode() for one in kept if one.kind == "late"]
    return [*policy_numbers(read_frame_bytes(connection, draw.draw_id)), *late, policy_no.encode()]


def _add_late(connection: Connection, draw: StoredDraw, policy_no: str, *, is_drawn: bool, at: datetime) -> None:
    its = Ticket(policy_no, ticket(draw.chance, policy_no))
    if is_drawn:
        add_drawn(connection, draw.draw_id, [its], kind="late", now=at)
        return
    row = {**its._asdict(), "draw_id": draw.draw_id, "kind": "late", "is_drawn": False, "recorded_at": at}
    connection.execute(insert(draw_tickets).values(row))


def _draw_waiting(connection: Connection, draw_id: UUID, policy_nos: Sequence[str], *, at: datetime) -> None:
    """Have sales drawn that came late before, and were not drawn then."""
    columns = draw_tickets.c
    late = update(draw_tickets).where(columns.draw_id == draw_id, columns.kind == "late")
    for policy_no, inspection_id in open_drawn(connection, policy_nos, now=at).items():
        drawn = late.where(columns.policy_no == policy_no)
        connection.execute(drawn.values(is_drawn=True, inspection_id=inspection_id))
