"""Listening over HTTP: the very bytes, in ranges; every listening noted before its first byte; the second copy too."""

import json
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select, text, update

from infra.embedded_postgres import EmbeddedPostgres
from infra.object_store import Content, NoSuchVersionError, ObjectStoreError
from recordings.stored_audio import PIECE_BYTES
from recordings.tables import recording_accesses, recording_copies, recordings
from services.edge import MOST_AT_ONCE
from tests.conftest import NOON, SettableClock
from tests.recordings.audio_files import tone, write
from tests.recordings.desk import METADATA, sha256_of, stereo, without
from tests.services.shared_app import SharedApp, shared_app
from tests.services.stalled_listeners import status_beside_stalled

CLOCK = SettableClock(NOON)


@pytest.fixture(scope="module")
def shared(server: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedApp]:
    with shared_app(server, template, tmp_path_factory.mktemp("data"), clock=CLOCK) as running:
        yield running


@pytest.fixture(autouse=True)
def empty(shared: SharedApp) -> None:
    CLOCK.at = NOON
    with shared.engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text("TRUNCATE recordings CASCADE"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return stereo(tmp_path / "call.wav")


def stored(shared: SharedApp, path: Path, fields: dict[str, object] | None = None) -> str:
    answer = shared.client("dialer").post(
        "/v1/recordings",
        files={"file": ("call.wav", path.read_bytes())},
        data={"metadata": json.dumps(dict(METADATA) if fields is None else fields)},
    )
    assert answer.status_code == 201, answer.text
    recording_id: str = answer.json()["recording_id"]
    return recording_id


@pytest.fixture
def recording_id(shared: SharedApp, path: Path) -> str:
    return stored(shared, path)


def listen(
    client: TestClient, recording_id: str, *, purpose: str = "complaint", form: str = "original", **headers: str
) -> httpx2.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    query = {"purpose": purpose, "form": form}
    return client.get(f"/v1/recordings/{recording_id}/audio", params=query, headers=named)


def noted(shared: SharedApp) -> list[tuple[str, str, str]]:
    columns = recording_accesses.c
    with shared.engine.connect() as connection:
        rows = connection.execute(
            select(columns.actor, columns.role, columns.purpose).order_by(columns.accessed_at, columns.access_id)
        )
        return [(row.actor, row.role, row.purpose) for row in rows]


def test_the_whole_audio_is_sent_as_it_came(shared: SharedApp, recording_id: str, path: Path) -> None:
    answer = listen(shared.client("inspector"), recording_id)

    assert (answer.status_code, answer.content) == (200, path.read_bytes())
    assert answer.headers["content-type"] == "audio/wav"
    assert answer.headers["content-length"] == str(path.stat().st_size)
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["etag"] == f'"{sha256_of(path).hex()}"'
    assert answer.headers["content-disposition"] == f'inline; filename="recording-{recording_id}.wav"'
    assert "no-store" in answer.headers["cache-control"]


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [("bytes=0-9", 0, 10), ("bytes=100-", 100, None), ("bytes=-100", -100, None), ("bytes=5-5", 5, 6)],
)
def test_ranges_are_sent(
    shared: SharedApp, recording_id: str, path: Path, asked: str, start: int, end: int | None
) -> None:
    answer = listen(shared.client("inspector"), recording_id, Range=asked)

    content = path.read_bytes()
    assert (answer.status_code, answer.content) == (206, content[start:end])
    first = start % len(content)
    assert answer.headers["content-range"] == f"bytes {first}-{first + len(answer.content) - 1}/{len(content)}"


def test_a_range_behind_the_end_is_416_and_no_listening(shared: SharedApp, recording_id: str, path: Path) -> None:
    answer = listen(shared.client("inspector"), recording_id, Range="bytes=10000000-")

    assert answer.status_code == 416
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["content-range"] == f"bytes */{path.stat().st_size}"
    assert noted(shared) == []


def test_several_ranges_are_answered_with_the_whole(shared: SharedApp, recording_id: str, path: Path) -> None:
    answer = listen(shared.client("inspector"), recording_id, Range="bytes=0-1,5-6")

    assert (answer.status_code, answer.content) == (200, path.read_bytes())


def test_a_range_of_another_version_is_answered_with_the_whole(shared: SharedApp, recording_id: str) -> None:
    client = shared.client("inspector")
    etag = listen(client, recording_id).headers["etag"]

    assert listen(client, recording_id, Range="bytes=0-1", If_Range=etag).status_code == 206
    assert listen(client, recording_id, Range="bytes=0-1", If_Range='"other"').status_code == 200


