"""`telesales run`, `serve`, `worker`, `migrate`, `database-url`, `openapi`: the processes of the product.

The application takes a second to load. It is imported by the commands that need it: all others begin without.
"""

import json
import signal
import sys
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from types import FrameType

import typer
from celery.platforms import SecurityWarning
from sqlalchemy import Engine, text

from compliance.policy import PolicyError
from compliance.shanghai import SHANGHAI
from infra import embedded_postgres
from infra.clock import Clock, clock_with_offset, utc_now
from infra.database import libpq_url, make_engine
from infra.logs import configure_logs
from infra.migrate import migrate as run_migrations
from infra.object_store import ObjectStoreError
from infra.object_stores import NotWormError, demand_worm, open_recording_stores
from infra.postgres_account import EmbeddedPostgresError
from infra.settings import Settings, child_environment
from infra.supervisor import Child
from infra.supervisor import run as supervise
from services import all_tables
from services.archive_places import open_places
from services.attesting import AttesterSettingsError, read_attesters
from services.cli.terminal import (
    BAD_USAGE,
    JsonFlag,
    database,
    fail,
    faults_explained,
    owned_database,
    say,
    settings_or_exit,
    show,
)
from services.policy_file import PolicyFileError

_ALL_TABLES = all_tables.REGISTERED
_START_TAKES_AT_MOST = timedelta(minutes=10)
_IDLE_S = 75
"""How long an idle connection stays open: longer than clients (5 s) and proxies (60 s) keep theirs, so that it is
they who close it. A request sent while the server closes is lost, and a dialer would not know whether it was read."""


def migrate(*, as_json: JsonFlag = False) -> None:
    """Bring the database to this version's schema."""
    settings = settings_or_exit()
    with owned_database(settings) as url, faults_explained():
        engine = make_engine(url, application_name="telesales-migrate")
        before, after = run_migrations(engine)
        engine.dispose()
    sentence = f"the database is at migration {after}" + ("" if before == after else f" (was {before or 'empty'})")
    show({"before": before, "after": after}, as_json=as_json, sentence=sentence)


def database_url(*, as_json: JsonFlag = False) -> None:
    """Print a superuser URL of the embedded database, or DATABASE_URL."""
    settings = settings_or_exit()
    if settings.database_url is not None:
        url = libpq_url(settings.database_url)
    else:
        running = embedded_postgres.find_running(settings.data_dir)
        if running is None:
            fail(f"no PostgreSQL runs below {settings.data_dir}; start it with make run")
        url = running.libpq_url()
    show({"database_url": url}, as_json=as_json, sentence=url)


def serve() -> None:
    """Serve the API until stopped."""
    import uvicorn  # noqa: PLC0415 - as the module says

    from services.app import create_app  # noqa: PLC0415
    from services.http_protocol import BoundedHeadProtocol  # noqa: PLC0415

    settings = settings_or_exit()
    configure_logs(settings.log_level)
    _check_stores(settings)
    with database(settings) as url:
        engine = make_engine(url, application_name="telesales-start", clock_offset=settings.clock_offset)
        _adopt_policy(engine, settings, clock_with_offset(settings.clock_offset))
        engine.dispose()
        uvicorn.run(
            create_app(settings, database_url=url),
            host=settings.host,
            port=settings.port,
            loop="uvloop",
            http=BoundedHeadProtocol,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            log_config=None,
            timeout_graceful_shutdown=5,
            timeout_keep_alive=_IDLE_S,
        )


def _adopt_policy(engine: Engine, settings: Settings, clock: Clock) -> None:
    """Put the start's policy in force, or end this process naming every offence."""
    from services.app import adopt_policy  # noqa: PLC0415 - as the module says

    try:
        adopt_policy(engine, settings, clock)
    except (PolicyError, PolicyFileError) as error:
        fail(policy_refusal(error))


def _adopt_scorecard(engine: Engine, clock: Clock) -> None:
    from services.app import adopt_scorecard  # noqa: PLC0415 - as the module says

    adopt_scorecard(engine, clock)


def policy_refusal(error: Exception) -> str:
    """Return every offence of a policy, a line each, with its article."""
    if not isinstance(error, PolicyError):
        return str(error)
    lines = [f"  {one.loc}: {one.msg}" + (f" (art. {one.article})" if one.article else "") for one in error.offences]
    return "the policy file cannot be used:\n" + "\n".join(lines) + "\nCorrect it and start again."


