"""The filed copy of the do-not-call list: it never lacks a committed block, whoever writes meanwhile."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from threading import Thread
from uuid import UUID

import numpy as np
import pytest
from sqlalchemy import Connection, Engine, text

from compliance import phone_snapshot
from compliance.block_entries import BlockSource
from compliance.block_list import Refusal, block_person
from compliance.block_raises import Term, raise_own_changes
from compliance.listed_phones import ASK, NOT_LISTED, day_of
from compliance.phone_snapshot import FILE_NAME, file_listed_phones, one_state, see_changes
from infra.database import make_engine
from tests.conftest import NOON
from tests.releases import approve_release

FIRST, SECOND, THIRD = 8613800138001, 8613800138002, 8613800138003


def block(connection: Connection, phone: int, *, months: int = 6) -> UUID:
    refusal = Refusal(phone_e164=f"+{phone}", source=BlockSource.CALL, refused_at=NOON, months=months)
    return block_person(connection, refusal, block_months=6, person="tests", now=NOON).entry.entry_id


def blocked(engine: Engine, cache: Path, *phones: int) -> list[date | None]:
    """Return what a scrub would see: the last blocked day of each number, None where it is not listed."""
    filed = file_listed_phones(engine, cache)
    with one_state(engine) as connection:
        days = see_changes(connection, filed).find(np.array(phones, np.int64), at=NOON + timedelta(days=1))
    return [None if day == NOT_LISTED else date.min if day == ASK else day_of(day) for day in days.tolist()]


MAY, NOVEMBER = date(2027, 5, 23), date(2027, 11, 23)
DATABASE_MUST_BE_ASKED = date.min


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def filed_again(cache: Path, before: bytes) -> bool:
    return (cache / FILE_NAME).read_bytes() != before


def test_an_empty_list_blocks_nobody(engine: Engine, cache: Path) -> None:
    assert blocked(engine, cache, FIRST, SECOND) == [None, None]
    assert blocked(engine, cache, FIRST, SECOND) == [None, None]


def test_a_block_committed_after_the_file_was_written_is_seen_without_writing_it_anew(
    engine: Engine, cache: Path
) -> None:
    with engine.begin() as connection:
        block(connection, FIRST)
    assert blocked(engine, cache, FIRST, SECOND) == [MAY, None]
    before = (cache / FILE_NAME).read_bytes()

    with engine.begin() as connection:
        block(connection, SECOND)
        block(connection, FIRST, months=12)

    assert blocked(engine, cache, FIRST, SECOND) == [NOVEMBER, MAY]
    assert not filed_again(cache, before)


def test_a_number_added_to_an_old_entry_is_seen(engine: Engine, cache: Path) -> None:
    with engine.begin() as connection:
        block(connection, FIRST)
    assert blocked(engine, cache, FIRST, SECOND) == [MAY, None]

    with engine.begin() as connection:
        connection.execute(
            text("INSERT INTO customer_phones VALUES (:first, 'c', now()), (:second, 'c', now())"),
            {"first": FIRST, "second": SECOND},
        )
        block(connection, SECOND)

    assert blocked(engine, cache, FIRST, SECOND) == [MAY, MAY]


def test_a_released_entry_is_left_to_the_database(engine: Engine, cache: Path) -> None:
    with engine.begin() as connection:
        entry_id = block(connection, FIRST)
        block(connection, SECOND)
    blocked(engine, cache, FIRST)

    with engine.begin() as connection:
        approve_release(connection, entry_id, at=NOON)
        connection.execute(
            text("UPDATE do_not_call_entries SET released_at = :now WHERE entry_id = :entry_id"),
            {"now": NOON, "entry_id": entry_id},
        )

    assert blocked(engine, cache, FIRST, SECOND) == [DATABASE_MUST_BE_ASKED, MAY]


def raise_blocks(connection: Connection) -> None:
    raise_own_changes(connection, Term(12, "sha256:tighter"), person="tests", now=NOON + timedelta(hours=12))


@pytest.mark.parametrize("is_filed", [True, False], ids=["in the file", "laid over the file"])
def test_a_raised_block_is_seen_and_for_instants_before_the_raise_the_database_is_asked(
    engine: Engine, cache: Path, *, is_filed: bool
) -> None:
    if not is_filed:
        file_listed_phones(engine, cache)
    with engine.begin() as connection:
        block(connection, FIRST)
        raise_blocks(connection)
        block(connection, SECOND)

    filed = file_listed_phones(engine, cache)
    with one_state(engine) as connection:
        seen = see_changes(connection, filed)
        before, after = (seen.find(np.array([FIRST, SECOND]), at=NOON + timedelta(hours=hours)) for hours in (11, 12))

    assert [before[0], day_of(int(before[1]))] == [ASK, MAY]
    assert [day_of(day) for day in after.tolist()] == [NOVEMBER, MAY]


def test_a_block_raised_after_the_file_was_written_is_seen(engine: Engine, cache: Path) -> None:
    with engine.begin() as connection:
        block(connection, FIRST)
        block(connection, SECOND)
    assert blocked(engine, cache, FIRST, SECOND) == [MAY, MAY]

    with engine.begin() as connection:
        connection.execute(text("UPDATE do_not_call_entries SET blocked_through = blocked_through"))
        raise_blocks(connection)

    assert blocked(engine, cache, FIRST, SECOND) == [NOVEMBER, NOVEMBER]


def test_a_block_of_a_transaction_open_while_the_file_was_written_is_seen_once_it_commits(
    engine: Engine, cache: Path
) -> None:
    with engine.connect() as slow:
        block(slow, FIRST)
        with engine.begin() as connection:
            block(connection, SECOND)
        assert blocked(engine, cache, FIRST, SECOND) == [None, MAY]

        slow.commit()

    assert blocked(engine, cache, FIRST, SECOND) == [MAY, MAY]


def test_a_block_rolled_back_is_never_seen(engine: Engine, cache: Path) -> None:
    with engine.connect() as failing:
        block(failing, FIRST)
        assert blocked(engine, cache, FIRST) == [None]
        failing.rollback()

    assert blocked(engine, cache, FIRST) == [None]


def test_a_block_in_a_savepoint_is_seen(engine: Engine, cache: Path) -> None:
    with engine.connect() as slow:
        slow.execute(text("SELECT pg_current_xact_id()"))
        with engine.begin() as connection:
            block(connection, SECOND)
        blocked(engine, cache, FIRST)
        with slow.begin_nested():
            block(slow, FIRST)
        slow.commit()

    assert blocked(engine, cache, FIRST, SECOND) == [MAY, MAY]


def test_a_scrub_sees_the_state_of_its_transaction_and_nothing_later(engine: Engine, cache: Path) -> None:
    filed = file_listed_phones(engine, cache)
    with one_state(engine) as reading:
        assert len(see_changes(reading, filed).changed) == 0
        with engine.begin() as connection:
            block(connection, FIRST)
        again = see_changes(reading, filed).find(np.array([FIRST]), at=NOON)

    assert again.tolist() == [NOT_LISTED]


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda data: data[:0], id="empty"),
        pytest.param(lambda data: data[:-1], id="cut off"),
        pytest.param(lambda data: data[:-4] + bytes([data[-4] ^ 1]) + data[-3:], id="one bit"),
        pytest.param(lambda data: b"something else" + data, id="another file"),
    ],
)
def test_a_broken_file_is_made_anew(engine: Engine, cache: Path, damage: object) -> None:
    with engine.begin() as connection:
        block(connection, FIRST)
    blocked(engine, cache, FIRST)
    path = cache / FILE_NAME
    assert callable(damage)
    path.write_bytes(damage(path.read_bytes()))

    assert blocked(engine, cache, FIRST) == [MAY]
    assert blocked(engine, cache, FIRST) == [MAY]


@contextmanager
def other_database(engine: Engine, name: str) -> Iterator[Engine]:
    """Give an engine on a copy of this test's database, as a restored backup would be."""
    url = engine.url.set(database="postgres").render_as_string(hide_password=False)
    administration = make_engine(url, application_name="tests").connect()
    administration = administration.execution_options(isolation_level="AUTOCOMMIT")
    source = engine.url.database
    engine.dispose()
    administration.execute(text(f"CREATE DATABASE {name} TEMPLATE {source}"))
    copied = make_engine(engine.url.set(database=name).render_as_string(hide_password=False), application_name="tests")
    yield copied
    copied.dispose()
    administration.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    administration.close()


