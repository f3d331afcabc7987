"""The ledger over HTTP: checkpoint, entries, proofs, coverage; and what readiness and metrics say of it."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from starlette.testclient import TestClient

from compliance.ledger_keys import DIRECTORY
from compliance.merkle import check_inclusion, leaf_hash
from compliance.signed_notes import read_checkpoint
from services.api.ledger import CheckpointAnswer, CoverageList, ProofAnswer, SealAnswer, SealedEntryList
from tests.compliance.ledger_rows import cover_checks, write_entries
from tests.conftest import NOON, SettableClock
from tests.services.documented import as_documented

ClientFor = Callable[..., TestClient]
URL = "/v1/ledger"


def seal(client_for: ClientFor, engine: Engine, count: int) -> None:
    """Seal `count` entries, and whatever else waits."""
    with engine.begin() as connection:
        write_entries(connection, count)
    assert client_for("admin").post(f"{URL}/seal").status_code == 200


def test_sealing_at_once_answers_with_the_checkpoint(client_for: ClientFor, engine: Engine) -> None:
    with engine.begin() as connection:
        write_entries(connection, 5)
    admin = client_for("admin")

    first, second = admin.post(f"{URL}/seal").json(), admin.post(f"{URL}/seal").json()
    shown = client_for("auditor").get(f"{URL}/checkpoint").json()

    assert as_documented(SealAnswer, first) == first
    assert as_documented(CheckpointAnswer, shown) == shown
    assert first["sealed"] >= 5
    assert second["sealed"] == 0
    assert first["checkpoint"] == second["checkpoint"] == shown
    said = read_checkpoint(shown["note"].rpartition("\n\n")[0] + "\n")
    assert (said.origin, said.size, said.root.hex()) == (shown["origin"], shown["size"], shown["root"])


def test_before_the_first_sealing_there_is_no_checkpoint_and_no_proof(client_for: ClientFor) -> None:
    officer = client_for("officer")

    answers = [officer.get(f"{URL}/checkpoint"), officer.get(f"{URL}/proof?entry=0")]

    assert [one.status_code for one in answers] == [404, 404]
    assert "telesales ledger seal" in answers[0].json()["detail"]
    assert officer.get(f"{URL}/entries").json() == {"items": [], "next_cursor": None}


def test_every_entry_is_proved(client_for: ClientFor, engine: Engine) -> None:
    seal(client_for, engine, 300)
    officer = client_for("officer")

    found = officer.get(f"{URL}/proof", params={"entry": 299}).json()

    assert as_documented(ProofAnswer, found) == found
    leaf = leaf_hash(found["line"].encode())
    assert leaf.hex() == found["leaf"]
    path = [bytes.fromhex(one) for one in found["path"]]
    check_inclusion(leaf, 299, found["size"], path, bytes.fromhex(found["checkpoint"]["root"]))
    assert found["checkpoint"] == officer.get(f"{URL}/checkpoint").json()


def test_an_entry_that_is_not_sealed_has_no_proof(client_for: ClientFor, engine: Engine) -> None:
    seal(client_for, engine, 1)
    officer = client_for("officer")
    size = officer.get(f"{URL}/checkpoint").json()["size"]

    assert officer.get(f"{URL}/proof?entry={size}").status_code == 404
    assert officer.get(f"{URL}/proof?entry=-1").status_code == 422
    assert officer.get(f"{URL}/proof").status_code == 422


def test_entries_come_page_by_page_in_the_order_of_their_numbers(client_for: ClientFor, engine: Engine) -> None:
    seal(client_for, engine, 7)
    officer = client_for("officer")

    first = officer.get(f"{URL}/entries", params={"from": 0, "to": 6, "limit": 5}).json()
    query = {"from": 0, "to": 6, "limit": 5, "cursor": first["next_cursor"]}
    second = officer.get(f"{URL}/entries", params=query).json()

    assert as_documented(SealedEntryList, first) == first
    assert [one["entry"] for one in first["items"] + second["items"]] == list(range(7))
    assert second["next_cursor"] is None
    proved = officer.get(f"{URL}/proof?entry=3").json()
    assert first["items"][3]["digest"] == proved["leaf"]
    assert officer.get(f"{URL}/entries", params={"cursor": first["next_cursor"]}).status_code == 422


def test_entries_are_chosen_by_the_day_on_which_they_were_recorded(client_for: ClientFor, engine: Engine) -> None:
    day = timedelta(days=1)
    with engine.begin() as connection:
        for at in (NOON - 3 * day, NOON - 2 * day, NOON - 2 * day, NOON - 1 * day):
            write_entries(connection, 1, at=at)
    client_for("admin").post(f"{URL}/seal")
    officer = client_for("officer")

    days = {"from": "2026-11-21", "to": "2026-11-22"}
    first = officer.get(f"{URL}/entries", params={**days, "limit": 2}).json()
    rest = officer.get(f"{URL}/entries", params={**days, "limit": 2, "cursor": first["next_cursor"]}).json()

    instants = [one["at"] for one in first["items"] + rest["items"]]
    assert instants == ["2026-11-21T12:00:00+08:00", "2026-11-21T12:00:00+08:00", "2026-11-22T12:00:00+08:00"]
    assert officer.get(f"{URL}/entries?from=2026-11-20&to=2026-11-20").json()["items"][0]["at"][:10] == "2026-11-20"


@pytest.mark.parametrize(
    "query",
    [
        "from=2026-11-24&to=2026-11-23",
        "from=5&to=4",
        "from=yesterday",
        "to=2026-13-01",
        "to=0001-01-01",
        "from=-1",
        "from=01",
        "cursor=abc",
        "limit=0",
        "since=0",
    ],
)
def test_a_bad_question_is_422(client_for: ClientFor, query: str) -> None:
    assert client_for("officer").get(f"{URL}/entries?{query}").status_code == 422


def test_coverage_names_tables_keys_and_columns(client_for: ClientFor, engine: Engine) -> None:
    with engine.begin() as connection:
        cover_checks(connection)

    found = client_for("auditor").get(f"{URL}/coverage").json()

    assert as_documented(CoverageList, found) == found
    expected = {"table": "call_checks", "key": "check_id", "columns": ["check_id", "actor", "verdict", "checked_at"]}
    assert expected in found["items"]


def test_a_ledger_that_is_well_shows_its_figures(client_for: ClientFor, engine: Engine) -> None:
    seal(client_for, engine, 2)

    found = client_for("officer").get("/readyz")
    metrics = client_for("officer").get("/metrics").text

    assert found.status_code == 200
    figures = found.json()["ledger"]
    assert figures["size"] >= 2
    assert (figures["last_sealed_at"], figures["last_verified_at"]) == ("2026-11-23T12:00:00+08:00", None)
    assert f"telesales_ledger_entries {figures['size']}.0" in metrics
    assert "telesales_ledger_contradicted 0.0" in metrics


def test_a_restored_backup_turns_readiness_red_while_checks_go_on(client_for: ClientFor, engine: Engine) -> None:
    seal(client_for, engine, 2)
    with engine.begin() as owner:
        owner.execute(text("SET LOCAL session_replication_role = replica"))
        owner.execute(text("DELETE FROM ledger_checkpoints"))
        owner.execute(text("DELETE FROM ledger_leaves"))

    found = client_for("officer").get("/readyz")
    metrics = client_for("officer").get("/metrics").text
    check = client_for("dialer").post("/v1/call-checks", json={"callee": "13800138000"})
    sealed = client_for("admin").post(f"{URL}/seal").json()
    incidents = client_for("officer").get("/v1/incidents?kind=ledger_rolled_back").json()["items"]

    assert found.status_code == 503
    assert found.json()["problems"][0].startswith("ledger_rolled_back: the ledger was rolled back")
    assert "telesales_ledger_contradicted 1.0" in metrics
    assert check.status_code == 200
    assert "rolled back" in sealed["problems"][0]
    assert len(incidents) == 1


def test_what_waits_too_long_turns_readiness_red(client_for: ClientFor, engine: Engine, clock: SettableClock) -> None:
    seal(client_for, engine, 1)
    with engine.begin() as connection:
        write_entries(connection, 1, at=clock() - timedelta(minutes=16))

    found = client_for("officer").get("/readyz")

    assert found.status_code == 503
    assert "waited 16 minutes" in found.json()["problems"][0]
    assert found.json()["ledger"]["oldest_unsealed_s"] == 960


def test_a_key_that_others_can_read_is_named(client_for: ClientFor, engine: Engine, tmp_path: Path) -> None:
    seal(client_for, engine, 1)
    next((tmp_path / DIRECTORY).glob("*.key")).chmod(0o644)

    ready = client_for("officer").get("/readyz")
    sealed = client_for("admin").post(f"{URL}/seal")

    assert "LedgerKeyExposedError" in ready.json()["problems"][0]
    assert str(tmp_path) not in ready.text
    assert sealed.status_code == 503
    assert "chmod 600" in sealed.json()["detail"]
