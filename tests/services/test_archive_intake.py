"""The worker's part of the intake: the spool by its setting, one worker at a time, links and the staging."""

import io
import json
import os
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select, text

from infra.advisory_locks import AdvisoryLock
from infra.clock import utc_now
from infra.logs import configure_logs
from infra.settings import Settings
from recordings.spool import Spool
from recordings.tables import recordings
from services.archive_intake import link_recordings, look_into_spool, open_spool
from services.archive_places import open_places
from tests.conftest import SettableClock
from tests.recordings.desk import METADATA, add_call, stereo

PRODUCT_NOW = utc_now()


@pytest.fixture
def spool(engine: Engine, tmp_path: Path) -> Spool:
    directory = tmp_path / "spool"
    directory.mkdir()
    found = open_spool(Settings(data_dir=tmp_path / "data", spool_dir=directory), engine, lambda: PRODUCT_NOW)
    assert found is not None
    found.files_clock = SettableClock(PRODUCT_NOW)
    return found


def put_pair(spool: Spool) -> None:
    paths = [stereo(spool.directory / "x.wav"), spool.directory / "x.json"]
    paths[1].write_text(json.dumps(dict(METADATA)))
    for path in paths:
        os.utime(path, (PRODUCT_NOW.timestamp() - 300,) * 2)


def look_twice(spool: Spool) -> None:
    look_into_spool(spool)
    spool.files_clock = SettableClock(spool.files_clock() + timedelta(seconds=10))
    look_into_spool(spool)


def count(engine: Engine) -> int:
    with engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(recordings)).scalar_one()


def test_without_the_setting_there_is_no_spool(engine: Engine, tmp_path: Path) -> None:
    assert open_spool(Settings(data_dir=tmp_path), engine, lambda: PRODUCT_NOW) is None


def test_what_lies_in_the_spool_is_taken_in(spool: Spool, engine: Engine) -> None:
    put_pair(spool)

    look_twice(spool)

    assert count(engine) == 1
    assert not (spool.directory / "x.wav").exists()


def test_while_another_worker_looks_nothing_is_done(spool: Spool, engine: Engine) -> None:
    put_pair(spool)
    with engine.connect() as other:
        other.execute(text(f"SELECT pg_advisory_lock({AdvisoryLock.SPOOL:d})"))
        look_twice(spool)
        busy = count(engine)
        other.execute(text(f"SELECT pg_advisory_unlock({AdvisoryLock.SPOOL:d})"))

    look_twice(spool)

    assert (busy, count(engine)) == (0, 1)


def test_a_spool_that_is_gone_is_told_and_no_fault(spool: Spool) -> None:
    logged = io.StringIO()
    configure_logs("INFO", stream=logged)
    spool.directory.rmdir()

    look_into_spool(spool)

    assert "spool_unusable" in logged.getvalue()


def test_links_are_made_and_the_staging_is_cleared(spool: Spool, engine: Engine, tmp_path: Path) -> None:
    put_pair(spool)
    look_twice(spool)
    add_call(engine)
    places = open_places(Settings(data_dir=tmp_path / "data"), clock=lambda: PRODUCT_NOW)
    for name, age in (("old", timedelta(days=2)), ("young", timedelta(hours=1))):
        (places.staging / name).write_bytes(b"x")
        os.utime(places.staging / name, ((utc_now() - age).timestamp(),) * 2)

    link_recordings(engine, places, lambda: PRODUCT_NOW)

    with engine.connect() as connection:
        assert connection.execute(select(recordings.c.is_unlinked)).scalars().all() == [False]
    assert [path.name for path in places.staging.iterdir()] == ["young"]
