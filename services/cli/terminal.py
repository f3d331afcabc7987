"""What every command shares: settings, the database, output for people and for programs, exit statuses."""

import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Never, Unpack

import psycopg
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from compliance.shanghai import SHANGHAI
from infra import embedded_postgres
from infra.application_role import application_url
from infra.database import APPLICATION_ROLE, PoolOptions, make_engine
from infra.embedded_postgres import EmbeddedPostgres
from infra.postgres_account import EmbeddedPostgresError
from infra.settings import Settings, SettingsError, read_settings

FAILED = 1
BAD_USAGE = 2

PERSON = "command line"
"""Who did what a command does, in the records of it."""

JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON object for programs.")]

_errors = Console(stderr=True, highlight=False)


def fail(message: str, *, status: int = FAILED) -> Never:
    """Say what went wrong, on standard error, and end."""
    _errors.print(f"telesales: {message}", markup=False, soft_wrap=True)
    raise typer.Exit(status)


def say(message: str) -> None:
    """Tell the person at the terminal what is being done; programs read standard output only."""
    _errors.print(f"· {message}", markup=False, soft_wrap=True)


def writable_target(source: Path, target: Path, *, advice: str) -> Path:
    """Return where a command's file goes, links followed.

    The file takes its place whole, so what stands there must be neither `source` nor a device, of which a plain file
    would be left: both end with bad usage. Its directory must be there.
    """
    found = target.resolve()
    if found.exists() and found.samefile(source):
        fail(f"{source} would be overwritten; {advice}", status=BAD_USAGE)
    if found.exists() and not found.is_file():
        fail(f"{target} is no regular file and would be replaced by one; {advice}", status=BAD_USAGE)
    if not found.parent.is_dir():
        fail(f"{target} cannot be written: No such file or directory: {found.parent}. Make it, or {advice}")
    return found


def settings_or_exit() -> Settings:
    """Read the settings, with the demo clock of the running `make run` on the same data directory."""
    try:
        settings = read_settings()
    except SettingsError as error:
        fail(str(error), status=BAD_USAGE)
    if settings.database_url is None and not settings.clock_offset_ms:
        return settings.model_copy(update={"clock_offset_ms": read_clock_offset_ms(settings.data_dir)})
    return settings


def read_clock_offset_ms(data_dir: Path) -> int:
    """Return by how much the product's clock is ahead of the machine's, as the running supervisor wrote it."""
    try:
        return int(json.loads((data_dir / "clock.json").read_text())["offset_ms"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


@contextmanager
def database(settings: Settings) -> Iterator[str]:
    """Give the URL at which to work; an embedded database is started if it does not run, and stopped again."""
    if settings.database_url is not None:
        yield application_url(settings.database_url)
        return
    with _embedded(settings) as server:
        yield server.url(user=APPLICATION_ROLE)


@contextmanager
def owned_database(settings: Settings) -> Iterator[str]:
    """Give the URL of the database's owner, who migrates; else like `database`."""
    if settings.database_url is not None:
        yield settings.database_url
        return
    with _embedded(settings) as server:
        yield server.url()


@contextmanager
def _embedded(settings: Settings) -> Iterator[EmbeddedPostgres]:
    try:
        with embedded_postgres.start(settings.data_dir, progress=say) as server:
            yield server
    except EmbeddedPostgresError as error:
        fail(str(error))


@contextmanager
def engine_on(settings: Settings, **pool: Unpack[PoolOptions]) -> Iterator[Engine]:
    """Give an engine on the database; what the database may do to the command ends it with a sentence."""
    with database(settings) as url, faults_explained():
        engine = make_engine(url, application_name="telesales-cli", clock_offset=settings.clock_offset, **pool)
        try:
            yield engine
        finally:
            engine.dispose()


@contextmanager
def faults_explained() -> Iterator[None]:
    """Turn what the database may do to a command into a sentence and exit status 1."""
    try:
        yield
    except (SQLAlchemyError, psycopg.Error) as error:
        fail(_database_fault(error))


_SERVERS_WORDS = re.compile(r"FATAL:\s+(.+)")
_CLIENTS_WORDS = (
    "Connection refused",
    "timeout expired",
    "No such file or directory",
    "Name or service not known",
    "Temporary failure in name resolution",
    "No route to host",
    "SSL",
)
"""What libpq says of a server that cannot be reached; the rest of its message may quote the URL, password included."""


def _database_fault(error: Exception) -> str:
    """Say what the database did to a command, and what to do; of a refused connection also why."""
    said = str(getattr(error, "orig", error))
    servers = _SERVERS_WORDS.search(said)
    reason = servers[1] if servers else next((words for words in _CLIENTS_WORDS if words in said), None)
    if "connection" not in said or reason is None:
        return f"the database could not do it ({type(error).__name__}); is it running and migrated (telesales migrate)?"
    return (
        f"the database could not do it: no connection ({reason}); "
        "see that the server runs, and that it has the database and the login that DATABASE_URL names"
    )


def _as_text(value: object) -> str:
    return value.astimezone(SHANGHAI).isoformat() if isinstance(value, datetime) else str(value)


def show(found: dict[str, object], *, as_json: bool, sentence: str) -> None:
    """Print the outcome: one JSON object, or a sentence."""
    if as_json:
        sys.stdout.write(json.dumps(found, ensure_ascii=False, default=_as_text) + "\n")
        sys.stdout.flush()
    else:
        Console(highlight=False).print(sentence, markup=False, soft_wrap=True)


@contextmanager
def progress_bar(what: str, *, quiet: bool) -> Iterator[Callable[[int, int | None], None]]:
    """Show a bar on standard error while long work runs; call the value with (done, total or None)."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=_errors, disable=quiet or not _errors.is_terminal) as bar:
        task = bar.add_task(what, total=None)

        def advance(done: int, total: int | None) -> None:
            bar.update(task, completed=done, total=total)

        yield advance