def test_the_file_of_another_database_is_made_anew(engine: Engine, cache: Path) -> None:
    with other_database(engine, "snapshot_other") as other:
        with engine.begin() as connection:
            block(connection, FIRST)
        assert blocked(engine, cache, FIRST) == [MAY]

        assert blocked(other, cache, FIRST) == [None]


def test_a_database_without_the_latest_event_in_the_file_has_another_history(engine: Engine, cache: Path) -> None:
    with engine.begin() as connection:
        block(connection, FIRST)
        block(connection, SECOND)
    assert blocked(engine, cache, FIRST, SECOND) == [MAY, MAY]

    with engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text("DELETE FROM do_not_call_events"))
        connection.execute(text("DELETE FROM do_not_call_phones WHERE phone_digits = :phone"), {"phone": SECOND})

    assert blocked(engine, cache, FIRST, SECOND) == [MAY, None]


def test_stamps_of_another_cluster_do_not_hide_later_blocks(engine: Engine, cache: Path) -> None:
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        block(connection, FIRST)
        connection.execute(text("UPDATE do_not_call_entries SET changed_in = changed_in + 1000000000"))
    assert blocked(engine, cache, FIRST, SECOND) == [MAY, None]

    with engine.begin() as connection:
        block(connection, SECOND)

    assert blocked(engine, cache, FIRST, SECOND) == [MAY, MAY]


