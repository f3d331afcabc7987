"""Copies are hashed on their day, their locks compared; what is wrong is told once and put right at once."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import update

from compliance.tables import incidents
from infra.directory_store import DirectoryStore
from recordings.copies import restore_waiting
from recordings.copy_bytes import Finding, Look, Weakness
from recordings.copy_findings import record_look
from recordings.copy_rows import first_verification, hand_on, read_kept
from recordings.fixity import DisposedError, Limits, verify_due, verify_recording
from recordings.tables import recording_copies
from tests.recordings.kept_copies import PERIOD, TwoCopies

MUCH = Limits(most_bytes=10**9, most_seconds=60)
UNTIL = datetime(2040, 1, 1, tzinfo=UTC)


@pytest.fixture
def kept(archive: TwoCopies) -> UUID:
    """A recording with both copies, neither due."""
    recording_id = archive.add(b"voice", call_id="call-1")
    restore_waiting(archive.keeping, most_seconds=60)
    for name in ("first", "second"):
        archive.due_at(recording_id, name, archive.clock() + PERIOD)
    return recording_id


def store_of(archive: TwoCopies, name: str) -> DirectoryStore:
    store = archive.keeping.stores[name]
    assert isinstance(store, DirectoryStore)
    return store


def version_of(archive: TwoCopies, recording_id: UUID, name: str) -> tuple[str, str]:
    with archive.engine.connect() as connection:
        key = read_kept(connection, recording_id).object_key
    version_id = archive.copy(recording_id, name).version_id
    assert version_id is not None
    return key, version_id


def write_row(archive: TwoCopies, recording_id: UUID, name: str, **values: object) -> None:
    with archive.engine.begin() as connection:
        columns = recording_copies.c
        mine = (columns.recording_id == recording_id) & (columns.copy == name)
        connection.execute(update(recording_copies).where(mine).values(**values))


def test_good_copies_are_good_and_due_again_after_the_period(archive: TwoCopies, kept: UUID) -> None:
    archive.clock.advance(timedelta(days=3))

    found = verify_recording(archive.keeping, kept)

    assert (found.is_good, found.is_repaired, found.incident_id) == (True, False, None)
    assert [one.finding for one in found.copies] == [Finding.GOOD, Finding.GOOD]
    copy = archive.copy(kept, "first")
    assert (copy.verified_at, copy.verify_after) == (archive.clock(), archive.clock() + PERIOD)
    assert archive.events(kept) == ["copied"]


def test_a_copy_still_wanted_is_made_and_no_damage(archive: TwoCopies) -> None:
    recording_id = archive.add(b"voice")

    found = verify_recording(archive.keeping, recording_id)

    assert (found.is_good, found.is_repaired, len(found.copies)) == (True, False, 2)
    assert archive.read(recording_id, "second") == b"voice"


def test_a_copy_that_is_not_due_is_left_alone(archive: TwoCopies, kept: UUID) -> None:
    archive.clock.advance(PERIOD - timedelta(seconds=1))

    assert verify_due(archive.keeping, MUCH) == 0


def test_due_copies_are_read_once(archive: TwoCopies, kept: UUID) -> None:
    archive.clock.advance(PERIOD)

    assert verify_due(archive.keeping, MUCH) == 2 * len(b"voice")
    assert verify_due(archive.keeping, MUCH) == 0
    assert archive.counts() == {"copies": 2, "damaged": 0, "weakened": 0, "repaired": 0}


def test_a_copy_of_which_no_day_is_known_is_due(archive: TwoCopies, kept: UUID) -> None:
    archive.due_at(kept, "first", None)

    assert verify_due(archive.keeping, MUCH) == len(b"voice")


@pytest.mark.parametrize("name", ["first", "second"])
def test_a_flipped_bit_is_found_told_once_and_repaired(archive: TwoCopies, kept: UUID, name: str) -> None:
    archive.flip(kept, name)
    archive.clock.advance(PERIOD)

    verify_due(archive.keeping, MUCH)

    assert archive.read(kept, name) == b"voice"
    assert archive.copy(kept, name).state == "stored"
    assert archive.events(kept) == ["copied", "changed", "repaired"]
    [incident] = archive.incidents()
    assert incident["details"]["damaged"]["copy"] == name
    assert incident["details"]["damaged"]["found"] == "changed"
    assert archive.counts() == {"copies": 2, "damaged": 1, "weakened": 0, "repaired": 1}
    assert verify_recording(archive.keeping, kept).is_good


def test_a_copy_deleted_by_hand_is_found_and_repaired(archive: TwoCopies, kept: UUID) -> None:
    archive.bytes_path(kept, "second").unlink()

    found = verify_recording(archive.keeping, kept)

    assert [one.finding for one in found.copies] == [Finding.GOOD, Finding.MISSING]
    assert (found.is_good, found.is_repaired) == (False, True)
    assert archive.read(kept, "second") == b"voice"
    assert archive.events(kept) == ["copied", "missing", "repaired"]
    assert archive.incidents()[0]["incident_id"] == found.incident_id


@pytest.mark.parametrize("data", [b"", b"voi", b"voice and more"], ids=["emptied", "cut short", "longer"])
def test_other_lengths_are_damage(archive: TwoCopies, kept: UUID, data: bytes) -> None:
    path = archive.bytes_path(kept, "first")
    path.chmod(0o600)
    path.write_bytes(data)

    found = verify_recording(archive.keeping, kept)

    assert found.copies[0].finding is Finding.CHANGED
    assert archive.bytes_path(kept, "first").read_bytes() == b"voice"


def test_a_journal_somebody_edited_is_damage_that_the_store_itself_cannot_mend(archive: TwoCopies, kept: UUID) -> None:
    journal = next(Path(store_of(archive, "first").name).rglob("*versions.jsonl"))
    text = journal.read_text()
    journal.write_text(text.replace('"is_held":true', '"is_held":false') + "\n")

    found = verify_recording(archive.keeping, kept)

    assert found.copies[0].finding is Finding.CHANGED
    assert not found.is_repaired
    assert archive.copy(kept, "first").state == "changed"
    assert archive.told(archive.incidents()[0]["incident_id"]) == ["unrepaired"]
    assert archive.read(kept, "second") == b"voice"


def test_further_damage_is_added_to_the_incident_that_is_open(archive: TwoCopies, kept: UUID) -> None:
    archive.flip(kept, "first")
    first = verify_recording(archive.keeping, kept)
    archive.flip(kept, "second")
    second = verify_recording(archive.keeping, kept)

    [incident] = archive.incidents()
    assert first.incident_id == second.incident_id == incident["incident_id"]
    assert archive.told(incident["incident_id"]) == ["damaged"]


def test_damage_after_the_incident_was_closed_opens_another(archive: TwoCopies, kept: UUID) -> None:
    archive.flip(kept, "first")
    verify_recording(archive.keeping, kept)
    with archive.engine.begin() as connection:
        connection.execute(update(incidents).values(state="closed", closed_at=archive.clock()))
    archive.flip(kept, "first")
    verify_recording(archive.keeping, kept)

    assert [one["state"] for one in archive.incidents()] == ["closed", "open"]


def test_a_lifted_hold_is_told_and_due_to_be_put_back(archive: TwoCopies, kept: UUID) -> None:
    store_of(archive, "first").set_hold(*version_of(archive, kept, "first"), is_held=False)

    found = verify_recording(archive.keeping, kept)

    assert found.copies[0].weaknesses == (Weakness.HOLD_LIFTED,)
    assert (found.is_good, found.is_repaired) == (False, False)
    assert archive.events(kept) == ["copied", "weakened"]
    assert archive.incidents()[0]["details"]["weakened"]["was"] == {"is_held": True, "retain_until": None}
    assert not archive.copy(kept, "first").is_held
    with archive.engine.connect() as connection:
        assert read_kept(connection, kept).is_lock_due
    assert archive.counts()["weakened"] == 1


def test_a_shortened_date_is_told(archive: TwoCopies, kept: UUID) -> None:
    store_of(archive, "first").set_retention(*version_of(archive, kept, "first"), UNTIL)
    write_row(archive, kept, "first", retain_until=UNTIL + timedelta(days=1))

    found = verify_recording(archive.keeping, kept)

    assert found.copies[0].weaknesses == (Weakness.DATE_SHORTENED,)
    assert archive.copy(kept, "first").retain_until == UNTIL


def test_a_date_that_is_gone_is_told(archive: TwoCopies, kept: UUID) -> None:
    write_row(archive, kept, "first", retain_until=UNTIL)

    assert verify_recording(archive.keeping, kept).copies[0].weaknesses == (Weakness.DATE_SHORTENED,)


def test_a_longer_date_is_no_weakness_and_is_noted(archive: TwoCopies, kept: UUID) -> None:
    store_of(archive, "first").set_retention(*version_of(archive, kept, "first"), UNTIL)

    assert verify_recording(archive.keeping, kept).is_good
    assert archive.copy(kept, "first").retain_until == UNTIL
    assert archive.incidents() == []


def test_locks_are_not_judged_while_they_are_being_brought_to_what_is_wanted(archive: TwoCopies, kept: UUID) -> None:
    archive.change(kept, is_lock_due=True)
    store_of(archive, "first").set_hold(*version_of(archive, kept, "first"), is_held=False)

    assert verify_recording(archive.keeping, kept).is_good
    assert archive.incidents() == []


def test_a_delete_marker_is_told_and_taken_away_and_the_bytes_are_readable_below_it(
    archive: TwoCopies, kept: UUID
) -> None:
    key, version_id = version_of(archive, kept, "first")
    marker = store_of(archive, "first").hide(key)
    assert archive.read(kept, "first") == b"voice"

    found = verify_recording(archive.keeping, kept)

    assert found.copies[0].weaknesses == (Weakness.HIDDEN,)
    assert (found.copies[0].finding, found.is_repaired) == (Finding.GOOD, True)
    assert archive.incidents()[0]["details"]["weakened"]["over"] == marker
    assert [one.version_id for one in store_of(archive, "first").versions(key)] == [version_id]


def test_the_limit_of_bytes_ends_a_run_and_the_next_goes_on(archive: TwoCopies) -> None:
    for number in range(4):
        archive.add(bytes(100) + bytes([number]))
    restore_waiting(archive.keeping, most_seconds=60)
    archive.clock.advance(PERIOD)

    read = [verify_due(archive.keeping, Limits(most_bytes=350, most_seconds=60)) for _ in range(4)]

    assert read == [303, 303, 202, 0]


def test_a_copy_larger_than_a_run_may_read_is_read_in_one_of_its_own(archive: TwoCopies) -> None:
    archive.add(bytes(100))

    assert verify_due(archive.keeping, Limits(most_bytes=10, most_seconds=60)) == 100


def test_a_run_without_time_reads_nothing(archive: TwoCopies) -> None:
    archive.add()

    assert verify_due(archive.keeping, Limits(most_bytes=10**9, most_seconds=0)) == 0


def test_the_oldest_is_read_first(archive: TwoCopies) -> None:
    early, late = archive.add(b"early"), archive.add(b"lately")
    archive.due_at(early, "first", archive.clock() - timedelta(days=1))
    archive.due_at(late, "first", archive.clock() - timedelta(days=2))

    assert verify_due(archive.keeping, Limits(most_bytes=1, most_seconds=60)) == len(b"lately")


def test_a_store_that_is_away_is_no_damage_and_does_not_stop_the_other(archive: TwoCopies, kept: UUID) -> None:
    archive.clock.advance(PERIOD)
    root = Path(store_of(archive, "first").name)
    away = root.rename(root.with_name("away"))
    root.write_text("no directory")

    assert verify_due(archive.keeping, MUCH) == len(b"voice")
    assert archive.copy(kept, "first").state == "stored"
    assert archive.incidents() == []

    root.unlink()
    away.rename(root)
    assert verify_due(archive.keeping, MUCH) == len(b"voice")


def test_a_store_that_is_away_is_said_to_be(archive: TwoCopies, kept: UUID) -> None:
    root = Path(store_of(archive, "first").name)
    root.rename(root.with_name("away"))
    root.write_text("no directory")

    found = verify_recording(archive.keeping, kept)

    assert [one.finding for one in found.copies] == [Finding.AWAY, Finding.GOOD]
    assert (found.is_good, found.incident_id) == (False, None)


def test_copies_that_their_store_can_say_nothing_about_hold_up_no_other(archive: TwoCopies, kept: UUID) -> None:
    stuck = [archive.add(data) for data in (b"a", b"b", b"c")]
    for recording_id in stuck:
        archive.due_at(recording_id, "first", archive.clock() - timedelta(days=1))
        bytes_path = archive.bytes_path(recording_id, "first")
        journal = bytes_path.with_name(f"{bytes_path.name.split('+')[0]}+versions.jsonl")
        journal.unlink()
        journal.mkdir()
    archive.due_at(kept, "first", archive.clock())

    verify_due(archive.keeping, MUCH)
    assert archive.copy(kept, "first").verify_after == archive.clock()
    verify_due(archive.keeping, MUCH)
    assert archive.copy(kept, "first").verify_after == archive.clock() + PERIOD
    assert archive.incidents() == []


def test_a_copy_that_is_a_link_to_the_other_one_is_no_copy_and_is_made_again(archive: TwoCopies, kept: UUID) -> None:
    first, second = archive.bytes_path(kept, "first"), archive.bytes_path(kept, "second")
    second.unlink()
    second.symlink_to(first)

    found = verify_recording(archive.keeping, kept)

    assert [one.finding for one in found.copies] == [Finding.GOOD, Finding.CHANGED]
    assert (found.is_repaired, len(archive.incidents())) == (True, 1)
    assert (second.is_symlink(), second.read_bytes()) == (False, b"voice")


def test_damage_seen_before_a_repair_says_nothing_about_what_is_there_after_it(archive: TwoCopies, kept: UUID) -> None:
    with archive.engine.connect() as connection:
        before = read_kept(connection, kept)
    archive.flip(kept, "first")
    seen = Look(Finding.CHANGED, b"0" * 32, 5)
    archive.clock.advance(timedelta(seconds=1))
    verify_recording(archive.keeping, kept)

    with archive.engine.begin() as connection:
        copy = before.copies[0]
        told = record_look(connection, before, copy, seen, period=PERIOD, now=archive.clock())

    assert (told, archive.copy(kept, "first").state) == (None, "stored")


def test_what_another_has_in_hand_is_left_to_the_next_run(archive: TwoCopies, kept: UUID) -> None:
    archive.clock.advance(PERIOD)

    with hand_on(archive.engine, kept):
        assert verify_due(archive.keeping, MUCH) == 0

    assert verify_due(archive.keeping, MUCH) == 2 * len(b"voice")


def test_what_was_disposed_of_cannot_be_verified(archive: TwoCopies, kept: UUID) -> None:
    archive.change(kept, disposed_at=archive.clock())
    archive.clock.advance(PERIOD)

    with pytest.raises(DisposedError, match="was disposed of on 2026-11-23"):
        verify_recording(archive.keeping, kept)
    assert verify_due(archive.keeping, MUCH) == 0


def test_first_verifications_of_one_day_are_spread_evenly() -> None:
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    ids = [UUID(int=number << 64) for number in range(9000)]

    days = [(first_verification(one, "first", begin, PERIOD) - begin).days for one in ids]

    per_day = [days.count(day) for day in range(90)]
    assert sum(per_day) == 9000
    assert min(per_day) > 60
    assert max(per_day) < 140
