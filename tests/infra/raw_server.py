"""A server of bytes for tests: it says what no honest server would, and hangs for as long as the test wants it to."""

import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread

Behaviour = Callable[[socket.socket, Event], None]
"""What is done with a connection; the event says that the test is over."""


@contextmanager
def raw_server(behaviour: Behaviour) -> Iterator[str]:
    """Serve connections one after another until the end of the block; give the URL."""
    ended = Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=_serve, args=(listener, behaviour, ended), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        ended.set()
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
    thread.join(timeout=10)
    assert not thread.is_alive()


def _serve(listener: socket.socket, behaviour: Behaviour, ended: Event) -> None:
    while not ended.is_set():
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection, suppress(OSError):  # whoever asked may have gone
            behaviour(connection, ended)


def read_request(connection: socket.socket) -> bytes:
    """Read a request to its end, so that closing the connection does not take back what was answered."""
    found = b""
    while not _is_whole(found):
        piece = connection.recv(65536)
        if not piece:
            break
        found += piece
    return found


def _is_whole(request: bytes) -> bool:
    head, gap, body = request.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: *(\d+)", head.lower())
    return bool(gap) and len(body) >= (int(length[1]) if length else 0)


def says(*pieces: bytes) -> Behaviour:
    """Read the request, send these pieces and close."""

    def behaviour(connection: socket.socket, _ended: Event) -> None:
        read_request(connection)
        for piece in pieces:
            connection.sendall(piece)

    return behaviour


def says_and_hangs(*pieces: bytes) -> Behaviour:
    """Read the request, send these pieces, and keep the connection open."""

    def behaviour(connection: socket.socket, ended: Event) -> None:
        read_request(connection)
        for piece in pieces:
            connection.sendall(piece)
        ended.wait()

    return behaviour


def drips(start: bytes, drop: bytes, *, every_s: float) -> Behaviour:
    """Send `start`, then `drop` again and again, slower than any pause between two bytes would be noticed."""

    def behaviour(connection: socket.socket, ended: Event) -> None:
        read_request(connection)
        connection.sendall(start)
        while not ended.wait(every_s):
            connection.sendall(drop)

    return behaviour
