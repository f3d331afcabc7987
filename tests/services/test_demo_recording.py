"""The recording that comes with the demo: of a call that was answered, as long as it, of a contract that runs."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from compliance.call_records import read_call
from compliance.sale_rows import read_sale
from compliance.shanghai import shanghai_day
from infra.database import make_engine
from infra.embedded_postgres import EmbeddedPostgres
from recordings.audio import probe
from services.demo.load import load_demo
from services.demo.recording_file import demo_recording
from tests.conftest import NOON
from tests.recordings.desk import Desk, places_below
from tests.services.shared_app import fresh_database


@pytest.fixture(scope="module")
def demo(
    server: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Engine, Path]]:
    directory = tmp_path_factory.mktemp("demo")
    with fresh_database(server, template) as url:
        engine = make_engine(url, application_name="tests")
        places = places_below(directory)
        load_demo(engine, now=NOON, data_dir=directory, places=places, progress=lambda _what, _share: None)
        yield engine, directory
        engine.dispose()


def test_it_is_telephone_audio_as_long_as_the_call_that_it_is_of(demo: tuple[Engine, Path]) -> None:
    engine, directory = demo
    said = json.loads((directory / "demo-recording.json").read_text())
    audio = probe(directory / "demo-call.wav")

    with engine.connect() as connection:
        call = read_call(connection, said["call_id"])
        sale = read_sale(connection, said["policy_no"])

    assert (audio.codec, audio.channels, audio.sample_rate) == ("alaw", 2, 8000)
    assert call.record.answered_at is not None
    assert call.record.ended_at is not None
    talked = call.record.ended_at - call.record.answered_at
    assert abs(timedelta(milliseconds=audio.duration_ms) - talked) < timedelta(milliseconds=2)
    assert (sale.ended_on, call.callee_e164, call.record.agent_id) == (None, said["phone"], said["agent_id"])
    assert said["call_id"] in sale.content["call_ids"]


def test_its_contract_can_be_ended_on_the_day_of_the_demo(demo: tuple[Engine, Path]) -> None:
    engine, directory = demo
    said = json.loads((directory / "demo-recording.json").read_text())

    with engine.connect() as connection:
        begun = read_sale(connection, said["policy_no"]).cover_start
        day_before = begun - timedelta(days=1)
        of_day_before = demo_recording(connection, today=day_before).metadata["policy_no"]

        assert begun <= shanghai_day(NOON)
        assert read_sale(connection, str(of_day_before)).cover_start <= day_before


def test_it_is_taken_in_without_a_warning(demo: tuple[Engine, Path], tmp_path: Path) -> None:
    engine, directory = demo
    desk = Desk(engine, places_below(tmp_path))

    taken = desk.take_in(directory / "demo-call.wav", json.loads((directory / "demo-recording.json").read_text()))

    assert (taken.is_new, taken.warnings) == (True, ())
