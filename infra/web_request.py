"""One request to somebody else's server, which may do anything: the answer is short, and there in time, or an error.

The deadline holds for everything together: the name, the connection, every byte. Redirects are not followed, nothing is
unpacked, and no proxy or certificate named in the environment is used.
"""

import asyncio
from dataclasses import dataclass

import httpx2


class WebRequestError(RuntimeError):
    """There is no answer; the message says why, without the address, which may hold a password."""


@dataclass(frozen=True, slots=True)
class WebAnswer:
    """Whatever was answered, with any status."""

    status: int
    content: bytes


def post(url: str, body: bytes, *, content_type: str, within_s: float, most_bytes: int) -> WebAnswer:
    """Send `body` and return the answer; not to be called where an event loop runs.

    Raises:
        WebRequestError: it did not come whole within `within_s` seconds, or is longer than `most_bytes`.
    """
    # Not asyncio.run: at its end it waits for the thread that looks up a name, which no time-out ends.
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(_post(url, body, content_type, within_s, most_bytes))
    except TimeoutError as error:
        raise WebRequestError(f"there was no whole answer within {within_s:g} s") from error
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
        raise WebRequestError(f"the request failed ({type(error).__name__})") from error
    finally:
        # Connections are closed in the loop's next turn, not at once.
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


async def _post(url: str, body: bytes, content_type: str, within_s: float, most_bytes: int) -> WebAnswer:
    headers = {"Content-Type": content_type, "Accept-Encoding": "identity"}
    # The client's own time-outs count anew with every byte. But TLS that is broken off from outside leaves its
    # connection open (httpcore closes it on errors alone), so connecting and TLS have half of the time each.
    timeout = httpx2.Timeout(None, connect=within_s / 2)
    async with (
        asyncio.timeout(within_s),
        httpx2.AsyncClient(timeout=timeout, follow_redirects=False, trust_env=False) as client,
        client.stream("POST", url, content=body, headers=headers) as response,
    ):
        content = bytearray()
        async for chunk in response.aiter_raw():
            content += chunk
            if len(content) > most_bytes:
                raise WebRequestError(f"the answer is longer than {most_bytes} bytes")
        return WebAnswer(response.status_code, bytes(content))
