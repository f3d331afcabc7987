"""Drawn sales that cannot be inspected in time give way to the next tickets of their cohort, once each."""

from datetime import date, datetime, timedelta
from itertools import pairwise
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine, select, text

from compliance.sale_endings import terminate_sale
from compliance.sale_terms import InspectionClass
from qa_sampling.inspection_tasks import Risk, follow_sale, open_risky
from qa_sampling.quotas import read_quotas
from qa_sampling.replacements import replace_failing, replacements_of_sales
from qa_sampling.tables import draw_tickets
from tests.conftest import NOON
from tests.qa_sampling.sampled_sales import (
    DAY,
    WITHIN_1Y,
    add_draw,
    add_late,
    add_sales,
    by_ticket,
    drawn_in,
    shanghai,
    submit,
)
from tests.qa_sampling.test_quotas import MONTH, OVER
from tests.recordings.archive_rows import add_recording

WITHIN = OVER._replace(inspection_class=InspectionClass.WITHIN_1Y)
ENDS = shanghai(date(2026, 11, 18))
"""When the windows of all sales of DAY end, unless their receipt is known."""

_MOVE = text("UPDATE sales SET inspect_before = :end WHERE policy_no = ANY(:policy_nos)")


def move_end(connection: Connection, end: datetime, *policy_nos: str) -> None:
    """Let the windows of these sales end at another time, as a confirmed receipt does."""
    connection.execute(_MOVE, {"end": end, "policy_nos": list(policy_nos)})
    for policy_no in policy_nos:
        follow_sale(connection, policy_no, now=NOON)


def with_recordings(connection: Connection, *policy_nos: str) -> None:
    for policy_no in policy_nos:
        add_recording(connection, call_id=None, policy_no=policy_no)


def replaced(connection: Connection, draw_id: UUID) -> list[tuple[str, str]]:
    """Return which sale was replaced by which, in the order in which it was done."""
    columns = draw_tickets.c
    asked = select(columns.replaces, columns.policy_no).where(columns.draw_id == draw_id, columns.kind == "replacement")
    return [(row.replaces, row.policy_no) for row in connection.execute(asked.order_by(columns.recorded_at))]


def test_nothing_is_replaced_while_all_can_be_inspected(connection: Connection) -> None:
    names = add_sales(connection, 10)
    with_recordings(connection, *names)
    add_draw(connection, OVER)

    assert replace_failing(connection, now=ENDS - timedelta(microseconds=1)) == 0


def test_a_sale_whose_window_closed_gives_way_to_the_next_tickets(connection: Connection) -> None:
    names = add_sales(connection, 10)
    with_recordings(connection, *names)
    draw_id = add_draw(connection, OVER)
    order = by_ticket(names)
    move_end(connection, ENDS + timedelta(days=9), *order[3:])
    submit(connection, order[0], at=ENDS - timedelta(days=1))

    assert replace_failing(connection, now=ENDS) == 2
    assert replaced(connection, draw_id) == [
        (one, other) for one, other in zip(sorted(order[1:3]), order[3:5], strict=True)
    ]
    assert replacements_of_sales(connection, order)[order[1]].reason == (
        "not inspected by the end of its window at 2026-11-18 00:00 in Shanghai"
    )


def test_a_replacement_is_drawn_and_fills_the_minimum(connection: Connection) -> None:
    names = add_sales(connection, 10)
    with_recordings(connection, *names)
    add_draw(connection, OVER)
    order = by_ticket(names)
    move_end(connection, ENDS + timedelta(days=9), *order[3:])
    for policy_no in order[:2]:
        submit(connection, policy_no, at=ENDS - timedelta(days=1))
    replace_failing(connection, now=ENDS)
    row = connection.execute(
        text("SELECT origin, is_random, state FROM inspections WHERE policy_no = :name"), {"name": order[3]}
    ).one()
    submit(connection, order[3], at=ENDS + timedelta(days=8))

    [found] = read_quotas(connection, MONTH, now=ENDS)

    assert tuple(row) == ("replacement", True, "open")
    assert (found.progress.drawn, found.progress.done_in_time, found.progress.open, found.shortfall) == (4, 3, 1, 0)


def test_replacing_again_changes_nothing(connection: Connection) -> None:
    names = add_sales(connection, 10)
    with_recordings(connection, *names)
    add_draw(connection, OVER)
    move_end(connection, ENDS + timedelta(days=9), *by_ticket(names)[3:])

    assert [replace_failing(connection, now=ENDS) for _ in range(3)] == [3, 0, 0]


def test_two_workers_at_once_replace_each_sale_once(engine: Engine) -> None:
    with engine.begin() as connection:
        names = add_sales(connection, 10)
        with_recordings(connection, *names)
        draw_id = add_draw(connection, OVER)
        move_end(connection, ENDS + timedelta(days=9), *by_ticket(names)[3:])
    with engine.begin() as one, engine.begin() as other:
        found = replace_failing(one, now=ENDS), replace_failing(other, now=ENDS)
    with engine.begin() as connection:
        again = replace_failing(connection, now=ENDS)

        assert (found, again, len(replaced(connection, draw_id))) == ((3, 0), 0, 3)


