"""Objects in a directory: the files, what tampering shows, and what happens when the disk refuses."""

import hashlib
import json
import os
from collections.abc import Callable
from datetime import timedelta
from itertools import groupby
from pathlib import Path

import pytest

from infra.directory_store import DirectoryStore
from infra.object_store import NoSuchVersionError, ObjectStoreError, UntrueStoreError, VersionLockedError
from tests.conftest import NOON, SettableClock
from tests.infra.stored_contents import content

KEY = "recordings/ab/abcd"
LATER = NOON + timedelta(days=3650)


@pytest.fixture
def store(tmp_path: Path, clock: SettableClock) -> DirectoryStore:
    return DirectoryStore(tmp_path / "store", clock=clock)


def noted(called: list[str], name: str) -> Callable[..., object]:
    """Return what does as the function of `os` of this name, and notes in `called` that it was called."""
    real = getattr(os, name)

    def call(*given: object) -> object:
        called.append(name)
        return real(*given)

    return call


def files(tmp_path: Path) -> set[str]:
    return {str(path.relative_to(tmp_path / "store")) for path in (tmp_path / "store").rglob("*") if path.is_file()}


def journal(tmp_path: Path) -> Path:
    return tmp_path / "store" / "objects" / f"{KEY}+versions.jsonl"


def test_bytes_lie_under_their_hash_beside_the_journal_of_their_key(store: DirectoryStore, tmp_path: Path) -> None:
    store.put(KEY, content(tmp_path, b"voice"), is_held=True)

    name = f"objects/{KEY}+{hashlib.sha256(b'voice').hexdigest()}"
    assert files(tmp_path) == {name, f"objects/{KEY}+versions.jsonl"}
    assert (tmp_path / "store" / name).stat().st_mode & 0o777 == 0o400
    assert (tmp_path / "store").stat().st_mode & 0o777 == 0o700


def test_it_is_never_worm(store: DirectoryStore) -> None:
    assert not store.is_worm


def test_a_content_that_is_not_what_was_said_is_not_kept(store: DirectoryStore, tmp_path: Path) -> None:
    given = content(tmp_path, b"voice")
    given.path.write_bytes(b"noise")

    with pytest.raises(ValueError, match="other bytes"):
        store.put(KEY, given, is_held=True)

    assert files(tmp_path) == set()


def test_putting_the_bytes_again_repairs_them(store: DirectoryStore, tmp_path: Path) -> None:
    first = store.put(KEY, content(tmp_path, b"voice"), is_held=True)
    damaged = next((tmp_path / "store").rglob("*+*[0-9a-f]"))
    damaged.chmod(0o600)
    damaged.write_bytes(b"v0ice")

    assert store.put(KEY, content(tmp_path, b"voice"), is_held=True) == first
    assert b"".join(store.read(KEY, first.version_id)) == b"voice"


def test_bytes_that_somebody_removed_are_no_version(store: DirectoryStore, tmp_path: Path) -> None:
    kept = store.put(KEY, content(tmp_path, b"voice"), is_held=True)
    next((tmp_path / "store").rglob("*+*[0-9a-f]")).unlink()

    with pytest.raises(NoSuchVersionError, match="gone"):
        store.head(KEY, kept.version_id)
    with pytest.raises(NoSuchVersionError, match="gone"):
        store.read(KEY, kept.version_id)


