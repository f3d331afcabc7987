"""`telesales`: the command line. Exit status 0 done, 1 refused or failed, 2 bad usage."""

import typer

from services.cli import checks, draw, ledger, lists, recordings, serving, store, tokens

commands = typer.Typer(
    name="telesales",
    help="Makes China's rules for selling life insurance by telephone hold in practice.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
commands.command()(checks.check)
commands.command()(checks.scrub)
commands.add_typer(lists.commands, name="do-not-call")
commands.add_typer(draw.commands, name="draw")
commands.add_typer(ledger.commands, name="ledger")
commands.add_typer(store.commands, name="store")
commands.add_typer(recordings.commands, name="recordings")
commands.add_typer(tokens.commands, name="token")
commands.command()(serving.run)
commands.command()(serving.serve)
commands.command()(serving.worker)
commands.command()(serving.migrate)
commands.command("database-url")(serving.database_url)
commands.command()(serving.openapi)


def main() -> None:
    """Run the command named on the command line."""
    commands()


if __name__ == "__main__":
    main()
