"""Natural batching: recordings that are stored while one transaction is in flight are registered together by the next.

The cost of a durable commit is shared, and nothing waits on a timer: a lone recording is registered at once. Of
the threads that wait, the oldest works for all: there is no thread to be started or stopped, and no more wait
than threads bring. Nobody is answered before the commit.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from threading import Event, Lock
from typing import Generic, Protocol, TypeVar

from sqlalchemy import Connection, Engine

from infra.clock import Clock
from infra.logs import logger
from recordings.places import Places
from recordings.registration import Prepared, Registered, register, register_many

MOST_IN_ONE_BATCH = 64

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

log = logger(__name__)


class Answers(Protocol[T_co]):
    """What is to be answered to each of these, asked in the transaction that registers them, before its commit."""

    def __call__(self, connection: Connection, found: Sequence[Registered], /, *, now: datetime) -> Sequence[T_co]: ...


def registered_alone(_connection: Connection, found: Sequence[Registered], *, now: datetime) -> Sequence[Registered]:  # noqa: ARG001 - an Answers
    """Answer what was registered and no more."""
    return found


@dataclass(slots=True, eq=False)
class _Waiting(Generic[T]):
    prepared: Prepared
    turn: Event = field(default_factory=Event)
    """Set when it is done, or is to work for all."""
    is_done: bool = False
    answer: list[T] = field(default_factory=list)
    """Empty when it is to be registered by itself."""


class RegistrationQueue(Generic[T]):
    """Registers for any number of threads, each of which waits for the answer to its own recording."""

    def __init__(self, engine: Engine, places: Places, *, clock: Clock, answers: Answers[T]) -> None:
        self.engine = engine
        self.places = places
        self.clock = clock
        self._answers = answers
        self._waiting: deque[_Waiting[T]] = deque()
        self._is_led = False
        """Whether one of those who wait, the oldest, works for all or is about to."""
        self._changing = Lock()

    @property
    def waiting(self) -> int:
        """How many wait for the transaction in flight to end, and are registered by the next."""
        return len(self._waiting)

    def register(self, prepared: Prepared) -> T:
        """Return the answer to one stored recording, after the commit of the transaction that registered it.

        Raises:
            DisposedRecordingError: it was here, and was disposed of.
        """
        one = _Waiting[T](prepared)
        with self._changing:
            self._waiting.append(one)
            if not self._is_led:
                self._is_led = True
                one.turn.set()
        try:
            one.turn.wait()
        except BaseException:
            self._leave(one)
            raise
        if not one.is_done:
            self._work()
        return one.answer[0] if one.answer else self._register_alone(prepared)

    def _work(self) -> None:
        """Register those who wait, oldest first; whatever befalls them together, each then tries by itself."""
        with self._changing:
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST_IN_ONE_BATCH))]
        try:
            answered = self._register_together(batch)
        except Exception as error:  # noqa: BLE001 - one may be at fault: each finds out by itself, and raises it
            log.warning("registration_batch_failed", error=type(error).__name__, size=len(batch))
        else:
            for one, answer in answered:
                one.answer.append(answer)
        finally:
            # Also when this thread is broken off: the others must not wait for it.
            self._hand_on()
            for one in batch:
                one.is_done = True
                one.turn.set()

    def _hand_on(self) -> None:
        """Let the oldest who waits work for all."""
        with self._changing:
            self._is_led = bool(self._waiting)
            if self._waiting:
                self._waiting[0].turn.set()

    def _leave(self, one: _Waiting[T]) -> None:
        """Forget one whose thread was broken off while it waited; if it was to work for all, another does."""
        with self._changing:
            is_waiting = one in self._waiting
            if is_waiting:
                self._waiting.remove(one)
        if is_waiting and one.turn.is_set():
            self._hand_on()

    def _register_together(self, batch: Sequence[_Waiting[T]]) -> list[tuple[_Waiting[T], T]]:
        now = self.clock()
        with self.engine.begin() as connection:
            found = register_many(connection, self.places, [one.prepared for one in batch], now=now)
            new = [(one, registered) for one, registered in zip(batch, found, strict=True) if registered is not None]
            answers = self._answers(connection, [one for _, one in new], now=now) if new else ()
            return [(one, answer) for (one, _), answer in zip(new, answers, strict=True)]

    def _register_alone(self, prepared: Prepared) -> T:
        """Register what collides or failed, in a transaction of its own, for which nobody else waits."""
        now = self.clock()
        with self.engine.begin() as connection:
            registered = register(connection, self.places, prepared, now=now)
            (answer,) = self._answers(connection, [registered], now=now)
        return answer
