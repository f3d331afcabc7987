"""Draws under attack: by whoever has SQL, by extremes of input, by a process that dies."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, text

from compliance.ledger_runs import Ledger
from compliance.shanghai import midnight
from infra.settings import Settings
from qa_sampling.draw_rows import read_draw, read_frame_bytes
from qa_sampling.quotas import QuotaFilter, read_quotas
from qa_sampling.seeds import read_commitment, read_commitments
from services.ledger_checks import verify_database
from services.sealing import open_ledger
from tests.conftest import NOON, SettableClock
from tests.gate_facts import write_registers
from tests.qa_sampling.sold import DAY, OTHER, commit, drawn, new_sale, numbered, register_late, sell
from tests.sale_bodies import SALE

ClientFor = Callable[..., TestClient]
URL = "/v1/draws"
STRATUM = {"sales_mode": "own_centre", "centre_id": "centre-1", "class": "over_1y"}
ORDER: dict[str, Any] = {"stratum": STRATUM, "from": "2026-11-02", "to": "2026-11-02"}
_END_OF_DAY = midnight(DAY + timedelta(days=1))
_AS_SUPERUSER = text("SET LOCAL session_replication_role = replica")


@pytest.fixture
def officer(client_for: ClientFor, engine: Engine, tmp_path: Path) -> TestClient:
    """An officer of a house whose committed day is drawn, with late sales."""
    with engine.begin() as connection:
        write_registers(connection)
        commit(connection, tmp_path)
        sell(connection, numbered(10))
        sell(connection, numbered(2, "Q"), stratum=OTHER)
    client = client_for("officer")
    client.post(URL, json=ORDER).raise_for_status()
    for number in range(3):
        client.post("/v1/sales", json={**SALE, "policy_no": f"L-{number}"}).raise_for_status()
    return client


@pytest.fixture
def drawn_house(officer: TestClient, engine: Engine, tmp_path: Path, clock: SettableClock) -> Ledger:
    """The ledger of the officer's house, read by the superuser."""
    return open_ledger(Settings(data_dir=tmp_path), engine, clock)


def test_an_untouched_house_has_no_problem(drawn_house: Ledger) -> None:
    assert verify_database(drawn_house).problems == []


@pytest.mark.parametrize(
    ("statement", "table", "what"),
    [
        pytest.param("UPDATE draws SET rate_bp = 1000", "draws", "row_changed", id="a rate"),
        pytest.param("DELETE FROM draws WHERE inspection_class = 'within_1y'", "draws", "row_missing", id="a draw"),
        pytest.param(
            "INSERT INTO draws SELECT (jsonb_populate_record(d, jsonb_build_object('draw_id', gen_random_uuid(),"
            " 'to_on', '2026-11-03'))).* FROM draws d LIMIT 1",
            "draws",
            "row_unknown",
            id="a draw more",
        ),
        pytest.param(
            "UPDATE draw_tickets SET ticket = sha256('x') WHERE kind = 'late'",
            "draw_tickets",
            "row_changed",
            id="a ticket",
        ),
        pytest.param("DELETE FROM draw_tickets WHERE kind = 'late'", "draw_tickets", "row_missing", id="additions"),
        pytest.param(
            "UPDATE seed_commitments SET seed = sha256('x') WHERE seed IS NOT NULL",
            "seed_commitments",
            "row_changed",
            id="a seed",
        ),
        pytest.param(
            "UPDATE seed_commitments SET published_at = '2026-10-01'", "seed_commitments", "row_changed", id="published"
        ),
        pytest.param("UPDATE inspections SET is_random = NOT is_random", "inspections", "row_changed", id="random"),
        pytest.param(
            "UPDATE inspections SET due_before = due_before + interval '9 days'", "inspections", "row_changed", id="due"
        ),
        pytest.param("UPDATE sales SET closed_on = '2026-11-01'", "sales", "row_changed", id="a closing day"),
        pytest.param("UPDATE stratum_days SET sales = 1", "stratum_days", "row_changed", id="the count"),
        pytest.param("DELETE FROM stratum_days", "stratum_days", "row_changed", id="no count"),
        pytest.param("UPDATE draws SET frame = convert_to('x', 'UTF8')", "draws", "row_changed", id="frame alone"),
    ],
)
def test_what_a_superuser_changes_is_named(drawn_house: Ledger, statement: str, table: str, what: str) -> None:
    with drawn_house.engine.begin() as connection:
        connection.execute(_AS_SUPERUSER)
        connection.execute(text(statement))

    problems = verify_database(drawn_house).problems

    assert {(one.table, one.what) for one in problems} == {(table, what)}


@pytest.mark.parametrize(
    "path",
    [
        "/v1/draws/commitments?to=0001-01-01",
        "/v1/draws/commitments?from=9999-12-31",
        "/v1/draws/commitments?to=2000-01-01",
        "/v1/sampling/quotas?from=0001-01-01&to=9999-12-31",
        "/v1/sampling/quotas?from=2000-01-01&to=2100-12-31",
        "/v1/sampling/failure-rates?from=0001-01-01&to=9999-12-31&by_item=true",
        "/v1/sampling/failure-rates?from=2000-01-01&to=2099-12-31&by_item=true&confidence=nan",
        "/v1/sampling/forecast?days=92",
    ],
)
def test_no_extreme_of_days_is_a_fault(officer: TestClient, path: str) -> None:
    answer = officer.get(path)

    assert answer.status_code in {200, 422}


def test_a_draw_that_dies_before_its_commit_leaves_the_seed_secret_and_the_same(engine: Engine, tmp_path: Path) -> None:
    with engine.begin() as connection:
        commit(connection, tmp_path)
        sell(connection, numbered(10))
    with engine.connect() as dying:
        drawn(dying, tmp_path)
        told = read_commitment(dying, DAY)
        dying.rollback()
    with engine.begin() as connection:
        [kept] = read_commitments(connection, from_day=DAY, to_day=DAY)
        sell(connection, numbered(1, "Z"))
        made = read_draw(connection, drawn(connection, tmp_path).draw_id)

    assert told is not None
    assert (kept.seed, kept.revealed_at, made.frame_size) == (None, None, 11)
    assert (made.committed_before, made.seed) == (True, told.seed)


def test_the_zone_of_a_session_moves_no_sale_into_another_day(engine: Engine, tmp_path: Path) -> None:
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL TimeZone = 'America/New_York'"))
        commit(connection, tmp_path)
        write_registers(connection)
        register_late(connection, new_sale("LAST", consented_at=_END_OF_DAY - timedelta.resolution))
        register_late(connection, new_sale("NEXT", consented_at=_END_OF_DAY))
        made = drawn(connection, tmp_path)
        frame = read_frame_bytes(connection, made.draw_id)
        counted = read_quotas(connection, QuotaFilter(from_on=DAY, to_on=DAY, by_day=True), now=NOON)

    assert frame == b"LAST\t2026-11-02\tover_1y\n"
    assert [(one.from_on, one.sales) for one in counted] == [(DAY, 1)]
