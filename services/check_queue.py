"""Natural batching: checks that arrive while one transaction is in flight are answered together by the next.

The cost of a durable commit is shared, and nothing waits on a timer: an idle queue answers a lone check at
once. The queue answers only after the commit. Whatever goes wrong, the answer is a fault (503), never an
allow without its row.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread

from compliance.call_facts import ProposedCall
from infra.clock import seconds_running
from infra.logs import logger
from services.tokens import Actor

MOST_IN_ONE_BATCH = 256
MOST_WAITING = 4096
ANSWER_WITHIN_SECONDS = 2.0
_LOOK_FOR_LATE_EVERY_SECONDS = 0.1

log = logger(__name__)


class QueueUnavailableError(RuntimeError):
    """The check was not answered in time: the database is away or slow, or too many checks wait."""


class RevokedTokenError(PermissionError):
    """The token was revoked after the request came in."""


@dataclass(slots=True)
class WaitingCheck:
    call: ProposedCall
    actor: Actor
    token_hash: bytes
    answer: "asyncio.Future[bytes]"
    late_at: float


Decide = Callable[[Sequence[WaitingCheck]], Sequence[bytes | Exception]]
"""Answers a batch after its commit: per check the JSON, or the error that befell only that one."""


class CheckQueue:
    """Feeds one worker thread from one event loop."""

    def __init__(self, decide: Decide) -> None:
        self._decide = decide
        self._waiting: SimpleQueue[WaitingCheck | None] = SimpleQueue()
        self._unanswered: dict[int, WaitingCheck] = {}
        """Only the event loop's thread touches this."""
        self._thread: Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watch: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to answer; called on the event loop.

        Raises:
            RuntimeError: it runs already.
        """
        if self._thread is not None:
            msg = "the queue runs already; a second thread would decide checks out of order"
            raise RuntimeError(msg)
        self._loop = asyncio.get_running_loop()
        self._thread = Thread(target=self._work, name="check-queue", daemon=True)
        self._thread.start()
        self._watch = asyncio.create_task(self._give_up_on_late())

    def stop(self) -> None:
        """Answer what is in flight and end; checks still waiting are refused as unavailable."""
        self._waiting.put(None)
        if self._watch is not None:
            self._watch.cancel()
        if self._thread is not None:
            self._thread.join(timeout=ANSWER_WITHIN_SECONDS)
        for one in self._unanswered.values():
            _fail(one)
        self._thread = None

    async def ask(self, call: ProposedCall, actor: Actor, token_hash: bytes) -> bytes:
        """Return the answer to one check as JSON, after its row is durable.

        Raises:
            QueueUnavailableError: it could not be decided in time.
            RevokedTokenError: the token is no longer live.
        """
        if len(self._unanswered) >= MOST_WAITING or self._loop is None:
            msg = "too many checks are waiting"
            raise QueueUnavailableError(msg)
        late_at = seconds_running() + ANSWER_WITHIN_SECONDS
        one = WaitingCheck(call, actor, token_hash, self._loop.create_future(), late_at)
        self._unanswered[id(one)] = one
        self._waiting.put(one)
        try:
            return await one.answer
        finally:
            del self._unanswered[id(one)]

    def _work(self) -> None:
        while (first := self._waiting.get()) is not None:
            batch = [first, *self._arrived_meanwhile()]
            self._deliver(batch, self._decided(batch))

    def _arrived_meanwhile(self) -> Iterator[WaitingCheck]:
        for _ in range(MOST_IN_ONE_BATCH - 1):
            try:
                one = self._waiting.get_nowait()
            except Empty:
                return
            if one is None:
                self._waiting.put(None)
                return
            yield one

    def _decided(self, batch: Sequence[WaitingCheck]) -> Sequence[bytes | Exception]:
        now = seconds_running()
        if all(one.late_at < now for one in batch):
            return [QueueUnavailableError("the check waited too long") for _ in batch]
        try:
            return self._decide(batch)
        except Exception as error:  # noqa: BLE001 - whatever it is, every asker gets an answer and the thread lives on
            log.warning("check_batch_failed", error=type(error).__name__, size=len(batch))
            return [error for _ in batch]

    def _deliver(self, batch: Sequence[WaitingCheck], results: Sequence[bytes | Exception]) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(_set_results, batch, results)

    async def _give_up_on_late(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_FOR_LATE_EVERY_SECONDS)
            now = seconds_running()
            for one in self._unanswered.values():
                if one.late_at < now:
                    _fail(one)


def _set_results(batch: Sequence[WaitingCheck], results: Sequence[bytes | Exception]) -> None:
    for one, result in zip(batch, results, strict=True):
        if one.answer.done():
            continue
        if isinstance(result, Exception):
            one.answer.set_exception(result)
        else:
            one.answer.set_result(result)


def _fail(one: WaitingCheck) -> None:
    if not one.answer.done():
        one.answer.set_exception(QueueUnavailableError("the check was not answered in time"))
