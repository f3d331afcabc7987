"""The bound on request heads, on a real server and a real socket."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import httpx2
import pytest
import uvicorn
from fastapi import FastAPI, Request

from services.http_protocol import LONGEST_HEAD_BYTES, BoundedHeadProtocol


@contextmanager
def running(app: FastAPI) -> Iterator[str]:
    """Serve `app` on a free port; give its address."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        server = uvicorn.Server(uvicorn.Config(app, http=BoundedHeadProtocol, log_config=None, lifespan="off"))
        thread = Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    app = FastAPI()

    @app.post("/")
    async def measure(request: Request) -> int:
        return len(await request.body())

    with running(app) as found:
        yield found


def test_a_head_within_the_bound_and_a_long_body_pass(address: str) -> None:
    headers = {"X-Long": "x" * (LONGEST_HEAD_BYTES // 2)}

    with httpx2.Client() as client:
        answers = [client.post(address, headers=headers, content=b"y" * 1_000_000) for _ in range(3)]

    assert [(one.status_code, one.json()) for one in answers] == [(200, 1_000_000)] * 3


def test_a_head_beyond_the_bound_is_refused_while_it_still_comes_in(address: str) -> None:
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: test\r\nX-Long: " + b"x" * (LONGEST_HEAD_BYTES + 1))
        answer = connection.makefile("rb").read()

    assert answer.startswith(b"HTTP/1.1 431 ")
    assert b"application/problem+json" in answer
    assert b'"decision":"deny"' in answer


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(b"FOO / HTTP/1.1\r\nHost: test\r\n\r\n", id="unknown method"),
        pytest.param(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: -1\r\n\r\n", id="negative length"),
        pytest.param(b"GET /\xff HTTP/1.1\r\nHost: test\r\n\r\n", id="path beyond ASCII"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", id="TLS"),
    ],
)
def test_what_is_no_request_is_answered_as_a_problem_that_denies(address: str, request_bytes: bytes) -> None:
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(request_bytes)
        head, _, body = connection.makefile("rb").read().partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 400 Bad Request")
    assert b"application/problem+json" in head
    assert json.loads(body)["decision"] == "deny"


OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\nUpgrade: "
NEXT = b"POST / HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: 7\r\n\r\nseven.."


@pytest.mark.parametrize("offered", [b"h2c", b"websocket", b"TLS/1.0"])
@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"Content-Length: 5\r\n\r\nfive.", id="length"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n2\r\nfi\r\n3\r\nve.\r\n0\r\n\r\n", id="chunks"),
    ],
)
@pytest.mark.parametrize("piece", [1, 40, 10_000])
def test_a_request_that_offers_another_protocol_keeps_its_body_and_the_next_follows(
    address: str, offered: bytes, body: bytes, piece: int
) -> None:
    host, port = address.removeprefix("http://").split(":")
    sent = b"POST / HTTP/1.1\r\nHost: test\r\n" + OFFER + offered + b"\r\n" + body + NEXT
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(sent), piece):
            connection.sendall(sent[start : start + piece])
        answers = connection.makefile("rb").read()

    assert [head.split(b" ")[1] for head in answers.split(b"HTTP/1.1")[1:]] == [b"200", b"200"]
    assert [head.rpartition(b"\r\n")[2] for head in answers.split(b"HTTP/1.1")[1:]] == [b"5", b"7"]


def test_an_offer_and_a_broken_body_are_no_request(address: str) -> None:
    host, port = address.removeprefix("http://").split(":")
    head = b"POST / HTTP/1.1\r\nHost: test\r\n" + OFFER + b"h2c\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(head + b"zz\r\n")
        answer = connection.makefile("rb").read()

    assert answer.startswith(b"HTTP/1.1 400 Bad Request")


@pytest.mark.parametrize(
    ("target", "status"), [(b"test:443", b"400 Bad Request"), (b"/", b"405 Method Not Allowed")], ids=["host", "path"]
)
def test_a_tunnel_is_refused_and_what_was_meant_for_it_is_not_read(address: str, target: bytes, status: bytes) -> None:
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(b"CONNECT " + target + b" HTTP/1.1\r\nHost: test\r\n\r\n" + NEXT)
        answers = connection.makefile("rb").read()

    assert answers.startswith(b"HTTP/1.1 " + status)
    assert b"HTTP/1.1 200" not in answers
