"""Who goes first on a machine: real threads and a real server process."""

import os
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
from sqlalchemy import Engine, text

from infra.priority import LOW_PRIORITY, give_way, give_way_in_server

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
