"""Claims: given in the order of deadlines, to one inspector each, however many ask at once."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from threading import Barrier
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine, text

from infra.database import make_engine
from qa_sampling.claims import EarlierWaitsError, NotWaitingError, claim_next, claim_one
from qa_sampling.eligibility import MayNotInspectError
from qa_sampling.scorecards import NoScorecardError
from qa_sampling.sittings import CLAIM_LASTS, Ending, Sitting, SittingPurpose, end_expired, end_sitting, open_sitting
from tests.conftest import NOON
from tests.gate_facts import write_registers
from tests.qa_sampling.inspection_desk import (
    DUE,
    add_agent,
    add_inspection,
    add_sale,
    change_agent,
    open_inspection,
)

AT_ONCE = 50


def claimed(connection: Connection, inspector: str = "ins") -> UUID | None:
    sitting = claim_next(connection, inspector, now=NOON)
    return None if sitting is None else sitting.inspection_id


def all_claimed_at_once(engine: Engine, count: int, claim: Callable[[Connection, str], Sitting | None]) -> list[UUID]:
    """Let `count` inspectors claim at the same instant, each with a connection of his own."""
    ready = Barrier(count)

    def work(number: int) -> Sitting | None:
        with engine.connect() as connection, connection.begin():
            connection.execute(text("SELECT 1"))
            ready.wait()
            return claim(connection, f"ins-{number}")

    with ThreadPoolExecutor(count) as pool:
        return [one.inspection_id for one in pool.map(work, range(count)) if one is not None]


@pytest.fixture
def queue(engine: Engine) -> list[UUID]:
    with engine.begin() as connection:
        return [
            add_inspection(connection, f"P-{at:02}", inspect_before=DUE + timedelta(minutes=at)) for at in range(60)
        ]


@pytest.fixture
def wide(database: str) -> Iterator[Engine]:
    """An engine with a connection for each inspector."""
    made = make_engine(database, application_name="tests", pool_size=AT_ONCE)
    yield made
    made.dispose()


def test_fifty_inspectors_at_once_never_get_the_same(wide: Engine, queue: list[UUID]) -> None:
    given = all_claimed_at_once(wide, AT_ONCE, lambda connection, who: claim_next(connection, who, now=NOON))

    assert len(given) == AT_ONCE
    assert len(set(given)) == AT_ONCE


def test_one_inspection_goes_to_one_of_those_who_name_it_at_once(engine: Engine, queue: list[UUID]) -> None:
    refusals: list[Exception] = []

    def claim(connection: Connection, who: str) -> Sitting | None:
        try:
            return claim_one(connection, queue[0], who, now=NOON)
        except NotWaitingError as error:
            refusals.append(error)
            return None

    given = all_claimed_at_once(engine, 10, claim)

    assert given == [queue[0]]
    assert len(refusals) == 9


def test_who_asks_while_another_is_given_the_first_gets_the_second(engine: Engine, queue: list[UUID]) -> None:
    with engine.connect() as one, engine.connect() as other, one.begin(), other.begin():
        assert claimed(one, "ins-1") == queue[0]
        assert claimed(other, "ins-2") == queue[1]


def test_of_equal_deadlines_the_smaller_id_comes_first(connection: Connection) -> None:
    ids = sorted(add_inspection(connection, f"P-{at}") for at in range(3))

    assert [claimed(connection) for _ in range(4)] == [*ids, None]


def test_the_order_holds_beyond_what_is_read_at_once(connection: Connection) -> None:
    write_registers(connection)
    change_agent(connection, "agent-1", {"supervisor_user_id": "ins"}, since=date(2026, 11, 1))
    for at in range(130):
        add_inspection(connection, f"P-{at}", inspect_before=DUE - timedelta(minutes=at + 1))
    mine = add_inspection(connection, "P-mine", agent_id="agent-2")

    assert claimed(connection) == mine
    assert claimed(connection) is None


def test_what_an_inspector_may_not_have_is_passed_over_and_left_to_others(connection: Connection) -> None:
    write_registers(connection)
    sold = add_inspection(connection, "P-1", agent_id="agent-8")
    add_agent(connection, "agent-8", {"user_id": "ins"}, since=date(2026, 1, 1))
    change_agent(connection, "agent-8", {"user_id": None}, since=date(2026, 2, 1))
    other = add_inspection(connection, "P-2", inspect_before=DUE + timedelta(days=1))

    with pytest.raises(MayNotInspectError, match="sold this policy"):
        claim_one(connection, sold, "ins", now=NOON)
    assert claim_one(connection, other, "ins", now=NOON).inspection_id == other
    assert claimed(connection, "ins-2") == sold


def test_a_seller_gets_nothing_at_all(connection: Connection) -> None:
    add_inspection(connection)
    write_registers(connection)
    add_agent(connection, "agent-9", {"user_id": "ins"})

    with pytest.raises(MayNotInspectError, match="selling role"):
        claimed(connection)


def test_the_holder_who_became_a_seller_is_not_given_it_again(connection: Connection) -> None:
    inspection_id = add_inspection(connection)
    claimed(connection)
    write_registers(connection)
    add_agent(connection, "agent-9", {"user_id": "ins"})

    with pytest.raises(MayNotInspectError):
        claim_one(connection, inspection_id, "ins", now=NOON)


def test_an_earlier_one_that_waits_is_named(connection: Connection) -> None:
    later = add_inspection(connection, "P-2", inspect_before=DUE + timedelta(days=1))
    first = add_inspection(connection, "P-1")

    with pytest.raises(EarlierWaitsError, match=str(first)):
        claim_one(connection, later, "ins", now=NOON)


def test_what_has_a_result_does_not_wait(connection: Connection) -> None:
    inspection_id = add_inspection(connection)
    claimed(connection)
    submit(connection, inspection_id)

    with pytest.raises(NotWaitingError, match="does not wait"):
        claim_one(connection, inspection_id, "ins", now=NOON)
    assert claimed(connection, "ins-2") is None


def submit(connection: Connection, inspection_id: UUID) -> None:
    end_sitting(connection, open_sitting(connection, inspection_id, "ins", now=NOON), Ending.SUBMITTED, now=NOON)
    connection.execute(
        text("UPDATE inspections SET state = 'submitted', submitted_at = :now, is_in_time = true"), {"now": NOON}
    )


def test_a_claim_pins_the_scorecard_and_lasts_a_working_day(connection: Connection) -> None:
    inspection_id = add_inspection(connection)

    sitting = claim_one(connection, inspection_id, "ins", now=NOON)

    assert (sitting.purpose, sitting.inspector) == (SittingPurpose.INSPECTION, "ins")
    assert sitting.expires_at == NOON + CLAIM_LASTS
    assert sitting.scorecard_version >= 1


def test_without_a_scorecard_in_force_nothing_is_given(connection: Connection) -> None:
    add_sale(connection, consented_at=NOON)
    open_inspection(connection)

    with pytest.raises(NoScorecardError):
        claim_next(connection, "ins", now=NOON - timedelta(days=40_000))


def test_a_claim_ends_at_its_last_moment_and_the_work_goes_on(connection: Connection) -> None:
    inspection_id = add_inspection(connection)
    claimed(connection)

    before = end_expired(connection, now=NOON + CLAIM_LASTS - timedelta(milliseconds=1))
    after = end_expired(connection, now=NOON + CLAIM_LASTS)

    assert (before, after) == (0, 1)
    assert claimed(connection, "ins-2") == inspection_id


def test_claiming_ends_what_is_over(connection: Connection) -> None:
    inspection_id = add_inspection(connection)
    claimed(connection)
    late = NOON + CLAIM_LASTS

    assert claim_one(connection, inspection_id, "ins-2", now=late).inspector == "ins-2"
    endings = connection.execute(text("SELECT inspector, ending FROM inspection_sittings ORDER BY claimed_at")).all()
    assert [tuple(row) for row in endings] == [("ins", "expired"), ("ins-2", None)]
