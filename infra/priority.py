"""Lets long work go after everything else on the machine: this thread, and its server process if that is here too."""

import os
from contextlib import suppress

import psutil  # type: ignore[import-untyped]  # it ships no types
from sqlalchemy import Connection

from infra.binary_copy import driver_connection

LOW_PRIORITY = 10
_GAVE_WAY = "gave_way"


def give_way() -> None:
    """Let everything else go before this thread, call checks above all; on Linux a priority is a thread's own."""
    if os.getpriority(os.PRIO_PROCESS, 0) < LOW_PRIORITY:
        os.setpriority(os.PRIO_PROCESS, 0, LOW_PRIORITY)


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
