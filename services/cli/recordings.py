"""`telesales recordings import`: files with a list of metadata into the archive, from a terminal."""

from pathlib import Path
from typing import Annotated

import typer

from compliance.list_rows import UnreadableListError
from compliance.phone_numbers import normalise
from infra.clock import clock_with_offset
from infra.garbage import spare_the_collector
from infra.object_store import ObjectStoreError
from recordings.file_intake import FileIntake
from recordings.file_lists import UnreadableFileListError
from recordings.list_import import REFUSED_FILE, ListImport, Totals, run_list_import
from services.archive_places import open_places
from services.cli.terminal import (
    FAILED,
    PERSON,
    JsonFlag,
    engine_on,
    fail,
    progress_bar,
    settings_or_exit,
    show,
    writable_target,
)

commands = typer.Typer(help="Recordings of calls.", no_args_is_help=True)

_SOURCE = "import"
_MOST_WORKERS = 64


@commands.callback()
def recordings() -> None:
    """Recordings of calls."""


@commands.command("import")
def import_files(
    source: Annotated[Path, typer.Argument(metavar="DIR_OR_FILE", exists=True, help="A directory or a file.")],
    *,
    metadata: Annotated[
        Path,
        typer.Option(
            exists=True, dir_okay=False, help="CSV with the column file, relative to the directory, and the metadata."
        ),
    ],
    refused: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Where refused rows go. Default: refused.csv beside the CSV.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=_MOST_WORKERS, help="Files taken in at a time.")] = 16,
    as_json: JsonFlag = False,
) -> None:
    """Take in the files that a list names. Safe to repeat: what is there already is left as it is.

    Exit status 0: all are in the archive; 1: some were refused, or it broke off.
    """
    target = refused or metadata.with_name(REFUSED_FILE)
    written = writable_target(metadata, target, advice="name another file with --refused")
    totals = _import(source.resolve(), metadata, written, workers, quiet=as_json)
    found = {
        "rows": totals.rows,
        "stored": totals.stored,
        "known": totals.known,
        "refused": totals.refused,
        "refused_file": str(target),
        "seconds": round(totals.seconds, 3),
    }
    listed = f" -> {target}" if totals.refused else ""
    sentence = (
        f"{totals.rows} rows: {totals.stored} stored, {totals.known} there already, {totals.refused} refused{listed}"
    )
    show(found, as_json=as_json, sentence=sentence)
    if totals.refused:
        raise typer.Exit(FAILED)


def _import(source: Path, listed: Path, refused: Path, workers: int, *, quiet: bool) -> Totals:
    settings = settings_or_exit()
    clock = clock_with_offset(settings.clock_offset)
    is_file = source.is_file()
    # Each worker needs a connection for its own transaction, now and then.
    with engine_on(settings, pool_size=workers) as engine, progress_bar("importing", quiet=quiet) as advance:
        places = open_places(settings, clock=clock)
        wanted = ListImport(
            intake=FileIntake(engine, places, clock, _SOURCE, PERSON),
            directory=source.parent if is_file else source,
            listed=listed,
            refused=refused,
            only=source if is_file else None,
            workers=workers,
        )
        normalise("13800138000")  # reads number ranges now, not in the first rows
        spare_the_collector()
        try:
            return run_list_import(wanted, show=advance)
        except (UnreadableFileListError, UnreadableListError) as error:
            fail(str(error))
        except ObjectStoreError as error:
            fail(f"the store of recordings cannot go on: {error}; import the same list again later")
        except OSError as error:
            fail(f"{error.filename or refused} cannot be used: {error.strerror}")
        finally:
            places.close()