@pytest.mark.parametrize(("name", "status"), [("If-None-Match", 304), ("If-Match", 200)])
def test_conditions_are_kept(shared: SharedApp, recording_id: str, path: Path, name: str, status: int) -> None:
    client, tag = shared.client("inspector"), f'"{sha256_of(path).hex()}"'

    assert listen(client, recording_id, **{name: tag}).status_code == status


def test_an_audio_that_is_not_the_one_meant_is_412(shared: SharedApp, recording_id: str) -> None:
    assert listen(shared.client("inspector"), recording_id, If_Match='"other"').status_code == 412
    assert noted(shared) == []


def test_head_tells_and_is_no_listening(shared: SharedApp, recording_id: str, path: Path) -> None:
    client = shared.client("inspector")

    answer = client.head(f"/v1/recordings/{recording_id}/audio?purpose=claim", headers={"Range": "bytes=0-1"})

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == str(path.stat().st_size)
    assert noted(shared) == []


@pytest.mark.parametrize("query", ["", "?purpose=", "?purpose=marketing", "?purpose=claim&form=other"])
def test_without_a_purpose_there_is_nothing_to_hear(shared: SharedApp, recording_id: str, query: str) -> None:
    answer = shared.client("inspector").get(f"/v1/recordings/{recording_id}/audio{query}")

    assert answer.status_code == 422
    assert noted(shared) == []


def test_a_listening_is_noted_once_however_many_pieces_it_takes(shared: SharedApp, recording_id: str) -> None:
    client = shared.client("inspector")

    for start in range(0, 300, 100):
        listen(client, recording_id, Range=f"bytes={start}-{start + 99}")

    assert noted(shared) == [("inspector", "inspector", "complaint")]


def test_half_an_hour_later_it_is_another_listening(shared: SharedApp, recording_id: str) -> None:
    client = shared.client("inspector")
    listen(client, recording_id)
    CLOCK.advance(timedelta(minutes=30) - timedelta(seconds=1))
    listen(client, recording_id)
    before = len(noted(shared))
    CLOCK.advance(timedelta(seconds=1))
    listen(client, recording_id)

    assert (before, len(noted(shared))) == (1, 2)


def test_another_purpose_or_person_is_another_listening(shared: SharedApp, recording_id: str) -> None:
    listen(shared.client("inspector"), recording_id)
    listen(shared.client("inspector"), recording_id, purpose="training")
    listen(shared.client("auditor"), recording_id)

    assert noted(shared) == [
        ("inspector", "inspector", "complaint"),
        ("inspector", "inspector", "training"),
        ("auditor", "auditor", "complaint"),
    ]


def test_who_listened_is_listed_latest_first(shared: SharedApp, recording_id: str) -> None:
    listen(shared.client("inspector"), recording_id)
    CLOCK.advance(timedelta(minutes=1))
    listen(shared.client("officer"), recording_id, purpose="regulator")

    found = shared.client("auditor").get(f"/v1/recordings/{recording_id}/accesses?limit=1").json()
    rest = shared.client("auditor").get(
        f"/v1/recordings/{recording_id}/accesses", params={"limit": 1, "cursor": found["next_cursor"]}
    )

    assert found["items"] == [
        {
            "at": "2026-11-23T12:01:00+08:00",
            "user": "officer",
            "role": "officer",
            "purpose": "regulator",
            "address": "testclient",
        }
    ]
    assert [one["user"] for one in rest.json()["items"]] == ["inspector"]


def test_nothing_is_sent_when_the_listening_cannot_be_noted(shared: SharedApp, recording_id: str, path: Path) -> None:
    with shared.engine.begin() as connection:
        connection.execute(text("ALTER TABLE recording_accesses RENAME TO recording_accesses_away"))
    try:
        answer = listen(shared.client("inspector"), recording_id)
    finally:
        with shared.engine.begin() as connection:
            connection.execute(text("ALTER TABLE recording_accesses_away RENAME TO recording_accesses"))

    assert answer.status_code == 503
    assert path.read_bytes()[:100] not in answer.content


def copy_second(shared: SharedApp, recording_id: str, path: Path) -> None:
    """Put the second copy where it belongs, as the task does."""
    places = shared.app.state.telesales.places
    with shared.engine.begin() as connection:
        key = connection.execute(select(recordings.c.object_key)).scalar_one()
        put = places.second.put(key, Content(path, path.stat().st_size, sha256_of(path)), is_held=True)
        connection.execute(
            update(recording_copies)
            .where(recording_copies.c.copy == "second")
            .values(state="stored", version_id=put.version_id, is_held=True)
        )


