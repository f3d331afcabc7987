"""What a store has of a copy now: its bytes hashed, its lock and its versions compared with what was last read back.

Touches stores and no database. A store that is away says nothing about the copy.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import IO

from infra.object_store import NoSuchVersionError, ObjectStore, ObjectStoreError, StoredObject, UntrueStoreError


class Finding(StrEnum):
    """What was found where a copy should lie."""

    GOOD = "good"
    CHANGED = "changed"
    """Other bytes, fewer or more, or a store whose own records of the copy cannot be true."""
    MISSING = "missing"
    AWAY = "away"
    """The store cannot say; nothing is known about the copy."""


class Weakness(StrEnum):
    """How a copy is less protected than it was when it was last read back."""

    HOLD_LIFTED = "hold_lifted"
    DATE_SHORTENED = "date_shortened"
    HIDDEN = "hidden"
    """A delete marker lies over the key. The versions below it can be read."""
    OVERLAID = "overlaid"
    """A later version with other bytes lies over the key. Ours can be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a copy should be: bytes, and the lock that was last read back."""

    key: str
    version_id: str
    size_bytes: int
    sha256: bytes
    is_held: bool
    retain_until: datetime | None


@dataclass(frozen=True, slots=True)
class Look:
    """What was found. `sha256` is that of the bytes read, None if they could not all be; `read_bytes` how many were."""

    finding: Finding
    sha256: bytes | None
    read_bytes: int
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class LockLook:
    """What a store shows of a lock now; `over` is the marker or foreign version that lies over the key."""

    shown: StoredObject
    weaknesses: tuple[Weakness, ...]
    over: str | None = None


def look(store: ObjectStore, expected: Expected, *, to: IO[bytes] | None = None) -> Look:
    """Read the whole version, write it to `to` if given, and say whether its bytes are those expected.

    Raises:
        OSError: `to` cannot be written.
    """
    digest, read_bytes = hashlib.sha256(), 0
    try:
        size_bytes = store.head(expected.key, expected.version_id).size_bytes
        for piece in store.read(expected.key, expected.version_id):
            digest.update(piece)
            read_bytes += len(piece)
            if to is not None:
                to.write(piece)
    except NoSuchVersionError as error:
        return Look(Finding.MISSING, None, read_bytes, str(error))
    except UntrueStoreError as error:
        return Look(Finding.CHANGED, None, read_bytes, str(error))
    except ObjectStoreError as error:
        return Look(Finding.AWAY, None, read_bytes, str(error))
    found = digest.digest()
    if found == expected.sha256 and size_bytes == expected.size_bytes:
        return Look(Finding.GOOD, found, read_bytes)
    detail = f"{size_bytes} bytes where {expected.size_bytes} were stored" if found == expected.sha256 else None
    return Look(Finding.CHANGED, found, read_bytes, detail)


def look_at_lock(store: ObjectStore, expected: Expected) -> LockLook:
    """Compare hold, date and versions with what is expected; a stronger lock is no weakness.

    Raises:
        ObjectStoreError: the store cannot say.
    """
    shown = store.head(expected.key, expected.version_id)
    found = []
    if expected.is_held and not shown.is_held:
        found.append(Weakness.HOLD_LIFTED)
    if expected.retain_until is not None and (shown.retain_until is None or shown.retain_until < expected.retain_until):
        found.append(Weakness.DATE_SHORTENED)
    over, weakness = _over(store, expected)
    if weakness is not None:
        found.append(weakness)
    return LockLook(shown, tuple(found), over)


def _over(store: ObjectStore, expected: Expected) -> tuple[str | None, Weakness | None]:
    """Return what lies over the key. A retried put leaves a second version with our bytes, which is no weakness."""
    latest = next((one for one in store.versions(expected.key) if one.is_latest), None)
    if latest is None or latest.version_id == expected.version_id:
        return None, None
    if latest.is_marker:
        return latest.version_id, Weakness.HIDDEN
    other = store.head(expected.key, latest.version_id)
    is_ours = other.size_bytes == expected.size_bytes and other.sha256 in {None, expected.sha256}
    return (None, None) if is_ours else (latest.version_id, Weakness.OVERLAID)
