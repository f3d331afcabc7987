"""Lets long work go after everything else on the machine: this thread, and its server process if that is here too.

It goes at low priority and, where the system allows it, on the upper half of the processors alone: with two of them and
only a low priority, a call check that came while both worked for an import had to wait for one.
"""

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from threading import local

import psutil  # type: ignore[import-untyped]  # it ships no types
from sqlalchemy import Connection

from infra.binary_copy import driver_connection

LOW_PRIORITY = 10
_GAVE_WAY = "gave_way"
_given = local()


def give_way() -> None:
    """Let everything else go before this thread, call checks above all; on Linux a priority is a thread's own."""
    if _is_given():
        return
    _given.way = True
    if os.getpriority(os.PRIO_PROCESS, 0) < LOW_PRIORITY:
        os.setpriority(os.PRIO_PROCESS, 0, LOW_PRIORITY)
    if hasattr(os, "sched_setaffinity"):
        with suppress(OSError):
            os.sched_setaffinity(0, upper_half(os.sched_getaffinity(0)))


@contextmanager
def giving_way() -> Iterator[None]:
    """Give way for as long as some work takes, in a thread that then does other things.

    The processors come back for sure; to raise a priority again takes a privilege on most systems.
    """
    if _is_given():
        yield
        return
    priority = os.getpriority(os.PRIO_PROCESS, 0)
    processors = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    give_way()
    try:
        yield
    finally:
        _given.way = False
        with suppress(OSError):
            if processors is not None:
                os.sched_setaffinity(0, processors)
            os.setpriority(os.PRIO_PROCESS, 0, priority)


def _is_given() -> bool:
    return getattr(_given, "way", False)


def give_way_in_server(connection: Connection) -> None:
    """Do the same for the process of PostgreSQL that serves `connection`, until the connection is closed.

    Only a server reached through a socket of this machine has its process here, and only its owner may do this;
    elsewhere nothing happens.
    """
    if connection.info.get(_GAVE_WAY):
        return
    connection.info[_GAVE_WAY] = True
    server = driver_connection(connection).info
    if not server.host.startswith("/"):
        return
    with suppress(psutil.Error, OSError):
        process = psutil.Process(server.backend_pid)
        # The socket of a server in another container leads to a process whose number means another one here.
        if process.name().startswith("postgres") and process.nice() < LOW_PRIORITY:
            process.nice(LOW_PRIORITY)
            if hasattr(process, "cpu_affinity"):
                process.cpu_affinity(sorted(upper_half(process.cpu_affinity())))


def upper_half(processors: Collection[int]) -> set[int]:
    """Return the processors left to long work: half of them, rounded up, so that one alone does everything.

    >>> upper_half({0, 1, 2})
    {1, 2}
    """
    return set(sorted(processors)[len(processors) // 2 :])
