"""Which policy is in force after a start, with and without a policy file, and which of them raise blocks."""

from datetime import timedelta

import pytest
from sqlalchemy import Connection, Engine, select, text

from compliance.block_raises import JOB_KIND
from compliance.policy import floor_policy, parse_policy
from compliance.policy_store import adopt_start_policy, policy_for_blocks, policy_in_force, store_policy
from compliance.shanghai import shanghai_day
from infra.ids import new_id
from infra.tables import jobs
from tests.compliance.raises import MORE_THAN_ENOUGH_S, SECOND, adopt, in_a_thread, wait_until_somebody_waits
from tests.conftest import NOON
from tests.unguarded import unguarded

TODAY = shanghai_day(NOON)
TWELVE, NINE = (f"[do_not_call]\nblock_months = {months}\n" for months in (12, 9))


def start(connection: Connection, policy_text: str | None, *, hours: int) -> int:
    """Return the months in force after a start so many hours after noon."""
    now = NOON + timedelta(hours=hours)
    return adopt_start_policy(connection, policy_text, policy_id=new_id(), now=now).block_months


def approve(connection: Connection, policy_text: str, *, hours: int) -> None:
    policy = parse_policy(policy_text, on=TODAY)
    store_policy(connection, policy, policy_id=new_id(), source="api", now=NOON + timedelta(hours=hours))


def forget_the_floor_of_today(connection: Connection) -> None:
    with unguarded(connection):
        connection.execute(text("UPDATE policies SET digest = 'sha256:of-an-older-law' WHERE source = 'floor'"))


def test_without_a_file_the_floor_is_stored_once(connection: Connection) -> None:
    assert [start(connection, None, hours=hour) for hour in (0, 1)] == [floor_policy(on=TODAY).block_months] * 2
    assert connection.execute(text("SELECT count(*) FROM policies")).scalar_one() == 1


def test_what_officers_approved_stays_over_a_file_that_has_not_changed(connection: Connection) -> None:
    start(connection, NINE, hours=0)
    approve(connection, TWELVE, hours=1)

    assert start(connection, NINE, hours=2) == 12


def test_a_file_that_has_changed_comes_into_force(connection: Connection) -> None:
    start(connection, NINE, hours=0)
    approve(connection, TWELVE, hours=1)

    assert start(connection, NINE + "# reviewed\n", hours=2) == 9


def test_a_newer_law_leaves_what_officers_approved_in_force(connection: Connection) -> None:
    start(connection, None, hours=0)
    approve(connection, TWELVE, hours=1)
    forget_the_floor_of_today(connection)

    assert start(connection, None, hours=2) == 12
    assert policy_in_force(connection, now=NOON + timedelta(hours=3)).block_months == 12


def test_a_newer_law_replaces_the_floor_of_the_older_one(connection: Connection) -> None:
    start(connection, None, hours=0)
    forget_the_floor_of_today(connection)
    start(connection, None, hours=1)

    newest = connection.execute(text("SELECT digest FROM policies ORDER BY effective_from DESC LIMIT 1")).scalar_one()
    assert newest == floor_policy(on=TODAY).digest


def queued(connection: Connection) -> list[tuple[str, str, str, dict[str, object]]]:
    columns = (jobs.c.kind, jobs.c.role, jobs.c.actor, jobs.c.parameters)
    return [tuple(row) for row in connection.execute(select(*columns).order_by(jobs.c.created_at, jobs.c.job_id))]


@pytest.mark.parametrize(
    ("figures", "raised_to"),
    [
        pytest.param((6,), [], id="the floor"),
        pytest.param((12,), [12], id="first above the floor"),
        pytest.param((12, 12), [12], id="the same again"),
        pytest.param((12, 9), [12], id="looser"),
        pytest.param((12, 6, 9), [12, 9], id="tighter than in between: entries of that time are shorter"),
        pytest.param((9, 12), [9, 12], id="tighter twice"),
    ],
)
def test_each_tightening_queues_one_job(connection: Connection, figures: tuple[int, ...], raised_to: list[int]) -> None:
    for place, months in enumerate(figures):
        adopt(connection, months, now=NOON + place * SECOND)

    assert [(kind, role, actor) for kind, role, actor, _ in queued(connection)] == [
        (JOB_KIND, "officer", "second")
    ] * len(raised_to)
    assert [parameters["months"] for *_, parameters in queued(connection)] == raised_to


def test_a_policy_that_is_not_stored_raises_nothing(engine: Engine) -> None:
    with engine.connect() as connection:
        adopt(connection, 12)
        connection.rollback()

        assert queued(connection) == []


def test_a_tighter_policy_file_queues_a_job_at_the_start_and_once(connection: Connection) -> None:
    for _ in range(2):
        adopt_start_policy(connection, "[do_not_call]\nblock_months = 12\n", policy_id=new_id(), now=NOON)

    assert [(kind, role, actor) for kind, role, actor, _ in queued(connection)] == [
        (JOB_KIND, "officer", "policy from file")
    ]


def test_of_two_processes_that_start_at_once_one_adopts_the_policy_file(engine: Engine) -> None:
    tighter = "[do_not_call]\nblock_months = 12\n"
    with engine.connect() as first:
        adopt_start_policy(first, tighter, policy_id=new_id(), now=NOON)

        def start() -> None:
            with engine.begin() as second:
                adopt_start_policy(second, tighter, policy_id=new_id(), now=NOON)

        started = in_a_thread(start)
        wait_until_somebody_waits(engine)
        first.commit()
        started.result(MORE_THAN_ENOUGH_S)

    with engine.begin() as connection:
        assert len(queued(connection)) == 1


def test_who_waits_for_a_policy_to_be_adopted_blocks_by_the_new_term(engine: Engine) -> None:
    months: list[int] = []

    def ask() -> None:
        with engine.begin() as connection:
            months.append(policy_for_blocks(connection, now=NOON).block_months)

    with engine.connect() as adopting:
        adopt(adopting, 12)
        asked = in_a_thread(ask)
        wait_until_somebody_waits(engine)
        adopting.commit()
    asked.result(MORE_THAN_ENOUGH_S)

    assert months == [12]
