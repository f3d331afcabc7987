"""Two processes at one file: the pieces in their order, and no half-written file taken for a whole one."""

import os
import signal
from collections.abc import Callable, Iterator
from itertools import islice
from multiprocessing import active_children
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compliance.scrub_pair import Pair, Piece, SecondProcessError

HEADER = b"header\n"


def every_other(pieces: list[bytes], first: int) -> Callable[[], Iterator[Piece]]:
    return lambda: (Piece(1, data) for data in islice(pieces, first, None, 2))


def written(path: Path, pair: Pair[str], notes: list[int] | None = None) -> str:
    with path.open("wb") as stream:
        stream.write(HEADER)
        stream.flush()
        return pair.write(stream.fileno(), len(HEADER), note=(notes if notes is not None else []).append)


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=2000), max_size=9))
def test_pieces_stand_in_the_file_in_their_order(tmp_path: Path, pieces: list[bytes]) -> None:
    notes: list[int] = []
    pair = Pair(mine=every_other(pieces, 0), theirs=every_other(pieces, 1), sum_up=lambda: f"by {len(pieces) // 2}")

    summary = written(tmp_path / "file", pair, notes)

    assert (tmp_path / "file").read_bytes() == HEADER + b"".join(pieces)
    assert summary == f"by {len(pieces) // 2}"
    assert notes[-1:] == ([len(pieces)] if pieces else [])
    assert notes == sorted(notes)


def test_large_pieces_are_written_whole(tmp_path: Path) -> None:
    pieces = [bytes([number]) * (5 << 20) for number in range(5)]
    pair = Pair(mine=every_other(pieces, 0), theirs=every_other(pieces, 1), sum_up=str)

    written(tmp_path / "file", pair)

    assert (tmp_path / "file").read_bytes() == HEADER + b"".join(pieces)


def failing() -> Iterator[Piece]:
    yield Piece(1, b"one")
    raise ZeroDivisionError


def dying() -> Iterator[Piece]:
    yield Piece(1, b"one")
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("theirs", [failing, dying])
def test_a_second_process_that_fails_or_dies_is_an_error(tmp_path: Path, theirs: Callable[[], Iterator[Piece]]) -> None:
    pair = Pair(mine=every_other([b"x"] * 9, 0), theirs=theirs, sum_up=str)

    with pytest.raises(SecondProcessError):
        written(tmp_path / "file", pair)


def interrupted() -> Iterator[Piece]:
    yield Piece(1, b"one")
    raise KeyboardInterrupt


def test_a_second_process_stopped_from_the_terminal_ends_without_a_word(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pair = Pair(mine=every_other([b"0", b"1", b"2"], 0), theirs=interrupted, sum_up=str)

    with pytest.raises(SecondProcessError):
        written(tmp_path / "file", pair)

    assert capfd.readouterr().err == ""


def test_a_summary_that_fails_is_an_error(tmp_path: Path) -> None:
    def no_summary() -> str:
        raise ZeroDivisionError

    pair = Pair(mine=every_other([b"x"], 0), theirs=every_other([b"x"], 1), sum_up=no_summary)

    with pytest.raises(SecondProcessError):
        written(tmp_path / "file", pair)


def test_an_error_of_the_first_process_is_raised_as_it_is_and_ends_the_second(tmp_path: Path) -> None:
    pair = Pair(mine=failing, theirs=every_other([b"x"] * 9, 1), sum_up=str)

    with pytest.raises(ZeroDivisionError):
        written(tmp_path / "file", pair)

    assert active_children() == []
