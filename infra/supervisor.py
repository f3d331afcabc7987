"""Runs the processes of `make run`: starts them, starts again what crashes, and stops all of them together.

Owns the child processes and, while `run` lasts, the handlers of SIGINT, SIGTERM and SIGHUP. Their output goes
to the same terminal, unchanged. It knows nothing of what the children do.

Every child leads a session of its own, so Ctrl-C reaches only the supervisor and what a child started can be
ended with it. On Linux the kernel kills a child when the supervisor dies, even by kill -9; elsewhere such
children stay and must be ended by hand.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import FrameType

Say = Callable[[str], None]

_POLL_S = 0.1
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


@dataclass(frozen=True, slots=True)
class Child:
    """A command to keep running.

    `ready` is asked several times a second until it says True once after each start; it must answer soon and not
    raise. Without it a child counts as ready at once. `environment` None means: the supervisor's own.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] | None = None
    ready: Callable[[], bool] | None = None


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the supervisor waits, in seconds, and how often it tries."""

    first_delay_s: float = 1
    longest_delay_s: float = 30
    started_after_s: float = 5
    """A child without `ready` has started when it lived so long."""
    steady_after_s: float = 60
    """A child that lived so long begins again with the first delay."""
    failed_starts: int = 5
    """So many failed starts of one child in a row end everything."""
    stop_within_s: float = 15
    """Leaves the database, which is stopped after the children, as much again within 30 s."""


def run(
    children: Sequence[Child],
    *,
    on_ready: Callable[[], None] = lambda: None,
    say: Say = lambda message: print(message, file=sys.stderr, flush=True),  # noqa: T201 - it is the terminal
    patience: Patience = Patience(),
) -> int:
    """Run `children` until a signal comes or one of them cannot be started; return the exit status.

    Calls `on_ready` once, when every child is ready. The first SIGINT, SIGTERM or SIGHUP stops the children in
    reverse order, each with SIGTERM and, when its share of the time is over, SIGKILL; the second kills them at
    once. Returns 0 after a signal and 1 when it gave up. Call it in the main thread of a program.
    """
    with _signals_counted() as signals:
        running = [_Running(child, patience, say) for child in children]
        try:
            gave_up = _watch(running, signals, on_ready)
        finally:
            _stop_all(running, signals, patience.stop_within_s)
    return 1 if gave_up else 0


@dataclass(slots=True)
class _Signals:
    """How many requests to stop came so far."""

    received: int = 0


@dataclass(slots=True)
class _Running:
    """One child over its successive processes."""

    child: Child
    patience: Patience
    say: Say
    process: subprocess.Popen[bytes] | None = None
    is_ready: bool = False
    began: float = 0
    start_at: float = field(default_factory=time.monotonic)
    failed_starts: int = 0
    crashes: int = 0

    @property
    def has_given_up(self) -> bool:
        return self.failed_starts >= self.patience.failed_starts

    def tend(self) -> None:
        """Start the process when it is time, and take note of its readiness and of its end."""
        if self.process is None:
            if time.monotonic() >= self.start_at:
                self._start()
        elif (status := self.process.poll()) is not None:
            _kill_group(self.process)
            self._ended(_describe(status))
        elif not self.is_ready:
            self.is_ready = self.child.ready is None or self.child.ready()

    def _start(self) -> None:
        self.began = time.monotonic()
        self.is_ready = False
        try:
            self.process = _spawn(self.child)
        except OSError as error:
            self._ended(f"cannot be started: {error.strerror}")

    def _ended(self, how: str) -> None:
        lived_s = time.monotonic() - self.began
        has_started = self.is_ready if self.child.ready else lived_s >= self.patience.started_after_s
        self.process = None
        self.failed_starts = 0 if has_started else self.failed_starts + 1
        self.crashes = 1 if lived_s >= self.patience.steady_after_s else self.crashes + 1
        if self.has_given_up:
            self.say(f"{self.child.name} {how}; it failed to start {self.failed_starts} times in a row")
            return
        delay_s = min(self.patience.first_delay_s * 2 ** min(self.crashes - 1, 30), self.patience.longest_delay_s)
        self.start_at = time.monotonic() + delay_s
        self.say(f"{self.child.name} {how}; starting it again in {delay_s:g} s")

    def stop(self, within_s: float, signals: _Signals) -> None:
        """End the process and all that it started, by force after `within_s` seconds or a second signal."""
        if self.process is None:
            return
        self.process.terminate()
        end = time.monotonic() + within_s
        while self.process.poll() is None and time.monotonic() < end and signals.received <= 1:
            time.sleep(_POLL_S / 2)
        if self.process.poll() is None:
            self.say(f"{self.child.name} did not end; killing it")
        _kill_group(self.process)
        self.process.wait()
        self.process = None


def _watch(running: Sequence[_Running], signals: _Signals, on_ready: Callable[[], None]) -> bool:
    """Tend the children until a signal comes; return whether it was given up instead."""
    announced = False
    while not signals.received:
        for each in running:
            each.tend()
            if each.has_given_up:
                return True
        if not announced and all(each.is_ready for each in running):
            announced = True
            on_ready()
        time.sleep(_POLL_S)
    return False


def _stop_all(running: Sequence[_Running], signals: _Signals, within_s: float) -> None:
    """Stop in reverse order; each child may use an equal share of what time is left."""
    end = time.monotonic() + within_s
    for left, each in reversed(list(enumerate(running, start=1))):
        each.stop(max(0.0, end - time.monotonic()) / left, signals)


def _spawn(child: Child) -> subprocess.Popen[bytes]:
    supervisor = os.getpid()
    return subprocess.Popen(  # noqa: S603 - the caller's own commands
        list(child.command),
        stdin=subprocess.DEVNULL,
        env=None if child.environment is None else dict(child.environment),
        start_new_session=True,
        preexec_fn=lambda: _die_with(supervisor),  # noqa: PLW1509 - one system call, no lock taken
    )


def _die_with(supervisor: int) -> None:
    """Have the kernel kill this process when its parent dies; runs in the child between fork and exec.

    SIGKILL, not SIGTERM: the next `make run` needs the port and the queue at once.
    """
    if _LIBC is None:
        return
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != supervisor:  # it died before the call above
        os._exit(1)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _describe(status: int) -> str:
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"


@contextmanager
def _signals_counted() -> Iterator[_Signals]:
    """Count the requests to stop that come inside the block, instead of being ended by them."""
    signals = _Signals()

    def count(_number: int, _frame: FrameType | None) -> None:
        signals.received += 1

    kinds = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup wants to outlive its terminal
        kinds.append(signal.SIGHUP)
    before = [signal.signal(kind, count) for kind in kinds]
    try:
        yield signals
    finally:
        for kind, handler in zip(kinds, before, strict=True):
            signal.signal(kind, handler)
