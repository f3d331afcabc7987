"""Stores are brought to what rows want: the date before the hold, and only ever for longer."""

from datetime import UTC, date, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import Engine, select

from infra.object_store import StoredObject, VersionLockedError
from recordings.holds import place_hold
from recordings.locks import LocksDue, apply_locks, count_due, lock_end_of
from recordings.retention import refresh_sale, shorten_sale
from recordings.retention_rules import EarlierEnd
from recordings.tables import recording_copies, recording_events, recordings
from tests.conftest import NOON, SettableClock
from tests.recordings.archive_rows import POLICY, add_sale, end_sale
from tests.recordings.archive_stores import Archive, die_at_the_hold, make_archive

ENDS = datetime(2028, 12, 31, 16, 0, tzinfo=UTC)
"""Midnight in Shanghai after 31 December 2028."""


def seen(archive: Archive, recording_id: UUID) -> list[tuple[bool, datetime | None]]:
    """Return hold and date of both copies, as the stores show them."""
    with archive.engine.begin() as connection:
        key = connection.execute(
            select(recordings.c.object_key).where(recordings.c.recording_id == recording_id)
        ).scalar_one()
        c = recording_copies.c
        asked = select(c.version_id).where(c.recording_id == recording_id).order_by(c.copy)
        first, second = connection.execute(asked).scalars()
    shown = [archive.first.head(key, first), archive.second.head(key, second)]
    return [(one.is_held, one.retain_until) for one in shown]


def change(archive: Archive, ended_on: date | None) -> None:
    with archive.engine.begin() as connection:
        end_sale(connection, "P-1", ended_on)
        refresh_sale(connection, "P-1", policy=POLICY, now=archive.clock())


def shorten(archive: Archive, earlier: EarlierEnd) -> None:
    with archive.engine.begin() as connection:
        end_sale(connection, "P-1", earlier.ended_on)
        shorten_sale(connection, "P-1", earlier=earlier, policy=POLICY, now=archive.clock())


def due(archive: Archive) -> LocksDue:
    with archive.engine.begin() as connection:
        return count_due(connection)


@pytest.fixture
def archive(engine: Engine, clock: SettableClock, tmp_path: Path) -> Archive:
    return make_archive(engine, clock, tmp_path)


@pytest.fixture
def ended(archive: Archive) -> UUID:
    """A recording of a contract that ended on the last day of 2023: five years."""
    with archive.engine.begin() as connection:
        add_sale(connection, "P-1", ended_on=date(2023, 12, 31))
    return archive.store(policy_no="P-1")


def test_the_lock_ends_with_the_last_day_in_shanghai() -> None:
    assert lock_end_of(date(2028, 12, 31)) == ENDS


def test_a_contract_that_ended_is_locked_until_its_date_in_both_stores_and_the_hold_taken_off(
    archive: Archive, ended: UUID
) -> None:
    before = due(archive)

    brought = archive.apply()

    assert (before, brought, due(archive)) == (LocksDue(1, NOON), 1, LocksDue(0, None))
    assert seen(archive, ended) == [(False, ENDS), (False, ENDS)]
    with archive.engine.begin() as connection:
        c = recording_copies.c
        rows = connection.execute(select(c.is_held, c.retain_until).where(c.recording_id == ended)).all()
        e = recording_events.c
        kinds = connection.execute(select(e.kind).where(e.recording_id == ended).order_by(e.event_id)).scalars().all()
    assert [tuple(one) for one in rows] == [(False, ENDS), (False, ENDS)]
    assert kinds == ["dated", "released", "locked", "locked"]


def test_a_running_contract_stays_under_hold_without_a_date(archive: Archive) -> None:
    with archive.engine.begin() as connection:
        add_sale(connection, "P-1")
    one = archive.store(policy_no="P-1")

    archive.apply()

    assert seen(archive, one) == [(True, None), (True, None)]


def test_a_date_that_is_past_is_not_asked_of_the_store_and_the_hold_goes(archive: Archive) -> None:
    one = archive.store()

    archive.apply()

    assert seen(archive, one) == [(False, None), (False, None)]
    assert due(archive).waiting == 0


def test_a_later_end_locks_for_longer(archive: Archive, ended: UUID) -> None:
    archive.apply()
    change(archive, date(2024, 2, 29))

    archive.apply()

    later = lock_end_of(date(2029, 2, 28))
    assert seen(archive, ended) == [(False, later), (False, later)]


