"""Moving pairs out of the spool, so that a break in the middle of it is seen and made good at the next look."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from infra.durable import sync_path

_DAYS_LOOKED_AT = 3
_REASON_SUFFIX = ".reason.json"
_LONGEST_STEM_BYTES = 200

UNPAIRED = "unpaired"
"""The reason of what lay too long without its other half."""


class MoveError(RuntimeError):
    """The files cannot be moved: the spool is not ours to change, or holds another file system."""


def move_pair(files: Sequence[Path], target: Path, *, apart: str) -> None:
    """Move files into `target`, or into `target/apart` where one of their names is taken there; synced at the end.

    Raises:
        MoveError: they cannot be moved; some may have been.
    """
    try:
        target.mkdir(parents=True, exist_ok=True)
        if any(os.path.lexists(target / path.name) for path in files):
            target = target / apart
            target.mkdir(exist_ok=True)
        for path in files:
            path.rename(target / path.name)
        _sync(target, target.parent, files[0].parent)
    except OSError as error:
        msg = f"files of the spool cannot be moved ({error.strerror}); give its directory to the user of the service"
        raise MoveError(msg) from error


def finish_half_moved(spool: Path, files: Sequence[Path]) -> bool:
    """Let a single file follow its other half, if that was moved and this one was left by a break; say whether.

    Its other half lies, without it, in one of the directories that pairs were moved to last. What went to quarantine
    because it was alone is no such half.
    """
    if len(files) != 1:
        return False
    [left] = files
    for target in _targets(spool):
        halves = [path for path in target.glob(f"{_plain(left.stem)}.*") if not path.name.endswith(_REASON_SUFFIX)]
        if len(halves) == 1 and halves[0].name != left.name and not _was_alone(spool, left.stem, target):
            with suppress(OSError):
                left.rename(target / left.name)
                _sync(target, left.parent)
                return True
    return False


def _was_alone(spool: Path, stem: str, target: Path) -> bool:
    quarantine = spool / "quarantine"
    if quarantine not in (target, target.parent):
        return False
    try:
        return UNPAIRED.encode() in (quarantine / _reason_name(stem)).read_bytes()
    except OSError:
        return True


def _targets(spool: Path) -> Iterator[Path]:
    """Yield where pairs were moved to lately, with the directories for names that came twice."""
    days = sorted((path for path in (spool / "taken").glob("*") if path.is_dir()), reverse=True)
    for target in (*days[:_DAYS_LOOKED_AT], spool / "quarantine"):
        if target.is_dir():
            yield target
            yield from sorted(path for path in target.iterdir() if path.is_dir())


def _plain(stem: str) -> str:
    """Return a pattern that matches this stem only."""
    return "".join(f"[{sign}]" if sign in "*?[" else sign for sign in stem)


def write_reason(quarantine: Path, path: Path, content: bytes) -> None:
    """Write why a pair is refused beside where it is moved to, on disk before this returns."""
    quarantine.mkdir(parents=True, exist_ok=True)
    written = quarantine / _reason_name(path.stem)
    partial = quarantine / f".{written.name}"
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(written)
    _sync(quarantine, quarantine.parent)


def _reason_name(stem: str) -> str:
    """Return the name of the reasons; a name too long for a longer suffix is cut, and kept apart from others."""
    raw = os.fsencode(stem)
    if len(raw) > _LONGEST_STEM_BYTES:
        stem = hashlib.sha256(raw).hexdigest()
    return f"{stem}{_REASON_SUFFIX}"


def _sync(*directories: Path) -> None:
    for directory in directories:
        sync_path(directory)
