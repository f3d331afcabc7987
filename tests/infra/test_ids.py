"""Ids are new each time, save where somebody says where they come from."""

from uuid import UUID

import pytest

from infra.ids import ids_from, new_id

_KNOWN = UUID("01a2255a-3ac7-79b8-862a-3b66d331394d")


def test_ids_are_of_version_7_and_sort_as_they_were_made() -> None:
    made = [new_id() for _ in range(100)]

    assert {one.version for one in made} == {7}
    assert made == sorted(set(made))


def test_ids_come_from_a_source_until_its_end_and_no_longer() -> None:
    with ids_from(lambda: _KNOWN):
        inside = [new_id(), new_id()]

    assert inside == [_KNOWN, _KNOWN]
    assert new_id() != _KNOWN


def _fail() -> UUID:
    raise LookupError


def test_a_source_ends_with_an_error_too() -> None:
    with pytest.raises(LookupError), ids_from(_fail):
        new_id()

    assert new_id().version == 7
