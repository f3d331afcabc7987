"""What the worker does for samples: commitments ahead of their days, and draws that nobody has made."""

from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from celery.signals import worker_ready
from sqlalchemy import Engine, select

from compliance.ledger_runs import Ledger
from compliance.shanghai import SHANGHAI
from infra.application_role import application_url
from infra.database import make_engine
from infra.logs import configure_logs
from infra.settings import Settings
from qa_sampling.draw_rows import commitment_entries, draw_entries, list_draws
from qa_sampling.seeds import read_commitments
from qa_sampling.tables import draws
from services.sampling_tasks import DRAW_DAYS, PUBLISH_COMMITMENTS, draw_due_days, publish_if_possible
from services.sealing import open_ledger, seal_if_possible
from services.worker import SCHEDULE, make_worker_app
from tests.conftest import SettableClock
from tests.qa_sampling.sold import DAY, DAY_BEFORE, OTHER, numbered, sell


@pytest.fixture
def ledger(database: str, tmp_path: Path, clock: SettableClock) -> Ledger:
    """The ledger of a process that works as the product does."""
    engine = make_engine(application_url(database), application_name="tests")
    return open_ledger(Settings(data_dir=tmp_path), engine, clock)


def logged() -> StringIO:
    """Return what is logged from now on."""
    stream = StringIO()
    configure_logs("INFO", stream=stream)
    return stream


def test_commitments_are_published_and_have_their_entries(ledger: Ledger, clock: SettableClock) -> None:
    clock.at = DAY_BEFORE
    log = logged()

    publish_if_possible(ledger)
    seal_if_possible(ledger)
    publish_if_possible(ledger)

    with ledger.engine.connect() as connection:
        days = [one.day for one in read_commitments(connection, from_day=DAY, to_day=DAY + timedelta(days=30))]
        assert set(commitment_entries(connection, days)) == {day.isoformat() for day in days}
    assert len(days) == 7
    assert log.getvalue().count("commitments_published") == 1


def test_without_a_usable_key_the_log_says_what_to_do(ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "draw-keys").mkdir()
    (tmp_path / "draw-keys" / "seeds.key").write_bytes(b"broken")
    (tmp_path / "draw-keys" / "seeds.key").chmod(0o600)
    log = logged()

    publish_if_possible(ledger)

    assert "not 32 bytes in base64" in log.getvalue()
    assert "Traceback" not in log.getvalue()


def test_yesterday_is_drawn_at_ten_with_all_its_strata_and_sealed(ledger: Ledger, clock: SettableClock) -> None:
    clock.at = DAY_BEFORE
    publish_if_possible(ledger)
    with ledger.engine.begin() as connection:
        sell(connection, numbered(10))
        sell(connection, numbered(3, "Q"), stratum=OTHER)
    clock.at = datetime(2026, 11, 3, 9, 59, tzinfo=SHANGHAI)
    draw_due_days(ledger)
    with ledger.engine.connect() as connection:
        early = list_draws(connection, before=None, limit=10)
    clock.at = datetime(2026, 11, 3, 10, 0, tzinfo=SHANGHAI)

    draw_due_days(ledger)
    draw_due_days(ledger)

    with ledger.engine.connect() as connection:
        found = list_draws(connection, before=None, limit=10)
        entries = draw_entries(connection, [one.draw_id for one in found])
    assert early == []
    assert [(one.committed_before, one.actor, one.public_number) for one in found] == [(True, "schedule", "")] * 2
    assert set(entries) == {str(one.draw_id) for one in found}


def test_a_day_that_cannot_be_drawn_keeps_no_other_from_it(
    ledger: Ledger, engine: Engine, clock: SettableClock
) -> None:
    with engine.begin() as connection:
        sell(connection, ["P-1"])
        sell(connection, ["P-2"], day=DAY + timedelta(days=1))
        connection.exec_driver_sql(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'full'; END $$;"
            "CREATE TRIGGER refuse BEFORE INSERT ON draws FOR EACH ROW WHEN (NEW.from_on = '2026-11-02')"
            " EXECUTE FUNCTION refuse()"
        )
    log = logged()

    draw_due_days(ledger)

    with engine.connect() as connection:
        assert connection.execute(select(draws.c.from_on)).scalars().all() == [DAY + timedelta(days=1)]
    assert "draw_not_made" in log.getvalue()


def test_a_database_that_is_away_is_logged_and_nothing_else(tmp_path: Path, clock: SettableClock) -> None:
    engine = make_engine("postgresql://nobody@127.0.0.1:1/nothing", application_name="tests")
    away = open_ledger(Settings(data_dir=tmp_path), engine, clock)
    log = logged()

    publish_if_possible(away)
    draw_due_days(away)

    assert ("commitments_not_published" in log.getvalue(), "draws_not_made" in log.getvalue()) == (True, True)


def test_both_are_scheduled_and_do_their_work(engine: Engine, database: str, tmp_path: Path) -> None:
    application = make_worker_app(Settings(data_dir=tmp_path, broker_url="memory://"), database_url=database)

    application.tasks[PUBLISH_COMMITMENTS]()
    application.tasks[DRAW_DAYS]()

    every = {one["task"]: one["schedule"] for one in SCHEDULE.values()}
    assert (every[PUBLISH_COMMITMENTS], every[DRAW_DAYS]) == (3600.0, 600.0)
    with engine.connect() as connection:
        assert len(read_commitments(connection, from_day=DAY, to_day=DAY + timedelta(days=4000))) == 7


def test_a_worker_that_starts_asks_for_commitments_at_once(engine: Engine, database: str, tmp_path: Path) -> None:
    application = make_worker_app(Settings(data_dir=tmp_path, broker_url="memory://"), database_url=database)
    worker_ready.send(sender=None)

    with application.connection_or_acquire() as broker:
        waiting = broker.SimpleQueue("telesales").get(block=False)

    assert waiting.headers["task"] == PUBLISH_COMMITMENTS
