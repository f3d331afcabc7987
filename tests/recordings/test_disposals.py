"""Disposal in full: listed, agreed on by two, certified, and then gone from every store."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, func, select

from infra.database import make_engine
from infra.ids import new_id
from recordings.copy_rows import UnknownRecordingError
from recordings.disposals import (
    NotExpiredError,
    UnknownDisposalError,
    disposal_payload,
    dispose,
    list_due,
    read_disposal,
)
from recordings.holds import NothingToHoldError, place_hold, release_hold, release_payload
from recordings.locks import count_due
from recordings.removal import find_unlocked
from recordings.retention import refresh_sale, shorten_sale
from recordings.retention_rules import EarlierEnd
from recordings.tables import recording_events, recording_media, recordings
from tests.conftest import NOON, SettableClock
from tests.recordings.archive_rows import POLICY, add_recording, add_sale, end_sale
from tests.recordings.archive_stores import Archive, make_archive


@pytest.fixture
def archive(engine: Engine, clock: SettableClock, tmp_path: Path) -> Archive:
    return make_archive(engine, clock, tmp_path)


def asked(archive: Archive, *ids: UUID) -> dict[str, Any]:
    with archive.engine.begin() as connection:
        return disposal_payload(connection, ids, reason="over", person="officer", now=NOON)


def approved(archive: Archive, payload: dict[str, Any]) -> UUID:
    with archive.engine.begin() as connection:
        return UUID(dispose(connection, payload, person="officer2", now=NOON)["disposal_id"])


def versions(archive: Archive, recording_id: UUID) -> list[int]:
    with archive.engine.begin() as connection:
        c = recordings.c
        key = connection.execute(select(c.object_key).where(c.recording_id == recording_id)).scalar_one()
    stores = (archive.first, archive.second)
    return [len(store.versions(name)) for store in stores for name in (key, f"{key}.playable")]


def kinds(archive: Archive, recording_id: UUID) -> list[str]:
    with archive.engine.begin() as connection:
        c = recording_events.c
        asked = select(c.kind).where(c.recording_id == recording_id).order_by(c.event_id)
        return list(connection.execute(asked).scalars())


def copies(archive: Archive, disposal_id: UUID) -> list[tuple[str, str, datetime | None]]:
    with archive.engine.begin() as connection:
        found = read_disposal(connection, disposal_id)
    return [(one["copy"], one["state"], one["removed_at"]) for one in found.copies]


def test_what_two_officers_agree_on_goes_from_both_stores_with_markers_and_derived_copies(archive: Archive) -> None:
    one = archive.store("hello")
    archive.apply()
    archive.first.hide(f"audio/{'2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824'}")
    before = versions(archive, one)
    disposal_id = approved(archive, asked(archive, one))

    archive.apply()

    assert before == [2, 1, 1, 0]
    assert versions(archive, one) == [0, 0, 0, 0]
    assert copies(archive, disposal_id) == [("first", "removed", NOON), ("second", "removed", NOON)]
    assert kinds(archive, one)[-3:] == ["disposed", "removed", "removed"]
    with archive.engine.begin() as connection:
        assert connection.execute(select(func.count()).select_from(recording_media)).scalar_one() == 0
        assert count_due(connection).waiting == 0


def test_the_certificate_says_what_went_by_which_law_and_who_agreed(archive: Archive) -> None:
    with archive.engine.begin() as connection:
        add_sale(connection, "P-1", ended_on=date(2020, 2, 29))
    one = archive.store("hello", policy_no="P-1")
    disposal_id = approved(archive, asked(archive, one))

    with archive.engine.begin() as connection:
        found = read_disposal(connection, disposal_id).certificate

    [item] = found["recordings"]
    assert (found["requested_by"], found["approved_by"], found["policy_digest"]) == (
        "officer",
        "officer2",
        POLICY.digest,
    )
    assert [(law["class"], law["at_least_years"], law["article"]) for law in found["statutes"]] == [
        ("5y", 5, "35"),
        ("10y", 10, "35"),
    ]
    assert found["statutes"][0]["words"] == "保险期间在一年以下的不得少于五年"
    assert (item["recording_id"], item["size_bytes"], item["keep_through"]) == (str(one), 5, "2025-02-28")
    assert item["sha256"] == "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    assert item["contracts"] == [{"policy_no": "P-1", "class": "5y", "ended_on": "2020-02-29"}]
    assert [copy["copy"] for copy in item["copies"]] == ["first", "second"]


def test_a_store_that_is_away_is_emptied_when_it_is_back(archive: Archive) -> None:
    one = archive.store()
    disposal_id = approved(archive, asked(archive, one))
    archive.second.is_away = True
    archive.apply()
    between = copies(archive, disposal_id)
    archive.second.is_away = False

    archive.apply()

    assert between == [("first", "removed", NOON), ("second", "stored", None)]
    assert versions(archive, one) == [0, 0, 0, 0]


def test_what_a_store_still_locks_stays_and_is_told_and_goes_when_its_date_has_come(
    archive: Archive, clock: SettableClock
) -> None:
    with archive.engine.begin() as connection:
        add_sale(connection, "P-1", ended_on=date(2023, 12, 31))
    one = archive.store(policy_no="P-1")
    archive.apply()
    with archive.engine.begin() as connection:
        end_sale(connection, "P-1", date(2020, 1, 1))
        earlier = EarlierEnd(replaced=date(2023, 12, 31), ended_on=date(2020, 1, 1))
        shorten_sale(connection, "P-1", earlier=earlier, policy=POLICY, now=NOON)
    disposal_id = approved(archive, asked(archive, one))
    archive.apply()
    archive.apply()
    locked, told = versions(archive, one), kinds(archive, one).count("removal_locked")
    clock.at = datetime(2028, 12, 31, 16, 0, tzinfo=UTC)
    with archive.engine.begin() as connection:
        unlocked = find_unlocked(connection, now=clock.at)

    archive.apply()

    assert (locked, told, unlocked) == ([1, 0, 1, 0], 2, 1)
    assert versions(archive, one) == [0, 0, 0, 0]
    assert [state for _, state, _ in copies(archive, disposal_id)] == ["removed", "removed"]


@pytest.mark.parametrize("ended_on", [None, date(2026, 1, 1)], ids=["runs", "dated"])
def test_what_may_not_go_is_named_with_why_and_nothing_is_asked_for(archive: Archive, ended_on: date | None) -> None:
    with archive.engine.begin() as connection:
        add_sale(connection, "P-1", ended_on=ended_on)
    free, kept = archive.store("free"), archive.store("kept", policy_no="P-1")

    with pytest.raises(NotExpiredError) as raised:
        asked(archive, free, kept)

    assert [one.recording_id for one in raised.value.refused] == [kept]
    assert "P-1" in raised.value.refused[0].why[0].english


def test_an_unknown_recording_is_named(archive: Archive) -> None:
    with pytest.raises(UnknownRecordingError):
        asked(archive, new_id())
    with archive.engine.begin() as connection, pytest.raises(UnknownDisposalError):
        read_disposal(connection, new_id())


def test_a_hold_or_a_sale_that_came_after_the_request_stops_the_approval(archive: Archive) -> None:
    one, other = archive.store("one"), archive.store("other", call_id="C-1")
    held, sold = asked(archive, one), asked(archive, other)
    with archive.engine.begin() as connection:
        place_hold(connection, one, reason="case", case=None, person="officer", now=NOON)
        add_sale(connection, "P-1", call_ids=("C-1",))
        refresh_sale(connection, "P-1", policy=POLICY, now=NOON)

    with pytest.raises(NotExpiredError):
        approved(archive, held)
    with pytest.raises(NotExpiredError):
        approved(archive, sold)


def test_what_is_disposed_of_takes_no_hold_and_is_not_disposed_of_again(archive: Archive) -> None:
    one = archive.store()
    payload = asked(archive, one)
    approved(archive, payload)

    with archive.engine.begin() as connection, pytest.raises(NothingToHoldError):
        place_hold(connection, one, reason="case", case=None, person="officer", now=NOON)
    with pytest.raises(NotExpiredError):
        approved(archive, payload)


def test_a_released_hold_lets_go_again(archive: Archive) -> None:
    one = archive.store()
    with archive.engine.begin() as connection:
        hold_id = place_hold(connection, one, reason="case", case="A-1", person="officer", now=NOON)
    archive.apply()
    with archive.engine.begin() as connection:
        payload = release_payload(connection, one, hold_id, reason="settled")
        release_hold(connection, payload, person="officer2", now=NOON)

    approved(archive, asked(archive, one))
    archive.apply()

    assert versions(archive, one) == [0, 0, 0, 0]


def test_a_hold_placed_while_a_disposal_is_approved_finds_nothing_left(archive: Archive, database: str) -> None:
    one = archive.store()
    payload = asked(archive, one)
    raised: list[BaseException] = []

    def hold() -> None:
        engine = make_engine(database, application_name="tests")
        try:
            with engine.begin() as connection:
                place_hold(connection, one, reason="case", case=None, person="officer", now=NOON)
        except NothingToHoldError as error:
            raised.append(error)
        engine.dispose()

    thread = Thread(target=hold)
    with archive.engine.begin() as connection:
        dispose(connection, payload, person="officer2", now=NOON)
        thread.start()
        thread.join(timeout=0.5)
        waits = thread.is_alive()
    thread.join()

    assert waits
    assert len(raised) == 1


def test_a_disposal_approved_while_a_contract_is_reinstated_waits_and_is_refused(
    archive: Archive, database: str
) -> None:
    with archive.engine.begin() as connection:
        add_sale(connection, "P-1", ended_on=date(2020, 1, 1))
    one = archive.store(policy_no="P-1")
    payload = asked(archive, one)
    raised: list[BaseException] = []

    def approve() -> None:
        try:
            approved(archive, payload)
        except NotExpiredError as error:
            raised.append(error)

    thread = Thread(target=approve)
    with archive.engine.begin() as connection:
        end_sale(connection, "P-1", None)
        refresh_sale(connection, "P-1", policy=POLICY, now=NOON)
        thread.start()
        thread.join(timeout=0.5)
        waits = thread.is_alive()
    thread.join()

    assert waits
    assert len(raised) == 1


def test_the_list_has_what_ended_first_before_the_others_and_goes_on_where_it_stopped(archive: Archive) -> None:
    early, late, held = NOON - timedelta(days=3000), NOON - timedelta(days=2000), NOON - timedelta(days=2500)
    second = archive.store("second", started_at=late)
    first = archive.store("first", started_at=early)
    third = archive.store("third", started_at=held)
    archive.store("young", started_at=NOON)
    with archive.engine.begin() as connection:
        place_hold(connection, third, reason="case", case=None, person="officer", now=NOON)

    with archive.engine.begin() as connection:
        one, place = list_due(connection, after=None, limit=1, policy=POLICY, now=NOON)
        two, end = list_due(connection, after=place, limit=10, policy=POLICY, now=NOON)

    assert [due.described.recording_id for due in (*one, *two)] == [first, second]
    assert end is None


def test_a_row_that_has_not_followed_its_sale_yet_is_not_listed(archive: Archive) -> None:
    with archive.engine.begin() as connection:
        add_recording(connection, call_id="C-0")
    archive.store(call_id="C-1")
    with archive.engine.begin() as connection:
        add_sale(connection, "P-1", call_ids=("C-1",))

    with archive.engine.begin() as connection:
        found, _ = list_due(connection, after=None, limit=10, policy=POLICY, now=NOON)

    assert found == []