def test_an_agreed_earlier_end_leaves_the_stores_at_their_date(archive: Archive, ended: UUID) -> None:
    archive.apply()
    shorten(archive, EarlierEnd(replaced=date(2023, 12, 31), ended_on=date(2020, 1, 1)))

    archive.apply()

    assert seen(archive, ended) == [(False, ENDS), (False, ENDS)]
    assert due(archive).waiting == 0


def test_a_reinstated_contract_is_held_and_its_date_stands(archive: Archive, ended: UUID) -> None:
    archive.apply()
    change(archive, None)

    archive.apply()

    assert seen(archive, ended) == [(True, ENDS), (True, ENDS)]


def test_a_hold_reaches_both_stores(archive: Archive, ended: UUID) -> None:
    archive.apply()
    with archive.engine.begin() as connection:
        place_hold(connection, ended, reason="case", case="A-1", person="officer", now=NOON)

    archive.apply()

    assert seen(archive, ended) == [(True, ENDS), (True, ENDS)]


def test_a_store_that_is_away_leaves_the_row_due_and_the_other_store_is_brought(archive: Archive, ended: UUID) -> None:
    archive.second.is_away = True
    brought = archive.apply()
    waiting = due(archive)
    archive.second.is_away = False

    again = archive.apply()

    assert (brought, waiting.waiting, again) == (0, 1, 1)
    assert seen(archive, ended) == [(False, ENDS), (False, ENDS)]


def test_a_process_killed_between_date_and_hold_leaves_both_and_the_next_run_goes_on(
    archive: Archive, ended: UUID, database: str
) -> None:
    process = get_context("spawn").Process(target=die_at_the_hold, args=(database, archive.root, NOON))
    process.start()
    process.join()
    between = seen(archive, ended)

    archive.apply()

    assert process.exitcode == -9
    assert between == [(True, ENDS), (True, None)]
    assert seen(archive, ended) == [(False, ENDS), (False, ENDS)]


def test_what_an_operator_tries_to_shorten_in_the_store_stays(archive: Archive, ended: UUID) -> None:
    archive.apply()
    with archive.engine.begin() as connection:
        c = recordings.c
        key = connection.execute(select(c.object_key).where(c.recording_id == ended)).scalar_one()
    [version] = archive.first.versions(key)

    with pytest.raises(VersionLockedError):
        archive.first.set_retention(key, version.version_id, ENDS - timedelta(days=1))
    with pytest.raises(VersionLockedError):
        archive.first.delete_version(key, version.version_id)

    assert seen(archive, ended)[0] == (False, ENDS)


def test_a_hold_placed_while_the_store_is_asked_keeps_the_row_due(archive: Archive, ended: UUID) -> None:
    placed: list[UUID] = []

    class Slow(type(archive.first)):  # type: ignore[misc]
        def set_retention(self, key: str, version_id: str, until: datetime) -> StoredObject:
            if not placed:
                with archive.engine.begin() as connection:
                    placed.append(place_hold(connection, ended, reason="case", case=None, person="officer", now=NOON))
            return super().set_retention(key, version_id, until)  # type: ignore[no-any-return]

    slow = Slow(archive.root / "first", clock=archive.clock)
    archive.keeping.stores["first"] = slow  # type: ignore[index]
    brought = archive.apply()
    waiting = due(archive).waiting

    archive.apply()

    assert (brought, waiting) == (0, 1)
    assert seen(archive, ended) == [(True, ENDS), (True, ENDS)]


def test_a_copy_that_is_missing_is_left_to_who_restores_it(archive: Archive, ended: UUID) -> None:
    with archive.engine.begin() as connection:
        missing = recording_copies.update().where(recording_copies.c.copy == "second").values(state="missing")
        connection.execute(missing)

    archive.apply()

    assert seen(archive, ended) == [(False, ENDS), (True, None)]


def test_a_run_without_time_does_nothing(archive: Archive, ended: UUID) -> None:
    assert apply_locks(archive.keeping, most_seconds=0) == 0
    assert due(archive).waiting == 1


def test_the_clock_of_the_product_decides_whether_a_date_is_past(
    archive: Archive, ended: UUID, clock: SettableClock
) -> None:
    clock.at = ENDS

    archive.apply()

    assert seen(archive, ended) == [(False, None), (False, None)]
