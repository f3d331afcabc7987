"""Evidence of every kind, written over HTTP by the role that the product works as, and sealed."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import Connection, Engine, make_url, text

from compliance.checkpoint_stores import CheckpointDirectory
from compliance.ledger_bundle import write_bundle
from compliance.ledger_keys import read_public_keys
from compliance.ledger_live import verify_live
from compliance.ledger_runs import Ledger, SealRun, seal_waiting
from compliance.ledger_verifier import Problem, Report, verify_bundle
from infra.application_role import application_url
from infra.database import make_engine
from infra.embedded_postgres import EmbeddedPostgres
from infra.ids import new_id
from infra.settings import Settings
from services.app import create_app
from services.tokens import Role, create_token, revoke_token
from tests.conftest import NOON, SettableClock
from tests.gate_facts import CALL, write_registers
from tests.services.shared_app import fresh_database

CUSTOMERS = 90
CHECKS_BEFORE, CHECKS_AFTER = 40, 30
REFUSALS = 25
EVIDENCE = {"document": "letter-1"}

Found = tuple[int | None, str | None, str | None, str]


@dataclass(frozen=True, slots=True)
class Firm:
    """A database with everything that the product works on. `owner` is past every guard, `ledger` works as the role."""

    owner: Engine
    ledger: Ledger
    clock: SettableClock
    app: FastAPI
    running: TestClient
    clients: dict[tuple[str, str], TestClient] = field(default_factory=dict)

    def client(self, role: str, person: str | None = None) -> TestClient:
        """Return a client with a token of `person`, None: one named like the role."""
        known = self.clients.get((role, person or role))
        if known is not None:
            return known
        with self.ledger.engine.begin() as connection:
            token = create_token(connection, token_id=new_id(), role=Role(role), owner=person or role, now=self.clock())
        made = TestClient(self.app, raise_server_exceptions=False)
        made.portal = self.running.portal
        made.headers["Authorization"] = f"Bearer {token}"
        self.clients[role, person or role] = made
        return made

    def seal(self) -> SealRun:
        return seal_waiting(self.ledger)

    def keys(self) -> list[dict[str, str | None]]:
        return [key.as_json() for key in read_public_keys(self.ledger.data_dir)]

    def verified(self, outside: list[str] | None = None) -> Report:
        with self.snapshot() as connection:
            return self.verified_in(connection, outside)

    def verified_in(self, connection: Connection, outside: list[str] | None = None) -> Report:
        return verify_live(connection, keys=self.keys(), outside=outside or [])

    def bundled_in(self, connection: Connection, path: Path) -> Report:
        """Verify the bundle of the whole ledger, written to `path`."""
        write_bundle(connection, path, begin=0, end=None, keys=self.keys(), now=self.clock())
        return verify_bundle(path)

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """Give the owner's transaction that sees one state of the database; it is rolled back."""
        with self.owner.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
            yield connection
            connection.rollback()

    def edit(self, *statements: str) -> None:
        """Do what only the owner of the database can, past every trigger."""
        with self.owner.begin() as connection:
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            for statement in statements:
                connection.execute(text(statement))


def told(report: Report) -> list[Found]:
    """Return what a report names, without its words."""
    return [_told(one) for one in report.problems]


def _told(one: Problem) -> Found:
    return one.entry, one.table, one.key, one.what


@dataclass(frozen=True, slots=True)
class Kept:
    """A database with evidence that nobody is connected to, and the directory of its keys and outside checkpoints."""

    database: str
    directory: Path
    at: datetime


@contextmanager
def kept_firm(server: EmbeddedPostgres, template: str, directory: Path) -> Iterator[Kept]:
    """Write evidence of every kind into a database of its own, for others to copy."""
    with fresh_database(server, template) as url:
        with opened_firm(url, directory, NOON) as firm:
            write_evidence(firm)
            kept = Kept(make_url(url).database or "", directory, firm.clock())
        leave(server, kept.database)
        yield kept


def leave(server: EmbeddedPostgres, database: str) -> None:
    """End what is still connected to a database, so that it can be copied: the queue of checks stays for a while."""
    engine = make_engine(server.url("postgres"), application_name="tests")
    ending = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name")
    with engine.begin() as connection:
        connection.execute(ending, {"name": database})
    engine.dispose()


@contextmanager
def copied_firm(server: EmbeddedPostgres, kept: Kept, directory: Path) -> Iterator[Firm]:
    """Run the application on a copy of a kept database, with copies of its files."""
    shutil.copytree(kept.directory, directory, dirs_exist_ok=True)
    with fresh_database(server, kept.database) as url, opened_firm(url, directory, kept.at) as firm:
        yield firm


@contextmanager
def opened_firm(url: str, directory: Path, at: datetime) -> Iterator[Firm]:
    """Run the application on a database, with `data` and `outside` below `directory`."""
    clock = SettableClock(at)
    settings = Settings(data_dir=directory / "data", checkpoints_url=str(directory / "outside"))
    owner = make_engine(url, application_name="tests")
    worker = make_engine(application_url(url), application_name="tests-worker")
    ledger = Ledger(worker, clock, directory / "data", CheckpointDirectory(directory / "outside"))
    app = create_app(settings, database_url=application_url(url), clock=clock)
    with TestClient(app, raise_server_exceptions=False) as running:
        app.state.telesales.wake = list[UUID]().append  # the broker would stay connected
        yield Firm(owner, ledger, clock, app, running)
    worker.dispose()
    owner.dispose()


