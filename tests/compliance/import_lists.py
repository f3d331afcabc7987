"""Importing lists in tests, and what to expect of it."""

import csv
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text

from compliance.do_not_call_imports import ImportMode, ListImport, run_import
from tests.conftest import SettableClock

DAY = timedelta(days=1)


MORE_THAN_ENOUGH_S = 60


class Importer:
    """Imports texts as lists into one database, each in a thread of its own, whose low priority ends with it."""

    def __init__(self, engine: Engine, directory: Path, clock: SettableClock) -> None:
        self.engine = engine
        self.clock = clock
        self.directory = directory

    def start(self, content: str | bytes | Path, mode: ImportMode = ImportMode.TOLERANT, **more: Any) -> Future[Any]:
        source = content if isinstance(content, Path) else self.directory / "list"
        if isinstance(content, str | bytes):
            source.write_bytes(content.encode() if isinstance(content, str) else content)
        wanted = ListImport(
            **{
                "engine": self.engine,
                "source": source,
                "rejected": self.directory / "rejected.csv",
                "mode": mode,
                "person": "officer",
                "clock": self.clock,
                "chunk_rows": 3,
                **more,
            }
        )
        return in_a_thread(lambda: run_import(wanted))

    def run(self, content: str | bytes | Path, mode: ImportMode = ImportMode.TOLERANT, **more: Any) -> dict[str, Any]:
        found: dict[str, Any] = self.start(content, mode, **more).result(MORE_THAN_ENOUGH_S)
        return found

    def rejected(self, encoding: str = "utf-8") -> list[dict[str, str]]:
        with (self.directory / "rejected.csv").open(encoding=encoding, newline="") as opened:
            return list(csv.DictReader(opened))

    def read(self, query: str, **values: object) -> list[tuple[Any, ...]]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query), values)]

    def ends(self) -> dict[int, date]:
        query = "SELECT phone_digits, blocked_through FROM do_not_call_phones JOIN do_not_call_entries USING (entry_id)"
        return dict(self.read(query))


def in_a_thread(work: Callable[[], Any]) -> Future[Any]:
    executor = ThreadPoolExecutor(1)
    future = executor.submit(work)
    executor.shutdown(wait=False)
    return future


def counts(
    created: int = 0, extended: int = 0, unchanged: int = 0, rejected: int = 0, raised: int = 0
) -> dict[str, int]:
    return {
        "rows": created + extended + unchanged + rejected,
        "created": created,
        "extended": extended,
        "unchanged": unchanged,
        "rejected": rejected,
        "raised": raised,
    }
