"""A directory that was written to is known again, and an empty mount point is not taken for it."""

from pathlib import Path

import pytest

from infra.directory_store import DirectoryStore
from infra.object_store import NoSuchVersionError, ObjectStoreError
from tests.conftest import SettableClock
from tests.infra.stored_contents import content

KEY = "recordings/ab/abcd"
NOT_IT = "mount its disk"


@pytest.fixture
def opened(tmp_path: Path, clock: SettableClock) -> DirectoryStore:
    """A store as a process opens it that has not written to it yet."""
    return DirectoryStore(tmp_path / "store", clock=clock, remembered=tmp_path / "known" / "store")


@pytest.fixture
def version_id(tmp_path: Path, clock: SettableClock) -> str:
    """A version that another process put."""
    store = DirectoryStore(tmp_path / "store", clock=clock, remembered=tmp_path / "known" / "store")
    return store.put(KEY, content(tmp_path, b"voice"), is_held=True).version_id


@pytest.fixture
def empty_mount_point(tmp_path: Path, version_id: str) -> Path:
    """The store's directory, empty, as it is while its disk is not mounted; the disk lies in `disk`."""
    (tmp_path / "store").rename(tmp_path / "disk")
    (tmp_path / "store").mkdir()
    return tmp_path / "store"


def test_nothing_is_missing_from_an_empty_mount_point(
    opened: DirectoryStore, version_id: str, empty_mount_point: Path
) -> None:
    with pytest.raises(ObjectStoreError, match=NOT_IT) as raised:
        opened.head(KEY, version_id)
    with pytest.raises(ObjectStoreError, match=NOT_IT):
        b"".join(opened.read(KEY, version_id))
    with pytest.raises(ObjectStoreError, match=NOT_IT):
        opened.versions(KEY)

    assert not isinstance(raised.value, NoSuchVersionError)


def test_nothing_is_written_into_an_empty_mount_point(
    opened: DirectoryStore, tmp_path: Path, empty_mount_point: Path
) -> None:
    with pytest.raises(ObjectStoreError, match=NOT_IT):
        opened.put(KEY, content(tmp_path, b"voice"), is_held=True)
    with pytest.raises(ObjectStoreError, match=NOT_IT):
        opened.delete_version(KEY, "any")

    assert list(empty_mount_point.iterdir()) == []


def test_a_root_that_is_gone_is_no_store_that_lost_everything(
    opened: DirectoryStore, version_id: str, empty_mount_point: Path
) -> None:
    empty_mount_point.rmdir()

    with pytest.raises(ObjectStoreError, match=NOT_IT):
        opened.head(KEY, version_id)


def test_once_the_disk_is_there_all_is_well(
    opened: DirectoryStore, tmp_path: Path, version_id: str, empty_mount_point: Path
) -> None:
    with pytest.raises(ObjectStoreError):
        opened.put(KEY, content(tmp_path, b"voice"), is_held=True)
    empty_mount_point.rmdir()
    (tmp_path / "disk").rename(tmp_path / "store")

    assert b"".join(opened.read(KEY, version_id)) == b"voice"
    assert opened.put(KEY, content(tmp_path, b"voice"), is_held=True).version_id == version_id


def test_the_disk_of_another_store_is_not_taken_for_it(
    opened: DirectoryStore, tmp_path: Path, clock: SettableClock, version_id: str, empty_mount_point: Path
) -> None:
    empty_mount_point.rmdir()
    other = DirectoryStore(tmp_path / "store", clock=clock, remembered=tmp_path / "known" / "other")
    other.put("other/key", content(tmp_path, b"other"), is_held=True)

    with pytest.raises(ObjectStoreError, match=NOT_IT):
        opened.head(KEY, version_id)
    with pytest.raises(ObjectStoreError, match=NOT_IT):
        opened.put(KEY, content(tmp_path, b"voice"), is_held=True)


def test_what_was_never_written_to_is_empty(opened: DirectoryStore) -> None:
    assert opened.versions(KEY) == []
    with pytest.raises(NoSuchVersionError):
        opened.head(KEY, "any")


def test_a_store_whose_disk_is_lost_is_begun_anew_when_the_operator_says_so(
    opened: DirectoryStore, tmp_path: Path, version_id: str, empty_mount_point: Path
) -> None:
    (tmp_path / "known" / "store").unlink()

    stored = opened.put(KEY, content(tmp_path, b"voice"), is_held=True)

    assert b"".join(opened.read(KEY, stored.version_id)) == b"voice"


def test_a_mark_that_was_made_and_not_yet_remembered_is_remembered(
    opened: DirectoryStore, tmp_path: Path, version_id: str
) -> None:
    known = tmp_path / "known" / "store"
    mark = known.read_text()
    known.unlink()

    opened.put(KEY, content(tmp_path, b"voice"), is_held=True)

    assert known.read_text() == mark == (tmp_path / "store" / "telesales-store").read_text()
