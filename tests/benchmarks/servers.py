"""The servers that are compared, each a process: `python -m tests.benchmarks.servers KIND PORT DATABASE_URL DATA_DIR`.

- `ours`: the product's application.
- `bare`: an endpoint with the same request and response models that asks nobody and does nothing.
- `plain`: the same rules, written as one would at first: one synchronous route, one transaction per request.

All are run by uvicorn with the options of `telesales serve`. The rivals check no token, count nothing and log
nothing: what they leave out makes them faster, never slower.
"""

import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from compliance.call_checks import Gate, check_calls
from compliance.check_rows import JudgedCall
from compliance.decision import RULES_CHECKED
from compliance.phone_numbers import normalise
from compliance.register_book import Shelf
from compliance.working_days import package_calendar
from infra.clock import Clock, clock_with_offset
from infra.database import make_engine
from infra.ids import new_id_text
from infra.logs import configure_logs
from infra.settings import Settings
from services.api.call_checks import CallCheckAnswer, CallCheckBody, ReasonAnswer
from services.app import create_app
from services.http_protocol import BoundedHeadProtocol
from tests.benchmarks.ground import clock_offset_ms

PATH = "/v1/call-checks"
_THREADS = 40
"""How many threads Starlette gives to synchronous routes; each may hold a connection."""


def ours(url: str, data_dir: Path) -> FastAPI:
    configure_logs("INFO")
    return create_app(Settings(data_dir=data_dir, clock_offset_ms=clock_offset_ms()), database_url=url)


def bare(_url: str, _data_dir: Path) -> FastAPI:
    app = FastAPI()
    clock, check_id, digest = _clock(), new_id_text(), "sha256:" + "0" * 64

    @app.post(PATH)
    async def check(body: CallCheckBody) -> CallCheckAnswer:
        now = clock()
        return CallCheckAnswer(
            check_id=check_id,
            decision="allow",
            callee=body.callee,
            region="110000",
            checked_at=now,
            valid_until=now,
            next_callable_at=None,
            reasons=[],
            rules_checked=list(RULES_CHECKED),
            policy_digest=digest,
        )

    return app


def plain(url: str, _data_dir: Path) -> FastAPI:
    app = FastAPI()
    clock = _clock()
    engine = make_engine(url, application_name="plain", pool_size=_THREADS, max_overflow=0, pre_ping=False)
    gate = Gate(shelf=Shelf(), calendar=package_calendar())

    @app.post(PATH)
    def check(body: CallCheckBody) -> CallCheckAnswer:
        with engine.begin() as connection:
            [judged] = check_calls(connection, [body.call()], gate=gate, actors=["dialer"], now=clock())
        gate.shelf.stored_sides.add(judged.side.digest)
        return _answer(judged)

    return app


def _clock() -> Clock:
    return clock_with_offset(timedelta(milliseconds=clock_offset_ms()))


def _answer(judged: JudgedCall) -> CallCheckAnswer:
    decision = judged.decision
    return CallCheckAnswer(
        check_id=judged.check_id,
        decision=decision.verdict.value,
        callee=judged.callee.phone_e164,
        region=judged.callee.region,
        checked_at=judged.at,
        valid_until=decision.valid_until,
        next_callable_at=decision.next_callable_at,
        reasons=[
            ReasonAnswer(
                code=one.code,
                article=one.article,
                message=one.message,
                message_zh=one.message_zh,
                until=one.until,
                facts=list(one.facts),
            )
            for one in decision.reasons
        ],
        rules_checked=list(RULES_CHECKED),
        policy_digest=judged.policy.digest,
    )


KINDS: dict[str, Callable[[str, Path], FastAPI]] = {"ours": ours, "bare": bare, "plain": plain}


def main() -> None:
    kind, port, url, data_dir = sys.argv[1:5]
    normalise("13800138000")  # reads the number ranges now, not in the first request
    uvicorn.run(
        KINDS[kind](url, Path(data_dir)),
        host="127.0.0.1",
        port=int(port),
        loop="uvloop",
        http=BoundedHeadProtocol,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        log_config=None,
        timeout_graceful_shutdown=5,
    )


if __name__ == "__main__":
    main()
