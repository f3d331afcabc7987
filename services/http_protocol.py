"""The HTTP protocol of uvicorn with a bound on what a stranger can make it hold before a token is asked for."""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LONGEST_HEAD_BYTES = 64 * 1024
"""Request line and headers together. httptools itself has no limit and keeps them all in memory."""

_TOO_LARGE = b"""\
HTTP/1.1 431 Request Header Fields Too Large\r
content-type: application/problem+json\r
content-length: %d\r
connection: close\r
\r
%b"""
_PROBLEM = (
    b'{"type":"about:blank","title":"Request Header Fields Too Large","status":431,'
    b'"detail":"the request line and headers are longer than 64 KiB; send shorter ones","decision":"deny"}'
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
            self.transport.write(_TOO_LARGE % (len(_PROBLEM), _PROBLEM))
            self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_in_head, self._head_bytes = True, 0

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        super().on_headers_complete()
