"""A cohort that grows after one of its sales was replaced still has as many sales to be inspected as it owes."""

from datetime import timedelta

from sqlalchemy import Connection

from qa_sampling.draw import ticket
from qa_sampling.late_sales import join_late
from qa_sampling.quotas import QuotaFilter, read_quotas
from qa_sampling.replacements import replace_failing, replacements_of_sales
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
