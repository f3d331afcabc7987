"""Bundles over HTTP: what is sent verifies, who took it is noted, and nothing is left behind."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from starlette.testclient import TestClient

from compliance.ledger_keys import DIRECTORY
from compliance.ledger_verifier import verify_bundle
from tests import ledger_database as ledger

ClientFor = Callable[..., TestClient]
URL = "/v1/ledger/bundle"


@pytest.fixture
def written(client_for: ClientFor, engine: Engine) -> int:
    """How many entries are sealed; the last is about letter 3."""
    with engine.begin() as connection:
        ledger.make_tables(connection)
        ledger.put(connection, "a", [1, 2], "一")
        ledger.put(connection, "a", [3], "二")
    client_for("admin").post("/v1/ledger/seal")
    with engine.connect() as connection:
        return int(connection.execute(text("SELECT max(size) FROM ledger_checkpoints")).scalar_one())


@pytest.mark.parametrize("role", ["officer", "admin", "auditor"])
def test_a_bundle_verifies_and_is_noted(
    client_for: ClientFor, engine: Engine, tmp_path: Path, written: int, role: str
) -> None:
    answer = client_for(role, owner=f"{role} 1").get(URL)

    (tmp_path / "b.zip").write_bytes(answer.content)
    report = verify_bundle(tmp_path / "b.zip")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert (report.problems, report.not_checked, report.unsealed) == ([], [], 0)
    assert report.entries > written  # the token that this request needed came after the sealing
    with engine.connect() as connection:
        noted = connection.execute(text("SELECT actor, details FROM audit_events WHERE kind = 'ledger_export'")).one()
    assert noted.actor == f"{role} 1"
    assert noted.details == {"from": 0, "to": report.entries, "size": report.entries, "rows": report.rows}
    assert list(tmp_path.rglob("bundle.zip")) == []


@pytest.mark.parametrize(
    ("query", "entries"),
    [
        ("from=0&to=0", 1),
        ("from=1", -1),
        ("from=2026-11-23&to=2026-11-23", None),
        ("from=2001-01-01&to=2001-01-02", 0),
        ("from=999999", 0),
    ],
)
def test_from_and_to_are_days_or_numbers_both_included(
    client_for: ClientFor, tmp_path: Path, written: int, query: str, entries: int | None
) -> None:
    answer = client_for("auditor").get(f"{URL}?{query}")

    (tmp_path / "b.zip").write_bytes(answer.content)
    report = verify_bundle(tmp_path / "b.zip")
    assert report.problems == []
    assert report.entries == (report.entries if entries is None else written if entries < 0 else entries)


@pytest.mark.parametrize("query", ["from=x", "to=2026-13-01", "from=5&to=4", "from=2026-11-24&to=2026-11-23"])
def test_other_ends_are_refused(client_for: ClientFor, written: int, query: str) -> None:
    assert client_for("auditor").get(f"{URL}?{query}").status_code == 422


def test_the_first_bundle_seals_what_waits(client_for: ClientFor, tmp_path: Path) -> None:
    answer = client_for("auditor").get(URL)

    (tmp_path / "b.zip").write_bytes(answer.content)
    report = verify_bundle(tmp_path / "b.zip")
    assert (report.problems, report.unsealed) == ([], 0)
    assert report.entries > 0


def test_without_a_key_and_a_checkpoint_there_is_none(client_for: ClientFor, tmp_path: Path) -> None:
    (tmp_path / DIRECTORY).mkdir()
    (tmp_path / DIRECTORY / "0a1b2c3d.key").write_text("of a list that is gone")

    assert client_for("auditor").get(URL).status_code == 404
