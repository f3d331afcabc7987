"""A cohort that grows after one of its sales was replaced still has as many sales to be inspected as it owes."""

from datetime import timedelta

from sqlalchemy import Connection, select

from qa_sampling.draw import ticket
from qa_sampling.late_sales import join_late
from qa_sampling.quotas import QuotaFilter, read_quotas
from qa_sampling.replacements import replace_failing, replacements_of_sales
from qa_sampling.tables import draw_tickets
from tests.qa_sampling.sampled_sales import CHANCE, DAY, add_draw, add_sales, by_ticket
from tests.qa_sampling.test_quotas import OVER
from tests.qa_sampling.test_replacements import ENDS, move_end, replaced, with_recordings

LATE = max((f"L{number}-001" for number in range(30)), key=lambda one: ticket(CHANCE, one))
"""A late sale whose own ticket draws it not."""


def test_a_replacement_drawn_by_its_ticket_later_is_replaced_where_it_stood(connection: Connection) -> None:
    names = add_sales(connection, 10)
    order = by_ticket(names)
    draw_id = add_draw(connection, OVER)
    add_sales(connection, 1, prefix=LATE.removesuffix("-001"))
    with_recordings(connection, *names, LATE)
    move_end(connection, ENDS + timedelta(days=9), *order[1:], LATE)
    replace_failing(connection, now=ENDS)

    join_late(connection, LATE, now=ENDS)
    replace_failing(connection, now=ENDS)
    replace_failing(connection, now=ENDS)

    [found] = read_quotas(connection, QuotaFilter(from_on=DAY, to_on=DAY), now=ENDS)
    assert replaced(connection, draw_id) == [(order[0], order[3]), (order[0], order[4])]
    assert replacements_of_sales(connection, [order[0]])[order[0]].policy_no == order[4]
    assert (found.required, found.progress.still_possible) == (4, 4)


NAMES = [f"P-{number:03}" for number in range(1, 11)]
FOURTH, FIFTH = (ticket(CHANCE, one) for one in by_ticket(NAMES)[3:5])
FIFTH_OF_ALL = next(one for number in range(999) if FOURTH < ticket(CHANCE, one := f"W{number}-001") < FIFTH)
"""A late sale that is not drawn when it comes, as the eleventh, and is when the fourteenth comes."""

LAST = sorted((f"L{number}-001" for number in range(60)), key=lambda one: ticket(CHANCE, one))[-3:]


def test_a_late_sale_that_others_have_drawn_is_drawn_where_it_stands(connection: Connection) -> None:
    add_sales(connection, 10)
    draw_id = add_draw(connection, OVER)
    for late in [FIFTH_OF_ALL, *LAST]:
        add_sales(connection, 1, prefix=late.removesuffix("-001"))
        join_late(connection, late, now=ENDS)

    columns = draw_tickets.c
    asked = select(columns.kind, columns.is_drawn, columns.policy_no).where(columns.draw_id == draw_id)
    rows = connection.execute(asked.where(columns.kind != "sample").order_by(columns.ticket)).all()
    assert [tuple(row) for row in rows] == [
        ("promoted", True, by_ticket(NAMES)[3]),
        ("late", True, FIFTH_OF_ALL),
        *(("late", False, one) for one in LAST),
    ]
