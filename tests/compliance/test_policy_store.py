"""Which policy is in force after a start, with and without a policy file."""

from datetime import timedelta

from sqlalchemy import Connection, text

from compliance.policy import floor_policy, parse_policy
from compliance.policy_store import adopt_start_policy, policy_in_force, store_policy
from compliance.shanghai import shanghai_day
from infra.ids import new_id
from tests.conftest import NOON

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
