"""One request to a server that does what it likes: there is a short answer in time, or an error."""

import socket
from io import StringIO
from itertools import repeat
from threading import Event

import pytest

from infra.clock import seconds_running
from infra.logs import configure_logs
from infra.web_request import WebAnswer, WebRequestError, post
from tests.infra.raw_server import Behaviour, drips, raw_server, read_request, says, says_and_hangs

WITHIN_S = 0.5
OK = b"HTTP/1.1 200 OK\r\n"


def ask(url: str, *, within_s: float = WITHIN_S, most_bytes: int = 100) -> WebAnswer:
    return post(url, b"question", content_type="text/plain", within_s=within_s, most_bytes=most_bytes)


def test_the_request_is_sent_whole_and_its_answer_returned() -> None:
    heard: list[bytes] = []

    def behaviour(connection: socket.socket, _ended: Event) -> None:
        heard.append(read_request(connection))
        connection.sendall(OK + b"Content-Length: 6\r\n\r\nanswer")

    with raw_server(behaviour) as url:
        found = ask(f"{url}/add-checkpoint?x=1")

    head, _, body = b"".join(heard).partition(b"\r\n\r\n")
    assert found == WebAnswer(200, b"answer")
    assert head.startswith(b"POST /add-checkpoint?x=1 HTTP/1.1\r\n")
    assert b"content-type: text/plain" in head.lower()
    assert body == b"question"


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        pytest.param(b"HTTP/1.1 409 Conflict\r\nContent-Length: 3\r\n\r\n17\n", WebAnswer(409, b"17\n"), id="refusal"),
        pytest.param(b"HTTP/1.1 503 Away\r\nContent-Length: 0\r\n\r\n", WebAnswer(503, b""), id="no body"),
        pytest.param(OK + b"\r\nto the end", WebAnswer(200, b"to the end"), id="until the connection ends"),
        pytest.param(
            OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", WebAnswer(200, b"hi"), id="in chunks"
        ),
        pytest.param(
            b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
            WebAnswer(302, b""),
            id="a redirect is not followed",
        ),
        pytest.param(
            OK + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x8b",
            WebAnswer(200, b"\x1f\x8b"),
            id="packed",
        ),
    ],
)
def test_any_status_is_an_answer(said: bytes, answer: WebAnswer) -> None:
    with raw_server(says(said)) as url:
        assert ask(url) == answer


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(says_and_hangs(), id="nothing"),
        pytest.param(says_and_hangs(b"HTTP/1.1 200"), id="half a line"),
        pytest.param(says_and_hangs(OK, b"A: b\r\n"), id="no end of the headers"),
        pytest.param(says_and_hangs(OK, b"Content-Length: 50\r\n\r\n", b"half"), id="no end of the body"),
        pytest.param(says_and_hangs(b"HTTP/1.1 100 Continue\r\n\r\n"), id="to be continued"),
        pytest.param(drips(b"", b"H", every_s=0.02), id="drips no HTTP"),
        pytest.param(drips(OK, b"a: b\r\n", every_s=0.02), id="drips headers"),
        pytest.param(drips(OK + b"Content-Length: 90\r\n\r\n", b"a", every_s=0.05), id="drips the body"),
    ],
)
def test_whoever_takes_too_long_is_left(behaviour: Behaviour) -> None:
    with raw_server(behaviour) as url:
        began = seconds_running()
        with pytest.raises(WebRequestError):
            ask(url)

        assert seconds_running() - began < WITHIN_S + 1


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(says(OK, b"Content-Length: 10000000000\r\n\r\n", *repeat(b"a" * 65536, 2000)), id="ten gigabytes"),
        pytest.param(says(OK, b"\r\n", *repeat(b"a" * 65536, 2000)), id="of no length"),
        pytest.param(says(OK + b"Content-Length: 101\r\n\r\n" + b"a" * 101), id="a byte too much"),
    ],
)
def test_an_answer_that_is_too_long_is_not_read(behaviour: Behaviour) -> None:
    with raw_server(behaviour) as url, pytest.raises(WebRequestError, match="longer than 100 bytes"):
        ask(url, within_s=20)


def test_an_answer_as_long_as_allowed_is_read() -> None:
    with raw_server(says(OK + b"Content-Length: 100\r\n\r\n" + b"a" * 100)) as url:
        assert len(ask(url).content) == 100


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(says(), id="closes at once"),
        pytest.param(says(OK + b"Content-Length: 9\r\n\r\nhalf"), id="closes in the body"),
        pytest.param(says(b"\x00\xff" * 50 + b"\r\n\r\n"), id="no HTTP"),
        pytest.param(says(OK + b"Content-Length: many\r\n\r\n"), id="a length that is none"),
        pytest.param(says(OK, *repeat(b"a: " + b"b" * 1000 + b"\r\n", 2000)), id="headers without end"),
    ],
)
def test_whoever_breaks_off_or_speaks_no_http_is_an_error(behaviour: Behaviour) -> None:
    with raw_server(behaviour) as url, pytest.raises(WebRequestError, match="request failed"):
        ask(url, within_s=20)


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("http://127.0.0.1:1/", id="nobody listens"),
        pytest.param("http://nobody.invalid/", id="no such name"),
        pytest.param("http://user:secret@127.0.0.1:1/", id="with a password"),
        pytest.param("ftp://127.0.0.1/", id="another protocol"),
        pytest.param("http://[::1/", id="no URL"),
        pytest.param("", id="nothing"),
    ],
)
def test_whoever_is_not_there_is_an_error_that_tells_no_address(url: str) -> None:
    with pytest.raises(WebRequestError) as raised:
        ask(url, within_s=20)

    assert "secret" not in str(raised.value)


def test_no_log_tells_the_address() -> None:
    logged = StringIO()
    configure_logs("DEBUG", stream=logged)

    with raw_server(says(OK + b"Content-Length: 2\r\n\r\nhi")) as url:
        ask(url.replace("//", "//user:secret@"))
    configure_logs("INFO")

    assert "secret" not in logged.getvalue()


def test_tls_with_someone_who_does_not_answer_ends_in_time() -> None:
    with raw_server(says_and_hangs()) as url:
        began = seconds_running()
        with pytest.raises(WebRequestError):
            ask(url.replace("http:", "https:"))

        assert seconds_running() - began < WITHIN_S + 1


def test_a_name_server_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    over = Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_asked, **_more: over.wait(20))

    began = seconds_running()
    with pytest.raises(WebRequestError):
        ask("http://witness.example/")
    taken = seconds_running() - began
    over.set()

    assert taken < WITHIN_S + 1


def test_a_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")

    with raw_server(says(OK + b"Content-Length: 2\r\n\r\nhi")) as url:
        assert ask(url).content == b"hi"