def test_bytes_that_somebody_cut_are_told_while_they_are_read(store: DirectoryStore, tmp_path: Path) -> None:
    kept = store.put(KEY, content(tmp_path, b"voice"), is_held=True)
    damaged = next((tmp_path / "store").rglob("*+*[0-9a-f]"))
    damaged.chmod(0o600)
    damaged.write_bytes(b"voi")

    with pytest.raises(UntrueStoreError, match="2 bytes too early"):
        b"".join(store.read(KEY, kept.version_id))
    assert store.head(KEY, kept.version_id).size_bytes == 3


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(b'"is_held":true', b'"is_held":false', id="a hold taken off"),
        pytest.param(b"2036-", b"2026-", id="a date shortened"),
        pytest.param(b'"size_bytes":5', b'"size_bytes":4', id="a length changed"),
        pytest.param(b'{"change":"lock"', b'{ "change":"lock"', id="the same, spelled otherwise"),
        pytest.param(b'{"change":"lock"', b'{"change":"unlock"', id="no change of ours"),
        pytest.param(b"}\n{", b"}\n{}\n{", id="a line put in"),
        pytest.param(b"}\n{", b"}\n\xff\n{", id="no text"),
    ],
)
def test_a_journal_edited_by_hand_is_told_with_its_key(
    store: DirectoryStore, tmp_path: Path, old: bytes, new: bytes
) -> None:
    kept = store.put(KEY, content(tmp_path, b"voice"), is_held=True)
    store.set_retention(KEY, kept.version_id, LATER)
    store.set_hold(KEY, kept.version_id, is_held=False)
    journal(tmp_path).write_bytes(journal(tmp_path).read_bytes().replace(old, new, 1))

    with pytest.raises(UntrueStoreError, match=KEY):
        store.head(KEY, kept.version_id)
    with pytest.raises(UntrueStoreError, match=KEY):
        store.delete_version(KEY, kept.version_id)


def test_a_line_made_with_the_right_hash_may_still_not_shorten(store: DirectoryStore, tmp_path: Path) -> None:
    kept = store.put(KEY, content(tmp_path, b"voice"), is_held=False)
    store.set_retention(KEY, kept.version_id, LATER)
    last = journal(tmp_path).read_bytes().splitlines()[-1]
    forged = json.loads(last) | {"until": "2027-01-01T00:00:00Z", "previous": hashlib.sha256(last).hexdigest()}
    with journal(tmp_path).open("ab") as file:
        file.write(json.dumps(forged, separators=(",", ":")).encode() + b"\n")

    with pytest.raises(UntrueStoreError, match="line 3"):
        store.head(KEY, kept.version_id)


def test_a_journal_under_another_key_is_none(store: DirectoryStore, tmp_path: Path) -> None:
    kept = store.put(KEY, content(tmp_path, b"voice"), is_held=True)
    journal(tmp_path).rename(journal(tmp_path).with_name("other+versions.jsonl"))

    with pytest.raises(UntrueStoreError, match="recordings/ab/other"):
        store.head("recordings/ab/other", kept.version_id)


def test_a_torn_last_line_is_not_read_and_is_cut_at_the_next_change(store: DirectoryStore, tmp_path: Path) -> None:
    kept = store.put(KEY, content(tmp_path, b"voice"), is_held=True)
    with journal(tmp_path).open("ab") as file:
        file.write(b'{"change":"hold","at":"2026-11-23T04:00:00Z","previous":')

    assert store.head(KEY, kept.version_id).is_held
    assert store.set_retention(KEY, kept.version_id, LATER).retain_until == LATER
    assert [json.loads(line)["change"] for line in journal(tmp_path).read_bytes().splitlines()] == ["put", "lock"]


def test_bytes_go_with_the_last_version_that_has_them(
    store: DirectoryStore, tmp_path: Path, clock: SettableClock
) -> None:
    held = store.put(KEY, content(tmp_path, b"voice"), is_held=True)
    free = store.put(KEY, content(tmp_path, b"voice"), is_held=False)
    store.delete_version(KEY, free.version_id)
    assert b"".join(store.read(KEY, held.version_id)) == b"voice"

    store.set_hold(KEY, held.version_id, is_held=False)
    store.delete_version(KEY, held.version_id)
    assert files(tmp_path) == {f"objects/{KEY}+versions.jsonl"}


def test_the_end_of_one_key_leaves_equal_bytes_of_another(store: DirectoryStore, tmp_path: Path) -> None:
    one = store.put(KEY, content(tmp_path, b"voice"), is_held=False)
    other = store.put(f"{KEY}e", content(tmp_path, b"voice"), is_held=True)

    store.delete_version(KEY, one.version_id)

    assert b"".join(store.read(f"{KEY}e", other.version_id)) == b"voice"


