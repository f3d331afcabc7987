"""The whole product, as `make run` starts it: two at once, ended, and started again on what they left."""

import json
import re
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import psutil  # type: ignore[import-untyped]  # it ships no types
import pytest

from tests.infra.deadline import wait_until
from tests.services.processes import Running, finished, running

pytestmark = pytest.mark.slow

AFTERNOON, BEFORE, LATER = "2026-11-23T16:00:00+08:00", "2026-11-23T15:00:00+08:00", "2026-11-24T10:00:00+08:00"
CHECKS = "/v1/call-checks"


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen while the first of two products ran, and what was left after both were told to stop."""

    data_dir: Path
    health: dict[str, Any]
    check: dict[str, Any]
    of_the_other: dict[str, int]
    database_url: str
    tokens: list[dict[str, Any]]
    left: list[psutil.Process]
    statuses: tuple[int, int]


def client(product: Running, data_dir: Path) -> httpx2.Client:
    """Return a client with the demo's dialer token."""
    token = json.loads((data_dir / "demo-tokens.json").read_text())["dialer"]
    headers = {"Authorization": f"Bearer {token}"}
    return httpx2.Client(base_url=product.url, headers=headers, timeout=30, trust_env=False)


def demo_check(dialer: httpx2.Client, data_dir: Path) -> dict[str, Any]:
    found: dict[str, Any] = dialer.post(CHECKS, json=json.loads((data_dir / "demo-check.json").read_text())).json()
    return found


def left_after(product: Running, kind: signal.Signals) -> list[psutil.Process]:
    """Send a signal and return what still runs 30 seconds later."""
    family = product.family()
    product.process.send_signal(kind)
    alive: list[psutil.Process] = psutil.wait_procs(family, timeout=30)[1]
    return alive


@pytest.fixture(scope="module")
def seen() -> Iterator[Seen]:
    """Run two products at once, ask them, and stop one by SIGTERM, the other by SIGINT."""
    # Not below pytest's own directory: another run of pytest locks that for the account of PostgreSQL.
    with tempfile.TemporaryDirectory() as name:
        one, other = Path(name, "one"), Path(name, "other")
        with (
            running("run", Path(name, "one.log"), DATA_DIR=one, DEMO_CLOCK=AFTERNOON, TZ="America/New_York") as first,
            running("run", Path(name, "other.log"), DATA_DIR=other, DEMO_CLOCK=AFTERNOON) as second,
        ):
            wait_until(first.is_healthy, within_s=180)
            wait_until(second.is_healthy, within_s=180)
            with client(first, one) as dialer, client(second, other) as stranger:
                check = demo_check(dialer, one)
                health = dialer.get("/healthz").json()
                of_the_other = {
                    "the check": stranger.get(f"{CHECKS}/{check['check_id']}").status_code,
                    "the token": stranger.get("/v1/centres", headers=dict(dialer.headers)).status_code,
                }
            said = finished("database-url", "--json", DATA_DIR=one)
            listed = finished("token", "list", "--json", DATA_DIR=one)
            left = left_after(first, signal.SIGTERM) + left_after(second, signal.SIGINT)
        yield Seen(
            one,
            health,
            check,
            of_the_other,
            json.loads(said.stdout)["database_url"],
            json.loads(listed.stdout)["items"],
            left,
            (first.process.returncode, second.process.returncode),
        )


def test_it_is_healthy_and_says_that_its_clock_is_a_demo(seen: Seen) -> None:
    assert (seen.health["status"], seen.health["clock"]) == ("ok", "demo")


def test_the_demo_check_is_allowed_at_the_demo_clock(seen: Seen) -> None:
    assert (seen.check["decision"], seen.check["reasons"]) == ("allow", [])
    assert seen.check["checked_at"].startswith("2026-11-23T16:")


def test_two_at_once_share_neither_data_nor_tokens(seen: Seen) -> None:
    assert seen.of_the_other == {"the check": 404, "the token": 401}


def test_commands_find_the_database_that_runs(seen: Seen) -> None:
    assert seen.database_url.startswith("postgresql://postgres@/telesales?host=")
    assert {one["owner"] for one in seen.tokens} >= {"dialer", "inspector", "officer", "officer2", "admin", "auditor"}


def test_tokens_and_logins_can_be_read_by_their_owner_alone(seen: Seen) -> None:
    modes = [(seen.data_dir / name).stat().st_mode & 0o077 for name in ("demo-tokens.json", "demo-users.json")]

    assert modes == [0, 0]


def test_a_signal_ends_every_process_and_that_is_success(seen: Seen) -> None:
    assert seen.left == []
    assert seen.statuses == (0, 0)


def test_a_demo_clock_before_the_data_is_refused_naming_the_instant(seen: Seen) -> None:
    refused = finished("run", DATA_DIR=seen.data_dir, DEMO_CLOCK=BEFORE)

    assert refused.returncode == 1
    assert re.search(r"earlier than the latest instant in the ledger, 2026-11-23T16:\d\d", refused.stderr)


def test_a_change_of_any_register_counts_as_the_latest_instant(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        data_dir = Path(name, "data")
        with running("run", tmp_path / "first.log", DATA_DIR=data_dir, DEMO_CLOCK=AFTERNOON) as first:
            wait_until(first.is_healthy, within_s=180)
            left_after(first, signal.SIGTERM)
        # Not at the same instant: the first run's worker may have published commitments after it.
        with running("run", tmp_path / "again.log", DATA_DIR=data_dir, DEMO_CLOCK=LATER) as again:
            wait_until(again.is_healthy, within_s=120)
            admin = json.loads((data_dir / "demo-tokens.json").read_text())["admin"]
            with client(again, data_dir) as asking:
                product = {"product_code": "NEW-1", "name": "新品", "type": "ordinary", "cooling_off_days": 15}
                headers = {"Authorization": f"Bearer {admin}"}
                made = asking.post("/v1/products", json=product | {"sold_from": "2026-01-01"}, headers=headers)
            left_after(again, signal.SIGTERM)
        refused = finished("run", DATA_DIR=data_dir, DEMO_CLOCK=LATER)

    assert made.status_code == 201
    assert "earlier than the latest instant in the ledger, 2026-11-24T10:" in refused.stderr.replace("\n", " ")


def test_another_run_keeps_the_data(seen: Seen) -> None:
    log = seen.data_dir.with_name("again.log")
    with running("run", log, DATA_DIR=seen.data_dir, DEMO_CLOCK=LATER) as again:
        wait_until(again.is_healthy, within_s=120)
        with client(again, seen.data_dir) as dialer:
            kept = dialer.get(f"{CHECKS}/{seen.check['check_id']}").json()
            fresh = demo_check(dialer, seen.data_dir)
        left = left_after(again, signal.SIGTERM)

    assert (kept["check_id"], kept["checked_at"]) == (seen.check["check_id"], seen.check["checked_at"])
    assert fresh["checked_at"].startswith("2026-11-24T10:")
    assert "it is kept" in log.read_text()
    assert left == []
