"""`telesales draw`: check the bundle of a draw as a stranger would."""

from pathlib import Path
from typing import Annotated

import typer

from qa_sampling.verify import describe, verify_file
from services.cli.terminal import FAILED, JsonFlag, show

commands = typer.Typer(help="Draws.", no_args_is_help=True)


@commands.callback()
def draw() -> None:
    """Draws."""


@commands.command()
def verify(
    bundle: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A bundle of GET /v1/draws/{id}/bundle.")],
    *,
    as_json: JsonFlag = False,
) -> None:
    """Draw again from the frame and the seed, and list everything that differs. Exit status 0: nothing, 1: problems."""
    report = verify_file(bundle)
    show(report.as_json(), as_json=as_json, sentence=describe(report))
    if not report.ok:
        raise typer.Exit(FAILED)
