"""A load generator: keep-alive connections that each send the next request when the answer is there.

Run as a program of its own, so that the server's process is alone on its core:
`python -m tests.benchmarks.load URL REQUESTS CONNECTIONS SECONDS`, REQUESTS being a JSON file with
`{"headers": {...}, "bodies": [...]}`. Prints `{"requests", "seconds", "p50_ms", "p99_ms", "statuses"}`.
"""

import asyncio
import itertools
import json
import sys
from collections import Counter
from pathlib import Path
from time import perf_counter
from typing import cast
from urllib.parse import urlsplit

import uvloop

from tests.benchmarks.figures import percentile


class Connection(asyncio.Protocol):
    """One keep-alive connection."""

    def __init__(self, requests: "itertools.cycle[bytes]", seen: "Seen") -> None:
        self._requests = requests
        self._seen = seen
        self._buffer = b""
        self._sent_at = 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._send()

    def _send(self) -> None:
        assert self._transport is not None
        self._sent_at = perf_counter()
        self._transport.write(next(self._requests))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._buffer[:end].lower()
        start = head.index(b"content-length:") + 15
        length = int(head[start : (head.find(b"\r\n", start) + 1 or len(head) + 1) - 1])
        if len(self._buffer) < end + 4 + length:
            return
        self._buffer = b""
        self._seen.note(head[9:12], perf_counter() - self._sent_at)
        if self._seen.is_open:
            self._send()


class Seen:
    """What came back while the measurement was on."""

    def __init__(self) -> None:
        self.is_open = True
        self.is_measuring = False
        self.seconds: list[float] = []
        self.statuses: Counter[str] = Counter()

    def note(self, status: bytes, seconds: float) -> None:
        if self.is_measuring:
            self.seconds.append(seconds)
            self.statuses[status.decode()] += 1


async def measure(url: str, requests: list[bytes], connections: int, seconds: float) -> dict[str, object]:
    """Load `url` for `seconds` after a warm-up of a fifth of that."""
    parts = urlsplit(url)
    loop = asyncio.get_running_loop()
    seen = Seen()
    turn = itertools.cycle(requests)
    opened = [
        await loop.create_connection(lambda: Connection(turn, seen), parts.hostname, parts.port)
        for _ in range(connections)
    ]
    await asyncio.sleep(seconds / 5)
    seen.is_measuring, started = True, perf_counter()
    await asyncio.sleep(seconds)
    seen.is_measuring, took = False, perf_counter() - started
    seen.is_open = False
    for transport, _ in opened:
        transport.close()
    return {
        "requests": len(seen.seconds),
        "seconds": round(took, 3),
        "per_second": round(len(seen.seconds) / took),
        "p50_ms": round(percentile(seen.seconds, 50) * 1000, 2),
        "p99_ms": round(percentile(seen.seconds, 99) * 1000, 2),
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
    wanted = json.loads(Path(source).read_text())
    requests = as_requests(url, wanted["headers"], wanted["bodies"])
    found = uvloop.run(measure(url, requests, int(connections), float(seconds)))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
