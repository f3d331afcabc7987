"""Asking the outside checkpoints without waiting long: they may be on a network, and readiness and sealing ask often.

A socket's time-outs do not bound an answer: names are resolved without any, each address has its own, and each byte
of a slow body begins a new one. A file on a network may hang for ever. So each question has a thread of its own, which
is left behind when it takes too long. After a failure nobody asks for some times as long as it took; until then the
failure stands. One that came at once so costs nothing, and a store that hangs a small part of everybody's time.
"""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from threading import Lock, Thread
from typing import Final, TypeVar

from compliance.checkpoint_stores import CheckpointStore, OutsideStoreError
from infra.clock import seconds_running

T = TypeVar("T")

_READ: Final = "read"
_WRITTEN: Final = "written"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for the store to be read and to be written; how many times as long as a failure took to rest."""

    reading_s: float = 4.0
    writing_s: float = 8.0
    rests: float = 5.0


@dataclass(frozen=True, slots=True)
class _Failure:
    message: str
    rests_until: float


class BoundedStore:
    """A store that answers or fails in time, one question at a time; safe to share between threads."""

    def __init__(
        self,
        store: CheckpointStore,
        *,
        patience: Patience = Patience(),
        running: Callable[[], float] = seconds_running,
    ) -> None:
        self._store = store
        self._patience = patience
        self._running = running
        self._busy = Lock()
        self._failures: dict[str, _Failure] = {}
        self._last_note: str | None = None

    def newest(self) -> str | None:
        found = self._ask(_READ, self._store.newest, within_s=self._patience.reading_s)
        self._last_note = found
        return found

    def of_day(self, day: date) -> str | None:
        return self._ask(_READ, partial(self._store.of_day, day), within_s=self._patience.reading_s)

    def put(self, note: str, *, sealed_at: datetime) -> None:
        self._ask(_WRITTEN, partial(self._store.put, note, sealed_at=sealed_at), within_s=self._patience.writing_s)
        self._last_note = note

    def put_keys(self, text: str) -> None:
        self._ask(_WRITTEN, partial(self._store.put_keys, text), within_s=self._patience.writing_s)

    def _ask(self, done: str, question: Callable[[], T], *, within_s: float) -> T:
        began, failure = self._running(), self._failures.get(done)
        if failure is not None and began < failure.rests_until:
            raise OutsideStoreError(failure.message, last_note=self._last_note)
        try:
            answer = self._answer(question, within_s=within_s)
        except TimeoutError:
            slow = (
                f"the outside checkpoints cannot be {done}: no answer within {within_s:g} s;"
                " see that what CHECKPOINTS_URL names runs and is reached"
            )
            raise self._noted(done, slow, began) from None
        except OutsideStoreError as error:
            raise self._noted(done, str(error), began) from error
        self._failures.pop(done, None)
        return answer

    def _noted(self, done: str, message: str, began: float) -> OutsideStoreError:
        ended = self._running()
        self._failures[done] = _Failure(message, rests_until=ended + self._patience.rests * (ended - began))
        return OutsideStoreError(message, last_note=self._last_note)

    def _answer(self, question: Callable[[], T], *, within_s: float) -> T:
        """Return the answer of the store.

        Raises:
            TimeoutError: it takes longer, or the question before is not answered yet.
        """
        end = self._running() + within_s
        if not self._busy.acquire(timeout=within_s):
            raise TimeoutError
        answer: Future[T] = Future()
        # No executor: the interpreter waits for those of an executor at its end.
        Thread(target=self._settle, args=(answer, question), name="outside-store", daemon=True).start()
        return answer.result(timeout=max(end - self._running(), 0))

    def _settle(self, answer: Future[T], question: Callable[[], T]) -> None:
        try:
            found = question()
        except BaseException as error:  # noqa: BLE001 - whoever asked gets it
            answer.set_exception(error)
        else:
            answer.set_result(found)
        finally:
            self._busy.release()
