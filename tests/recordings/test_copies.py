"""A store that lacks a copy is given it, from whichever copy has the right bytes; else nothing is written."""

from datetime import timedelta
from pathlib import Path

import pytest

from infra.ids import new_id
from recordings.copies import HOPELESS_AGAIN, restore_waiting
from recordings.copy_rows import AWAY_AGAIN, CopiesInHandError, UnknownRecordingError, hand_on, read_kept
from recordings.fixity import verify_recording
from tests.recordings.archive_rows import add_sale
from tests.recordings.kept_copies import PERIOD, TwoCopies

SECONDS = 60.0


def test_the_second_copy_is_made_under_hold_and_proven(archive: TwoCopies) -> None:
    recording_id = archive.add(b"voice")

    made = restore_waiting(archive.keeping, most_seconds=SECONDS)

    copy = archive.copy(recording_id, "second")
    assert made == 1
    assert (copy.state, copy.is_held, copy.stored_at, copy.verified_at) == (
        "stored",
        True,
        archive.clock(),
        archive.clock(),
    )
    assert archive.read(recording_id, "second") == b"voice"
    assert archive.events(recording_id) == ["copied"]
    assert archive.incidents() == []


def test_a_copy_is_made_once(archive: TwoCopies) -> None:
    recording_id = archive.add()
    restore_waiting(archive.keeping, most_seconds=SECONDS)

    assert restore_waiting(archive.keeping, most_seconds=SECONDS) == 0
    assert archive.events(recording_id) == ["copied"]


def test_first_verifications_lie_within_the_period_each_at_its_own_place(archive: TwoCopies) -> None:
    found = [archive.add(bytes([number])) for number in range(8)]
    restore_waiting(archive.keeping, most_seconds=SECONDS)

    due = [archive.copy(one, "second").verify_after for one in found]

    assert len(set(due)) == len(due)
    assert all(one is not None and archive.clock() <= one < archive.clock() + PERIOD for one in due)


@pytest.mark.parametrize("is_held", [True, False])
def test_a_copy_of_what_is_no_longer_held_is_due_to_be_dated(archive: TwoCopies, *, is_held: bool) -> None:
    recording_id = archive.add()
    archive.change(recording_id, is_held=is_held)

    restore_waiting(archive.keeping, most_seconds=SECONDS)

    with archive.engine.connect() as connection:
        assert read_kept(connection, recording_id).is_lock_due is not is_held
    assert archive.copy(recording_id, "second").is_held


@pytest.mark.parametrize(("damaged", "good"), [("first", "second"), ("second", "first")])
def test_a_changed_copy_is_restored_from_whichever_has_the_bytes(archive: TwoCopies, damaged: str, good: str) -> None:
    recording_id = archive.add(b"voice")
    restore_waiting(archive.keeping, most_seconds=SECONDS)
    archive.flip(recording_id, damaged)

    found = verify_recording(archive.keeping, recording_id)

    assert (found.is_good, found.is_repaired) == (False, True)
    assert archive.read(recording_id, damaged) == archive.read(recording_id, good) == b"voice"
    assert archive.copy(recording_id, damaged).state == "stored"
    assert archive.events(recording_id) == ["copied", "changed", "repaired"]


def test_a_copy_cannot_be_made_from_bytes_that_are_not_those_recorded(archive: TwoCopies) -> None:
    recording_id = archive.add(b"voice")
    damaged = archive.flip(recording_id, "first")

    made = restore_waiting(archive.keeping, most_seconds=SECONDS)

    assert made == 0
    assert archive.bytes_path(recording_id, "first").read_bytes() == damaged
    assert not archive.bytes_path(recording_id, "second").exists()
    assert archive.copy(recording_id, "first").state == "changed"
    assert archive.copy(recording_id, "second").state == "wanted"
    assert archive.events(recording_id) == ["changed", "unrepaired"]


def test_with_both_copies_damaged_nothing_is_written_and_one_incident_tells_all(archive: TwoCopies) -> None:
    with archive.engine.begin() as connection:
        add_sale(connection, "P-1", call_ids=("call-1",))
        add_sale(connection, "P-2")
    recording_id = archive.add(b"voice", call_id="call-1", policy_no="P-2")
    restore_waiting(archive.keeping, most_seconds=SECONDS)
    left = [archive.flip(recording_id, name) for name in ("first", "second")]

    found = verify_recording(archive.keeping, recording_id)

    assert (found.is_good, found.is_repaired) == (False, False)
    assert [archive.bytes_path(recording_id, name).read_bytes() for name in ("first", "second")] == left
    assert [archive.copy(recording_id, name).state for name in ("first", "second")] == ["changed", "changed"]
    [incident] = archive.incidents()
    assert (incident["kind"], incident["article"], incident["call_id"]) == ("fixity", "35", "call-1")
    assert incident["incident_id"] == found.incident_id
    assert incident["details"]["sales"] == ["P-1", "P-2"]
    assert incident["details"]["recording_id"] == str(recording_id)
    assert archive.told(incident["incident_id"]) == ["damaged", "unrepaired"]