def test_a_replacement_that_fails_is_itself_replaced(connection: Connection) -> None:
    names = add_sales(connection, 4)
    with_recordings(connection, *names)
    draw_id = add_draw(connection, OVER, rate_bp=2500)
    order = by_ticket(names)
    move_end(connection, ENDS + timedelta(days=5), order[1])
    move_end(connection, ENDS + timedelta(days=20), *order[2:])
    replace_failing(connection, now=ENDS)

    assert replace_failing(connection, now=ENDS + timedelta(days=5)) == 1
    assert replaced(connection, draw_id) == [(order[0], order[1]), (order[1], order[2])]


def test_when_none_is_left_nothing_is_replaced_and_the_shortfall_shows(connection: Connection) -> None:
    names = add_sales(connection, 10)
    with_recordings(connection, *names)
    add_draw(connection, OVER)

    assert replace_failing(connection, now=ENDS) == 0
    [found] = read_quotas(connection, MONTH, now=ENDS)
    assert (found.progress.drawn, found.shortfall) == (3, 3)


def test_when_fewer_are_left_than_fail_all_of_them_are_taken(connection: Connection) -> None:
    names = add_sales(connection, 10)
    with_recordings(connection, *names)
    draw_id = add_draw(connection, OVER)
    order = by_ticket(names)
    move_end(connection, ENDS + timedelta(days=9), order[9])

    assert [replace_failing(connection, now=ENDS) for _ in range(2)] == [1, 0]
    assert replaced(connection, draw_id) == [(min(order[:3]), order[9])]


def test_more_than_a_day_is_preferred_and_less_is_better_than_none(connection: Connection) -> None:
    names = add_sales(connection, 3)
    with_recordings(connection, *names)
    draw_id = add_draw(connection, OVER, rate_bp=3000)
    order = by_ticket(names)
    move_end(connection, ENDS + timedelta(days=1), order[1])
    move_end(connection, ENDS + timedelta(days=1, microseconds=1), order[2])
    replace_failing(connection, now=ENDS)
    first = replaced(connection, draw_id)
    replace_failing(connection, now=ENDS + timedelta(hours=23))
    replace_failing(connection, now=ENDS + timedelta(days=1))

    assert first == [(order[0], order[2])]
    assert replaced(connection, draw_id) == first


def test_a_sale_without_a_recording_gives_way_two_days_before_its_end(connection: Connection) -> None:
    names = add_sales(connection, 4)
    draw_id = add_draw(connection, OVER, rate_bp=2500)
    order = by_ticket(names)
    with_recordings(connection, *order[1:])
    before = replace_failing(connection, now=ENDS - timedelta(days=2, microseconds=1))

    assert (before, replace_failing(connection, now=ENDS - timedelta(days=2))) == (0, 1)
    assert replaced(connection, draw_id) == [(order[0], order[1])]
    assert replacements_of_sales(connection, order)[order[0]].reason == (
        "no recording of the sale is there, and its window closes at 2026-11-18 00:00 in Shanghai"
    )


def test_a_chain_without_recordings_ends_at_the_first_that_has_one(connection: Connection) -> None:
    names = add_sales(connection, 4)
    draw_id = add_draw(connection, OVER, rate_bp=2500)
    order = by_ticket(names)
    with_recordings(connection, order[3])

    assert replace_failing(connection, now=ENDS - timedelta(days=2)) == 3
    assert replaced(connection, draw_id) == list(pairwise(order))


def test_a_recording_by_its_call_is_a_recording(connection: Connection) -> None:
    add_sales(connection, 4, call_ids=("call-1",))
    add_recording(connection, call_id="call-1")
    add_draw(connection, OVER)

    assert replace_failing(connection, now=ENDS - timedelta(days=1)) == 0


def test_an_ended_contract_closes_the_window_and_gives_way(connection: Connection) -> None:
    names = add_sales(connection, 10, **WITHIN_1Y)
    with_recordings(connection, *names)
    draw_id = add_draw(connection, WITHIN, rate_bp=1000)
    order = by_ticket(names)
    terminate_sale(connection, order[0], ended_on=date(2026, 11, 20), reason="surrender", person="officer", now=NOON)
    follow_sale(connection, order[0], now=NOON)

    assert replace_failing(connection, now=NOON) == 1
    assert replaced(connection, draw_id) == [(order[0], order[1])]
    assert replacements_of_sales(connection, order)[order[0]].reason == (
        "the contract ended, and with it the window, at 2026-11-21 00:00 in Shanghai, before the sale was inspected"
    )


