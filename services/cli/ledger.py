"""`telesales ledger`: verify bundles and the database itself, seal what waits, change the key."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from compliance.audit import note
from compliance.cosignatures import read_witness_key
from compliance.ledger_keys import LedgerKeyError, rotate_key
from compliance.ledger_reading import read_origin
from compliance.ledger_runs import check_keys_are_kept, seal_waiting
from compliance.ledger_verifier import Report, describe, verify_bundle
from compliance.signed_notes import NoteError
from infra.clock import clock_with_offset
from infra.logs import configure_logs
from services.cli.terminal import BAD_USAGE, FAILED, PERSON, JsonFlag, engine_on, fail, settings_or_exit, show
from services.ledger_checks import verify_database
from services.ledger_spans import LedgerEdgeError
from services.sealing import open_ledger

commands = typer.Typer(help="The ledger.", no_args_is_help=True)


@commands.callback()
def ledger() -> None:
    """The ledger."""


@commands.command()
def verify(  # noqa: PLR0913 - each is an option
    bundle: Annotated[
        Path | None, typer.Argument(exists=True, dir_okay=False, help="A bundle; without one, name --live.")
    ] = None,
    *,
    live: Annotated[bool, typer.Option("--live", help="Verify the database itself.")] = False,
    from_edge: Annotated[str | None, typer.Option("--from", help="First day or entry, with --live.")] = None,
    to_edge: Annotated[str | None, typer.Option("--to", help="Last day or entry, included, with --live.")] = None,
    key: Annotated[list[str] | None, typer.Option(help="Verifier key; only what it has signed counts.")] = None,
    witness: Annotated[
        list[str] | None, typer.Option(help="Verifier key of a witness; it must have cosigned a checkpoint.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """List everything that is not as the ledger says. Exit status 0: nothing, 1: problems."""
    if live == (bundle is not None):
        fail("name either a BUNDLE or --live", status=BAD_USAGE)
    if bundle is not None and (from_edge or to_edge):
        fail("--from and --to go with --live", status=BAD_USAGE)
    if live and (key or witness):
        fail(
            "--key and --witness go with a BUNDLE; the database is verified with the keys in DATA_DIR", status=BAD_USAGE
        )
    for one in witness or []:
        try:
            read_witness_key(one)
        except NoteError as error:
            fail(f"--witness: {error}", status=BAD_USAGE)
    if bundle is None:
        report = _verify_database(from_edge, to_edge)
    else:
        report = verify_bundle(bundle, keys=key or [], witnesses=witness or [])
    show(report.as_json(), as_json=as_json, sentence=describe(report))
    if not report.ok:
        raise typer.Exit(FAILED)


def _verify_database(from_edge: str | None, to_edge: str | None) -> Report:
    settings = settings_or_exit()
    with engine_on(settings) as engine:
        ledger = open_ledger(settings, engine, clock_with_offset(settings.clock_offset))
        try:
            return verify_database(ledger, edges=(from_edge, to_edge))
        except LedgerEdgeError as error:
            fail(f"--{error}", status=BAD_USAGE)
        except LedgerKeyError as error:
            fail(str(error))


@commands.command()
def seal(*, as_json: JsonFlag = False) -> None:
    """Seal what waits, at once. Exit status 1: the outside checkpoints contradict the ledger, or cannot be had."""
    settings = settings_or_exit()
    configure_logs("WARNING")  # on standard error: standard output is for the outcome alone
    with engine_on(settings) as engine:
        try:
            done = seal_waiting(open_ledger(settings, engine, clock_with_offset(settings.clock_offset)))
        except LedgerKeyError as error:
            fail(str(error))
    size = 0 if done.checkpoint is None else done.checkpoint.size
    trouble = done.trouble if done.contradiction is None else done.contradiction.detail
    found: dict[str, object] = {"sealed": done.entries, "size": size, "problem": trouble}
    show(found, as_json=as_json, sentence=f"{done.entries} entries sealed; the ledger has {size}")
    if trouble is not None:
        fail(trouble)


@commands.command("rotate-key")
def rotate(
    *,
    overlap_days: Annotated[int, typer.Option(min=0, max=366, help="Days in which the old key signs too.")] = 7,
    lost: Annotated[
        bool, typer.Option("--lost", help="The old key is lost or known to others: it signs no more.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Make a new key that signs from now on; every old signature stays good as of its time."""
    settings = settings_or_exit()
    now = clock_with_offset(settings.clock_offset)()
    overlap = timedelta() if lost else timedelta(days=overlap_days)
    with engine_on(settings) as engine:
        try:
            with engine.begin() as connection:
                origin = read_origin(connection)
                if not lost:
                    check_keys_are_kept(connection, settings.data_dir)
                fresh = rotate_key(settings.data_dir, origin, now=now, overlap=overlap)
                details = {"verifier_key": fresh.verifier.text(), "lost": lost, "overlap_days": overlap.days}
                note(connection, kind="ledger_key", subject=fresh.key_id, details=details, person=PERSON, now=now)
        except LedgerKeyError as error:
            fail(str(error))
    found: dict[str, object] = {"key_id": fresh.key_id, "verifier_key": fresh.verifier.text()}
    show(found, as_json=as_json, sentence=f"key {fresh.key_id} signs now; publish: {fresh.verifier.text()}")
