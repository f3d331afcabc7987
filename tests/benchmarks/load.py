"""A load generator: keep-alive connections that each send the next request when the answer is there.

Run as a program of its own, so that neither the server nor the benchmark waits for it:
`python -m tests.benchmarks.load URL REQUESTS CONNECTIONS SECONDS [PER_SECOND]`, REQUESTS being a JSON file with
`{"headers": {...}, "bodies": [...]}`. Prints one line of JSON, see `measure`.

With PER_SECOND the load is steady: each connection has its times to send. A request is then timed from when it
was due, not from when it was sent, so that a server that stalls is not spared the requests that waited behind.
"""

import asyncio
import itertools
import json
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from time import perf_counter
from typing import cast
from urllib.parse import urlsplit

import uvloop

from tests.benchmarks.figures import percentile

WARM_UP_S = 2.0
_ALLOW = b'"decision":"allow"'


class Seen:
    """What came back while the measurement was on."""

    def __init__(self) -> None:
        self.is_open = True
        self.is_measuring = False
        self.seconds: list[float] = []
        self.allowed = 0
        self.statuses: Counter[str] = Counter()

    def note(self, answer: bytes, seconds: float) -> None:
        if self.is_measuring:
            self.seconds.append(seconds)
            self.statuses[answer[9:12].decode()] += 1
            self.allowed += _ALLOW in answer


class Connection(asyncio.Protocol):
    """One keep-alive connection. `every_s` 0: it sends as soon as it has its answer."""

    def __init__(self, requests: Iterator[bytes], seen: Seen, *, first_at: float, every_s: float) -> None:
        self._requests = requests
        self._seen = seen
        self._due_at = first_at
        self._every_s = every_s
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._send_next()

    def _send_next(self) -> None:
        if not self._seen.is_open:
            return
        if not self._every_s:
            self._due_at = perf_counter()
            self._send()
            return
        wait = self._due_at - perf_counter()
        asyncio.get_running_loop().call_later(max(0.0, wait), self._send)

    def _send(self) -> None:
        assert self._transport is not None
        if not self._transport.is_closing():
            self._transport.write(next(self._requests))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0 or len(self._buffer) < end + 4 + _content_length(self._buffer[:end].lower()):
            return
        answer, self._buffer = self._buffer, b""
        self._seen.note(answer, perf_counter() - self._due_at)
        self._due_at += self._every_s
        self._send_next()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        if self._seen.is_open:
            self._seen.statuses["connection lost"] += 1


def _content_length(head: bytes) -> int:
    start = head.index(b"content-length:") + 15
    end = head.find(b"\r\n", start)
    return int(head[start:] if end < 0 else head[start:end])


async def measure(
    url: str, requests: list[bytes], *, connections: int, seconds: float, per_second: float
) -> dict[str, object]:
    """Load `url` for `seconds` after a warm-up of a fifth of that, at most 2 s, or until SIGTERM.

    `per_second` 0: as fast as answers come.
    """
    parts = urlsplit(url)
    loop = asyncio.get_running_loop()
    seen = Seen()
    # Each measurement begins elsewhere: beginning always with the same would ask for what is in the cache already.
    start = Random().randrange(len(requests))
    turn = itertools.cycle(requests[start:] + requests[:start])
    every_s = connections / per_second if per_second else 0.0
    begun = perf_counter()
    opened = [
        await loop.create_connection(
            lambda place=place: Connection(  # type: ignore[misc]  # mypy cannot infer a lambda with a default
                turn, seen, first_at=begun + place * every_s / connections, every_s=every_s
            ),
            parts.hostname or "",
            parts.port or 80,
        )
        for place in range(connections)
    ]
    enough = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, enough.set)
    await asyncio.sleep(min(seconds / 5, WARM_UP_S))
    seen.is_measuring, started = True, perf_counter()
    with suppress(TimeoutError):
        await asyncio.wait_for(enough.wait(), seconds)
    seen.is_measuring, took = False, perf_counter() - started
    seen.is_open = False
    for transport, _ in opened:
        transport.close()
    return {
        "requests": len(seen.seconds),
        "allowed": seen.allowed,
        "per_second": len(seen.seconds) / took,
        "p50_ms": percentile(seen.seconds, 50) * 1000,
        "p99_ms": percentile(seen.seconds, 99) * 1000,
        "most_ms": max(seen.seconds, default=0.0) * 1000,
        "statuses": dict(seen.statuses),
    }


def as_requests(url: str, headers: dict[str, str], bodies: list[object]) -> list[bytes]:
    """Return the bytes of one POST per body."""
    parts = urlsplit(url)
    named = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    found = []
    for body in bodies:
        content = json.dumps(body).encode()
        head = f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n{named}Content-Length: {len(content)}\r\n\r\n"
        found.append(head.encode() + content)
    return found


def main() -> None:
    url, source, connections, seconds = sys.argv[1:5]
    per_second = float(sys.argv[5]) if len(sys.argv) > 5 else 0.0
    wanted = json.loads(Path(source).read_text(encoding="utf-8"))
    requests = as_requests(url, wanted["headers"], wanted["bodies"])
    found = uvloop.run(
        measure(url, requests, connections=int(connections), seconds=float(seconds), per_second=per_second)
    )
    print(json.dumps(found))


if __name__ == "__main__":
    main()
