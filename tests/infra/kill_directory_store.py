"""Kill a process at each step of each change of a directory store, and say what the next one finds; one JSON a line.

Every store is made alike, with a clock that stands still, so that versions have the same names in each.
"""

import hashlib
import json
import os
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from infra.directory_store import DirectoryStore
from infra.object_store import Content

NOW = datetime(2026, 11, 23, 4, tzinfo=UTC)
LATER = NOW + timedelta(days=365)
KEY = "ab/abcd"
STEPS = ("fsync", "pwrite", "ftruncate", "replace", "unlink", "mkdir")


def opened(root: Path) -> DirectoryStore:
    return DirectoryStore(root, clock=lambda: NOW)


def content(root: Path, data: bytes) -> Content:
    path = root.with_name(f"{root.name}-{data.decode()}")
    path.write_bytes(data)
    return Content(path, len(data), hashlib.sha256(data).digest())


def begin(root: Path) -> None:
    """Keep a locked version and a free one."""
    store = opened(root)
    locked = store.put(KEY, content(root, b"locked"), is_held=True)
    store.set_retention(KEY, locked.version_id, LATER)
    store.put(KEY, content(root, b"free"), is_held=False)


def versions(root: Path) -> list[str]:
    """Return the names of the two versions, the locked one first."""
    return [one.version_id for one in reversed(opened(root).versions(KEY))]


FREE: str
"""The version that nothing holds."""

CHANGES: dict[str, Callable[[Path], object]] = {
    "put": lambda root: opened(root).put(KEY, content(root, b"other"), is_held=True),
    "put under a new key": lambda root: opened(root).put("cd/ef/new", content(root, b"new"), is_held=True),
    "put again": lambda root: opened(root).put(KEY, content(root, b"free"), is_held=False),
    "lock": lambda root: opened(root).set_retention(KEY, versions(root)[1], LATER),
    "extend": lambda root: opened(root).set_retention(KEY, versions(root)[0], LATER + timedelta(days=1)),
    "hold": lambda root: opened(root).set_hold(KEY, versions(root)[1], is_held=True),
    "release": lambda root: opened(root).set_hold(KEY, versions(root)[0], is_held=False),
    "delete": lambda root: opened(root).delete_version(KEY, FREE),
}


def state(root: Path) -> dict[str, Any]:
    """Return all that can be read, and the files that are there."""
    store = opened(root)
    found = {
        f"{key} {one.version_id}": [
            str(store.head(key, one.version_id)),
            b"".join(store.read(key, one.version_id)).decode(),
        ]
        for key in (KEY, "cd/ef/new")
        for one in store.versions(key)
    }
    return {"versions": found, "files": sorted(str(one.relative_to(root)) for one in root.rglob("*") if one.is_file())}


def killed_at(step: int, change: Callable[[Path], object], root: Path) -> bool:
    """Make the change in a process that dies before its call number `step`, or in the middle of it; say if it died."""
    child = os.fork()
    if child == 0:
        watch(step)
        change(root)
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def watch(step: int) -> None:
    """Have this process kill itself at a call number; a line is written in two halves, and each counts."""
    calls = count()

    def die_at(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            if next(calls) == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **named)

        return call

    real_pwrite = os.pwrite

    def pwrite(file: int, data: bytes, offset: int) -> int:
        half = real_pwrite(file, data[: len(data) // 2], offset)
        if next(calls) == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return half + real_pwrite(file, data[half:], offset + half)

    os.pwrite = pwrite  # type: ignore[assignment]
    for name in STEPS:
        setattr(os, name, die_at(getattr(os, name)))


def tried(top: Path, name: str, change: Callable[[Path], object]) -> None:
    """Print what is found after a death at each step, until the change outlives it."""
    begin(before := top / f"{name} before")
    begin(after := top / f"{name} after")
    change(after)
    was, will_be = state(before), state(after)
    for step in count():
        begin(root := top / f"{name} {step}")
        died = killed_at(step, change, root)
        found = state(root)["versions"]
        change(root)
        line = {
            "change": name,
            "step": step,
            "died": died,
            "is_whole": found in (was["versions"], will_be["versions"]) and (died or found == will_be["versions"]),
            "is_done_again": state(root)["versions"] == will_be["versions"],
            "left": sorted(set(state(root)["files"]) - set(will_be["files"])),
        }
        print(json.dumps(line))  # noqa: T201 - the answer
        if not died:
            return


if __name__ == "__main__":
    directory = Path(sys.argv[1])
    begin(directory / "first")
    FREE = versions(directory / "first")[1]
    for what, made in CHANGES.items():
        tried(directory, what, made)