def write_evidence(firm: Firm) -> None:
    """Write rows into every covered table, change those that may change, and seal several times."""
    with firm.ledger.engine.begin() as connection:
        write_registers(connection)
    officer, second, dialer = firm.client("officer"), firm.client("officer", "second"), firm.client("dialer")
    _write_customers(firm)
    checks = [_sent(dialer, "/v1/call-checks", {**CALL, "callee": _phone(n)}) for n in range(CHECKS_BEFORE)]
    firm.seal()
    firm.clock.advance(timedelta(minutes=1))
    incident = _write_calls(dialer, checks)
    firm.seal()
    _sent(dialer, "/v1/callback-requests", _callback(0))
    used = _sent(dialer, "/v1/callback-requests", _callback(1))["callback_request_id"]
    _approve(second, _sent(officer, "/v1/policy", {"policy": "[do_not_call]\nblock_months = 12\n", "reason": "董事会"}))
    _release(officer, second, dialer)
    _close(officer, second, incident)
    _order(officer, second)
    firm.clock.advance(timedelta(hours=10))
    _sent(dialer, "/v1/call-checks", {**CALL, "callee": _phone(1), "callback_request_id": used})
    firm.seal()
    for number in range(CHECKS_AFTER):
        _sent(dialer, "/v1/call-checks", {"callee": _phone(number)})
    with firm.ledger.engine.begin() as connection:
        token = connection.execute(text("SELECT token_id FROM access_tokens ORDER BY created_at LIMIT 1")).scalar_one()
        revoke_token(connection, token, now=firm.clock())
    firm.seal()


def _phone(number: int) -> str:
    return f"1380013{8000 + number}"


def _sent(client: TestClient, url: str, body: object) -> dict[str, Any]:
    answer = client.post(url, json=body)
    assert answer.is_success, answer.text
    found: dict[str, Any] = answer.json()
    return found


def _approve(second: TestClient, asked: dict[str, Any]) -> None:
    _sent(second, f"/v1/approvals/{asked['request_id']}", {})


def _write_customers(firm: Firm) -> None:
    admin = firm.client("admin")
    for number in range(CUSTOMERS):
        body = {"phones": [_phone(number), _phone(number + 500)], "region": "310115", "policy_nos": [f"保单-{number}"]}
        for change in (body, {**body, "segments": ["age_60_plus"]})[: 1 + number % 2]:
            assert admin.put(f"/v1/customers/客户 {number}", json=change).is_success
        firm.clock.advance(timedelta(milliseconds=1))


def _write_calls(dialer: TestClient, checks: list[dict[str, Any]]) -> str:
    """Record calls, some without a check and some refused; return an incident."""
    for number, check in enumerate(checks[:20]):
        body = {"call_id": f"checked/{number}%", "direction": "outbound", "callee": _phone(number)}
        said = {"started_at": check["checked_at"], "check_id": check["check_id"], "outcome": "other"}
        _sent(dialer, "/v1/calls", {**body, **said})
    incidents = []
    for number in range(REFUSALS):
        body = {"call_id": f"通话 {number}", "direction": "outbound", "callee": _phone(number + 200)}
        said = {"started_at": "2026-11-23T11:00:00+08:00", "outcome": "refused"}
        incidents += _sent(dialer, "/v1/calls", {**body, **said})["results"][0]["incidents"]
    found: str = incidents[0]["incident_id"]
    return found


def _callback(number: int) -> dict[str, object]:
    slot = {"from": "2026-11-23T22:00:00+08:00", "to": "2026-11-23T23:00:00+08:00"}
    return {"phone": _phone(number), **slot, "evidence": {"inbound_call_id": "call-1", "offset_ms": 1000}}


def _release(officer: TestClient, second: TestClient, dialer: TestClient) -> None:
    entry = _sent(dialer, "/v1/do-not-call", {"phone": _phone(300), "customer_id": "客户 1", "reason": "别再打了"})
    asked = {"reason": "asked for it", "evidence": EVIDENCE}
    _approve(second, _sent(officer, f"/v1/do-not-call/{entry['entry_id']}/release", asked))


def _close(officer: TestClient, second: TestClient, incident: str) -> None:
    account = {"cause": "a wrong clock", "responsible": "agent-1", "measures": "培训"}
    asked = officer.patch(f"/v1/incidents/{incident}", json={**account, "closed": True})
    _approve(second, asked.json())


def _order(officer: TestClient, second: TestClient) -> None:
    closure = {"name": "flood", "kind": "emergency", "regions": ["310000"], "reason": "ordered by the bureau"}
    times = {"from": "2026-11-23T12:30:00+08:00", "to": "2026-11-23T18:00:00+08:00"}
    overlay = _sent(officer, "/v1/overlays", {**closure, **times})["overlay_id"]
    _sent(officer, "/v1/overlays", {**closure, **times, "name": "holiday", "kind": "holiday", "regions": None})
    _approve(second, _sent(officer, f"/v1/overlays/{overlay}/end", {"reason": "over"}))
