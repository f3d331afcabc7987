"""Sealing and comparing while the outside cannot be asked, or changes meanwhile: in time, and no alarm is lost."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from compliance.bounded_store import BoundedStore, Patience
from compliance.checkpoint_bucket import CheckpointBucket
from compliance.ledger_outside import Finding
from compliance.ledger_runs import Ledger, check_and_tell, check_outside, seal_waiting
from infra.advisory_locks import AdvisoryLock, hold
from infra.clock import seconds_running
from infra.s3_place import read_s3_place
from tests.compliance.test_ledger_runs import cut, kinds, seal
from tests.conftest import SettableClock
from tests.faulty_store import Fault, FaultyStore, faulty_store
from tests.infra.deadline import wait_until

PATIENCE = Patience(reading_s=2, writing_s=4, rests=1000)
IN_TIME_S = 8.0


@pytest.fixture
def faulty(credentials: None) -> Iterator[FaultyStore]:
    with faulty_store() as store:
        yield store


@pytest.fixture
def ledger(engine: Engine, clock: SettableClock, tmp_path: Path, faulty: FaultyStore) -> Ledger:
    bucket = CheckpointBucket(read_s3_place(faulty.place()), timeout_s=5)
    return Ledger(engine, clock, tmp_path / "data", BoundedStore(bucket, patience=PATIENCE))


@pytest.mark.parametrize("fault", [Fault.HANG, Fault.SERVER_ERROR, Fault.FORBIDDEN, Fault.DRIP])
def test_sealing_goes_on_in_time_and_says_what_is_wrong(ledger: Ledger, faulty: FaultyStore, fault: Fault) -> None:
    seal(ledger)
    faulty.fails(fault)
    began = seconds_running()

    first, second = seal(ledger), seal(ledger)

    assert seconds_running() - began < IN_TIME_S
    assert [one.entries for one in (first, second)] == [3, 3]
    assert [one.contradiction for one in (first, second)] == [None, None]
    assert "cannot be read" in str(first.trouble)
    assert "cannot be read" in str(second.trouble)


def test_a_store_that_hangs_is_left_in_peace_by_the_next_sealings(ledger: Ledger, faulty: FaultyStore) -> None:
    seal(ledger)
    faulty.fails(Fault.HANG)
    seal(ledger)
    asked, began = len(faulty.asked), seconds_running()

    done = [seal(ledger), seal(ledger), seal(ledger)]

    assert seconds_running() - began < IN_TIME_S
    assert all(one.trouble for one in done)
    assert len(faulty.asked) == asked


def test_a_contradiction_does_not_end_because_nobody_can_ask(ledger: Ledger, faulty: FaultyStore) -> None:
    seal(ledger)
    seal(ledger, 7)
    cut(ledger, 3)
    found, _trouble = check_outside(ledger)
    faulty.fails(Fault.HANG)

    still, trouble = check_outside(ledger)
    rested, _trouble = check_outside(ledger)

    assert found is not None
    assert found.finding is Finding.ROLLED_BACK
    assert (still, rested) == (found, found)
    assert trouble is not None


def test_a_backup_restored_while_the_store_is_away_is_found_by_who_saw_more(
    ledger: Ledger, faulty: FaultyStore
) -> None:
    seal(ledger)
    seal(ledger, 7)
    faulty.fails(Fault.SERVER_ERROR)
    cut(ledger, 3)

    done = seal(ledger, 1)

    assert done.contradiction is not None
    assert done.contradiction.finding is Finding.ROLLED_BACK
    assert kinds(ledger) == ["ledger_rolled_back"]


def test_a_store_that_lost_its_answer_is_brought_up_to_date_when_it_is_back(
    ledger: Ledger, faulty: FaultyStore
) -> None:
    seal(ledger)
    impatient = replace(ledger, store=CheckpointBucket(read_s3_place(faulty.place())))
    faulty.fails(Fault.SERVER_ERROR, "PUT")
    failed = seal(impatient)
    faulty.fails(Fault.NONE)

    done = seal(impatient, 1)

    assert "500 InternalError" in str(failed.trouble)
    assert done.checkpoint is not None
    assert (done.trouble, impatient.store.newest()) == (None, done.checkpoint.note)


@dataclass(slots=True)
class SharedPlace:
    """A place into which others write: each question finds the next of `notes`, and the last of them from then on."""

    notes: list[str | None]
    written: list[str] = field(default_factory=list)

    def newest(self) -> str | None:
        return self.notes.pop(0) if len(self.notes) > 1 else self.notes[0]

    def of_day(self, day: date) -> str | None:  # noqa: ARG002 - it keeps no notes of days
        return None

    def put(self, note: str, *, sealed_at: datetime) -> None:
        assert sealed_at.tzinfo is not None
        self.written.append(note)

    def put_keys(self, text: str) -> None:
        assert text


@pytest.mark.parametrize("spoil", [str, lambda note: note.replace("sealed", "x")], ids=["later", "unreadable"])
def test_what_another_process_put_there_meanwhile_is_not_replaced(ledger: Ledger, spoil: type[str]) -> None:
    early, late = seal(ledger).checkpoint, seal(ledger).checkpoint
    assert early is not None
    assert late is not None
    cut(ledger, 3)
    place = SharedPlace([early.note, spoil(late.note)])

    done = seal_waiting(replace(ledger, store=place))

    assert (done.contradiction, done.trouble, place.written) == (None, None, [])


def test_what_is_behind_is_replaced(ledger: Ledger) -> None:
    early, late = seal(ledger).checkpoint, seal(ledger).checkpoint
    assert early is not None
    assert late is not None
    place = SharedPlace([early.note])

    seal_waiting(replace(ledger, store=place))

    assert place.written == [late.note]


def waiting_for_a_lock(engine: Engine) -> int:
    with engine.connect() as connection:
        found: int = connection.execute(
            text("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory' AND datname = current_database()")
        ).scalar_one()
    return found


def test_processes_that_find_the_same_at_once_open_one_incident(ledger: Ledger, engine: Engine) -> None:
    seal(ledger)
    seal(ledger, 7)
    cut(ledger, 3)

    with engine.connect() as holder, ThreadPoolExecutor(2) as pool:
        hold(holder, AdvisoryLock.LEDGER_ALARMS)
        found = [pool.submit(check_and_tell, ledger) for _ in range(2)]
        wait_until(lambda: waiting_for_a_lock(engine) == 2)
        holder.rollback()

    assert [one.result()[0] is not None for one in found] == [True, True]
    assert kinds(ledger) == ["ledger_rolled_back"]
