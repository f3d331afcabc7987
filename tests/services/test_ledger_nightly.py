"""The nightly verification leaves its result in the ledger, and an incident for problems that nobody has explained."""

from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, text

from compliance.checkpoint_stores import CheckpointDirectory
from compliance.ledger_health import read_health
from compliance.ledger_runs import Ledger, seal_waiting
from infra.logs import configure_logs
from services.ledger_nightly import verify_and_record, verify_if_possible
from tests import ledger_database as letters
from tests.conftest import SettableClock

ClientFor = Callable[..., TestClient]


@pytest.fixture
def ledger(engine: Engine, clock: SettableClock, tmp_path: Path) -> Ledger:
    """A ledger of the product's own tables and of letters, sealed."""
    made = Ledger(engine, clock, tmp_path, CheckpointDirectory(tmp_path / "checkpoints"))
    with engine.begin() as connection:
        letters.make_tables(connection)
        letters.put(connection, "a", [1, 2, 3], "一")
    seal_waiting(made)
    return made


def edit(engine: Engine, statement: str) -> None:
    with engine.begin() as owner:
        owner.execute(text("SET LOCAL session_replication_role = replica"))
        owner.execute(text(statement))


def events(engine: Engine) -> list[dict[str, Any]]:
    wanted = text("SELECT details FROM audit_events WHERE kind = 'ledger_verified' ORDER BY recorded_at, event_id")
    with engine.connect() as connection:
        return list(connection.execute(wanted).scalars())


def incidents(engine: Engine) -> list[dict[str, Any]]:
    wanted = text("SELECT details FROM incidents WHERE kind = 'ledger_verification' ORDER BY detected_at, incident_id")
    with engine.connect() as connection:
        return list(connection.execute(wanted).scalars())


def close_incidents(engine: Engine) -> None:
    edit(engine, "UPDATE incidents SET state = 'closed', closed_at = now()")


def test_a_ledger_that_is_well_is_noted_as_verified(ledger: Ledger, engine: Engine, clock: SettableClock) -> None:
    clock.advance(timedelta(hours=14))

    report = verify_and_record(ledger)

    assert (report.problems, report.not_checked) == ([], [])
    assert (events(engine)[0]["problems"], events(engine)[0]["entries"]) == (0, report.entries)
    assert incidents(engine) == []
    with engine.connect() as connection:
        health = read_health(connection)
    assert (health.verified_at, health.is_in_doubt) == (clock(), False)


def test_the_result_is_itself_sealed_and_verified(ledger: Ledger) -> None:
    first = verify_and_record(ledger)
    seal_waiting(ledger)

    second = verify_and_record(ledger)

    assert (second.problems, second.entries > first.entries, second.rows > first.rows) == ([], True, True)


def test_a_changed_row_opens_an_incident_that_names_it(ledger: Ledger, engine: Engine) -> None:
    edit(engine, "UPDATE letters SET body = 'x' WHERE number = 2")

    verify_and_record(ledger)

    [incident] = incidents(engine)
    assert events(engine)[0]["problems"] == incident["problems"] == 1
    assert [(one["table"], one["key"], one["what"]) for one in incident["first"]] == [("letters", "a/2", "row_changed")]


def test_the_same_problems_are_told_once_and_another_is_told_again(ledger: Ledger, engine: Engine) -> None:
    edit(engine, "UPDATE letters SET body = 'x' WHERE number = 2")
    verify_and_record(ledger)
    verify_and_record(ledger)
    once = len(incidents(engine))
    edit(engine, "UPDATE letters SET body = 'x' WHERE number = 3")

    verify_and_record(ledger)

    assert (once, len(incidents(engine)), len(events(engine))) == (1, 2, 3)


def test_readiness_is_red_until_the_incident_is_closed(ledger: Ledger, engine: Engine, client_for: ClientFor) -> None:
    officer = client_for("officer")
    edit(engine, "DELETE FROM letters WHERE number = 2")
    verify_and_record(ledger)

    red, metrics = officer.get("/readyz"), officer.get("/metrics").text
    close_incidents(engine)
    green = officer.get("/readyz")

    assert red.status_code == 503
    assert any("ledger_verification" in one for one in red.json()["problems"])
    assert "telesales_ledger_in_doubt 1.0" in metrics
    assert not any("ledger_verification" in one for one in green.json()["problems"])


def test_a_restored_backup_is_a_problem_of_the_night_too(ledger: Ledger, engine: Engine) -> None:
    edit(engine, "DELETE FROM ledger_checkpoints")
    edit(engine, "DELETE FROM ledger_leaves WHERE entry > 0")

    report = verify_and_record(ledger)

    assert "checkpoint" in {one.what for one in report.problems}
    assert len(incidents(engine)) == 1


def test_a_checkpoint_of_an_earlier_day_shows_what_was_taken_away(
    ledger: Ledger, engine: Engine, clock: SettableClock
) -> None:
    clock.advance(timedelta(days=1))
    with engine.begin() as connection:
        letters.put(connection, "b", [1], "later")
    seal_waiting(ledger)
    edit(engine, "DELETE FROM letters WHERE part = 'b'")
    edit(engine, "DELETE FROM ledger_checkpoints WHERE size > (SELECT min(size) FROM ledger_checkpoints)")
    edit(engine, "DELETE FROM ledger_leaves WHERE entry >= (SELECT max(size) FROM ledger_checkpoints)")
    edit(engine, "DELETE FROM ledger_entries WHERE source NOT IN (SELECT source FROM ledger_leaves)")
    clock.advance(timedelta(days=1))
    Path(ledger.data_dir, "checkpoints", "checkpoint.txt").unlink()

    report = verify_and_record(ledger)

    assert [one.what for one in report.problems] == ["checkpoint"]
    assert "an old state of the database was restored" in report.problems[0].message


def test_an_outside_that_cannot_be_read_is_said_to_be_unchecked(ledger: Ledger, engine: Engine) -> None:
    outside = Path(ledger.data_dir, "checkpoints", "checkpoint.txt")
    outside.unlink()
    outside.mkdir()

    report = verify_and_record(ledger)

    assert report.ok
    assert any("checkpoints outside" in one for one in report.not_checked)
    assert events(engine)[0]["not_checked"] == report.not_checked


def test_what_stands_in_the_way_is_logged_and_ends_nothing(ledger: Ledger, tmp_path: Path) -> None:
    logged = StringIO()
    configure_logs("INFO", stream=logged)
    (tmp_path / "ledger-keys" / "keys.json").write_text("no list")

    verify_if_possible(ledger)

    assert "ledger_not_verified" in logged.getvalue()
