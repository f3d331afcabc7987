"""Sales that come after a draw: each joins by its ticket, nobody is dropped, and none slips between frame and draw."""

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, text

from compliance.call_facts import CentreKind
from qa_sampling.draw import sample_size, ticket
from qa_sampling.draw_rows import StoredDraw, StoredTicket, additions_of, read_draw, read_tickets
from qa_sampling.samples import Drawn, DrawOrder
from tests.conftest import NOON
from tests.gate_facts import write_registers
from tests.qa_sampling.sold import (
    DAY,
    ORDER,
    commit,
    count_draws,
    drawn,
    new_sale,
    numbered,
    register_late,
    sell,
    tickets_of,
)

WAITERS = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")


def smallest(draw: StoredDraw, policy_nos: list[str]) -> set[str]:
    by_ticket = sorted(policy_nos, key=lambda one: ticket(draw.chance, one))
    return set(by_ticket[: sample_size(len(policy_nos), draw.rate_bp)])


def drawn_of(tickets: list[StoredTicket]) -> set[str]:
    return {one.policy_no for one in tickets if one.is_drawn}


def test_late_sales_join_by_their_tickets_and_promote_by_the_rate(connection: Connection, tmp_path: Path) -> None:
    sell(connection, numbered(10))
    made = drawn(connection, tmp_path)
    draw, names, expected = read_draw(connection, made.draw_id), numbered(10), drawn_of(tickets_of(connection, made))

    for name in numbered(15, "L"):
        register_late(connection, new_sale(name))
        names.append(name)
        expected |= smallest(draw, names)

        assert drawn_of(tickets_of(connection, made)) == expected

    found = tickets_of(connection, made)
    assert [one.policy_no for one in additions_of(found) if one.kind == "late"] == numbered(15, "L")
    assert {one.kind for one in found if one.policy_no.startswith("P")} <= {"sample", "promoted"}
    assert all((one.inspection_id is not None) == one.is_drawn for one in found)
    assert read_draw(connection, made.draw_id) == draw


def test_the_order_of_late_sales_can_be_told_though_their_instants_are_the_same(
    connection: Connection, tmp_path: Path
) -> None:
    sell(connection, numbered(2))
    made = drawn(connection, tmp_path)

    register_late(connection, new_sale("L-2"), now=NOON)
    register_late(connection, new_sale("L-1"), now=NOON - timedelta(hours=1))

    late = [one for one in additions_of(tickets_of(connection, made)) if one.kind == "late"]
    assert [one.policy_no for one in late] == ["L-2", "L-1"]
    assert NOON < late[0].recorded_at < late[1].recorded_at < NOON + timedelta(milliseconds=1)


def test_a_sale_of_another_day_stratum_or_class_joins_nothing(connection: Connection, tmp_path: Path) -> None:
    sell(connection, numbered(3))
    made = drawn(connection, tmp_path)
    before = tickets_of(connection, made)

    register_late(connection, new_sale("L-1", consented_at=datetime(2026, 11, 3, 2, 0, tzinfo=UTC)))
    register_late(connection, new_sale("L-2", centre_id="centre-2"))
    register_late(connection, new_sale("L-3", sales_mode=CentreKind.AGENCY))
    register_late(connection, new_sale("L-4", gift=True))

    assert tickets_of(connection, made) == before


def test_the_same_sale_sent_again_joins_once(connection: Connection, tmp_path: Path) -> None:
    sell(connection, numbered(3))
    made = drawn(connection, tmp_path)

    register_late(connection, new_sale("L-1"))
    register_late(connection, new_sale("L-1"), now=NOON + timedelta(hours=1))

    assert [one.policy_no for one in tickets_of(connection, made) if one.kind == "late"] == ["L-1"]


