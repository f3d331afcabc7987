"""`telesales store`: try the stores of recordings before they are relied on."""

from collections.abc import Sequence
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from infra.clock import clock_with_offset
from infra.object_store import ObjectStoreError, ProbedStore, ProbeRow
from infra.object_stores import open_object_store, open_recording_stores
from infra.s3_place import S3PlaceError
from infra.settings import Settings
from services.cli.terminal import BAD_USAGE, FAILED, JsonFlag, fail, settings_or_exit, show

commands = typer.Typer(help="The stores of recordings.", no_args_is_help=True)


@commands.callback()
def store() -> None:
    """The stores of recordings."""


@commands.command()
def probe(
    *,
    url: Annotated[
        str | None, typer.Option(help="A store; without it, those of RECORDINGS_URL and RECORDINGS_COPY_URL.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Try whether a store refuses what it must. Exit status 0: it does, 1: something that is needed fails.

    What is tried lies below probe/ and is locked for a minute; the next probe removes it.
    """
    found = []
    for one in _stores(settings_or_exit(), url):
        try:
            found.append((one, one.probe()))
        except ObjectStoreError as error:
            fail(str(error))
        finally:
            one.close()
    if as_json:
        answers = [{"store": one.name, "worm": one.is_worm, "rows": [_row(row) for row in rows]} for one, rows in found]
        show({"stores": answers}, as_json=True, sentence="")
    else:
        for one, rows in found:
            _print(one, rows)
    if any(row.is_needed and not row.is_ok for _, rows in found for row in rows):
        raise typer.Exit(FAILED)


def _stores(settings: Settings, url: str | None) -> Sequence[ProbedStore]:
    clock = clock_with_offset(settings.clock_offset)
    if url is None:
        return open_recording_stores(settings, clock=clock)
    try:
        # Of any place alone: that of recordings is also held against that of their second copies.
        Settings(checkpoints_url=url)
        return [open_object_store(url, default=settings.data_dir, clock=clock)]
    except (ValidationError, S3PlaceError):
        fail("--url: write it as for RECORDINGS_URL: a directory, or s3://bucket/prefix", status=BAD_USAGE)


def _row(row: ProbeRow) -> dict[str, object]:
    return {"name": row.name, "expected": row.expected, "found": row.found, "ok": row.is_ok, "needed": row.is_needed}


def _print(one: ProbedStore, rows: Sequence[ProbeRow]) -> None:
    worm = "WORM: refuses its own clients" if one.is_worm else "not WORM"
    table = Table("tried", "must be", "is", "", title=f"{one.name} ({worm})", title_justify="left")
    for row in rows:
        verdict = "ok" if row.is_ok else ("FAILS" if row.is_needed else "lacks, can be done without")
        table.add_row(row.name, row.expected, row.found, verdict)
    Console(highlight=False, markup=False).print(table)
