"""Listeners that ask for audio and never take a piece of it, beside a request that wants something else."""

from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import Any

import anyio
from fastapi import FastAPI

SCOPE: dict[str, Any] = {
    "type": "http",
    "method": "GET",
    "raw_path": b"",
    "client": ("192.0.2.1", 1),
    "server": ("testserver", 80),
    "scheme": "http",
    "http_version": "1.1",
    "root_path": "",
    "asgi": {"version": "3.0", "spec_version": "2.3"},
}


@dataclass(slots=True)
class Ended:
    """The receiving side of a request whose body is empty and whose sender stays."""

    is_told: bool = False

    async def receive(self) -> MutableMapping[str, Any]:
        if self.is_told:
            await anyio.sleep_forever()
        self.is_told = True
        return {"type": "http.request", "body": b"", "more_body": False}


@dataclass(slots=True)
class Stalled:
    """A listener that takes no piece once one comes."""

    begun: anyio.Event = field(default_factory=anyio.Event)

    async def send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.body":
            self.begun.set()
            await anyio.sleep_forever()


@dataclass(slots=True)
class Answered:
    status: int = 0

    async def send(self, message: MutableMapping[str, Any]) -> None:
        self.status = message.get("status", self.status)


async def status_beside_stalled(app: FastAPI, token: str, audio_path: str, *, listeners: int) -> tuple[int, int]:
    """Return how many connections to the database are in use while all have stalled, and the other request's status."""
    scope = {**SCOPE, "headers": [(b"authorization", f"Bearer {token}".encode())]}
    listening = {**scope, "path": audio_path, "query_string": b"purpose=claim"}
    stalled, answered = [Stalled() for _ in range(listeners)], Answered()
    async with anyio.create_task_group() as group:
        for one in stalled:
            group.start_soon(app, dict(listening), Ended().receive, one.send)
        for one in stalled:
            await one.begun.wait()
        in_use = app.state.telesales.engine.pool.checkedout()
        await app({**scope, "path": "/v1/recordings", "query_string": b""}, Ended().receive, answered.send)
        group.cancel_scope.cancel()
    return in_use, answered.status
