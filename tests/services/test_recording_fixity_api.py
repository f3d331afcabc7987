"""`POST …/verify` over HTTP, the tasks behind it, and what metrics and health say."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, insert, select

from compliance.tables import audit_events, call_records, incidents
from infra.application_role import application_url
from infra.clock import utc_now
from infra.ids import new_id
from infra.settings import Settings
from recordings.copy_rows import hand_on
from services.archive_care import JUDGE_CALLS, NOTE_FIXITY, RESTORE_COPIES, VERIFY_COPIES
from services.worker import make_worker_app
from tests.conftest import SettableClock
from tests.recordings.kept_copies import PERIOD, TwoCopies, two_copies

ClientFor = Callable[..., TestClient]


@pytest.fixture
def archive(engine: Engine, clock: SettableClock, tmp_path: Path) -> TwoCopies:
    return two_copies(engine, clock, tmp_path)


def test_good_copies_are_ok(client_for: ClientFor, archive: TwoCopies) -> None:
    recording_id = archive.add(b"voice")

    answer = client_for("officer").post(f"/v1/recordings/{recording_id}/verify")

    assert answer.status_code == 200
    found = answer.json()
    assert (found["ok"], found["repaired"], found["incident_id"]) == (True, False, None)
    assert [one["ok"] for one in found["copies"]] == [True, True]
    assert len({one["sha256"] for one in found["copies"]}) == 1
    assert found["copies"][0]["store"] == archive.keeping.stores["first"].name


def test_a_damaged_copy_is_not_ok_repaired_and_ok_the_second_time(client_for: ClientFor, archive: TwoCopies) -> None:
    client = client_for("auditor")
    recording_id = archive.add(b"voice")
    client.post(f"/v1/recordings/{recording_id}/verify")
    archive.flip(recording_id, "first")

    first, second = (client.post(f"/v1/recordings/{recording_id}/verify").json() for _ in range(2))

    assert (first["ok"], first["repaired"]) == (False, True)
    assert first["incident_id"] == str(archive.incidents()[0]["incident_id"])
    assert [one["finding"] for one in first["copies"]] == ["changed", "good"]
    assert (second["ok"], second["repaired"], second["incident_id"]) == (True, False, None)


def test_an_unknown_recording_is_404_and_one_disposed_of_410(client_for: ClientFor, archive: TwoCopies) -> None:
    client = client_for("officer")
    recording_id = archive.add()
    archive.change(recording_id, disposed_at=archive.clock())

    assert client.post(f"/v1/recordings/{new_id()}/verify").status_code == 404
    assert client.post(f"/v1/recordings/{recording_id}/verify").status_code == 410


def test_a_recording_in_hand_is_409(client_for: ClientFor, archive: TwoCopies) -> None:
    recording_id = archive.add()

    with hand_on(archive.engine, recording_id):
        assert client_for("officer").post(f"/v1/recordings/{recording_id}/verify").status_code == 409


def test_metrics_tell_what_stores_lack_and_what_was_verified(client_for: ClientFor, archive: TwoCopies) -> None:
    client = client_for("officer")
    recording_id = archive.add(b"voice")
    before = client.get("/metrics").text
    client.post(f"/v1/recordings/{recording_id}/verify")
    archive.clock.advance(PERIOD + timedelta(hours=1))
    after = client_for("officer").get("/metrics").text  # the first token has run out

    assert 'telesales_recording_copies_lacking{state="wanted"} 1.0' in before
    assert 'telesales_recording_copies_lacking{state="wanted"} 0.0' in after
    assert 'telesales_fixity_total{what="bytes"} 10.0' in after
    assert "telesales_fixity_overdue_seconds 3600.0" in after


def test_directories_are_not_said_to_be_worm(client_for: ClientFor) -> None:
    assert client_for("officer").get("/healthz").json()["worm"] is False


@pytest.fixture
def present(clock: SettableClock) -> SettableClock:
    """The clock at the machine's present, which is that of a worker."""
    clock.at = utc_now()
    return clock


def run(database: str, directory: Path, *tasks: str) -> None:
    settings = Settings(data_dir=directory, broker_url="memory://")
    application = make_worker_app(settings, database_url=application_url(database))
    for task in tasks:
        application.tasks[task]()


def test_the_tasks_copy_verify_and_repair(
    present: SettableClock, database: str, archive: TwoCopies, tmp_path: Path
) -> None:
    recording_id = archive.add(b"voice")
    archive.due_at(recording_id, "first", present.at + PERIOD)

    run(database, tmp_path, RESTORE_COPIES)
    archive.flip(recording_id, "second")
    archive.due_at(recording_id, "second", present.at)
    run(database, tmp_path, VERIFY_COPIES)

    assert archive.events(recording_id) == ["copied", "changed", "repaired"]
    assert archive.read(recording_id, "second") == b"voice"


def test_the_task_judges_calls(present: SettableClock, database: str, engine: Engine, tmp_path: Path) -> None:
    at = present.at - timedelta(days=1)
    with engine.begin() as connection:
        row = {"call_id": "call-1", "direction": "inbound", "outcome": "other", "content": {}, "content_digest": b""}
        times = {"started_at": at, "answered_at": at, "ended_at": at + timedelta(minutes=1), "recorded_at": at}
        connection.execute(insert(call_records).values(**row, **times, actor="dialer"))

    run(database, tmp_path, JUDGE_CALLS, JUDGE_CALLS)

    with engine.connect() as connection:
        found = connection.execute(select(incidents.c.kind, incidents.c.call_id)).all()
    assert [tuple(one) for one in found] == [("missing_recording", "call-1")]


def test_a_day_is_noted_once(present: SettableClock, database: str, archive: TwoCopies, tmp_path: Path) -> None:
    archive.add(b"voice")

    run(database, tmp_path, RESTORE_COPIES, NOTE_FIXITY, NOTE_FIXITY)

    with archive.engine.connect() as connection:
        found = connection.execute(select(audit_events.c.details).where(audit_events.c.kind == "fixity_day")).scalars()
        details = list(found)
    assert len(details) == 1
    assert details[0]["stored"] == 2
    assert details[0]["lacking"] == {"wanted": 0, "missing": 0, "changed": 0}
