"""Make or bring up to date `.venv` from the lock files: `python install.py run|dev`.

Standard library only: this is the first thing that runs on a new machine. A lock keeps two starts from
installing at once, and a stamp makes the second start quick.
"""

import fcntl
import hashlib
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
OLDEST_PYTHON = (3, 11)


def say(message: str) -> None:
    print(f"· {message}", flush=True)  # noqa: T201 - it talks to the person at the terminal


def fingerprint(lock_file: Path) -> str:
    parts = (lock_file.read_bytes(), (ROOT / "pyproject.toml").read_bytes(), sys.version.encode(), str(ROOT).encode())
    return hashlib.sha256(b"\0".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


def is_installed(kind: str) -> bool:
    stamp = VENV / f".installed-{kind}"
    lock_file = ROOT / "requirements" / f"{kind}.txt"
    return stamp.exists() and stamp.read_text() == fingerprint(lock_file)


def pip(*arguments: str) -> None:
    # B603-like warnings do not apply: the command is fixed and the arguments are ours.
    command = [str(VENV / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", *arguments]
    subprocess.run(command, check=True)  # noqa: S603


def install(kind: str) -> None:
    lock_file = ROOT / "requirements" / f"{kind}.txt"
    if not (VENV / "bin" / "python").exists():
        say(f"making a virtual environment in {VENV.relative_to(ROOT)}")
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)  # noqa: S603
    say(f"installing the locked packages of requirements/{lock_file.name} (a few minutes the first time)")
    # The lock file is whole, so pip need not resolve: pip 23.2, which comes with Python 3.11, takes the newest release
    # of what another package names with an extra, and then refuses it for not being the locked one (pypa/pip 9644).
    pip("install", "--quiet", "--no-deps", "--require-hashes", "--requirement", str(lock_file))
    pip("--quiet", "check")
    pip("install", "--quiet", "--no-deps", "--no-build-isolation", "--editable", str(ROOT))
    (VENV / f".installed-{kind}").write_text(fingerprint(lock_file))


def main() -> int:
    if sys.version_info < OLDEST_PYTHON:
        say(f"Python {OLDEST_PYTHON[0]}.{OLDEST_PYTHON[1]} or newer is needed; this is {sys.version.split()[0]}")
        return 1
    kind = sys.argv[1]
    with (ROOT / ".install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_installed(kind) or (kind == "run" and is_installed("dev")):
            return 0
        try:
            install(kind)
        except subprocess.CalledProcessError as error:
            say(f"the installation failed (pip ended with {error.returncode}); what it said stands above")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
