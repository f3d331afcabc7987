"""What every store does: in a directory, in a simulated bucket, on moto, and on the server of S3_TEST_ENDPOINT."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from infra.clock import utc_now
from infra.directory_store import DirectoryStore
from infra.ids import new_id
from infra.object_store import (
    PIECE_BYTES,
    Content,
    NoSuchVersionError,
    ProbedStore,
    VersionLockedError,
)
from infra.s3_object_store import S3ObjectStore
from infra.s3_place import read_s3_place
from tests.conftest import give_credentials
from tests.infra.stored_contents import content
from tests.infra.tried_stores import ENDPOINT, KINDS, MOTO_GETS_WRONG, bucket_store
from tests.s3_simulator import s3_simulator

LATER = utc_now().replace(microsecond=0) + timedelta(days=3650)
MUCH_LATER = LATER + timedelta(days=3650)


@pytest.fixture(scope="module", params=KINDS)
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProbedStore]:
    """One store for all tests, which use keys of their own: a client of boto3 takes long to make."""
    if request.param == "server":
        yield bucket_store(ENDPOINT, utc_now)
        return
    with pytest.MonkeyPatch.context() as monkeypatch, s3_simulator() as simulator:
        give_credentials(monkeypatch)
        if request.param == "directory":
            yield DirectoryStore(tmp_path_factory.mktemp("store"), clock=utc_now)
        elif request.param == "moto":
            yield bucket_store(request.getfixturevalue("object_store"), utc_now)
        else:
            yield S3ObjectStore(read_s3_place(simulator.place()), clock=utc_now)


@pytest.fixture
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.node.callspec.params["opened"])


@pytest.fixture
def store(opened: ProbedStore, kind: str, request: pytest.FixtureRequest) -> ProbedStore:
    if kind == "moto" and request.node.originalname in MOTO_GETS_WRONG:
        pytest.skip(MOTO_GETS_WRONG[request.node.originalname])
    return opened


@pytest.fixture
def key() -> str:
    return f"ab/{new_id().hex}"


@pytest.fixture
def given(tmp_path: Path) -> Callable[[bytes], Content]:
    return lambda data: content(tmp_path, data)


Given = Callable[[bytes], Content]


def test_what_is_put_under_hold_is_read_back_so(store: ProbedStore, given: Given, key: str) -> None:
    voice = given(b"voice")

    kept = store.put(key, voice, is_held=True)

    assert (kept.key, kept.size_bytes, kept.is_held, kept.retain_until) == (key, 5, True, None)
    assert kept.sha256 in {voice.sha256, None}
    assert store.head(key, kept.version_id) == kept
    assert b"".join(store.read(key, kept.version_id)) == b"voice"


def test_an_empty_file_is_kept(store: ProbedStore, given: Given, key: str) -> None:
    kept = store.put(key, given(b""), is_held=True)

    assert store.head(key, kept.version_id).size_bytes == 0
    assert list(store.read(key, kept.version_id)) == []


def test_putting_again_makes_no_second_version(store: ProbedStore, given: Given, key: str) -> None:
    first = store.put(key, given(b"voice"), is_held=True)

    assert store.put(key, given(b"voice"), is_held=True) == first
    assert len(store.versions(key)) == 1


def test_a_released_version_put_again_under_hold_is_a_second_one(store: ProbedStore, given: Given, key: str) -> None:
    first = store.put(key, given(b"voice"), is_held=True)
    store.set_hold(key, first.version_id, is_held=False)

    second = store.put(key, given(b"voice"), is_held=True)

    assert second.version_id != first.version_id
    assert not store.head(key, first.version_id).is_held


def test_other_bytes_are_another_version_and_the_old_ones_stay(store: ProbedStore, given: Given, key: str) -> None:
    old = store.put(key, given(b"voice"), is_held=True)
    new = store.put(key, given(b"other voice"), is_held=False)

    assert b"".join(store.read(key, old.version_id)) == b"voice"
    assert b"".join(store.read(key, new.version_id)) == b"other voice"
    assert [(one.version_id, one.is_latest, one.is_marker) for one in store.versions(key)] == [
        (new.version_id, True, False),
        (old.version_id, False, False),
    ]
    assert store.head(key, old.version_id).is_held
    assert not store.head(key, new.version_id).is_held


def test_only_versions_of_exactly_the_key_are_listed(store: ProbedStore, given: Given, key: str) -> None:
    kept = store.put(key, given(b"voice"), is_held=True)
    store.put(f"{key}.playable", given(b"other"), is_held=False)
    store.put(f"{key}/below", given(b"other"), is_held=False)

    assert [one.version_id for one in store.versions(key)] == [kept.version_id]
    assert store.versions(key[:-1]) == []


def test_many_versions_are_all_listed_newest_first(store: ProbedStore, given: Given, key: str) -> None:
    made = [store.put(key, given(f"voice {number}".encode()), is_held=False) for number in range(7)]

    assert [one.version_id for one in store.versions(key)] == [one.version_id for one in reversed(made)]


def test_a_content_that_is_not_what_was_said_is_not_kept(store: ProbedStore, given: Given, key: str) -> None:
    voice = given(b"voice")
    voice.path.write_bytes(b"noise")

    with pytest.raises(ValueError, match="other bytes"):
        store.put(key, voice, is_held=True)

    assert store.versions(key) == []


@pytest.mark.parametrize("key", ["", "/a", "a/", "a//b", "a/../b", "a b", "a+b", "ä", "a" * 151, "a/" * 400 + "a"])
def test_a_key_that_not_every_store_can_keep_is_refused(store: ProbedStore, given: Given, key: str) -> None:
    with pytest.raises(ValueError, match="a key must be"):
        store.put(key, given(b"voice"), is_held=True)


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        pytest.param(0, None, b"0123456789", id="all"),
        pytest.param(3, None, b"3456789", id="to the last"),
        pytest.param(0, 1, b"0", id="first"),
        pytest.param(9, 10, b"9", id="last"),
        pytest.param(2, 5, b"234", id="middle"),
        pytest.param(8, 99, b"89", id="cut to what there is"),
        pytest.param(4, 4, b"", id="none"),
        pytest.param(10, None, b"", id="from the end"),
        pytest.param(99, 100, b"", id="beyond"),
    ],
)
def test_a_range_is_half_open(
    store: ProbedStore, given: Given, start: int, end: int | None, expected: bytes, key: str
) -> None:
    kept = store.put(key, given(b"0123456789"), is_held=False)

    assert b"".join(store.read(key, kept.version_id, start=start, end=end)) == expected


@pytest.mark.parametrize(("start", "end"), [(-1, None), (5, 4)])
def test_what_is_no_range_is_refused(store: ProbedStore, given: Given, start: int, end: int | None, key: str) -> None:
    kept = store.put(key, given(b"0123456789"), is_held=False)

    with pytest.raises(ValueError, match="are no range"):
        store.read(key, kept.version_id, start=start, end=end)


def test_large_bytes_come_in_pieces(store: ProbedStore, given: Given, key: str) -> None:
    data = bytes(range(256)) * 4096 * 2 + b"end"
    kept = store.put(key, given(data), is_held=False)

    pieces = list(store.read(key, kept.version_id))

    assert b"".join(pieces) == data
    assert max(map(len, pieces)) <= PIECE_BYTES


def test_what_is_not_there_is_told_at_once(store: ProbedStore, given: Given, key: str) -> None:
    kept = store.put(key, given(b"voice"), is_held=False)

    with pytest.raises(NoSuchVersionError):
        store.head(key, "none")
    with pytest.raises(NoSuchVersionError):
        store.read(key, "none")
    with pytest.raises(NoSuchVersionError):
        store.set_hold("ab/none", kept.version_id, is_held=True)
    with pytest.raises(NoSuchVersionError):
        store.set_retention("ab/none", kept.version_id, LATER)
    assert store.versions("ab/none") == []


def test_a_held_version_is_not_deleted(store: ProbedStore, given: Given, key: str) -> None:
    kept = store.put(key, given(b"voice"), is_held=True)

    with pytest.raises(VersionLockedError, match=key):
        store.delete_version(key, kept.version_id)

    assert b"".join(store.read(key, kept.version_id)) == b"voice"


def test_a_hold_is_put_and_released_any_number_of_times(store: ProbedStore, given: Given, key: str) -> None:
    kept = store.put(key, given(b"voice"), is_held=False)

    seen = [store.set_hold(key, kept.version_id, is_held=held).is_held for held in (True, True, False, False, True)]

    assert seen == [True, True, False, False, True]
    assert store.head(key, kept.version_id).is_held


def test_a_free_version_goes_and_may_go_again(store: ProbedStore, given: Given, key: str) -> None:
    kept = store.put(key, given(b"voice"), is_held=False)

    store.delete_version(key, kept.version_id)
    store.delete_version(key, kept.version_id)

    assert store.versions(key) == []
    with pytest.raises(NoSuchVersionError):
        store.head(key, kept.version_id)
    store.delete_version("ab/none", kept.version_id)


def test_a_lock_is_read_back_as_it_was_put(store: ProbedStore, given: Given, key: str) -> None:
    kept = store.put(key, given(b"voice"), is_held=True)

    locked = store.set_retention(key, kept.version_id, LATER)

    assert (locked.retain_until, locked.is_held) == (LATER, True)
    assert store.head(key, kept.version_id) == locked


def test_a_lock_keeps_a_version_after_the_hold_is_released(store: ProbedStore, given: Given, key: str) -> None:
    kept = store.put(key, given(b"voice"), is_held=True)
    store.set_retention(key, kept.version_id, LATER)
    released = store.set_hold(key, kept.version_id, is_held=False)

    assert (released.retain_until, released.is_held) == (LATER, False)
    with pytest.raises(VersionLockedError):
        store.delete_version(key, kept.version_id)


def test_a_hold_keeps_a_version_beyond_its_date(store: ProbedStore, given: Given, key: str) -> None:
    kept = store.put(key, given(b"voice"), is_held=False)
    store.set_retention(key, kept.version_id, LATER)

    assert store.set_hold(key, kept.version_id, is_held=True).retain_until == LATER
    with pytest.raises(VersionLockedError):
        store.delete_version(key, kept.version_id)


def test_a_lock_is_extended_and_the_same_date_changes_nothing(store: ProbedStore, given: Given, key: str) -> None:
    kept = store.put(key, given(b"voice"), is_held=False)

    seen = [store.set_retention(key, kept.version_id, until) for until in (LATER, LATER, MUCH_LATER, MUCH_LATER)]

    assert [one.retain_until for one in seen] == [LATER, LATER, MUCH_LATER, MUCH_LATER]


def test_a_lock_is_never_shortened(store: ProbedStore, given: Given, key: str) -> None:
    kept = store.put(key, given(b"voice"), is_held=False)
    store.set_retention(key, kept.version_id, LATER)

    with pytest.raises(VersionLockedError):
        store.set_retention(key, kept.version_id, LATER - timedelta(seconds=1))

    assert store.head(key, kept.version_id).retain_until == LATER


def test_a_fraction_of_a_second_is_rounded_up_and_an_offset_is_read(store: ProbedStore, given: Given, key: str) -> None:
    kept = store.put(key, given(b"voice"), is_held=False)
    until = datetime(2036, 2, 29, 23, 59, 59, 1, tzinfo=timezone(timedelta(hours=8)))

    assert store.set_retention(key, kept.version_id, until).retain_until == datetime(2036, 2, 29, 16, tzinfo=UTC)


def test_a_past_or_local_date_is_refused_before_anything_is_asked(store: ProbedStore, given: Given, key: str) -> None:
    kept = store.put(key, given(b"voice"), is_held=False)

    with pytest.raises(ValueError, match="past"):
        store.set_retention(key, kept.version_id, utc_now() - timedelta(days=1))
    with pytest.raises(ValueError, match="offset"):
        store.set_retention(key, kept.version_id, LATER.replace(tzinfo=None))

    assert store.head(key, kept.version_id).retain_until is None


def test_who_puts_at_once_finds_his_own_bytes(store: ProbedStore, tmp_path: Path, key: str) -> None:
    contents = [content(tmp_path, f"voice {number % 3}".encode()) for number in range(12)]

    with ThreadPoolExecutor(6) as threads:
        kept = list(threads.map(lambda one: store.put(key, one, is_held=True), contents))

    read = [b"".join(store.read(key, one.version_id)) for one in kept]
    assert read == [one.path.read_bytes() for one in contents]
    assert {one.version_id for one in kept} <= {one.version_id for one in store.versions(key)}


def test_locks_set_at_once_leave_the_latest_date(store: ProbedStore, given: Given, key: str) -> None:
    kept = store.put(key, given(b"voice"), is_held=True)
    dates = [LATER + timedelta(days=number * 7 % 11) for number in range(11)]

    def lock(until: datetime) -> None:
        with suppress(VersionLockedError):
            store.set_retention(key, kept.version_id, until)

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lock, dates))

    assert store.head(key, kept.version_id).retain_until == max(dates)


def test_it_can_be_used_after_it_was_closed(store: ProbedStore, given: Given, key: str) -> None:
    kept = store.put(key, given(b"voice"), is_held=True)
    store.close()

    assert store.head(key, kept.version_id) == kept


def test_the_probe_finds_nothing_that_is_needed_missing(store: ProbedStore, kind: str) -> None:
    rows = store.probe()

    assert [row for row in rows if row.is_needed and not row.is_ok] == []
    assert store.is_worm == (kind != "directory")
    assert [row.is_ok for row in store.probe()] == [row.is_ok for row in rows]
