"""Which store a setting names, and which are good enough."""

from pathlib import Path

import pytest

from infra.clock import utc_now
from infra.directory_store import DirectoryStore
from infra.object_stores import NotWormError, demand_worm, open_object_store, open_recording_stores
from infra.s3_object_store import S3ObjectStore
from infra.s3_place import S3PlaceError
from infra.settings import Settings
from tests.s3_simulator import s3_simulator


@pytest.mark.parametrize(
    ("url", "kind", "name"),
    [
        pytest.param(None, DirectoryStore, "/default", id="none"),
        pytest.param("there", DirectoryStore, "there", id="a path"),
        pytest.param("file:///srv/there", DirectoryStore, "/srv/there", id="a file URL"),
        pytest.param("s3://bucket/prefix?region=cn-north-1", S3ObjectStore, "s3://bucket/prefix", id="a bucket"),
    ],
)
def test_a_url_names_a_store(url: str | None, kind: type, name: str) -> None:
    store = open_object_store(url, default=Path("/default"), clock=utc_now)

    assert (type(store), store.name, store.is_worm) == (kind, name, False)


def test_a_url_that_names_no_bucket_is_refused() -> None:
    with pytest.raises(S3PlaceError):
        open_object_store("s3://", default=Path("/default"), clock=utc_now)


def test_the_two_stores_of_recordings_differ_by_default(tmp_path: Path) -> None:
    first, second = open_recording_stores(Settings(data_dir=tmp_path), clock=utc_now)

    assert [first.name, second.name] == [str(tmp_path / "recordings"), str(tmp_path / "recordings-copy")]


def test_one_store_that_is_not_worm_is_too_many(credentials: None, tmp_path: Path) -> None:
    with s3_simulator() as simulator:
        good = open_object_store(simulator.place(), default=tmp_path, clock=utc_now)
        demand_worm([good])
        with pytest.raises(NotWormError, match="a directory cannot") as raised:
            demand_worm([good, open_object_store(None, default=tmp_path / "store", clock=utc_now)])

    assert good.is_worm
    assert "s3://evidence" not in str(raised.value)
