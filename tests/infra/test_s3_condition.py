"""Putting only what is not there, on a store that can be asked for it and on one that ignores the condition."""

from pathlib import Path

import pytest

from infra.object_store import Content, ObjectStoreError, UntrueStoreError
from infra.s3_object_store import S3ObjectStore
from tests.infra.stored_contents import content
from tests.s3_simulator import Fault, Simulator

KEY = "ab/abcd"
NAME = f"of-us/{KEY}"


@pytest.fixture(params=[True, False], ids=["puts only what is new if asked", "knows no conditions"])
def tried(store: S3ObjectStore, simulator: Simulator, request: pytest.FixtureRequest, tmp_path: Path) -> S3ObjectStore:
    """A store that has found out whether it can ask the bucket to put only what is not there."""
    simulator.knows_conditions = request.param
    store.put("ab/other", content(tmp_path, b"other"), is_held=False)
    simulator.asked.clear()
    return store


@pytest.mark.parametrize(
    "fault", [Fault.FAILS, Fault.FAILS_AFTERWARDS, Fault.HANGS_UP_AFTERWARDS, Fault.CONFLICT], ids=str
)
def test_a_put_that_failed_once_is_made_once(
    tried: S3ObjectStore, simulator: Simulator, voice: Content, fault: Fault
) -> None:
    simulator.fails(fault, "put", times=1)

    kept = tried.put(KEY, voice, is_held=True)

    assert [one.version_id for one in simulator.bucket.keys[NAME]] == [kept.version_id]


def test_what_an_earlier_try_has_put_is_found_and_not_put_again(
    tried: S3ObjectStore, simulator: Simulator, voice: Content
) -> None:
    kept = tried.put(KEY, voice, is_held=True)

    assert tried.put(KEY, voice, is_held=True) == kept
    assert len(simulator.bucket.keys[NAME]) == 1


def test_the_same_bytes_under_another_hold_are_another_version(
    tried: S3ObjectStore, simulator: Simulator, voice: Content
) -> None:
    kept = tried.put(KEY, voice, is_held=False)

    again = tried.put(KEY, voice, is_held=True)

    assert [one.version_id for one in simulator.bucket.keys[NAME]] == [kept.version_id, again.version_id]


def test_a_store_that_knows_conditions_is_not_asked_before_a_put(
    store: S3ObjectStore, simulator: Simulator, voice: Content
) -> None:
    store.put("ab/other", voice, is_held=False)
    simulator.asked.clear()

    store.put(KEY, voice, is_held=True)

    assert simulator.asked == ["put", "head"]


def test_a_store_that_knows_none_is_asked_before_and_keeps_nothing_of_the_trial(
    store: S3ObjectStore, simulator: Simulator, voice: Content
) -> None:
    simulator.knows_conditions = False
    store.put("ab/other", voice, is_held=False)
    simulator.asked.clear()

    store.put(KEY, voice, is_held=True)

    assert simulator.asked == ["head", "put", "head"]
    assert simulator.bucket.keys["of-us/probe/once"] == []


def test_a_trial_that_was_not_answered_is_made_again(
    store: S3ObjectStore, simulator: Simulator, voice: Content
) -> None:
    simulator.fails(Fault.FAILS, "put")
    with pytest.raises(ObjectStoreError, match="it fails"):
        store.put(KEY, voice, is_held=True)
    simulator.fails(Fault.NONE)
    store.put(KEY, voice, is_held=True)
    simulator.asked.clear()

    store.put("ab/other", voice, is_held=True)

    assert simulator.asked == ["put", "head"]


def test_who_may_not_try_looks_before_each_put(store: S3ObjectStore, simulator: Simulator, voice: Content) -> None:
    simulator.fails(Fault.FORBIDDEN, "put", times=1)

    store.put(KEY, voice, is_held=True)

    assert simulator.asked == ["put", "head", "put", "head"]


@pytest.mark.parametrize("fault", [Fault.FORGETS, Fault.NO_LOCK, Fault.OTHER_CHECKSUM, Fault.NO_VERSIONS], ids=str)
def test_a_200_to_a_put_is_not_believed_before_it_is_read_back(
    tried: S3ObjectStore, simulator: Simulator, voice: Content, fault: Fault
) -> None:
    simulator.fails(fault, "put")

    with pytest.raises(UntrueStoreError):
        tried.put(KEY, voice, is_held=True)
