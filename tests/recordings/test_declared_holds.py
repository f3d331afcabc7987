"""Times on hold are declared with a recording, once; no repeat adds, changes or removes them."""

from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from recordings.metadata import MetadataError
from recordings.tables import recording_segments
from tests.recordings.desk import Desk, places_below, stereo, without


@pytest.fixture
def desk(engine: Engine, tmp_path: Path) -> Desk:
    return Desk(engine, places_below(tmp_path / "data"))


@pytest.fixture
def call(tmp_path: Path) -> Path:
    """Two seconds."""
    return stereo(tmp_path / "call.wav")


def stored(desk: Desk) -> list[tuple[int, int]]:
    columns = recording_segments.c
    with desk.engine.connect() as connection:
        rows = connection.execute(select(columns.start_ms, columns.end_ms).order_by(columns.start_ms))
        return [(row.start_ms, row.end_ms) for row in rows]


def test_holds_are_kept_with_the_recording(desk: Desk, call: Path) -> None:
    registered = desk.take_in(call, without(holds_ms=[[100, 500], [1500, 2000]]))

    assert registered.warnings == ()
    assert stored(desk) == [(100, 500), (1500, 2000)]


def test_a_hold_beyond_the_end_is_refused_and_nothing_kept(desk: Desk, call: Path) -> None:
    with pytest.raises(MetadataError, match="beyond the end of the recording at 2000") as refused:
        desk.take_in(call, without(holds_ms=[[0, 10], [1500, 2001]]))

    assert [one.loc for one in refused.value.faults] == ["holds_ms"]
    assert stored(desk) == []


@pytest.mark.parametrize(
    ("first", "then", "warned"),
    [
        pytest.param([[0, 5]], [[0, 5]], [], id="the same"),
        pytest.param([[0, 5]], None, [], id="not said again"),
        pytest.param(None, [], [], id="none, said later"),
        pytest.param(None, [[0, 5]], ["holds_ms"], id="added later"),
        pytest.param([[0, 5]], [], ["holds_ms"], id="taken away"),
        pytest.param([[0, 5]], [[0, 6]], ["holds_ms"], id="longer"),
    ],
)
def test_a_repeat_changes_no_hold_and_says_so(
    desk: Desk, call: Path, first: list[list[int]] | None, then: list[list[int]] | None, warned: list[str]
) -> None:
    desk.take_in(call, without(holds_ms=first))
    before = stored(desk)

    again = desk.take_in(call, without(holds_ms=then))

    assert [one.field for one in again.warnings] == warned
    assert stored(desk) == before
