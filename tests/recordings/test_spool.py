"""The spool: pairs are taken in once nobody writes to them, moved after the commit, and never lost or taken twice."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select, update

from infra.clock import utc_now
from infra.object_store import ObjectStoreError
from recordings.file_intake import FileIntake
from recordings.places import Places
from recordings.spool import Look, Spool
from recordings.tables import recording_copies, recordings
from tests.conftest import NOON, SettableClock
from tests.recordings.desk import METADATA, places_below, stereo, without

LONG_AGO = timedelta(minutes=3)
DAY = "taken/2026-11-23"


@dataclass(frozen=True, slots=True)
class Recorder:
    """Puts files into a spool as a recorder does, and has it looked into."""

    spool: Spool
    clock: SettableClock
    sound: bytes

    @property
    def directory(self) -> Path:
        return self.spool.directory

    def put(self, name: str, content: bytes, *, age: timedelta = LONG_AGO) -> Path:
        path = self.directory / name
        path.write_bytes(content)
        at = (self.clock() - age).timestamp()
        os.utime(path, (at, at))
        return path

    def put_pair(
        self,
        stem: str = "x",
        fields: Mapping[str, object] = METADATA,
        *,
        sound: bytes | None = None,
        age: timedelta = LONG_AGO,
    ) -> None:
        self.put(f"{stem}.wav", self.sound if sound is None else sound, age=age)
        self.put(f"{stem}.json", json.dumps(fields).encode(), age=age)

    def look(self) -> Look:
        return self.spool.look(most=100, most_seconds=60)

    def look_twice(self) -> Look:
        """Look, and look again when what was seen has had time to change."""
        self.look()
        self.clock.advance(timedelta(seconds=10))
        return self.look()

    def files(self) -> set[str]:
        return {str(path.relative_to(self.directory)) for path in self.directory.rglob("*") if not path.is_dir()}

    def reason(self, stem: str = "x") -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.directory / "quarantine" / f"{stem}.reason.json").read_text())
        return found


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return places_below(tmp_path / "data")


@pytest.fixture
def recorder(engine: Engine, places: Places, tmp_path: Path) -> Recorder:
    directory = tmp_path / "spool"
    directory.mkdir()
    intake = FileIntake(engine, places, lambda: NOON, "spool", "spool")
    clock = SettableClock(utc_now())
    return Recorder(Spool(directory, intake, clock), clock, stereo(tmp_path / "call.wav").read_bytes())


def stored(engine: Engine) -> list[str]:
    columns = recordings.c
    with engine.connect() as connection:
        return list(connection.execute(select(columns.call_id).order_by(columns.call_id)).scalars())


def test_a_pair_is_taken_in_and_moved_to_its_day(recorder: Recorder, engine: Engine) -> None:
    recorder.put_pair()

    assert recorder.look_twice() == Look(taken=1)
    assert recorder.files() == {f"{DAY}/x.wav", f"{DAY}/x.json"}
    assert stored(engine) == ["call-1"]
    assert (recorder.directory / DAY / "x.wav").read_bytes() == recorder.sound


def test_nothing_is_touched_at_the_first_look(recorder: Recorder, engine: Engine) -> None:
    recorder.put_pair()

    assert recorder.look() == Look(waiting=1)
    assert (recorder.files(), stored(engine)) == ({"x.wav", "x.json"}, [])


def test_a_file_that_grows_is_left_alone(recorder: Recorder, engine: Engine) -> None:
    recorder.put_pair(sound=recorder.sound[:1000])
    recorder.look()
    recorder.clock.advance(timedelta(seconds=10))
    recorder.put("x.wav", recorder.sound[:2000], age=timedelta(seconds=7))

    assert recorder.look() == Look(waiting=1)
    recorder.clock.advance(timedelta(seconds=10))
    recorder.put("x.wav", recorder.sound, age=timedelta(seconds=7))
    assert (recorder.look(), recorder.look_twice()) == (Look(waiting=1), Look(taken=1))
    assert stored(engine) == ["call-1"]


@pytest.mark.parametrize(
    ("age", "taken"), [pytest.param(4.9, 0, id="4.9 seconds old"), pytest.param(5.1, 1, id="5.1 seconds old")]
)
def test_five_seconds_must_have_passed_since_it_was_written(recorder: Recorder, age: float, taken: int) -> None:
    recorder.put_pair()
    recorder.look()
    recorder.clock.advance(timedelta(seconds=10))
    at = (recorder.clock() - timedelta(seconds=age)).timestamp()
    os.utime(recorder.directory / "x.wav", (at, at))
    recorder.look()
    recorder.spool._seen = {path: seen._replace(since=NOON) for path, seen in recorder.spool._seen.items()}

    assert recorder.look().taken == taken


def test_a_time_in_the_future_does_not_hold_up(recorder: Recorder) -> None:
    recorder.put_pair()
    recorder.put("x.wav", recorder.sound, age=-timedelta(days=400))

    assert recorder.look_twice() == Look(taken=1)


@pytest.mark.parametrize("cut", [0, 100, -1], ids=["empty", "early", "last byte"])
def test_a_short_file_may_still_grow_for_two_minutes(recorder: Recorder, engine: Engine, cut: int) -> None:
    recorder.put_pair()
    recorder.put("x.wav", recorder.sound[:cut], age=timedelta(seconds=100))

    assert recorder.look_twice() == Look(waiting=1)
    recorder.clock.advance(timedelta(seconds=20))
    assert recorder.look() == Look(refused=1)
    assert recorder.files() == {"quarantine/x.wav", "quarantine/x.json", "quarantine/x.reason.json"}
    assert stored(engine) == []


def test_why_a_pair_was_refused_stands_beside_it(recorder: Recorder) -> None:
    recorder.put_pair(fields=without("started_at", direction="sideways"))

    assert recorder.look_twice() == Look(refused=1)
    reason = recorder.reason()
    assert reason["reason"] == "metadata"
    assert {one["loc"] for one in reason["errors"]} == {"started_at", "direction"}
    assert reason["refused_at"] == "2026-11-23T12:00:00+08:00"


@pytest.mark.parametrize("metadata", [b"", b"{", b"[]", b"\xff\xfe", b"{" + b" " * 200_000 + b"}"])
def test_metadata_that_cannot_be_read_are_quarantined(recorder: Recorder, metadata: bytes) -> None:
    recorder.put_pair()
    recorder.put("x.json", metadata)

    assert recorder.look_twice() == Look(refused=1)
    assert recorder.reason()["errors"][0]["loc"] == "metadata"


@pytest.mark.parametrize("suffix", [".WAV", ".flac", ".Opus", ".al"])
def test_any_audio_suffix_is_looked_at(recorder: Recorder, suffix: str) -> None:
    recorder.put(f"x{suffix}", recorder.sound)
    recorder.put("x.JSON", json.dumps(METADATA).encode())

    assert recorder.look_twice() == Look(taken=1)


@pytest.mark.parametrize("name", [".x.wav", "x.wav.part", "x.tmp", "notes.txt"])
def test_other_files_are_left_alone_for_ever(recorder: Recorder, name: str) -> None:
    recorder.put(name, recorder.sound, age=timedelta(days=9))

    assert recorder.look_twice() == Look()
    assert recorder.files() == {name}


@pytest.mark.parametrize("name", ["x.wav", "x.json"])
@pytest.mark.parametrize(
    ("age", "look"),
    [
        pytest.param(timedelta(minutes=9), Look(waiting=1), id="9 minutes"),
        pytest.param(timedelta(minutes=11), Look(unpaired=1), id="11 minutes"),
        pytest.param(timedelta(minutes=61), Look(refused=1), id="61 minutes"),
    ],
)
def test_half_a_pair_waits_is_told_and_is_set_aside(recorder: Recorder, name: str, age: timedelta, look: Look) -> None:
    recorder.put(name, b"{}", age=age)

    assert recorder.look_twice() == look


def test_the_other_half_may_come_late(recorder: Recorder, engine: Engine) -> None:
    recorder.put("x.wav", recorder.sound)
    recorder.look_twice()
    recorder.put("x.json", json.dumps(METADATA).encode())

    assert recorder.look_twice() == Look(taken=1)
    assert stored(engine) == ["call-1"]


def test_a_half_that_comes_after_the_other_was_set_aside_is_not_taken_for_moved(recorder: Recorder) -> None:
    recorder.put("x.json", json.dumps(METADATA).encode(), age=timedelta(hours=2))
    recorder.look_twice()
    recorder.put("x.wav", recorder.sound)

    assert recorder.look_twice() == Look(waiting=1)
    assert "x.wav" in recorder.files()


def test_two_audio_files_of_one_name_are_nobody_s(recorder: Recorder, engine: Engine) -> None:
    recorder.put_pair()
    recorder.put("x.mp3", recorder.sound)

    assert recorder.look_twice() == Look(waiting=1)
    recorder.clock.advance(timedelta(hours=2))
    assert recorder.look() == Look(refused=1)
    assert stored(engine) == []


@pytest.mark.parametrize("odd", ["link", "pipe", "link to nothing"])
def test_what_is_no_file_is_never_opened(recorder: Recorder, engine: Engine, tmp_path: Path, odd: str) -> None:
    recorder.put("x.json", json.dumps(METADATA).encode())
    secret = tmp_path / "secret.wav"
    secret.write_bytes(recorder.sound)
    path = recorder.directory / "x.wav"
    makers = {
        "link": lambda: path.symlink_to(secret),
        "pipe": lambda: os.mkfifo(path),
        "link to nothing": lambda: path.symlink_to(tmp_path / "nothing"),
    }
    makers[odd]()

    assert recorder.look_twice() == Look(waiting=1)
    recorder.clock.advance(timedelta(hours=2))
    assert recorder.look() == Look(refused=1)
    assert stored(engine) == []
    assert secret.exists()


@pytest.mark.parametrize("stem", ["录音 (1)", "a[b]*?", "x" * 250, "\udcff\udcfe", "-rf", "a.b.c"], ids=ascii)
def test_odd_names_are_taken_in(recorder: Recorder, engine: Engine, stem: str) -> None:
    recorder.put_pair(stem)

    assert recorder.look_twice() == Look(taken=1)
    assert stored(engine) == ["call-1"]


@pytest.mark.parametrize("stem", ["录音 (1)", "x" * 250, "\udcff\udcfe"], ids=ascii)
def test_odd_names_are_refused(recorder: Recorder, stem: str) -> None:
    recorder.put_pair(stem, without("channels"))

    assert recorder.look_twice() == Look(refused=1)
    assert len(recorder.files()) == 3


def test_a_name_used_again_overwrites_nothing(recorder: Recorder, engine: Engine) -> None:
    recorder.put_pair()
    recorder.look_twice()
    recorder.put_pair(fields=without(call_id="call-2"))

    assert recorder.look_twice() == Look(taken=1)
    assert stored(engine) == ["call-1", "call-2"]
    assert len(recorder.files()) == 4


def test_the_same_pair_again_is_the_same_recording(recorder: Recorder, engine: Engine) -> None:
    recorder.put_pair()
    recorder.look_twice()
    recorder.put_pair("y")

    assert recorder.look_twice() == Look(taken=1)
    assert stored(engine) == ["call-1"]


@pytest.mark.parametrize("moved", ["x.wav", "x.json"])
def test_half_of_a_moved_pair_follows_the_other(recorder: Recorder, engine: Engine, moved: str) -> None:
    recorder.put_pair()
    (recorder.directory / DAY).mkdir(parents=True)
    (recorder.directory / moved).rename(recorder.directory / DAY / moved)

    assert recorder.look_twice() == Look(taken=1)
    assert recorder.files() == {f"{DAY}/x.wav", f"{DAY}/x.json"}


def test_half_of_a_refused_pair_follows_the_other(recorder: Recorder) -> None:
    recorder.put_pair(fields=without("channels"))
    recorder.look_twice()
    (recorder.directory / "quarantine" / "x.json").rename(recorder.directory / "x.json")

    assert recorder.look() == Look(taken=1)
    assert recorder.files() == {"quarantine/x.wav", "quarantine/x.json", "quarantine/x.reason.json"}


def test_a_store_that_is_away_leaves_the_spool_as_it_is(
    recorder: Recorder, places: Places, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object, **_named: object) -> None:
        msg = "away"
        raise ObjectStoreError(msg)

    recorder.put_pair()
    recorder.look()
    recorder.clock.advance(timedelta(seconds=10))
    monkeypatch.setattr(places.first, "put", fail)
    with pytest.raises(ObjectStoreError):
        recorder.look()
    monkeypatch.undo()

    assert recorder.files() == {"x.wav", "x.json"}
    assert recorder.look() == Look(taken=1)
    assert stored(engine) == ["call-1"]


def test_only_so_many_are_taken_at_a_look_the_oldest_first(recorder: Recorder, engine: Engine) -> None:
    recorder.put_pair("a", without(call_id="call-a"))
    recorder.put_pair("b", without(call_id="call-b"))
    old = recorder.clock() - timedelta(hours=1)
    os.utime(recorder.directory / "b.wav", (old.timestamp(), old.timestamp()))
    recorder.look()
    recorder.clock.advance(timedelta(seconds=10))

    assert recorder.spool.look(most=1, most_seconds=60) == Look(taken=1, waiting=1)
    assert stored(engine) == ["call-b"]


def test_what_cannot_be_moved_away_is_told(recorder: Recorder, engine: Engine) -> None:
    recorder.put_pair()
    (recorder.directory / "taken").write_text("in the way")

    assert recorder.look_twice() == Look(stuck=1)
    assert stored(engine) == ["call-1"]
    (recorder.directory / "taken").unlink()
    assert recorder.look() == Look(taken=1)


def test_a_pair_that_the_store_cannot_take_holds_up_no_other(
    recorder: Recorder, places: Places, engine: Engine
) -> None:
    recorder.put_pair("a", without(call_id="call-a"))
    recorder.look_twice()
    [journal] = Path(places.first.name).rglob("*+versions.jsonl")
    journal.write_text("no journal\n")
    with engine.begin() as connection:
        connection.execute(update(recording_copies).where(recording_copies.c.copy == "first").values(state="missing"))
    recorder.put_pair("a", without(call_id="call-a"), age=timedelta(hours=1))
    recorder.put_pair("b", without(call_id="call-b"))

    assert recorder.look_twice() == Look(taken=1, failing=1)
    assert stored(engine) == ["call-a", "call-b"]


def test_pairs_that_failed_come_after_all_others(recorder: Recorder, places: Places, engine: Engine) -> None:
    recorder.put_pair("a", without(call_id="call-a"), age=timedelta(hours=1))
    places.staging.parent.mkdir()
    places.staging.write_text("in the way")
    with pytest.raises(FileExistsError):
        recorder.look_twice()
    places.staging.unlink()
    recorder.put_pair("b", without(call_id="call-b"))
    recorder.spool.look(most=0, most_seconds=60)
    recorder.clock.advance(timedelta(seconds=10))

    assert recorder.spool.look(most=1, most_seconds=60) == Look(taken=1, waiting=1)
    assert stored(engine) == ["call-b"]


def test_a_staging_directory_that_cannot_be_written_refuses_no_pair(recorder: Recorder, places: Places) -> None:
    recorder.put_pair()
    places.staging.parent.mkdir(exist_ok=True)
    places.staging.write_text("in the way")
    with pytest.raises(FileExistsError):
        recorder.look_twice()

    assert recorder.files() == {"x.wav", "x.json"}


def test_no_pair_is_begun_after_the_seconds_of_a_look(recorder: Recorder, engine: Engine) -> None:
    recorder.put_pair()
    recorder.look()
    recorder.clock.advance(timedelta(seconds=10))

    assert recorder.spool.look(most=100, most_seconds=0) == Look(waiting=1)
    assert stored(engine) == []