def test_a_sale_joins_every_draw_whose_period_holds_its_day(connection: Connection, tmp_path: Path) -> None:
    sell(connection, numbered(3))
    made = [
        drawn(connection, tmp_path),
        drawn(connection, tmp_path, replace(ORDER, to_on=DAY + timedelta(days=2))),
        drawn(connection, tmp_path, replace(ORDER, from_on=date(2026, 10, 1))),
    ]

    register_late(connection, new_sale("L-1"))

    assert ["L-1" in {one.policy_no for one in tickets_of(connection, one)} for one in made] == [True, True, True]


def test_a_cover_of_exactly_one_year_is_drawn_with_those_over_one_year(connection: Connection, tmp_path: Path) -> None:
    one_year = new_sale("Y-1", cover_end_exclusive=date(2027, 11, 3), declared_term_months=12)
    register_late(connection, one_year)

    made = drawn(connection, tmp_path)

    assert [one.policy_no for one in tickets_of(connection, made)] == ["Y-1"]
    assert read_draw(connection, made.draw_id).rate_bp == 3000


@pytest.fixture
def house(engine: Engine, tmp_path: Path) -> Engine:
    """A database with a committed day and sales of it."""
    with engine.begin() as connection:
        write_registers(connection)
        commit(connection, tmp_path)
        sell(connection, numbered(10))
    return engine


def wait_for_a_waiter(engine: Engine) -> None:
    """Return once some connection waits for an advisory lock."""
    with engine.connect() as connection:
        while connection.execute(WAITERS).scalar_one() == 0:
            connection.rollback()


def draw_alone(engine: Engine, data_dir: Path) -> Drawn:
    with engine.begin() as connection:
        return drawn(connection, data_dir)


def register_alone(engine: Engine, policy_no: str) -> None:
    with engine.begin() as connection:
        register_late(connection, new_sale(policy_no))


def test_a_draw_waits_for_a_sale_that_is_being_registered_and_has_it_in_its_frame(
    house: Engine, tmp_path: Path
) -> None:
    with ThreadPoolExecutor(1) as pool:
        with house.begin() as connection:
            register_late(connection, new_sale("L-1"))
            drawing: Future[Drawn] = pool.submit(draw_alone, house, tmp_path)
            wait_for_a_waiter(house)
        made = drawing.result()

    with house.connect() as connection:
        assert read_draw(connection, made.draw_id).frame_size == 11
        assert additions_of(read_tickets(connection, made.draw_id)) == []


def test_a_sale_waits_for_a_draw_that_is_being_made_and_joins_it_late(house: Engine, tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        with house.begin() as connection:
            made = drawn(connection, tmp_path)
            registering: Future[None] = pool.submit(register_alone, house, "L-1")
            wait_for_a_waiter(house)
        registering.result()

    with house.connect() as connection:
        assert read_draw(connection, made.draw_id).frame_size == 10
        assert [one.policy_no for one in additions_of(read_tickets(connection, made.draw_id))][:1] == ["L-1"]


@pytest.mark.parametrize("order", [ORDER, replace(ORDER, to_on=DAY + timedelta(days=1))], ids=["a day", "two days"])
def test_of_two_draws_at_once_one_wins_and_the_other_gets_it(house: Engine, tmp_path: Path, order: DrawOrder) -> None:
    def draw_one(_number: int) -> Drawn:
        with house.begin() as connection:
            return drawn(connection, tmp_path, order)

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(draw_one, range(4)))

    assert len({one.draw_id for one in made}) == 1
    assert [one.is_new for one in made].count(True) == 1
    with house.connect() as connection:
        assert count_draws(connection) == 1


def test_many_late_sales_at_once_join_one_after_the_other(house: Engine, tmp_path: Path) -> None:
    made = draw_alone(house, tmp_path)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda name: register_alone(house, name), numbered(12, "L")))

    with house.connect() as connection:
        draw, found = read_draw(connection, made.draw_id), read_tickets(connection, made.draw_id)
    late = [one.policy_no for one in additions_of(found) if one.kind == "late"]
    names, expected = numbered(10), smallest(draw, numbered(10))
    for name in late:
        names.append(name)
        expected |= smallest(draw, names)
    assert sorted(late) == sorted(numbered(12, "L"))
    assert drawn_of(found) == expected