def worker() -> None:
    """Run jobs and the periodic tasks until stopped."""
    from services.worker import make_worker_app  # noqa: PLC0415 - as the module says

    settings = settings_or_exit()
    configure_logs(settings.log_level)
    _check_attesters(settings)
    _check_stores(settings)
    with database(settings) as url:
        application = make_worker_app(settings, database_url=url)
        schedule = settings.data_dir / "celerybeat"
        schedule.mkdir(parents=True, exist_ok=True)
        # One task at a time, in this process: a pool of one takes ten seconds to end with a queue in a database.
        # Tasks are our own and carry ids only, so that the warning about root does not apply.
        warnings.filterwarnings("ignore", category=SecurityWarning)
        arguments = ["--quiet", "worker", "--beat", "--pool", "solo", "--loglevel", "WARNING", "--without-gossip"]
        application.start([*arguments, "--without-mingle", "--schedule", str(schedule / "schedule")])


def _check_attesters(settings: Settings) -> None:
    """End this process if the settings name a witness or an authority that cannot be used."""
    try:
        read_attesters(settings)
    except AttesterSettingsError as error:
        fail(str(error), status=BAD_USAGE)


def _check_stores(settings: Settings) -> None:
    """End this process if recordings are to lie on WORM stores, and one is none or does not answer."""
    if settings.recordings_worm is None:
        return
    stores = open_recording_stores(settings, clock=clock_with_offset(settings.clock_offset))
    try:
        demand_worm(stores)
    except (NotWormError, ObjectStoreError) as error:
        fail(str(error))
    finally:
        for store in stores:
            store.close()


def openapi() -> None:
    """Print the OpenAPI document."""
    from services.app import create_app  # noqa: PLC0415 - as the module says

    settings = settings_or_exit()
    document = create_app(settings, database_url="postgresql://unused").openapi()
    sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=1, sort_keys=True) + "\n")


def run(*, as_json: JsonFlag = False) -> None:
    """Start everything: database, migrations, demo data when empty, API, worker. Ctrl-C stops it all."""
    # Until the supervisor takes the signals over, a stop must still pass through the `finally` that ends PostgreSQL.
    signal.signal(signal.SIGTERM, _exit_on_signal)
    settings = settings_or_exit()
    configure_logs(settings.log_level)
    if settings.demo_clock is not None and settings.database_url is not None:
        fail(
            "DEMO_CLOCK works only with the embedded demo database; unset DEMO_CLOCK or DATABASE_URL", status=BAD_USAGE
        )
    _check_attesters(settings)
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    say(f"starting PostgreSQL below {settings.data_dir}" if settings.database_url is None else "using DATABASE_URL")
    with _own_database(settings) as url:
        offset = _prepare(settings, url)
        status = supervise(_children(offset), on_ready=lambda: _greet(settings, as_json=as_json), say=say)
    if status == 0:
        say(f"stopped; the data stay in {settings.data_dir if settings.database_url is None else 'your database'}")
    raise typer.Exit(status)


