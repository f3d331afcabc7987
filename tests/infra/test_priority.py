"""Who goes first on a machine: real threads and a real server process."""

import os
from concurrent.futures import ThreadPoolExecutor

import psutil  # type: ignore[import-untyped]  # it ships no types
import pytest
from sqlalchemy import Engine, text

from infra.priority import LOW_PRIORITY, give_way, give_way_in_server, giving_way, upper_half

pytestmark = pytest.mark.skipif(os.name != "posix", reason="priorities are POSIX's")


def own_priority() -> int:
    return os.getpriority(os.PRIO_PROCESS, 0)


def test_a_thread_that_gives_way_leaves_the_others_as_they_are() -> None:
    before = own_priority()
    with ThreadPoolExecutor(1) as other:
        other.submit(give_way).result()
        other.submit(give_way).result()

        assert other.submit(own_priority).result() >= LOW_PRIORITY
    assert own_priority() == before


def test_the_server_process_of_one_connection_gives_way_and_no_other(engine: Engine) -> None:
    with engine.connect() as giving, engine.connect() as other:
        pids = [one.execute(text("SELECT pg_backend_pid()")).scalar_one() for one in (giving, other)]

        give_way_in_server(giving)
        give_way_in_server(giving)

        assert [psutil.Process(pid).nice() >= LOW_PRIORITY for pid in pids] == [True, False]


needs_affinity = pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system binds no threads")


@needs_affinity
def test_a_thread_that_gives_way_leaves_processors_to_the_others() -> None:
    before = os.sched_getaffinity(0)
    with ThreadPoolExecutor(1) as other:
        other.submit(give_way).result()
        other.submit(give_way).result()

        assert other.submit(os.sched_getaffinity, 0).result() == upper_half(before)
    assert os.sched_getaffinity(0) == before


@needs_affinity
def test_a_thread_that_gave_way_for_some_work_has_its_processors_again_and_can_give_way_anew() -> None:
    before = os.sched_getaffinity(0)
    with giving_way():
        with giving_way():
            inside = os.sched_getaffinity(0)
        after_the_inner = os.sched_getaffinity(0)
    between = os.sched_getaffinity(0)
    with giving_way():
        again = os.sched_getaffinity(0)

    assert [inside, after_the_inner, again] == [upper_half(before)] * 3
    assert [between, os.sched_getaffinity(0)] == [before] * 2


@needs_affinity
def test_the_server_process_that_gives_way_leaves_processors_to_the_others(engine: Engine) -> None:
    with engine.connect() as giving, engine.connect() as other:
        pids = [one.execute(text("SELECT pg_backend_pid()")).scalar_one() for one in (giving, other)]
        before = psutil.Process(pids[1]).cpu_affinity()

        give_way_in_server(giving)
        give_way_in_server(giving)

        found = [psutil.Process(pid).cpu_affinity() for pid in pids]
        assert found == [sorted(upper_half(before)), before]


@pytest.mark.parametrize(
    ("processors", "left"),
    [
        pytest.param({0}, {0}, id="one does everything"),
        pytest.param({0, 1}, {1}, id="two"),
        pytest.param({3, 0, 5}, {3, 5}, id="three"),
        pytest.param({0, 1, 2, 3}, {2, 3}, id="four"),
    ],
)
def test_long_work_has_half_of_the_processors(processors: set[int], left: set[int]) -> None:
    assert upper_half(processors) == left
