"""Recordings registered together: what comes while a transaction is in flight, and what goes wrong with one of many."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from threading import Event

import pytest
from sqlalchemy import Connection, Engine, event, func, select, update

from recordings.archive import prepare
from recordings.recording_rows import read_copies, read_media, read_recording
from recordings.registration import DisposedRecordingError, Prepared, Registered, register_many
from recordings.registration_queue import RegistrationQueue
from recordings.retention import lock_links
from recordings.tables import recordings
from tests.conftest import NOON
from tests.recordings.desk import Desk, add_call, places_below, read_events, stereo, without

WITHIN_SECONDS = 20


class BrokenOff(BaseException):
    """What ends a thread that works."""


@dataclass(slots=True)
class Answering:
    """Answers what was registered; the first transaction stays in flight until `go_on`."""

    sizes: list[int] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)
    in_flight: Event = field(default_factory=Event)
    go_on: Event = field(default_factory=Event)

    def __call__(self, _connection: Connection, found: Sequence[Registered], /, *, now: datetime) -> list[Registered]:
        assert now == NOON
        self.sizes.append(len(found))
        self.in_flight.set()
        assert self.go_on.wait(WITHIN_SECONDS)
        if self.errors and len(self.sizes) > 1:
            raise self.errors.pop()
        return list(found)


@dataclass(slots=True)
class House:
    """A queue of which the first transaction is in flight, with `call-0`, and others wait."""

    desk: Desk
    path: Path
    answering: Answering
    queue: RegistrationQueue[Registered]
    pool: ThreadPoolExecutor

    def prepared(self, call_id: str | None) -> Prepared:
        return prepare(self.desk.places, self.desk.arrival(self.path, without(call_id=call_id)))

    def first(self) -> Future[Registered]:
        found = self.pool.submit(self.queue.register, self.prepared("call-0"))
        assert self.answering.in_flight.wait(WITHIN_SECONDS)
        return found

    def behind(self, *call_ids: str | None) -> list[Future[Registered]]:
        found = [self.pool.submit(self.queue.register, self.prepared(one)) for one in call_ids]
        while self.queue.waiting < len(call_ids):
            Event().wait(0.01)
        return found

    def calls(self) -> list[str | None]:
        with self.desk.engine.connect() as connection:
            return sorted(connection.execute(select(recordings.c.call_id)).scalars(), key=str)


@pytest.fixture
def house(engine: Engine, tmp_path: Path) -> Iterator[House]:
    desk = Desk(engine, places_below(tmp_path / "data"))
    answering = Answering()
    queue = RegistrationQueue(engine, desk.places, clock=lambda: NOON, answers=answering)
    with ThreadPoolExecutor(8) as pool:
        yield House(desk, stereo(tmp_path / "call.wav"), answering, queue, pool)
        answering.go_on.set()


def count(engine: Engine) -> int:
    with engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(recordings)).scalar_one()


def registered_ids(futures: Sequence[Future[Registered]]) -> list[object]:
    return [one.result(WITHIN_SECONDS).recording_id for one in futures]


def test_what_comes_while_a_transaction_is_in_flight_is_registered_by_the_next(house: House) -> None:
    first = house.first()
    others = house.behind("call-1", "call-2", "call-3")

    house.answering.go_on.set()

    ids = registered_ids([first, *others])
    with house.desk.engine.connect() as connection:
        assert [read_recording(connection, one).call_id for one in ids] == ["call-0", "call-1", "call-2", "call-3"]  # type: ignore[arg-type]
    assert house.answering.sizes == [1, 3]


def test_nobody_is_answered_before_the_commit(house: House) -> None:
    first = house.first()
    (other,) = house.behind("call-1")

    answered = [first.done(), other.done()]

    assert (answered, count(house.desk.engine)) == ([False, False], 0)


def test_two_equal_ones_in_one_batch_are_one_recording(house: House) -> None:
    first = house.first()
    others = house.behind("call-1", "call-1", "call-2")

    house.answering.go_on.set()

    same, again, third = [one.result(WITHIN_SECONDS) for one in others]
    assert same.recording_id == again.recording_id
    assert [same.is_new, again.is_new, third.is_new].count(False) == 1
    assert first.result(WITHIN_SECONDS).is_new
    assert house.calls() == ["call-0", "call-1", "call-2"]


def test_one_that_is_here_already_is_answered_as_known_and_delays_nobody(house: House) -> None:
    before = house.desk.take_in(house.path, without(call_id="call-1"))
    house.first()
    known, other = house.behind("call-1", "call-2")

    house.answering.go_on.set()

    assert known.result(WITHIN_SECONDS) == (before.recording_id, False, ())
    assert other.result(WITHIN_SECONDS).is_new


def test_nobody_waits_for_a_call_that_somebody_else_holds(house: House, engine: Engine) -> None:
    first = house.first()
    held, other = house.behind("call-1", "call-2")
    with engine.begin() as connection:
        lock_links(connection, call_id="call-1", policy_no=None)
        house.answering.go_on.set()

        registered_ids([first, other])
        is_waiting = not held.done()

    assert is_waiting
    assert held.result(WITHIN_SECONDS).is_new


def test_one_that_is_refused_is_told_so_and_the_others_are_registered(house: House, engine: Engine) -> None:
    gone = house.desk.take_in(house.path, without(call_id="call-1"))
    with engine.begin() as connection:
        connection.execute(update(recordings).values(disposed_at=NOON, is_held=False))
    house.first()
    refused, other = house.behind("call-1", "call-2")

    house.answering.go_on.set()

    with pytest.raises(DisposedRecordingError, match=str(gone.recording_id)):
        refused.result(WITHIN_SECONDS)
    assert other.result(WITHIN_SECONDS).is_new


def test_a_batch_that_fails_is_registered_one_by_one(house: House) -> None:
    house.answering.errors.append(RuntimeError("of one of them"))
    first = house.first()
    others = house.behind("call-1", "call-2")

    house.answering.go_on.set()

    assert len(set(registered_ids([first, *others]))) == 3
    assert house.answering.sizes == [1, 2, 1, 1]


def test_a_commit_that_fails_is_no_answer(house: House, engine: Engine) -> None:
    def fail(_connection: Connection) -> None:
        msg = "the disk is full"
        raise OSError(msg)

    first = house.first()
    others = house.behind("call-1", "call-2")
    event.listen(engine, "commit", fail)

    house.answering.go_on.set()

    errors = [one.exception(WITHIN_SECONDS) for one in [first, *others]]
    event.remove(engine, "commit", fail)
    assert [str(one) for one in errors] == ["the disk is full"] * 3
    assert count(engine) == 0


def test_when_the_thread_that_works_for_all_is_broken_off_the_others_go_on(house: House) -> None:
    house.answering.errors.append(BrokenOff())
    house.first()
    others = house.behind("call-1", "call-2", "call-3")

    house.answering.go_on.set()

    ended = [type(one.exception(WITHIN_SECONDS)) for one in others]
    assert sorted(ended, key=str) == sorted([BrokenOff, type(None), type(None)], key=str)
    assert len(house.calls()) == 3


def test_many_cost_as_many_statements_as_one(house: House, engine: Engine) -> None:
    add_call(engine, "call-1")
    asked: list[str] = []
    one = [house.prepared("call-1")]
    many = [house.prepared(f"call-{number}") for number in range(2, 12)]
    with engine.begin() as connection:
        event.listen(connection, "before_cursor_execute", lambda *said: asked.append(said[2]))
        register_many(connection, house.desk.places, one, now=NOON)
        of_one = len(asked)

        found = register_many(connection, house.desk.places, many, now=NOON)

    assert [registered is not None and registered.is_new for registered in found] == [True] * 10
    # No call of these is known, so that nobody asks how long its recordings last.
    assert (of_one, len(asked) - of_one) == (14, 13)


def test_each_of_many_has_its_copies_its_waveform_and_its_history(house: House, engine: Engine) -> None:
    prepared = [house.prepared("call-1"), house.prepared(None)]
    with engine.begin() as connection:
        found = [one for one in register_many(connection, house.desk.places, prepared, now=NOON) if one]

    with engine.connect() as connection:
        copies = [[copy.state for copy in read_copies(connection, one.recording_id)] for one in found]
        peaks = [media.peaks for one in found if (media := read_media(connection, one.recording_id))]
        kinds = [[said.kind for said in read_events(connection, one.recording_id)] for one in found]
    assert copies == [["stored", "wanted"]] * 2
    assert peaks == [one.audio.peaks for one in prepared]
    assert kinds == [["dated", "released", "stored"]] * 2
