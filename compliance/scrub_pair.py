"""Two processes at one file: each makes every other piece, and all pieces end up in their order.

Knows nothing of what the pieces are. The second process is forked, so that it has everything the first has; it
writes its own pieces into the file, at the places that the first one tells it. At most one finished piece of each
waits for its place.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

Summary = TypeVar("Summary")
Pipe: TypeAlias = "Connection[Any, Any]"


class Piece(NamedTuple):
    """Bytes of the file, and the number of rows in them."""

    rows: int
    data: bytes


class SecondProcessError(RuntimeError):
    """The second process could not do its part; the file is not whole."""


class _Written(NamedTuple):
    rows: int
    length: int


class _Failed(NamedTuple):
    why: str


_NOTHING = _Written(0, 0)

Pieces = Callable[[], Iterator[Piece]]
Note = Callable[[int], None]
"""Called with the number of rows done so far."""


@dataclass(frozen=True, slots=True)
class Pair(Generic[Summary]):
    """A file to be written by two: `mine` are its first, third, ... pieces, `theirs` the second, fourth, ...

    `sum_up` is asked in the second process after its last piece; its answer goes through a pipe.
    """

    mine: Pieces
    theirs: Pieces
    sum_up: Callable[[], Summary]

    def write(self, file: int, begin: int, *, note: Note) -> Summary:
        """Write all pieces to the open `file` from the offset `begin` on; return what `sum_up` answers.

        Raises:
            SecondProcessError: as it says. Errors of this process's own pieces are raised as they are.
        """
        # Not "spawn": a process that has to load the program first would come too late.
        context = get_context("fork")
        here, there = context.Pipe()
        second = context.Process(target=self._be_second, args=(file, here, there), daemon=True)
        second.start()
        there.close()
        try:
            return self._be_first(file, begin, here, note)
        finally:
            here.close()
            second.join()

    def _be_first(self, file: int, begin: int, second: Pipe, note: Note) -> Summary:
        offset, rows, is_first = begin, 0, True
        for piece in self.mine():
            other = _NOTHING if is_first else _receive(second)
            is_first = False
            _write_at(file, piece.data, offset + other.length)
            offset += other.length + len(piece.data)
            _send(second, offset)
            rows += other.rows + piece.rows
            note(rows)
        if not is_first:
            note(rows + _receive(second).rows)
        _send(second, None)
        summary: Summary = _receive(second)
        return summary

    def _be_second(self, file: int, here: Pipe, there: Pipe) -> None:
        # Its own copy of the other end would keep this process waiting for ever if the first one died.
        here.close()
        # Ctrl-C at a terminal reaches both; the first one answers for it.
        with suppress(EOFError, KeyboardInterrupt):
            try:
                for piece in self.theirs():
                    offset = there.recv()
                    there.send(_Written(piece.rows, len(piece.data)))
                    _write_at(file, piece.data, offset)
                while there.recv() is not None:
                    there.send(_NOTHING)
                there.send(self.sum_up())
            except EOFError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is, the first process has to know
                there.send(_Failed(type(error).__name__))


def _send(second: Pipe, message: int | None) -> None:
    try:
        second.send(message)
    except OSError as error:
        raise SecondProcessError("the process that shared the work has ended") from error


def _receive(second: Pipe) -> Any:  # noqa: ANN401 - whatever the other end sends
    try:
        found = second.recv()
    except (EOFError, OSError) as error:
        raise SecondProcessError("the process that shared the work has ended") from error
    if isinstance(found, _Failed):
        raise SecondProcessError(f"the process that shared the work failed: {found.why}")
    return found


def _write_at(file: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view, offset)
        view, offset = view[written:], offset + written