@pytest.mark.parametrize("error", [ObjectStoreError("away"), NoSuchVersionError("gone")], ids=["away", "lost"])
def test_when_the_first_store_cannot_give_it_the_second_does(
    shared: SharedApp, recording_id: str, path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    copy_second(shared, recording_id, path)

    def fail(*_arguments: object, **_named: object) -> Iterator[bytes]:
        raise error

    monkeypatch.setattr(shared.app.state.telesales.places.first, "read", fail)

    answer = listen(shared.client("inspector"), recording_id, Range="bytes=10-99")

    assert (answer.status_code, answer.content) == (206, path.read_bytes()[10:100])


def test_a_first_copy_found_changed_is_not_played(shared: SharedApp, recording_id: str, path: Path) -> None:
    copy_second(shared, recording_id, path)
    changed = [one for one in Path(shared.app.state.telesales.places.first.name).rglob("*") if one.is_file()]
    damaged = next(one for one in changed if one.name.endswith(sha256_of(path).hex()))
    damaged.chmod(0o600)
    damaged.write_bytes(b"x" * path.stat().st_size)
    with shared.engine.begin() as connection:
        connection.execute(update(recording_copies).where(recording_copies.c.copy == "first").values(state="changed"))

    assert listen(shared.client("inspector"), recording_id).content == path.read_bytes()


def test_without_any_copy_it_is_503_and_no_listening(
    shared: SharedApp, recording_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object, **_named: object) -> Iterator[bytes]:
        msg = "away"
        raise ObjectStoreError(msg)

    monkeypatch.setattr(shared.app.state.telesales.places.first, "read", fail)

    assert listen(shared.client("inspector"), recording_id).status_code == 503
    assert noted(shared) == []


def test_a_disposed_recording_is_410_and_still_known(shared: SharedApp, recording_id: str) -> None:
    with shared.engine.begin() as connection:
        connection.execute(update(recordings).values(disposed_at=NOON))
    client = shared.client("inspector")

    assert listen(client, recording_id).status_code == 410
    assert client.get(f"/v1/recordings/{recording_id}/peaks").status_code == 410
    assert client.get(f"/v1/recordings/{recording_id}").json()["retention"]["state"] == "disposed"


def test_long_audio_comes_whole_in_pieces(shared: SharedApp, tmp_path: Path) -> None:
    path = stereo(tmp_path / "long.wav", seconds=160)
    recording_id = stored(shared, path)
    client = shared.client("inspector")

    whole = listen(client, recording_id)
    part = listen(client, recording_id, Range=f"bytes={PIECE_BYTES - 2}-{2 * PIECE_BYTES + 1}")

    assert whole.content == path.read_bytes()
    assert part.content == path.read_bytes()[PIECE_BYTES - 2 : 2 * PIECE_BYTES + 2]


def test_what_browsers_do_not_play_is_sent_so_that_they_do(shared: SharedApp, tmp_path: Path) -> None:
    path = write(tmp_path / "call.wav", tone(2), "wav-gsm")
    recording_id = stored(shared, path, without(channels=["mixed"]))
    client = shared.client("inspector")

    original, playable = listen(client, recording_id), listen(client, recording_id, form="playable")

    assert original.content == path.read_bytes()
    assert (playable.status_code, playable.headers["content-type"]) == (200, "audio/wav")
    assert playable.content[:4] == b"RIFF"
    assert playable.headers["etag"] != original.headers["etag"]


def test_where_no_copy_is_needed_the_original_is_the_playable_one(
    shared: SharedApp, recording_id: str, path: Path
) -> None:
    assert listen(shared.client("inspector"), recording_id, form="playable").content == path.read_bytes()


def test_peaks_are_json_of_both_channels(shared: SharedApp, recording_id: str) -> None:
    answer = shared.client("auditor").get(f"/v1/recordings/{recording_id}/peaks")

    found: Any = answer.json()
    assert answer.headers["content-type"] == "application/json"
    assert (found["version"], found["channels"]) == (2, 2)
    assert noted(shared) == []


@pytest.mark.parametrize("role", ["dialer", "admin"])
def test_who_may_not_listen_is_403(shared: SharedApp, recording_id: str, role: str) -> None:
    client = shared.client(role)

    assert listen(client, recording_id).status_code == 403
    assert client.head(f"/v1/recordings/{recording_id}/audio?purpose=claim").status_code == 403


def test_listeners_that_do_not_listen_keep_nobody_waiting(shared: SharedApp, tmp_path: Path) -> None:
    recording_id = stored(shared, stereo(tmp_path / "long.wav", seconds=160))
    path = f"/v1/recordings/{recording_id}/audio"
    ask = partial(status_beside_stalled, shared.app, shared.tokens["officer"], path, listeners=MOST_AT_ONCE + 4)

    assert shared.running.portal is not None
    assert shared.running.portal.call(ask) == (0, 200)