def test_what_cannot_be_restored_is_tried_again_later_and_told_once(archive: TwoCopies) -> None:
    recording_id = archive.add(b"voice")
    archive.flip(recording_id, "first")
    restore_waiting(archive.keeping, most_seconds=SECONDS)
    archive.clock.advance(HOPELESS_AGAIN - timedelta(seconds=1))
    assert restore_waiting(archive.keeping, most_seconds=SECONDS) == 0
    archive.clock.advance(timedelta(seconds=1))
    restore_waiting(archive.keeping, most_seconds=SECONDS)
    assert archive.events(recording_id) == ["changed", "unrepaired"]

    archive.flip(recording_id, "first")  # somebody brought the bytes back from a backup
    archive.clock.advance(HOPELESS_AGAIN)
    made = restore_waiting(archive.keeping, most_seconds=SECONDS)

    assert made == 2
    assert archive.read(recording_id, "second") == b"voice"
    assert len(archive.incidents()) == 1


def test_a_store_that_is_away_is_waited_for(archive: TwoCopies) -> None:
    recording_id = archive.add(b"voice")
    in_the_way = Path(archive.keeping.stores["second"].name)
    in_the_way.write_text("no directory")

    assert restore_waiting(archive.keeping, most_seconds=SECONDS) == 0
    assert archive.copy(recording_id, "second").state == "wanted"
    assert archive.events(recording_id) == []

    in_the_way.unlink()
    assert restore_waiting(archive.keeping, most_seconds=SECONDS) == 1
    assert archive.incidents() == []


def test_a_source_that_is_away_is_waited_for_and_is_no_damage(archive: TwoCopies) -> None:
    recording_id = archive.add(b"voice")
    objects = Path(archive.keeping.stores["first"].name)
    away = objects.rename(objects.with_name("away"))
    objects.write_text("no directory")

    assert restore_waiting(archive.keeping, most_seconds=SECONDS) == 0
    assert archive.copy(recording_id, "first").state == "stored"
    assert archive.incidents() == []

    objects.unlink()
    away.rename(objects)
    assert restore_waiting(archive.keeping, most_seconds=SECONDS) == 1


def test_what_was_disposed_of_is_not_copied(archive: TwoCopies) -> None:
    recording_id = archive.add()
    archive.change(recording_id, disposed_at=archive.clock())

    assert restore_waiting(archive.keeping, most_seconds=SECONDS) == 0
    assert archive.copy(recording_id, "second").state == "wanted"


def test_what_another_has_in_hand_is_left_alone(archive: TwoCopies) -> None:
    recording_id = archive.add()

    with hand_on(archive.engine, recording_id):
        assert restore_waiting(archive.keeping, most_seconds=SECONDS) == 0
        with pytest.raises(CopiesInHandError, match="being worked on"):
            verify_recording(archive.keeping, recording_id)

    assert restore_waiting(archive.keeping, most_seconds=SECONDS) == 1


def test_a_run_without_time_makes_nothing(archive: TwoCopies) -> None:
    archive.add()

    assert restore_waiting(archive.keeping, most_seconds=0) == 0


def test_bytes_on_their_way_are_removed(archive: TwoCopies) -> None:
    archive.add()
    restore_waiting(archive.keeping, most_seconds=SECONDS)

    assert list(archive.keeping.staging.iterdir()) == []


def test_a_full_or_unusable_staging_directory_stops_nothing_for_good(archive: TwoCopies) -> None:
    recording_id = archive.add()
    archive.keeping.staging.write_text("in the way")

    assert restore_waiting(archive.keeping, most_seconds=SECONDS) == 0
    archive.keeping.staging.unlink()

    assert restore_waiting(archive.keeping, most_seconds=SECONDS) == 1
    assert archive.events(recording_id) == ["copied"]


def test_an_unknown_recording_is_an_error(archive: TwoCopies) -> None:
    with pytest.raises(UnknownRecordingError, match="there is no recording"):
        verify_recording(archive.keeping, new_id())


def test_recordings_that_no_store_can_say_anything_about_hold_up_no_other(archive: TwoCopies) -> None:
    stuck = [archive.add(data) for data in (b"a", b"b", b"c")]
    for recording_id in stuck:
        bytes_path = archive.bytes_path(recording_id, "first")
        journal = bytes_path.with_name(f"{bytes_path.name.split('+')[0]}+versions.jsonl")
        journal.unlink()
        journal.mkdir()
    later = archive.add(b"voice")

    assert restore_waiting(archive.keeping, most_seconds=SECONDS) == 0
    assert restore_waiting(archive.keeping, most_seconds=SECONDS) == 1
    assert archive.read(later, "second") == b"voice"
    assert archive.copy(stuck[0], "second").verify_after == archive.clock() + AWAY_AGAIN