def _exit_on_signal(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


@contextmanager
def _own_database(settings: Settings) -> Iterator[str]:
    """Give the URL of the database; the embedded one ends with this process, whoever else uses it."""
    if settings.database_url is not None:
        yield settings.database_url
        return
    try:
        server = embedded_postgres.start(settings.data_dir, progress=say)
    except EmbeddedPostgresError as error:
        fail(str(error))
    try:
        yield server.url()
    finally:
        server.stop(within_s=14)


def _prepare(settings: Settings, url: str) -> timedelta:
    """Migrate, fix the clock, adopt the policy, load demo data; return the clock's offset."""
    engine = make_engine(url, application_name="telesales-run")
    with faults_explained():
        _, revision = run_migrations(engine)
        say(f"the database is at migration {revision}")
        offset = _fix_clock(settings, engine)
        engine.dispose()
        # What a start with a demo clock writes is of before that instant: else a second start at it were "too early".
        earlier = offset if settings.demo_clock is None else offset - _START_TAKES_AT_MOST
        # The demo's rows are loaded by the owner, who alone may gather the statistics without which it takes long.
        engine = make_engine(url, application_name="telesales-run", clock_offset=earlier)
        _adopt_policy(engine, settings, clock_with_offset(earlier))
        _adopt_scorecard(engine, clock_with_offset(earlier))
        if settings.database_url is None:
            _load_demo(settings, engine, clock_with_offset(earlier), now=settings.demo_clock or utc_now())
    engine.dispose()
    return offset


def _fix_clock(settings: Settings, engine: Engine) -> timedelta:
    """Fix the demo clock's offset for this run and leave it where other commands find it."""
    offset = timedelta() if settings.demo_clock is None else settings.demo_clock - utc_now()
    if settings.demo_clock is not None:
        latest = _latest_instant(engine)
        if latest is not None and settings.demo_clock < latest:
            fail(
                f"DEMO_CLOCK {settings.demo_clock.isoformat()} is earlier than the latest instant in the ledger,"
                f" {latest.astimezone(SHANGHAI).isoformat()}; choose a later one or another DATA_DIR"
            )
    if settings.database_url is None:
        record = {"offset_ms": round(offset / timedelta(milliseconds=1))}
        (settings.data_dir / "clock.json").write_text(json.dumps(record))
    return offset


def _latest_instant(engine: Engine) -> datetime | None:
    """Return when the newest change was recorded; of call checks, which are sealed later, when they were decided."""
    latest = text("""
        SELECT greatest(
          (SELECT max(recorded_at) FROM ledger_entries WHERE kind NOT LIKE '%.range'),
          (SELECT max(checked_at) FROM call_checks))""")
    with engine.connect() as connection:
        found: datetime | None = connection.execute(latest).scalar_one()
        return found


def _load_demo(settings: Settings, engine: Engine, clock: Clock, *, now: datetime) -> None:
    from services.demo.load import is_loaded, load_demo  # noqa: PLC0415 - as the module says

    with engine.connect() as connection:
        loaded = is_loaded(connection)
    if loaded:
        say("the database holds data already; it is kept")
        return
    say("the database is empty: loading demo data (about twenty seconds)")
    places = open_places(settings, clock=clock)
    try:
        load_demo(
            engine,
            now=now,
            data_dir=settings.data_dir,
            places=places,
            progress=lambda message, _share: say(f"  {message}"),
        )
    except ObjectStoreError as error:
        fail(f"the demo's recordings cannot be stored: {error}")
    finally:
        places.close()


def _children(offset: timedelta) -> list[Child]:
    environment = child_environment(CLOCK_OFFSET_MS=str(round(offset / timedelta(milliseconds=1))))
    program = [sys.executable, "-m", "services.cli.main"]
    settings = settings_or_exit()
    return [
        Child("API", [*program, "serve"], environment, ready=_answers(f"http://{_reachable(settings)}/healthz")),
        Child("worker", [*program, "worker"], environment),
    ]


def _reachable(settings: Settings) -> str:
    host = "127.0.0.1" if settings.host in {"0.0.0.0", "::"} else settings.host
    return f"{host}:{settings.port}"


def _answers(url: str) -> Callable[[], bool]:
    def ask() -> bool:
        try:
            with urllib.request.urlopen(url, timeout=1) as response:  # noqa: S310 - our own address
                return bool(response.status == 200)  # noqa: PLR2004
        except (urllib.error.URLError, OSError, ValueError):
            return False

    return ask


def _greet(settings: Settings, *, as_json: bool) -> None:
    address = f"http://{_reachable(settings)}"
    if as_json:
        show({"address": address, "data_dir": str(settings.data_dir)}, as_json=True, sentence="")
        return
    lines = [f"ready: {address} (API description: {address}/docs)"]
    if settings.database_url is None:
        tokens = settings.data_dir / "demo-tokens.json"
        example = settings.data_dir / "demo-check.json"
        call = f"curl -s {address}/v1/call-checks -d @{example} -H 'Content-Type: application/json'"
        lines += [
            f"tokens by role: {tokens}",
            "try:",
            f'  TOKEN=$(python3 -c \'import json; print(json.load(open("{tokens}"))["dialer"])\')',
            f'  {call} -H "Authorization: Bearer $TOKEN"',
        ]
    else:
        lines.append(
            "make a token, with the same DATABASE_URL and DATA_DIR: "
            f"{sys.argv[0]} token create --role dialer --owner NAME (first steps: docs/setup.md)"
        )
    say("\n".join(lines))