def test_a_marker_hides_and_locks_nothing(store: DirectoryStore, tmp_path: Path) -> None:
    kept = store.put(KEY, content(tmp_path, b"voice"), is_held=True)
    marker = store.hide(KEY)

    assert [(one.is_latest, one.is_marker) for one in store.versions(KEY)] == [(True, True), (False, False)]
    assert store.head(KEY, kept.version_id) == kept
    with pytest.raises(NoSuchVersionError):
        store.set_hold(KEY, marker, is_held=True)
    with pytest.raises(VersionLockedError):
        store.delete_version(KEY, kept.version_id)

    store.delete_version(KEY, marker)
    assert [one.version_id for one in store.versions(KEY)] == [kept.version_id]


def test_what_writers_that_died_left_on_its_way_is_removed(
    tmp_path: Path, clock: SettableClock, store: DirectoryStore
) -> None:
    store.put(KEY, content(tmp_path, b"voice"), is_held=True)
    (tmp_path / "store" / "incoming" / "left").write_bytes(b"half")

    DirectoryStore(tmp_path / "store", clock=clock).put(KEY, content(tmp_path, b"voice"), is_held=True)

    assert not list((tmp_path / "store" / "incoming").iterdir())


def test_a_root_that_disappears_is_not_begun_anew(store: DirectoryStore, tmp_path: Path) -> None:
    store.put(KEY, content(tmp_path, b"voice"), is_held=True)
    (tmp_path / "store").rename(tmp_path / "elsewhere")

    with pytest.raises(ObjectStoreError, match="ENOENT"):
        store.put(KEY, content(tmp_path, b"voice"), is_held=True)

    assert not (tmp_path / "store").exists()


def test_a_root_that_is_no_directory_is_told(tmp_path: Path, clock: SettableClock) -> None:
    (tmp_path / "store").write_text("in the way")

    with pytest.raises(ObjectStoreError, match="EEXIST"):
        DirectoryStore(tmp_path / "store", clock=clock).put(KEY, content(tmp_path, b"voice"), is_held=True)


def test_bytes_and_line_are_each_on_disk_before_the_next_step(
    store: DirectoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put(KEY, content(tmp_path, b"voice"), is_held=True)
    called: list[str] = []
    given = content(tmp_path, b"other")
    for name in ("fsync", "replace", "pwrite"):
        monkeypatch.setattr(os, name, noted(called, name))

    store.put("cd/other", given, is_held=True)

    assert [name for name, _ in groupby(called)] == ["fsync", "replace", "fsync", "pwrite", "fsync"]


def test_that_a_version_is_gone_is_on_disk_before_its_bytes_go(
    store: DirectoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version_id = store.put(KEY, content(tmp_path, b"voice"), is_held=False).version_id
    called: list[str] = []
    for name in ("fsync", "unlink", "pwrite"):
        monkeypatch.setattr(os, name, noted(called, name))

    store.delete_version(KEY, version_id)

    assert [name for name, _ in groupby(called)] == ["pwrite", "fsync", "unlink", "fsync"]


def test_bytes_that_the_disk_cannot_read_any_more_are_damage_and_not_a_store_that_is_away(
    store: DirectoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version_id = store.put(KEY, content(tmp_path, b"voice"), is_held=True).version_id
    damaged = next((tmp_path / "store").rglob("*+*[0-9a-f]"))
    real = os.open
    # The first bytes of this file fail with EIO, as a bad sector does.
    monkeypatch.setattr(os, "open", lambda path, *given: real("/proc/self/mem" if path == damaged else path, *given))

    with pytest.raises(UntrueStoreError, match="EIO"):
        b"".join(store.read(KEY, version_id))


def become_link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


def become_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def become_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("become", "told"),
    [
        pytest.param(become_link, "ELOOP", id="a link to good bytes"),
        pytest.param(become_directory, "a directory", id="a directory"),
        pytest.param(become_pipe, "a pipe", id="a pipe, which nobody writes to"),
    ],
)
def test_what_stands_in_the_place_of_bytes_is_damage_and_keeps_nobody_waiting(
    store: DirectoryStore, tmp_path: Path, become: Callable[[Path], None], told: str
) -> None:
    version_id = store.put(KEY, content(tmp_path, b"voice"), is_held=True).version_id
    become(next((tmp_path / "store").rglob("*+*[0-9a-f]")))

    with pytest.raises(UntrueStoreError, match=told):
        b"".join(store.read(KEY, version_id))
