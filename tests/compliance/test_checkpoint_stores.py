"""Every kind of store of outside checkpoints does the same: what is put is there, and what is not there is None."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from compliance.checkpoint_stores import LONGEST_NOTE, CheckpointStore, OutsideStoreError
from compliance.ledger_outside import open_store, outside_notes
from tests.compliance.checkpoint_places import Outside, OutsideBucket
from tests.conftest import NOON

NOTE = "a ledger\n7\nroot\n\n— a ledger 签名\n"
LATER = NOTE.replace("7", "8")
KEYS = '{"keys": []}\n'


@pytest.fixture
def store(outside: Outside, tmp_path: Path) -> CheckpointStore:
    return open_store(outside.url, tmp_path / "data")


def test_where_nothing_was_put_there_is_nothing(store: CheckpointStore) -> None:
    assert store.newest() is None


def test_a_note_is_the_newest_and_the_last_of_its_day(store: CheckpointStore, outside: Outside) -> None:
    store.put(NOTE, sealed_at=NOON)
    store.put(LATER, sealed_at=NOON + timedelta(hours=11, minutes=59))

    assert store.newest() == LATER
    assert outside.names() == {"checkpoint.txt", "by-day/2026-11-23.txt"}
    assert [outside.read(name) for name in sorted(outside.names())] == [LATER, LATER]


def test_a_day_begins_at_midnight_in_shanghai(store: CheckpointStore, outside: Outside) -> None:
    store.put(NOTE, sealed_at=NOON)
    store.put(LATER, sealed_at=NOON + timedelta(hours=12))

    assert (outside.read("by-day/2026-11-23.txt"), outside.read("by-day/2026-11-24.txt")) == (NOTE, LATER)
    assert [store.of_day(date(2026, 11, day)) for day in (22, 23, 24)] == [None, NOTE, LATER]


def test_all_notes_are_the_newest_and_those_of_the_days(store: CheckpointStore, outside: Outside) -> None:
    store.put(NOTE, sealed_at=NOON)
    store.put(LATER, sealed_at=NOON + timedelta(hours=12))
    since, until = date(2026, 11, 20), date(2026, 11, 24)

    assert outside_notes(store, since=since, until=until) == ([LATER, NOTE], None)


def test_notes_that_cannot_be_read_are_said_to_be_missing(store: CheckpointStore, outside: Outside) -> None:
    outside.take_away()

    found, trouble = outside_notes(store, since=date(2026, 11, 20), until=date(2026, 11, 24))

    assert found == []
    assert "CHECKPOINTS_URL" in (trouble or "")


def test_keys_are_kept_and_replaced(store: CheckpointStore, outside: Outside) -> None:
    store.put_keys(KEYS)
    first = outside.read("keys.json")
    store.put_keys(KEYS + " ")

    assert (first, outside.read("keys.json")) == (KEYS, KEYS + " ")


def test_bytes_that_are_no_text_are_given_as_far_as_they_are(store: CheckpointStore, outside: Outside) -> None:
    outside.write("checkpoint.txt", "x" * (LONGEST_NOTE + 5))

    assert store.newest() == "x" * LONGEST_NOTE


def test_a_place_that_cannot_be_used_is_an_error_that_says_what_to_do(store: CheckpointStore, outside: Outside) -> None:
    outside.take_away()

    with pytest.raises(OutsideStoreError, match="CHECKPOINTS_URL") as read:
        store.newest()
    with pytest.raises(OutsideStoreError, match="CHECKPOINTS_URL") as written:
        store.put(NOTE, sealed_at=NOON)
    with pytest.raises(OutsideStoreError, match="CHECKPOINTS_URL"):
        store.put_keys(KEYS)

    assert "cannot be read" in str(read.value)
    assert "cannot be written" in str(written.value)


def test_in_a_bucket_with_versions_nothing_is_lost(bucket: OutsideBucket, tmp_path: Path) -> None:
    store = open_store(bucket.url, tmp_path)
    store.put(NOTE, sealed_at=NOON)
    store.put(LATER, sealed_at=NOON)
    store.put_keys(KEYS)
    store.put_keys(KEYS)

    assert bucket.versions("checkpoint.txt") == [LATER, NOTE]
    assert bucket.versions("by-day/2026-11-23.txt") == [LATER, NOTE]
    assert bucket.versions("keys.json") == [KEYS]
