"""The HTTP protocol of uvicorn with a bound on what a stranger can make it hold before a token is asked for."""

import json
from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LONGEST_HEAD_BYTES = 64 * 1024
"""Request line and headers together. httptools itself has no limit and keeps them all in memory."""


def _refusal(status: HTTPStatus, detail: str) -> bytes:
    """Return the whole answer to a request that never reaches the application; a dialer reads it as a denial."""
    problem = {"type": "about:blank", "title": status.phrase, "status": status, "detail": detail, "decision": "deny"}
    body = json.dumps(problem, separators=(",", ":")).encode()
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\n"
        f"content-type: application/problem+json\r\n"
        f"content-length: {len(body)}\r\n"
        f"connection: close\r\n\r\n"
    )
    return head.encode() + body


_TOO_LARGE = _refusal(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    "the request line and headers are longer than 64 KiB; send shorter ones",
)
_NO_REQUEST = _refusal(
    HTTPStatus.BAD_REQUEST,
    "what came is no HTTP/1.1 request: the method is none that HTTP knows, or the request line, a header or the length "
    "of the body breaks its rules; correct the client",
)


class BoundedHeadProtocol(HttpToolsProtocol):
    """Ends a connection whose request line and headers go on beyond LONGEST_HEAD_BYTES."""

    _head_bytes = 0
    _is_in_head = True

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._is_in_head:
            return
        self._head_bytes += len(data)
        if self._head_bytes > LONGEST_HEAD_BYTES and not self.transport.is_closing():
            self.transport.write(_TOO_LARGE)
            self.transport.close()

    def send_400_response(self, _msg: str) -> None:
        self.transport.write(_NO_REQUEST)
        self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_in_head, self._head_bytes = True, 0

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        super().on_headers_complete()
