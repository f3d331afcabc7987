"""`telesales do-not-call import`: whole lists into the do-not-call list, from a terminal."""

from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import Connection

from compliance.do_not_call_imports import (
    REJECTED_FILE,
    ImportMode,
    ListImport,
    Standing,
    run_import,
)
from compliance.import_chunks import ImportContendedError
from compliance.list_rows import UnreadableListError
from infra.clock import clock_with_offset
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

commands = typer.Typer(help="The do-not-call list.", no_args_is_help=True)


@commands.callback()
def do_not_call() -> None:
    """The do-not-call list."""


@commands.command("import")
def import_list(
    source: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="CSV or XLSX.")],
    *,
    mode: Annotated[ImportMode, typer.Option(help="strict: store nothing if any row is bad.")] = ImportMode.TOLERANT,
    rejected: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Where bad rows go. Default: rejected.csv beside FILE.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Block everyone on a list; rows that cannot be read go to a file that says why.

    Exit status 0: done, even if some rows were rejected; 1: nothing was stored.
    """
    target = rejected or source.with_name(REJECTED_FILE)
    written = writable_target(source, target, advice="name another file with --rejected")
    result = _import(source, written, mode, quiet=as_json)
    show({**result, "rejected_file": str(target)}, as_json=as_json, sentence=_sentence(result, target))
    if result.get("stored") is False:
        raise typer.Exit(FAILED)


def _import(source: Path, target: Path, mode: ImportMode, *, quiet: bool) -> dict[str, object]:
    settings = settings_or_exit()
    with engine_on(settings) as engine, progress_bar("importing", quiet=quiet) as advance:

        def note(_connection: Connection, standing: Standing, total: int) -> None:
            advance(standing.read, total)

        wanted = ListImport(
            engine=engine,
            source=source,
            rejected=target,
            mode=mode,
            person=PERSON,
            clock=clock_with_offset(settings.clock_offset),
            note=note,
            show=advance,
        )
        try:
            return run_import(wanted)
        except (UnreadableListError, ImportContendedError) as error:
            fail(str(error))
        except OSError as error:
            fail(f"{error.filename or target} cannot be used: {error.strerror}")


def _sentence(result: dict[str, object], target: Path) -> str:
    counts = (
        f"{result['rows']} rows: {result['created']} created, {result['extended']} extended, "
        f"{result['unchanged']} unchanged, {result['rejected']} rejected; {result['raised']} raised to the floor"
    )
    listed = f" -> {target}: whom these rows name is not blocked yet" if result["rejected"] else ""
    nothing = "; nothing was stored" if result.get("stored") is False else ""
    return f"{counts}{nothing}{listed}"