def test_many_changes_are_written_into_the_file(engine: Engine, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with engine.begin() as connection:
        for phone in range(FIRST, FIRST + 10):
            block(connection, phone)
    blocked(engine, cache, FIRST)
    before = (cache / FILE_NAME).read_bytes()
    monkeypatch.setattr(phone_snapshot, "_FOLD_FROM", 2)
    with engine.begin() as connection:
        block(connection, FIRST, months=12)
        block(connection, FIRST + 20)

    found = blocked(engine, cache, FIRST, FIRST + 1, FIRST + 20)

    assert found == [NOVEMBER, MAY, MAY]
    assert filed_again(cache, before)
    assert blocked(engine, cache, FIRST, FIRST + 1, FIRST + 20) == found


def test_the_file_is_for_its_owner_only(engine: Engine, cache: Path) -> None:
    blocked(engine, cache, FIRST)

    assert (cache / FILE_NAME).stat().st_mode & 0o777 == 0o600
    assert cache.stat().st_mode & 0o777 == 0o700


def test_every_block_committed_before_a_reading_is_in_it_while_others_write(
    engine: Engine, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phone_snapshot, "_FOLD_FROM", 7)
    committed: list[int] = []
    missed: list[int] = []

    def write(first: int) -> None:
        for phone in range(first, first + 40):
            with engine.connect() as connection:
                block(connection, phone)
                block(connection, phone + 10_000)
                if phone % 4:
                    connection.commit()
                    committed.extend((phone, phone + 10_000))

    def read() -> None:
        while any(writer.is_alive() for writer in writers):
            known = list(committed)
            missed.extend(
                phone for phone, day in zip(known, blocked(engine, cache, *known), strict=True) if day is None
            )

    writers = [Thread(target=write, args=(FIRST + 100 * number,)) for number in range(3)]
    readers = [Thread(target=read) for _ in range(2)]
    for thread in [*writers, *readers]:
        thread.start()
    for thread in [*writers, *readers]:
        thread.join()

    assert missed == []
    assert len(committed) == 180
    assert None not in blocked(engine, cache, *committed)
