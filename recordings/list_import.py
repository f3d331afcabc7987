"""Import of listed files: many at a time, each taken in or refused by itself, safe to repeat."""

import csv
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

from compliance.number_lists import neutralise
from infra.clock import seconds_running
from recordings.file_intake import FileIntake, FileRefusedError, take_file
from recordings.file_lists import ListedFile, read_file_list
from recordings.metadata import Fault, read_cells

REFUSED_FILE = "refused.csv"
_WAITING_PER_WORKER = 4

Show = Callable[[int, int | None], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListImport:
    """What is to be imported: the files that `listed` names below `directory`, of these only `only` if it is given.

    Refused rows go to `refused` with their reasons. `directory` and `only` are without links.
    """

    intake: FileIntake
    directory: Path
    listed: Path
    refused: Path
    only: Path | None = None
    workers: int = 16


@dataclass(slots=True)
class Totals:
    """stored + known + refused = rows. `seconds` is how long they took, the start of the program not counted."""

    rows: int = 0
    stored: int = 0
    known: int = 0
    refused: int = 0
    seconds: float = 0


class _Refusal(NamedTuple):
    row: ListedFile
    reason: str
    message: str


def run_list_import(wanted: ListImport, *, show: Show) -> Totals:
    """Import, and return how many rows came to what; `show` is told how far it is.

    Raises:
        UnreadableFileListError: the list cannot be read; rows before the fault are imported.
        ObjectStoreError: the store cannot keep more now; import again later.
    """
    began = seconds_running()
    total = sum(1 for _ in _rows(wanted))
    totals = Totals()
    with wanted.refused.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["line", "file", "reason", "message"])
        for found in _taken(wanted):
            totals.rows += 1
            if isinstance(found, _Refusal):
                totals.refused += 1
                writer.writerow([found.row.line, neutralise(found.row.file), found.reason, found.message])
            elif found:
                totals.stored += 1
            else:
                totals.known += 1
            show(totals.rows, total)
    totals.seconds = seconds_running() - began
    return totals


def _rows(wanted: ListImport) -> Iterator[ListedFile]:
    for row in read_file_list(wanted.listed):
        if wanted.only is None or row.fault is not None or _place(wanted.directory, row.file) == wanted.only:
            yield row


def _taken(wanted: ListImport) -> Iterator[_Refusal | bool]:
    """Yield what became of each row as it is done: a refusal, or whether it was new. A fault of a worker ends all."""
    # Each tells by itself that it is done: to wait for a set of them is to ask all of them, for each file anew.
    done: SimpleQueue[Future[_Refusal | bool]] = SimpleQueue()
    with ThreadPoolExecutor(wanted.workers, "import") as pool:
        running = 0
        try:
            for row in _rows(wanted):
                pool.submit(_take, wanted, row).add_done_callback(done.put)
                running += 1
                if running >= wanted.workers * _WAITING_PER_WORKER:
                    yield done.get().result()
                    running -= 1
            for _ in range(running):
                yield done.get().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _take(wanted: ListImport, row: ListedFile) -> _Refusal | bool:
    if row.fault is not None:
        return _Refusal(row, "row", row.fault)
    try:
        path = _below(wanted.directory, row.file)
        registered = take_file(wanted.intake, path, lambda now: read_cells(row.cells, now=now), follow_links=True)
    except FileRefusedError as error:
        return _Refusal(row, error.reason, str(error))
    return registered.is_new


def _below(directory: Path, file: str) -> Path:
    """Return where a listed file lies; a list does not reach out of its directory."""
    path = _place(directory, file)
    if path == directory or not path.is_relative_to(directory):
        raise FileRefusedError("outside", [Fault("file", "lies outside the directory that is imported")])
    return path


def _place(directory: Path, file: str) -> Path:
    """Return where a listed file would lie, links followed; the directory itself for what can be no name.

    Not `Path.resolve`: of links in a circle it makes an error that would end the import.
    """
    return directory if "\0" in file else Path(os.path.realpath(directory / file))
