"""Locks by number: none taken twice, and each held, shared and given back as it says."""

import pytest
from sqlalchemy import Connection, Engine, text

from infra.advisory_locks import (
    AdvisoryLock,
    PartLock,
    held_if_free,
    hold,
    hold_if_free,
    hold_part,
    lock_key,
    share,
    share_part,
)

OF_NOBODY = lock_key(b"what these tests lock")
HELD = text("""
    SELECT classid, objid, objsubid, mode FROM pg_locks
     WHERE locktype = 'advisory' AND pid = pg_backend_pid() ORDER BY 1, 2, 3""")
HELD_BY_ANYBODY = text("""
    SELECT count(*) FROM pg_locks
     WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())""")


@pytest.mark.parametrize("kind", [AdvisoryLock, PartLock])
def test_no_number_stands_for_two_things(kind: type[AdvisoryLock] | type[PartLock]) -> None:
    assert len(kind) == len(kind.__members__)


def test_a_lock_is_held_alone_until_the_transaction_ends(engine: Engine) -> None:
    with engine.begin() as ours, engine.begin() as another:
        hold(ours, OF_NOBODY)

        assert not hold_if_free(another, OF_NOBODY)

        ours.rollback()

        assert hold_if_free(another, OF_NOBODY)


def test_who_shares_a_lock_keeps_it_from_being_held_alone_and_not_from_being_shared(engine: Engine) -> None:
    with engine.begin() as ours, engine.begin() as another, engine.begin() as alone:
        share(ours, OF_NOBODY)
        share(another, OF_NOBODY)
        ours.rollback()

        assert not hold_if_free(alone, OF_NOBODY)


@pytest.mark.parametrize("lock", PartLock)
def test_a_part_is_locked_by_the_number_and_by_its_own(connection: Connection, lock: PartLock) -> None:
    hold_part(connection, lock, 17)
    share_part(connection, lock, 18)

    assert [tuple(row) for row in connection.execute(HELD)] == [
        (lock.value, 17, 2, "ExclusiveLock"),
        (lock.value, 18, 2, "ShareLock"),
    ]


def test_a_name_is_locked_by_its_hash(connection: Connection) -> None:
    hashed = connection.execute(text("SELECT hashtext('a name') & 4294967295::bigint")).scalar_one()

    hold_part(connection, PartLock.LATE_SALES, "a name")

    assert [tuple(row) for row in connection.execute(HELD)] == [
        (PartLock.LATE_SALES.value, hashed, 2, "ExclusiveLock"),
    ]


@pytest.mark.parametrize("lock", AdvisoryLock)
def test_a_lock_without_parts_is_never_met_by_one_with(connection: Connection, lock: AdvisoryLock) -> None:
    hold(connection, lock)

    assert [tuple(row) for row in connection.execute(HELD)] == [(0, lock.value, 1, "ExclusiveLock")]


def test_a_lock_without_transaction_is_one_holders_and_then_given_back(engine: Engine) -> None:
    with held_if_free(engine, OF_NOBODY) as is_ours, held_if_free(engine, OF_NOBODY) as is_anothers:
        assert (is_ours, is_anothers) == (True, False)

    with held_if_free(engine, OF_NOBODY) as is_ours:
        assert is_ours


def test_a_lock_without_transaction_is_given_back_after_a_fault(engine: Engine) -> None:
    def fail() -> None:
        with held_if_free(engine, OF_NOBODY):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()

    # To the connection that still had it, the lock would be free.
    with engine.connect() as looking:
        assert looking.execute(HELD_BY_ANYBODY).scalar_one() == 0
