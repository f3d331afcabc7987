"""The start's probe of the store of first copies: what is called WORM, when, and what a store that is away means."""

from collections.abc import Iterator
from threading import Event
from typing import Any

import pytest

from infra.clock import utc_now
from infra.object_store import ProbedStore, ProbeRow
from infra.object_stores import open_object_store
from services.store_probe import StartProbe
from tests.infra.conftest import PROJECT
from tests.s3_simulator import Fault, Simulator, s3_simulator

LONGEST_S = 60


class Watched:
    """A real store whose probes can be waited for."""

    def __init__(self, store: ProbedStore, *, attempts: int) -> None:
        self._store = store
        self._left = attempts
        self.done = Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def probe(self) -> list[ProbeRow]:
        try:
            return self._store.probe()
        finally:
            self._left -= 1
            if self._left == 0:
                self.done.set()


@pytest.fixture
def simulator(credentials: None) -> Iterator[Simulator]:
    with s3_simulator() as running:
        yield running


def test_a_bucket_that_refuses_what_it_must_is_worm_once_it_was_probed(simulator: Simulator) -> None:
    store = open_object_store(simulator.place(), default=PROJECT, clock=utc_now)
    watched = Watched(store, attempts=1)
    probe = StartProbe(watched)
    before = store.is_worm

    probe.start()
    found = watched.done.wait(LONGEST_S)
    probe.stop()

    assert (before, found, store.is_worm) == (False, True, True)


def test_a_bucket_that_lets_a_lock_be_shortened_is_never_worm(simulator: Simulator) -> None:
    simulator.fails(Fault.ANY_DATE)
    store = open_object_store(simulator.place(), default=PROJECT, clock=utc_now)
    watched = Watched(store, attempts=1)
    probe = StartProbe(watched)

    probe.start()
    found = watched.done.wait(LONGEST_S)
    probe.stop()

    assert (found, store.is_worm) == (True, False)


def test_a_bucket_that_is_away_at_the_start_is_probed_again(simulator: Simulator) -> None:
    simulator.fails(Fault.FAILS, times=2)
    store = open_object_store(simulator.place(), default=PROJECT, clock=utc_now)
    watched = Watched(store, attempts=2)
    probe = StartProbe(watched, again_seconds=0.01)

    probe.start()
    found = watched.done.wait(LONGEST_S)
    probe.stop()

    assert (found, store.is_worm) == (True, True)


def test_a_probe_that_never_started_can_be_stopped(simulator: Simulator) -> None:
    store = open_object_store(simulator.place(), default=PROJECT, clock=utc_now)

    StartProbe(store).stop()

    assert simulator.asked == []
