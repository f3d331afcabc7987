"""The HTTP protocol of uvicorn, bounded in what a stranger can make it hold before a token is asked for.

It also reads requests that offer another protocol, as uvicorn does not: Java's client offers HTTP/2 with each one.
"""

import json
from http import HTTPStatus

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
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
    """Ends a connection whose request line and headers go on beyond LONGEST_HEAD_BYTES; declines to change protocol.

    Who offers another protocol (`Connection: Upgrade`) may be answered as if nothing had been offered (RFC 9110, 7.8).
    httptools ends its work there all the same and takes the body for the other protocol's, so that uvicorn gives the
    application a request without its body (https://github.com/Kludex/uvicorn/issues/2722; this can go when that is
    mended). Here the head is read again without the offer.
    """

    _head_bytes = 0
    _is_in_head = True
    _has_offer = False

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        self._feed(data)
        if not self._is_in_head:
            return
        self._head_bytes += len(data)
        if self._head_bytes > LONGEST_HEAD_BYTES and not self.transport.is_closing():
            self.transport.write(_TOO_LARGE)
            self.transport.close()

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except HttpParserError:
            self.send_400_response("")
        except HttpParserUpgrade as offer:
            if self._has_offer:
                self._read_without_offer(data[offer.args[0] :])
            else:  # CONNECT: the application refuses it, and what follows was meant for a tunnel
                self.cycle.keep_alive = False

    def _read_without_offer(self, rest: bytes) -> None:
        head = [self.parser.get_method(), b" ", self.url, b" HTTP/", self.parser.get_http_version().encode(), b"\r\n"]
        for name, value in self.headers:
            if name != b"upgrade":
                head += [name, b": ", value, b"\r\n"]
        head += [b"\r\n", rest]
        self.parser = HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
        self._feed(b"".join(head))

    def send_400_response(self, _msg: str) -> None:
        if not self.transport.is_closing():
            self.transport.write(_NO_REQUEST)
            self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_in_head, self._head_bytes, self._has_offer = True, 0, False

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        self._has_offer = self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"
        if not self._has_offer:
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        if not self._has_offer:
            super().on_message_complete()
