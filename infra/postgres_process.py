"""Finds, awaits and ends the processes of an embedded PostgreSQL by the directory they work in.

Starts nothing. It trusts no lock file further than a live process confirms it.
"""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it ships no types

from infra.postgres_account import EmbeddedPostgresError

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Postmaster:
    process: psutil.Process
    socket_dir: Path
    status: str


def settled_postmaster(cluster: Path, progress: Progress) -> Postmaster | None:
    """Return the live postmaster, None when there is none; one that is stopping is waited for."""
    for _ in waiting("Waiting for PostgreSQL to finish stopping", progress):
        postmaster = find_postmaster(cluster)
        if postmaster is None or postmaster.status != "stopping":
            return postmaster
    raise AssertionError


def is_dying(cluster: Path) -> bool:
    """Tell whether the postmaster is gone within two seconds: a killed one is still seen for a moment."""
    for waited_s in waiting():
        if find_postmaster(cluster) is None:
            return True
        if waited_s > 2:  # noqa: PLR2004 - seconds, see above
            break
    return False


def find_postmaster(cluster: Path) -> Postmaster | None:
    """Return the live postmaster that postmaster.pid of `cluster` names.

    The file outlives kill -9, and its pid may by now be a zombie or another program: what counts is a process
    named postgres that works in this directory, as a postmaster always does.
    """
    try:
        lines = (cluster / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        process = psutil.Process(int(lines[0]))
    except (FileNotFoundError, IndexError, ValueError, psutil.NoSuchProcess):
        return None
    if not _is_alive(process) or not _works_in(process, cluster):
        return None
    if len(lines) < 8:  # noqa: PLR2004 - the eighth line is the state; PostgreSQL adds it last
        return Postmaster(process, Path(), "starting")
    return Postmaster(process, Path(lines[4]), lines[7].strip())


def end_leftovers(cluster: Path, progress: Progress) -> None:
    """Wait for, then end, server processes that outlived their postmaster, and remove its lock files.

    Two generations of processes on one cluster would destroy it. PostgreSQL's own guard against that also
    refuses to start when the old pid now belongs to an unrelated program, so this looks for itself.
    """
    leftovers = [process for process in psutil.process_iter() if _works_in(process, cluster)]
    for patience_s, kind in ((2, signal.SIGQUIT), (2, signal.SIGKILL), (5, None)):
        _, leftovers = psutil.wait_procs(leftovers, timeout=patience_s)
        leftovers = [process for process in leftovers if _is_alive(process)]
        if leftovers:
            progress(f"Ending {len(leftovers)} processes that an earlier PostgreSQL left behind.")
        for process in leftovers if kind is not None else ():
            with suppress(psutil.NoSuchProcess):
                process.send_signal(kind)
    if leftovers:
        raise EmbeddedPostgresError(f"processes of an earlier PostgreSQL still work in {cluster}; end them first")
    (cluster / "postmaster.pid").unlink(missing_ok=True)


def stop_process(process: psutil.Process, within_s: float) -> None:
    """Stop a postmaster: fast, then immediate (crash-safe: the next start recovers), then by force."""
    last_resorts_s = min(2.0, within_s / 4)
    steps = (
        (signal.SIGINT, within_s - 2 * last_resorts_s),
        (signal.SIGQUIT, last_resorts_s),
        (signal.SIGKILL, max(last_resorts_s, 1.0)),  # it works at once, but not in no time
    )
    for kind, patience_s in steps:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(kind)
        for waited_s in waiting():
            if not _is_alive(process):
                return
            if waited_s > patience_s:
                break
    raise EmbeddedPostgresError(f"PostgreSQL (process {process.pid}) cannot be ended, not even by force")


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _works_in(process: psutil.Process, directory: Path) -> bool:
    try:
        return bool(process.name() == "postgres") and Path(process.cwd()).samefile(directory)
    except (psutil.Error, OSError):
        return False


def waiting(what: str = "", progress: Progress = lambda _message: None) -> Iterator[float]:
    """Yield the seconds waited, at once and then every 50 ms, and report `what` every five seconds."""
    began = reported = time.monotonic()
    while True:
        yield time.monotonic() - began
        time.sleep(0.05)
        if time.monotonic() - reported >= 5:  # noqa: PLR2004 - seconds between two reports
            reported = time.monotonic()
            progress(f"{what} ({reported - began:.0f} s).")
