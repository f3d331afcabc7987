"""Sealing with the outside in view: what lies there is kept up to date, and what contradicts the tree is found."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from compliance.incidents import IncidentFilter, list_incidents
from compliance.ledger_health import read_health
from compliance.ledger_keys import DIRECTORY, LedgerKeyExposedError, LedgerKeyLostError, read_public_keys, rotate_key
from compliance.ledger_outside import Finding, open_store
from compliance.ledger_reading import latest_checkpoint, read_origin
from compliance.ledger_runs import Ledger, SealRun, check_outside, seal_waiting
from compliance.ledger_sealer import MOST_ENTRIES
from compliance.signed_notes import read_checkpoint
from tests.compliance.checkpoint_places import Outside
from tests.compliance.ledger_rows import cover_checks, one_key, seal_all, write_checks, write_entries
from tests.conftest import NOON, SettableClock

DAY = timedelta(days=1)


@pytest.fixture
def ledger(engine: Engine, clock: SettableClock, tmp_path: Path, outside: Outside) -> Ledger:
    return Ledger(engine, clock, tmp_path / "data", open_store(outside.url, tmp_path / "data"))


def seal(ledger: Ledger, entries: int = 3) -> SealRun:
    with ledger.engine.begin() as connection:
        write_entries(connection, entries)
    return seal_waiting(ledger)


def cut(ledger: Ledger, size: int) -> None:
    """Make the database an older copy of itself, as a restored backup is."""
    with ledger.engine.begin() as owner:
        owner.execute(text("SET LOCAL session_replication_role = replica"))
        owner.execute(text("DELETE FROM ledger_checkpoints WHERE size > :size"), {"size": size})
        owner.execute(
            text("DELETE FROM ledger_entries WHERE source IN (SELECT source FROM ledger_leaves WHERE entry >= :size)"),
            {"size": size},
        )
        owner.execute(text("DELETE FROM ledger_leaves WHERE entry >= :size"), {"size": size})


def newest_outside(ledger: Ledger) -> str:
    found = ledger.store.newest()
    assert found is not None
    return found


def kinds(ledger: Ledger) -> list[str]:
    with ledger.engine.connect() as connection:
        return [one.kind for one in list_incidents(connection, IncidentFilter(), before=None, limit=10)]


def test_after_a_sealing_the_outside_has_the_newest_checkpoint_and_the_keys(ledger: Ledger, outside: Outside) -> None:
    done = seal(ledger)

    assert done.checkpoint is not None
    assert (done.entries, done.contradiction, done.trouble) == (3, None, None)
    assert newest_outside(ledger) == done.checkpoint.note
    assert outside.names() == {"checkpoint.txt", "by-day/2026-11-23.txt", "keys.json"}
    key_list = ledger.data_dir / DIRECTORY / "keys.json"
    assert outside.read("keys.json") == key_list.read_text()


def test_each_day_keeps_its_last_checkpoint(ledger: Ledger, clock: SettableClock, outside: Outside) -> None:
    notes = [seal(ledger).checkpoint, seal(ledger).checkpoint]
    clock.advance(DAY)
    notes.append(seal(ledger).checkpoint)

    days = sorted(name for name in outside.names() if name.startswith("by-day/"))

    assert days == ["by-day/2026-11-23.txt", "by-day/2026-11-24.txt"]
    assert [outside.read(name) for name in days] == [one.note for one in notes[1:] if one is not None]


def test_many_entries_are_sealed_in_one_run(ledger: Ledger) -> None:
    done = seal(ledger, MOST_ENTRIES + 5)

    assert done.entries == MOST_ENTRIES + 5
    assert read_checkpoint(newest_outside(ledger).rpartition("\n\n")[0] + "\n").size == MOST_ENTRIES + 5


def test_a_restored_backup_is_found_and_said_once_while_sealing_goes_on(ledger: Ledger) -> None:
    seal(ledger)
    newest = seal(ledger, 7).checkpoint
    cut(ledger, 3)

    done, again = seal(ledger, 1), seal(ledger, 1)

    assert newest is not None
    assert done.contradiction is not None
    assert done.contradiction.finding is Finding.ROLLED_BACK
    assert "3 sealed entries, and 10 were signed" in done.contradiction.detail
    assert min(done.entries, again.entries) >= 1
    assert kinds(ledger) == ["ledger_rolled_back"]
    assert newest_outside(ledger) == newest.note


def test_a_log_that_went_on_from_a_backup_is_a_fork_for_ever(ledger: Ledger) -> None:
    seal(ledger)
    newest = seal(ledger, 7).checkpoint
    cut(ledger, 3)

    done = [seal(ledger, 7), seal(ledger, 5), seal(ledger, 5)]

    assert newest is not None
    findings = [one.contradiction.finding for one in done if one.contradiction is not None]
    assert findings == [Finding.ROLLED_BACK, Finding.FORK, Finding.FORK]
    assert sorted(kinds(ledger)) == ["ledger_fork", "ledger_rolled_back"]
    assert newest_outside(ledger) == newest.note


def test_a_checkpoint_moved_away_by_hand_ends_the_alarm(ledger: Ledger, outside: Outside) -> None:
    seal(ledger)
    seal(ledger)
    cut(ledger, 3)
    assert check_outside(ledger)[0] is not None

    outside.write("kept-as-evidence.txt", outside.read("checkpoint.txt"))
    outside.remove("checkpoint.txt")

    assert seal(ledger).contradiction is None
    assert check_outside(ledger) == (None, None)


def test_rewritten_entries_are_a_fork(ledger: Ledger, engine: Engine) -> None:
    seal(ledger)
    with engine.begin() as owner:
        owner.execute(text("SET LOCAL session_replication_role = replica"))
        owner.execute(text("DELETE FROM ledger_checkpoints"))
        owner.execute(text("DELETE FROM ledger_leaves"))
        owner.execute(text("UPDATE ledger_entries SET digests = sha256(digests)"))
        key = one_key(owner)
    seal_all(engine, key)

    found, _trouble = check_outside(ledger)

    assert found is not None
    assert found.finding is Finding.FORK


@pytest.mark.parametrize(
    "spoil", [lambda note: note[:-20], lambda note: note[:0], lambda note: note.replace("sealed", "x")]
)
def test_an_outside_checkpoint_that_cannot_be_trusted_is_said_and_kept(
    ledger: Ledger, outside: Outside, spoil: Callable[[str], str]
) -> None:
    seal(ledger)
    spoilt = spoil(outside.read("checkpoint.txt"))
    outside.write("checkpoint.txt", spoilt)

    done = seal(ledger)

    assert done.contradiction is not None
    assert done.contradiction.finding is Finding.UNREADABLE
    assert kinds(ledger) == ["ledger_checkpoint_unreadable"]
    assert outside.read("checkpoint.txt") == spoilt


def test_a_checkpoint_of_another_ledger_is_a_fork(ledger: Ledger, engine: Engine) -> None:
    seal(ledger)
    with engine.begin() as owner:
        owner.execute(text("SET LOCAL session_replication_role = replica"))
        owner.execute(text("UPDATE ledger_identity SET ledger_id = gen_random_uuid()"))
        origin = read_origin(owner)

    found, _trouble = check_outside(ledger)

    assert found is not None
    assert found.finding is Finding.FORK
    assert origin in found.detail


def test_an_outside_that_is_behind_is_brought_up_to_date(ledger: Ledger, outside: Outside) -> None:
    early = seal(ledger)
    late = seal(ledger)
    assert early.checkpoint is not None
    assert late.checkpoint is not None
    outside.write("checkpoint.txt", early.checkpoint.note)

    done = seal_waiting(ledger)

    assert (done.entries, done.contradiction) == (0, None)
    assert outside.read("checkpoint.txt") == late.checkpoint.note


def test_an_outside_that_cannot_be_written_does_not_hold_up_sealing(ledger: Ledger, outside: Outside) -> None:
    outside.take_away()

    done = seal(ledger)

    assert done.entries == 3
    assert done.trouble is not None
    assert "CHECKPOINTS_URL" in done.trouble


def test_without_a_usable_key_nothing_is_sealed_and_nothing_is_lost(ledger: Ledger, engine: Engine) -> None:
    seal(ledger)
    key = next((ledger.data_dir / DIRECTORY).glob("*.key"))
    key.chmod(0o640)

    with pytest.raises(LedgerKeyExposedError):
        seal(ledger)

    key.chmod(0o600)
    assert seal_waiting(ledger).entries == 3


def test_another_machine_does_not_sign_with_a_key_of_its_own(ledger: Ledger, tmp_path: Path) -> None:
    seal(ledger)
    elsewhere = replace(ledger, data_dir=tmp_path / "elsewhere")

    with pytest.raises(LedgerKeyLostError, match="use or share the DATA_DIR"):
        seal(elsewhere)

    assert read_public_keys(elsewhere.data_dir) == []
    assert seal_waiting(ledger).entries == 3


def test_a_new_key_after_a_lost_one_continues_the_log(ledger: Ledger, clock: SettableClock) -> None:
    first = seal(ledger).checkpoint
    for lost in (ledger.data_dir / DIRECTORY).glob("*.key"):
        lost.unlink()
    clock.advance(DAY)
    with ledger.engine.connect() as connection:
        rotate_key(ledger.data_dir, read_origin(connection), now=clock(), overlap=timedelta())

    second = seal(ledger)

    assert first is not None
    assert second.checkpoint is not None
    assert (second.contradiction, second.checkpoint.size) == (None, 6)
    keys = read_public_keys(ledger.data_dir)
    assert [one.key_id for one in keys] == [first.key_id, second.checkpoint.key_id]


def test_the_figures_tell_since_when_something_waits(ledger: Ledger, engine: Engine) -> None:
    with engine.begin() as connection:
        empty = read_health(connection)
        cover_checks(connection)
        write_checks(connection, 1, at=NOON - DAY)
        write_entries(connection, 1)

    with engine.connect() as connection:
        waiting = read_health(connection)
    seal_waiting(ledger)
    with engine.connect() as connection:
        sealed = read_health(connection)

    assert (empty.size, empty.sealed_at, empty.waiting_since) == (0, None, None)
    assert waiting.waiting_since == NOON - DAY
    assert waiting.waiting_for(NOON) == DAY
    assert (sealed.size, sealed.sealed_at, sealed.waiting_since) == (2, NOON, None)
    assert sealed.waiting_for(NOON) == timedelta()


def test_an_open_transaction_holds_back_no_entries_of_others(ledger: Ledger, engine: Engine) -> None:
    seal(ledger)
    with engine.connect() as slow:
        slow.execute(text("SELECT pg_current_xact_id()"))
        held = seal(ledger)
        with engine.connect() as connection:
            found = read_health(connection)
            newest = latest_checkpoint(connection)

    assert held.entries == 3
    assert newest is not None
    assert (newest.size, found.waiting_since) == (6, None)
