"""Natural batching, faults and time-outs of the queue, with real threads and a real event loop."""

import asyncio
from collections.abc import Sequence
from threading import Event
from uuid import uuid4

import pytest

from compliance.call_facts import ProposedCall
from services.check_queue import ANSWER_WITHIN_SECONDS, CheckQueue, QueueUnavailableError, WaitingCheck
from services.tokens import Actor, Role

ACTOR = Actor(uuid4(), Role.DIALER, "dialer")


def ask(queue: CheckQueue, callee: str) -> "asyncio.Task[bytes]":
    return asyncio.create_task(queue.ask(ProposedCall(callee=callee), ACTOR, b""))


def echo(batch: Sequence[WaitingCheck]) -> list[bytes | Exception]:
    return [one.call.callee.encode() for one in batch]


def test_checks_that_arrive_while_one_is_in_flight_are_answered_together() -> None:
    started, go_on, sizes = Event(), Event(), []

    def decide(batch: Sequence[WaitingCheck]) -> list[bytes | Exception]:
        sizes.append(len(batch))
        started.set()
        go_on.wait(5)
        return echo(batch)

    async def scenario() -> list[bytes]:
        queue = CheckQueue(decide)
        queue.start()
        first = ask(queue, "0")
        await asyncio.to_thread(started.wait, 5)
        others = [ask(queue, str(place)) for place in range(1, 10)]
        await asyncio.sleep(0)
        go_on.set()
        answers = await asyncio.gather(first, *others)
        queue.stop()
        return answers

    answers = asyncio.run(scenario())

    assert answers == [str(place).encode() for place in range(10)]
    assert sizes == [1, 9]


def test_a_failing_batch_answers_everybody_with_the_error_and_the_next_one_works() -> None:
    faults = [OSError("disk"), None]

    def decide(batch: Sequence[WaitingCheck]) -> list[bytes | Exception]:
        fault = faults.pop(0)
        if fault is not None:
            raise fault
        return echo(batch)

    async def scenario() -> tuple[object, bytes]:
        queue = CheckQueue(decide)
        queue.start()
        failed = await asyncio.gather(ask(queue, "a"), return_exceptions=True)
        answered = await ask(queue, "b")
        queue.stop()
        return failed[0], answered

    failed, answered = asyncio.run(scenario())

    assert isinstance(failed, OSError)
    assert answered == b"b"


def test_an_error_of_one_check_leaves_the_others_of_its_batch_alone() -> None:
    def decide(batch: Sequence[WaitingCheck]) -> list[bytes | Exception]:
        return [ValueError("bad") if one.call.callee == "bad" else b"good" for one in batch]

    async def scenario() -> list[object]:
        queue = CheckQueue(decide)
        queue.start()
        found = await asyncio.gather(ask(queue, "bad"), ask(queue, "good"), return_exceptions=True)
        queue.stop()
        return list(found)

    bad, good = asyncio.run(scenario())

    assert isinstance(bad, ValueError)
    assert good == b"good"


def test_a_check_that_is_not_answered_in_time_is_unavailable_while_its_batch_still_hangs() -> None:
    hang = Event()

    def decide(batch: Sequence[WaitingCheck]) -> list[bytes | Exception]:
        hang.wait(10)
        return echo(batch)

    async def scenario() -> float:
        queue = CheckQueue(decide)
        queue.start()
        loop = asyncio.get_running_loop()
        began = loop.time()
        with pytest.raises(QueueUnavailableError):
            await ask(queue, "a")
        took = loop.time() - began
        hang.set()
        queue.stop()
        return took

    assert asyncio.run(scenario()) >= ANSWER_WITHIN_SECONDS


def test_stopping_refuses_what_still_waits() -> None:
    hang, started = Event(), Event()

    def decide(batch: Sequence[WaitingCheck]) -> list[bytes | Exception]:
        started.set()
        hang.wait(10)
        return echo(batch)

    async def scenario() -> list[object]:
        queue = CheckQueue(decide)
        queue.start()
        first = ask(queue, "a")
        await asyncio.to_thread(started.wait, 5)
        second = ask(queue, "b")
        await asyncio.sleep(0)
        stopping = asyncio.create_task(asyncio.to_thread(hang.set))
        await stopping
        queue.stop()
        return list(await asyncio.gather(first, second, return_exceptions=True))

    found = asyncio.run(scenario())

    assert all(isinstance(one, bytes | QueueUnavailableError) for one in found)
    assert len(found) == 2


def test_a_queue_starts_once_and_again_when_it_was_stopped() -> None:
    async def scenario() -> bytes:
        queue = CheckQueue(echo)
        queue.start()
        with pytest.raises(RuntimeError, match="runs already"):
            queue.start()
        queue.stop()
        queue.start()
        answer = await ask(queue, "1")
        queue.stop()
        return answer

    assert asyncio.run(scenario()) == b"1"