def test_one_done_late_gives_way_too(connection: Connection) -> None:
    names = add_sales(connection, 4)
    with_recordings(connection, *names)
    draw_id = add_draw(connection, OVER, rate_bp=2500)
    order = by_ticket(names)
    submit(connection, order[0], at=ENDS)
    move_end(connection, ENDS + timedelta(days=9), *order[1:])

    replace_failing(connection, now=ENDS)

    assert replaced(connection, draw_id) == [(order[0], order[1])]


def test_a_late_sale_of_the_cohort_takes_a_place_too_and_stays_late(connection: Connection) -> None:
    [first] = add_sales(connection, 1)
    draw_id = add_draw(connection, OVER)
    [late] = add_sales(connection, 1, prefix="L")
    add_late(connection, draw_id, late)
    with_recordings(connection, first, late)
    move_end(connection, ENDS + timedelta(days=9), late)

    replace_failing(connection, now=ENDS)

    kinds = select(draw_tickets.c.kind).where(draw_tickets.c.policy_no == late).order_by(draw_tickets.c.kind)
    assert replaced(connection, draw_id) == [(first, late)]
    assert list(connection.execute(kinds).scalars()) == ["late", "replacement"]


def test_a_sale_that_no_draw_knows_takes_no_place(connection: Connection) -> None:
    [first] = add_sales(connection, 1)
    add_draw(connection, OVER)
    [unknown] = add_sales(connection, 1, prefix="U")
    with_recordings(connection, first, unknown)
    move_end(connection, ENDS + timedelta(days=9), unknown)

    assert replace_failing(connection, now=ENDS) == 0


def test_sales_of_other_strata_and_days_take_no_place(connection: Connection) -> None:
    names = add_sales(connection, 1)
    other = add_sales(connection, 2, prefix="W", **WITHIN_1Y)
    next_day = add_sales(connection, 2, prefix="N", closed_on=DAY + timedelta(days=1))
    with_recordings(connection, *names, *other, *next_day)
    add_draw(connection, OVER)

    assert replace_failing(connection, now=ENDS) == 0


def test_a_sale_that_another_draw_drew_is_replaced_once_and_takes_no_place(connection: Connection) -> None:
    names = add_sales(connection, 4)
    with_recordings(connection, *names)
    first = add_draw(connection, OVER, rate_bp=2500)
    second = add_draw(connection, OVER, DAY, DAY + timedelta(days=1), rate_bp=5000, now=NOON + timedelta(hours=1))
    order = by_ticket(names)
    move_end(connection, ENDS + timedelta(days=9), *order[1:])

    assert replace_failing(connection, now=ENDS) == 1
    assert (replaced(connection, first), replaced(connection, second)) == ([(order[0], order[2])], [])


def test_a_risky_one_that_is_next_becomes_a_random_one(connection: Connection) -> None:
    names = add_sales(connection, 4)
    with_recordings(connection, *names)
    draw_id = add_draw(connection, OVER, rate_bp=2500)
    order = by_ticket(names)
    open_risky(connection, [Risk(name, "complaint") for name in order[1:]], now=NOON)
    move_end(connection, ENDS + timedelta(days=9), *order[1:])

    replace_failing(connection, now=ENDS)

    row = connection.execute(
        text("SELECT origin, is_random, risk_reasons FROM inspections WHERE policy_no = :name"), {"name": order[1]}
    ).one()
    assert replaced(connection, draw_id) == [(order[0], order[1])]
    assert tuple(row) == ("risk", True, ["complaint"])


def test_the_replaced_one_stays_drawn_and_open(connection: Connection) -> None:
    names = add_sales(connection, 4)
    with_recordings(connection, *names)
    draw_id = add_draw(connection, OVER, rate_bp=2500)
    order = by_ticket(names)
    move_end(connection, ENDS + timedelta(days=9), *order[1:])

    replace_failing(connection, now=ENDS)

    state = text("SELECT state, is_random FROM inspections WHERE policy_no = :name")
    assert tuple(connection.execute(state, {"name": order[0]}).one()) == ("open", True)
    assert drawn_in(connection, draw_id) == order[:2]


@pytest.mark.parametrize("sold", [1, 2, 7])
def test_no_sale_is_ever_drawn_twice(connection: Connection, sold: int) -> None:
    names = add_sales(connection, sold)
    draw_id = add_draw(connection, OVER, rate_bp=5000)
    # Only the last of all can be heard: every one before it fails in its turn.
    with_recordings(connection, by_ticket(names)[-1])
    replace_failing(connection, now=ENDS - timedelta(hours=1))

    drawn = drawn_in(connection, draw_id)

    assert sorted(drawn) == names


def test_while_no_recordings_come_in_at_all_nobody_is_drawn_in_vain(connection: Connection) -> None:
    names = add_sales(connection, 7)
    draw_id = add_draw(connection, OVER)

    assert replace_failing(connection, now=ENDS - timedelta(hours=1)) == 0
    assert drawn_in(connection, draw_id) == by_ticket(names)[:3]
