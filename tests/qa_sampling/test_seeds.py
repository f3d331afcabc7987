"""Commitments: published ahead of their days, once each; a seed is opened only when its day is over and frozen."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, select, text

from compliance.shanghai import midnight
from qa_sampling.seed_vault import SeedKeyError
from qa_sampling.seeds import (
    Commitment,
    DayNotOverError,
    LostSeedError,
    publish_commitments,
    read_commitment,
    read_commitments,
    reveal_seed,
)
from qa_sampling.tables import draw_seeds, seed_commitments
from tests.qa_sampling.sold import DAY, DAY_BEFORE, commit, vault_in

AFTER = midnight(DAY + timedelta(days=1))


def committed(connection: Connection) -> Commitment:
    found = read_commitment(connection, DAY)
    assert found is not None
    return found


def revealed(connection: Connection, tmp_path: Path, *, now: datetime = AFTER) -> bytes:
    return reveal_seed(connection, vault_in(tmp_path), committed(connection), [b"frame"], public_number="7", now=now)


def test_commitments_are_published_for_the_next_seven_days(connection: Connection, tmp_path: Path) -> None:
    days = publish_commitments(connection, vault_in(tmp_path), now=DAY_BEFORE)

    assert days == [date(2026, 11, number) for number in range(2, 9)]
    found = read_commitments(connection, from_day=date(2026, 1, 1), to_day=date(2026, 12, 31))
    assert [one.day for one in found] == days[::-1]
    assert {(one.seed, one.public_number, one.is_before_its_day) for one in found} == {(None, None, True)}
    assert len({one.seed_commitment for one in found}) == 7


def test_the_day_after_one_more_is_published(connection: Connection, tmp_path: Path) -> None:
    commit(connection, tmp_path)

    again = publish_commitments(connection, vault_in(tmp_path), now=DAY_BEFORE)
    later = publish_commitments(connection, vault_in(tmp_path), now=DAY_BEFORE + timedelta(days=1))

    assert (again, later) == ([], [date(2026, 11, 9)])


def test_the_days_are_those_of_shanghai(connection: Connection, tmp_path: Path) -> None:
    days = publish_commitments(connection, vault_in(tmp_path), now=datetime(2026, 11, 1, 16, 0, tzinfo=UTC))

    assert days[0] == date(2026, 11, 3)


def test_two_publishers_at_once_publish_each_day_once(engine: Engine, tmp_path: Path) -> None:
    def publish(_number: int) -> list[date]:
        with engine.begin() as connection:
            return publish_commitments(connection, vault_in(tmp_path), now=DAY_BEFORE)

    with ThreadPoolExecutor(4) as pool:
        published = list(pool.map(publish, range(4)))

    assert sorted(len(one) for one in published) == [0, 0, 0, 7]


def test_no_seed_stands_in_the_database_before_it_is_revealed(connection: Connection, tmp_path: Path) -> None:
    commit(connection, tmp_path)
    sealed = connection.execute(select(draw_seeds.c.sealed_seed).where(draw_seeds.c.day == DAY)).scalar_one()

    seed = vault_in(tmp_path).open(DAY, sealed)

    assert hashlib.sha256(seed).digest() == committed(connection).seed_commitment
    assert seed not in sealed
    assert connection.execute(select(seed_commitments.c.seed)).scalars().all() == [None] * 7


def test_without_a_usable_key_nothing_is_published(connection: Connection, tmp_path: Path) -> None:
    (tmp_path / "draw-keys").mkdir()
    (tmp_path / "draw-keys" / "seeds.key").write_bytes(b"broken")

    with pytest.raises(SeedKeyError), connection.begin_nested():
        commit(connection, tmp_path)
    assert read_commitment(connection, DAY) is None


def test_a_seed_is_revealed_with_the_public_number_and_is_the_one_committed_to(
    connection: Connection, tmp_path: Path
) -> None:
    commit(connection, tmp_path)

    seed = revealed(connection, tmp_path)

    found = committed(connection)
    assert (found.seed, found.public_number, found.revealed_at) == (seed, "7", AFTER)
    assert hashlib.sha256(seed).digest() == found.seed_commitment


def test_a_seed_stays_shut_until_the_last_instant_of_its_day(connection: Connection, tmp_path: Path) -> None:
    commit(connection, tmp_path)

    with pytest.raises(DayNotOverError, match="stays secret"):
        revealed(connection, tmp_path, now=AFTER - timedelta(microseconds=1))
    assert committed(connection).seed is None


def test_a_seed_stays_shut_while_nothing_is_frozen(connection: Connection, tmp_path: Path) -> None:
    commit(connection, tmp_path)

    with pytest.raises(DayNotOverError):
        reveal_seed(connection, vault_in(tmp_path), committed(connection), [], public_number="", now=AFTER)


def test_a_seed_whose_key_is_gone_is_lost(connection: Connection, tmp_path: Path) -> None:
    commit(connection, tmp_path)
    (tmp_path / "draw-keys" / "seeds.key").unlink()

    with pytest.raises(LostSeedError, match="not there"):
        revealed(connection, tmp_path)
    assert committed(connection).seed is None


def test_a_seed_put_in_the_place_of_the_committed_one_is_lost(connection: Connection, tmp_path: Path) -> None:
    commit(connection, tmp_path)
    other = vault_in(tmp_path).seal(DAY, bytes(32))
    connection.execute(
        text("UPDATE draw_seeds SET sealed_seed = :other WHERE day = :day"), {"other": other, "day": DAY}
    )

    with pytest.raises(LostSeedError, match="not the one committed to"):
        revealed(connection, tmp_path)


def test_a_seed_that_was_deleted_is_lost(connection: Connection, tmp_path: Path) -> None:
    commit(connection, tmp_path)
    connection.execute(text("DELETE FROM draw_seeds WHERE day = :day"), {"day": DAY})

    with pytest.raises(LostSeedError, match="no sealed seed"):
        revealed(connection, tmp_path)
