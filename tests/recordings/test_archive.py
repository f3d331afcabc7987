"""Taking recordings in: stored under hold and registered once, or refused with nothing left behind."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, select, update

from infra.object_store import ObjectStoreError
from recordings.archive import take_in
from recordings.audio import probe
from recordings.metadata import MetadataError
from recordings.object_keys import object_key
from recordings.places import Places
from recordings.recording_rows import read_copies, read_media, read_recording
from recordings.registration import DisposedRecordingError
from recordings.tables import recording_copies, recordings
from recordings.unreadable_audio import UnreadableAudioError
from tests.conftest import NOON
from tests.recordings.audio_files import silence, tone, write
from tests.recordings.desk import (
    METADATA,
    Desk,
    add_call,
    places_below,
    queue_in,
    read_events,
    sha256_of,
    stereo,
    without,
)


@pytest.fixture
def desk(engine: Engine, tmp_path: Path) -> Desk:
    return Desk(engine, places_below(tmp_path / "data"))


@pytest.fixture
def call(tmp_path: Path) -> Path:
    return stereo(tmp_path / "call.wav")


def count(engine: Engine) -> int:
    with engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(recordings)).scalar_one()


def staged_files(desk: Desk) -> list[Path]:
    return list(desk.places.staging.iterdir())


def stored_files(desk: Desk) -> list[Path]:
    return [path for path in Path(desk.places.first.name).rglob("*") if path.is_file()]


def test_a_recording_is_registered_with_what_was_found_in_it(desk: Desk, call: Path) -> None:
    registered = desk.take_in(call)

    with desk.engine.connect() as connection:
        found = read_recording(connection, registered.recording_id)
    assert registered.is_new
    assert (found.sha256, found.size_bytes) == (sha256_of(call), call.stat().st_size)
    assert (found.codec, found.container, found.sample_rate, found.duration_ms) == ("alaw", "wav", 8000, 2000)
    assert (found.channels, found.phone_e164, found.source) == (("agent", "customer"), "+8613800138000", "import")
    assert staged_files(desk) == []


def test_the_first_copy_is_stored_under_hold_and_the_second_is_wanted(desk: Desk, call: Path) -> None:
    registered = desk.take_in(call)

    with desk.engine.connect() as connection:
        first, second = read_copies(connection, registered.recording_id)
    assert (first.copy, first.state, first.is_held, first.stored_at) == ("first", "stored", True, NOON)
    assert (second.copy, second.state, second.version_id) == ("second", "wanted", None)
    key = object_key(sha256_of(call), "call-1")
    assert b"".join(desk.places.first.read(key, first.version_id or "")) == call.read_bytes()
    assert desk.places.first.head(key, first.version_id or "").is_held


def test_the_waveform_is_kept_beside_it(desk: Desk, call: Path) -> None:
    registered = desk.take_in(call)

    with desk.engine.connect() as connection:
        media = read_media(connection, registered.recording_id)
    assert media is not None
    assert media.peaks
    assert media.playable_key is None


def test_the_same_bytes_and_call_are_one_recording(desk: Desk, call: Path) -> None:
    first = desk.take_in(call)
    again = desk.take_in(call)

    assert (again.recording_id, again.is_new, again.warnings) == (first.recording_id, False, ())
    assert count(desk.engine) == 1


def test_other_bytes_of_the_same_call_are_another_recording(desk: Desk, call: Path, tmp_path: Path) -> None:
    first = desk.take_in(call)
    other = desk.take_in(stereo(tmp_path / "part-2.wav", seconds=1))

    assert other.is_new
    assert other.recording_id != first.recording_id


def test_the_same_bytes_of_another_call_are_another_recording(desk: Desk, call: Path) -> None:
    first = desk.take_in(call)
    other = desk.take_in(call, without(call_id="call-2"))

    assert other.is_new
    assert other.recording_id != first.recording_id


def test_a_repeat_fills_what_was_not_known(desk: Desk, call: Path) -> None:
    registered = desk.take_in(call, without("agent_id", "phone"))

    again = desk.take_in(call, without(policy_no="P-1"))

    with desk.engine.connect() as connection:
        found = read_recording(connection, registered.recording_id)
        events = read_events(connection, registered.recording_id)
    assert again.warnings == ()
    assert (found.policy_no, found.agent_id, found.phone_e164) == ("P-1", "agent-1", "+8613800138000")
    assert (found.is_held, found.is_unlinked) == (True, True)
    [repeated] = [one for one in events if one.kind == "repeated"]
    assert repeated.details == {"added": ["agent_id", "phone_digits", "policy_no"], "contradicted": []}


def test_a_repeat_that_contradicts_changes_nothing_and_says_so(desk: Desk, call: Path) -> None:
    registered = desk.take_in(call)

    again = desk.take_in(call, without(agent_id="agent-2", phone="13900139000", channels=["customer", "agent"]))

    with desk.engine.connect() as connection:
        found = read_recording(connection, registered.recording_id)
    assert (found.agent_id, found.phone_e164, found.channels) == (
        "agent-1",
        "+8613800138000",
        ("agent", "customer"),
    )
    assert {one.field for one in again.warnings} == {"agent_id", "phone", "channels"}
    assert "139" not in str(again.warnings)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        pytest.param({"sha256": "0" * 64}, "sha256", id="wrong digest"),
        pytest.param({"channels": ["mixed"]}, "channels", id="fewer channels"),
    ],
)
def test_a_file_that_is_not_what_is_said_is_refused(
    desk: Desk, call: Path, changes: dict[str, object], field: str
) -> None:
    with pytest.raises(MetadataError) as refused:
        desk.take_in(call, without(**changes))

    assert [one.loc for one in refused.value.faults] == [field]
    assert (count(desk.engine), staged_files(desk), stored_files(desk)) == (0, [], [])


@pytest.mark.parametrize("content", [b"", b"RIFF", b"not audio at all" * 100], ids=["empty", "head only", "text"])
def test_what_is_no_audio_is_refused(desk: Desk, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(content)

    with pytest.raises(UnreadableAudioError):
        desk.take_in(path)

    assert (count(desk.engine), staged_files(desk), stored_files(desk)) == (0, [], [])


def test_a_headerless_file_is_taken_with_its_format_declared(desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "call.al"
    path.write_bytes(bytes(range(256)) * 125)

    registered = desk.take_in(path, without(raw_codec="alaw", raw_sample_rate=8000))

    with desk.engine.connect() as connection:
        found = read_recording(connection, registered.recording_id)
    assert (found.codec, found.duration_ms) == ("alaw", 2000)


def test_two_uploads_of_one_call_at_once_end_as_one_recording(desk: Desk, call: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        registered = list(pool.map(lambda _number: desk.take_in(call), range(8)))

    assert len({one.recording_id for one in registered}) == 1
    assert [one.is_new for one in registered].count(True) == 1
    assert len(desk.places.first.versions(object_key(sha256_of(call), "call-1"))) == 1


class AwayStore:
    """A store that answers nothing."""

    name = "away"
    is_worm = False

    def __getattr__(self, _name: str) -> Any:
        def fail(*_arguments: object, **_named: object) -> Iterator[bytes]:
            msg = "the store is full"
            raise ObjectStoreError(msg)

        return fail


def test_a_store_that_is_away_leaves_nothing_registered(engine: Engine, tmp_path: Path, call: Path) -> None:
    away: Any = AwayStore()
    desk = Desk(engine, Places(away, away, tmp_path / "staging"))

    with pytest.raises(ObjectStoreError):
        desk.take_in(call)

    assert (count(engine), staged_files(desk)) == (0, [])


def test_a_disposed_recording_is_not_taken_in_again(desk: Desk, call: Path) -> None:
    registered = desk.take_in(call)
    with desk.engine.begin() as connection:
        connection.execute(update(recordings).values(disposed_at=NOON))

    with pytest.raises(DisposedRecordingError, match=str(registered.recording_id)):
        desk.take_in(call)


def test_a_lost_first_copy_is_put_back_by_who_sends_it_again(desk: Desk, call: Path) -> None:
    registered = desk.take_in(call)
    with desk.engine.begin() as connection:
        connection.execute(update(recording_copies).where(recording_copies.c.copy == "first").values(state="missing"))

    again = desk.take_in(call)

    with desk.engine.connect() as connection:
        first, _ = read_copies(connection, registered.recording_id)
        kinds = [one.kind for one in read_events(connection, registered.recording_id)]
    assert (again.recording_id, again.is_new, first.state) == (registered.recording_id, False, "stored")
    assert "repaired" in kinds


@pytest.mark.parametrize(
    ("talked", "warned"),
    [
        pytest.param(4.0, [], id="two seconds less"),
        pytest.param(4.001, ["short_recording"], id="more than two seconds less"),
    ],
)
def test_a_recording_shorter_than_its_call_is_told(desk: Desk, call: Path, talked: float, warned: list[str]) -> None:
    add_call(desk.engine, seconds=talked)

    assert [one.code for one in desk.take_in(call).warnings] == warned


def test_the_parts_of_a_call_count_together(desk: Desk, call: Path, tmp_path: Path) -> None:
    add_call(desk.engine, seconds=5)
    first = desk.take_in(call)

    second = desk.take_in(stereo(tmp_path / "part-2.wav", seconds=1))

    assert ([one.code for one in first.warnings], second.warnings) == (["short_recording"], ())


@pytest.mark.parametrize("direction", ["outbound", "inbound"])
def test_what_the_call_record_says_is_added(desk: Desk, call: Path, direction: str) -> None:
    add_call(desk.engine, direction=direction)

    registered = desk.take_in(call, without("agent_id", "phone", "direction"))

    with desk.engine.connect() as connection:
        found = read_recording(connection, registered.recording_id)
    assert (found.agent_id, found.phone_e164, found.direction) == ("agent-1", "+8613800138000", direction)
    assert not found.is_unlinked


def test_a_recording_that_differs_from_its_call_is_told(desk: Desk, call: Path) -> None:
    add_call(desk.engine)

    registered = desk.take_in(call, without(agent_id="agent-9"))

    assert [(one.code, one.field) for one in registered.warnings] == [("contradicts_call", "agent_id")]


def test_without_a_sale_it_is_kept_for_the_company_years(desk: Desk, call: Path) -> None:
    registered = desk.take_in(call)

    with desk.engine.connect() as connection:
        found = read_recording(connection, registered.recording_id)
    assert (found.is_held, found.retention_basis) == (False, "company")
    assert found.keep_through is not None
    assert found.keep_through.year == NOON.year + 3


def test_an_unknown_policy_holds(desk: Desk, call: Path) -> None:
    registered = desk.take_in(call, without(policy_no="P-unknown"))

    with desk.engine.connect() as connection:
        found = read_recording(connection, registered.recording_id)
    assert (found.is_held, found.retention_basis, found.keep_through) == (True, "unknown_sale", None)


@pytest.mark.parametrize("name", ["wav-pcm-s16le", "wav-ulaw", "flac", "ogg-opus", "mp3"])
def test_every_format_is_taken(desk: Desk, tmp_path: Path, name: str) -> None:
    rate = 48000 if name == "ogg-opus" else 8000
    path = write(tmp_path / "call", tone(2, rate=rate, channels=2), name, rate=rate)

    registered = desk.take_in(path)

    with desk.engine.connect() as connection:
        found = read_recording(connection, registered.recording_id)
    assert found.duration_ms == pytest.approx(2000, abs=100)


def test_silence_is_measured(desk: Desk, tmp_path: Path) -> None:
    path = write(tmp_path / "silent.wav", silence(1, channels=2), "wav-pcm-s16le")

    registered = desk.take_in(path)

    with desk.engine.connect() as connection:
        assert read_recording(connection, registered.recording_id).silence_bp == 10_000


def test_the_transaction_is_not_open_while_the_store_works(engine: Engine, tmp_path: Path, call: Path) -> None:
    inner = places_below(tmp_path / "data")
    busy: list[int] = []

    class Watching:
        name = inner.first.name
        is_worm = False

        def put(self, *arguments: Any, **named: Any) -> object:
            busy.append(engine.pool.checkedout())  # type: ignore[attr-defined]  # a QueuePool counts
            return inner.first.put(*arguments, **named)

    watching: Any = Watching()
    Desk(engine, Places(watching, inner.second, inner.staging)).take_in(call)

    assert busy == [0]


def test_now_is_the_clock_s(engine: Engine, tmp_path: Path, call: Path) -> None:
    later = NOON + timedelta(days=1)
    desk = Desk(engine, places_below(tmp_path / "data"), lambda: later)
    arrival = desk.arrival(call, METADATA)

    registered = take_in(queue_in(engine, desk.places, lambda: later), arrival)

    with engine.connect() as connection:
        assert read_recording(connection, registered.recording_id).recorded_at == later


@pytest.mark.parametrize("name", ["wav-gsm", "wav-ima-adpcm"])
def test_what_browsers_do_not_play_gets_a_copy_that_they_do(desk: Desk, tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "call.wav", tone(2), name)

    registered = desk.take_in(path, without(channels=["mixed"]))

    with desk.engine.connect() as connection:
        media = read_media(connection, registered.recording_id)
    assert media is not None
    assert media.playable_key == object_key(sha256_of(path), "call-1") + ".playable"
    copy = tmp_path / "copy.wav"
    copy.write_bytes(b"".join(desk.places.first.read(media.playable_key, media.playable_version_id or "")))
    assert copy.stat().st_size == media.playable_size_bytes
    found = probe(copy)
    assert (found.codec, found.is_playable, found.duration_ms) == ("alaw", True, probe(path).duration_ms)
    assert not desk.places.first.head(media.playable_key, media.playable_version_id or "").is_held
    assert staged_files(desk) == []
