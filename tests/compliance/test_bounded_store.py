"""A store that is asked: it answers in time or fails, is left in peace after that, and what it said is remembered."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from threading import Event

import pytest

from compliance.bounded_store import BoundedStore, Patience
from compliance.checkpoint_stores import OutsideStoreError
from infra.clock import seconds_running
from tests.conftest import NOON
from tests.infra.deadline import wait_until

SOON = Patience(reading_s=0.2, writing_s=0.4)
IN_TIME_S = 2.0


class Store:
    """A store that hangs while it is told to, and takes a second on a clock of its own to fail."""

    def __init__(self) -> None:
        self.seconds = 100.0
        self.asked = 0
        self.note: str | None = "note"
        self.keys = ""
        self.sealed_at = NOON
        self.failure: str | None = None
        self.may_answer = Event()
        self.may_answer.set()

    def newest(self) -> str | None:
        self._work()
        return self.note

    def of_day(self, day: date) -> str | None:
        self._work()
        return f"note of {day}"

    def put(self, note: str, *, sealed_at: datetime) -> None:
        self._work()
        self.note, self.sealed_at = note, sealed_at

    def put_keys(self, text: str) -> None:
        self._work()
        self.keys = text

    def running(self) -> float:
        return self.seconds

    def _work(self) -> None:
        self.asked += 1
        self.may_answer.wait()
        if self.failure is not None:
            self.seconds += 1
            raise OutsideStoreError(self.failure)


@pytest.fixture
def store() -> Iterator[Store]:
    made = Store()
    yield made
    made.may_answer.set()


def failure_of(question: Callable[[], object]) -> OutsideStoreError:
    began = seconds_running()
    with pytest.raises(OutsideStoreError) as raised:
        question()
    assert seconds_running() - began < IN_TIME_S
    return raised.value


def test_what_the_store_answers_is_passed_on(store: Store) -> None:
    bounded = BoundedStore(store)

    bounded.put("later", sealed_at=NOON + timedelta(days=1))
    bounded.put_keys("{}")

    assert (bounded.newest(), bounded.of_day(NOON.date()), store.asked) == ("later", "note of 2026-11-23", 4)
    assert (store.keys, store.sealed_at) == ("{}", NOON + timedelta(days=1))


def test_nothing_there_is_no_failure(store: Store) -> None:
    store.note = None

    assert BoundedStore(store).newest() is None


def test_a_store_that_hangs_is_not_waited_for(store: Store) -> None:
    bounded = BoundedStore(store, patience=SOON)
    store.may_answer.clear()

    read = failure_of(bounded.newest)
    written = failure_of(lambda: bounded.put("later", sealed_at=NOON))

    assert "cannot be read: no answer within 0.2 s" in str(read)
    assert "cannot be written: no answer within 0.4 s" in str(written)


def test_a_store_that_hangs_is_asked_one_question_at_a_time(store: Store) -> None:
    bounded = BoundedStore(store, patience=Patience(reading_s=0.1, rests=0))
    store.may_answer.clear()

    failures = [failure_of(bounded.newest), failure_of(bounded.newest)]
    store.may_answer.set()

    assert len(failures) == 2
    assert bounded.newest() == "note"
    assert store.asked == 2


def test_many_who_ask_at_once_are_all_answered(store: Store) -> None:
    bounded = BoundedStore(store)
    store.may_answer.clear()

    with ThreadPoolExecutor(20) as pool:
        found = [pool.submit(bounded.newest) for _ in range(20)]
        wait_until(lambda: store.asked == 1)
        store.may_answer.set()

    assert [one.result() for one in found] == ["note"] * 20


def test_after_a_failure_it_is_not_asked_for_some_times_as_long_as_that_took(store: Store) -> None:
    bounded = BoundedStore(store, patience=Patience(rests=5), running=store.running)
    store.failure = "away"
    first = failure_of(bounded.newest)
    store.failure = None

    store.seconds += 4.9
    second, asked = failure_of(bounded.newest), store.asked
    store.seconds += 0.2

    assert (str(first), str(second), asked) == ("away", "away", 1)
    assert bounded.newest() == "note"


def test_one_that_cannot_be_written_can_be_read(store: Store) -> None:
    bounded = BoundedStore(store, running=store.running)
    store.failure = "full"
    failure_of(lambda: bounded.put_keys("{}"))
    store.failure = None

    assert bounded.newest() == "note"
    assert str(failure_of(lambda: bounded.put("later", sealed_at=NOON))) == "full"


def test_a_failure_brings_the_last_note_that_was_seen(store: Store) -> None:
    bounded = BoundedStore(store, running=store.running)
    store.failure = "away"
    unseen = failure_of(bounded.newest)
    store.failure = None
    store.seconds += 60
    bounded.newest()
    store.failure = "away"

    seen, rested = failure_of(bounded.newest), failure_of(bounded.newest)

    assert (unseen.last_note, seen.last_note, rested.last_note) == (None, "note", "note")


def test_a_note_that_was_put_has_been_seen(store: Store) -> None:
    bounded = BoundedStore(store)
    bounded.put("later", sealed_at=NOON + timedelta(days=1))
    store.failure = "away"

    assert failure_of(bounded.newest).last_note == "later"


def test_a_note_that_was_taken_away_is_forgotten(store: Store) -> None:
    bounded = BoundedStore(store)
    bounded.newest()
    store.note = None
    bounded.newest()
    store.failure = "away"

    assert failure_of(bounded.newest).last_note is None
